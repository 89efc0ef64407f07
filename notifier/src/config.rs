//! Settings: each an option with its environment variable, default and bounds.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};
use shared_events::amqp::AmqpSettings;
use shared_events::service::auth::AuthMode;
use shared_events::service::{ServiceSettings, with_secret_files};

use crate::http::{BoardDocument, SignInWay};
use crate::ring::Limits;

/// Where the notifier listens unless it is told otherwise.
const BIND_ADDR: &str = "127.0.0.1:8082";

/// What the command line asks for.
#[derive(Debug, Clone)]
pub enum Cli {
    /// To serve, with these settings.
    Serve(Box<Config>),
    /// Something else.
    Run(Command),
}

/// What the binary does beside serving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Print the OpenAPI document and end
    Openapi,
    /// Ask the notifier on this machine whether it is ready, for a container's health check
    Healthcheck {
        /// Where it listens
        #[arg(long, env = "BIND_ADDR", default_value = BIND_ADDR)]
        bind_addr: SocketAddr,
    },
}

/// Rosterwire's notifier: fans out updates of schedules and availability as server-sent events
///
/// Without a command it serves. Each setting can be given as an option or in the environment.
#[derive(Debug, Parser)]
#[command(name = "notifier", version)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Arguments {
    #[command(subcommand)]
    _command: Option<Command>,
    #[command(flatten)]
    _config: Config,
}

impl Cli {
    /// Reads the command line, the program's name first, and the environment.
    pub fn try_parse_from<T: Into<OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let (command, arguments) = with_secret_files(Arguments::command(), arguments)?;
        let matches = command.try_get_matches_from(arguments)?;
        // A command needs none of the settings, so it is not refused for one that is missing.
        if matches.subcommand_name().is_some() {
            return Command::from_arg_matches(&matches).map(Self::Run);
        }
        let config = Config::from_arg_matches(&matches)?;
        config.check()?;
        Ok(Self::Serve(Box::new(config)))
    }
}

/// All settings of a serving process.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where to listen; port 0 takes a free one and says so in the log
    #[arg(long, env = "BIND_ADDR", default_value = BIND_ADDR)]
    pub bind_addr: SocketAddr,

    /// What all processes share.
    #[command(flatten)]
    pub service: ServiceSettings,

    /// The broker.
    #[command(flatten, next_help_heading = "RabbitMQ")]
    pub amqp: AmqpSettings,

    /// Reading the stream.
    #[command(flatten)]
    pub feed: FeedSettings,

    /// The events in memory.
    #[command(flatten)]
    pub ring: RingSettings,

    /// Reading what is no longer in memory.
    #[command(flatten)]
    pub replay: ReplaySettings,

    /// The clients.
    #[command(flatten)]
    pub clients: ClientSettings,

    /// The board.
    #[command(flatten)]
    pub board: BoardSettings,
}

impl Config {
    /// What one setting asks of others.
    fn check(&self) -> Result<(), clap::Error> {
        let is_safe =
            self.service.auth.auth_mode == AuthMode::Hs256 && self.bind_addr.ip().is_loopback();
        if self.board.board_automatic_sign_in && !is_safe {
            let text = "BOARD_AUTOMATIC_SIGN_IN (--board-automatic-sign-in) signs in whoever opens the \
                        board: it needs AUTH_MODE=hs256 and a BIND_ADDR of this machine alone, such \
                        as 127.0.0.1:8082";
            return Err(Arguments::command().error(ErrorKind::ArgumentConflict, text));
        }
        Ok(())
    }

    /// What the board is told.
    #[must_use]
    pub fn board_document(&self) -> BoardDocument {
        BoardDocument {
            schedule_service_url: self.board.schedule_service_url.clone(),
            availability_url: self.board.availability_url.clone(),
            sign_in: match self.service.auth.auth_mode {
                AuthMode::Disabled => SignInWay::None,
                _ if self.board.board_automatic_sign_in => SignInWay::Automatic,
                AuthMode::Hs256 | AuthMode::Jwks => SignInWay::Token,
            },
        }
    }
}

/// The board.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Board")]
pub struct BoardSettings {
    /// Whether whoever opens the board on this machine is signed in as a dispatcher of all territories,
    /// without a token. For trying it out: needs AUTH_MODE=hs256 and a BIND_ADDR of this machine alone
    #[arg(long, env = "BOARD_AUTOMATIC_SIGN_IN", default_value_t = false, action = ArgAction::Set)]
    pub board_automatic_sign_in: bool,

    /// Where schedule-service is, as the dispatchers' browsers reach it
    #[arg(long, env = "SCHEDULE_SERVICE_URL", default_value = "http://127.0.0.1:8080", value_parser = service_url)]
    pub schedule_service_url: String,

    /// Where availability-worker is, as the dispatchers' browsers reach it
    #[arg(long, env = "AVAILABILITY_URL", default_value = "http://127.0.0.1:8081", value_parser = service_url)]
    pub availability_url: String,
}

/// Reading the stream.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Feed")]
pub struct FeedSettings {
    /// Messages that the broker sends ahead of their acknowledgement
    #[arg(long, env = "FEED_PREFETCH", default_value_t = 2_000, value_parser = value_parser!(u16).range(10..))]
    pub feed_prefetch: u16,

    /// Seconds that the broker may take to answer before the connection is built anew
    #[arg(long, env = "FEED_TIMEOUT_SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..=300))]
    pub feed_timeout_seconds: u64,

    /// After so many seconds without a message, a marker is sent to the stream and waited for: brokers
    /// do not always tell their readers that a stream was deleted
    #[arg(long, env = "FEED_PROBE_SECONDS", default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    pub feed_probe_seconds: u64,

    /// At the start, the events of the last so many seconds are read into memory
    #[arg(long, env = "RING_PRELOAD_SECONDS", default_value_t = 600, value_parser = value_parser!(u64).range(0..=604_800))]
    pub ring_preload_seconds: u64,

    /// So many messages before the first one that is shown are read for their versions alone, so
    /// that a client that resumes elsewhere sees no version go back
    #[arg(long, env = "PRIME_EVENTS", default_value_t = 5_000, value_parser = value_parser!(u64).range(0..=1_000_000))]
    pub prime_events: u64,

    /// Versions are remembered for at least so many contractors and kinds of events, about 64
    /// bytes each; for twice as many at most
    #[arg(long, env = "MAX_CONTRACTORS", default_value_t = 1_000_000, value_parser = at_least_one)]
    pub max_contractors: usize,
}

/// The events in memory.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Ring")]
pub struct RingSettings {
    /// The newest events that are kept in memory, at most so many
    #[arg(long, env = "RING_EVENTS", default_value_t = 65_536, value_parser = at_least_one)]
    pub ring_events: usize,

    /// The newest events that are kept in memory, at most so many bytes of them
    #[arg(long, env = "RING_BYTES", default_value_t = 64 * 1024 * 1024, value_parser = at_least_one)]
    pub ring_bytes: usize,
}

impl RingSettings {
    /// How much the ring holds.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            events: self.ring_events,
            bytes: self.ring_bytes,
        }
    }
}

/// Reading what is no longer in memory.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Replay")]
pub struct ReplaySettings {
    /// Clients that resume from before what is in memory and are served at once; others wait
    #[arg(long, env = "REPLAY_READERS", default_value_t = 8, value_parser = value_parser!(u16).range(1..=1000))]
    pub replay_readers: u16,

    /// Seconds that such a client waits for its turn before its stream ends; it comes again
    #[arg(long, env = "REPLAY_WAIT_SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=600))]
    pub replay_wait_seconds: u64,

    /// Seconds that one replay may take before its stream ends; the client resumes where it is
    #[arg(long, env = "REPLAY_SECONDS", default_value_t = 120, value_parser = value_parser!(u64).range(1..=3600))]
    pub replay_seconds: u64,

    /// Messages that the broker sends ahead to a replay
    #[arg(long, env = "REPLAY_PREFETCH", default_value_t = 500, value_parser = value_parser!(u16).range(10..))]
    pub replay_prefetch: u16,
}

/// The clients.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Clients")]
pub struct ClientSettings {
    /// Event streams that are open at once; over it a request is answered 503. Keep it below
    /// MAX_CONNECTIONS, so that health checks still get in
    #[arg(long, env = "MAX_STREAMS", default_value_t = 19_000, value_parser = at_least_one)]
    pub max_streams: usize,

    /// Event streams that are open at once from one address (an IPv6 network of 64 bits counts as
    /// one); over it a request is answered 429. An office or a proxy is one address
    #[arg(long, env = "MAX_STREAMS_PER_ADDRESS", default_value_t = 19_000, value_parser = value_parser!(u32).range(1..))]
    pub max_streams_per_address: u32,

    /// Event streams that are open at once for one user, which is the subject of a token; over it a
    /// request is answered 429. Where AUTH_MODE is disabled there are no users
    #[arg(long, env = "MAX_STREAMS_PER_USER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    pub max_streams_per_user: u32,

    /// New event streams a second from one address, on the long run; over it a request is answered
    /// 429. As many as MAX_STREAMS_PER_ADDRESS may come at once
    #[arg(long, env = "NEW_STREAMS_PER_SECOND", default_value_t = 500, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub new_streams_per_second: u32,

    /// Milliseconds that a `schedule.updated` may wait for the `availability.updated` that follows it,
    /// so that one write takes both to a client; 0: it does not wait
    #[arg(long, env = "SCHEDULE_WAIT_MS", default_value_t = 2, value_parser = value_parser!(u64).range(0..=1_000))]
    pub schedule_wait_ms: u64,

    /// Seconds between the comments that keep proxies from closing a quiet stream
    #[arg(long, env = "HEARTBEAT_SECONDS", default_value_t = 15, value_parser = value_parser!(u64).range(1..=300))]
    pub heartbeat_seconds: u64,

    /// Seconds after which a client that takes nothing is cut off. Clients that still answer, but
    /// whose HTTP/2 streams take nothing, are found by their heartbeats: to the accuracy of
    /// HEARTBEAT_SECONDS
    #[arg(long, env = "WRITE_TIMEOUT_SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=3600))]
    pub write_timeout_seconds: u64,

    /// Seconds that a client waits for the feed to be there before its stream ends
    #[arg(long, env = "START_WAIT_SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=600))]
    pub start_wait_seconds: u64,

    /// Values that each filter parameter may have
    #[arg(long, env = "MAX_FILTER_VALUES", default_value_t = 100, value_parser = at_least_one)]
    pub max_filter_values: usize,
}

impl ClientSettings {
    /// A client that leaves so many heartbeats in a row untaken is cut off.
    #[must_use]
    pub fn patience(&self) -> u32 {
        let heartbeats = self
            .write_timeout_seconds
            .div_ceil(self.heartbeat_seconds.max(1));
        u32::try_from(heartbeats).unwrap_or(u32::MAX)
    }

    /// How long a `schedule.updated` may wait for more.
    #[must_use]
    pub fn schedule_wait(&self) -> Duration {
        Duration::from_millis(self.schedule_wait_ms)
    }

    /// Between two comments.
    #[must_use]
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds)
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}")),
    }
}

/// An address that paths are put after, and that a policy of pages can name.
fn service_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let names_a_host = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']'))
    };
    if host.is_some_and(names_a_host) {
        Ok(url.to_owned())
    } else {
        Err("not an address without a path, such as http://127.0.0.1:8080".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Cli, Command};
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_setting_has_an_environment_variable_and_is_told_by_help() {
        let mut command = Arguments::command();
        let help = command.render_long_help().to_string();
        for argument in command.get_arguments() {
            let id = argument.get_id().as_str();
            if !matches!(id, "help" | "version") {
                let variable = argument.get_env().expect(id).to_string_lossy().into_owned();
                assert!(help.contains(&variable), "{variable}");
            }
        }
    }

    #[test]
    fn serving_needs_the_word_on_access_and_printing_does_not() {
        let printing = Cli::try_parse_from(["notifier", "openapi"]).expect("a command");
        assert!(matches!(printing, Cli::Run(Command::Openapi)));
        let asking = Cli::try_parse_from(["notifier", "healthcheck", "--bind-addr=[::]:80"]);
        let Ok(Cli::Run(Command::Healthcheck { bind_addr })) = asking else {
            panic!("{asking:?}")
        };
        assert_eq!(bind_addr.port(), 80);
        let serving = Cli::try_parse_from(["notifier", "--auth-mode", "disabled"]);
        let Ok(Cli::Serve(config)) = serving else {
            panic!("{serving:?}")
        };
        assert_eq!(config.ring.ring_events, 65_536);
    }

    #[test]
    fn nobody_is_signed_in_automatically_from_elsewhere_or_without_a_secret() {
        let secret = "--auth-hs256-secret=0123456789abcdef0123456789abcdef";
        let asked = |more: &[&'static str]| {
            let fixed = ["notifier", "--board-automatic-sign-in=true", secret];
            Cli::try_parse_from(fixed.iter().chain(more))
        };
        assert!(asked(&["--auth-mode=hs256"]).is_ok());
        assert!(asked(&["--auth-mode=hs256", "--bind-addr=[::1]:0"]).is_ok());
        for unsafe_settings in [
            &["--auth-mode=disabled"][..],
            &["--auth-mode=hs256", "--bind-addr=0.0.0.0:8082"],
            &[
                "--auth-mode=jwks",
                "--auth-jwks-url=https://login.example/keys",
            ],
        ] {
            let error = asked(unsafe_settings).expect_err("a refusal").to_string();
            assert!(error.contains("BOARD_AUTOMATIC_SIGN_IN"), "{error}");
        }
    }

    #[test]
    fn bad_settings_are_refused_by_name() {
        for (option, value) in [
            ("--ring-events", "0"),
            ("--heartbeat-seconds", "0"),
            ("--allowed-origins", "*"),
            ("--allowed-origins", "https://a/b"),
            ("--bind-addr", "nowhere"),
        ] {
            let error = Cli::try_parse_from(["notifier", "--auth-mode", "disabled", option, value])
                .expect_err(option);
            assert!(error.to_string().contains(option), "{error}");
        }
    }
}
