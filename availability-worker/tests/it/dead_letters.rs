//! Dead letters, as an operator deals with them.

use availability_worker::dead_letters::{DeadLetters, Report, run};
use clap::Parser;
use serde_json::{Value, json};
use shared_events::topology::DEAD_LETTER_QUEUE;

use crate::world::{NOW, World, contractor, contractor_with, message, used};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: DeadLetters,
}

/// Runs `dead-letters` with these arguments; says its report and its output.
async fn dead_letters(world: &World, arguments: &[&str]) -> (Report, String) {
    let url = used(&world.bed).amqp_url;
    let all = [&["dead-letters"], arguments, &["--amqp-url", &url]].concat();
    let command = Cli::try_parse_from(all).unwrap().command;
    let mut output = Vec::new();
    let report = run(command, NOW.parse().unwrap(), &mut output)
        .await
        .unwrap();
    (report, String::from_utf8(output).unwrap())
}

fn report(seen: u64, matched: u64) -> Report {
    Report { seen, matched }
}

/// Three dead letters: two broken schedules, and no JSON at all.
async fn poisoned() -> World {
    let world = World::new().await;
    let nowhere = |n| {
        message(&contractor_with(
            n,
            3,
            &json!({"timeZone": "Europe/Atlantis"}),
        ))
    };
    let mut garbage = message(&contractor(9, 1));
    garbage.body = b"no JSON\n".to_vec();
    world
        .publish_messages(&[nowhere(1), nowhere(2), garbage])
        .await;
    world
        .until("three dead letters", async || {
            dead_letters(&world, &["list"]).await.0 == report(3, 3)
        })
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_and_shown_by_what_is_known_of_them_and_stay() {
    let world = poisoned().await;
    let one = uuid::Uuid::from_u128(1).to_string();
    for (arguments, matched) in [
        (vec!["list"], 3),
        (vec!["list", "--reason", "Atlantis"], 2),
        (
            vec!["list", "--reason", "Atlantis", "--contractor", &one],
            1,
        ),
        (vec!["list", "--min-attempts", "2"], 0),
        (vec!["list", "--older-than", "1h"], 0),
        (vec!["list", "--younger-than", "1h"], 3),
        (vec!["redrive", "--dry-run", "--contractor", &one], 1),
        (
            vec!["discard", "--dry-run", "--reason", "not a Schedule"],
            1,
        ),
    ] {
        let (told, output) = dead_letters(&world, &arguments).await;
        assert_eq!(told, report(3, matched), "{arguments:?}");
        assert_eq!(output.lines().count() as u64, matched, "{output}");
    }
    let (_, shown) = dead_letters(&world, &["show", "--contractor", &one]).await;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["version"], &shown["attempts"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(shown["routingKey"], "schedule.updated.v1.north");
    assert_eq!(
        shown["body"]["data"]["schedule"]["timeZone"],
        "Europe/Atlantis"
    );
    assert_eq!(
        shown["reason"],
        "timeZone: unknown time zone \"Europe/Atlantis\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_letter_is_handled_like_any_event_and_twice_does_no_harm() {
    let world = World::new().await;
    // What the worker could not take once, and can now.
    let schedule = contractor(1, 4);
    let letter = || {
        let mut letter = message(&schedule);
        letter.exchange = "";
        letter.routing_key = DEAD_LETTER_QUEUE.to_owned();
        letter
    };
    world.publish_messages(&[letter(), letter()]).await;
    let newer = contractor(2, 7);
    world.publish(&[&newer]).await;
    world.told_of(&newer).await;
    let mut stale = message(&contractor(2, 6));
    stale.exchange = "";
    stale.routing_key = DEAD_LETTER_QUEUE.to_owned();
    world.publish_messages(&[stale]).await;
    world
        .until("the letters are there", async || {
            dead_letters(&world, &["list"]).await.0.seen == 3
        })
        .await;
    let before = world.cached().await;

    let (told, _) = dead_letters(&world, &["redrive", "--rate", "1000"]).await;
    assert_eq!(told, report(3, 3));
    world.told_of(&schedule).await;
    let last = contractor(3, 1);
    world.publish(&[&last]).await;
    world.told_of(&last).await;
    assert_eq!(dead_letters(&world, &["redrive"]).await.0, report(0, 0));
    let after = world.cached().await;
    let of = |id: u128| uuid::Uuid::from_u128(id).to_string();
    for kept in before.iter().filter(|(_, id, _)| *id == of(2)) {
        assert!(after.contains(kept), "an older version changes nothing");
    }
    assert!(after.iter().any(|(_, id, _)| *id == of(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn discarding_takes_what_the_filter_says_and_never_all_unsaid() {
    let world = poisoned().await;
    let (told, _) = dead_letters(&world, &["discard", "--reason", "Atlantis"]).await;
    assert_eq!(told, report(3, 2));
    let command = Cli::parse_from(["x", "discard", "--amqp-url", world.bed.amqp_url()]).command;
    let refused = run(command, NOW.parse().unwrap(), &mut Vec::new()).await;
    assert!(refused.unwrap_err().to_string().contains("--all"));
    assert_eq!(dead_letters(&world, &["list"]).await.0, report(1, 1));
    assert_eq!(
        dead_letters(&world, &["discard", "--all"]).await.0,
        report(1, 1)
    );
    assert_eq!(dead_letters(&world, &["list"]).await.0, report(0, 0));
}
