//! Games whose course is known.
