//! Whole-screen tests.
