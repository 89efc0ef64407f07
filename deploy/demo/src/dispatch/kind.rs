//! What dispatchers do all day, and how often.

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use shared_events::schedule::Status;

use super::board::Board;

/// A kind of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A job is booked.
    Book,
    /// A job is booked on the phone, without a look at the other jobs.
    BookBlind,
    /// A job moves to another time.
    Reschedule,
    /// A job moves to a colleague.
    HandOver,
    /// A job is cancelled.
    Cancel,
    /// A job takes longer, or the next one has to wait for it.
    RunLate,
    /// A job that is no longer covered is moved away.
    Repair,
    /// Somebody calls in sick, from now on.
    CallInSick,
    /// Somebody is back earlier than said.
    Recover,
    /// A day of another's shift.
    SwapShift,
    /// A swapped day that is not needed after all, or over.
    EndSwap,
    /// Other weekly hours.
    ChangeHours,
    /// Other booking rules.
    ChangeRules,
    /// Somebody works in a neighbouring territory from now on.
    Lend,
    /// Somebody goes on leave for an open time.
    GoOnLeave,
    /// Somebody is back from it.
    ComeBack,
}

impl Kind {
    /// What a summary calls it.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Book | Self::BookBlind => "booked",
            Self::Reschedule => "moved",
            Self::HandOver => "handed over",
            Self::Cancel => "cancelled",
            Self::RunLate => "late",
            Self::Repair => "repaired",
            Self::CallInSick => "sick",
            Self::Recover => "recovered",
            Self::SwapShift => "swapped",
            Self::EndSwap => "swapped back",
            Self::ChangeHours => "new hours",
            Self::ChangeRules => "new rules",
            Self::Lend => "lent",
            Self::GoOnLeave => "on leave",
            Self::ComeBack => "back",
        }
    }

    /// What is tried when the change could not be made: the same with open eyes.
    pub(super) fn again(self) -> Self {
        match self {
            Self::BookBlind => Self::Book,
            other => other,
        }
    }
}

/// Draws what to do next. The weights lean against whatever there is too much of, so that the
/// roster stays as it is on the whole, for days.
pub(super) fn draw(board: &Board, rng: &mut StdRng, now: DateTime<Utc>) -> Kind {
    weights(board, now)
        .choose_weighted(rng, |(_, weight)| *weight)
        .map_or(Kind::Book, |(kind, _)| *kind)
}

fn weights(board: &Board, now: DateTime<Utc>) -> [(Kind, f64); 16] {
    let fill = board.mean_fill();
    let (book, cancel) = match fill {
        ..0.35 => (60.0, 3.0),
        ..0.45 => (40.0, 10.0),
        ..0.55 => (26.0, 18.0),
        _ => (4.0, 40.0),
    };
    let sick = board.share_of(|seen| seen.is_sick(now));
    let swapped = board.share_of(|seen| seen.swapped.is_some());
    let on_leave = board.share_of(|seen| seen.schedule.status == Status::OnLeave);
    let uncovered = board.share_of(|seen| seen.uncovered);
    let below = |share: f64, most: f64, weight: f64| if share < most { weight } else { 0.0 };
    [
        (Kind::Book, book),
        (Kind::BookBlind, book / 15.0),
        (Kind::Reschedule, 16.0),
        (Kind::HandOver, 8.0),
        (Kind::Cancel, cancel),
        (Kind::RunLate, 6.0),
        // Some conflicts stay for a while, as they do where people have to be called.
        (Kind::Repair, if uncovered > 0.03 { 20.0 } else { 3.0 }),
        (Kind::CallInSick, below(sick, 0.05, 1.5)),
        (Kind::Recover, if sick > 0.03 { 1.0 } else { 0.2 }),
        (
            Kind::SwapShift,
            if board.has_agreed() {
                12.0
            } else {
                below(swapped, 0.08, 1.0)
            },
        ),
        (Kind::EndSwap, if swapped > 0.04 { 4.0 } else { 0.5 }),
        (Kind::ChangeHours, 1.5),
        (Kind::ChangeRules, 1.5),
        (Kind::Lend, 0.7),
        (Kind::GoOnLeave, below(on_leave, 0.05, 0.3)),
        (Kind::ComeBack, if on_leave > 0.02 { 0.3 } else { 0.0 }),
    ]
}
