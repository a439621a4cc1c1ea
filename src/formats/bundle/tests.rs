//! Bundles come back as they were written; what is torn, changed or not for us is refused, and nothing panics.

use std::io::Read;

use proptest::prelude::*;

use super::signature::Signer;
use super::*;
use crate::domain::corpus::{DocumentId, DocumentUid};
use crate::domain::entry::{Body, Judged, RecordedSight};
use crate::domain::label::{ConfidenceKind, EntryId, Judgement};
use crate::domain::secret::Secret;
use crate::factory;
use crate::formats::Needs;

fn header(events: u64) -> BundleHeader {
    BundleHeader {
        site: "ward".into(),
        made: Timestamp(1_760_000_000_000),
        project: "study".into(),
        head: "ab".repeat(32),
        events,
        with_text: true,
        with_comments: true,
        annotator: None,
        taxonomy: "t1".into(),
        restricted: String::new(),
    }
}

fn event(n: u64, comment: &str) -> BundleLine {
    let sentence = SentenceRef { document: DocumentUid([n as u8; 16]), start: 3, end: 9 };
    let label = Some(Label::parse(["", "memory", "memory,mood"][n as usize % 3]).unwrap());
    BundleLine::Event {
        entry: Box::new(Entry {
            id: EntryId(format!("{n:04}")),
            at: Timestamp(n as i64),
            author: Annotator("ann".into()),
            site: Some("ward".into()),
            body: Body::Decide(Judged {
                sentence,
                judgement: Judgement { label, comment: comment.into(), ..Judgement::default() },
                took: Some(n as u32),
                sight: RecordedSight::Machine(n.is_multiple_of(2)),
                proposal: None,
                taxonomy: "t1".into(),
                supersedes: Some(Vec::new()),
            }),
            signature: None,
        }),
        withheld: n.is_multiple_of(5),
    }
}

/// A bundle with something of every kind, and texts that need care.
fn items(comment: &str, text: &str) -> Vec<BundleLine> {
    let run = Run {
        model: comment.into(),
        taxonomy: "t1".into(),
        started: Timestamp(5),
        ..factory::run("r1", RunKind::Label)
    };
    let document = Document {
        id: DocumentId(1),
        patient: PatientKey("p\u{202e}1".into()),
        external_id: "n1".into(),
        title: comment.into(),
        kind: String::new(),
        date: String::new(),
        source: "notes.csv".into(),
        origin: Origin::Real,
        text: text.into(),
    };
    let (start, end) = (text.len() - text.trim_start().len(), text.trim_end().len());
    let sentence =
        |start, end| Sentence { id: SentenceId(1), document: DocumentId(1), position: 0, span: Span { start, end } };
    let sentences = if start < end { vec![sentence(start, end)] } else { Vec::new() };
    let content = NewProposal {
        confidence: Some(Confidence { value: 0.1 + 0.2, kind: ConfidenceKind::Calibrated }),
        probabilities: vec![0.1, 1.0 / 3.0, f32::MIN_POSITIVE],
        ..NewProposal::bare(SentenceId(7), Label::none())
    };
    let at = SentenceRef { document: DocumentUid([1; 16]), start: 3, end: 9 };
    vec![
        BundleLine::Taxonomy { hash: "t1".into(), at: Timestamp(3), content: "name = \"x\"\n".into() },
        BundleLine::Note(BundleNote::new(document, &sentences)),
        BundleLine::Run(run.clone()),
        BundleLine::Proposal(BundleProposal::new(&run.id, at, Source::Llm, content)),
        event(0, comment),
        event(1, ""),
    ]
}

fn write(name: &str, seal: &Seal, items: &[BundleLine]) -> Vec<u8> {
    let events = items.iter().filter(|item| matches!(item, BundleLine::Event { .. })).count() as u64;
    let mut writer = BundleWriter::new(Vec::new(), Path::new(name), seal, &header(events)).unwrap();
    items.iter().for_each(|item| writer.put(item).unwrap());
    writer.finish().unwrap()
}

fn read(bytes: &[u8], keys: &Keys) -> Result<Vec<BundleLine>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b");
    std::fs::write(&path, bytes).unwrap();
    let mut all = Vec::new();
    let mut run = || {
        let mut reader = Bundle::open(&path)?.read(keys)?;
        while let Some(item) = reader.next()? {
            all.push(item);
        }
        Ok::<(), FormatError>(())
    };
    run().map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))?;
    Ok(all)
}

fn plain(items: &[BundleLine]) -> String {
    String::from_utf8(write("b", &Seal::Open, items)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(comment in "\\PC{0,40}", text in "(?s).{0,60}", gzip in any::<bool>()) {
        let items = items(&comment, &text);
        let bytes = write(if gzip { "b.gz" } else { "b" }, &Seal::Open, &items);
        prop_assert_eq!(bytes.starts_with(GZIP), gzip);
        prop_assert_eq!(read(&bytes, &Keys::default()).unwrap(), items);
    }

    /// A byte changed, put in or taken out, or the end cut off, anywhere, in any form.
    #[test]
    fn what_was_changed_is_refused(at in any::<prop::sample::Index>(), to in any::<u8>(), how in 0..4, form in 0usize..3) {
        let name = ["b", "b.gz", "b.gz.age"][form];
        let key = x25519_identity();
        let seal = if form == 2 { Seal::To(vec![key.0.to_public()]) } else { Seal::Open };
        let items = items("a comment", "She forgets names.");
        let good = write(name, &seal, &items);
        let (mut bytes, at) = (good.clone(), at.index(good.len()));
        match how {
            0 => bytes[at] = to,
            1 => bytes.insert(at, to),
            2 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
        match read(&bytes, &key.1) {
            Err(said) => prop_assert!(!said.is_empty()),
            // gzip has bytes that mean nothing to the content, such as the name of the system that wrote it.
            Ok(found) => prop_assert!(bytes == good || form == 1 && found == items),
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), form in 0usize..3) {
        let start: &[u8] = [&b""[..], b"{\"goldsmith\":\"bundle\",\"version\":1,", b"age-encryption.org/v1\n"][form];
        let bytes = [start, &bytes].concat();
        prop_assert!(read(&bytes, &x25519_identity().1).is_err());
    }
}

/// An identity, and what it opens.
fn x25519_identity() -> (age::x25519::Identity, Keys) {
    use age::secrecy::ExposeSecret;
    let folder = tempfile::tempdir().unwrap();
    let identity = age::x25519::Identity::generate();
    let path = folder.path().join("key.txt");
    std::fs::write(&path, format!("# made for a test\n{}\n", identity.to_string().expose_secret())).unwrap();
    let keys = Keys::of(&[path], None).unwrap();
    (identity, keys)
}

/// Line by line: what was lost, doubled or added, and where it is named.
#[test]
fn faults_are_named_by_place() {
    let good = plain(&items("c", "She forgets."));
    let lines: Vec<&str> = good.lines().collect();
    let with = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        change(&mut lines);
        read((lines.join("\n") + "\n").as_bytes(), &Keys::default()).unwrap_err()
    };
    let changed = |line| {
        format!(
            "b:{line}:1: the lines before this one are not those that were written: the file was changed; fetch it again"
        )
    };
    let (shorter, longer, same) = (changed(7), changed(9), changed(8));
    type Damage<'a> = &'a dyn Fn(&mut Vec<String>);
    let cases: Vec<(Damage<'_>, &str)> = vec![
        (&|l| drop(l.pop()), "b:8:1: the file ends without its last line: it is torn; fetch it again"),
        (&|l| drop(l.remove(6)), &shorter),
        (&|l| l.insert(6, l[6].clone()), &longer),
        (&|l| l[6] = l[6].replace("memory", "mood"), &same),
        (&|l| l.push("{}".into()), "b:9:1: something stands behind the last line; fetch the file again"),
        (
            &|l| l[3] = "{\"thing\":{}}".into(),
            "b:4:8: this is no line of a bundle: unknown variant `thing`, expected one of `taxonomy`, `note`, `run`, `proposal`, `event`",
        ),
        (
            &|l| l[6] = l[6].replace("\"at\":1,", "\"at\":1,\"more\":2,"),
            "b:7:61: this is no line of a bundle: unknown field `more`",
        ),
        (&|l| l[6] = l[6].replace("0001", "00,1"), "b:7:336: this is no line of a bundle: `00,1` is no id of an event"),
        (&|l| l[6] = l[6].replace("\"site\":\"ward\",", ""), "b:7:1: the event does not say its site"),
        (&|l| l.swap(3, 4), "b:4:1: the run r1 of this proposal does not stand before it"),
        (&|l| l[2] = l[2].replace("[[0,12]]", "[[0,9]]"), "b:3:1: the note's sentences do not cover its text"),
        (
            &|l| l[0] = l[0].replace("\"with_text\":true", "\"with_text\":false"),
            "b:3:1: a note in a bundle that says it has no text",
        ),
        (&|l| l[3] = l[3].replace("\"label\"", "\"merge\""), "b:4:1: a run of the kind `merge` proposes nothing"),
        (&|l| l[4] = l[4].replace("\"llm\"", "\"human\""), "b:5:1: a proposal is a machine's"),
        (
            &|l| l[0] = l[0].replace("\"version\":1", "\"version\":2"),
            "b: a newer goldsmith wrote this bundle (form 2, this one reads 1)",
        ),
        (&|l| l[0] = "{\"text\":\"She forgets names.\"}".into(), "b: this is no bundle"),
        (&|l| l[0] = l[0].replace("\"site\":\"ward\",", ""), "b:1:1: the first line: missing field `site`"),
    ];
    let wrong: Vec<(String, &str)> = cases
        .into_iter()
        .map(|(change, expected)| (with(change), expected))
        .filter(|(said, expected)| !said.starts_with(expected))
        .collect();
    assert_eq!(wrong, vec![]);
    assert_eq!(
        read(good.trim_end().as_bytes(), &Keys::default()).unwrap_err(),
        "b:8:1: the file ends within this line: it is torn; fetch it again"
    );
}

/// What is written is a file of age, and what age writes is read.
#[test]
fn a_sealed_bundle_is_an_age_file() {
    let items = items("c", "She forgets.");
    let (ours, keys) = x25519_identity();
    let (other, others) = x25519_identity();
    for name in ["b.age", "b.gz.age"] {
        let seal = Seal::To(vec![other.to_public(), ours.to_public()]);
        let sealed = write(name, &seal, &items);
        assert!(!sealed.windows(7).any(|w| w == b"forgets"));
        let opened = age::decrypt(&ours, &sealed).unwrap();
        assert_eq!(opened.starts_with(GZIP), name == "b.gz.age");
        if name == "b.age" {
            assert_eq!(String::from_utf8(opened).unwrap(), plain(&items));
        }
        assert_eq!(read(&sealed, &keys).unwrap(), items);
        assert_eq!(read(&sealed, &others).unwrap(), items);
    }
    let sealed = age::encrypt(&ours.to_public(), plain(&items).as_bytes()).unwrap();
    assert_eq!(read(&sealed, &keys).unwrap(), items);
    let said = read(&sealed, &others).unwrap_err();
    assert!(
        said.starts_with("b stays closed: no identity in ") && said.ends_with("is one that it was written to"),
        "{said}"
    );
    let said = read(&sealed, &Keys::default()).unwrap_err();
    assert_eq!(said, "b stays closed: it is encrypted");
    let said = read(&sealed, &Keys::of(&[], Some(Secret::of("x"))).unwrap()).unwrap_err();
    assert_eq!(said, "b stays closed: it is encrypted to a recipient");
}

#[test]
fn a_passphrase_opens_what_it_sealed_and_is_never_shown() {
    let items = items("c", "She forgets.");
    let right = Secret::of("correct horse");
    let sealed = write("b", &Seal::of(&[], Some(right.clone())).unwrap(), &items);
    let mut opened = Vec::new();
    let identity = age::scrypt::Identity::new("correct horse".to_owned().into());
    let decryptor = age::Decryptor::new(&sealed[..]).unwrap();
    decryptor.decrypt(std::iter::once(&identity as _)).unwrap().read_to_end(&mut opened).unwrap();
    assert_eq!(String::from_utf8(opened).unwrap(), plain(&items));
    assert_eq!(read(&sealed, &Keys::of(&[], Some(right.clone())).unwrap()).unwrap(), items);
    let said = read(&sealed, &Keys::of(&[], Some(Secret::of("battery staple"))).unwrap()).unwrap_err();
    assert_eq!(said, "b stays closed: the passphrase in WORD is not the one that it was written with");
    assert!(read(&sealed, &Keys::default()).unwrap_err().contains("it is encrypted"));
    assert_eq!(format!("{right:?}"), "Secret(in WORD, not shown)");
    assert!(
        matches!(crate::formats::secret::from_variable("GOLDSMITH_NO_SUCH_WORD"), Err(FormatError::Key { needs: Needs::Variable(name), .. }) if name == "GOLDSMITH_NO_SUCH_WORD")
    );
}

#[test]
fn keys_that_are_none_are_named_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.txt");
    let file = path.to_str().unwrap().to_owned();
    let (identity, _) = x25519_identity();
    std::fs::write(&path, format!("# ward\n\n{}\n", identity.to_public())).unwrap();
    assert!(
        matches!(Seal::of(std::slice::from_ref(&file), None).unwrap(), Seal::To(all) if all == [identity.to_public()])
    );
    let said = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Seal::of(&words, Some(Secret::of("x"))).unwrap_err().to_string()
    };
    assert!(said(&["age1qqqq"]).contains("one of its letters is wrong"));
    let secret = said(&["AGE-SECRET-KEY-1QQQQ"]);
    assert!(secret.contains("that is a secret key") && !secret.contains("QQQQ"), "{secret}");
    assert!(said(&[&file]).contains("not both"));
    std::fs::write(&path, "age1\nAGE-SECRET-KEY-1QQQQ\n").unwrap();
    let secret = said(&[&file]);
    assert!(secret.contains("keys.txt:1:1: this is no public key of age"), "{secret}");
    let secret = Keys::of(&[path], None).err().unwrap().to_string();
    assert!(secret.contains("is no identity file of age") && !secret.contains("QQQQ"), "{secret}");
}

#[test]
fn a_signature_is_minisigns_and_a_flipped_byte_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pair = minisign::KeyPair::generate_encrypted_keypair(Some("pw".into())).unwrap();
    std::fs::write(at("secret"), pair.sk.to_box(None).unwrap().to_bytes()).unwrap();
    std::fs::write(at("public"), pair.pk.to_box().unwrap().to_bytes()).unwrap();
    let bytes = write("b", &Seal::Open, &items("c", "She forgets."));
    std::fs::write(at("b"), &bytes).unwrap();

    let said = |password: Option<&Secret>| Signer::read(&at("secret"), password).err().unwrap().to_string();
    assert!(matches!(Signer::read(&at("secret"), None), Err(FormatError::Key { needs: Needs::SignPassword, .. })));
    assert!(said(Some(&Secret::of("pwd"))).contains("the password in WORD does not open"));
    let signer = Signer::read(&at("secret"), Some(&Secret::of("pw"))).unwrap();
    let bundle = || Bundle::open(&at("b")).unwrap();
    let key = || vec![signature::public_key(at("public").to_str().unwrap()).unwrap()];
    assert!(signature::verify(&bundle(), &key()).unwrap_err().to_string().contains("is not signed"));
    let id = signer.sign(File::open(at("b")).unwrap(), &at("b"), Timestamp(9_000)).unwrap();

    // By minisign itself.
    let text = std::fs::read_to_string(at("b.minisig")).unwrap();
    let signed = minisign::SignatureBox::from_string(&text).unwrap();
    assert_eq!(signed.trusted_comment().unwrap(), "timestamp:9\tfile:b\thashed");
    minisign::verify(&pair.pk, &signed, std::io::Cursor::new(&bytes), true, false, false).unwrap();
    // By its text and from its file.
    assert_eq!(signature::verify(&bundle(), &key()).unwrap(), id);
    let by_text = signature::public_key(&pair.pk.to_base64()).unwrap();
    assert_eq!(signature::verify(&bundle(), &[by_text]).unwrap(), id);
    assert!(pair.pk.to_box().unwrap().to_string().contains(&id));

    let stranger = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let refused = signature::verify(&bundle(), &[stranger.pk]).unwrap_err().to_string();
    assert!(refused.contains(&format!("signed by key {id}, not by")), "{refused}");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::write(at("b"), &flipped).unwrap();
    let refused = signature::verify(&bundle(), &key()).unwrap_err().to_string();
    assert!(refused.contains("the file is not the one that was signed"), "{refused}");
    std::fs::write(at("b"), &bytes).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for broken in [
        "".to_owned(),
        lines[..3].join("\n"),
        [lines[0], lines[1], lines[2], "AAAA"].join("\n"),
        text.replace("file:b", "file:c"),
    ] {
        std::fs::write(at("b.minisig"), &broken).unwrap();
        assert!(signature::verify(&bundle(), &key()).is_err(), "{broken}");
    }
    assert!(signature::public_key("RWx").is_err());
}

/// Who checks a file once and reads it twice would take in what was written between.
#[test]
fn a_file_that_is_written_to_after_it_was_opened_is_read_as_it_was_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b");
    let (long, other) = ("a".repeat(3 << 20), "b".repeat(3 << 20));
    let (good, swapped) = (plain(&items(&long, "She forgets.")), plain(&items(&other, "She forgets.")));
    assert_eq!(good.len(), swapped.len());
    std::fs::write(&path, &good).unwrap();
    let bundle = Bundle::open(&path).unwrap();
    let all = || {
        let mut text = Vec::new();
        bundle.start().unwrap().read_to_end(&mut text).map(|_| text)
    };
    assert_eq!(all().unwrap(), good.as_bytes());
    assert_eq!(bundle.digest(), hex::encode(Sha256::digest(&good)));
    let end = good.len() - 1;
    for changed in [&swapped, &good[..end], "", &format!("{}x", &good[..end]), &format!("{good}x")] {
        // In place: it is the same file, under the same name.
        std::fs::write(&path, changed).unwrap();
        let said = all().unwrap_err().to_string();
        assert!(said.contains("written to this file since"), "{said}");
        let read = bundle.read(&Keys::default()).and_then(|mut reader| {
            while reader.next()?.is_some() {}
            Ok(())
        });
        assert!(read.is_err());
        std::fs::write(&path, &good).unwrap();
        assert_eq!(all().unwrap(), good.as_bytes());
    }
    // Another file in its place changes nothing.
    std::fs::rename(&path, folder.path().join("c")).unwrap();
    std::fs::write(&path, &swapped).unwrap();
    assert_eq!(all().unwrap(), good.as_bytes());
}
