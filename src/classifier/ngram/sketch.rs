//! Where texts lie among each other when there is no encoder: their n-gram features projected at random onto a few numbers.
//! Distances stay about what they were (Johnson and Lindenstrauss; signs as projections after Achlioptas, 2003).

use super::features::Features;

/// Numbers of a sketch.
const WIDTH: usize = 128;

/// Sketches of length 1, `[texts][128]`; all 0 for a text without an n-gram that another text has too.
pub fn sketch(texts: &[&str], seed: u64) -> Vec<Vec<f32>> {
    let (features, rows) = Features::learn(texts, 2);
    let hashes = features.hashes();
    let rows = rows.iter().map(|row| {
        let mut sums = vec![0.0f32; WIDTH];
        for (index, value) in row.indices.iter().zip(&row.values) {
            // The signs of an n-gram are bits of its hash, mixed with the seed.
            let start = hashes[*index as usize] ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            for (word, sums) in (1u64..).zip(sums.chunks_mut(64)) {
                let signs = mix(start.wrapping_add(word.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
                for (bit, sum) in sums.iter_mut().enumerate() {
                    *sum += if signs >> bit & 1 == 1 { *value } else { -value };
                }
            }
        }
        let length = sums.iter().map(|x| x * x).sum::<f32>().sqrt();
        sums.iter().map(|x| if length > 0.0 { x / length } else { 0.0 }).collect()
    });
    rows.collect()
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_survives() {
        let texts = [
            "She forgets names and dates.",
            "She forgets dates and names again.",
            "Knee pain on the stairs since May.",
            "Pain of the knee on stairs.",
            "",
        ];
        let sketches = sketch(&texts, 1);
        let cosine = |a: usize, b: usize| sketches[a].iter().zip(&sketches[b]).map(|(a, b)| a * b).sum::<f32>();
        assert!(cosine(0, 1) > 0.5 && cosine(2, 3) > 0.3, "{} {}", cosine(0, 1), cosine(2, 3));
        assert!(cosine(0, 2).abs() < 0.35 && cosine(1, 3).abs() < 0.35, "{} {}", cosine(0, 2), cosine(1, 3));
        assert!((cosine(0, 0) - 1.0).abs() < 1e-5);
        assert!(sketches[4].iter().all(|x| *x == 0.0));
        assert_eq!(sketches, sketch(&texts, 1));
        assert_ne!(sketches, sketch(&texts, 2));
    }
}
