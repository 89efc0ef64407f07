//! `availability-worker calculate`, fed with many lines.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};

/// Different lines that are given again and again.
const DIFFERENT: u64 = 1_000;

/// Feeds the command `count` lines of a week of one contractor with ten jobs, and reads its answers.
pub(super) fn measure(count: u64) -> Result<()> {
    let program = std::env::current_exe()
        .context("where this program is")?
        .with_file_name("availability-worker");
    let lines: Vec<String> = (0..DIFFERENT).map(line).collect();
    let begun = Instant::now();
    let mut child = Command::new(&program)
        .arg("calculate")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))?;
    let input = child.stdin.take().context("its input")?;
    let output = child.stdout.take().context("its output")?;
    let (fed, read) = thread::scope(|scope| {
        let feeder = scope.spawn(|| -> Result<u64> {
            let (mut input, mut bytes) = (BufWriter::with_capacity(1 << 18, input), 0);
            for line in lines.iter().cycle().take(usize::try_from(count)?) {
                input.write_all(line.as_bytes())?;
                bytes += u64::try_from(line.len())?;
            }
            input.flush()?;
            Ok(bytes)
        });
        let read = answers(BufReader::with_capacity(1 << 18, output), count);
        let fed = feeder
            .join()
            .unwrap_or_else(|_| anyhow::bail!("the feeding thread has failed"));
        (fed, read)
    });
    let (fed, answered) = (fed?, read?);
    ensure!(
        child.wait().context("its end")?.success(),
        "calculate has failed"
    );
    let seconds = begun.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("its usage")?;
    println!("| calculate | |\n|---|---|");
    println!("| lines | {count} |");
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    {
        println!("| lines/s | {:.0} |", count as f64 / seconds);
        println!(
            "| bytes a line, in / out | {} / {} |",
            fed / count,
            answered / count
        );
        println!("| seconds | {seconds:.1} |");
        println!(
            "| peak memory, MB | {:.0} |",
            usage.max_rss() as f64 / 1_024.0
        );
    }
    Ok(())
}

/// Reads `count` answers in their order: the bytes of them.
fn answers(mut output: impl BufRead, count: u64) -> Result<u64> {
    let (mut bytes, mut line) = (0, String::new());
    for number in 0..count {
        line.clear();
        output.read_line(&mut line)?;
        let id = number % DIFFERENT;
        ensure!(
            line.starts_with(&format!("{{\"id\":{id},\"windows\":[{{")),
            "answer {number} is {line:?}"
        );
        bytes += u64::try_from(line.len())?;
    }
    ensure!(output.read_line(&mut line)? == 0, "more answers than lines");
    Ok(bytes)
}

fn line(number: u64) -> String {
    let jobs: Vec<String> = (0..10)
        .map(|job| {
            let (day, hour) = (26 + job / 2, 8 + job % 2 * 4 + number % 3);
            format!(
                r#"{{"id":"018f6b1c-0000-7000-8000-{number:08}{job:04}","title":"Boiler service","start":"2026-10-{day}T{hour:02}:00:00Z","end":"2026-10-{day}T{:02}:30:00Z","bufferBeforeMinutes":30,"bufferAfterMinutes":30}}"#,
                hour + 1
            )
        })
        .collect();
    let zones = ["Europe/London", "Europe/Berlin", "America/New_York"];
    let zone = zones[usize::try_from(number % 3).unwrap_or(0)];
    format!(
        r#"{{"id":{number},"schedule":{{"name":"Ada Byron","timeZone":"{zone}","workingHours":[{{"days":["MO","TU","WE","TH","FR"],"start":"08:00","end":"17:00"}}],"jobs":[{}]}},"query":{{"from":"2026-10-24T00:00:00Z","to":"2026-10-31T00:00:00Z","now":"2026-10-23T00:00:00Z","durationMinutes":60}}}}"#,
        jobs.join(",")
    ) + "\n"
}
