//! An HTTP/1.1 client that costs next to nothing: requests are bytes made by hand, answers are
//! looked at for their status and ETag only.

use std::sync::LazyLock;

use anyhow::{Context, Result, bail};
use stack::AccessKey;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// The largest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

/// The line of a request's head that lets it do everything.
static AUTHORIZATION: LazyLock<String> = LazyLock::new(|| {
    let token = AccessKey::of_this_process().admin();
    format!("authorization: Bearer {token}\r\n")
});

/// The line of a request's head, with its end, that lets it do everything. Servers that check nothing
/// pass over it.
#[must_use]
pub fn authorization() -> &'static str {
    &AUTHORIZATION
}

/// `host:port` of a URL without a path.
///
/// # Errors
/// When it is not such a URL.
pub fn authority(url: &str) -> Result<&str> {
    url.strip_prefix("http://")
        .with_context(|| format!("{url} is not an http:// URL"))
}

/// Opens a connection on which small requests are sent at once.
///
/// # Errors
/// When nobody listens there.
pub async fn connect(authority: &str) -> Result<(AnswerReader, OwnedWriteHalf)> {
    let socket = TcpStream::connect(authority).await?;
    socket.set_nodelay(true)?;
    let (reader, writer) = socket.into_split();
    Ok((AnswerReader::new(reader), writer))
}

/// A request with a JSON body.
#[must_use]
pub fn request(
    method: &str,
    path: &str,
    authority: &str,
    if_match: Option<i64>,
    body: &[u8],
) -> Vec<u8> {
    use std::io::Write;
    let mut bytes = Vec::with_capacity(256 + body.len());
    // Writing to memory cannot fail.
    let _ = write!(
        bytes,
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{}",
        body.len(),
        authorization(),
    );
    if let Some(version) = if_match {
        let _ = write!(bytes, "if-match: \"{version}\"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// A request without a body.
#[must_use]
pub fn get(path: &str, authority: &str) -> Vec<u8> {
    let authorization = authorization();
    format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\n{authorization}\r\n").into_bytes()
}

/// What is read of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The version that its ETag names.
    pub version: Option<i64>,
    /// The body, where the status is not 2xx.
    pub problem: String,
}

/// Reads answers from one connection.
#[derive(Debug)]
pub struct AnswerReader {
    socket: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl AnswerReader {
    fn new(socket: OwnedReadHalf) -> Self {
        Self {
            socket,
            buffer: Vec::with_capacity(16 << 10),
        }
    }

    /// The next answer.
    ///
    /// # Errors
    /// When the connection ends or what comes is not an answer with a `content-length`.
    pub async fn next(&mut self) -> Result<Answer> {
        let (answer, length) = self.whole().await?;
        self.buffer.drain(..length);
        Ok(answer)
    }

    /// The next answer with its body.
    ///
    /// # Errors
    /// The same.
    pub async fn next_with_body(&mut self) -> Result<(Answer, Vec<u8>)> {
        let (answer, length) = self.whole().await?;
        let body = memchr::memmem::find(&self.buffer, b"\r\n\r\n").map_or(length, |end| end + 4);
        let body = self.buffer[body..length].to_vec();
        self.buffer.drain(..length);
        Ok((answer, body))
    }

    /// Waits until the next answer is in the buffer: it, and its length with its head.
    async fn whole(&mut self) -> Result<(Answer, usize)> {
        loop {
            if let Some(whole) = parse(&self.buffer)? {
                return Ok(whole);
            }
            if self.buffer.len() > MAX_ANSWER {
                bail!("an answer is longer than {MAX_ANSWER} bytes");
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
        }
    }

    /// The socket, with what was read ahead.
    #[must_use]
    pub fn into_parts(self) -> (OwnedReadHalf, Vec<u8>) {
        (self.socket, self.buffer)
    }

    /// Reads the head of an answer and leaves its body.
    ///
    /// # Errors
    /// When the connection ends before.
    pub async fn head(&mut self) -> Result<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 4);
                return Ok(head);
            }
            if self.socket.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
        }
    }
}

/// The answer at the start of `bytes`, and its length; none where it is not whole yet.
fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("the head of an answer")?;
    let status = head
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .context("an answer has no status")?;
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let length: usize = header("content-length")
        .and_then(|value| value.parse().ok())
        .context("an answer has no content-length")?;
    let whole = end + 4 + length;
    if bytes.len() < whole {
        return Ok(None);
    }
    let problem = if (200..300).contains(&status) {
        String::new()
    } else {
        String::from_utf8_lossy(&bytes[end + 4..whole]).into_owned()
    };
    let version = header("etag").and_then(|tag| tag.trim_matches('"').parse().ok());
    Ok(Some((
        Answer {
            status,
            version,
            problem,
        },
        whole,
    )))
}

#[cfg(test)]
mod tests {
    use super::{Answer, parse, request};

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\nETag: \"7\"\r\ncontent-length: 2\r\n\r\n{}HTTP";
        let whole = bytes.len() - 4;
        for length in 0..whole {
            assert_eq!(parse(&bytes[..length]).unwrap(), None);
        }
        let answer = Answer {
            status: 200,
            version: Some(7),
            problem: String::new(),
        };
        assert_eq!(parse(bytes).unwrap(), Some((answer, whole)));
    }

    #[test]
    fn a_request_names_its_precondition() {
        let bytes = request("PATCH", "/x", "127.0.0.1:1", Some(3), b"{}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains("\r\nif-match: \"3\"\r\n"), "{text}");
        assert!(text.contains("\r\ncontent-length: 2\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n{}"), "{text}");
    }
}
