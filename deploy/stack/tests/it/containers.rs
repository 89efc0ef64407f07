//! What the containers of `docker-compose.yml` run before their servers are there, against real servers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lapin::{Connection, ConnectionProperties};
use sqlx::{Connection as _, PgConnection};
use stack::process::Launch;
use stack::servers::rabbitmq::{Ports, RabbitMq, Statistics};
use stack::{Server, TestBed, ports};

use crate::eventually::eventually;
use crate::rights::redis;

/// The files that `make-env` writes, beside a copy of it.
struct Secrets(tempfile::TempDir);

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn make_env(root: &Path) -> Output {
    let mut made = Command::new(root.join("deploy/docker/make-env"));
    made.output().unwrap()
}

impl Secrets {
    fn make() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("deploy/docker")).unwrap();
        let copy = root.path().join("deploy/docker/make-env");
        fs::copy(source("docker/make-env"), copy).unwrap();
        let made = make_env(root.path());
        assert!(made.status.success(), "{made:?}");
        Self(root)
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join(".secrets")
    }

    fn read(&self, name: &str) -> String {
        let text = fs::read_to_string(self.folder().join(name)).unwrap();
        text.trim_end().to_owned()
    }

    /// An URL, at another address than the one that it has among containers.
    fn url(&self, name: &str, host: &str, here: &str) -> String {
        self.read(name)
            .replace(&format!("@{host}"), &format!("@{here}"))
    }
}

#[test]
fn secrets_are_made_once_for_this_user_alone_and_none_is_in_the_environment_of_compose() {
    use std::os::unix::fs::PermissionsExt;

    let secrets = Secrets::make();
    let root = secrets.0.path();
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(".env"), mode(".secrets")), (0o600, 0o700));
    let before = secrets.read("auth-secret");
    assert!(!make_env(root).status.success(), "it overwrites nothing");
    assert_eq!(secrets.read("auth-secret"), before);

    let environment = fs::read_to_string(root.join(".env")).unwrap();
    let file = fs::read_to_string(source("../docker-compose.yml")).unwrap();
    for entry in fs::read_dir(secrets.folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!environment.contains(&secrets.read(&name)), "{name}");
        assert!(
            file.contains(&format!("file: ./.secrets/{name}\n")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_script_of_postgresql_makes_both_roles_with_their_passwords() {
    let secrets = Secrets::make();
    let bed = TestBed::new().await;
    let (server, database) = bed.database_url().rsplit_once('/').unwrap();
    let (_, address) = server.split_once('@').unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let made = Command::new("sh")
        .arg(source("docker/postgres-roles.sh"))
        .env("SECRETS", secrets.folder())
        .env("RIGHTS", source("rights"))
        .env("POSTGRES_DB", database)
        .env("PGHOST", host)
        .env("PGPORT", port)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let mut connection = PgConnection::connect(bed.database_url()).await.unwrap();
    let with_password: Vec<String> = sqlx::query_scalar(
        "SELECT rolname::text FROM pg_authid
         WHERE rolpassword LIKE 'SCRAM-SHA-256$%' AND NOT rolsuper ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(with_password, ["rosterwire", "schedule_service"]);
    let rights: Vec<bool> = sqlx::query_scalar(
        "SELECT has_database_privilege(r, current_database(), p)
         FROM unnest(ARRAY ['rosterwire', 'schedule_service']) r, unnest(ARRAY ['CONNECT', 'CREATE', 'TEMP']) p
         ORDER BY r, p",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    assert_eq!(rights, [true, true, true, true, false, false]);
}

#[tokio::test]
async fn redis_lets_the_worker_in_by_its_password_and_nobody_without_one() {
    let secrets = Secrets::make();
    let folder = tempfile::tempdir().unwrap();
    let port = ports::reserve().unwrap();
    let number = port.number().to_string();
    let log = folder.path().join("redis.log");
    let mut launch = Launch::new("redis", Path::new("/bin/sh"), folder.path(), &log);
    launch = launch.arg(source("docker/redis-start.sh"));
    for word in ["--port", &number, "--bind", "127.0.0.1"] {
        launch = launch.arg(word);
    }
    launch = launch
        .env("DATA", folder.path())
        .env("SECRETS", secrets.folder())
        .env("RIGHTS", source("rights"));
    let server = Server::run(launch).unwrap();
    let here = format!("127.0.0.1:{number}");
    let url = secrets.url("redis-url", "redis:6379/0", &here);
    eventually("Redis", async || {
        tokio::net::TcpStream::connect(&here).await.ok()
    })
    .await;
    assert_eq!(
        redis(&url, &["GET rw:{complete}", "FLUSHALL"]).await[..2],
        ["+OK", "$-1"]
    );
    let stranger = url.replace("availability-worker:", "availability-worker:x");
    let refused = redis(&stranger, &["GET rw:{complete}"]).await;
    assert!(refused[0].starts_with("-WRONGPASS"), "{refused:?}");
    assert!(refused[1].starts_with("-NOAUTH"), "{refused:?}");
    let operator = format!("redis://default:{}@{here}", secrets.read("redis-password"));
    assert_eq!(redis(&operator, &["FLUSHALL"]).await, ["+OK", "+OK"]);
    server.kill().await.unwrap();
}

#[tokio::test]
async fn rabbitmq_knows_the_services_by_their_passwords_and_gives_them_their_rights() {
    let secrets = Secrets::make();
    let folder = tempfile::tempdir().unwrap();
    let definitions = folder.path().join("definitions");
    fs::create_dir(&definitions).unwrap();
    let users = secrets.folder().join("rabbitmq-users.json");
    fs::copy(users, definitions.join("10-users.json")).unwrap();
    fs::copy(
        source("rights/rabbitmq.json"),
        definitions.join("20-rights.json"),
    )
    .unwrap();
    let log = folder.path().join("rabbitmq.log");
    let reserved = Ports::reserve().unwrap();
    let here = format!("127.0.0.1:{}", reserved.amqp.number());
    let broker = RabbitMq::start(folder.path(), &log, reserved, Statistics::Default)
        .await
        .unwrap();
    let path = folder.path().join("rabbitmq.conf");
    let configuration = fs::read_to_string(&path).unwrap();
    // The setting as the containers have it.
    let shipped = fs::read_to_string(source("docker/rabbitmq.conf")).unwrap();
    let setting = shipped
        .lines()
        .find(|line| line.starts_with("load_definitions"));
    let setting = setting
        .unwrap()
        .replace("/etc/rabbitmq/definitions", definitions.to_str().unwrap());
    fs::write(&path, format!("{configuration}{setting}\n")).unwrap();
    broker.restart().await.unwrap();
    for kind in stack::ServiceKind::ALL {
        let name = format!("amqp-url-{}", kind.name());
        let url = secrets.url(&name, "rabbitmq:5672", &here);
        let connected = Connection::connect(&url, ConnectionProperties::default()).await;
        connected
            .expect(&name)
            .close(200, "done".into())
            .await
            .unwrap();
    }
    broker.kill().await.unwrap();
}
