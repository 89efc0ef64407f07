//! What `/proc` tells of the machine's processes.

use std::fs;
use std::path::{Path, PathBuf};

/// One line of the process table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// The foreground process group of its terminal; none when it has no terminal.
    pub terminal_group: Option<u32>,
    /// When it started, in clock ticks since the machine did: with the id, names one process ever.
    pub start_time: u64,
    /// It has ended, and nobody has asked for its exit status yet.
    pub zombie: bool,
}

/// The entry of one process; none when there is none.
#[must_use]
pub fn entry(pid: u32) -> Option<Entry> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes.
#[must_use]
pub fn all() -> Vec<Entry> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    folder
        .filter_map(|item| item.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(entry)
        .collect()
}

/// The ids of the children of `pid`, their children and so on, without `pid` itself.
#[must_use]
pub fn descendants(pid: u32) -> Vec<u32> {
    descendant_entries(pid)
        .iter()
        .map(|entry| entry.pid)
        .collect()
}

/// As [`descendants`], with what it takes to know each of them again.
#[must_use]
pub fn descendant_entries(pid: u32) -> Vec<Entry> {
    let table = all();
    let mut found: Vec<Entry> = Vec::new();
    let mut parents = vec![pid];
    while let Some(parent) = parents.pop() {
        for child in table.iter().filter(|entry| entry.parent == parent) {
            parents.push(child.pid);
            found.push(*child);
        }
    }
    found
}

/// Whether the process of `entry` still runs: that one, not another that has its number by now.
#[must_use]
pub fn still_runs(known: &Entry) -> bool {
    entry(known.pid).is_some_and(|now| now.start_time == known.start_time && !now.zombie)
}

/// The live processes whose working directory is `folder`. Servers that change into their data
/// folder are found by it even when their parent is gone.
#[must_use]
pub fn working_in(folder: &Path) -> Vec<u32> {
    let Ok(folder) = folder.canonicalize() else {
        return Vec::new();
    };
    all()
        .into_iter()
        .filter(|e| !e.zombie)
        .filter(|e| fs::read_link(cwd(e.pid)).is_ok_and(|path| path == folder))
        .map(|e| e.pid)
        .collect()
}

/// The live processes, this one left out, that were started with the environment variable `name`
/// set to `folder` or to a path inside it.
#[must_use]
pub fn marked_with(name: &str, folder: &Path) -> Vec<u32> {
    let marked = |variable: &[u8]| {
        let path = std::str::from_utf8(variable)
            .ok()
            .and_then(|text| text.strip_prefix(name));
        path.and_then(|text| text.strip_prefix('='))
            .is_some_and(|p| Path::new(p).starts_with(folder))
    };
    all()
        .into_iter()
        .filter(|e| !e.zombie && e.pid != std::process::id())
        .filter(|e| {
            fs::read(format!("/proc/{}/environ", e.pid))
                .is_ok_and(|variables| variables.split(|byte| *byte == 0).any(marked))
        })
        .map(|e| e.pid)
        .collect()
}

/// Memory of a process that is resident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resident {
    /// At this moment.
    Now,
    /// The most that it has had.
    Most,
}

/// How much of it there is, in KiB; none where there is no such process.
#[must_use]
pub fn resident_kib(pid: u32, which: Resident) -> Option<u32> {
    let name = match which {
        Resident::Now => "VmRSS:",
        Resident::Most => "VmHWM:",
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn cwd(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/cwd"))
}

/// Reads `/proc/PID/stat`. The program's name stands in parentheses and may hold anything, so the
/// fields are counted from its last closing one (proc_pid_stat(5)).
fn parse_stat(stat: &str) -> Option<Entry> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    let rest: Vec<&str> = stat[stat.rfind(')')? + 1..]
        .split_ascii_whitespace()
        .collect();
    Some(Entry {
        pid,
        parent: rest.get(1)?.parse().ok()?,
        group: rest.get(2)?.parse().ok()?,
        terminal_group: rest.get(5)?.parse().ok(),
        start_time: rest.get(19)?.parse().ok()?,
        zombie: matches!(*rest.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 40 40 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(
            parse_stat(stat),
            Some(Entry {
                pid: 42,
                parent: 7,
                group: 40,
                terminal_group: None,
                start_time: 12345,
                zombie: false
            })
        );
    }

    #[test]
    fn this_process_is_in_the_table() {
        let own = entry(std::process::id()).unwrap();
        assert!(!own.zombie);
        assert!(descendants(own.parent).contains(&own.pid));
        assert!(still_runs(&own));
        let [now, most] = [Resident::Now, Resident::Most].map(|it| resident_kib(own.pid, it));
        assert!(now > Some(0) && most > Some(0));
    }
}
