//! One connection, with a bound on every wait.

use std::time::Duration;

use lapin::options::BasicConsumeOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::OwnedTLSConfig;
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, DefaultConnectionBuilder, ErrorKind};
use rand::RngExt;

use super::access::Access;
use super::declare::declare_topology;
use crate::topology::Part;
use crate::trust::{TrustSettings, refused_certificate, told};

/// How to reach RabbitMQ.
#[derive(Debug, Clone, clap::Args)]
pub struct AmqpSettings {
    /// RabbitMQ: `amqp://user:password@host:port/vhost`, or `amqps://…`
    #[arg(
        long,
        env = "AMQP_URL",
        hide_env_values = true,
        default_value = "amqp://guest:guest@127.0.0.1:5672/%2f",
        value_parser = parse_uri
    )]
    pub amqp_url: AMQPUri,

    /// Seconds to wait for a connection to RabbitMQ and its topology
    #[arg(long, env = "AMQP_CONNECT_TIMEOUT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub amqp_connect_timeout_seconds: u64,

    /// Seconds to wait for the broker to confirm what was published
    #[arg(long, env = "AMQP_PUBLISH_TIMEOUT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub amqp_publish_timeout_seconds: u64,

    /// Seconds between heartbeats; a silent broker is given up after twice that. As often an idle
    /// consumer asks its queue whether it still knows it
    #[arg(long, env = "AMQP_HEARTBEAT_SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=300))]
    pub amqp_heartbeat_seconds: u16,

    /// Seconds for which RabbitMQ may refuse the user, a right, the virtual host or a queue's arguments, or
    /// show a certificate that is refused, before the process ends and says so; a broker that is away is
    /// waited for without end
    #[arg(long, env = "AMQP_REFUSED_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub amqp_refused_seconds: u64,

    #[arg(skip)]
    access: Access,

    #[arg(skip)]
    trust: TrustSettings,
}

impl AmqpSettings {
    /// The same, for a process that trusts as `trust` says.
    #[must_use]
    pub fn trusting(mut self, trust: &TrustSettings) -> Self {
        self.trust = trust.clone();
        self
    }

    /// Waits until the broker has refused this process for `AMQP_REFUSED_SECONDS`, and says how.
    /// All clones of these settings are one process in this.
    pub async fn refused_for_good(&self) -> String {
        let limit = Duration::from_secs(self.amqp_refused_seconds);
        self.access.refused_for(limit).await
    }

    /// Notes that the broker has let this process do something over its connections.
    pub fn was_let(&self, what: &'static str) {
        self.access.not_refused(what);
    }

    /// Notes why the broker has not: a user that lacks the right to it is refused as one that is not let
    /// in at all.
    pub fn was_not_let(&self, what: &'static str, error: &lapin::Error) {
        if is_denial(error) {
            self.access.refused(what, error);
        } else {
            self.access.not_refused(what);
        }
    }

    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.amqp_heartbeat_seconds.into())
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.amqp_connect_timeout_seconds)
    }

    pub(super) fn publish_timeout(&self) -> Duration {
        Duration::from_secs(self.amqp_publish_timeout_seconds)
    }
}

fn parse_uri(text: &str) -> Result<AMQPUri, String> {
    // The text may hold a password, so the error does not repeat it.
    text.parse()
        .map_err(|_| "not an AMQP URL, such as amqp://user:password@host:5672/%2f".to_owned())
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The broker refused, broke off or could not be reached.
    #[error("cannot connect to RabbitMQ: {}", told(.0))]
    Broker(#[from] lapin::Error),
    /// Nothing was heard in time.
    #[error("cannot connect to RabbitMQ: no answer within {0:?}")]
    TimedOut(Duration),
}

/// Connects and declares a part of the topology.
///
/// `name` is shown in RabbitMQ's list of connections.
pub async fn connect(
    settings: &AmqpSettings,
    name: &str,
    part: Part,
) -> Result<Connection, ConnectError> {
    let mut uri = settings.amqp_url.clone();
    uri.query.heartbeat = Some(settings.amqp_heartbeat_seconds);
    let limit = settings.connect_timeout();
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let tls = OwnedTLSConfig {
        identity: None,
        cert_chain: settings.trust.pem().map(str::to_owned),
    };
    let connected = tokio::time::timeout(limit, async {
        let connection = DefaultConnectionBuilder::new()?
            .with_uri(uri)
            .with_properties(properties)
            .with_tls_config(tls)
            .connect()
            .await?;
        declare(&connection, part).await?;
        Ok::<_, lapin::Error>(connection)
    })
    .await;
    match &connected {
        Ok(Err(error)) if is_refusal(error) => settings.access.refused(CONNECTING, &told(error)),
        _ => settings.access.not_refused(CONNECTING),
    }
    Ok(connected.map_err(|_| ConnectError::TimedOut(limit))??)
}

/// Begins to consume a queue.
///
/// May be dropped at any moment, as when it takes too long: then the consumer is cancelled and its
/// channel closed as soon as the broker has answered.
pub async fn consume(
    channel: &Channel,
    queue: &'static str,
    arguments: FieldTable,
) -> lapin::Result<lapin::Consumer> {
    let channel = channel.clone();
    // On a task of its own: where lapin's future is dropped between question and answer, nobody has the
    // consumer and yet it lives on, with its channel and its connection, and keeps the messages that it gets.
    let asking = tokio::spawn(async move {
        let options = BasicConsumeOptions::default();
        channel
            .basic_consume(queue.into(), "".into(), options, arguments)
            .await
    });
    asking.await.map_err(std::io::Error::other)?
}

/// Declares a part of the topology over a channel of its own.
pub(super) async fn declare(connection: &Connection, part: Part) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    declare_topology(&channel, part).await?;
    channel.close(200, "declared".into()).await
}

const CONNECTING: &str = "connecting";

/// Whether the broker said no, and will say it again: to the user (403), to the virtual host (530)
/// or to a topology that is there with other arguments (406); or we say no, to its certificate.
fn is_refusal(error: &lapin::Error) -> bool {
    if refused_certificate(error).is_some() {
        return true;
    }
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return false;
    };
    let other = matches!(
        protocol.kind(),
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)
    );
    other || is_denial(error)
}

/// Whether the user lacks the right to this.
fn is_denial(error: &lapin::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProtocolError(error)
            if *error.kind() == AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
    )
}

/// Growing waits between attempts: from 100 ms, doubling, to 5 s, each shortened at random by up to
/// half so that many processes do not come back in step.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// True until the first wait since the start or the last reset: the moment to log a failure.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// How long to wait before the next attempt.
    #[must_use]
    pub fn next_wait(&mut self) -> Duration {
        let longest = Self::FIRST
            .saturating_mul(1 << self.failures.min(10))
            .min(Self::LONGEST);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{AmqpSettings, Backoff};
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        amqp: AmqpSettings,
    }

    #[test]
    fn a_bad_url_is_refused_without_repeating_its_password() {
        let error = Cli::try_parse_from(["x", "--amqp-url", "http://user:secret@host"])
            .err()
            .map(|e| e.render().to_string())
            .unwrap_or_default();
        assert!(error.contains("not an AMQP URL"), "{error}");
        assert!(Cli::try_parse_from(["x"]).is_ok_and(|c| c.amqp.amqp_heartbeat_seconds == 10));
    }

    #[test]
    fn waits_grow_to_a_bound_and_start_over_after_a_success() {
        let mut backoff = Backoff::default();
        for failure in 0..100_u32 {
            let longest = Backoff::FIRST
                .saturating_mul(1 << failure.min(10))
                .min(Backoff::LONGEST);
            let wait = backoff.next_wait();
            assert!(
                wait <= longest && wait >= longest / 2,
                "{failure}: {wait:?}"
            );
        }
        backoff.reset();
        assert!(backoff.is_fresh() && backoff.next_wait() <= Backoff::FIRST);
    }
}
