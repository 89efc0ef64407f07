//! Asks the worker over HTTP.

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use uuid::Uuid;

use super::question::Question;
use crate::http_client::{AnswerReader, authority, connect, get};

/// One connection to the worker.
#[derive(Debug)]
pub struct Asking {
    host: String,
    answers: AnswerReader,
    socket: OwnedWriteHalf,
}

/// A contractor who can take it: the earliest start in minutes since the epoch, and the id.
pub type Answer = (i64, Uuid);

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    contractor_id: Uuid,
    earliest_start: DateTime<Utc>,
}

impl Asking {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn connect(worker_url: &str) -> Result<Self> {
        let host = authority(worker_url)?.to_owned();
        let (answers, socket) = connect(&host).await?;
        Ok(Self {
            host,
            answers,
            socket,
        })
    }

    /// Asks for a path; the status of the answer.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn status_of(&mut self, path: &str) -> Result<u16> {
        self.socket.write_all(&get(path, &self.host)).await?;
        Ok(self.answers.next().await?.status)
    }

    /// Asks and waits for the answer, which has to be 200.
    ///
    /// # Errors
    /// When it is another.
    pub async fn ask(&mut self, path: &str) -> Result<()> {
        self.socket.write_all(&get(path, &self.host)).await?;
        let answer = self.answers.next().await?;
        if answer.status != 200 {
            bail!("{path} is answered {answer:?}");
        }
        Ok(())
    }

    /// The whole answer to a question, page by page.
    ///
    /// # Errors
    /// When a page is refused.
    pub async fn all_of(&mut self, question: &Question) -> Result<Vec<Answer>> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let path = question.path(200, cursor.as_deref());
            self.socket.write_all(&get(&path, &self.host)).await?;
            let (answer, body) = self.answers.next_with_body().await?;
            if answer.status != 200 {
                bail!("{path} is answered {answer:?}");
            }
            let page: Page = serde_json::from_slice(&body)?;
            all.extend(
                page.items
                    .iter()
                    .map(|item| (item.earliest_start.timestamp() / 60, item.contractor_id)),
            );
            match page.next_cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }
}
