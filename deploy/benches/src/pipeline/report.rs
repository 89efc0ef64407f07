//! The report as Markdown.

use std::fmt::Write;

use crate::latency::Quantiles;
use crate::peers::{NODE, PYTHON, floor};
use crate::pipeline::measured::{Report, Run, Stage, Stages};
use crate::spread::Spread;
use crate::usage::OTHERS;

pub(super) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let (machine, setting) = (&report.machine, &report.settings);
    writeln!(
        out,
        "## The whole pipeline, from PATCH to frame\n\n\
         {}, {} processors for everything (the load included), Linux {}, load average before the \
         start {:.2}. {} contractors with {} jobs each, {} SSE clients that follow everything, \
         {} connections that send; {} s a stage; {} run(s)",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        setting.contractors,
        setting.jobs,
        setting.clients,
        setting.writers,
        setting.seconds,
        report.runs.len(),
    )?;
    if report.runs.len() > 1 {
        writeln!(out, ": the median (lowest–highest)")?;
    }
    writeln!(
        out,
        "Measured {}. Every change that was sent reached every client.",
        report.measured_at.format("%Y-%m-%d %H:%M UTC")
    )?;
    latencies(out, report)?;
    sustained(out, report)?;
    floors(out, report)?;
    parts(out, report)?;
    usage(out, report)?;
    node(out, report)
}

/// The Node version, where it was measured in the same run.
fn node(out: &mut String, report: &Report) -> std::fmt::Result {
    let pairs: Vec<(&Run, &Stages)> = report
        .runs
        .iter()
        .filter_map(|run| Some((run, run.node.as_ref()?)))
        .collect();
    let Some((first, _)) = pairs.first() else {
        return Ok(());
    };
    writeln!(
        out,
        "\nBeside it in the same run, in turns with it: the plain Node version ({}), ms; the ratios are \
         those of each run:\n\n\
         | changes/s | Node p50 | Node p99 | p50 / Node | p99 / Node |\n|---|---|---|---|---|",
        NODE.name
    )?;
    for (place, stage) in first.stages.iter().enumerate() {
        let of = |figure: &dyn Fn(&Quantiles) -> f64| {
            let node = pairs.iter().map(|(_, node)| &node.stages[place]);
            let node = Spread::of(node.map(|stage| figure(&stage.availability.every)));
            let ratio = Spread::of(pairs.iter().map(|(run, node)| {
                figure(&run.stages[place].availability.every)
                    / figure(&node.stages[place].availability.every)
            }));
            (node, ratio)
        };
        let ((p50, p50_ratio), (p99, p99_ratio)) = (of(&|q| q.p50_ms), of(&|q| q.p99_ms));
        writeln!(
            out,
            "| {} | {p50:.2} | {p99:.2} | {p50_ratio:.2} | {p99_ratio:.2} |",
            title(stage),
        )?;
        eprintln!(
            "{}: p50 {p50_ratio:.2} and p99 {p99_ratio:.2} times the Node version's (at most 1): {}",
            title(stage),
            verdict(p50_ratio.median <= 1.0 && p99_ratio.median <= 1.0)
        );
    }
    let sustained = Spread::of(
        pairs
            .iter()
            .map(|(_, node)| node.saturation.completed_per_second),
    );
    let ratio = Spread::of(pairs.iter().map(|(run, node)| {
        run.saturation.completed_per_second / node.saturation.completed_per_second
    }));
    let cpu = |stage: &Stage| -> f64 {
        let ours = stage.usage.iter().filter(|usage| usage.name != OTHERS);
        ours.map(|usage| usage.cpu_seconds).sum()
    };
    let node_cpu = Spread::of(pairs.iter().map(|(_, node)| cpu(&node.saturation)));
    writeln!(
        out,
        "\nSustained, the Node version: {sustained:.0} changes/s, {node_cpu:.2} CPU s per 1,000 changes of all \
         processes; Rosterwire {ratio:.2} times as many."
    )
}

fn latencies(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\nFrom the moment a PATCH was to be sent until its `availability.updated` frame was with a \
         client, each client counted, ms:\n\n\
         | changes/s | p50 | p90 | p99 | max | p50 / sum of the floors | Node peer p50 / p99 | p50 / Node | p99 / Node |\n\
         |---|---|---|---|---|---|---|---|---|"
    )?;
    for place in 0..stage_count(report) {
        let of = |figure: &dyn Fn(&Quantiles) -> f64| {
            each(report, |run| figure(&run.stages[place].availability.every))
        };
        let Some(rate) = report.runs.first().and_then(|run| run.stages[place].rate) else {
            continue;
        };
        let over_floors = each(report, |run| {
            run.stages[place].availability.every.p50_ms / run.floors.sum(|q| q.p50_ms)
        });
        let (p50, p99) = (of(&|q| q.p50_ms), of(&|q| q.p99_ms));
        let peer = NODE.latencies.iter().find(|(of, ..)| *of == rate);
        let (words, p50_ratio, p99_ratio) = peer.map_or_else(
            || ("–".to_owned(), "–".to_owned(), "–".to_owned()),
            |(_, peer_p50, peer_p99)| {
                (
                    format!("{peer_p50} / {peer_p99}"),
                    format!("{:.2}", p50.median / peer_p50),
                    format!("{:.2}", p99.median / peer_p99),
                )
            },
        );
        writeln!(
            out,
            "| {rate} | {p50:.2} | {:.2} | {p99:.2} | {:.1} | {over_floors:.2} | {words} | {p50_ratio} | {p99_ratio} |",
            of(&|q| q.p90_ms),
            of(&|q| q.max_ms),
        )?;
        if rate == 100 || rate == 200 {
            let holds = p50.median <= floor::P50_MS && p99.median <= floor::P99_MS;
            eprintln!(
                "{rate}/s: p50 {:.2} ms (at most {}), p99 {:.2} ms (at most {}): {}",
                p50.median,
                floor::P50_MS,
                p99.median,
                floor::P99_MS,
                verdict(holds)
            );
        }
    }
    Ok(())
}

fn sustained(out: &mut String, report: &Report) -> std::fmt::Result {
    let completed = each(report, |run| run.saturation.completed_per_second);
    let of = |figure: &dyn Fn(&Quantiles) -> f64| {
        each(report, |run| figure(&run.saturation.availability.every))
    };
    writeln!(
        out,
        "\nSustained, PATCH to frame, {} changes under way: **{completed:.0} changes/s**, p50 {:.1} ms, \
         p99 {:.1} ms. The Node peer: {:.0}–{:.0}/s, so {:.2} of its best; the Python peer: {:.0}/s.",
        report.settings.writers,
        of(&|q| q.p50_ms),
        of(&|q| q.p99_ms),
        NODE.sustained.0,
        NODE.sustained.1,
        completed.median / NODE.sustained.1,
        PYTHON.sustained.0,
    )?;
    eprintln!(
        "sustained: {:.0}/s (at least {:.0}): {}",
        completed.median,
        floor::SUSTAINED,
        verdict(completed.median >= floor::SUSTAINED)
    );
    writeln!(
        out,
        "\nThe peers, measured before on such a machine: {}; {}.",
        NODE.name, PYTHON.name
    )
}

fn floors(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\nThe floors, measured in the same run, one client at 200/s, ms:\n\n\
         | step | p50 | p99 |\n|---|---|---|"
    )?;
    let Some(first) = report.runs.first() else {
        return Ok(());
    };
    for (place, (name, _)) in first.floors.steps().into_iter().enumerate() {
        let step = |run: &Run| run.floors.steps()[place].1;
        writeln!(
            out,
            "| {name} | {:.2} | {:.2} |",
            each(report, |run| step(run).p50_ms),
            each(report, |run| step(run).p99_ms),
        )?;
    }
    writeln!(
        out,
        "| their sum | {:.2} | {:.2} |",
        each(report, |run| run.floors.sum(|q| q.p50_ms)),
        each(report, |run| run.floors.sum(|q| q.p99_ms)),
    )
}

fn parts(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "\nWhere the time goes: from the moment a PATCH was to be sent, p50 / p99, ms:\n\n\
         | changes/s | it was sent | it was answered | `schedule.updated` at a client | `availability.updated` at the first client | at the middle one | at the last one |\n\
         |---|---|---|---|---|---|---|"
    )?;
    for place in 0..=stage_count(report) {
        let cell = |figure: &dyn Fn(&Stage) -> Quantiles| {
            format!(
                "{:.2} / {:.2}",
                each(report, |run| figure(stage_at(run, place)).p50_ms).median,
                each(report, |run| figure(stage_at(run, place)).p99_ms).median,
            )
        };
        let Some(first) = report.runs.first() else {
            return Ok(());
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            title(stage_at(first, place)),
            cell(&|stage| stage.sending),
            cell(&|stage| stage.answer),
            cell(&|stage| stage.schedule.every),
            cell(&|stage| stage.availability.first),
            cell(&|stage| stage.availability.middle),
            cell(&|stage| stage.availability.last),
        )?;
    }
    Ok(())
}

fn usage(out: &mut String, report: &Report) -> std::fmt::Result {
    let Some(first) = report.runs.first() else {
        return Ok(());
    };
    write!(
        out,
        "\nCPU seconds per 1,000 changes, and memory (PSS, MiB) at the end:\n\n| |"
    )?;
    let stages: Vec<usize> = (0..=stage_count(report)).collect();
    for place in &stages {
        write!(out, " {} |", title(stage_at(first, *place)))?;
    }
    writeln!(out, " MiB |\n|---|{}---|", "---|".repeat(stages.len()))?;
    for (row, usage) in first.saturation.usage.iter().enumerate() {
        write!(out, "| {} |", usage.name)?;
        for place in &stages {
            let cpu = each(report, |run| stage_at(run, *place).usage[row].cpu_seconds);
            write!(out, " {:.2} |", cpu.median)?;
        }
        let memory = each(report, |run| run.saturation.usage[row].memory_mib);
        writeln!(out, " {:.0} |", memory.median)?;
    }
    write!(out, "| all but the last |")?;
    for place in &stages {
        let total = each(report, |run| {
            let rows = stage_at(run, *place).usage.iter();
            rows.filter(|usage| usage.name != OTHERS)
                .map(|usage| usage.cpu_seconds)
                .sum()
        });
        write!(out, " {:.2} |", total.median)?;
    }
    writeln!(
        out,
        " |\n\nThe Node peer's processes and its servers took {} s per 1,000 changes at saturation.",
        NODE.cpu_at_saturation
    )
}

fn each(report: &Report, figure: impl Fn(&Run) -> f64) -> Spread {
    Spread::of(report.runs.iter().map(figure))
}

fn stage_count(report: &Report) -> usize {
    report.runs.first().map_or(0, |run| run.stages.len())
}

/// The stages in order, the one without a rate last.
fn stage_at(run: &Run, place: usize) -> &Stage {
    run.stages.get(place).unwrap_or(&run.saturation)
}

fn title(stage: &Stage) -> String {
    stage
        .rate
        .map_or_else(|| "saturated".to_owned(), |rate| format!("{rate}/s"))
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}
