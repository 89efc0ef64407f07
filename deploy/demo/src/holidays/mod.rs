//! The public holidays of 2026 and 2027 at the places of the roster, from `data/holidays.csv`.

use std::sync::LazyLock;

use chrono::NaiveDate;

const TABLE: &str = include_str!("../../data/holidays.csv");

/// A public holiday at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holiday {
    /// The place: a country's ISO code, or `country-subdivision`.
    pub place: &'static str,
    /// The local day.
    pub date: NaiveDate,
    /// What it is called there.
    pub name: &'static str,
}

static HOLIDAYS: LazyLock<Vec<Holiday>> = LazyLock::new(|| {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(parse)
        .collect()
});

/// The holidays of `place` from `first` on, ascending by date, one a date.
pub fn from_day(place: &str, first: NaiveDate) -> impl Iterator<Item = Holiday> {
    HOLIDAYS
        .iter()
        .copied()
        .filter(move |day| day.place == place && day.date >= first)
}

fn parse(line: &'static str) -> Option<Holiday> {
    let mut parts = line.splitn(3, ',');
    let (place, date, name) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    Some(Holiday { place, date, name })
}

#[cfg(test)]
mod moon;
#[cfg(test)]
mod tests;
