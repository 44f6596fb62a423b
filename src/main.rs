//! The `locum` program.
fn main() {}
