//! The dispatcher board in Chromium, by the scripts in `notifier/board/browser`, on the whole system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use stack::ServiceKind;
use stack::ports::{self, Port};
use stack::service::program;
use stack::system::SystemBuilder;
use system_tests::Deployment;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::foreign_clients::in_path;

const SECRET: &str = "a secret of the tests of the board, which nobody else has";

/// Whether the board is opened without a token.
#[derive(Clone, Copy, PartialEq)]
enum SignIn {
    Automatic,
    Token,
}

/// Access as it is in use: by signed tokens, and short-lived ones end when they say.
fn with_access(mut system: SystemBuilder, sign_in: SignIn) -> SystemBuilder {
    for kind in ServiceKind::ALL {
        system = system
            .env(kind, "AUTH_MODE", "hs256")
            .env(kind, "AUTH_HS256_SECRET", SECRET)
            .env(kind, "AUTH_LEEWAY_SECONDS", "0");
    }
    let automatic = (sign_in == SignIn::Automatic).to_string();
    system
        .env(ServiceKind::Notifier, "BOARD_AUTOMATIC_SIGN_IN", &automatic)
        .env(ServiceKind::Notifier, "HEARTBEAT_SECONDS", "1")
}

/// A token of a dispatcher of all territories.
async fn token(role: &str, life: &str) -> String {
    let program = program("schedule-service").unwrap();
    let made = Command::new(program)
        .args(["token", "--role", role, "--ttl", life, "--subject", "grace"])
        .env("AUTH_HS256_SECRET", SECRET)
        .output()
        .await
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// Where the build of the notifier has put the packages of the board.
fn modules() -> PathBuf {
    let folder = program("notifier").unwrap().with_file_name("board");
    let modules = folder.join("node_modules");
    assert!(
        modules.is_dir(),
        "the notifier was built without the board: see the warnings of its build"
    );
    modules
}

/// Plays a script to its end, and answers what it asks.
async fn play(
    script: &str,
    deployment: &Deployment,
    env: &[(&str, &str)],
    mut answer: impl AsyncFnMut(&str) -> String,
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../notifier/board/browser");
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let chromium = names.iter().find_map(|name| in_path(name));
    let mut playing = Command::new("node")
        .arg(folder.join(script))
        .env("BOARD_URL", deployment.system.notifier_url())
        .env("BOARD_MODULES", modules())
        .env("CHROMIUM", chromium.expect("Chromium is installed"))
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node is installed");
    let mut answers = playing.stdin.take().unwrap();
    let mut lines = BufReader::new(playing.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.strip_prefix("ASK ") {
            Some(asked) => {
                let told = answer(asked).await + "\n";
                answers.write_all(told.as_bytes()).await.unwrap();
            }
            None => println!("{script}: {line}"),
        }
    }
    let status = playing.wait().await.unwrap();
    assert!(status.success(), "{script}: {status}");
}

async fn nothing_is_asked(what: &str) -> String {
    panic!("the script asks to {what}")
}

async fn start(sign_in: SignIn) -> Deployment {
    Deployment::start_with(|system| with_access(system, sign_in)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_dispatchers_see_each_others_acts_within_a_second() {
    let deployment = start(SignIn::Automatic).await;
    play("acts.mjs", &deployment, &[], nothing_is_asked).await;
    deployment.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_has_never_seen_it_books_the_first_free_plumber_in_six_steps() {
    let deployment = start(SignIn::Automatic).await;
    play("newcomer.mjs", &deployment, &[], nothing_is_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_does_everything_and_the_focus_is_always_seen() {
    let deployment = start(SignIn::Automatic).await;
    play("keyboard.mjs", &deployment, &[], nothing_is_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn axe_finds_nothing_in_any_view() {
    let deployment = start(SignIn::Automatic).await;
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("board");
    fs::create_dir_all(&pictures).unwrap();
    let env = [("BOARD_PICTURES", pictures.to_str().unwrap())];
    play("looks.mjs", &deployment, &env, nothing_is_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_shows_everything_on_either_clock_and_moves_for_those_who_want_it() {
    let deployment = start(SignIn::Automatic).await;
    play("timeline.mjs", &deployment, &[], nothing_is_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn languages_and_clocks_are_those_of_the_browser() {
    let deployment = start(SignIn::Automatic).await;
    play("words.mjs", &deployment, &[], nothing_is_asked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_board_recovers_from_cuts_silence_restarts_and_a_stream_made_anew() {
    // The page is behind a wire, at an origin that has to be known before the services start.
    let port: Port = ports::reserve().unwrap();
    let deployment = Deployment::start_with(|system| {
        let wire = format!("http://127.0.0.1:{}", port.number());
        with_access(system, SignIn::Automatic).allow_origin(&wire)
    })
    .await;
    let notifier = deployment.system.service(ServiceKind::Notifier);
    let number = port.number().to_string();
    let env = [("WIRE_PORT", number.as_str())];
    play("recovery.mjs", &deployment, &env, async |asked| {
        match asked {
            "stop notifier" => notifier.stop().await.unwrap(),
            "restart notifier" => notifier.restart().await.unwrap(),
            "count streams" => return streams(notifier.url()).await,
            "forget stream" => {
                // A notifier that comes back to another stream knows none of the ids.
                notifier.stop().await.unwrap();
                let bed = deployment.bed();
                bed.rabbitmq_management()
                    .delete_queue("notifier.updates")
                    .await
                    .unwrap();
                notifier.restart().await.unwrap();
            }
            other => panic!("the script asks to {other}"),
        }
        "done".to_owned()
    })
    .await;
}

async fn streams(notifier: &str) -> String {
    let metrics = reqwest::get(format!("{notifier}/metrics")).await.unwrap();
    let text = metrics.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("notifier_streams_open "));
    line.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_and_a_full_notifier_are_told_and_overcome() {
    let deployment = Deployment::start_with(|system| {
        with_access(system, SignIn::Token).env(ServiceKind::Notifier, "MAX_STREAMS", "1")
    })
    .await;
    play("expiry.mjs", &deployment, &[], async |asked| {
        let life = asked.strip_prefix("token ").unwrap();
        token("dispatcher", life).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_access_is_off_the_board_and_every_log_warn_of_it() {
    let deployment = Deployment::start_with(|system| {
        ServiceKind::ALL.into_iter().fold(system, |system, kind| {
            system.env(kind, "AUTH_MODE", "disabled")
        })
    })
    .await;
    play("open.mjs", &deployment, &[], nothing_is_asked).await;
    for kind in ServiceKind::ALL {
        let log = deployment.system.service(kind).log();
        let warns = |line: &str| line.contains("WARN") && line.contains("AUTH_MODE");
        assert!(log.lines().any(warns), "{}: {log}", kind.name());
    }
}

/// Plays `frames.mjs` with as many contractors as it asks for, and then 20 changes a second.
async fn play_frames(env: &[(&str, &str)]) {
    let deployment = start(SignIn::Automatic).await;
    let demo = async |arguments: &[&str]| -> Child {
        Command::new(program("demo").unwrap())
            .args(arguments)
            .args(["--log", "warn"])
            .env("SCHEDULE_SERVICE_URL", deployment.system.schedule_url())
            .env("ROSTERWIRE_TOKEN", token("admin", "1h").await)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let mut running = None;
    play("frames.mjs", &deployment, env, async |asked| {
        if let Some(contractors) = asked.strip_prefix("seed ") {
            let mut seeding = demo(&["seed", "--contractors", contractors]).await;
            assert!(seeding.wait().await.unwrap().success());
        } else {
            running = Some(demo(&["run", "--contractors", "1000", "--rate", "20"]).await);
        }
        "done".to_owned()
    })
    .await;
    // However many it opens with, the board asks no faster than a caller may.
    for kind in ServiceKind::ALL {
        let url = deployment.system.service(kind).url();
        let metrics = reqwest::get(format!("{url}/metrics")).await.unwrap();
        let text = metrics.text().await.unwrap();
        assert!(text.contains("http_requests_total{"), "{text}");
        assert!(!text.contains("status=\"429\""), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_contractors_and_twenty_changes_a_second_stay_live_in_a_small_page() {
    play_frames(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement, for a machine that does nothing else: just board-frames"]
async fn a_thousand_contractors_and_twenty_changes_a_second_scroll_at_fifty_frames() {
    play_frames(&[("BOARD_MEASURE", "yes")]).await;
}
