//! The report as Markdown.

use std::fmt::Write;

use super::{Layout, Report};

pub(super) fn markdown(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let machine = &report.machine;
    writeln!(
        out,
        "## Search over {} contractors\n\n\
         {}, {} processors for everything (the load included), Linux {}, load average before the \
         start {:.2}; Redis {}, PostgreSQL {}. {} jobs each. Measured {}. The worker and PostgreSQL \
         gave the same answers to every question, in full.",
        report.contractors,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load_before,
        report.redis,
        report.postgres,
        report.jobs,
        report.measured_at.format("%Y-%m-%d %H:%M UTC"),
    )?;
    for layout in &report.layouts {
        write_layout(out, layout, report.clients)?;
    }
    let asked = || report.layouts.iter().flat_map(|layout| &layout.questions);
    let most = asked()
        .map(super::Asked::over_bare_read)
        .fold(0.0, f64::max);
    let least = asked()
        .map(super::Asked::postgres_over_search)
        .fold(f64::INFINITY, f64::min);
    eprintln!(
        "search / bare read: at most {most:.2} (under 2): {}; PostgreSQL / search: at least {least:.1} \
         (at least 10): {}",
        verdict(most < 2.0),
        verdict(least >= 10.0),
    );
    Ok(())
}

fn write_layout(out: &mut String, layout: &Layout, clients: u16) -> std::fmt::Result {
    writeln!(
        out,
        "\n### {}\n\nBare read of all windows ({} bytes a contractor): {:.2} / {:.2} ms, {:.0}/s with \
         {clients} at once.\n\n\
         | question | can take it | search p50 / p99, ms | bare read p50 / p99, ms | search / bare read | \
         searches/s, {clients} at once | PostgreSQL p50 / max, ms | PostgreSQL / search |\n\
         |---|---|---|---|---|---|---|---|",
        if layout.territories == 1 {
            "One territory".to_owned()
        } else {
            format!("{} territories, all searched", layout.territories)
        },
        layout.bytes_per_contractor,
        layout.bare_read.p50_ms,
        layout.bare_read.p99_ms,
        layout.bare_reads_per_second,
    )?;
    for asked in &layout.questions {
        writeln!(
            out,
            "| {} | {} | {:.2} / {:.2} | {:.2} / {:.2} | **{:.2}** | {:.0} | {:.1} / {:.1} | **{:.1}** |",
            asked.question.name,
            asked.candidates,
            asked.search.p50_ms,
            asked.search.p99_ms,
            asked.bare_read.p50_ms,
            asked.bare_read.p99_ms,
            asked.over_bare_read(),
            asked.searches_per_second,
            asked.postgres.p50_ms,
            asked.postgres.max_ms,
            asked.postgres_over_search(),
        )?;
    }
    Ok(())
}

fn verdict(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}
