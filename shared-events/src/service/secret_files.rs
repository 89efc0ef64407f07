//! Settings that hold secrets can be read from files, which no list of environments and no core dump
//! shows: `DATABASE_URL_FILE` names the file with the value of `DATABASE_URL`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;

use clap::builder::{Resettable, StyledStr};
use clap::error::ErrorKind;
use clap::{Arg, Command};

/// A larger file is refused.
const MAX_BYTES: u64 = 64 << 10;

/// Lets every setting of `command` whose value is hidden (`hide_env_values`) also come from a file that
/// the variable of its name and `_FILE` names: such values are added to the arguments, of which the
/// first is the program's name. `--help` tells of it. A variable that is set to nothing is not set.
pub fn with_secret_files<T: Into<OsString>>(
    command: Command,
    arguments: impl IntoIterator<Item = T>,
) -> Result<(Command, Vec<OsString>), clap::Error> {
    let arguments = arguments.into_iter().map(Into::into).collect();
    resolve(command, arguments, |name| {
        std::env::var_os(name).filter(|value| !value.is_empty())
    })
}

fn resolve(
    command: Command,
    mut arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<(Command, Vec<OsString>), clap::Error> {
    let found = secrets(&command, &arguments);
    let mut command = told(command);
    let mut read = Vec::new();
    for (option, variable) in found {
        let from = format!("{variable}_FILE");
        let Some(path) = environment(&from) else {
            continue;
        };
        let value = if environment(&variable).is_some() || names(&arguments, &option) {
            Err(format!(
                "{variable} and {from} are both set: set one of them"
            ))
        } else {
            value_of(&path).map_err(|reason| format!("{from}: {}: {reason}", path.display()))
        };
        match value {
            Ok(value) => read.push(OsString::from(format!("{option}={value}"))),
            Err(reason) => return Err(command.error(ErrorKind::Io, reason)),
        }
    }
    arguments.append(&mut read);
    Ok((command, arguments))
}

/// The options and variables of the secrets that the chosen command takes.
fn secrets(command: &Command, arguments: &[OsString]) -> Vec<(String, String)> {
    let mut chosen = vec![command];
    for word in arguments.iter().skip(1) {
        match chosen.last().and_then(|last| last.find_subcommand(word)) {
            Some(next) => chosen.push(next),
            None => break,
        }
    }
    let last = chosen.len() - 1;
    let taken = chosen.iter().enumerate().flat_map(|(place, command)| {
        let all = command.get_arguments();
        all.filter(move |argument| place == last || argument.is_global_set())
    });
    let named = taken.filter_map(|argument| {
        let variable = variable_of(argument)?;
        Some((format!("--{}", argument.get_long()?), variable))
    });
    named.collect()
}

fn variable_of(argument: &Arg) -> Option<String> {
    let variable = argument.get_env().and_then(OsStr::to_str);
    variable
        .filter(|_| argument.is_hide_env_values_set())
        .map(str::to_owned)
}

fn names(arguments: &[OsString], option: &str) -> bool {
    arguments
        .iter()
        .filter_map(|word| word.to_str())
        .any(|word| {
            word.strip_prefix(option)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
        })
}

fn value_of(path: &OsStr) -> Result<String, String> {
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(value.to_owned())
}

/// The command, whose help says which settings can come from files, and which takes nothing from an
/// empty variable.
fn told(command: Command) -> Command {
    command
        .mut_args(|argument| {
            let Some(variable) = variable_of(&argument) else {
                return argument;
            };
            let more = |help: &StyledStr| {
                format!("{help} [file: {variable}_FILE names one with the value]")
            };
            let short = argument.get_help().map(more);
            let long = argument.get_long_help().map(more);
            let is_empty = std::env::var_os(&variable).is_some_and(|value| value.is_empty());
            let mut argument = argument;
            if is_empty {
                argument = argument.env(Resettable::Reset);
            }
            if let Some(short) = short {
                argument = argument.help(short);
            }
            if let Some(long) = long {
                argument = argument.long_help(long);
            }
            argument
        })
        .mut_subcommands(told)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io::Write;

    use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

    use super::resolve;

    #[derive(Debug, Parser)]
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    struct Settings {
        #[command(subcommand)]
        command: Option<Sub>,
        /// Where the database is
        #[arg(long, env = "T_DATABASE_URL", hide_env_values = true)]
        database_url: Option<String>,
        /// No secret
        #[arg(long, env = "T_PORT")]
        port: Option<u16>,
    }

    #[derive(Debug, Subcommand)]
    enum Sub {
        /// Makes a token
        Token {
            /// The key
            #[arg(long, env = "T_KEY", hide_env_values = true)]
            key: Option<String>,
        },
    }

    fn file(text: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text).expect("room");
        file
    }

    fn read(words: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let arguments = words.iter().map(OsString::from).collect();
        let look = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        let (command, arguments) =
            resolve(Settings::command(), arguments, look).map_err(|error| error.to_string())?;
        let matches = command
            .try_get_matches_from(arguments)
            .map_err(|error| error.to_string())?;
        Ok(Settings::from_arg_matches(&matches).expect("settings"))
    }

    #[test]
    fn a_secret_comes_from_the_file_that_its_variable_names() {
        let kept = file(b"postgres://u:p@h/n\n");
        let path = kept.path().to_str().expect("a path");
        let settings = read(&["x"], &[("T_DATABASE_URL_FILE", path)]).expect("settings");
        assert_eq!(settings.database_url.as_deref(), Some("postgres://u:p@h/n"));
        let of_a_command = [("T_KEY_FILE", path), ("T_DATABASE_URL_FILE", path)];
        let settings = read(&["x", "token"], &of_a_command).expect("settings");
        let Some(Sub::Token { key }) = settings.command else {
            panic!("{settings:?}")
        };
        assert_eq!(key.as_deref(), Some("postgres://u:p@h/n"));
        assert_eq!(settings.database_url, None);
    }

    #[test]
    fn what_cannot_be_read_is_told_without_what_is_in_it() {
        let kept = file(b"hunter2");
        let path = kept.path().to_str().expect("a path");
        let (empty, large) = (file(b"\n"), file("x".repeat(70_000).as_bytes()));
        let binary = file(&[0xff, 0xfe]);
        let named = ("T_DATABASE_URL_FILE", path);
        let both = "T_DATABASE_URL and T_DATABASE_URL_FILE are both set";
        for (words, environment, word) in [
            (
                &["x"][..],
                vec![named, ("T_DATABASE_URL", "postgres://")],
                both,
            ),
            (&["x", "--database-url", "postgres://"], vec![named], both),
            (&["x", "--database-url=postgres://"], vec![named], both),
            (
                &["x"],
                vec![("T_DATABASE_URL_FILE", "/nowhere/at/all")],
                "No such file",
            ),
            (
                &["x"],
                vec![("T_DATABASE_URL_FILE", "/")],
                "T_DATABASE_URL_FILE: /: ",
            ),
            (
                &["x"],
                vec![(
                    "T_DATABASE_URL_FILE",
                    empty.path().to_str().expect("a path"),
                )],
                "it is empty",
            ),
            (
                &["x"],
                vec![(
                    "T_DATABASE_URL_FILE",
                    large.path().to_str().expect("a path"),
                )],
                "more than 65536 bytes",
            ),
            (
                &["x"],
                vec![(
                    "T_DATABASE_URL_FILE",
                    binary.path().to_str().expect("a path"),
                )],
                "UTF-8",
            ),
        ] {
            let error = read(words, &environment).expect_err(word);
            assert!(error.contains(word), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn help_tells_which_settings_can_come_from_a_file() {
        let help = read(&["x", "--help"], &[]).expect_err("the help");
        assert!(help.contains("T_DATABASE_URL_FILE"), "{help}");
        assert!(!help.contains("T_PORT_FILE"), "{help}");
        let help = read(&["x", "token", "--help"], &[]).expect_err("the help");
        assert!(help.contains("T_KEY_FILE"), "{help}");
    }
}
