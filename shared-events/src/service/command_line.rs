//! What a command line that cannot be read comes to.

use std::error::Error;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Ends a process whose command line or environment could not be read: help and version are printed
/// and are a success, everything else is one clear line on standard error and exit code 2.
///
/// Of a value the line repeats only what the setting's own parser says of it, since it may hold a
/// password.
#[must_use]
pub fn refuse_command_line(program: &str, error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        eprintln!(
            "{program}: {} (--help tells all settings)",
            complaint(error)
        );
        ExitCode::from(2)
    } else {
        // Where nobody reads it any more there is nothing left to do.
        let _ = error.print();
        ExitCode::SUCCESS
    }
}

fn complaint(error: &clap::Error) -> String {
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => setting(argument),
        Some(ContextValue::Strings(arguments)) => {
            let settings: Vec<String> = arguments.iter().map(|name| setting(name)).collect();
            settings.join(" and ")
        }
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => format!("{argument} must be set"),
        ErrorKind::ValueValidation => {
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{argument}: {reason}")
        }
        ErrorKind::InvalidValue => {
            let possible = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(values)) => values.join(", "),
                _ => String::new(),
            };
            format!("{argument} must be one of: {possible}")
        }
        _ => {
            let text = error.render().to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let words: Vec<&str> = first.split_whitespace().collect();
            words.join(" ").trim_start_matches("error: ").to_owned()
        }
    }
}

/// `--bind-addr <ADDR>` as `BIND_ADDR (--bind-addr)`: every setting's variable has the name of its
/// option.
fn setting(argument: &str) -> String {
    let option = argument.split_whitespace().next().unwrap_or_default();
    match option.strip_prefix("--") {
        Some(name) => format!("{} ({option})", name.replace('-', "_").to_uppercase()),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::complaint;
    use crate::service::ServiceSettings;

    #[derive(Debug, Parser)]
    struct Settings {
        #[arg(long, value_parser = |_: &str| Err::<String, _>("not a PostgreSQL URL"))]
        database_url: String,
        #[command(flatten)]
        service: ServiceSettings,
    }

    fn complaint_of(arguments: &[&str]) -> String {
        let arguments = ["program"].iter().chain(arguments);
        complaint(&Settings::try_parse_from(arguments).expect_err("a refusal"))
    }

    #[test]
    fn each_mistake_is_one_line_that_names_the_setting_and_repeats_no_secret() {
        for (arguments, line) in [
            (
                &[
                    "--database-url=x://user:secret@host",
                    "--auth-mode=disabled",
                ][..],
                "DATABASE_URL (--database-url): not a PostgreSQL URL",
            ),
            (
                &[],
                "DATABASE_URL (--database-url) and AUTH_MODE (--auth-mode) must be set",
            ),
            (
                &["--auth-mode=none"],
                "AUTH_MODE (--auth-mode) must be one of: disabled, hs256, jwks",
            ),
            (
                &["--drain-seconds=601"],
                "DRAIN_SECONDS (--drain-seconds): 601 is not in 0..=600",
            ),
            (&["--nonsense"], "unexpected argument '--nonsense' found"),
        ] {
            assert_eq!(complaint_of(arguments), line);
        }
    }
}
