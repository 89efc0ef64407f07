//! Who asks for a stream.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::ConnectInfo;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use shared_events::service;
use shared_events::service::http::Connection;

use crate::line::Line;

/// So many bytes of a client's name for itself are kept.
const AGENT_BYTES: usize = 120;

/// Who asks, as far as the connection and the request tell.
///
/// The territories of its token narrow the [`Filter`](crate::filter::Filter) that the stream is opened
/// with, and the token's end is raised at the [`Slot`](crate::slot::Slot) as the end of a drain is.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address that the connection came from.
    pub address: IpAddr,
    /// The subject of its token; none where access is not checked.
    pub user: Option<Arc<str>>,
    /// What the client calls itself, shortened; empty where it does not say.
    pub agent: Box<str>,
    /// Drops the connection, for a client that takes nothing any more. There is none where the
    /// stream has the socket for itself: the kernel's time-out ends that one.
    pub connection: Option<Connection>,
    /// The socket, where the stream has it for itself.
    pub line: Option<Arc<Line>>,
    /// When its token is no longer good; none where access is not checked.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Caller {
    /// Reads a request's head.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let known = parts.extensions.get::<service::Caller>();
        let agent = parts.headers.get(USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let mut agent = agent.unwrap_or_default();
        agent = agent.get(..AGENT_BYTES).unwrap_or(agent);
        Self {
            address: peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |peer| {
                peer.0.ip().to_canonical()
            }),
            user: known.and_then(user),
            agent: agent.into(),
            connection: parts.extensions.get::<Connection>().cloned(),
            line: parts.extensions.get::<Arc<Line>>().cloned(),
            expires_at: known.and_then(service::Caller::expires_at),
        }
    }
}

#[cfg(test)]
impl Caller {
    /// Somebody at an address of whom nothing else is known.
    pub(crate) fn at(address: impl Into<IpAddr>) -> Self {
        Self {
            address: address.into(),
            user: None,
            agent: "".into(),
            connection: None,
            line: None,
            expires_at: None,
        }
    }
}

/// Where access is not checked there is no token and so no end of one, and anybody may be anyone.
fn user(known: &service::Caller) -> Option<Arc<str>> {
    known.expires_at().map(|_| known.subject().into())
}

#[cfg(test)]
mod tests {
    use super::{AGENT_BYTES, Caller};
    use axum::extract::ConnectInfo;
    use axum::http::Request;
    use std::net::SocketAddr;

    #[test]
    fn a_caller_is_an_address_and_a_name_of_bounded_length() {
        let peer: SocketAddr = "[::ffff:10.0.0.7]:1234".parse().expect("an address");
        let request = Request::get("/")
            .header("user-agent", "x".repeat(1000))
            .extension(ConnectInfo(peer));
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let caller = Caller::of(&parts);
        assert_eq!(caller.address.to_string(), "10.0.0.7");
        assert_eq!(caller.agent.len(), AGENT_BYTES);
    }
}
