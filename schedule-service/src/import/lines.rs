//! NDJSON: one body of `POST /v1/contractors` a line.

use std::io::{BufRead, BufReader, Read};

use anyhow::Context;

use super::metered::Metered;
use super::record::{Record, in_words};
use crate::domain::command::NewContractor;
use crate::request::{BodyError, NewContractorBody, from_slice};

/// What some programs write before the first byte of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file. Empty ones are passed over.
pub(super) struct Lines {
    source: BufReader<Metered>,
    longest: usize,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// Reads lines of up to `longest` bytes.
    pub(super) fn new(source: Metered, longest: usize) -> Self {
        Self {
            source: BufReader::new(source),
            longest,
            line: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line that is not empty.
    pub(super) fn next_record(&mut self) -> anyhow::Result<Option<Record>> {
        while self
            .read_line()
            .with_context(|| format!("cannot read line {}", self.line + 1))?
        {
            self.line += 1;
            let mut text = self.buffer.as_slice();
            if self.line == 1 {
                text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
            }
            let text = text.trim_ascii();
            if !text.is_empty() {
                let contractor = if self.buffer.len() > self.longest {
                    Err(format!("is longer than {} bytes", self.longest))
                } else {
                    read_contractor(text)
                };
                return Ok(Some(Record {
                    line: self.line,
                    contractor,
                }));
            }
        }
        Ok(None)
    }

    /// Puts the next line into the buffer: of one that is too long, one byte more than it may have.
    /// Says whether there was one.
    fn read_line(&mut self) -> std::io::Result<bool> {
        self.buffer.clear();
        let most = u64::try_from(self.longest)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        self.source
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut self.buffer)?;
        if self.buffer.len() > self.longest && !self.buffer.ends_with(b"\n") {
            self.source.skip_until(b'\n')?;
        }
        if self.buffer.ends_with(b"\n") {
            self.buffer.pop();
            return Ok(true);
        }
        Ok(!self.buffer.is_empty())
    }
}

fn read_contractor(text: &[u8]) -> Result<NewContractor, String> {
    let pointer = str::to_owned;
    let body: NewContractorBody = from_slice(text).map_err(|error| match error {
        BodyError::Malformed(reason) => format!("is not JSON: {reason}"),
        BodyError::Invalid(errors) => in_words(&errors, pointer),
    })?;
    body.into_contractor()
        .map_err(|errors| in_words(&errors, pointer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, longest: usize) -> Vec<(u64, Result<String, String>)> {
        let source = std::io::Cursor::new(text.to_owned().into_bytes());
        let mut lines = Lines::new(
            Metered::new(Box::new(source), std::sync::Arc::default()),
            longest,
        );
        let mut read = Vec::new();
        while let Some(record) = lines.next_record().unwrap() {
            read.push((
                record.line,
                record.contractor.map(|contractor| contractor.profile.name),
            ));
        }
        read
    }

    const ADA: &str = r#"{"name":"Ada","territory":"london","timeZone":"Europe/London"}"#;

    #[test]
    fn each_line_is_a_contractor_and_empty_lines_only_count() {
        let text = format!("\u{feff}{ADA}\r\n\n  \n{ADA}");
        assert_eq!(
            read(&text, 1000),
            [(1, Ok("Ada".into())), (4, Ok("Ada".into()))]
        );
        assert_eq!(read("", 1000), []);
    }

    #[test]
    fn a_bad_line_is_told_with_its_pointer_and_the_next_is_read() {
        let bad = ADA.replace("Ada", "");
        let read = read(&format!("{bad}\n{{\n[]\n{ADA}\n"), 1000);
        let told: Vec<_> = read
            .iter()
            .map(|(line, read)| (*line, read.as_ref().err()))
            .collect();
        assert!(told[0].1.unwrap().starts_with("/name: "), "{told:?}");
        assert!(told[1].1.unwrap().starts_with("is not JSON: "), "{told:?}");
        assert!(told[2].1.is_some(), "{told:?}");
        assert_eq!(told[3], (4, None));
    }

    #[test]
    fn a_line_that_is_too_long_is_told_and_not_kept() {
        let long = format!("{{\"name\":\"{}\"}}", "x".repeat(10_000));
        let read = read(&format!("{long}\n{ADA}\n{long}"), 100);
        assert_eq!(
            read,
            [
                (1, Err("is longer than 100 bytes".to_owned())),
                (2, Ok("Ada".to_owned())),
                (3, Err("is longer than 100 bytes".to_owned())),
            ]
        );
    }

    #[test]
    fn a_line_of_exactly_the_longest_length_is_read() {
        assert_eq!(read(&format!("{ADA}\n{ADA}"), ADA.len()).len(), 2);
        assert!(
            read(&format!("{ADA}\n{ADA}"), ADA.len())
                .iter()
                .all(|(_, read)| read.is_ok())
        );
    }
}
