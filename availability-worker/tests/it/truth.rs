//! A stand-in for schedule-service: the routes that the worker calls, as the contract says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use shared_events::Schedule;
use tokio::sync::watch;
use uuid::Uuid;

/// What it knows and how it behaves.
pub(crate) struct Truth {
    schedules: Mutex<HashMap<Uuid, Schedule>>,
    asked: AtomicUsize,
    broken: AtomicBool,
    open: watch::Sender<bool>,
    further_pages: watch::Sender<bool>,
    pub(crate) url: String,
}

impl Truth {
    pub(crate) async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let truth = Arc::new(Self {
            schedules: Mutex::default(),
            asked: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            open: watch::Sender::new(true),
            further_pages: watch::Sender::new(true),
            url: format!("http://{}", listener.local_addr().unwrap()),
        });
        let router = Router::new()
            .route("/v1/contractors/{id}/schedule", get(answer))
            .route("/v1/schedules", get(page))
            .with_state(Arc::clone(&truth));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        truth
    }

    pub(crate) fn knows(&self, schedule: &Schedule) {
        self.schedules
            .lock()
            .unwrap()
            .insert(schedule.contractor_id, schedule.clone());
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Answers 500 from now on, or no longer.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Holds back every page of schedules but the first, or no longer.
    pub(crate) fn set_further_pages(&self, open: bool) {
        self.further_pages.send_replace(open);
    }

    /// Holds its answers back until it is opened again.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

async fn answer(State(truth): State<Arc<Truth>>, Path(id): Path<Uuid>) -> Response {
    truth.asked.fetch_add(1, Ordering::SeqCst);
    truth.open.subscribe().wait_for(|open| *open).await.unwrap();
    if truth.broken.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match truth.schedules.lock().unwrap().get(&id) {
        Some(schedule) => Json(schedule).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(serde::Deserialize)]
struct Page {
    after: Uuid,
    limit: usize,
}

async fn page(State(truth): State<Arc<Truth>>, Query(page): Query<Page>) -> Response {
    if truth.broken.load(Ordering::SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    if !page.after.is_nil() {
        let mut further_pages = truth.further_pages.subscribe();
        further_pages.wait_for(|open| *open).await.unwrap();
    }
    let schedules = truth.schedules.lock().unwrap();
    let mut all: Vec<_> = schedules
        .values()
        .filter(|s| s.contractor_id > page.after)
        .collect();
    all.sort_by_key(|schedule| schedule.contractor_id);
    let lines = all
        .into_iter()
        .take(page.limit)
        .map(|s| serde_json::to_string(s).unwrap() + "\n");
    lines.collect::<String>().into_response()
}
