//! The bounds on single values, each checked here and nowhere else.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use shared_events::schedule::{LocalTime, MAX_SLUG_CHARS, is_slug};

use super::json::pointer_to;
use crate::domain::FieldErrors;
use crate::domain::limits::{MAX_BUFFER_MINUTES, MAX_TEXT_CHARS, YEARS};

/// A text for people: 1 to 200 characters, none of them a control character, not only blanks.
pub(super) fn text(errors: &mut FieldErrors, pointer: &str, text: &str) {
    let count = text.chars().count();
    errors.require((1..=MAX_TEXT_CHARS).contains(&count), pointer, || {
        format!("must have 1 to {MAX_TEXT_CHARS} characters, has {count}")
    });
    errors.require(!text.chars().any(char::is_control), pointer, || {
        "must not hold control characters".to_owned()
    });
    errors.require(count == 0 || !text.trim().is_empty(), pointer, || {
        "must not be blank".to_owned()
    });
}

/// A slug: `[a-z0-9-]{1,64}`.
pub(super) fn slug(errors: &mut FieldErrors, pointer: &str, slug: &str) {
    errors.require(is_slug(slug), pointer, || {
        format!("must be 1 to {MAX_SLUG_CHARS} of the characters a-z, 0-9 and -")
    });
}

/// An interval: its end is after its start, by at most `most` minutes, which `limit` says in words.
pub(super) fn interval(
    errors: &mut FieldErrors,
    base: &str,
    (start, end): (&str, &str),
    (most, limit): (i64, &str),
) -> (DateTime<Utc>, DateTime<Utc>) {
    let end_pointer = pointer_to(base, "end");
    let start = instant(errors, &pointer_to(base, "start"), start);
    let end = instant(errors, &end_pointer, end);
    // What could not be read has been told already.
    if let (Some(start), Some(end)) = (start, end) {
        let minutes = (end - start).num_minutes();
        errors.require((1..=most).contains(&minutes), &end_pointer, || {
            format!("must be after start, by at most {limit}")
        });
    }
    (start.unwrap_or_default(), end.unwrap_or_default())
}

/// An instant: RFC 3339 with any offset, a whole minute, in the years 2000 to 2100.
fn instant(errors: &mut FieldErrors, pointer: &str, text: &str) -> Option<DateTime<Utc>> {
    let Ok(instant) = DateTime::parse_from_rfc3339(text) else {
        errors.add(
            pointer,
            "must be an RFC 3339 instant with its offset: 2026-12-01T09:00:00Z",
        );
        return None;
    };
    let instant = instant.to_utc();
    let whole = instant.timestamp() % 60 == 0 && instant.timestamp_subsec_nanos() == 0;
    errors.require(whole, pointer, || "must be a whole minute".to_owned());
    errors.require(YEARS.contains(&instant.year()), pointer, || {
        format!("must lie in the years {} to {}", YEARS.start(), YEARS.end())
    });
    Some(instant)
}

/// A calendar day, `YYYY-MM-DD` and nothing else, in the years 2000 to 2100.
pub(super) fn date(text: &str) -> Result<NaiveDate, String> {
    let digits = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let parsed = (digits && text.len() == 10)
        .then(|| text.parse::<NaiveDate>().ok())
        .flatten()
        .ok_or("must be a day of the calendar: 2026-12-24")?;
    if YEARS.contains(&parsed.year()) {
        Ok(parsed)
    } else {
        Err(format!(
            "must lie in the years {} to {}",
            YEARS.start(),
            YEARS.end()
        ))
    }
}

/// Where a local window may start: not at 24:00, which is an end.
pub(super) fn window_start(errors: &mut FieldErrors, pointer: &str, start: LocalTime) {
    errors.require(start != LocalTime::END_OF_DAY, pointer, || {
        "24:00 can only be an end; a window may start at 00:00 of the next day".to_owned()
    });
}

/// A buffer: up to a day.
pub(super) fn buffer(errors: &mut FieldErrors, pointer: &str, minutes: u32) {
    at_most(errors, pointer, minutes, 0, MAX_BUFFER_MINUTES);
}

/// A number of minutes between two bounds.
pub(super) fn at_most(
    errors: &mut FieldErrors,
    pointer: &str,
    minutes: u32,
    least: u32,
    most: u32,
) {
    errors.require((least..=most).contains(&minutes), pointer, || {
        format!("must be {least} to {most} minutes, is {minutes}")
    });
}

/// A list: up to so many entries.
pub(super) fn count(errors: &mut FieldErrors, pointer: &str, count: usize, most: usize) {
    errors.require(count <= most, pointer, || {
        format!("must have at most {most} entries, has {count}")
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_ten_characters_of_the_calendar() {
        assert!(date("2026-12-24").is_ok() && date("2028-02-29").is_ok());
        for bad in [
            "2026-2-03",
            "2027-02-29",
            "1999-12-31",
            "2101-01-01",
            "+2026-1-1",
            "",
            "today",
        ] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_instant_is_a_whole_minute_at_any_offset() {
        let read = |text: &str| {
            let mut errors = FieldErrors::default();
            let instant = instant(&mut errors, "/start", text);
            errors.into_result(()).ok().and(instant)
        };
        let nine = DateTime::from_timestamp(1_796_115_600, 0);
        assert_eq!(read("2026-12-01T09:00:00Z"), nine);
        assert_eq!(read("2026-12-01T14:45:00.000+05:45"), nine);
        for bad in [
            "2026-12-01T09:00:01Z",
            "2026-12-01T09:00:00.5Z",
            "2016-12-31T23:59:60Z",
            "2026-12-01T09:00:00",
            "2026-12-01",
            "1999-12-31T23:59:00Z",
            "2101-01-01T00:00:00Z",
            "soon",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_text_is_counted_in_characters() {
        let read = |value: &str| {
            let mut errors = FieldErrors::default();
            text(&mut errors, "/name", value);
            errors.into_result(()).is_ok()
        };
        assert!(read(&"ß".repeat(200)) && !read(&"ß".repeat(201)));
        assert!(!read("") && !read("  ") && !read("a\nb") && !read("a\u{85}b"));
    }
}
