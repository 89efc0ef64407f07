//! The figures as a drawing: both axes logarithmic, so that what is linear lies on a slope of one.

use std::fmt::Write;

use super::{Report, Size};

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 60.0;

/// A line: its name, its colour and its figure.
type Line = (&'static str, &'static str, fn(&Size) -> f64);

pub(super) fn svg(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
        2.0 * WIDTH
    )?;
    let time: [Line; 3] = [
        ("calculate and store all", "#7a4fa3", |s| {
            s.filling_seconds * 1e3
        }),
        ("search", "#c0392b", |s| s.search.p50_ms),
        ("bare read", "#2471a3", |s| s.bare_read.p50_ms),
    ];
    let memory: [Line; 2] = [
        ("Redis", "#2471a3", |s| s.redis_mib),
        ("worker", "#c0392b", |s| s.worker_mib),
    ];
    panel(out, report, 0.0, "time, ms (p50)", &time)?;
    panel(out, report, WIDTH, "memory, MiB", &memory)?;
    writeln!(out, "</svg>")
}

fn panel(
    out: &mut String,
    report: &Report,
    left: f64,
    title: &str,
    lines: &[Line],
) -> std::fmt::Result {
    let sizes = &report.sizes;
    let along = Scale::over(
        sizes.iter().map(|size| f64::from(size.contractors)),
        (left + MARGIN, left + WIDTH - 20.0),
    );
    let figures = sizes
        .iter()
        .flat_map(|size| lines.iter().map(move |(_, _, figure)| figure(size)));
    let up = Scale::over(figures, (HEIGHT - MARGIN, 30.0));
    for ten in up.tens() {
        let (y, right) = (up.at(ten), left + WIDTH - 20.0);
        writeln!(
            out,
            "<path d=\"M{:.1} {y:.1}H{right:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{ten}</text>",
            left + MARGIN,
            left + MARGIN - 6.0,
            y + 4.0,
        )?;
    }
    for size in sizes {
        writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            along.at(size.contractors.into()),
            HEIGHT - MARGIN + 16.0,
            size.contractors,
        )?;
    }
    writeln!(
        out,
        "<text x=\"{:.1}\" y=\"18\" font-size=\"13\">{title}</text>\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">contractors</text>",
        left + MARGIN,
        left + WIDTH / 2.0,
        HEIGHT - MARGIN + 32.0,
    )?;
    let mut legend = left + MARGIN;
    for (name, colour, figure) in lines {
        let points: Vec<String> = sizes
            .iter()
            .map(|size| {
                let (x, y) = (along.at(size.contractors.into()), up.at(figure(size)));
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{legend:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            HEIGHT - 8.0,
        )?;
        legend += 150.0;
    }
    Ok(())
}

/// A logarithmic axis over whole powers of ten.
struct Scale {
    tens: (i32, i32),
    pixels: (f64, f64),
}

impl Scale {
    fn over(figures: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (low, high) = figures
            .map(|figure| figure.max(1e-6).log10())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), figure| {
                (low.min(figure), high.max(figure))
            });
        let low = whole((low + 1e-9).floor());
        let high = whole((high - 1e-9).ceil()).max(low + 1);
        Self {
            tens: (low, high),
            pixels,
        }
    }

    fn tens(&self) -> impl Iterator<Item = f64> + use<> {
        (self.tens.0..=self.tens.1).map(|ten| 10_f64.powi(ten))
    }

    fn at(&self, figure: f64) -> f64 {
        let (low, high) = (f64::from(self.tens.0), f64::from(self.tens.1));
        let share = (figure.max(1e-6).log10() - low) / (high - low);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "powers of ten from -6 to 15"
)]
fn whole(power: f64) -> i32 {
    power.clamp(-6.0, 15.0) as i32
}
