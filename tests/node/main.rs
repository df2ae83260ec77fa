//! The real thing.
fn main() {}
