//! `stack up`: the whole of Rosterwire on this machine, until Ctrl-C.

mod access;
mod progress;
mod running;
mod site;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use stack::Server;
use stack::process::describe;
use stack::state::StateFile;
use stack::supervise::{Event, supervise};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use access::{Access, AccessSettings};
use progress::Progress;
use running::Running;
use site::Site;

/// How often the size of the logs is looked at.
const LOGS_EVERY: Duration = Duration::from_secs(30);

/// Starts the servers, the three services and a demo roster; Ctrl-C ends all.
///
/// The servers are private: on free ports, with their data kept in the folder of the stack. A
/// server that an URL names is used as it is. What dies is started again. While it runs,
/// state.json in that folder says every process's id and address.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    stack up\n  \
    stack up --reset --no-demo\n  \
    DATABASE_URL=postgres://me@db/rosterwire stack up")]
pub(crate) struct Up {
    /// Leave the demo roster out
    #[arg(long)]
    no_demo: bool,

    /// Start from empty data
    #[arg(long)]
    reset: bool,

    /// The folder of data, logs and state.json
    #[arg(long, env = "STACK_DIR", default_value = "target/stack")]
    dir: PathBuf,

    /// A PostgreSQL database to use instead of a private server
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,

    /// A RabbitMQ virtual host to use instead of a private server
    #[arg(long, env = "AMQP_URL", hide_env_values = true)]
    amqp_url: Option<String>,

    /// A Redis server to use instead of a private one
    #[arg(long, env = "REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,

    #[command(flatten)]
    access: AccessSettings,
}

impl Up {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let progress = Progress::begin();
        let (soft, hard) = on_signals()?;
        let site = Site::open(&self.dir).await?;
        let left = site.clear_leftovers().await?;
        if left > 0 {
            progress.say(format!(
                "ended {left} processes that an earlier run had left"
            ));
        }
        if self.reset {
            self.reset(&site)?;
            progress.say("the data is empty now");
        }
        site.begin_logs()?;
        let access = Access::of(&self.access, &site)?;

        let running = tokio::select! {
            running = Box::pin(Running::start(&self, &site, &access, progress)) => running?,
            () = soft.cancelled() => {
                progress.say("stopped before everything was up");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let state = Arc::new(StateFile::create(&site.state(), running.state())?);
        let mut supervised = JoinSet::new();
        for server in running.supervised() {
            let (state, stop) = (Arc::clone(&state), soft.clone());
            let told = Arc::clone(&server);
            supervised.spawn(supervise(server, stop, move |event| {
                tell(&event, &told, &state, progress);
            }));
        }
        running.welcome(&site);
        watch_logs(&site, &soft).await;

        Progress::print("");
        progress.say("ending; Ctrl-C again ends everything at once");
        let ended = async {
            while supervised.join_next().await.is_some() {}
            running.stop(progress).await;
        };
        let code = tokio::select! {
            () = ended => ExitCode::SUCCESS,
            () = hard.cancelled() => {
                running.kill().await;
                ExitCode::from(130)
            }
        };
        progress.say("everything has ended");
        Ok(code)
    }

    fn reset(&self, site: &Site) -> Result<()> {
        let named = [
            ("DATABASE_URL", &self.database_url),
            ("AMQP_URL", &self.amqp_url),
            ("REDIS_URL", &self.redis_url),
        ];
        if let Some((name, _)) = named.iter().find(|(_, url)| url.is_some()) {
            bail!("--reset empties private servers only, and {name} names one that is yours");
        }
        site.empty()
    }
}

/// The first signal asks for an orderly end, the second for an end at once.
fn on_signals() -> Result<(CancellationToken, CancellationToken)> {
    let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let tokens = (soft.clone(), hard.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if soft.is_cancelled() {
                hard.cancel();
            }
            soft.cancel();
        }
    });
    Ok(tokens)
}

async fn watch_logs(site: &Site, soft: &CancellationToken) {
    while !soft.is_cancelled() {
        tokio::select! {
            () = soft.cancelled() => {}
            // A log that cannot be looked at now can be at the next turn.
            () = tokio::time::sleep(LOGS_EVERY) => drop(site.bound_logs()),
        }
    }
}

/// One line for what happened, and the new process into the state.
fn tell(event: &Event, server: &Server, state: &StateFile, progress: Progress) {
    let name = server.name();
    match event {
        Event::Ended { pid, status, wait } => progress.say(format!(
            "{name} (pid {pid}) ended: {}; it starts again in {:.1} s; its log: {}",
            describe(*status),
            wait.as_secs_f64(),
            server.log_path().display()
        )),
        Event::Failed { error, wait } => progress.say(format!(
            "{name} cannot be started: {error:#}; again in {:.1} s",
            wait.as_secs_f64()
        )),
        Event::Started { pid } => {
            if let Err(error) = state.set_pid(name, *pid) {
                progress.say(format!("the state cannot be written: {error}"));
            }
        }
        Event::Healthy { after } => progress.say(format!(
            "{name} is back after {:.1} s (pid {})",
            after.as_secs_f64(),
            server.pid()
        )),
        Event::Unhealthy { error } => progress.say(format!("{name} runs but: {error:#}")),
    }
}
