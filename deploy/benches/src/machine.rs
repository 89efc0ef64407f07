//! The machine: which one it is, and how much of it the benchmark may use.

use std::fs;

use anyhow::{Context, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

/// Where and when figures were measured.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// The processors that everything ran on.
    pub cores: usize,
    /// The operating system's kernel.
    pub kernel: String,
    /// The load average of the last minute, before anything was started: close to 0 on a machine
    /// that does nothing else.
    pub load_before: f64,
}

impl Machine {
    /// Reads `/proc`.
    #[must_use]
    pub fn read(cores: usize) -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = text("/proc/cpuinfo")
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned());
        let first = |path| {
            let text = text(path);
            text.split_ascii_whitespace().next().map(str::to_owned)
        };
        Self {
            processor,
            cores,
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            load_before: first("/proc/loadavg")
                .and_then(|load| load.parse().ok())
                .unwrap_or(f64::NAN),
        }
    }
}

/// Reads the machine, keeps to its first `cores` processors, and makes a runtime of `threads` threads
/// for what the benchmark itself does.
///
/// # Errors
/// When there are fewer processors, or no threads can be had.
pub fn begin(cores: usize, threads: usize) -> Result<(Machine, Runtime)> {
    let machine = Machine::read(cores);
    keep_to(cores)?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    Ok((machine, runtime))
}

/// Keeps this process and all that it will start to the first `cores` processors.
///
/// # Errors
/// When there are fewer.
pub fn keep_to(cores: usize) -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).context("which processors there are")?;
    let mut kept = CpuSet::new();
    let mut count = 0;
    for processor in 0..CpuSet::count() {
        if count < cores && allowed.is_set(processor)? {
            kept.set(processor)?;
            count += 1;
        }
    }
    if count < cores {
        bail!("{cores} processors are asked for, and there are {count}");
    }
    sched_setaffinity(this, &kept).context("to keep to some processors")
}
