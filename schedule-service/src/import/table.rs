//! CSV: a head line, and one contractor a row.

use anyhow::{Context, ensure};
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};
use serde_json::{Map, Value};

use super::compact;
use super::metered::Metered;
use super::record::{Record, in_words};
use crate::domain::command::NewContractor;
use crate::request::{NewContractorBody, from_value};

/// What the reader may take in beyond a row: its own buffer.
const READ_AHEAD: usize = 8 << 10;

/// A column of the table.
#[derive(Debug, Clone, Copy)]
enum Column {
    /// The text as it is.
    Text(&'static str),
    /// A list parted by `;`.
    List(&'static str),
    /// A compact notation.
    Compact(&'static str, fn(&str) -> Result<Value, String>),
    /// A number of `bookingRules`.
    Rule(&'static str),
}

const COLUMNS: [Column; 13] = [
    Column::Text("contractorId"),
    Column::Text("name"),
    Column::Text("territory"),
    Column::List("skills"),
    Column::Text("status"),
    Column::Text("timeZone"),
    Column::Compact("workingHours", compact::working_hours),
    Column::Compact("dateOverrides", compact::date_overrides),
    Column::Compact("timeOff", compact::time_off),
    Column::Rule("slotIntervalMinutes"),
    Column::Rule("minNoticeMinutes"),
    Column::Rule("bufferBeforeMinutes"),
    Column::Rule("bufferAfterMinutes"),
];

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::List(name) | Self::Compact(name, _) | Self::Rule(name) => name,
        }
    }

    /// Puts a cell that is not empty into the body.
    fn put(self, cell: &str, body: &mut Map<String, Value>) -> Result<(), String> {
        let value = match self {
            Self::Text(_) => Value::from(cell),
            Self::List(_) => compact::list(cell),
            Self::Compact(_, read) => read(cell)?,
            Self::Rule(name) => {
                let number = cell
                    .parse()
                    .map_or_else(|_| Value::from(cell), |n: u32| n.into());
                let rules = body
                    .entry("bookingRules")
                    .or_insert_with(|| Map::new().into());
                if let Value::Object(rules) = rules {
                    rules.insert(name.to_owned(), number);
                }
                return Ok(());
            }
        };
        body.insert(self.name().to_owned(), value);
        Ok(())
    }
}

/// The rows of a file.
pub(super) struct Table {
    source: Reader<Metered>,
    columns: Vec<Column>,
    longest: usize,
    row: StringRecord,
}

impl Table {
    /// Reads the head line. Fails when it names a column that there is not, or one twice.
    pub(super) fn open(source: Metered, longest: usize) -> anyhow::Result<Self> {
        let mut source = ReaderBuilder::new()
            .buffer_capacity(READ_AHEAD)
            .trim(Trim::All)
            .from_reader(source);
        source.get_mut().allow(longest + READ_AHEAD);
        let head = source.headers().context("cannot read the head line")?;
        let columns = head
            .iter()
            .map(|name| {
                COLUMNS
                    .into_iter()
                    .find(|column| column.name() == name)
                    .with_context(|| {
                        let known: Vec<_> = COLUMNS.iter().map(|column| column.name()).collect();
                        format!(
                            "there is no column {name:?}; there are: {}",
                            known.join(", ")
                        )
                    })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for (index, column) in columns.iter().enumerate() {
            let again = columns[..index]
                .iter()
                .any(|earlier| earlier.name() == column.name());
            ensure!(!again, "the column {} is there twice", column.name());
        }
        Ok(Self {
            source,
            columns,
            longest,
            row: StringRecord::new(),
        })
    }

    /// The next row.
    pub(super) fn next_record(&mut self) -> anyhow::Result<Option<Record>> {
        let begun_at = self.source.position().line();
        self.source.get_mut().allow(self.longest + READ_AHEAD);
        match self.source.read_record(&mut self.row) {
            Ok(false) => Ok(None),
            Ok(true) => {
                let line = self.row.position().map_or(begun_at, csv::Position::line);
                let contractor = read_contractor(&self.columns, &self.row);
                Ok(Some(Record { line, contractor }))
            }
            Err(error) => {
                let line = error.position().map_or(begun_at, csv::Position::line);
                let reason = match error.kind() {
                    ErrorKind::UnequalLengths {
                        expected_len, len, ..
                    } => {
                        format!("has {len} cells where the head line has {expected_len}")
                    }
                    ErrorKind::Utf8 { .. } => "is not UTF-8".to_owned(),
                    _ => {
                        let longest = self.longest;
                        return Err(error).with_context(|| {
                            format!(
                                "cannot read on at line {line} (a row has up to {longest} bytes: \
                                 is a quote left open?)"
                            )
                        });
                    }
                };
                Ok(Some(Record {
                    line,
                    contractor: Err(reason),
                }))
            }
        }
    }
}

fn read_contractor(columns: &[Column], row: &StringRecord) -> Result<NewContractor, String> {
    let mut body = Map::new();
    for (column, cell) in columns.iter().zip(row) {
        if !cell.is_empty() {
            column
                .put(cell, &mut body)
                .map_err(|reason| format!("column {}: {reason}", column.name()))?;
        }
    }
    let body: NewContractorBody =
        from_value(&Value::Object(body)).map_err(|errors| in_words(&errors, column_of))?;
    body.into_contractor()
        .map_err(|errors| in_words(&errors, column_of))
}

/// Which column a JSON pointer into the body is about, and where in it.
fn column_of(pointer: &str) -> String {
    let mut parts = pointer.split('/').skip(1).peekable();
    let _ = parts.next_if_eq(&"bookingRules");
    let column = parts.next().unwrap_or_default();
    match parts.next().and_then(|index| index.parse::<usize>().ok()) {
        Some(index) => format!("column {column}, entry {}", index + 1),
        None => format!("column {column}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str, longest: usize) -> anyhow::Result<Table> {
        let source = std::io::Cursor::new(text.to_owned().into_bytes());
        Table::open(
            Metered::new(Box::new(source), std::sync::Arc::default()),
            longest,
        )
    }

    fn read(text: &str) -> Vec<(u64, Result<NewContractor, String>)> {
        let mut table = open(text, 1000).unwrap();
        let mut read = Vec::new();
        while let Some(record) = table.next_record().unwrap() {
            read.push((record.line, record.contractor));
        }
        read
    }

    #[test]
    fn a_row_with_every_column_is_the_body_that_it_says() {
        let read = read(
            "\u{feff}contractorId,name,territory,skills,status,timeZone,workingHours,dateOverrides,\
             timeOff,slotIntervalMinutes,minNoticeMinutes,bufferBeforeMinutes,bufferAfterMinutes\n\
             018f8a5e-3c1a-7000-8000-000000000001,\"Byron, Ada\",london-north,gas; boiler,onLeave,\
             Europe/London,MO-FR 08:00-12:00;SA 09:00-13:00,2026-12-25 off,\
             2026-12-28T00:00:00Z/2026-12-30T00:00:00Z,15,60,0,45\n",
        );
        let body = r#"{"contractorId":"018f8a5e-3c1a-7000-8000-000000000001","name":"Byron, Ada",
            "territory":"london-north","skills":["gas","boiler"],"status":"onLeave",
            "timeZone":"Europe/London","workingHours":[
              {"days":["MO","TU","WE","TH","FR"],"start":"08:00","end":"12:00"},
              {"days":["SA"],"start":"09:00","end":"13:00"}],
            "dateOverrides":[{"date":"2026-12-25","windows":[]}],
            "timeOff":[{"start":"2026-12-28T00:00:00Z","end":"2026-12-30T00:00:00Z"}],
            "bookingRules":{"slotIntervalMinutes":15,"minNoticeMinutes":60,
              "bufferBeforeMinutes":0,"bufferAfterMinutes":45}}"#;
        let body: NewContractorBody = crate::request::from_slice(body.as_bytes()).unwrap();
        assert_eq!(read, [(2, Ok(body.into_contractor().unwrap()))]);
    }

    #[test]
    fn an_empty_cell_means_the_default() {
        let read = read(
            "name,territory,timeZone,workingHours,skills,slotIntervalMinutes\n\
             Ada,london,Europe/London,,,\n",
        );
        let body = r#"{"name":"Ada","territory":"london","timeZone":"Europe/London"}"#;
        let body: NewContractorBody = crate::request::from_slice(body.as_bytes()).unwrap();
        assert_eq!(read, [(2, Ok(body.into_contractor().unwrap()))]);
    }

    #[test]
    fn a_bad_row_is_told_by_its_line_and_column_and_the_next_is_read() {
        let read = read(
            "name,territory,timeZone,workingHours,slotIntervalMinutes\n\
             \"A\nB\",london,Europe/London,,\n\
             Ada,london,Nowhere,,\n\
             Ada,london,Europe/London,MO 08:00,\n\
             Ada,london,Europe/London,MO 08:00-25:00,\n\
             Ada,london,Europe/London,,often\n\
             Ada,london\n\
             Ada,,Europe/London,,\n\
             Ada,london,Europe/London,,\n",
        );
        let told: Vec<_> = read
            .iter()
            .map(|(line, read)| (*line, read.as_ref().err().map_or("", String::as_str)))
            .collect();
        for ((line, told), (expected_line, beginning)) in told.into_iter().zip([
            (2, "column name: "),
            (4, "column timeZone: "),
            (5, "column workingHours: \"08:00\" is not a window"),
            (6, "column workingHours, entry 1: "),
            (7, "column slotIntervalMinutes: "),
            (8, "has 2 cells where the head line has 5"),
            (9, "column territory: must be given"),
            (10, ""),
        ]) {
            assert_eq!(line, expected_line);
            assert!(told.starts_with(beginning), "line {line}: {told}");
        }
        assert!(read.last().unwrap().1.is_ok());
    }

    #[test]
    fn a_head_line_with_an_unknown_or_a_repeated_column_is_refused() {
        let refused = |text| {
            open(text, 1000)
                .err()
                .map(|error| error.to_string())
                .unwrap()
        };
        assert!(refused("name,nickname\n").contains("no column \"nickname\""));
        assert!(refused("name,name\n").contains("there twice"));
    }

    #[test]
    fn a_quote_that_is_left_open_does_not_read_the_whole_file() {
        let text = format!("name,territory,timeZone\n\"Ada,{}", "x".repeat(1 << 20));
        let error = open(&text, 100).unwrap().next_record().err().unwrap();
        assert!(
            format!("{error:#}").contains("is a quote left open?"),
            "{error:#}"
        );
    }
}
