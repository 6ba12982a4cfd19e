//! The `natsd` command.

fn main() {}
