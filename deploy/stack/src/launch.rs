//! What to start, and how.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

/// The variable that marks every process started from here; its value is the folder it works for,
/// so that a later run can find what an earlier one left behind.
pub const MARK: &str = "ROSTERWIRE_STACK_DIR";

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct Launch {
    /// For messages.
    pub name: String,
    /// Path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are set on top of those it inherits.
    pub env: Vec<(OsString, OsString)>,
    /// Whether it gets all our variables, or only those that no program can do without.
    pub inherit_env: bool,
    /// Its working directory.
    pub folder: PathBuf,
    /// Where standard output and error go, appended.
    pub log: PathBuf,
    /// The user it runs as, when not ours.
    pub user: Option<RunAs>,
    /// The signal it gets when this process dies, however it dies.
    pub on_parent_death: Signal,
}

/// Another user to run as; only root can.
#[derive(Debug, Clone)]
pub struct RunAs {
    /// User and group of this name.
    pub user: String,
    /// Keep root's right to pass closed folders: for data under a home folder that others may not
    /// enter.
    pub pass_closed_folders: bool,
}

/// Variables that every child keeps.
const KEPT_VARIABLES: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "TZ",
    "RUST_BACKTRACE",
    "LLVM_PROFILE_FILE",
];

impl Launch {
    /// A launch of `program` that logs to `log`, works in `folder` and inherits almost nothing.
    #[must_use]
    pub fn new(name: &str, program: &Path, folder: &Path, log: &Path) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            inherit_env: false,
            folder: folder.to_owned(),
            log: log.to_owned(),
            user: None,
            on_parent_death: Signal::SIGKILL,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds a variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The command, wrapped in `setpriv` (util-linux), which asks the kernel for the parent-death
    /// signal and changes the user, and then becomes the program: the process id stays.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("setpriv");
        if let Some(RunAs {
            user,
            pass_closed_folders,
        }) = &self.user
        {
            command.args(["--reuid", user, "--regid", user, "--init-groups"]);
            if *pass_closed_folders {
                command.args(["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]);
            }
        }
        command
            .arg("--pdeathsig")
            .arg(short_name(self.on_parent_death))
            .arg("--");
        command
            .arg(&self.program)
            .args(&self.args)
            .current_dir(&self.folder);
        if self.inherit_env {
            // `cargo run` describes this program's package to it; a cargo that runs below it would
            // take that for a change of its build scripts' surroundings and build anew.
            for (name, _) in std::env::vars_os() {
                let text = name.to_str().unwrap_or_default();
                if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                    command.env_remove(name);
                }
            }
        } else {
            command.env_clear();
            for name in KEPT_VARIABLES {
                if let Some(value) = std::env::var_os(name) {
                    command.env(name, value);
                }
            }
        }
        command
            .env(MARK, &self.folder)
            .envs(self.env.iter().cloned());
        command
    }
}

/// `KILL`, as setpriv wants it.
fn short_name(signal: Signal) -> &'static str {
    signal.as_str().trim_start_matches("SIG")
}
