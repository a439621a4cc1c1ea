//! Arithmetic on slices of `f32`: matrix products, exponentials, dropout masks, sums in lanes.
//!
//! Loops are plain Rust; [`pulp`] compiles each of them for several instruction sets and picks one at run time, and `gemm`
//! does the same for products. Sums run in sixteen lanes, since a compiler may not reorder a float sum by itself. Nothing
//! here fuses a multiplication with an addition, so the loops give the same bits on every processor.

use std::sync::LazyLock;

use pulp::Arch;
use rayon::prelude::*;

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Runs a loop with the best instructions that this processor has.
#[inline]
pub(in crate::classifier) fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    ARCH.dispatch(work)
}

/// How many threads work on one pass, and the pool that they come from.
#[derive(Debug)]
pub struct Threads {
    pool: Option<rayon::ThreadPool>,
    count: usize,
}

impl Threads {
    /// A pool of so many threads; where the system gives none, the calling thread works alone.
    pub(crate) fn new(count: usize) -> Self {
        let pool = (count > 1).then(|| rayon::ThreadPoolBuilder::new().num_threads(count).build().ok()).flatten();
        Self { count: if pool.is_some() { count } else { 1 }, pool }
    }

    /// Runs a pass on the pool.
    pub(in crate::classifier) fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Runs `work` on blocks of whole rows of `data`, each with the number of its first row. Results do not depend on how
    /// many threads there are.
    pub(super) fn rows(&self, data: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
        if self.count == 1 {
            work(0, data);
            return;
        }
        let rows = data.len() / width.max(1);
        let block = rows.div_ceil(self.count * 2).max(1);
        data.par_chunks_mut(block * width).enumerate().for_each(|(i, chunk)| work(i * block, chunk));
    }

    /// The same over two arrays with as many rows.
    pub(super) fn row_pairs(
        &self,
        (a, a_width): (&mut [f32], usize),
        (b, b_width): (&mut [f32], usize),
        work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
    ) {
        if self.count == 1 {
            work(0, a, b);
            return;
        }
        let rows = a.len() / a_width.max(1);
        let block = rows.div_ceil(self.count * 2).max(1);
        let pairs = a.par_chunks_mut(block * a_width).zip(b.par_chunks_mut(block * b_width));
        pairs.enumerate().for_each(|(i, (a, b))| work(i * block, a, b));
    }
}

impl Threads {
    /// Runs `work` on the same parts of four arrays of one length.
    pub(in crate::classifier) fn chunks4(
        &self,
        a: &mut [f32],
        b: &mut [f32],
        c: &mut [f32],
        d: &mut [f32],
        work: impl Fn(&mut [f32], &mut [f32], &mut [f32], &mut [f32]) + Sync,
    ) {
        const PART: usize = 1 << 16;
        if self.count == 1 || a.len() <= PART {
            work(a, b, c, d);
            return;
        }
        let pairs = (a.par_chunks_mut(PART).zip(b.par_chunks_mut(PART))).zip(c.par_chunks_mut(PART));
        pairs.zip(d.par_chunks_mut(PART)).for_each(|(((a, b), c), d)| work(a, b, c, d));
    }

    /// As many as the system says that this process may run at once.
    pub fn available() -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }
}

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub(in crate::classifier) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows x columns`, one row after the other.
    pub(crate) fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// `rows x columns` with rows that begin `row_stride` apart.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows for columns.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn fits(&self, len: usize) -> bool {
        self.rows == 0
            || self.columns == 0
            || (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride < len
    }
}

/// `destination = scale * a * b`, or that added to it; its rows begin `row_stride` apart.
///
/// # Panics
/// Where shapes do not fit: that is a mistake in this program.
#[expect(unsafe_code, reason = "gemm takes pointers and strides; the assertions hold them inside their slices")]
pub(in crate::classifier) fn multiply(
    destination: (&mut [f32], usize),
    a: Matrix<'_>,
    b: Matrix<'_>,
    scale: f32,
    add: bool,
    threads: usize,
) {
    let (data, row_stride) = destination;
    let shape = Matrix { data: &[], rows: a.rows, columns: b.columns, row_stride, column_stride: 1 };
    assert!(a.columns == b.rows && a.fits(a.data.len()) && b.fits(b.data.len()) && shape.fits(data.len()));
    assert!(row_stride >= b.columns || a.rows <= 1, "rows of the destination overlap");
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    // SAFETY: the assertions above keep every element that the strides reach inside its slice, the destination is borrowed
    // alone, and its rows do not overlap.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            data.as_mut_ptr(),
            1,
            row_stride as isize,
            add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

const LANES: usize = 16;

#[inline(always)]
fn total(lanes: [f32; LANES]) -> f32 {
    let mut lanes = lanes;
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The sum of a slice.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    total(lanes) + rest.iter().sum::<f32>()
}

/// The sum of products.
#[inline(always)]
pub(in crate::classifier) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a_chunks, a_rest), (b_chunks, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    total(lanes) + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// The largest value.
#[inline(always)]
pub(super) fn largest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    let mut most = f32::NEG_INFINITY;
    for value in lanes {
        most = if value > most { value } else { most };
    }
    for value in rest {
        most = if *value > most { *value } else { most };
    }
    most
}

/// `e^x` to 2 units in the last place: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2] (the coefficients of Cephes' `expf`).
/// Below -87 it is 0 but for rounding; above 88 it stays at `e^88`.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let power = f32::from_bits(((n as i32 + 127) as u32) << 23);
    (p * r * r + r + 1.0) * power
}

/// GELU by the error function, `x Φ(x)`, and its derivative `Φ(x) + x φ(x)`. The error function is Abramowitz and Stegun
/// 7.1.26, whose error is below 1.5e-7.
#[inline(always)]
pub(super) fn gelu(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let e = exp(-z * z);
    let poly = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let half = 0.5 * poly * e;
    let cdf = if x < 0.0 { half } else { 1.0 - half };
    // 1 / sqrt(2 pi)
    (x * cdf, cdf + x * e * 0.398_942_3)
}

/// GELU by its tanh form, and its derivative.
#[inline(always)]
pub(super) fn gelu_tanh(x: f32) -> (f32, f32) {
    // sqrt(2 / pi)
    let inner = 0.797_884_6 * (x + 0.044_715 * x * x * x);
    let tanh = 1.0 - 2.0 / (exp(2.0 * inner) + 1.0);
    let slope = 0.797_884_6 * (1.0 + 3.0 * 0.044_715 * x * x);
    (0.5 * x * (1.0 + tanh), 0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * slope)
}

/// A softmax in place.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32]) {
    let most = largest(row);
    for value in row.iter_mut() {
        *value = exp(*value - most);
    }
    let scale = 1.0 / sum(row);
    for value in row.iter_mut() {
        *value *= scale;
    }
}

/// A row less its mean, over its deviation; returns one over the deviation.
#[inline(always)]
pub(super) fn normalise(row: &mut [f32], eps: f32) -> f32 {
    let mean = sum(row) / row.len() as f32;
    row.iter_mut().for_each(|value| *value -= mean);
    let scale = 1.0 / (dot(row, row) / row.len() as f32 + eps).sqrt();
    row.iter_mut().for_each(|value| *value *= scale);
    scale
}

/// In place, the gradient by a row from that by the same row normalised.
#[inline(always)]
pub(super) fn normalise_backward(grad: &mut [f32], normal: &[f32], scale: f32) {
    // Of n = (x - mean(x)) scale, which moves every x by mean and deviation too (Ba et al., 2016):
    // dx = scale (dn - mean(dn) - n mean(dn n)).
    let mean = sum(grad) / grad.len() as f32;
    let along = dot(grad, normal) / grad.len() as f32;
    for (grad, normal) in grad.iter_mut().zip(normal) {
        *grad = (*grad - mean - normal * along) * scale;
    }
}

/// Dropout whose masks are a pure function of seed, step, place and position, so that the backward pass draws the same masks
/// again instead of keeping them, and a run that was resumed draws the same as one that was not.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Of this step.
    key: u64,
    /// Which values are dropped: those whose draw is below.
    below: u32,
    /// What is left is scaled up by this.
    scale: f32,
}

impl Dropout {
    /// Masks for one step; `None` where nothing is dropped.
    pub(crate) fn new(seed: u64, step: u64, rate: f32) -> Option<Self> {
        let rate = rate.clamp(0.0, 0.95);
        (rate > 0.0).then(|| Self {
            key: splitmix64(seed ^ splitmix64(step.wrapping_add(0x9e37_79b9_7f4a_7c15))),
            below: (f64::from(rate) * f64::from(u32::MAX)) as u32,
            scale: 1.0 / (1.0 - rate),
        })
    }

    /// The same seed and step at another rate.
    pub(crate) fn at(self, rate: f32) -> Option<Self> {
        let rate = rate.clamp(0.0, 0.95);
        (rate > 0.0).then(|| Self {
            below: (f64::from(rate) * f64::from(u32::MAX)) as u32,
            scale: 1.0 / (1.0 - rate),
            ..self
        })
    }

    /// Multiplies a row by its mask. `place` names the layer and what is dropped there.
    #[inline(always)]
    pub(super) fn apply(&self, place: u32, row: usize, values: &mut [f32]) {
        let mask_seed = self.mask_seed(place, row);
        for (i, value) in values.iter_mut().enumerate() {
            *value *= self.factor(mask_seed, i as u32);
        }
    }

    /// What a row's masks are drawn from.
    #[inline(always)]
    pub(super) fn mask_seed(&self, place: u32, row: usize) -> u32 {
        splitmix64(self.key ^ (u64::from(place) << 40) ^ row as u64) as u32
    }

    /// 0 or the scale. The draw is Wellons' `lowbias32` of the mask's seed and the column.
    #[inline(always)]
    pub(super) fn factor(&self, mask_seed: u32, column: u32) -> f32 {
        let mut x = mask_seed.wrapping_add(column.wrapping_mul(0x9e37_79b9));
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        if x < self.below { 0.0 } else { self.scale }
    }
}

/// Steele, Lea and Flood's `splitmix64`.
fn splitmix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_and_gelu_are_those_of_double_precision() {
        let mut worst = (0.0f64, 0.0f64, 0.0f64);
        for i in -8_000..=8_000 {
            let x = i as f32 / 100.0;
            let relative = (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
            worst.0 = worst.0.max(relative);
        }
        // The error function by its series, in double precision.
        let erf = |x: f64| {
            let mut term = x;
            let mut all = x;
            for n in 1..200 {
                term *= -x * x / f64::from(n);
                all += term / f64::from(2 * n + 1);
            }
            all * 2.0 / std::f64::consts::PI.sqrt()
        };
        for i in -500..=500 {
            let x = i as f64 / 100.0;
            let cdf = 0.5 * (1.0 + erf(x / 2f64.sqrt()));
            let (value, slope) = gelu(x as f32);
            worst.1 = worst.1.max((f64::from(value) - x * cdf).abs());
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            worst.2 = worst.2.max((f64::from(slope) - (cdf + x * density)).abs());
        }
        assert!(worst.0 < 3e-7 && worst.1 < 2e-6 && worst.2 < 2e-6, "{worst:?}");
    }

    #[test]
    fn products_take_strides_and_threads() {
        let a: Vec<f32> = (0..6).map(|i| i as f32).collect();
        let b: Vec<f32> = (0..6).map(|i| (i * i) as f32).collect();
        let mut wide = vec![1.0; 8];
        // [2, 3] x [3, 2] into the first two columns of [2, 4].
        multiply((&mut wide, 4), Matrix::new(&a, 2, 3), Matrix::new(&b, 3, 2), 1.0, false, 1);
        assert_eq!(wide, [36.0, 59.0, 1.0, 1.0, 96.0, 164.0, 1.0, 1.0]);
        let mut square = vec![1.0; 9];
        multiply((&mut square, 3), Matrix::new(&a, 2, 3).transposed(), Matrix::new(&a, 2, 3), 0.5, true, 2);
        assert_eq!(square, [5.5, 7.0, 8.5, 7.0, 9.5, 12.0, 8.5, 12.0, 15.5]);
    }

    #[test]
    fn dropout_drops_its_share_repeats_itself_and_keeps_the_mean() {
        let dropout = Dropout::new(7, 3, 0.1).unwrap();
        let mut values = vec![1.0; 200_000];
        for (row, values) in values.chunks_mut(1_000).enumerate() {
            dropout.apply(5, row, values);
        }
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64;
        assert!((dropped - 0.1).abs() < 0.005, "{dropped}");
        assert!((f64::from(sum(&values)) / values.len() as f64 - 1.0).abs() < 0.01);
        let draw = |dropout: Dropout, place, row| {
            let mut values = vec![1.0; 64];
            dropout.apply(place, row, &mut values);
            values
        };
        assert_eq!(draw(dropout, 5, 9), draw(Dropout::new(7, 3, 0.1).unwrap(), 5, 9));
        for other in [draw(Dropout::new(8, 3, 0.1).unwrap(), 5, 9), draw(dropout, 6, 9), draw(dropout, 5, 10)] {
            assert_ne!(draw(dropout, 5, 9), other);
        }
        assert!(Dropout::new(1, 1, 0.0).is_none());
    }
}
