//! mytls
fn main() {}
