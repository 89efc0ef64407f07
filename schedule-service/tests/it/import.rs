//! `schedule-service import`, as it is called.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use sqlx::PgPool;
use stack::TestBed;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uuid::Uuid;

/// A database, and files to import into it.
struct Import {
    bed: TestBed,
    /// The database, for the service's role.
    url: String,
}

/// What the program said.
struct Said {
    code: Option<i32>,
    sum: String,
    told: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
        Self {
            code: output.status.code(),
            sum: text(output.stdout),
            told: text(output.stderr),
        }
    }
}

impl Import {
    async fn new() -> Self {
        let bed = TestBed::new().await;
        let url = crate::database::migrated(bed.database_url()).await;
        Self { bed, url }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.bed.folder().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schedule-service"));
        command
            .arg("import")
            .args(arguments)
            .env("DATABASE_URL", &self.url)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        self.command(arguments).output().await.unwrap().into()
    }

    /// Imports a file of that name and content.
    async fn import(&self, name: &str, content: &str, more: &[&str]) -> Said {
        let file = self.file(name, content);
        let arguments: Vec<&str> = [file.to_str().unwrap()]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        self.run(&arguments).await
    }

    async fn count(&self, what: &str) -> i64 {
        let pool = PgPool::connect(self.bed.database_url()).await.unwrap();
        let sql = format!("SELECT count(*) FROM {what}");
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_one(&pool)
            .await
            .unwrap()
    }
}

fn contractor(name: &str) -> Value {
    json!({"contractorId": Uuid::now_v7(), "name": name, "territory": "london-north",
        "timeZone": "Europe/London", "skills": ["gas"],
        "jobs": [{"title": "Boiler", "start": "2030-01-07T09:00:00Z", "end": "2030-01-07T10:00:00Z"}]})
}

fn ndjson(lines: &[Value]) -> String {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

#[tokio::test]
async fn contractors_of_an_ndjson_file_are_there_with_their_history_and_their_events() {
    let import = Import::new().await;
    let lines = ndjson(&[contractor("Ada"), contractor("Grace")]);

    let said = import.import("roster.ndjson", &lines, &[]).await;

    assert_eq!(said.code, Some(0), "{}", said.told);
    assert_eq!(said.sum, "2 loaded, 0 already there, 0 bad");
    for what in ["contractors", "jobs", "schedule_changes", "outbox"] {
        assert_eq!(import.count(what).await, 2, "{what}");
    }
    assert_eq!(
        import
            .count("schedule_changes WHERE data->>'actor' = 'import'")
            .await,
        2
    );
}

#[tokio::test]
async fn importing_the_same_file_twice_loads_nothing_twice() {
    let import = Import::new().await;
    let lines = ndjson(&[contractor("Ada"), contractor("Grace")]);
    import.import("roster.ndjson", &lines, &[]).await;

    // And a line that is there twice is loaded once.
    let third = ndjson(&[contractor("Edith")]);
    let said = import
        .import("roster.ndjson", &format!("{lines}{third}{third}"), &[])
        .await;

    assert_eq!(said.code, Some(0), "{}", said.told);
    assert_eq!(said.sum, "1 loaded, 3 already there, 0 bad");
    for what in ["contractors", "schedule_changes", "outbox"] {
        assert_eq!(import.count(what).await, 3, "{what}");
    }
}

#[tokio::test]
async fn bad_lines_are_told_by_number_and_the_others_are_loaded() {
    let import = Import::new().await;
    let mut nameless = contractor("Ada");
    nameless["name"] = json!("");
    let mut misspelt = contractor("Ada");
    misspelt["skils"] = json!([]);
    let lines = format!(
        "{}{{\n\n{}",
        ndjson(&[contractor("Ada"), nameless]),
        ndjson(&[misspelt, contractor("Grace")])
    );

    let said = import
        .import("roster.ndjson", &lines, &["--import-batch", "2"])
        .await;

    assert_eq!(said.code, Some(1));
    assert_eq!(said.sum, "2 loaded, 0 already there, 3 bad");
    let told: Vec<&str> = said.told.lines().collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("line 2: /name: "), "{told:?}");
    assert!(told[1].starts_with("line 3: is not JSON: "), "{told:?}");
    assert!(
        told[2].starts_with("line 5: /skils: no such field"),
        "{told:?}"
    );
    assert_eq!(import.count("contractors").await, 2);
}

#[tokio::test]
async fn a_csv_file_is_told_by_its_name_and_its_bad_rows_by_line_and_column() {
    let import = Import::new().await;
    let rows = "name,territory,timeZone,skills,workingHours\n\
        Ada,london-north,Europe/London,gas;boiler,MO-FR 08:00-17:00; SA 09:00-13:00\n\
        Grace,london-north,Europe/London,,sometimes\n\
        Edith,london-north,Europe/London,,none\n";

    let said = import.import("roster.csv", rows, &[]).await;

    assert_eq!(said.code, Some(1));
    assert_eq!(said.sum, "2 loaded, 0 already there, 1 bad");
    assert!(
        said.told.starts_with("line 3: column workingHours: "),
        "{}",
        said.told
    );
    assert_eq!(
        import
            .count("contractors WHERE skills = '{boiler,gas}'")
            .await,
        1
    );
    assert_eq!(
        import.count("contractors WHERE working_hours = '[]'").await,
        1
    );
}

#[tokio::test]
async fn standard_input_is_read_where_the_file_is_a_dash() {
    let import = Import::new().await;
    let mut child = import
        .command(&["-", "--format", "csv"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"name,territory,timeZone\nAda,london,Europe/London\n")
        .await
        .unwrap();
    drop(input);

    let said = Said::from(child.wait_with_output().await.unwrap());

    assert_eq!(
        (said.code, said.sum.as_str()),
        (Some(0), "1 loaded, 0 already there, 0 bad")
    );
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_keeps_nothing() {
    let import = Import::new().await;
    let mut bad = contractor("Ada");
    bad["timeZone"] = json!("Nowhere");

    let lines = ndjson(&[contractor("Ada"), bad]);
    let said = import.import("roster.ndjson", &lines, &["--dry-run"]).await;

    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.sum,
        "1 loaded, 0 already there, 1 bad (dry run: nothing was kept)"
    );
    assert!(
        said.told.starts_with("line 2: /timeZone: "),
        "{}",
        said.told
    );
    for what in ["contractors", "jobs", "schedule_changes", "outbox"] {
        assert_eq!(import.count(what).await, 0, "{what}");
    }
}

#[tokio::test]
async fn a_large_roster_is_loaded_and_its_progress_told_in_plain_lines() {
    let import = Import::new().await;
    let mut rows = String::from("contractorId,name,territory,timeZone\n");
    for number in 0..10_000 {
        writeln!(
            rows,
            "{},No {number},t-{},Europe/London",
            Uuid::now_v7(),
            number % 50
        )
        .unwrap();
    }

    let said = import.import("roster.csv", &rows, &[]).await;

    assert_eq!(said.code, Some(0), "{}", said.told);
    assert_eq!(said.sum, "10000 loaded, 0 already there, 0 bad");
    assert_eq!(
        said.told.lines().collect::<Vec<_>>(),
        [
            "5000 loaded, 0 already there, 0 bad so far",
            "10000 loaded, 0 already there, 0 bad so far"
        ]
    );
    assert_eq!(import.count("outbox").await, 10_000);
}

#[tokio::test]
async fn what_cannot_be_done_at_all_ends_with_one_line_and_exit_code_two() {
    let import = Import::new().await;
    let missing = import.run(&["/nowhere/roster.csv"]).await;
    let head = import
        .import("roster.csv", "name,nickname\nAda,Countess\n", &[])
        .await;
    let open_quote = import
        .import("open.csv", &format!("name\n\"{}", "x".repeat(3 << 20)), &[])
        .await;
    let file = import.file("roster.ndjson", "");
    let away = import
        .command(&[file.to_str().unwrap()])
        .env("DATABASE_URL", "postgres://127.0.0.1:1/nothing")
        .output()
        .await
        .unwrap()
        .into();

    for (said, word) in [
        (missing, "cannot open /nowhere/roster.csv"),
        (head, "there is no column \"nickname\""),
        (open_quote, "is a quote left open?"),
        (away, "cannot connect to the database"),
    ] {
        assert_eq!(said.code, Some(2), "{}", said.told);
        assert!(said.told.contains(word), "{}", said.told);
        assert_eq!(said.told.lines().count(), 1, "{}", said.told);
        assert_eq!(said.sum, "");
    }
}

#[tokio::test]
async fn an_empty_file_loads_nothing_and_is_no_error() {
    let import = Import::new().await;

    let said = import.import("roster.ndjson", "", &[]).await;

    assert_eq!(
        (said.code, said.sum.as_str()),
        (Some(0), "0 loaded, 0 already there, 0 bad")
    );
}
