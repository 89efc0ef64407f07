//! Builds the dispatcher board with Node, for the binary to carry.
//!
//! `NOTIFIER_BOARD` says what is to be done: nothing (`skip`), to fail where it cannot be built
//! (`require`), or to take a folder that was built elsewhere (its path). Without it, a machine without
//! Node gets a notifier without a board, and a warning.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, iter};

/// What the board is made of.
const SOURCES: [&str; 9] = [
    ".npmrc",
    "index.html",
    "package.json",
    "package-lock.json",
    "src",
    "svelte.config.js",
    "tsconfig.json",
    "unit",
    "vite.config.ts",
];

fn main() {
    println!("cargo::rerun-if-env-changed=NOTIFIER_BOARD");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=board/{source}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let board = out.join("board");
    let wish = env::var("NOTIFIER_BOARD").unwrap_or_default();
    let built = prepare(&board).and_then(|()| match wish.as_str() {
        "skip" => Err("NOTIFIER_BOARD=skip".to_owned()),
        "" | "require" => build(&out, &board),
        folder => {
            println!("cargo::rerun-if-changed={folder}");
            copy(Path::new(folder), &board)
                .map_err(|error| format!("NOTIFIER_BOARD={folder}: {error}"))
        }
    });
    let Err(reason) = built else { return };
    // Half a board is none.
    let _ = prepare(&board);
    if matches!(wish.as_str(), "" | "skip") {
        println!("cargo::warning=this notifier is built without the dispatcher board: {reason}");
    } else {
        println!("cargo::error=the dispatcher board cannot be built: {reason}");
    }
}

/// An empty folder.
fn prepare(board: &Path) -> Result<(), String> {
    let emptied = match fs::remove_dir_all(board) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(board),
    };
    emptied.map_err(|error| format!("{}: {error}", board.display()))
}

fn build(out: &Path, board: &Path) -> Result<(), String> {
    node_is_new_enough()?;
    // One folder for all builds of a profile: `target/debug/board`. The source tree stays clean.
    let folder = out.ancestors().nth(3).unwrap_or(out).join("board");
    let io = |error: io::Error| format!("{}: {error}", folder.display());
    fs::create_dir_all(&folder).map_err(io)?;
    let lock = File::create(folder.join(".lock")).map_err(io)?;
    lock.lock().map_err(io)?;
    lay_out(&folder).map_err(io)?;
    install(&folder)?;
    let vite = folder.join("node_modules/vite/bin/vite.js");
    let arguments = [
        vite.as_os_str(),
        OsStr::new("build"),
        OsStr::new("--logLevel=warn"),
        OsStr::new("--emptyOutDir"),
        OsStr::new("--outDir"),
        board.as_os_str(),
    ];
    run(&folder, "node", &arguments)
}

/// Vite's own bounds: 20.19 or later of 20, 22.12 or later.
fn node_is_new_enough() -> Result<(), String> {
    const WANTED: &str = "Node 20.19 or 22.12 or later is wanted";
    let asked = Command::new("node").arg("--version").output();
    let told = asked.map_err(|_| format!("there is no Node ({WANTED})"))?;
    let version = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if fits(major, minor) => Ok(()),
        _ => Err(format!("Node is {version} ({WANTED})")),
    }
}

fn fits(major: u32, minor: u32) -> bool {
    (major, minor) >= (22, 12) || (major == 20 && minor >= 19)
}

/// The sources, without what was deleted since.
fn lay_out(folder: &Path) -> io::Result<()> {
    for source in SOURCES {
        let (from, to) = (Path::new("board").join(source), folder.join(source));
        if from.is_dir() {
            match fs::remove_dir_all(&to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => copy(&from, &to)?,
            }
        } else {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

/// The packages of the lock file, unless they are there.
fn install(folder: &Path) -> Result<(), String> {
    let wanted = fs::read(folder.join("package-lock.json")).map_err(|error| error.to_string())?;
    let mark = folder.join("node_modules/.installed");
    if fs::read(&mark).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    run(
        folder,
        "npm",
        &[OsStr::new("ci"), OsStr::new("--no-progress")],
    )?;
    fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))
}

fn run(folder: &Path, program: &str, arguments: &[&OsStr]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).replace('\n', " · ");
    let command: Vec<_> = iter::once(program.into())
        .chain(arguments.iter().map(|argument| argument.to_string_lossy()))
        .collect();
    Err(format!("{} failed: {said}", command.join(" ")))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
