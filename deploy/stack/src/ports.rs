//! Free TCP ports, each held by a lock for as long as it is in use.
//!
//! All are below the range from which the kernel takes the ports of outgoing connections: a client
//! that reconnects to a dead port inside that range can connect to itself, and the server that
//! comes back then cannot bind. A lock per port keeps two programs that start at the same time
//! from choosing the same one between the look and the bind.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::unistd::getuid;

/// The first port that is handed out.
pub const FIRST: u16 = 20_000;
/// The first port above those that are handed out; the kernel's ephemeral range starts at 32768.
pub const END: u16 = 32_000;

/// A port that no other user of this module gets while this value lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// The number of the port.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// Takes any free port.
///
/// # Errors
/// When the folder of the locks cannot be used, or no port is free.
pub fn reserve() -> io::Result<Port> {
    static OFFSET: AtomicU16 = AtomicU16::new(0);
    let span = END - FIRST;
    // Processes start at places of their own, so that they do not try the same ports in a row.
    let own = u16::try_from(std::process::id().wrapping_mul(397) % u32::from(span)).unwrap_or(0);
    for _ in 0..span {
        let step = OFFSET.fetch_add(1, Ordering::Relaxed) % span;
        let number = FIRST + (own + step) % span;
        if let Some(port) = reserve_exactly(number)? {
            return Ok(port);
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        format!("no free TCP port from {FIRST} to {END}"),
    ))
}

/// Takes the port `number` if nobody has it.
///
/// # Errors
/// When the folder of the locks cannot be used.
pub fn reserve_exactly(number: u16) -> io::Result<Option<Port>> {
    let folder = lock_folder()?;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join(number.to_string()))?;
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    // Others than users of this module may have it: on this address or on all.
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok();
    Ok(free.then_some(Port {
        number,
        _lock: lock,
    }))
}

/// One folder for each user: the lock files of another could not be opened.
fn lock_folder() -> io::Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("rosterwire-ports-{}", getuid()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_stay_below_the_ephemeral_range_and_differ() {
        let ports: Vec<Port> = (0..50).map(|_| reserve().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
        assert!(numbers.iter().all(|n| (FIRST..END).contains(n)));
    }

    #[test]
    fn a_port_is_held_until_it_is_dropped() {
        let port = reserve().unwrap();
        let number = port.number();
        assert!(reserve_exactly(number).unwrap().is_none());
        drop(port);
        assert!(reserve_exactly(number).unwrap().is_some());
    }

    #[test]
    fn a_port_on_which_somebody_listens_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        assert!(reserve_exactly(number).unwrap().is_none());
    }
}
