//! Looking into the dead-letter queue, sending letters through once more, and throwing them away.
//!
//! Letters are taken off the queue one by one and given back by closing the channel, so that nothing is
//! held in memory but one of them, and a run that is broken off changes nothing more. Redriving
//! publishes a letter into the workers' queue and takes it away only once the broker has confirmed
//! that: broken off in between, it is handled twice, which the version guard makes harmless.

mod filter;
mod letter;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use shared_events::amqp::{AmqpSettings, Publisher, connect};
use shared_events::topology::{DEAD_LETTER_QUEUE, Part};
use shared_events::trust::TrustSettings;
use tokio::time::{MissedTickBehavior, interval, timeout};

pub use filter::Filter;
use letter::Letter;

/// What to do with dead letters.
#[derive(Debug, Clone, Subcommand)]
pub enum DeadLetters {
    /// One line each: message id, contractor, version, attempts, time and reason, separated by tabs
    List(Selection),
    /// Each whole, with its headers and its body, as one line of JSON
    Show(Selection),
    /// Sends them to the workers once more, with their attempts forgotten; harmless when repeated
    Redrive(Changing),
    /// Throws them away for good
    Discard {
        /// Which, and how
        #[command(flatten)]
        changing: Changing,

        /// Where no filter is given: yes, all of them
        #[arg(long)]
        all: bool,
    },
}

/// Which dead letters, and where.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    amqp: AmqpSettings,

    #[command(flatten)]
    trust: TrustSettings,
}

/// How dead letters are changed.
#[derive(Debug, Clone, Args)]
pub struct Changing {
    #[command(flatten)]
    selection: Selection,

    /// Says what would be done, and does nothing
    #[arg(long)]
    dry_run: bool,

    /// How many a second, at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
}

/// What is done with each letter that passes the filter.
enum Deed<'a> {
    List,
    Show,
    Redrive(&'a Publisher),
    Discard,
    /// Says the word instead of doing it.
    Say(&'static str),
}

/// What a run has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Letters that were looked at.
    pub seen: u64,
    /// Letters that passed the filter, and were dealt with.
    pub matched: u64,
}

/// Does what was asked; results go to `output`, progress and the summary to standard error.
pub async fn run(
    command: DeadLetters,
    now: DateTime<Utc>,
    output: &mut (impl Write + Send),
) -> anyhow::Result<Report> {
    if let DeadLetters::Discard { changing, all } = &command
        && changing.selection.filter.is_open()
        && !all
    {
        bail!("discard without a filter throws everything away: say --all if you mean that");
    }
    let (mut selection, rate) = match &command {
        DeadLetters::List(selection) | DeadLetters::Show(selection) => (selection.clone(), None),
        DeadLetters::Redrive(changing) | DeadLetters::Discard { changing, .. } => {
            (changing.selection.clone(), Some(changing.rate))
        }
    };
    selection.amqp = selection.amqp.trusting(&selection.trust);
    let publisher = Publisher::new(
        selection.amqp.clone(),
        "availability-worker redrive",
        Part::AvailabilityWorker,
    );
    let (deed, done) = match &command {
        DeadLetters::List(_) => (Deed::List, "listed"),
        DeadLetters::Show(_) => (Deed::Show, "shown"),
        DeadLetters::Redrive(changing) if changing.dry_run => {
            (Deed::Say("would redrive"), "would be redriven")
        }
        DeadLetters::Redrive(_) => (Deed::Redrive(&publisher), "redriven"),
        DeadLetters::Discard { changing, .. } if changing.dry_run => {
            (Deed::Say("would discard"), "would be discarded")
        }
        DeadLetters::Discard { .. } => (Deed::Discard, "discarded"),
    };
    let report = go_through(&selection, rate, &deed, now, output).await?;
    eprintln!("{} of {} dead letters {done}", report.matched, report.seen);
    Ok(report)
}

async fn go_through(
    selection: &Selection,
    rate: Option<u32>,
    deed: &Deed<'_>,
    now: DateTime<Utc>,
    output: &mut (impl Write + Send),
) -> anyhow::Result<Report> {
    let limit = Duration::from_secs(selection.amqp.amqp_connect_timeout_seconds);
    let connection = connect(
        &selection.amqp,
        "availability-worker dead-letters",
        Part::AvailabilityWorker,
    )
    .await?;
    let channel = timeout(limit, connection.create_channel())
        .await
        .context("the broker does not answer")??;
    let waiting = timeout(limit, waiting(&channel))
        .await
        .context("the broker does not answer")??;
    let bar = match deed {
        // Results and a bar on one terminal would be in each other's way.
        Deed::List | Deed::Show | Deed::Say(_) => ProgressBar::hidden(),
        Deed::Redrive(_) | Deed::Discard => ProgressBar::new(waiting.into()).with_style(
            ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} eta {eta}")?,
        ),
    };
    let mut pace = rate.map(|rate| {
        let mut pace = interval(Duration::from_secs(1) / rate);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pace
    });
    let mut report = Report::default();
    // What is dead-lettered meanwhile is for the next run: so this one ends.
    for _ in 0..waiting {
        let got = channel.basic_get(DEAD_LETTER_QUEUE.into(), BasicGetOptions::default());
        let Some(message) = timeout(limit, got)
            .await
            .context("the broker does not answer")??
        else {
            break;
        };
        report.seen += 1;
        bar.inc(1);
        let letter = Letter::of(&message.delivery);
        if !selection.filter.admits(&letter, now) {
            continue;
        }
        report.matched += 1;
        if let (Some(pace), Deed::Redrive(_) | Deed::Discard) = (&mut pace, deed) {
            pace.tick().await;
        }
        match deed {
            Deed::List => writeln!(output, "{}", letter.line())?,
            Deed::Show => writeln!(output, "{}", letter.whole())?,
            Deed::Say(word) => writeln!(output, "{word}\t{}", letter.line())?,
            Deed::Redrive(publisher) => {
                let answers = publisher.publish(&[letter.redriven()]).await?;
                for answer in answers {
                    answer.with_context(|| format!("{} was not redriven", letter.message_id))?;
                }
                timeout(limit, message.delivery.ack(BasicAckOptions::default()))
                    .await
                    .context("the broker does not answer")??;
            }
            Deed::Discard => {
                timeout(limit, message.delivery.ack(BasicAckOptions::default()))
                    .await
                    .context("the broker does not answer")??;
            }
        }
    }
    bar.finish_and_clear();
    // Closing gives back what was only looked at, and waits for the acknowledgements to be there.
    timeout(limit, channel.close(200, "done".into()))
        .await
        .context("the broker does not answer")??;
    timeout(limit, connection.close(200, "done".into()))
        .await
        .context("the broker does not answer")??;
    Ok(report)
}

/// How many dead letters there are.
async fn waiting(channel: &Channel) -> lapin::Result<u32> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare(DEAD_LETTER_QUEUE.into(), passive, FieldTable::default())
        .await?;
    Ok(queue.message_count())
}

/// Runs it for the command line.
pub fn obey(command: DeadLetters, now: DateTime<Utc>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run(command, now, &mut io::stdout()))?;
    Ok(())
}
