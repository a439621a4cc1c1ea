//! Every estimator and test, each once, with its formula and its source.
//!
//! Nothing here knows sentences, experts or categories: counts and values in, numbers out. What is undefined (0/0) is `None`.

pub(crate) mod agreement;
mod bootstrap;
mod calibration;
mod distribution;
mod divergence;
mod estimate;
mod significance;

pub use bootstrap::Bootstrap;
pub(in crate::domain) use bootstrap::{Clusters, MAX_CLUSTERS, Resamples, percentiles, weighted_sum};
pub use calibration::expected_calibration_error;
pub use divergence::{jensen_shannon, kolmogorov_smirnov};
pub use estimate::{Estimate, Proportion, SampleMean};
pub(in crate::domain) use estimate::{mean, sum_of_squares};
pub(in crate::domain) use significance::bootstrap_p;
pub(crate) use significance::{LEVEL, McNemar, holm, least_p};
