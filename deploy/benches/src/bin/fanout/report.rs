//! What is told of all runs: each figure, and the notifier's as ratios to those of the others.

use benches::spread::Spread;

use crate::Settings;
use crate::subject::Kind;
use crate::work::{Figures, Work};

/// One measurement.
pub(crate) type Row = ((Work, usize, Kind), Figures);

const RATIOS: &str = "| work | clients | notifier / | CPU per delivery | CPU | deliveries/s | p99 | seconds |\n\
    |---|---|---|---|---|---|---|---|";

/// Prints both tables. Each figure is the median of the runs, with the lowest and the highest; a
/// ratio is one of two measurements of the same run.
pub(crate) fn print(settings: &Settings, rows: &[Row]) {
    println!("{}", Figures::HEAD);
    each(settings, |work, clients, kind| {
        let figures = of(rows, work, clients, kind);
        let of = |figure: fn(&Figures) -> f64| Spread::of(figures.iter().map(|f| figure(f)));
        println!("{}", Figures::row(work, clients, kind.name(), of));
    });
    println!("\n{RATIOS}");
    each(settings, |work, clients, kind| {
        let ours = of(rows, work, clients, Kind::Notifier);
        let theirs = of(rows, work, clients, kind);
        if kind == Kind::Notifier || ours.is_empty() {
            return;
        }
        let ratio = |figure: fn(&Figures) -> f64| {
            let pairs = ours.iter().zip(&theirs);
            Spread::of(pairs.map(|(ours, theirs)| figure(ours) / figure(theirs)))
        };
        println!(
            "| {work:?} | {clients} | {} | {} | {} | {} | {} | {} |",
            kind.name(),
            ratio(Figures::cpu_per_million),
            ratio(|f| f.cpu_seconds),
            ratio(Figures::deliveries_per_second),
            ratio(|f| f.p99_ms),
            ratio(|f| f.seconds),
        );
    });
}

fn each(settings: &Settings, tell: impl Fn(Work, usize, Kind)) {
    for work in &settings.works {
        for clients in &settings.clients {
            let kinds = settings.subjects.iter().filter(|kind| work.suits(**kind));
            kinds.for_each(|kind| tell(*work, *clients, *kind));
        }
    }
}

/// The figures of all runs, in their order.
fn of(rows: &[Row], work: Work, clients: usize, kind: Kind) -> Vec<&Figures> {
    let these = rows.iter().filter(|row| row.0 == (work, clients, kind));
    these.map(|row| &row.1).collect()
}
