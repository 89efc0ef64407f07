//! Readers of the stream.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use clap::Parser;
use notifier::stream::{From, StreamReader};
use shared_events::amqp::{AmqpSettings, connect};
use shared_events::topology::Part;
use stack::TestBed;

use crate::running::{DEADLINE, wait_until};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    amqp: AmqpSettings,
}

/// A client that goes while its past is sought takes the reader along. All replays are read over one
/// connection, which has room for so many channels.
#[tokio::test]
async fn a_reader_that_is_dropped_at_any_moment_gives_its_channel_back() {
    const CHANNELS: usize = 4;
    let bed = TestBed::new().await;
    let url = format!("{}?channel_max={CHANNELS}", bed.amqp_url());
    let amqp = Cli::parse_from(["test", "--amqp-url", &url]).amqp;
    let connection = connect(&amqp, "test", Part::All).await.expect("a broker");
    let mut opened = false;
    for moment in 1.. {
        // Those that are given back come back when the broker has said so.
        let mut channels = Vec::new();
        wait_until("all channels to be free", async || {
            while let Ok(channel) = connection.create_channel().await {
                channels.push(channel);
            }
            channels.len() == CHANNELS
        })
        .await;
        for channel in channels {
            channel.close(200, "tried".into()).await.expect("an answer");
        }
        if opened {
            break;
        }
        let mut opening = pin!(StreamReader::open(&connection, From::Next, 1));
        let mut polls = 0;
        let until_dropped = poll_fn(|context| {
            polls += 1;
            match opening.as_mut().poll(context) {
                Poll::Ready(reader) => Poll::Ready(Some(reader)),
                Poll::Pending if polls == moment => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let reader = tokio::time::timeout(DEADLINE, until_dropped).await;
        let reader = reader.expect("an answer within the deadline");
        opened = reader.map(|reader| reader.expect("a stream")).is_some();
    }
}
