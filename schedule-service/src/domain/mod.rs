//! The rules, without SQL and without HTTP: a schedule and a command give the schedule after it,
//! and the difference of the two is what is stored and published.

pub mod change;
pub mod command;
pub mod event;
pub mod field_errors;
pub mod limits;
pub mod merge_patch;

pub use change::{Author, Change, ChangeData};
pub use field_errors::{FieldError, FieldErrors};
