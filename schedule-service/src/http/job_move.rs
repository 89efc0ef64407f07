//! Moving a job to another contractor: two schedules, two events, one transaction.

use shared_events::service::{Caller, Problem};
use sqlx::Connection;
use uuid::Uuid;

use super::Api;
use super::answer::Answer;
use super::change::{ATTEMPTS, Failure, Handing, author, observe, settle, upcoming_since, update};
use super::precondition::IfMatch;
use crate::domain::{Change, command};
use crate::error::{busy, invalid, no_job};
use crate::request::job::JobPatch;
use crate::store::schedules::{Which, load, lock};
use crate::store::{StoreError, jobs};

/// What is to be done with a job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Move<'a> {
    pub(super) api: &'a Api,
    pub(super) caller: &'a Caller,
    pub(super) id: Uuid,
    /// The contractor that the patch names.
    pub(super) target: Uuid,
    pub(super) patch: &'a JobPatch,
    pub(super) if_match: &'a IfMatch,
}

/// Moves the job to the contractor that the patch names. None where it is that contractor's
/// already: then it is no move.
pub(super) async fn move_job(
    asked: Move<'_>,
    answer: impl Fn(Uuid, i64, &shared_events::schedule::Job) -> Result<Answer, Problem> + Send + Sync,
) -> Result<Option<Answer>, Problem> {
    for _ in 0..ATTEMPTS {
        let mut connection = asked.api.connection().await?;
        let holder = jobs::find(&mut connection, asked.id)
            .await
            .map_err(crate::error::from_store)?;
        let source = holder.ok_or_else(|| no_job(asked.id))?.contractor_id;
        if source == asked.target {
            return Ok(None);
        }
        match try_move(&mut connection, asked, source, &answer).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(failure) => {
                if let Some(problem) = settle(&mut connection, failure).await? {
                    return Err(problem);
                }
            }
        }
    }
    Err(busy())
}

async fn try_move(
    connection: &mut sqlx::PgConnection,
    asked: Move<'_>,
    source: Uuid,
    answer: &(
         impl Fn(Uuid, i64, &shared_events::schedule::Job) -> Result<Answer, Problem> + Send + Sync
     ),
) -> Result<Answer, Failure> {
    let Move {
        api,
        caller,
        id,
        target,
        patch,
        if_match,
    } = asked;
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, &[source, target]).await?;
    let now = api.now();
    let since = upcoming_since(now);
    let from = load(&mut transaction, Which::HolderOf(id), since)
        .await?
        .pop();
    // Cancelled, or moved by somebody else before the rows were held: look again.
    let from = from
        .filter(|from| from.contractor_id == source)
        .ok_or(StoreError::Stale)?;
    if !caller.sees(&from.territory) {
        return Err(no_job(id).into());
    }
    if_match.check(from.version)?;
    let to = load(&mut transaction, Which::Contractors(&[target]), since)
        .await?
        .pop();
    let to = to.filter(|to| caller.sees(&to.territory)).ok_or_else(|| {
        let reason = format!("there is no contractor {target}");
        Problem::invalid().field("/contractorId", reason)
    })?;

    let mut from_after = from.clone();
    let job = command::remove_job(&mut from_after, id).ok_or(StoreError::Stale)?;
    let (_, terms) = patch
        .clone()
        .apply(source, &job)
        .map_err(|errors| invalid(&errors))?;
    let job = terms.into_job(id, &to.booking_rules);
    let mut to_after = to.clone();
    command::put_job(&mut to_after, job.clone(), now).map_err(|errors| invalid(&errors))?;

    // One commit time for both, not before the last change of either.
    let now = now.max(from.updated_at).max(to.updated_at);
    let changes = [(&from, from_after), (&to, to_after)]
        .map(|(before, after)| Change::between(Some(before), after, now, &author(caller)));
    // The job leaves before it arrives: its id is unique.
    let mut handings = Vec::new();
    for change in changes.iter().flatten() {
        handings.extend(update(&mut transaction, api, change, None).await?);
    }
    let answer = answer(target, to.version + 1, &job)?;
    transaction.commit().await?;
    handings.into_iter().for_each(Handing::hand_over);
    changes.iter().flatten().for_each(observe);
    Ok(answer)
}
