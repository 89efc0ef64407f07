//! Sickness, leave, and changes of hours, rules and territory.

use chrono::{DateTime, Days, Utc};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;
use shared_events::schedule::{Status, WorkingHours};
use uuid::Uuid;

use super::board::{AgreedDay, Board, SICK, SWAP, Seen};
use super::kind::Kind;
use super::proposal::{Action, Proposal};
use crate::civil_time::{local_date, next_day, start_of_day};
use crate::contractor::{NewDay, NewTimeOff};
use crate::roster::draw_rules;
use crate::shifts::{self, Shift, windows_on};
use crate::span::{instant_at, minute_of};
use crate::working_time::weekday_of;

/// From the next minute to the end of this local day or the next.
pub(super) fn call_in_sick(
    board: &Board,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    let seen = board.draw_where(rng, |seen| seen.is_active() && !seen.is_sick(now))?;
    let today = local_date(seen.zone, now);
    let days = rng.random_range(1..=2);
    let back = today.checked_add_days(Days::new(days))?;
    let off = NewTimeOff {
        start: instant_at(minute_of(now) + 1),
        end: instant_at(start_of_day(seen.zone, back)),
        reason: SICK,
    };
    // In the last minute before midnight nothing is left of the day.
    (off.end > off.start).then(|| {
        seen.proposal(
            Kind::CallInSick,
            Action::TakeOff(off),
            &format!("sick until {back}"),
        )
    })
}

pub(super) fn recover(board: &Board, rng: &mut StdRng, now: DateTime<Utc>) -> Option<Proposal> {
    let seen = draw_of(board, rng, |seen| seen.is_sick(now))?;
    let off = seen
        .schedule
        .time_off
        .iter()
        .find(|off| off.end > now && off.reason.as_deref() == Some(SICK))?;
    let action = Action::EndTimeOff(off.id);
    Some(seen.proposal(Kind::Recover, action, "is well again"))
}

/// Enters the next day of a swap; where none is waiting, agrees on three to seven days.
pub(super) fn swap_shift(
    board: &mut Board,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    if !board.has_agreed() {
        let days = agree_on_swap(board, rng, now)?;
        board.agree(days);
    }
    let agreed = board.next_agreed()?;
    let seen = board.get(agreed.contractor)?;
    if seen
        .schedule
        .date_overrides
        .iter()
        .any(|day| day.date == agreed.date)
    {
        return None;
    }
    let day = NewDay {
        windows: agreed.windows,
        reason: SWAP,
    };
    let words = format!("swaps the shift of {}", agreed.date);
    Some(seen.proposal(Kind::SwapShift, Action::PutDay(agreed.date, day), &words))
}

/// Another pattern's hours on the working days of the coming week that nothing else replaces.
fn agree_on_swap(board: &Board, rng: &mut StdRng, now: DateTime<Utc>) -> Option<Vec<AgreedDay>> {
    let seen = board.draw_where(rng, |seen| seen.is_active() && seen.swapped.is_none())?;
    let shift = *[Shift::Early, Shift::Day, Shift::Late].choose(rng)?;
    let other = shift.draw_hours(rng, seen.city.six_day_week);
    let mut date = local_date(seen.zone, now);
    let mut days = Vec::new();
    for _ in 0..7 {
        date = next_day(date);
        let weekday = weekday_of(date);
        let (usual, windows) = (
            windows_on(&seen.schedule.working_hours, weekday),
            windows_on(&other, weekday),
        );
        let replaced = seen
            .schedule
            .date_overrides
            .iter()
            .any(|day| day.date == date);
        if !replaced && !usual.is_empty() && !windows.is_empty() && usual != windows {
            days.push(AgreedDay {
                contractor: seen.schedule.contractor_id,
                date,
                windows,
            });
        }
    }
    (!days.is_empty()).then_some(days)
}

pub(super) fn end_swap(board: &Board, rng: &mut StdRng) -> Option<Proposal> {
    let seen = draw_of(board, rng, |seen| seen.swapped.is_some())?;
    let date = seen.swapped?;
    let words = format!("works the usual hours on {date} again");
    Some(seen.proposal(Kind::EndSwap, Action::DeleteDay(date), &words))
}

/// The same days at a variant of the usual hours that begins at most an hour earlier or later.
pub(super) fn change_hours(board: &Board, who: Option<Uuid>, rng: &mut StdRng) -> Option<Proposal> {
    let seen = draw_or(board, who, rng, Seen::is_active)?;
    let now = &seen.schedule.working_hours;
    let near = |other: &[WorkingHours]| {
        other.len() == now.len()
            && other.iter().zip(now).all(|(a, b)| {
                a.days == b.days && a.start.minutes().abs_diff(b.start.minutes()) <= 60
            })
    };
    let hours = (0..24)
        .map(|_| shifts::draw(rng).draw_hours(rng, seen.city.six_day_week))
        .find(|other| other != now && near(other))?;
    let first = hours.first()?;
    let words = format!("works from {} to {} from now on", first.start, first.end);
    let patch = json!({ "workingHours": hours });
    Some(seen.proposal(Kind::ChangeHours, Action::Patch(patch), &words))
}

pub(super) fn change_rules(board: &Board, who: Option<Uuid>, rng: &mut StdRng) -> Option<Proposal> {
    let seen = draw_or(board, who, rng, Seen::is_active)?;
    let drawn = draw_rules(rng);
    let mut rules = seen.schedule.booking_rules;
    rules.slot_interval_minutes = drawn.slot_interval_minutes;
    rules.min_notice_minutes = drawn.min_notice_minutes;
    if rules == seen.schedule.booking_rules {
        return None;
    }
    let patch = json!({ "bookingRules": {
        "slotIntervalMinutes": rules.slot_interval_minutes,
        "minNoticeMinutes": rules.min_notice_minutes,
    }});
    let words = format!("is offered every {} minutes", rules.slot_interval_minutes);
    Some(seen.proposal(Kind::ChangeRules, Action::Patch(patch), &words))
}

pub(super) fn lend(board: &Board, who: Option<Uuid>, rng: &mut StdRng) -> Option<Proposal> {
    let seen = draw_or(board, who, rng, Seen::is_active)?;
    let others: Vec<&str> = seen
        .city
        .territories
        .iter()
        .copied()
        .filter(|territory| *territory != seen.schedule.territory)
        .collect();
    let to = others.choose(rng)?;
    let action = Action::Patch(json!({ "territory": to }));
    Some(seen.proposal(Kind::Lend, action, &format!("works in {to} from now on")))
}

pub(super) fn go_on_leave(board: &Board, rng: &mut StdRng) -> Option<Proposal> {
    let seen = board.draw_where(rng, Seen::is_active)?;
    let action = Action::Patch(json!({ "status": Status::OnLeave }));
    Some(seen.proposal(Kind::GoOnLeave, action, "goes on leave"))
}

pub(super) fn come_back(board: &Board, rng: &mut StdRng) -> Option<Proposal> {
    let seen = draw_of(board, rng, |seen| seen.schedule.status == Status::OnLeave)?;
    let action = Action::Patch(json!({ "status": Status::Active }));
    Some(seen.proposal(Kind::ComeBack, action, "is back from leave"))
}

/// The contractor `who`, or somebody of whom `fits` holds.
fn draw_or<'a>(
    board: &'a Board,
    who: Option<Uuid>,
    rng: &mut StdRng,
    fits: impl Fn(&Seen) -> bool,
) -> Option<&'a Seen> {
    match who {
        Some(id) => board.get(id),
        None => board.draw_where(rng, fits),
    }
}

/// One of the few of whom `fits` holds.
fn draw_of<'a>(
    board: &'a Board,
    rng: &mut StdRng,
    fits: impl Fn(&Seen) -> bool,
) -> Option<&'a Seen> {
    let few: Vec<&Seen> = board.all().filter(|seen| fits(seen)).collect();
    few.choose(rng).copied()
}
