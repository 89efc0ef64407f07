//! The compact notations of a CSV cell, turned into the JSON that `POST /v1/contractors` takes.
//!
//! - working hours: `MO-FR 08:00-12:00,13:00-17:00; SA 09:00-13:00`, or `none`
//! - date overrides: `2026-12-24 08:00-12:00; 2026-12-25 off`
//! - time off: `2026-12-28T00:00:00Z/2026-12-30T00:00:00Z; …`
//!
//! Only the shape is read here. Whether a time, a date or an instant is acceptable is said by the
//! parser of the HTTP route, which reads the result.

use serde_json::{Value, json};

/// The days in the order of the week, as ranges run.
const DAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/// Reads weekly working hours: entries parted by `;`, each days, a space, windows. Days are names
/// and ranges parted by `,`, and a range may run past Sunday. `none` means no working hours.
pub(super) fn working_hours(cell: &str) -> Result<Value, String> {
    if cell.eq_ignore_ascii_case("none") {
        return Ok(json!([]));
    }
    let mut hours = Vec::new();
    for entry in entries(cell) {
        let (day_names, windows) = two_parts(entry, "MO-FR 08:00-17:00")?;
        let days = days(day_names)?;
        for (start, end) in windows_of(windows)? {
            hours.push(json!({ "days": days, "start": start, "end": end }));
        }
    }
    Ok(Value::Array(hours))
}

/// Reads date overrides: entries parted by `;`, each a date, a space, and windows or `off`.
pub(super) fn date_overrides(cell: &str) -> Result<Value, String> {
    let mut overrides = Vec::new();
    for entry in entries(cell) {
        let (date, windows) = two_parts(entry, "2026-12-24 08:00-12:00 or 2026-12-25 off")?;
        let windows = if windows.eq_ignore_ascii_case("off") {
            Vec::new()
        } else {
            windows_of(windows)?
        };
        let windows: Vec<Value> = windows
            .into_iter()
            .map(|(start, end)| json!({ "start": start, "end": end }))
            .collect();
        overrides.push(json!({ "date": date, "windows": windows }));
    }
    Ok(Value::Array(overrides))
}

/// Reads time off: entries parted by `;`, each `start/end`, both RFC 3339.
pub(super) fn time_off(cell: &str) -> Result<Value, String> {
    let mut blocks = Vec::new();
    for entry in entries(cell) {
        let (start, end) = entry.split_once('/').ok_or_else(|| {
            format!("{entry:?} is not of the form 2026-12-28T00:00:00Z/2026-12-30T00:00:00Z")
        })?;
        blocks.push(json!({ "start": start.trim(), "end": end.trim() }));
    }
    Ok(Value::Array(blocks))
}

/// Reads a list parted by `;`.
pub(super) fn list(cell: &str) -> Value {
    entries(cell).collect()
}

fn entries(cell: &str) -> impl Iterator<Item = &str> {
    cell.split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
}

fn two_parts<'a>(entry: &'a str, example: &str) -> Result<(&'a str, &'a str), String> {
    let (first, second) = entry
        .split_once(char::is_whitespace)
        .ok_or_else(|| format!("{entry:?} is not of the form {example}"))?;
    Ok((first, second.trim()))
}

fn days(names: &str) -> Result<Vec<&'static str>, String> {
    let index = |name: &str| {
        DAYS.iter()
            .position(|day| day.eq_ignore_ascii_case(name.trim()))
            .ok_or_else(|| {
                format!("{name:?} is not a day of the week; they are MO TU WE TH FR SA SU")
            })
    };
    let mut days = Vec::new();
    for item in names.split(',') {
        let (first, last) = match item.split_once('-') {
            Some((first, last)) => (index(first)?, index(last)?),
            None => (index(item)?, index(item)?),
        };
        let length = (last + DAYS.len() - first) % DAYS.len() + 1;
        days.extend(DAYS.iter().cycle().skip(first).take(length));
    }
    Ok(days)
}

fn windows_of(windows: &str) -> Result<Vec<(&str, &str)>, String> {
    windows
        .split(',')
        .map(|window| {
            window
                .split_once('-')
                .map(|(start, end)| (start.trim(), end.trim()))
                .ok_or_else(|| format!("{window:?} is not a window of the form 08:00-17:00"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_hours_read_days_ranges_lists_and_several_windows() {
        assert_eq!(
            working_hours("MO-WE 08:00-12:00, 13:00-17:00; sa,SU 22:00-06:00;").unwrap(),
            json!([
                {"days": ["MO", "TU", "WE"], "start": "08:00", "end": "12:00"},
                {"days": ["MO", "TU", "WE"], "start": "13:00", "end": "17:00"},
                {"days": ["SA", "SU"], "start": "22:00", "end": "06:00"},
            ])
        );
    }

    #[test]
    fn a_range_of_days_may_run_past_sunday() {
        assert_eq!(days("SA-MO").unwrap(), ["SA", "SU", "MO"]);
        assert_eq!(days("MO-SU").unwrap(), DAYS);
        assert_eq!(days("WE-WE").unwrap(), ["WE"]);
    }

    #[test]
    fn none_means_no_working_hours() {
        assert_eq!(working_hours("none").unwrap(), json!([]));
    }

    #[test]
    fn what_is_not_of_the_form_is_told_with_an_example() {
        for (cell, word) in [
            ("MO-FR", "not of the form"),
            ("XX 08:00-17:00", "not a day of the week"),
            ("MO- 08:00-17:00", "not a day of the week"),
            ("MO 08:00", "not a window"),
        ] {
            let error = working_hours(cell).unwrap_err();
            assert!(error.contains(word), "{cell}: {error}");
        }
        assert!(
            date_overrides("2026-12-24")
                .unwrap_err()
                .contains("2026-12-25 off")
        );
        assert!(
            time_off("2026-12-24T00:00:00Z")
                .unwrap_err()
                .contains("not of the form")
        );
    }

    #[test]
    fn date_overrides_read_windows_and_days_off() {
        assert_eq!(
            date_overrides("2026-12-24 08:00-12:00; 2026-12-25 off").unwrap(),
            json!([
                {"date": "2026-12-24", "windows": [{"start": "08:00", "end": "12:00"}]},
                {"date": "2026-12-25", "windows": []},
            ])
        );
    }

    #[test]
    fn time_off_reads_pairs_of_instants() {
        assert_eq!(
            time_off("2026-12-28T00:00:00Z / 2026-12-30T00:00:00+01:00").unwrap(),
            json!([{"start": "2026-12-28T00:00:00Z", "end": "2026-12-30T00:00:00+01:00"}])
        );
    }

    #[test]
    fn a_list_drops_what_is_empty() {
        assert_eq!(list(" gas ; boiler ;; "), json!(["gas", "boiler"]));
        assert_eq!(list(""), json!([]));
    }
}
