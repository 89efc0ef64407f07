//! What every Rosterwire process has: settings, telemetry, health, metrics, problem documents,
//! shutdown, and an HTTP listener with bounds on every wait.

pub mod auth;
mod clock;
mod command_line;
pub mod cors;
mod headers;
pub mod health;
mod healthcheck;
pub mod http;
mod limits;
pub mod metrics;
mod observe;
mod problem;
mod request_id;
mod run;
mod secret_files;
mod settings;
mod shutdown;
mod telemetry;
mod tls;

pub use crate::failpoint;
pub use auth::{Access, Caller};
pub use clock::Clock;
pub use command_line::refuse_command_line;
pub use health::Health;
pub use healthcheck::healthcheck;
pub use limits::LimitSettings;
pub use problem::{FieldError, Problem, ProblemDocument};
pub use request_id::{X_REQUEST_ID, current_request_id};
pub use run::run;
pub use secret_files::with_secret_files;
pub use settings::{LogFormat, ServiceSettings};
pub use shutdown::Shutdown;
pub use tls::{Tls, TlsSettings, https_client};
