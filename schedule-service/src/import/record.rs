//! One contractor of the file, read and checked.

use super::Format;
use super::lines::Lines;
use super::metered::Metered;
use super::table::Table;
use crate::domain::FieldErrors;
use crate::domain::command::NewContractor;

/// How many of a line's errors are told.
const ERRORS_TOLD: usize = 5;

/// One contractor of the file.
pub(super) struct Record {
    /// Where it begins: the number of the line, from 1.
    pub(super) line: u64,
    /// The contractor, or in words what is wrong with it.
    pub(super) contractor: Result<NewContractor, String>,
}

/// All contractors of a file, one after the other.
pub(super) enum Records {
    Ndjson(Lines),
    Csv(Table),
}

impl Records {
    /// Begins to read: a table's head line. Fails when the whole file cannot be read.
    pub(super) fn open(format: Format, source: Metered, longest: usize) -> anyhow::Result<Self> {
        Ok(match format {
            Format::Ndjson => Self::Ndjson(Lines::new(source, longest)),
            Format::Csv => Self::Csv(Table::open(source, longest)?),
        })
    }

    /// The next one; none at the end. Fails when it is not possible to read on.
    pub(super) fn next_record(&mut self) -> anyhow::Result<Option<Record>> {
        match self {
            Self::Ndjson(lines) => lines.next_record(),
            Self::Csv(table) => table.next_record(),
        }
    }
}

/// The first of the errors in one line of words. `place` says where a JSON pointer points to.
pub(super) fn in_words(errors: &FieldErrors, place: impl Fn(&str) -> String) -> String {
    let mut words: Vec<String> = errors
        .iter()
        .take(ERRORS_TOLD)
        .map(|error| match error.pointer.as_str() {
            "" => error.message.clone(),
            pointer => format!("{}: {}", place(pointer), error.message),
        })
        .collect();
    let more = errors.iter().count().saturating_sub(ERRORS_TOLD);
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    words.join("; ")
}
