//! What can come of a request other than its success.

use reqwest::Response;
use shared_events::service::ProblemDocument;

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The service refused it, and said why.
    #[error("{status} {}{}", problem.title, in_words(problem))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's words.
        problem: Box<ProblemDocument>,
    },
    /// An answer that is no success and no problem document.
    #[error("{status} without a problem document")]
    Unexplained {
        /// The HTTP status.
        status: u16,
    },
    /// The service could not be reached, or the answer was no HTTP or broke off.
    #[error("no answer: {}", innermost(.0))]
    NoAnswer(reqwest::Error),
    /// The answer's body is not what the contract says.
    #[error("the answer cannot be read: {0}")]
    Unreadable(serde_json::Error),
    /// A line of the answer is longer than any schedule can be.
    #[error("a line of the answer is too long")]
    TooLong,
    /// A write was answered without the new version.
    #[error("the answer to a write has no ETag")]
    NoEtag,
}

// Both are told whole in the message, so they are no `source` that a chain of errors would repeat.
impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        Self::NoAnswer(error)
    }
}

impl From<serde_json::Error> for CallError {
    fn from(error: serde_json::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl CallError {
    /// What an answer that is no success says.
    pub(super) async fn from_answer(answer: Response) -> Self {
        let status = answer.status().as_u16();
        match answer.json::<ProblemDocument>().await {
            Ok(problem) => Self::Refused {
                status,
                problem: Box::new(problem),
            },
            Err(_) => Self::Unexplained { status },
        }
    }

    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Unexplained { status } => Some(*status),
            Self::NoAnswer(_) | Self::Unreadable(_) | Self::TooLong | Self::NoEtag => None,
        }
    }

    /// Whether the kind of problem has this slug at the end of its `type`.
    #[must_use]
    pub fn is_kind(&self, slug: &str) -> bool {
        match self {
            Self::Refused { problem, .. } => problem.kind.rsplit(':').next() == Some(slug),
            _ => false,
        }
    }
}

fn in_words(problem: &ProblemDocument) -> String {
    let detail = problem.detail.iter().map(|detail| format!(": {detail}"));
    let fields = problem
        .errors
        .iter()
        .map(|error| format!("; {} {}", error.pointer, error.detail));
    detail.chain(fields).collect()
}

/// The last cause, which says more than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
