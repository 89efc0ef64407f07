//! The floor: one thread, epoll, the same bytes written to each socket, and nothing else.

use std::io::{ErrorKind, Read, Write, stdin};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// All clients may come at once, as with the notifier.
pub(crate) const BACKLOG: i32 = 4096;

const LISTENER: u64 = u64::MAX;
const STDIN: u64 = u64::MAX - 1;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

struct Client {
    socket: TcpStream,
    /// How far in the log it is.
    at: usize,
    is_asked: bool,
    is_blocked: bool,
}

/// Runs as a process of its own: each line of standard input is a message. A client that sends
/// `Last-Event-ID` gets all there ever were.
pub(crate) fn run(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    epoll.add(stdin().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, STDIN))?;
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut clients: Vec<Client> = Vec::new();
    let mut log: Vec<u8> = Vec::new();
    let mut lines: Vec<u8> = Vec::new();
    let mut room = vec![0; 64 * 1024];
    loop {
        let count = epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(count) {
            match event.data() {
                LISTENER => accept(&listener, &epoll, &mut clients)?,
                STDIN => {
                    let count = stdin().lock().read(&mut room)?;
                    if count == 0 {
                        return Ok(());
                    }
                    lines.extend_from_slice(room.get(..count).unwrap_or_default());
                    take_lines(&mut lines, &mut log);
                    for (number, client) in clients.iter_mut().enumerate() {
                        if client.is_asked && !client.is_blocked {
                            write(client, &log, &epoll, number)?;
                        }
                    }
                }
                number => {
                    let number = usize::try_from(number)?;
                    let client = clients.get_mut(number).context("a client")?;
                    if event.events().contains(EpollFlags::EPOLLIN) {
                        read(client, &mut room, &log, &epoll)?;
                    }
                    if client.is_asked {
                        write(client, &log, &epoll, number)?;
                    }
                }
            }
        }
    }
}

fn accept(listener: &TcpListener, epoll: &Epoll, clients: &mut Vec<Client>) -> Result<()> {
    loop {
        let socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        let number = u64::try_from(clients.len())?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, number))?;
        clients.push(Client {
            socket,
            at: 0,
            is_asked: false,
            is_blocked: false,
        });
    }
}

fn read(client: &mut Client, room: &mut [u8], log: &[u8], epoll: &Epoll) -> Result<()> {
    match client.socket.read(room) {
        Ok(count) if count > 0 && !client.is_asked => {
            let head = room.get(..count).unwrap_or_default();
            let resumes = memchr::memmem::find(head, b"Last-Event-ID").is_some();
            client.at = if resumes { 0 } else { log.len() };
            client.is_asked = true;
            client.socket.write_all(HEAD)?;
        }
        Ok(count) if count > 0 => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        // Who is gone would be told of again and again.
        _ => {
            epoll.delete(&client.socket)?;
            client.is_asked = false;
        }
    }
    Ok(())
}

fn take_lines(lines: &mut Vec<u8>, log: &mut Vec<u8>) {
    let end = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    for line in lines
        .get(..end)
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == b'\n')
    {
        log.extend_from_slice(b"data: ");
        log.extend_from_slice(line);
        log.push(b'\n');
    }
    lines.drain(..end);
}

fn write(client: &mut Client, log: &[u8], epoll: &Epoll, number: usize) -> Result<()> {
    let number = u64::try_from(number)?;
    while client.at < log.len() {
        match client
            .socket
            .write(log.get(client.at..).unwrap_or_default())
        {
            Ok(count) => client.at += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if !std::mem::replace(&mut client.is_blocked, true) {
                    let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
                    epoll.modify(&client.socket, &mut EpollEvent::new(both, number))?;
                }
                return Ok(());
            }
            // A message may find out before the read does.
            Err(_) => {
                let _ = epoll.delete(&client.socket);
                client.is_asked = false;
                return Ok(());
            }
        }
    }
    if std::mem::replace(&mut client.is_blocked, false) {
        let in_only = &mut EpollEvent::new(EpollFlags::EPOLLIN, number);
        epoll.modify(&client.socket, in_only)?;
    }
    Ok(())
}
