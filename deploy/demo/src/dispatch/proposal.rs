//! A change that a dispatcher wants to make.

use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use super::kind::Kind;
use crate::client::{CallError, Client};
use crate::contractor::{NewDay, NewJob, NewTimeOff};

/// A change, made up from a schedule as it was seen.
#[derive(Debug, Clone)]
pub(super) struct Proposal {
    pub(super) kind: Kind,
    /// Whose schedule it changes.
    pub(super) contractor: Uuid,
    /// The version of that schedule that it was made up from.
    pub(super) version: i64,
    pub(super) action: Action,
    /// What it is, for people.
    pub(super) words: String,
}

/// What to ask the service for.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Book(NewJob),
    /// Changes a job; it goes to another contractor where one is named.
    ChangeJob {
        job: Uuid,
        to: Option<Uuid>,
        patch: Value,
    },
    Cancel(Uuid),
    TakeOff(NewTimeOff),
    EndTimeOff(Uuid),
    PutDay(NaiveDate, NewDay),
    DeleteDay(NaiveDate),
    Patch(Value),
}

impl Proposal {
    /// The contractors whose schedules it changes.
    pub(super) fn changed(&self) -> impl Iterator<Item = Uuid> {
        let other = match self.action {
            Action::ChangeJob { to, .. } => to,
            _ => None,
        };
        std::iter::once(self.contractor).chain(other)
    }

    /// Asks the service for it, once: a retry carries the same key or the same version. False where
    /// nothing was to be changed any more.
    pub(super) async fn carry_out(&self, client: &Client) -> Result<bool, CallError> {
        let (contractor, version) = (self.contractor, self.version);
        let key = Uuid::new_v4().to_string();
        match &self.action {
            Action::Book(job) => client.book(contractor, &key, job).await.map(|()| true),
            // Another schedule has versions of its own, and a job that comes to it changes it.
            Action::ChangeJob { job, to, patch } => {
                let changed = client.change_job(*job, version, patch).await?;
                Ok(changed || to.is_some())
            }
            Action::Cancel(job) => client.cancel(*job).await,
            Action::TakeOff(off) => client
                .add_time_off(contractor, &key, off)
                .await
                .map(|()| true),
            Action::EndTimeOff(off) => client.end_time_off(contractor, *off).await,
            Action::PutDay(date, day) => client.put_day(contractor, version, *date, day).await,
            Action::DeleteDay(date) => client.delete_day(contractor, version, *date).await,
            Action::Patch(patch) => client.patch_schedule(contractor, version, patch).await,
        }
    }
}
