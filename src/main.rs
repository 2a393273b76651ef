//! imwarden
fn main() {}
