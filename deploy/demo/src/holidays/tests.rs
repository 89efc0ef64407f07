//! Every date of the table against the rule that it follows.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "days of a month"
)]

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::moon::{assert_islamic, days_since_2000, elongation, sun_longitude};
use super::*;
use crate::cities::CITIES;

const YEARS: [i32; 2] = [2026, 2027];

fn ymd(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).unwrap()
}

fn plus(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_add_days(Days::new(days)).unwrap()
}

fn minus(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap()
}

/// The `n`-th `weekday` of a month, from 1.
fn nth(year: i32, month: u32, weekday: Weekday, n: u8) -> NaiveDate {
    NaiveDate::from_weekday_of_month_opt(year, month, weekday, n).unwrap()
}

fn last(year: i32, month: u32, weekday: Weekday) -> NaiveDate {
    NaiveDate::from_weekday_of_month_opt(year, month, weekday, 5)
        .unwrap_or_else(|| nth(year, month, weekday, 4))
}

/// Easter Sunday of the Gregorian calendar: the Sunday after the ecclesiastical full moon on or
/// after 21 March, that moon from the golden number with the solar and lunar corrections.
fn easter(year: i32) -> NaiveDate {
    let golden = year % 19;
    let century = year / 100;
    let solar = century - century / 4;
    let lunar = (8 * century + 13) / 25;
    let epact_days = (19 * golden + solar - lunar + 15).rem_euclid(30);
    let late = i32::from(epact_days == 29 || (epact_days == 28 && golden > 10));
    let moon = plus(ymd(year, 3, 21), u64::try_from(epact_days - late).unwrap());
    let to_sunday = 7 - u64::from(moon.weekday().num_days_from_sunday());
    plus(moon, to_sunday)
}

fn is_weekend(date: NaiveDate) -> bool {
    matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

fn dates(place: &str) -> BTreeSet<NaiveDate> {
    from_day(place, ymd(2026, 1, 1))
        .map(|day| day.date)
        .collect()
}

fn assert_is(place: &str, expected: impl IntoIterator<Item = NaiveDate>) {
    let expected: BTreeSet<_> = expected.into_iter().collect();
    assert_eq!(dates(place), expected, "{place}");
}

/// Days with the next working day that is not itself a holiday, for those that a rule makes up for.
fn with_substitutes(days: &[NaiveDate], made_up: fn(NaiveDate) -> bool) -> Vec<NaiveDate> {
    let mut all: BTreeSet<_> = days.iter().copied().collect();
    for &day in days.iter().filter(|&&day| made_up(day)) {
        let mut substitute = plus(day, 1);
        while is_weekend(substitute) || all.contains(&substitute) {
            substitute = plus(substitute, 1);
        }
        all.insert(substitute);
    }
    all.into_iter().collect()
}

#[test]
fn easter_falls_where_the_church_has_it() {
    let known = [
        (2000, 4, 23),
        (2008, 3, 23),
        (2011, 4, 24),
        (2024, 3, 31),
        (2025, 4, 20),
    ];
    for (year, month, day) in known {
        assert_eq!(easter(year), ymd(year, month, day));
    }
    assert_eq!(easter(2026), ymd(2026, 4, 5));
    assert_eq!(easter(2027), ymd(2027, 3, 28));
}

#[test]
fn every_line_of_the_table_is_read_and_no_place_has_a_date_twice() {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(HOLIDAYS.len(), lines);
    assert!(HOLIDAYS.is_sorted_by(|a, b| a.place != b.place || a.date < b.date));
    let places: BTreeSet<_> = HOLIDAYS.iter().map(|day| day.place).collect();
    assert_eq!(places, CITIES.iter().map(|city| city.place).collect());
    for day in HOLIDAYS.iter() {
        assert!(YEARS.contains(&day.date.year()), "{day:?}");
        assert!(
            !day.name.is_empty() && day.name.chars().count() <= 200,
            "{day:?}"
        );
    }
}

#[test]
fn england_has_its_bank_holidays_and_a_weekend_christmas_is_made_up_for() {
    assert_is(
        "GB-ENG",
        YEARS.into_iter().flat_map(|year| {
            let mut days = vec![
                minus(easter(year), 2),
                plus(easter(year), 1),
                nth(year, 5, Weekday::Mon, 1),
                last(year, 5, Weekday::Mon),
                last(year, 8, Weekday::Mon),
            ];
            let fixed = [ymd(year, 1, 1), ymd(year, 12, 25), ymd(year, 12, 26)];
            days.extend(with_substitutes(&fixed, is_weekend));
            days
        }),
    );
}

#[test]
fn berlin_has_the_german_holidays_and_womens_day() {
    assert_is(
        "DE-BE",
        YEARS.into_iter().flat_map(|year| {
            let easter = easter(year);
            [
                ymd(year, 1, 1),
                ymd(year, 3, 8),
                minus(easter, 2),
                plus(easter, 1),
                ymd(year, 5, 1),
                plus(easter, 39),
                plus(easter, 50),
                ymd(year, 10, 3),
                ymd(year, 12, 25),
                ymd(year, 12, 26),
            ]
        }),
    );
}

#[test]
fn new_york_has_the_federal_holidays_as_observed_and_those_of_the_state() {
    let federal = |year| {
        [
            ymd(year, 1, 1),
            nth(year, 1, Weekday::Mon, 3),
            nth(year, 2, Weekday::Mon, 3),
            last(year, 5, Weekday::Mon),
            ymd(year, 6, 19),
            ymd(year, 7, 4),
            nth(year, 9, Weekday::Mon, 1),
            nth(year, 10, Weekday::Mon, 2),
            ymd(year, 11, 11),
            nth(year, 11, Weekday::Thu, 4),
            ymd(year, 12, 25),
        ]
    };
    // A Saturday's holiday is observed on the Friday before, a Sunday's on the Monday after.
    let observed = |date: NaiveDate| match date.weekday() {
        Weekday::Sat => minus(date, 1),
        Weekday::Sun => plus(date, 1),
        _ => date,
    };
    let state = |year| {
        [
            ymd(year, 2, 12),
            nth(year, 6, Weekday::Sun, 2),
            plus(nth(year, 11, Weekday::Mon, 1), 1),
        ]
    };
    let all = YEARS.into_iter().flat_map(|year| {
        federal(year)
            .into_iter()
            .flat_map(move |day| [day, observed(day)])
            .chain(state(year))
    });
    // New Year's Day of 2028 is a Saturday, observed on the last day of 2027.
    assert_is("US-NY", all.chain([observed(ymd(2028, 1, 1))]));
}

#[test]
fn sao_paulo_has_the_national_holidays_its_states_and_its_own() {
    assert_is(
        "BR-SP",
        YEARS.into_iter().flat_map(|year| {
            let easter = easter(year);
            let moving = [minus(easter, 2), plus(easter, 60)];
            let fixed = [
                (1, 1),
                (1, 25),
                (4, 21),
                (5, 1),
                (7, 9),
                (9, 7),
                (10, 12),
                (11, 2),
                (11, 15),
            ];
            let late = [(11, 20), (12, 25)];
            let fixed = fixed
                .into_iter()
                .chain(late)
                .map(move |(m, d)| ymd(year, m, d));
            fixed.chain(moving).collect::<Vec<_>>()
        }),
    );
}

#[test]
fn nairobi_has_kenyas_holidays_and_a_sunday_is_made_up_for_on_the_next_free_day() {
    let ids = [
        ymd(2026, 3, 20),
        ymd(2026, 5, 27),
        ymd(2027, 3, 10),
        ymd(2027, 5, 17),
    ];
    let expected = YEARS.into_iter().flat_map(|year| {
        let fixed = [
            (1, 1),
            (5, 1),
            (6, 1),
            (10, 10),
            (10, 20),
            (12, 12),
            (12, 25),
            (12, 26),
        ];
        let fixed: Vec<_> = fixed.into_iter().map(|(m, d)| ymd(year, m, d)).collect();
        let mut days = with_substitutes(&fixed, |day| day.weekday() == Weekday::Sun);
        days.extend([minus(easter(year), 2), plus(easter(year), 1)]);
        days
    });
    assert_is("KE", expected.chain(ids));
    assert_islamic(ids[0], 1);
    assert_islamic(ids[1], 10);
    assert_islamic(ids[2], 1);
    assert_islamic(ids[3], 10);
}

#[test]
fn tokyo_has_japans_holidays_with_substitutes_and_the_day_between_two() {
    let mut expected = BTreeSet::new();
    for year in YEARS {
        let equinox = |base: f64| {
            let since = f64::from(year - 1980);
            let day = base + 0.242_194 * since - (since / 4.0).floor();
            NaiveDate::from_ymd_opt(year, 1, day.floor() as u32)
                .unwrap()
                .day()
        };
        let days = [
            ymd(year, 1, 1),
            nth(year, 1, Weekday::Mon, 2),
            ymd(year, 2, 11),
            ymd(year, 2, 23),
            ymd(year, 3, equinox(20.8431)),
            ymd(year, 4, 29),
            ymd(year, 5, 3),
            ymd(year, 5, 4),
            ymd(year, 5, 5),
            nth(year, 7, Weekday::Mon, 3),
            ymd(year, 8, 11),
            nth(year, 9, Weekday::Mon, 3),
            ymd(year, 9, equinox(23.2488)),
            nth(year, 10, Weekday::Mon, 2),
            ymd(year, 11, 3),
            ymd(year, 11, 23),
        ];
        // A day between two holidays is one as well; a Sunday's moves to the next day that is none.
        let between = days.iter().map(|&day| plus(day, 1)).filter(|day| {
            !days.contains(day) && days.contains(&plus(*day, 1)) && day.weekday() != Weekday::Sun
        });
        expected.extend(between);
        for &day in days.iter().filter(|day| day.weekday() == Weekday::Sun) {
            let mut substitute = plus(day, 1);
            while days.contains(&substitute) {
                substitute = plus(substitute, 1);
            }
            expected.insert(substitute);
        }
        expected.extend(days);
    }
    assert!(expected.contains(&ymd(2026, 9, 22)) && expected.contains(&ymd(2026, 5, 6)));
    assert_is("JP", expected);
}

#[test]
fn auckland_has_new_zealands_holidays_with_mondayisation_and_its_anniversary() {
    let mut expected = Vec::new();
    for year in YEARS {
        let fixed = [(1, 1), (1, 2), (2, 6), (4, 25), (12, 25), (12, 26)];
        let fixed: Vec<_> = fixed.into_iter().map(|(m, d)| ymd(year, m, d)).collect();
        expected.extend(with_substitutes(&fixed, is_weekend));
        let anniversary = ymd(year, 1, 29);
        let nearest = (0..7).map(|day| plus(minus(anniversary, 3), day));
        expected.extend(nearest.filter(|day| day.weekday() == Weekday::Mon));
        expected.extend([minus(easter(year), 2), plus(easter(year), 1)]);
        expected.extend([
            nth(year, 6, Weekday::Mon, 1),
            nth(year, 10, Weekday::Mon, 4),
        ]);
    }
    // Set by the Te Kāhui o Matariki Public Holiday Act 2022 for each year: the Friday nearest to
    // the nights of the last quarter in Pipiri.
    for matariki in [ymd(2026, 7, 10), ymd(2027, 6, 25)] {
        assert_eq!(matariki.weekday(), Weekday::Fri);
        let phase = elongation(days_since_2000(matariki, 0)) / 360.0;
        assert!((0.66..=0.84).contains(&phase), "{matariki}: {phase}");
        expected.push(matariki);
    }
    assert_is("NZ-AUK", expected);
}

#[test]
fn mumbai_has_the_fixed_days_that_maharashtra_gazettes_and_the_moon_agrees_with_the_others() {
    // The fixed and Easter-based days, by name.
    for year in YEARS {
        for (part, date) in [
            ("Republic Day", ymd(year, 1, 26)),
            ("Shivaji", ymd(year, 2, 19)),
            ("Good Friday", minus(easter(year), 2)),
            ("Ambedkar", ymd(year, 4, 14)),
            ("Maharashtra Day", ymd(year, 5, 1)),
            ("Independence Day", ymd(year, 8, 15)),
            // The Shahenshahi year has 365 days: 15 August from the leap year 2024 up to 2027.
            ("Parsi New Year", ymd(year, 8, 15)),
            ("Gandhi", ymd(year, 10, 2)),
            ("Christmas", ymd(year, 12, 25)),
        ] {
            assert_eq!(mumbai(year, part), date, "{part}");
        }
        // The lunar day (of 30) at noon, give or take one, and the month by where the sun stands.
        for (part, tithi, sun_from) in [
            ("Mahashivratri", 29, 319),
            ("Holi", 16, 339),
            ("Gudi Padwa", 1, 354),
            ("Ram Navami", 9, 1),
            ("Mahavir", 13, 5),
            ("Buddha", 15, 38),
            ("Ganesh", 4, 146),
            ("Dasara", 10, 182),
            ("Laxmi Pujan", 30, 204),
            ("Bali Pratipada", 1, 204),
            ("Guru Nanak", 15, 219),
        ] {
            let date = mumbai(year, part);
            let lunar_day = (elongation(days_since_2000(date, 6)) / 12.0).floor() as i32 + 1;
            let off = (lunar_day - tithi + 15).rem_euclid(30) - 15;
            assert!(off.abs() <= 1, "{part} {date}: lunar day {lunar_day}");
            let sun =
                (sun_longitude(days_since_2000(date, 6)) - f64::from(sun_from)).rem_euclid(360.0);
            assert!(
                sun <= 31.0,
                "{part} {date}: the sun is {sun} past {sun_from}"
            );
        }
        for (part, day) in [("Ramzan", 1), ("Bakri", 10), ("Moharum", 10), ("Milad", 12)] {
            assert_islamic(mumbai(year, part), day);
        }
        // Shawwal to Dhu al-Hijja to Muharram to Rabi al-awwal, in months of 29 or 30 days.
        let gap = |from, to| (mumbai(year, to) - mumbai(year, from)).num_days();
        assert!((67..=69).contains(&gap("Ramzan", "Bakri")));
        assert!((29..=31).contains(&gap("Bakri", "Moharum")));
        assert!((60..=62).contains(&gap("Moharum", "Milad")));
    }
    // 9 fixed days and 15 by the moon; some share a date: two in 2026, three in 2027.
    assert_eq!(dates("IN-MH").len(), 22 + 22);
}

/// The date of the holiday of Mumbai whose name has `part` in it.
fn mumbai(year: i32, part: &str) -> NaiveDate {
    let found: Vec<_> = from_day("IN-MH", ymd(year, 1, 1))
        .filter(|day| day.date.year() == year && day.name.contains(part))
        .collect();
    assert_eq!(found.len(), 1, "{part} in {year}");
    found[0].date
}
