//! What is written besides the report.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

/// Writes all figures to `path`, if there is one.
///
/// # Errors
/// When the file cannot be written.
pub fn write_json(path: Option<&Path>, report: &impl Serialize) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report)?;
    std::fs::write(path, text + "\n").with_context(|| path.display().to_string())
}
