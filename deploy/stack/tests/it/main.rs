//! The stack against real servers.

mod testbed;
