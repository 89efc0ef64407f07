//! Pushpin with Zurl, by which it asks, and the origin that it asks what to do with each client.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// What every client is told to be: a stream of one channel (the GRIP protocol).
const HOLD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nGrip-Hold: stream\r\n\
    Grip-Channel: all\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Its programs, running.
pub(crate) struct Pushpin {
    pub(crate) runner: Child,
    /// Where clients come.
    pub(crate) address: String,
    /// Where messages are posted.
    pub(crate) control: String,
}

/// Starts it with limits on rate and backlog that the works do not reach: by default it drops what is
/// more than 2,500 deliveries a second and 25,000 behind.
pub(crate) fn start(program: &Path, folder: &Path) -> Result<Pushpin> {
    ensure!(
        program.exists(),
        "Pushpin is not installed: there is no {} (Debian: apt-get install pushpin zurl). Name it with \
         --pushpin, or leave pushpin out",
        program.display()
    );
    let folder: PathBuf = folder.join("pushpin");
    fs::create_dir_all(&folder)?;
    let origin = origin()?;
    let (clients, control) = (stack::ports::reserve()?, stack::ports::reserve()?);
    fs::write(folder.join("routes"), format!("* {origin}\n"))?;
    let file = folder.join("pushpin.conf");
    fs::write(
        &file,
        configuration(&folder, clients.number(), control.number()),
    )?;
    let runner = Command::new(program)
        .arg(format!("--config={}", file.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("Pushpin")?;
    Ok(Pushpin {
        runner,
        address: format!("127.0.0.1:{}", clients.number()),
        control: format!("127.0.0.1:{}", control.number()),
    })
}

/// Its programs find each other a moment after they have started; until then clients are refused.
pub(crate) fn wait_until_it_holds(address: &str) -> Result<()> {
    const OK: &[u8] = b"HTTP/1.1 200";
    let deadline = Instant::now() + Duration::from_secs(20);
    let ask = || -> Result<bool> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
        socket.write_all(b"GET /follow HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut begin = [0; OK.len()];
        socket.read_exact(&mut begin)?;
        Ok(begin == OK)
    };
    while !ask().unwrap_or(false) {
        ensure!(Instant::now() < deadline, "Pushpin holds no stream");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A message as its control port takes it.
pub(crate) fn item(data: &str) -> String {
    let content = format!("data: {data}\n\n");
    let formats = serde_json::json!({"http-stream": {"content": content}});
    serde_json::json!({"items": [{"channel": "all", "formats": formats}]}).to_string()
}

fn configuration(folder: &Path, clients: u16, control: u16) -> String {
    let run = folder.display();
    format!(
        "[global]\ninclude={{libdir}}/internal.conf\nrundir={run}\nipc_prefix=bench-\nport_offset=0\n\
         stats_connection_ttl=120\n\
         [runner]\nservices=condure,zurl,pushpin-proxy,pushpin-handler\nhttp_port=127.0.0.1:{clients}\n\
         logdir={run}\nlog_level=0\nclient_buffer_size=8192\nclient_maxconn=50000\n\
         [proxy]\nzurl_out_specs=ipc://{run}/bench-zurl-in\n\
         zurl_out_stream_specs=ipc://{run}/bench-zurl-in-stream\nzurl_in_specs=ipc://{run}/bench-zurl-out\n\
         routesfile={run}/routes\nupdates_check=off\nsig_key=bench\n\
         [handler]\npush_in_spec=ipc://{run}/push-in\npush_in_sub_specs=ipc://{run}/sub-in\n\
         push_in_http_addr=127.0.0.1\npush_in_http_port={control}\n\
         push_in_http_max_headers_size=10000\npush_in_http_max_body_size=1000000\n\
         stats_spec=ipc://{run}/stats\ncommand_spec=ipc://{run}/command\n\
         message_rate=1000000000\nmessage_hwm=1000000000\nmessage_wait=5000\nid_cache_ttl=60\n\
         connection_subscription_max=20\nsubscription_linger=60\nstats_subscription_ttl=60\n\
         stats_report_interval=10\nstats_format=tnetstring\n"
    )
}

/// Answers everybody the same, from a thread that lasts as long as the benchmark.
fn origin() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    socket2::SockRef::from(&listener).listen(crate::floor::BACKLOG)?;
    let address = listener.local_addr()?.to_string();
    std::thread::Builder::new()
        .name("origin".to_owned())
        .spawn(move || {
            for socket in listener.incoming().flatten() {
                // Who breaks off gets no answer.
                let _ = answer(socket);
            }
        })?;
    Ok(address)
}

fn answer(mut socket: TcpStream) -> Result<()> {
    let mut head = Vec::new();
    let mut room = [0; 4096];
    while memchr::memmem::find(&head, b"\r\n\r\n").is_none() {
        let count = socket.read(&mut room)?;
        ensure!(count > 0 && head.len() < 64 * 1024, "no request");
        head.extend_from_slice(room.get(..count).unwrap_or_default());
    }
    Ok(socket.write_all(HOLD)?)
}
