//! Reload under fire: policies are applied again and again while eight threads connect through the router. Nothing gets through
//! to a port that every one of them closes, and nobody else's connection fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail, and tells its figures"
)]

mod policy_support;

use policy_support::{can_run, path};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "IMWARDEN_RELOAD_ROLE";
const SERVER: [&str; 2] = ["198.51.100.10", "2001:db8:2::10"];
/// Closed by every policy that is applied.
const CLOSED: u16 = 5190;
/// Closed by none, one of them the neighbour of a closed one.
const OPEN: [u16; 2] = [80, 5191];
const THREADS: usize = 8;
const RELOADS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

/// One machine; it ends when its input does.
struct Machine {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Machine {
    fn start(role: &str) -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "inside", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut machine = Self { child, stdout };
        assert_eq!(machine.answer(), "up");
        machine
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that is meant for us; the test runner prints some of its own.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "a machine is gone"
            );
            if let Some((_, answer)) = line.split_once("FIRE ") {
                return answer.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "FIRE {text}").unwrap();
    out.flush().unwrap();
}

fn heard() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn sh(command: &str) {
    let status = Command::new("sh").args(["-c", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Echoes four bytes and closes first, so that what is left of a connection is left here.
fn server() {
    say("up");
    sh(&heard());
    for ip in SERVER {
        for port in OPEN.into_iter().chain([CLOSED]) {
            let listener = TcpListener::bind((ip.parse::<IpAddr>().unwrap(), port)).unwrap();
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    thread::spawn(move || {
                        let mut bytes = [0; 4];
                        if stream.read_exact(&mut bytes).is_ok() {
                            let _ = stream.write_all(&bytes);
                        }
                    });
                }
            });
        }
    }
    say("serving");
    heard();
}

#[derive(Default)]
struct Tally {
    refused: AtomicU64,
    leaked: AtomicU64,
    served: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
}

fn client() {
    say("up");
    sh(&heard());
    say("ready");
    assert_eq!(heard(), "fire");
    let tally = Arc::new(Tally::default());
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let tally = Arc::clone(&tally);
            thread::spawn(move || fire(number, &tally))
        })
        .collect();
    say("firing");
    heard();
    tally.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
    let count = |it: &AtomicU64| it.load(Ordering::Relaxed);
    say(&format!(
        "{} {} {} {}",
        count(&tally.refused),
        count(&tally.leaked),
        count(&tally.served),
        count(&tally.failed)
    ));
    heard();
}

fn fire(number: usize, tally: &Tally) {
    let mut turn = number;
    while !tally.stop.load(Ordering::Relaxed) {
        let ip: IpAddr = SERVER[turn % 2].parse().unwrap();
        match TcpStream::connect_timeout(&SocketAddr::new(ip, CLOSED), PATIENCE) {
            Ok(_) => tally.leaked.fetch_add(1, Ordering::Relaxed),
            // Refused while it is opened: by whichever rules were in force at this moment.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
                ) =>
            {
                tally.refused.fetch_add(1, Ordering::Relaxed)
            }
            Err(error) => panic!("neither refused nor let through: {error}"),
        };
        let other = SocketAddr::new(ip, OPEN[turn / 2 % 2]);
        let talk = || -> std::io::Result<()> {
            let mut stream = TcpStream::connect_timeout(&other, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(b"ping")?;
            let mut bytes = [0; 4];
            stream.read_exact(&mut bytes)
        };
        let count = if talk().is_ok() {
            &tally.served
        } else {
            &tally.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
        turn += 1;
        thread::sleep(Duration::from_millis(8));
    }
}

/// The router in the middle, on which policies are applied.
fn gateway(backend: &str, dir: &Path) {
    let (mut client, mut server) = (Machine::start("client"), Machine::start("server"));
    let (c, s) = (client.child.id(), server.child.id());
    sh(&format!(
        "ip link set lo up
         ip link add lan type veth peer name c0 netns {c}
         ip link add wan type veth peer name s0 netns {s}
         ip addr add 192.0.2.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad
         ip addr add 198.51.100.1/24 dev wan; ip addr add 2001:db8:2::1/64 dev wan nodad
         ip link set lan up; ip link set wan up
         echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
    ));
    let host = |device: &str, v4: &str, v6: &str, net: u8, gateway: &str| {
        format!(
            "ip addr add {v4}/24 dev {device} && ip addr add {v6}/64 dev {device} nodad && ip link set lo up && \
             ip link set {device} up && ip route add default via {gateway} && ip -6 route add default via 2001:db8:{net}::1 && \
             echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range && echo 64 >/proc/sys/net/ipv4/tcp_max_tw_buckets"
        )
    };
    server.tell(&host("s0", SERVER[0], SERVER[1], 2, "198.51.100.1"));
    assert_eq!(server.answer(), "serving");
    client.tell(&host("c0", "192.0.2.10", "2001:db8:1::10", 1, "192.0.2.1"));
    assert_eq!(client.answer(), "ready");

    let apply = |number: usize| {
        // Each differs from the one before, so that each is loaded.
        let services = ["aim,icq,msn,yahoo", "aim,icq"][number % 2];
        let output = Command::new(env!("CARGO_BIN_EXE_imwarden"))
            .args([
                "apply",
                "--yes",
                "--direction",
                "forward",
                "--backend",
                backend,
            ])
            .args(["--service", services, "--state"])
            .arg(dir.join("state"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains(" is in force, by "), "{told}");
    };
    apply(1);
    client.tell("fire");
    assert_eq!(client.answer(), "firing");
    let start = Instant::now();
    for number in 0..RELOADS {
        apply(number);
    }
    let elapsed = start.elapsed();
    client.tell("enough");
    let answer = client.answer();
    let counts: Vec<u64> = answer.split(' ').map(|it| it.parse().unwrap()).collect();
    let [refused, leaked, served, failed] = counts.as_slice() else {
        panic!("{answer}")
    };
    eprintln!(
        "{backend}: {RELOADS} reloads in {:.1} s; {refused} refused and {leaked} leaked of a closed port, {served} served and {failed} failed of others",
        elapsed.as_secs_f64()
    );
    assert_eq!((*leaked, *failed), (0, 0), "leaks, and others' failures");
    assert!(
        *refused > 1000 && *served > 1000,
        "too little was tried: {answer}"
    );
}

/// Not a test of its own: what [`under_fire`] starts in namespaces.
#[test]
#[ignore = "started by the others, in namespaces of their own"]
fn inside() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    match role.split_once(' ') {
        Some((backend, dir)) => gateway(backend, Path::new(dir)),
        None if role == "server" => server(),
        None => client(),
    }
}

fn under_fire(test: &str, backend: &str, programs: &[&str]) {
    if !can_run(test, programs) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("unshare")
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside", "--nocapture"])
        .env(ROLE, format!("{backend} {}", dir.path().display()))
        .env("PATH", path())
        .env("XTABLES_LOCKFILE", dir.path().join("xtables.lock"))
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{backend}");
}

#[test]
fn nftables_under_fire() {
    under_fire("nftables_under_fire", "nftables", &["nft", "ip"]);
}

#[test]
fn iptables_under_fire() {
    let programs = ["iptables-nft", "ip6tables-nft", "nft", "ip"];
    under_fire("iptables_under_fire", "iptables-nft", &programs);
}

#[test]
fn old_iptables_under_fire() {
    let programs = ["iptables-legacy", "ip6tables-legacy", "ip"];
    under_fire("old_iptables_under_fire", "iptables-legacy", &programs);
}
