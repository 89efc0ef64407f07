//! `GET /v1/subscriptions`: who is connected.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared_events::service::{Problem, ProblemDocument};

use super::AppState;
use crate::filter::Filter;

/// So many are listed at most.
const MOST: usize = 1_000;

/// What is to be listed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Wanted {
    territory: Option<String>,
    #[serde(default)]
    sort: Order,
    limit: Option<usize>,
}

/// Which ones come first.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum Order {
    /// Those that are furthest behind.
    #[default]
    Lag,
    /// Those that have been there longest.
    Age,
}

/// The streams that are open on this notifier.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Listing {
    /// How many there are of those that were asked for, listed or not.
    total: usize,
    /// The first of them.
    subscriptions: Vec<Listed>,
}

/// An open stream.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    /// Where it comes from.
    #[schema(value_type = String)]
    address: std::net::IpAddr,
    /// What the client calls itself, shortened.
    agent: String,
    /// Since when it is open.
    opened_at: DateTime<Utc>,
    /// For how many seconds.
    age_seconds: i64,
    /// How many events are in memory that it has yet to look at; null while it is being served from
    /// the stream, or waits.
    lag_events: Option<u64>,
    /// What it is shown.
    filters: Filter,
}

/// List the open streams
///
/// Those of this notifier alone. For people who run it.
#[utoipa::path(
    get,
    path = "/v1/subscriptions",
    tag = "events",
    security(("token" = ["operate"])),
    params(
        ("territory" = Option<String>, Query,
            description = "Only streams that are shown this territory, all of them among others"),
        ("sort" = Option<Order>, Query, description = "`lag` (the default) or `age`"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000,
            description = "So many at most; 100 by default"),
    ),
    responses(
        (status = 200, description = "The streams", body = Listing),
        (status = 422, description = "A parameter is refused", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(
    State(state): State<AppState>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Listing>, Problem> {
    let Query(wanted) =
        wanted.map_err(|refused| Problem::invalid().field("/", refused.body_text()))?;
    let limit = wanted.limit.unwrap_or(100);
    if !(1..=MOST).contains(&limit) {
        let fault = format!("must be from 1 to {MOST}");
        return Err(Problem::invalid().field("/limit", fault));
    }
    let shows = |filter: &Filter| {
        wanted.territory.as_ref().is_none_or(|territory| {
            filter.territories.is_empty() || filter.territories.contains(territory.as_str())
        })
    };
    let mut all = state.subscriptions.all();
    all.retain(|(slot, _)| shows(&slot.filter));
    match wanted.sort {
        Order::Lag => all.sort_by_key(|(slot, lag)| (Reverse(*lag), slot.opened)),
        Order::Age => all.sort_by_key(|(slot, _)| slot.opened),
    }
    let now = state.clock.now();
    let total = all.len();
    let listed = all
        .into_iter()
        .take(limit)
        .map(|(slot, lag_events)| Listed {
            address: slot.caller.address,
            agent: slot.caller.agent.to_string(),
            opened_at: slot.opened,
            age_seconds: (now - slot.opened).num_seconds().max(0),
            lag_events,
            filters: (*slot.filter).clone(),
        });
    Ok(Json(Listing {
        total,
        subscriptions: listed.collect(),
    }))
}
