//! Connections and datagrams, many at a time, by ordinary sockets: what comes through is what a program would see.

use super::stage::Network;
use crate::model::Transport;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// How often is looked.
const LOOK: Duration = Duration::from_millis(3);
/// A datagram that was lost is sent again after this.
const AGAIN: Duration = Duration::from_millis(300);
/// How long opening a connection takes at most where nothing is in the way.
const OPENING: Duration = Duration::from_secs(3);

/// Where somebody is: in a network of others, or this machine.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) network: Option<usize>,
    pub(super) ip: IpAddr,
}

/// Somebody who is called.
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub(super) transport: Transport,
    pub(super) from: Place,
    pub(super) to: SocketAddr,
}

/// Those who listen, and answer.
#[derive(Default)]
pub(super) struct Servers {
    streams: Vec<TcpListener>,
    datagrams: Vec<UdpSocket>,
}

impl Servers {
    /// In the network that the caller is in.
    pub(super) fn listen(
        ports: &[u16],
        own: &[IpAddr],
        datagrams: &[u16],
    ) -> std::io::Result<Self> {
        let mut all = Self::default();
        for port in ports {
            let every = [
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port)),
            ];
            let listener = TcpListener::bind(&every[..])?;
            listener.set_nonblocking(true)?;
            all.streams.push(listener);
        }
        for ip in own {
            for port in datagrams {
                // An answer comes from the address that was asked. One that cannot be had is not judged.
                let Ok(socket) = UdpSocket::bind((*ip, *port)) else {
                    continue;
                };
                socket.set_nonblocking(true)?;
                all.datagrams.push(socket);
            }
        }
        Ok(all)
    }

    pub(super) fn add(&mut self, others: Self) {
        self.streams.extend(others.streams);
        self.datagrams.extend(others.datagrams);
    }

    /// Answers datagrams, and forgets connections.
    fn work(&self) {
        let mut bytes = [0; 64];
        for socket in &self.datagrams {
            while let Ok((length, from)) = socket.recv_from(&mut bytes) {
                let _ = socket.send_to(bytes.get(..length).unwrap_or_default(), from);
            }
        }
        for listener in &self.streams {
            while listener.accept().is_ok() {}
        }
    }
}

/// A connection that is being opened, or a question that waits for its answer.
enum Open {
    Stream(TcpStream),
    Datagram(UdpSocket),
    Failed,
}

fn open(call: &Call) -> Open {
    let from = SocketAddr::new(call.from.ip, 0);
    let opened = match call.transport {
        Transport::Tcp => stream(from, call.to).map(Open::Stream),
        Transport::Udp => datagram(from, call.to).map(Open::Datagram),
    };
    opened.unwrap_or(Open::Failed)
}

/// Begins a connection and does not wait for it.
fn stream(from: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &from)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket.into()),
        Err(error) => Err(error.into()),
    }
}

fn datagram(from: SocketAddr, to: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(from)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// What became of it, if that is known by now.
fn outcome(open: &Open) -> Option<bool> {
    match open {
        Open::Failed => Some(false),
        Open::Stream(stream) => match stream.take_error() {
            Ok(None) => stream.peer_addr().is_ok().then_some(true),
            _ => Some(false),
        },
        Open::Datagram(socket) => match socket.recv(&mut [0; 64]) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => None,
            Err(_) => Some(false),
        },
    }
}

/// Makes all of these calls at once; which of them came through.
pub(super) fn run(
    networks: &[Network],
    servers: &Servers,
    calls: &[&Call],
    patience: Duration,
) -> Vec<bool> {
    let mut all: Vec<(usize, Open)> = Vec::new();
    for place in std::iter::once(None).chain((0..networks.len()).map(Some)) {
        let from_here: Vec<(usize, &Call)> = calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.from.network == place)
            .map(|(at, call)| (at, *call))
            .collect();
        let begin = || {
            from_here
                .iter()
                .map(|(at, call)| (*at, open(call)))
                .collect()
        };
        let begun: Vec<_> = match place.and_then(|at| networks.get(at)) {
            Some(network) => network.within(begin).unwrap_or_default(),
            None => begin(),
        };
        all.extend(begun);
        servers.work();
    }
    let mut came = vec![false; calls.len()];
    let start = Instant::now();
    let mut asked = None;
    loop {
        // Looked once more when the time is over: on a busy machine that may be the first time.
        let over = start.elapsed() >= patience;
        if asked.is_none_or(|at: Instant| at.elapsed() > AGAIN) {
            for (_, open) in &all {
                if let Open::Datagram(socket) = open {
                    // What is refused is told when the answer is asked for.
                    let _ = socket.send(b"imwarden");
                }
            }
            asked = Some(Instant::now());
        }
        servers.work();
        all.retain(|(at, open)| match outcome(open) {
            Some(passed) => {
                if let Some(place) = came.get_mut(*at) {
                    *place = passed;
                }
                false
            }
            None => true,
        });
        if over || all.is_empty() {
            return came;
        }
        std::thread::sleep(LOOK);
    }
}

/// A connection between somebody and this machine that is open.
pub(super) struct Session {
    client: TcpStream,
    server: TcpStream,
}

impl Session {
    pub(super) fn open(
        network: &Network,
        from: SocketAddr,
        to: SocketAddr,
        servers: &Servers,
    ) -> Option<Self> {
        let client = network.within(|| stream(from, to)).ok()?.ok()?;
        let own = network.within(|| client.local_addr()).ok()?.ok()?;
        let start = Instant::now();
        while start.elapsed() < OPENING {
            for listener in &servers.streams {
                // Whoever listens to every address sees one of IPv4 in the form of IPv6.
                if let Ok((server, peer)) = listener.accept()
                    && (peer.ip().to_canonical(), peer.port()) == (own.ip(), own.port())
                {
                    for end in [&client, &server] {
                        end.set_nonblocking(false).ok()?;
                    }
                    return Some(Self { client, server });
                }
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    /// Whether a word and its answer still come through; who speaks first.
    pub(super) fn talks(&mut self, client_first: bool, patience: Duration) -> bool {
        let (first, second) = if client_first {
            (&mut self.client, &mut self.server)
        } else {
            (&mut self.server, &mut self.client)
        };
        let say = |from: &mut TcpStream, to: &mut TcpStream| -> std::io::Result<()> {
            to.set_read_timeout(Some(patience))?;
            from.write_all(b"?")?;
            to.read_exact(&mut [0])
        };
        say(first, second).and_then(|()| say(second, first)).is_ok()
    }
}
