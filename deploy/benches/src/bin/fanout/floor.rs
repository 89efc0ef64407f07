//! The floor: one thread, epoll, the same bytes written to each socket, and nothing else.

use std::collections::BTreeSet;
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
    territory: usize,
    /// How far in the log it is.
    at: usize,
    is_asked: bool,
    is_blocked: bool,
}

/// The messages of one territory, and who gets them.
#[derive(Default)]
struct Territory {
    log: Vec<u8>,
    members: Vec<usize>,
}

/// Runs as a process of its own: each line of standard input is a message. A client that sends
/// `Last-Event-ID` gets all there ever were. Who asks for `/t7` gets the lines that begin with `7 `;
/// all others belong to territory 0.
pub(crate) fn run(port: u16) -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    epoll.add(stdin().as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, STDIN))?;
    let mut events = vec![EpollEvent::empty(); 1024];
    let mut clients: Vec<Client> = Vec::new();
    let mut territories: Vec<Territory> = Vec::new();
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
                    for touched in take_lines(&mut lines, &mut territories) {
                        let Territory { log, members } = &territories[touched];
                        for &number in members {
                            let client = &mut clients[number];
                            if client.is_asked && !client.is_blocked {
                                write(client, log, &epoll, number)?;
                            }
                        }
                    }
                }
                number => {
                    let number = usize::try_from(number)?;
                    let client = clients.get_mut(number).context("a client")?;
                    if event.events().contains(EpollFlags::EPOLLIN) {
                        read(client, number, &mut room, &mut territories, &epoll)?;
                    }
                    if client.is_asked {
                        let log = &territories[client.territory].log;
                        write(client, log, &epoll, number)?;
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
            territory: 0,
            at: 0,
            is_asked: false,
            is_blocked: false,
        });
    }
}

fn read(
    client: &mut Client,
    number: usize,
    room: &mut [u8],
    territories: &mut Vec<Territory>,
    epoll: &Epoll,
) -> Result<()> {
    match client.socket.read(room) {
        Ok(count) if count > 0 && !client.is_asked => {
            let head = room.get(..count).unwrap_or_default();
            let resumes = memchr::memmem::find(head, b"Last-Event-ID").is_some();
            let named = head.strip_prefix(b"GET /t").unwrap_or_default();
            client.territory = leading_number(named).0;
            let territory = at(territories, client.territory);
            territory.members.push(number);
            client.at = if resumes { 0 } else { territory.log.len() };
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

fn at(territories: &mut Vec<Territory>, number: usize) -> &mut Territory {
    if territories.len() <= number {
        territories.resize_with(number + 1, Territory::default);
    }
    &mut territories[number]
}

/// The number that the bytes begin with, 0 where they begin with none, and its length.
fn leading_number(bytes: &[u8]) -> (usize, usize) {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold((0, 0), |(number, length), digit| {
        (number * 10 + usize::from(digit - b'0'), length + 1)
    })
}

/// Moves whole lines to their territories; which those are.
fn take_lines(lines: &mut Vec<u8>, territories: &mut Vec<Territory>) -> BTreeSet<usize> {
    let mut touched = BTreeSet::new();
    let end = memchr::memrchr(b'\n', lines).map_or(0, |at| at + 1);
    for line in lines
        .get(..end)
        .unwrap_or_default()
        .split_inclusive(|byte| *byte == b'\n')
    {
        let (number, length) = leading_number(line);
        // The space after it goes too.
        let line = line
            .get(length + usize::from(length > 0)..)
            .unwrap_or_default();
        let log = &mut at(territories, number).log;
        log.extend_from_slice(b"data: ");
        log.extend_from_slice(line);
        log.push(b'\n');
        touched.insert(number);
    }
    lines.drain(..end);
    touched
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
