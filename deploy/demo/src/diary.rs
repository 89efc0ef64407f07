//! Fills a new contractor's working time with jobs.

use rand::RngExt;
use shared_events::schedule::BookingRules;

use crate::contractor::NewJob;
use crate::span::Span;
use crate::trades::draw_job;

/// What a diary is filled for.
#[derive(Debug, Clone, Copy)]
pub struct Diary<'a> {
    /// What the contractor can do.
    pub skills: &'a [String],
    /// Where the jobs are.
    pub streets: &'a [&'a str],
    /// Slot interval and usual buffers.
    pub rules: BookingRules,
    /// The part of the staffed time that jobs with their buffers should take: 0 to 1.
    pub fill: f64,
}

/// Longest stretch of working time that is filled as one; longer ones (standby) are cut.
const STRETCH_MINUTES: i64 = 12 * 60;

/// Travel buffers that a job may name for itself.
const OWN_BUFFERS: [u32; 4] = [15, 30, 45, 60];

impl Diary<'_> {
    /// Jobs inside `staffed` (sorted and disjoint), whole, ascending. No two overlap, not even with
    /// their buffers. Each starts a whole number of slot intervals after its stretch begins.
    pub fn fill(&self, rng: &mut impl RngExt, staffed: &[Span]) -> Vec<NewJob> {
        let mut jobs = Vec::new();
        let mut taken_until = i64::MIN;
        for &span in staffed {
            let mut start = span.start;
            while start < span.end {
                let stretch = Span::new(start, span.end.min(start + STRETCH_MINUTES));
                self.fill_stretch(rng, stretch, &mut taken_until, &mut jobs);
                start = stretch.end;
            }
        }
        jobs
    }

    fn fill_stretch(
        &self,
        rng: &mut impl RngExt,
        stretch: Span,
        taken_until: &mut i64,
        jobs: &mut Vec<NewJob>,
    ) {
        let interval = i64::from(self.rules.slot_interval_minutes.max(1));
        // What a job takes is followed by a gap that keeps the wanted share, more or less.
        let gap_share = (1.0 / self.fill.clamp(0.05, 0.95) - 1.0) * 1.3;
        let mut earliest = stretch.start + minutes(rng.random_range(0.0..120.0) * gap_share);
        loop {
            let own = rng
                .random_bool(0.2)
                .then(|| rng.random_range(0..OWN_BUFFERS.len()));
            let own = own.map(|index| OWN_BUFFERS[index]);
            let before = i64::from(own.unwrap_or(self.rules.buffer_before_minutes));
            let after = i64::from(own.unwrap_or(self.rules.buffer_after_minutes));
            let from = earliest.max(taken_until.saturating_add(before));
            let slots = (from - stretch.start).max(0).div_euclid(interval)
                + i64::from((from - stretch.start).max(0).rem_euclid(interval) > 0);
            let start = stretch.start + slots * interval;
            let drawn = draw_job(rng, self.skills, self.streets, stretch.end - start);
            let Some((title, length)) = drawn else { return };
            let work = Span::new(start, start + length);
            let mut job = NewJob::at(work, title);
            (job.buffer_before_minutes, job.buffer_after_minutes) = (own, own);
            jobs.push(job);
            *taken_until = work.end + after;
            let taken = i32::try_from(before + length + after).unwrap_or(i32::MAX);
            let gap = f64::from(taken) * gap_share * rng.random_range(0.3..1.7);
            earliest = *taken_until + minutes(gap);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "gaps are a few days at most"
)]
fn minutes(value: f64) -> i64 {
    value.round() as i64
}
