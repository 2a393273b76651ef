//! One machine of the lab: reads commands on its standard input and answers with lines that begin with `LAB`.

use super::attempts::{Arrivals, kind, run_all};
use super::policy_support::unhex;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

/// The server's addresses.
pub const SERVER: [&str; 2] = ["198.51.100.10", "2001:db8:2::10"];
/// The document's table.
pub const TCP: [u16; 8] = [5190, 4443, 1863, 6891, 1503, 5050, 3574, 7320];
/// The document's table.
pub const UDP: [u16; 2] = [13_324, 13_325];
/// Others: web, SSH, DNS, chat that is not meant, and the neighbours of closed ports.
pub const TCP_BYSTANDERS: [u16; 9] = [80, 443, 22, 53, 5222, 5191, 6890, 6892, 5051];
/// Others.
pub const UDP_BYSTANDERS: [u16; 4] = [53, 13_323, 13_326, 5190];

/// Shorter than it takes a kernel to send a SYN once more, which would be counted as well.
const PATIENCE: Duration = Duration::from_millis(700);
/// For what is not sent twice. The other side may be busy.
const ANSWER: Duration = Duration::from_secs(3);

/// Obeys until its input ends.
pub fn run() {
    say("up");
    let mut held = None;
    let arrivals = Arrivals::default();
    for line in io::stdin().lock().lines() {
        let line = line.unwrap();
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match verb {
            "sh" => {
                let status = Command::new("sh")
                    .args(["-c", rest])
                    .stdout(io::stderr())
                    .status()
                    .unwrap();
                say(&format!("rc {}", status.code().unwrap_or(-1)));
            }
            // What it prints, as one line.
            "out" => {
                let output = Command::new("sh").args(["-c", rest]).output().unwrap();
                assert!(output.status.success(), "{rest}");
                say(&String::from_utf8(output.stdout)
                    .unwrap()
                    .replace('\n', "\t"));
            }
            "attempt" => say(&run_all(rest)),
            "listen" => {
                arrivals.listen(rest);
                say("listening");
            }
            "arrived" => say(&arrivals.take()),
            "serve" => {
                serve();
                say("serving");
            }
            "probe" => {
                for (cell, result) in probe() {
                    say(&format!("cell {cell} {result}"));
                }
                say("end");
            }
            "hold" => {
                held = TcpStream::connect((SERVER[0], 5190)).ok();
                say(&format!("talk {}", held.as_mut().map_or("closed", talk)));
            }
            "held" => say(&format!("talk {}", held.as_mut().map_or("closed", talk))),
            "tcp" => {
                let port = rest.parse().unwrap();
                let stream = TcpStream::connect_timeout(&server(SERVER[0], port), PATIENCE);
                let from = stream
                    .as_ref()
                    .map_or(0, |stream| stream.local_addr().unwrap().port());
                say(&format!(
                    "from {from} {}",
                    stream.map_or_else(|e| kind(&e), |mut s| talk(&mut s))
                ));
            }
            // `198.51.100.10:80 2a01...`: a connection that opens with these bytes.
            "opening" => {
                let (to, hex) = rest.split_once(' ').unwrap();
                say(open(to.parse().unwrap(), &unhex(hex)));
            }
            _ => panic!("unknown command {line}"),
        }
    }
}

fn say(text: &str) {
    let mut out = io::stdout().lock();
    writeln!(out, "LAB {text}").unwrap();
    out.flush().unwrap();
}

fn server(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port)
}

fn serve() {
    for ip in SERVER {
        for port in TCP.into_iter().chain(TCP_BYSTANDERS) {
            let listener = TcpListener::bind(server(ip, port)).unwrap();
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    thread::spawn(move || echo(stream));
                }
            });
        }
        for port in UDP.into_iter().chain(UDP_BYSTANDERS) {
            let socket = UdpSocket::bind(server(ip, port)).unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 64];
                loop {
                    // An error here is a refusal that came back; the next datagram is another matter.
                    if let Ok((length, from)) = socket.recv_from(&mut buffer) {
                        let _ = socket.send_to(&buffer[..length], from);
                    }
                }
            });
        }
    }
}

fn echo(mut stream: TcpStream) {
    let mut buffer = [0; 64];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
}

/// `tcp/4/5190` and what came of it; all at once, because silence takes its time.
fn probe() -> BTreeMap<String, &'static str> {
    let mut running = Vec::new();
    for (family, ip) in [4, 6].into_iter().zip(SERVER) {
        for port in TCP.into_iter().chain(TCP_BYSTANDERS) {
            let cell = format!("tcp/{family}/{port}");
            running.push((cell, thread::spawn(move || probe_tcp(server(ip, port)))));
        }
        for port in UDP.into_iter().chain(UDP_BYSTANDERS) {
            let cell = format!("udp/{family}/{port}");
            running.push((cell, thread::spawn(move || probe_udp(0, server(ip, port)))));
        }
    }
    // A datagram from a messenger's port to somebody else's is nobody's business.
    let (from, to) = (UDP[0], server(SERVER[0], 53));
    running.push((
        format!("udp/4/53/from-{from}"),
        thread::spawn(move || probe_udp(from, to)),
    ));
    running
        .into_iter()
        .map(|(cell, thread)| (cell, thread.join().unwrap()))
        .collect()
}

fn probe_tcp(to: SocketAddr) -> &'static str {
    open(to, b"ping")
}

fn open(to: SocketAddr, words: &[u8]) -> &'static str {
    match TcpStream::connect_timeout(&to, PATIENCE) {
        Ok(mut stream) => say_to(&mut stream, words),
        Err(error) => kind(&error),
    }
}

fn talk(stream: &mut TcpStream) -> &'static str {
    say_to(stream, b"ping")
}

/// Says this, and hears whether it comes back.
fn say_to(stream: &mut TcpStream, words: &[u8]) -> &'static str {
    let mut buffer = [0; 4];
    let answer = stream
        .set_read_timeout(Some(ANSWER))
        .and_then(|()| stream.write_all(words))
        .and_then(|()| stream.read_exact(&mut buffer));
    answer.map_or_else(|error| kind(&error), |()| "open")
}

fn probe_udp(from_port: u16, to: SocketAddr) -> &'static str {
    let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
    let mut buffer = [0; 4];
    let answer = UdpSocket::bind((any, from_port)).and_then(|socket| {
        socket.set_read_timeout(Some(ANSWER))?;
        socket.connect(to)?;
        socket.send(b"ping")?;
        socket.recv(&mut buffer)
    });
    answer.map_or_else(|error| kind(&error), |_| "open")
}
