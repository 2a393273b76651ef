//! Many connections at once, from one machine of the lab to another, and what became of each; and the other side's own
//! account of what arrived.

use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// One connection. On the wire between the lab's machines it is `tcp 192.0.2.10:0 198.51.100.10:5190 10000`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt {
    pub tcp: bool,
    /// Port 0 is any.
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// How long an answer is waited for.
    pub patience: Duration,
}

impl Attempt {
    pub fn line(&self) -> String {
        let word = if self.tcp { "tcp" } else { "udp" };
        let patience = self.patience.as_millis();
        format!("{word} {} {} {patience}", self.from, self.to)
    }

    fn parse(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [word, from, to, patience] = words.as_slice() else {
            panic!("{line}");
        };
        Self {
            tcp: *word == "tcp",
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            patience: Duration::from_millis(patience.parse().unwrap()),
        }
    }

    /// `open`, or how it was refused. The kind matters: it tells a rule that works from one that swallows its own answer.
    fn run(&self) -> &'static str {
        let tried = if self.tcp {
            self.connect().and_then(|mut stream| talk(&mut stream))
        } else {
            self.exchange()
        };
        tried.map_or_else(|error| kind(&error), |()| "open")
    }

    fn socket(&self) -> io::Result<Socket> {
        let (kind, protocol) = if self.tcp {
            (Type::STREAM, Protocol::TCP)
        } else {
            (Type::DGRAM, Protocol::UDP)
        };
        let socket = Socket::new(Domain::for_address(self.to), kind, Some(protocol))?;
        socket.set_reuse_address(true)?;
        socket.bind(&self.from.into())?;
        socket.set_read_timeout(Some(self.patience))?;
        Ok(socket)
    }

    fn connect(&self) -> io::Result<Socket> {
        let socket = self.socket()?;
        // Ends with a reset, so that the same port can be used again at once.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect_timeout(&self.to.into(), self.patience)?;
        Ok(socket)
    }

    fn exchange(&self) -> io::Result<()> {
        let mut socket = self.socket()?;
        socket.connect(&self.to.into())?;
        talk(&mut socket)
    }
}

fn talk(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut buffer = [0; 4];
    stream.write_all(b"ping")?;
    stream.read_exact(&mut buffer)
}

pub fn kind(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "refused",
        ErrorKind::ConnectionReset => "reset",
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "silent",
        ErrorKind::PermissionDenied => "denied",
        ErrorKind::HostUnreachable => "unreachable",
        ErrorKind::UnexpectedEof => "eof",
        _ => "failed",
    }
}

/// All of them side by side, because silence takes its time; results in their order.
pub fn run_all(lines: &str) -> String {
    let threads: Vec<_> = lines
        .split(',')
        .map(|line| {
            let attempt = Attempt::parse(line);
            thread::Builder::new()
                .stack_size(128 << 10)
                .spawn(move || attempt.run())
                .unwrap()
        })
        .collect();
    let results: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    results.join(",")
}

/// What has arrived at a server, by place: the truth that no time-out can colour.
#[derive(Clone, Default)]
pub struct Arrivals(Arc<Mutex<BTreeMap<String, u64>>>);

impl Arrivals {
    fn note(&self, word: &str, at: SocketAddr) {
        let at = SocketAddr::new(at.ip().to_canonical(), at.port());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *all.entry(format!("{word} {at}")).or_default() += 1;
    }

    /// `tcp 198.51.100.10:80 3,...`, and begins anew.
    pub fn take(&self) -> String {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let lines: Vec<_> = all
            .into_iter()
            .map(|(place, times)| format!("{place} {times}"))
            .collect();
        lines.join(",")
    }

    /// Answers at `tcp PORT` (on every address) and `udp ADDRESS:PORT`.
    pub fn listen(&self, places: &str) {
        for place in places.split(',') {
            let (word, at) = place.split_once(' ').unwrap();
            let books = self.clone();
            if word == "tcp" {
                let any = IpAddr::from(Ipv6Addr::UNSPECIFIED);
                let listener = TcpListener::bind((any, at.parse().unwrap())).unwrap();
                thread::spawn(move || books.accept(&listener));
            } else {
                // One for each address: an answer must come from the one that was asked.
                let socket = UdpSocket::bind(at.parse::<SocketAddr>().unwrap()).unwrap();
                thread::spawn(move || books.receive(&socket));
            }
        }
    }

    fn accept(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            // A client that was reset meanwhile has left no address.
            let Ok(at) = stream.local_addr() else {
                continue;
            };
            self.note("tcp", at);
            thread::spawn(move || {
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    }

    fn receive(&self, socket: &UdpSocket) {
        let mut buffer = [0; 64];
        loop {
            // An error here is a refusal that came back; the next datagram is another matter.
            if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                self.note("udp", socket.local_addr().unwrap());
                let _ = socket.send_to(&buffer[..length], from);
            }
        }
    }
}
