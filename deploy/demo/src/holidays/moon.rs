//! Where the sun and the moon stand, for the holidays that follow the moon.
#![expect(clippy::cast_precision_loss, reason = "minutes of a few years")]

use chrono::{NaiveDate, TimeZone, Utc};

/// Asserts that `date` can be that day of a month that began when the crescent was first seen,
/// half a day to less than three days after the new moon.
pub(super) fn assert_islamic(date: NaiveDate, day_of_month: u32) {
    let hours_ago = |hours: i32| elongation(days_since_2000(date, 6) - f64::from(hours) / 24.0);
    let since_new = (0..31 * 24)
        .find(|&hours| hours_ago(hours + 1) > hours_ago(hours))
        .unwrap();
    let age = f64::from(since_new) / 24.0;
    let first_seen = age - f64::from(day_of_month - 1);
    assert!(
        (0.4..=2.7).contains(&first_seen),
        "{date}: the moon is {age} days old"
    );
}

/// Days since noon of 2000-01-01 at half past `hour_utc` on `date`.
pub(super) fn days_since_2000(date: NaiveDate, hour_utc: u32) -> f64 {
    let noon = Utc.with_ymd_and_hms(2000, 1, 1, 12, 0, 0).unwrap();
    let at = date.and_hms_opt(hour_utc, 30, 0).unwrap().and_utc();
    (at - noon).num_minutes() as f64 / 1440.0
}

fn sin(degrees: f64) -> f64 {
    degrees.to_radians().sin()
}

/// The sun's ecliptic longitude in degrees, to about a hundredth, `d` days after noon of 2000-01-01.
pub(super) fn sun_longitude(d: f64) -> f64 {
    let anomaly = 357.5291 + 0.985_600_28 * d;
    280.466 + 0.985_647_36 * d + 1.915 * sin(anomaly) + 0.020 * sin(2.0 * anomaly)
}

/// How far the moon is ahead of the sun in degrees, 0 to 360: 0 new, 180 full, 270 last quarter;
/// right to half a degree (an hour), from the six largest terms of its motion.
pub(super) fn elongation(d: f64) -> f64 {
    let mean = 218.3165 + 13.176_396_48 * d;
    let from_sun = 297.8502 + 12.190_749_12 * d;
    let sun_anomaly = 357.5291 + 0.985_600_28 * d;
    let anomaly = 134.9634 + 13.064_992_95 * d;
    let from_node = 93.2721 + 13.229_350_24 * d;
    let moon = mean
        + 6.289 * sin(anomaly)
        + 1.274 * sin(2.0 * from_sun - anomaly)
        + 0.658 * sin(2.0 * from_sun)
        + 0.214 * sin(2.0 * anomaly)
        - 0.186 * sin(sun_anomaly)
        - 0.114 * sin(2.0 * from_node);
    (moon - sun_longitude(d)).rem_euclid(360.0)
}
