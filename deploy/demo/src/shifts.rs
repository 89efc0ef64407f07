//! The patterns in which people work.

use rand::RngExt;
use rand::seq::IndexedRandom;
use shared_events::schedule::{LocalTime, LocalWindow, Weekday, WorkingHours};

use Weekday::{Fr, Mo, Sa, Su, Th, Tu, We};

/// A weekly pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// From early morning to early afternoon.
    Early,
    /// The usual day.
    Day,
    /// From midday into the evening.
    Late,
    /// Over midnight, Sunday evening to Friday morning.
    Night,
    /// Long days from Friday to Sunday.
    Weekend,
    /// Four long days, then three off, beginning on any day.
    FourOn,
    /// Mornings and evenings with the afternoon off.
    Split,
    /// Three short days.
    PartTime,
    /// On call at any time.
    Standby,
}

/// The patterns with how many of a hundred people work in them.
pub const MIX: [(Shift, u8); 9] = [
    (Shift::Early, 14),
    (Shift::Day, 40),
    (Shift::Late, 11),
    (Shift::Night, 7),
    (Shift::Weekend, 6),
    (Shift::FourOn, 9),
    (Shift::Split, 6),
    (Shift::PartTime, 5),
    (Shift::Standby, 2),
];

const WEEK: [Weekday; 7] = [Mo, Tu, We, Th, Fr, Sa, Su];

/// A pattern by the weights of [`MIX`].
pub fn draw(rng: &mut impl RngExt) -> Shift {
    MIX.choose_weighted(rng, |(_, weight)| *weight)
        .map_or(Shift::Day, |(shift, _)| *shift)
}

impl Shift {
    /// Weekly hours in this pattern: one of its usual variants.
    pub fn draw_hours(self, rng: &mut impl RngExt, six_day_week: bool) -> Vec<WorkingHours> {
        let week = if six_day_week { &WEEK[..6] } else { &WEEK[..5] };
        // Half an hour earlier or later than the usual start, the same length.
        let late = rng.random_range(-1..=1) * 30;
        let on = |days: &[Weekday], start: i32, end: i32| hours(days, start + late, end + late);
        match self {
            Self::Early => vec![on(week, 6 * 60, 14 * 60)],
            Self::Day => vec![on(week, 8 * 60, 17 * 60)],
            Self::Late => vec![on(week, 13 * 60, 21 * 60)],
            Self::Night => vec![on(&[Mo, Tu, We, Th, Su], 22 * 60, 6 * 60)],
            Self::Weekend => vec![on(&[Fr, Sa, Su], 8 * 60, 18 * 60)],
            Self::FourOn => {
                let first = rng.random_range(0..7);
                let mut days: Vec<_> = (first..first + 4).map(|day| WEEK[day % 7]).collect();
                days.sort_unstable();
                vec![on(&days, 7 * 60, 17 * 60)]
            }
            Self::Split => vec![on(week, 7 * 60, 11 * 60), on(week, 15 * 60, 19 * 60)],
            Self::PartTime => {
                let days = if rng.random_bool(0.5) {
                    [Mo, We, Fr]
                } else {
                    [Tu, Th, Sa]
                };
                vec![on(&days, 9 * 60, 15 * 60)]
            }
            Self::Standby => vec![hours(&WEEK, 0, 24 * 60)],
        }
    }
}

/// The windows that a pattern of `hours` has on `weekday`.
#[must_use]
pub fn windows_on(hours: &[WorkingHours], weekday: Weekday) -> Vec<LocalWindow> {
    hours
        .iter()
        .filter(|hours| hours.days.contains(&weekday))
        .map(|hours| LocalWindow {
            start: hours.start,
            end: hours.end,
        })
        .collect()
}

/// The usual hours of a holiday on call: the morning.
#[must_use]
pub fn emergency_windows() -> Vec<LocalWindow> {
    vec![LocalWindow {
        start: local(8 * 60),
        end: local(12 * 60),
    }]
}

fn hours(days: &[Weekday], start: i32, end: i32) -> WorkingHours {
    WorkingHours {
        days: days.to_vec(),
        start: local(start),
        end: local(end),
    }
}

fn local(minutes: i32) -> LocalTime {
    u16::try_from(minutes)
        .ok()
        .and_then(LocalTime::from_minutes)
        .unwrap_or(LocalTime::END_OF_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn the_mix_counts_a_hundred() {
        assert_eq!(
            MIX.iter()
                .map(|(_, weight)| u32::from(*weight))
                .sum::<u32>(),
            100
        );
    }

    #[test]
    fn every_pattern_keeps_the_rules_of_working_hours() {
        let mut rng = StdRng::seed_from_u64(1);
        for (shift, _) in MIX {
            for round in 0..200 {
                let hours = shift.draw_hours(&mut rng, round % 2 == 0);
                assert!((1..=50).contains(&hours.len()));
                for window in &hours {
                    assert!(
                        window.days.is_sorted_by(|a, b| a < b),
                        "{shift:?}: {window:?}"
                    );
                    assert!(!window.days.is_empty() && window.start < LocalTime::END_OF_DAY);
                    let overnight = window.end <= window.start;
                    assert_eq!(overnight, shift == Shift::Night, "{shift:?}: {window:?}");
                }
            }
        }
    }

    #[test]
    fn standby_is_every_minute_of_the_week() {
        let mut rng = StdRng::seed_from_u64(1);
        let hours = Shift::Standby.draw_hours(&mut rng, false);
        for day in WEEK {
            let windows = windows_on(&hours, day);
            assert_eq!(windows.len(), 1);
            assert_eq!(
                (windows[0].start.minutes(), windows[0].end.minutes()),
                (0, 1440)
            );
        }
    }
}
