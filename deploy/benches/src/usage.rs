//! What processes have used, by `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;
use stack::procfs;

/// A program with all of its processes.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called in the report.
    pub name: &'static str,
    /// Its first process; the descendants of that one belong to it too, unless it is this process.
    pub pid: u32,
}

/// What every program has used up to one moment.
#[derive(Debug, Clone)]
pub struct Reading {
    programs: Vec<Duration>,
    machine: Duration,
}

/// The processor time that a program has used between two readings, and the memory it holds.
#[derive(Debug, Clone, Serialize)]
pub struct Usage {
    /// The program.
    pub name: &'static str,
    /// Processor time in seconds.
    pub cpu_seconds: f64,
    /// Memory in MiB, shared pages divided among those who share them (PSS).
    pub memory_mib: f64,
}

/// The name of the row that tells what ran beside the benchmark and disturbed it.
pub const OTHERS: &str = "everything else on the machine";

/// Reads what `programs` have used so far.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn read(programs: &[Program]) -> Result<Reading> {
    let tick = tick()?;
    let used = programs.iter().map(|program| {
        let ticks = processes(program).map(|pid| ticks(pid).unwrap_or(0));
        ticks.sum::<u64>()
    });
    let programs = used.map(|ticks| tick.mul_f64(float(ticks))).collect();
    let stat = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    Ok(Reading {
        programs,
        machine: tick.mul_f64(float(busy_ticks(&stat))),
    })
}

impl Reading {
    /// What was used from `self` to `later`, which must be of the same programs.
    #[must_use]
    pub fn until(&self, later: &Self, programs: &[Program]) -> Vec<Usage> {
        let spans = self.programs.iter().zip(&later.programs);
        let mut usages: Vec<Usage> = programs
            .iter()
            .zip(spans)
            .map(|(program, (before, after))| Usage {
                name: program.name,
                cpu_seconds: after.saturating_sub(*before).as_secs_f64(),
                memory_mib: processes(program).map(pss_mib).sum(),
            })
            .collect();
        let ours: f64 = usages.iter().map(|usage| usage.cpu_seconds).sum();
        let all = later.machine.saturating_sub(self.machine).as_secs_f64();
        usages.push(Usage {
            name: OTHERS,
            cpu_seconds: (all - ours).max(0.0),
            memory_mib: 0.0,
        });
        usages
    }
}

fn processes(program: &Program) -> impl Iterator<Item = u32> + use<> {
    let descendants = if program.pid == std::process::id() {
        Vec::new()
    } else {
        procfs::descendants(program.pid)
    };
    std::iter::once(program.pid).chain(descendants)
}

fn tick() -> Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?;
    let per_second = u32::try_from(per_second).context("clock ticks a second")?;
    Ok(Duration::from_secs(1) / per_second)
}

/// The ticks of a process and of those of its children that have ended (proc_pid_stat(5)).
fn ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..]
        .split_ascii_whitespace()
        .collect();
    fields
        .get(11..15)?
        .iter()
        .map(|field| field.parse::<u64>().ok())
        .sum()
}

/// The ticks in which the machine's processors did something: user, nice, system, irq, softirq.
fn busy_ticks(stat: &str) -> u64 {
    let first = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = first
        .split_ascii_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    [0, 1, 2, 5, 6]
        .iter()
        .filter_map(|&place| fields.get(place))
        .sum()
}

fn pss_mib(pid: u32) -> f64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .and_then(|rest| rest.split_ascii_whitespace().next()?.parse::<u32>().ok());
    f64::from(kib.unwrap_or(0)) / 1024.0
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a machine runs for less than 2^53 clock ticks"
)]
fn float(ticks: u64) -> f64 {
    ticks as f64
}

#[cfg(test)]
mod tests {
    use super::{Program, busy_ticks, read};

    #[test]
    fn idle_and_waiting_are_not_busy() {
        assert_eq!(busy_ticks("cpu  1 2 3 1000 2000 4 5 0 0 0\ncpu0 …"), 15);
    }

    #[test]
    fn this_process_has_memory_and_the_rest_of_the_machine_is_told_apart() {
        let programs = [Program {
            name: "this",
            pid: std::process::id(),
        }];
        let before = read(&programs).unwrap();
        let usages = before.until(&read(&programs).unwrap(), &programs);
        assert_eq!(usages.len(), 2);
        assert!(usages[0].memory_mib > 0.0);
    }
}
