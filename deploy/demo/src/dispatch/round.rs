//! One change from its idea to its answer.

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use shared_events::service::Clock;
use uuid::Uuid;

use super::board::Board;
use super::kind::{self, Kind};
use super::proposal::Proposal;
use super::{jobs, people};
use crate::client::{CallError, Client};

/// How many ideas are tried where one turns out to fit nobody.
const IDEAS: usize = 12;

/// How often a change is made up anew after a 409 or 412.
const TRIES: usize = 3;

/// What came of one change.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// The change, if one was committed.
    pub(super) done: Option<Kind>,
    pub(super) conflicts: u32,
    pub(super) stale: u32,
    pub(super) failure: Option<CallError>,
}

/// Makes up a change and asks for it; after a 409 or 412 reads the schedules again and makes it up anew.
pub(super) async fn play(
    client: &Client,
    board: &Mutex<Board>,
    rng: &mut StdRng,
    clock: &Clock,
) -> Round {
    let mut round = Round::default();
    let mut next = any(&mut board.lock(), rng, clock.now());
    for _ in 0..TRIES {
        let Some(proposal) = next else { break };
        match proposal.carry_out(client).await {
            Ok(has_changed) => {
                tracing::debug!(kind = ?proposal.kind, has_changed, "{}", proposal.words);
                round.done = has_changed.then_some(proposal.kind);
                // The change is made; what is not seen now is seen with the next 412.
                if let Err(error) = look_again(client, board, &proposal, clock).await {
                    tracing::debug!(%error, "cannot read the changed schedule");
                }
                break;
            }
            Err(error) if matches!(error.status(), Some(404 | 409 | 412)) => {
                tracing::debug!(%error, kind = ?proposal.kind, "{}", proposal.words);
                match error.status() {
                    Some(409) => round.conflicts += 1,
                    _ => round.stale += 1,
                }
                if let Err(error) = look_again(client, board, &proposal, clock).await {
                    round.failure = Some(error);
                    break;
                }
                let (kind, who) = (proposal.kind.again(), Some(proposal.contractor));
                next = propose(&mut board.lock(), kind, who, rng, clock.now());
            }
            Err(error) => {
                tracing::warn!(%error, kind = ?proposal.kind, "{}", proposal.words);
                round.failure = Some(error);
                break;
            }
        }
    }
    round
}

/// Reads the schedules that a change is about.
async fn look_again(
    client: &Client,
    board: &Mutex<Board>,
    proposal: &Proposal,
    clock: &Clock,
) -> Result<(), CallError> {
    for contractor in proposal.changed() {
        match client.schedule(contractor).await {
            Ok(schedule) => board.lock().see(schedule, clock.now()),
            Err(error) if error.status() == Some(404) => board.lock().forget(contractor),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A change of any kind, if one of a few ideas fits somebody.
pub(super) fn any(board: &mut Board, rng: &mut StdRng, now: DateTime<Utc>) -> Option<Proposal> {
    (0..IDEAS).find_map(|_| {
        let kind = kind::draw(board, rng, now);
        propose(board, kind, None, rng, now)
    })
}

/// A change of one kind, for `who` where that is given and the kind is about one person's schedule.
fn propose(
    board: &mut Board,
    kind: Kind,
    who: Option<Uuid>,
    rng: &mut StdRng,
    now: DateTime<Utc>,
) -> Option<Proposal> {
    match kind {
        Kind::Book => jobs::book(board, who, rng, now),
        Kind::BookBlind => jobs::book_blind(board, rng, now),
        Kind::Reschedule => jobs::reschedule(board, who, rng, now),
        Kind::HandOver => jobs::hand_over(board, who, rng, now),
        Kind::Cancel => jobs::cancel(board, who, rng, now),
        Kind::RunLate => jobs::run_late(board, who, rng, now),
        Kind::Repair => jobs::repair(board, who, rng, now),
        Kind::CallInSick => people::call_in_sick(board, rng, now),
        Kind::Recover => people::recover(board, rng, now),
        Kind::SwapShift => people::swap_shift(board, rng, now),
        Kind::EndSwap => people::end_swap(board, rng),
        Kind::ChangeHours => people::change_hours(board, who, rng),
        Kind::ChangeRules => people::change_rules(board, who, rng),
        Kind::Lend => people::lend(board, who, rng),
        Kind::GoOnLeave => people::go_on_leave(board, rng),
        Kind::ComeBack => people::come_back(board, rng),
    }
}
