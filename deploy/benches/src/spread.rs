//! One figure of several runs.

use std::fmt;

/// The median of some runs, with the lowest and the highest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The one in the middle; of an even number the lower of the two.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
    runs: usize,
}

impl Spread {
    /// Of these figures, one a run; zero where there are none.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let at = |place: usize| figures.get(place).copied().unwrap_or(0.0);
        Self {
            median: at(figures.len().saturating_sub(1) / 2),
            min: at(0),
            max: at(figures.len().saturating_sub(1)),
            runs: figures.len(),
        }
    }
}

/// `2.31`, and of several runs `2.31 (2.20–2.48)`; the precision is that of the format.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$}", self.median)?;
        if self.runs > 1 {
            write!(f, " ({:.digits$}–{:.digits$})", self.min, self.max)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn one_run_is_a_figure_and_several_are_a_median_with_its_bounds() {
        assert_eq!(format!("{:.1}", Spread::of([2.25])), "2.2");
        assert_eq!(
            format!("{}", Spread::of([3.0, 1.0, 2.0])),
            "2.00 (1.00–3.00)"
        );
        assert_eq!(format!("{:.0}", Spread::of([])), "0");
    }
}
