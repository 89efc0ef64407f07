//! Which dead letters are meant.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use uuid::Uuid;

use super::letter::Letter;

/// All that are given must hold.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Whose reason contains this text
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,

    /// About this contractor
    #[arg(long, value_name = "ID")]
    pub contractor: Option<Uuid>,

    /// With this message id
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,

    /// That were tried so often at least
    #[arg(long, value_name = "N")]
    pub min_attempts: Option<u32>,

    /// Whose event is so old at least, such as 90s, 15m, 2h or 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub older_than: Option<TimeDelta>,

    /// Whose event is younger than that
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub younger_than: Option<TimeDelta>,
}

impl Filter {
    /// Whether it lets everything through.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Self {
            reason,
            contractor,
            message_id,
            min_attempts,
            older_than,
            younger_than,
        } = self;
        reason.is_none()
            && contractor.is_none()
            && message_id.is_none()
            && min_attempts.is_none()
            && older_than.is_none()
            && younger_than.is_none()
    }

    pub(super) fn admits(&self, letter: &Letter, now: DateTime<Utc>) -> bool {
        // One that does not say when it was is of no age.
        let age = letter.time.map(|time| now - time);
        self.reason
            .as_ref()
            .is_none_or(|r| letter.reason.contains(r))
            && self
                .contractor
                .is_none_or(|id| letter.contractor == Some(id))
            && self
                .message_id
                .as_ref()
                .is_none_or(|id| *id == letter.message_id)
            && self.min_attempts.is_none_or(|n| letter.attempts >= n)
            && self
                .older_than
                .is_none_or(|least| age.is_some_and(|age| age >= least))
            && self
                .younger_than
                .is_none_or(|most| age.is_some_and(|age| age < most))
    }
}

fn parse_age(text: &str) -> Result<TimeDelta, String> {
    let wrong = || "not an age such as 90s, 15m, 2h or 7d".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).ok_or_else(wrong)?;
    let number: i64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds >= 0)
        .and_then(TimeDelta::try_seconds)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_a_number_and_a_unit() {
        let seconds = ["90s", "15m", "2h", "7d"].map(|text| parse_age(text).unwrap().num_seconds());
        assert_eq!(seconds, [90, 900, 7_200, 604_800]);
        for wrong in [
            "",
            "s",
            "5",
            "-5s",
            "5 s",
            "1w",
            "9223372036854775807d",
            "5\u{e9}",
        ] {
            assert!(parse_age(wrong).is_err(), "{wrong}");
        }
    }
}
