//! What a run has shown, as tables.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::fault::Fault;
use super::load::Load;
use super::viewer::Viewer;
use super::witness::Witness;

/// What a run has shown.
#[derive(Debug, Clone)]
pub struct Report {
    seed: u64,
    recoveries: Vec<(Fault, Duration)>,
    violation: Option<String>,
    memory_before: Vec<(String, u32)>,
    memory_after: Vec<(String, u32)>,
    answered: usize,
    unanswered: usize,
    witnessed_twice: u64,
    is_witness_excused: bool,
    connections: u64,
    resets: u64,
}

impl Report {
    pub(super) fn new(seed: u64, memory_before: Vec<(String, u32)>) -> Self {
        Self {
            seed,
            recoveries: Vec::new(),
            violation: None,
            memory_before,
            memory_after: Vec::new(),
            answered: 0,
            unanswered: 0,
            witnessed_twice: 0,
            is_witness_excused: false,
            connections: 0,
            resets: 0,
        }
    }

    /// How many faults were injected and recovered from.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.recoveries.len()
    }

    /// Whether everything that was checked holds.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violation.is_none()
    }

    /// What does not hold, where something does not.
    #[must_use]
    pub fn broken(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// How many writes were answered with success.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.answered
    }

    pub(super) fn recovered(&mut self, fault: Fault, time: Duration) {
        self.recoveries.push((fault, time));
    }

    pub(super) fn last_line(&self) -> String {
        let last = self.recoveries.last();
        last.map(|(fault, time)| {
            let (number, seconds) = (self.recoveries.len(), time.as_secs_f64());
            format!("{number:4} {:45} recovered in {seconds:.1} s", fault.name())
        })
        .unwrap_or_default()
    }

    pub(super) fn violation(&mut self, fault: Fault, what: &str) {
        let number = self.recoveries.len();
        self.violation = Some(format!(
            "after {number} faults, the last \"{}\": {what}",
            fault.name()
        ));
    }

    pub(super) fn violation_before(&mut self, fault: Fault, what: &str) {
        let number = self.recoveries.len();
        self.violation = Some(format!(
            "after {number} faults, before \"{}\": {what}",
            fault.name()
        ));
    }

    pub(super) fn violation_at_end(&mut self, what: &str) {
        self.violation = Some(format!(
            "after all {} faults: {what}",
            self.recoveries.len()
        ));
    }

    pub(super) fn finish(
        &mut self,
        load: &Load,
        witness: &Witness,
        viewers: &[Viewer],
        memory: Vec<(String, u32)>,
    ) {
        (self.answered, self.unanswered) = load.counts();
        self.witnessed_twice = witness.twice();
        self.is_witness_excused = witness.is_excused();
        let seen: Vec<_> = viewers.iter().map(Viewer::seen).collect();
        self.connections = seen.iter().map(|seen| seen.connections).sum();
        self.resets = seen.iter().map(|seen| seen.resets).sum();
        self.memory_after = memory;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} faults, {} writes answered, {} not",
            self.seed,
            self.injected(),
            self.answered,
            self.unanswered
        )?;
        writeln!(
            f,
            "events that a subscriber got twice: {}{}",
            self.witnessed_twice,
            if self.is_witness_excused {
                " (its binding was deleted, so that it need not have all)"
            } else {
                ""
            }
        )?;
        writeln!(
            f,
            "20 screens: {} connections, {} resets",
            self.connections, self.resets
        )?;
        writeln!(f, "memory in MiB, before and after:")?;
        for ((name, before), (_, after)) in self.memory_before.iter().zip(&self.memory_after) {
            writeln!(f, "  {name:20} {before:4} {after:4}")?;
        }
        writeln!(
            f,
            "\n| fault | times | recovered within, median (the upper of two) / longest |\n|---|---|---|"
        )?;
        let mut by_fault: BTreeMap<Fault, Vec<Duration>> = BTreeMap::new();
        for (fault, time) in &self.recoveries {
            by_fault.entry(*fault).or_default().push(*time);
        }
        for (fault, mut times) in by_fault {
            times.sort_unstable();
            let median = times.get(times.len() / 2).copied().unwrap_or_default();
            let longest = times.last().copied().unwrap_or_default();
            writeln!(
                f,
                "| {} | {} | {:.1} / {:.1} s |",
                fault.name(),
                times.len(),
                median.as_secs_f64(),
                longest.as_secs_f64()
            )?;
        }
        match &self.violation {
            None => writeln!(f, "\nnothing lost"),
            Some(violation) => writeln!(f, "\nVIOLATION {violation}"),
        }
    }
}
