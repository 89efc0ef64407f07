//! The description of the HTTP interface.

use shared_events::AvailabilityUpdated;
use shared_events::event::FieldValues;
use shared_events::schedule::{DateOverride, Job, LocalWindow, TimeOff};
use shared_events::service::{ProblemDocument, auth};
use utoipa::OpenApi;

use super::{listed, session};
use crate::frame;

/// `notifier/openapi.json` is this, checked by a test.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(
        info(title = "Rosterwire notifier", description = "Live updates as server-sent events"),
        paths(
            super::events::stream,
            super::listed::list,
            session::open,
            session::open_automatically,
            session::read,
            session::close,
        ),
        components(schemas(
            AvailabilityUpdated,
            DateOverride,
            FieldValues,
            Job,
            LocalWindow,
            ProblemDocument,
            TimeOff,
            listed::Listed,
            listed::Listing,
            listed::Order,
            session::Credentials,
            session::Session,
            frame::Ready,
            frame::Reset,
            frame::ScheduleUpdatedData,
        )),
        tags(
            (name = "events", description = "The stream of updates"),
            (name = "session", description = "Signing in from a browser"),
        )
    )]
    struct Document;
    let mut document = Document::openapi();
    auth::describe(&mut document);
    document
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_document_is_what_the_code_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let said = super::document().to_pretty_json().expect("JSON") + "\n";
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            said == committed,
            "notifier/openapi.json is not current; write it anew with: \
             cargo run -p notifier -- openapi > notifier/openapi.json"
        );
    }
}
