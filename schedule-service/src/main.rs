//! The `schedule-service` program.

fn main() {}
