//! Signatures over entries of the log: Ed25519 (RFC 8032), by the key of whoever says it.
//!
//! What is signed is the entry as every store understands it, with the name of the site where it was made. A comment can be
//! kept back from a bundle, so an entry with one is signed twice: without its words, and whole.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Somebody's public key: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        // A weak one would fit signatures that nobody made with a secret.
        VerifyingKey::from_bytes(&bytes).ok().filter(|key| !key.is_weak()).map(|_| Self(bytes))
    }

    /// Whether a signature over bytes is this key's. Strict: what another program could read otherwise is refused.
    fn verifies(&self, bytes: &[u8], signature: &Signed) -> bool {
        let key = VerifyingKey::from_bytes(&self.0);
        key.is_ok_and(|key| key.verify_strict(bytes, &Signature::from_bytes(&signature.0)).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes that stand as hexadecimal digits.
macro_rules! hexadecimal {
    ($name:ident, $read:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let read: fn(&str) -> Option<Self> = $read;
                read(&text).ok_or_else(|| de::Error::custom(concat!("this is no ", stringify!($name))))
            }
        }
    };
}

/// The 64 bytes of a signature.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Signed([u8; 64]);

hexadecimal!(PublicKey, PublicKey::parse);
hexadecimal!(Signed, |text| {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| Signed(bytes))
});

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Somebody's secret key. It has no form that could be printed.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// From 32 bytes that nobody can guess.
    pub(crate) fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// The bytes that it was made from: for its owner's file alone.
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its public half.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// A signature over bytes that are no entry, in hexadecimal: what they are about stands at their beginning.
    pub(crate) fn sign_bytes(&self, bytes: &[u8]) -> String {
        hex::encode(self.sign(bytes).0)
    }

    fn sign(&self, bytes: &[u8]) -> Signed {
        Signed(self.0.sign(bytes).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {}, not shown)", self.public())
    }
}

/// Whether a signature that [`SecretKey::sign_bytes`] gave fits.
pub(crate) fn verifies_bytes(key: &PublicKey, bytes: &[u8], signature: &str) -> bool {
    let mut signed = [0; 64];
    hex::decode_to_slice(signature, &mut signed).is_ok() && key.verifies(bytes, &Signed(signed))
}

/// A signature over an entry. Its JSON is hashed into the chain: names are never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntrySignature {
    /// Whose it is.
    pub(crate) key: PublicKey,
    /// Over the entry without its comment.
    bare: Signed,
    /// Over the whole entry; only where there is a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<Signed>,
}

impl EntrySignature {
    /// Over an entry without its comment, and with it where it has one.
    pub(crate) fn over(bare: &[u8], whole: Option<&[u8]>, key: &SecretKey) -> Self {
        Self { key: key.public(), bare: key.sign(bare), whole: whole.map(|whole| key.sign(whole)) }
    }

    /// Whether it fits an entry without its comment, and with it where it has one.
    pub(crate) fn fits(&self, bare: &[u8], whole: Option<&[u8]>) -> bool {
        self.key.verifies(bare, &self.bare)
            && match (&self.whole, whole) {
                (Some(signed), Some(whole)) => self.key.verifies(whole, signed),
                (None, None) => true,
                _ => false,
            }
    }

    /// The same for an entry whose comment was taken out.
    pub(crate) fn without_comment(self) -> Self {
        Self { whole: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first vector of RFC 8032, section 7.1: the seed, its public key, and the signature over nothing.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let mut seed = [0; 32];
        hex::decode_to_slice("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", &mut seed).unwrap();
        let key = SecretKey::from_seed(seed);
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let signed = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
        assert_eq!((key.public().to_string().as_str(), key.sign_bytes(b"").as_str()), (public, signed));
        assert!(verifies_bytes(&key.public(), b"", signed));
        assert!(!verifies_bytes(&key.public(), b"x", signed));
        assert_eq!(PublicKey::parse(public), Some(key.public()));
        assert!(PublicKey::parse(&public[1..]).is_none());
        assert!(!format!("{key:?}").contains("9d61"));
    }
}
