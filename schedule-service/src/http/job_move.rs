//! Moving a job to another contractor: two schedules, two events, one transaction.

use shared_events::service::Problem;
use sqlx::Connection;
use uuid::Uuid;

use super::answer::Answer;
use super::change::{ATTEMPTS, Failure, Handing, observe, settle, upcoming_since, update};
use super::precondition::IfMatch;
use super::{ANONYMOUS, Api};
use crate::domain::{Change, command};
use crate::error::{busy, invalid, no_job};
use crate::request::job::JobPatch;
use crate::store::schedules::{Which, load, lock};
use crate::store::{StoreError, jobs};

/// Moves the job to the contractor that the patch names. None where it is that contractor's
/// already: then it is no move.
pub(super) async fn move_job(
    api: &Api,
    id: Uuid,
    target: Uuid,
    patch: &JobPatch,
    if_match: &IfMatch,
    answer: impl Fn(Uuid, i64, &shared_events::schedule::Job) -> Result<Answer, Problem> + Send + Sync,
) -> Result<Option<Answer>, Problem> {
    for _ in 0..ATTEMPTS {
        let mut connection = api.connection().await?;
        let holder = jobs::find(&mut connection, id)
            .await
            .map_err(crate::error::from_store)?;
        let source = holder.ok_or_else(|| no_job(id))?.contractor_id;
        if source == target {
            return Ok(None);
        }
        let between = (source, target);
        match try_move(&mut connection, api, id, between, patch, if_match, &answer).await {
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
    api: &Api,
    id: Uuid,
    (source, target): (Uuid, Uuid),
    patch: &JobPatch,
    if_match: &IfMatch,
    answer: &(
         impl Fn(Uuid, i64, &shared_events::schedule::Job) -> Result<Answer, Problem> + Send + Sync
     ),
) -> Result<Answer, Failure> {
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
    if_match.check(from.version)?;
    let to = load(&mut transaction, Which::Contractors(&[target]), since)
        .await?
        .pop();
    let to = to.ok_or_else(|| {
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
        .map(|(before, after)| Change::between(Some(before), after, now, ANONYMOUS));
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
