//! The HTTP interface: `/v1`, one file per noun.

mod answer;
mod body;
mod change;
mod changes;
mod contractors;
mod cursor;
mod date_overrides;
mod idempotency;
mod job_move;
mod jobs;
mod path;
mod precondition;
mod query;
mod recent;
mod refusals;
mod schedules;
mod time_off;

use std::sync::Arc;

use axum::Router;
use shared_events::service::{Clock, Problem, auth};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use recent::Recent;

use crate::config::HttpSettings;
use crate::error::from_store;
use crate::outbox_relay::HandOver;

/// What the handlers work with. Clones are the same.
#[derive(Debug, Clone)]
pub struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    pool: PgPool,
    clock: Clock,
    settings: HttpSettings,
    hand_over: HandOver,
    recent: Recent,
}

impl Api {
    /// The interface over these.
    #[must_use]
    pub fn new(pool: PgPool, clock: Clock, settings: HttpSettings, hand_over: HandOver) -> Self {
        let recent = Recent::new(settings.recent_schedules);
        Self(Arc::new(Shared {
            pool,
            clock,
            settings,
            hand_over,
            recent,
        }))
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn settings(&self) -> &HttpSettings {
        &self.0.settings
    }

    fn recent(&self) -> &Recent {
        &self.0.recent
    }

    fn hand_over(&self) -> &HandOver {
        &self.0.hand_over
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.clock().now()
    }

    async fn connection(&self) -> Result<PoolConnection<Postgres>, Problem> {
        self.0
            .pool
            .acquire()
            .await
            .map_err(|error| from_store(error.into()))
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "Rosterwire schedule-service",
    description = "The write side and the system of record: contractors, schedules and jobs.\n\n\
        Every schedule has one version, +1 with each committed change; a change that changes nothing \
        keeps it. Every write answers the new version as its ETag. If-Match is required on PATCH and \
        PUT of a schedule (428 without it, 412 when it is another version) and honoured on every \
        other write. Idempotency-Key is honoured on every POST for 24 hours by default: the same key \
        with the same body answers the first response again, with `Idempotency-Replayed: true`; the \
        same key with another body or on another route is 422. Answers 200 to 299, 404, 409 and 412 \
        are remembered; what was refused before anything was looked up is not.\n\n\
        Errors are problem documents (RFC 9457), with `errors[]` that point at bad fields. An id in \
        a path that is no UUID names nothing: 404. Unknown fields and unknown query parameters are \
        422."
))]
struct Description;

/// The routes and their description.
pub fn routes(api: Api) -> (Router, utoipa::openapi::OpenApi) {
    let (router, mut openapi) = table().split_for_parts();
    auth::describe(&mut openapi);
    (router.with_state(api), openapi)
}

/// The OpenAPI description alone.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut openapi = table().split_for_parts().1;
    auth::describe(&mut openapi);
    openapi
}

fn table() -> OpenApiRouter<Api> {
    let routes = OpenApiRouter::new()
        .routes(routes!(contractors::create, contractors::list))
        .routes(routes!(contractors::read))
        .routes(routes!(schedules::read, schedules::patch))
        .routes(routes!(date_overrides::put, date_overrides::remove))
        .routes(routes!(time_off::add))
        .routes(routes!(time_off::remove))
        .routes(routes!(jobs::book))
        .routes(routes!(jobs::read, jobs::patch, jobs::cancel))
        .routes(routes!(changes::list))
        .routes(routes!(schedules::stream));
    let mut description = Description::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut description.info.version);
    OpenApiRouter::with_openapi(description).nest("/v1", routes)
}
