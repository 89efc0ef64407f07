//! The Python version of the same rules, as a process.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use availability_worker::engine::{Interval, Outlook};
use serde::Deserialize;
use serde_json::{Value, json};
use shared_events::Schedule;
use tempfile::NamedTempFile;

/// What Python is to calculate.
pub(super) struct Python {
    program: PathBuf,
    cases: NamedTempFile,
}

#[derive(Deserialize)]
pub(super) struct Report {
    pub(super) per_second: f64,
    pub(super) found: Value,
}

impl Python {
    pub(super) fn new(program: &Path, schedules: &[Schedule], horizon: Interval) -> Result<Self> {
        let mut cases = NamedTempFile::new().context("a file for the cases")?;
        for schedule in schedules {
            let case = json!({"schedule": schedule, "from": horizon.start, "to": horizon.end});
            writeln!(cases, "{case}").context("to write the cases")?;
        }
        Ok(Self {
            program: program.to_owned(),
            cases,
        })
    }

    pub(super) fn run(&self, budget: Duration) -> Result<Report> {
        let output = Command::new("python3")
            .arg(&self.program)
            .arg(self.cases.path())
            .arg(budget.as_secs().to_string())
            .stderr(Stdio::inherit())
            .output()
            .context("python3 does not start")?;
        ensure!(output.status.success(), "the Python version has failed");
        serde_json::from_slice(&output.stdout).context("the Python version's report")
    }
}

/// Outlooks in the Python version's form.
pub(super) fn as_python_tells(outlooks: &[Outlook]) -> Value {
    outlooks
        .iter()
        .map(|outlook| {
            let windows: Value = outlook
                .free
                .windows
                .iter()
                .map(|w| json!([w.start, w.end]))
                .collect();
            let conflicts: Value = outlook
                .conflicts
                .iter()
                .map(|c| json!([c.conflict.job_id, c.conflict.reason]))
                .collect();
            json!([windows, conflicts])
        })
        .collect()
}
