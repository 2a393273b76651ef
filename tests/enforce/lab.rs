//! A router in a private network, with a client and a server in networks of their own. The test starts itself again for each.

use crate::pieces::Taken;
use crate::policy_support::path;
use crate::talk::{Heard, PATIENCE, kind, receive_file, send_file, talk, turns};
use serde_json::Value;
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

/// A sample, and the server in it whose connection is played.
pub type Talk = (&'static str, &'static str);

pub const ROLE: &str = "IMWARDEN_ENFORCE_ROLE";
const CONNECT: Duration = Duration::from_secs(2);

/// This test program, as that role.
fn own(role: &str) -> Vec<String> {
    let own = std::env::current_exe().unwrap().display().to_string();
    let words = ["--ignored", "--exact", "inside", "--nocapture"].map(str::to_owned);
    let mut all = vec!["env".to_owned(), format!("{ROLE}={role}"), own];
    all.extend(words);
    all
}

/// Plays a scene in a private network, as its root.
pub fn play(scene: &str) {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["-Urn", "--"])
        .args(own(scene))
        .current_dir(dir.path())
        .env("PATH", path())
        .env("XTABLES_LOCKFILE", dir.path().join("xtables.lock"))
        .env_remove("SSH_CONNECTION")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let err = std::fs::read_to_string(dir.path().join("err.txt")).unwrap_or_default();
    assert!(output.status.success(), "{scene}\n{said}\n{err}");
    crate::policy_support::say(
        &said
            .lines()
            .filter(|line| line.contains("MEASURED"))
            .collect::<Vec<_>>()
            .join("\n"),
    );
}

/// A machine: a child in a network of its own, which does what it is told and says what came of it, by number.
pub struct Machine {
    child: Child,
    stdin: ChildStdin,
    said: Arc<Mutex<HashMap<usize, Vec<String>>>>,
    next: usize,
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Machine {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "--"])
            .args(own("machine"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let said: Arc<Mutex<HashMap<usize, Vec<String>>>> = Arc::default();
        let heard = Arc::clone(&said);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let Some((_, rest)) = line.split_once("LAB ") else {
                    continue;
                };
                let (number, words) = rest.split_once(' ').unwrap_or((rest, ""));
                let number = number.parse().unwrap();
                heard
                    .lock()
                    .unwrap()
                    .entry(number)
                    .or_default()
                    .push(words.to_owned());
            }
        });
        let mut machine = Self {
            child,
            stdin,
            said,
            next: 1,
        };
        // `unshare` has become the machine by now, so that the child's id is a process inside its network.
        let up = machine.tell("sh true");
        machine.hear(up, 0);
        machine
    }

    /// Has it do something; the number by which it is heard of.
    pub fn tell(&mut self, words: &str) -> usize {
        let number = self.next;
        self.next += 1;
        writeln!(self.stdin, "{number} {words}").unwrap();
        number
    }

    /// What it said, so far, about this.
    pub fn heard(&self, number: usize) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.get(&number).cloned().unwrap_or_default()
    }

    /// The line of that number it says about this, waited for.
    pub fn hear(&self, number: usize, line: usize) -> String {
        let begun = Instant::now();
        loop {
            if let Some(words) = self.heard(number).get(line) {
                return words.clone();
            }
            assert!(
                begun.elapsed() < 2 * PATIENCE,
                "never heard of {number}, line {line}"
            );
            sleep(Duration::from_millis(5));
        }
    }

    pub fn ask(&mut self, words: &str) -> String {
        let number = self.tell(words);
        self.hear(number, 0)
    }

    fn sh(&mut self, script: &str) {
        assert_eq!(self.ask(&format!("sh {script}")), "rc 0", "{script}");
    }
}

pub fn say(number: &str, words: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "LAB {number} {words}").unwrap();
    out.flush().unwrap();
}

/// What a machine does until nobody tells it anything any more.
pub fn machine() {
    let stop = Arc::new(AtomicBool::new(false));
    let taken = Taken::default();
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let (stop, taken) = (Arc::clone(&stop), taken.clone());
        thread::spawn(move || work(&words, &stop, &taken));
    }
    std::process::exit(0);
}

fn work(words: &[String], stop: &Arc<AtomicBool>, taken: &Taken) {
    let number = words[0].as_str();
    let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sh", script @ ..] => {
            let status = Command::new("sh")
                .args(["-c", &script.join(" ")])
                .stdout(Stdio::null())
                .status()
                .unwrap();
            say(number, &format!("rc {}", status.code().unwrap_or(-1)));
        }
        // Each connection that is taken says so with a line, and with one more at its end.
        ["host", at, sample, server, silent] => {
            let turns = Arc::new(turns(sample, server));
            let silent = *silent == "silent";
            let listener = TcpListener::bind(at).unwrap();
            say(number, "listening");
            for stream in listener.incoming() {
                let (turns, stream, stop) = (Arc::clone(&turns), stream.unwrap(), Arc::clone(stop));
                let number = number.to_owned();
                thread::spawn(move || {
                    let stopped = || stop.load(Ordering::Relaxed);
                    let peer = stream.peer_addr().unwrap().port();
                    let heard = talk(stream, &turns, false, silent, &stopped);
                    say(&number, &format!("{peer} {}", heard.line()));
                });
            }
        }
        ["chat", from, at, sample, server, silent] => {
            let turns = turns(sample, server);
            let stopped = || stop.load(Ordering::Relaxed);
            match connect(from, at) {
                Ok(stream) => {
                    say(number, &stream.local_addr().unwrap().port().to_string());
                    let silent = *silent == "silent";
                    say(number, &talk(stream, &turns, true, silent, &stopped).line());
                }
                Err(error) => say(number, &error),
            }
        }
        ["serve-file", at, chunks] => {
            let listener = TcpListener::bind(at).unwrap();
            say(number, "listening");
            let chunks = chunks.parse().unwrap();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let number = number.to_owned();
                thread::spawn(move || say(&number, &send_file(stream, chunks)));
            }
        }
        ["fetch-file", from, at] => match connect(from, at) {
            Ok(stream) => {
                let told = Cell::new(false);
                let progress = |_| {
                    if !told.replace(true) {
                        say(number, "begun");
                    }
                };
                say(number, &receive_file(stream, &progress));
            }
            Err(error) => say(number, &error),
        },
        ["collect", at, how] => {
            crate::pieces::collect(number, at, *how == "answering", taken);
        }
        ["settle", port] => taken.settle(number, port.parse().unwrap()),
        ["pieces", from, at, size, text] => {
            crate::pieces::send(number, from, at, size.parse().unwrap(), text);
        }
        ["turns", from, at, words @ ..] => crate::pieces::turns(number, from, at, words),
        ["connect", from, at] => {
            let how = connect(from, at).map_or_else(|error| error, |_| "open".to_owned());
            say(number, &how);
        }
        ["stop"] => {
            stop.store(true, Ordering::Relaxed);
            say(number, "stopping");
        }
        other => panic!("{other:?}"),
    }
}

/// The system chooses the address that it comes from, if that is `-`.
pub fn connect(from: &str, at: &str) -> Result<TcpStream, String> {
    let to: SocketAddr = at.parse().unwrap();
    if from == "-" {
        return TcpStream::connect_timeout(&to, CONNECT).map_err(|error| kind(error.kind()));
    }
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(to),
        socket2::Type::STREAM,
        None,
    )
    .unwrap();
    let from: std::net::IpAddr = from.parse().unwrap();
    socket.bind(&SocketAddr::new(from, 0).into()).unwrap();
    socket
        .connect_timeout(&to.into(), CONNECT)
        .map_err(|error| kind(error.kind()))?;
    Ok(socket.into())
}

/// The router's network, with a machine on each side.
pub struct Lab {
    pub client: Machine,
    pub server: Machine,
    sniffing: Option<Child>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.sniffing.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a shell script on the router; what it printed.
pub fn sh(script: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until that is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        let err = std::fs::read_to_string("err.txt").unwrap_or_default();
        assert!(begun.elapsed() < PATIENCE, "never: {what}\n{err}");
        sleep(Duration::from_millis(10));
    }
}

pub fn said() -> String {
    std::fs::read_to_string("err.txt").unwrap_or_default()
}

pub fn until_said(words: &str) {
    until(words, || said().contains(words));
}

/// What it has written, as far as the lines are whole.
pub fn records() -> Vec<Value> {
    let text = std::fs::read_to_string("out.ndjson").unwrap();
    let records = text.lines().map(serde_json::from_str);
    records.filter_map(Result::ok).collect()
}

/// What was written of these actions, when there are so many; whoever writes may come later than whoever acts.
pub fn actions(what: &str, at_least: usize) -> Vec<Value> {
    let mut found = Vec::new();
    until("it is written that it was done", || {
        found = records();
        found.retain(|it| it["action"] == what);
        found.len() >= at_least
    });
    found
}

/// Everything that is loaded.
pub fn ruleset() -> String {
    sh(
        "nft list ruleset; ipset save; iptables-legacy-save | grep -v '^[#:]'; ip6tables-legacy-save | grep -v '^[#:]'",
    )
}

/// Nothing of ours is loaded any more.
pub fn is_clean() -> bool {
    let all = sh("nft list ruleset; ipset save; iptables-legacy-save; ip6tables-legacy-save");
    !["imwarden_live", "IMWLIVE", "imwlive", "IMWHOLD"]
        .iter()
        .any(|name| all.contains(name))
}

/// Whether the server's address is in a set of ours.
pub fn refused(firewall: &str) -> bool {
    let list = match firewall {
        "nftables" => "nft list table inet imwarden_live",
        _ => "ipset save",
    };
    sh(list).contains("198.51.100.10")
}

impl Lab {
    pub fn new() -> Self {
        let (mut client, mut server) = (Machine::start(), Machine::start());
        let (c, s) = (client.child.id(), server.child.id());
        let made = sh(&format!(
            "set -e; ip link set lo up; ip link add lan type veth peer name c0 netns {c}; ip link add wan type veth peer name s0 netns {s}
             ip addr add 192.0.2.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad
             ip addr add 198.51.100.1/24 dev wan; ip addr add 2001:db8:2::1/64 dev wan nodad
             ip link set lan up; ip link set wan up
             echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
        ));
        assert_eq!(made, "");
        let host = |device: &str, v4: &str, net: u8, other: &str| {
            format!(
                "ip addr add {v4}.10/24 dev {device} && ip addr add {v4}.{other}/24 dev {device} && \
                 ip addr add 2001:db8:{net}::10/64 dev {device} nodad && ip link set lo up && ip link set {device} up && \
                 ip route add default via {v4}.1 && ip -6 route add default via 2001:db8:{net}::1"
            )
        };
        client.sh(&host("c0", "192.0.2", 1, "11"));
        server.sh(&host("s0", "198.51.100", 2, "80"));
        let mut lab = Self {
            client,
            server,
            sniffing: None,
        };
        // A path that is dead would read as one that is cut. Nobody listens there, and says so.
        for at in ["198.51.100.10:9", "198.51.100.80:9", "[2001:db8:2::10]:9"] {
            until("both ends are there", || {
                lab.connect(at) == "ConnectionRefused"
            });
        }
        lab
    }

    /// Starts `imwarden sniff --enforce` on the router; it listens by the time this returns.
    pub fn enforce(&mut self, words: &[&str]) {
        self.act("--enforce", "lan", words);
    }

    /// Starts it with `--inline`, or what it is.
    pub fn act(&mut self, how: &str, interface: &str, words: &[&str]) {
        assert!(self.sniffing.is_none());
        let err = std::fs::File::create("err.txt").unwrap();
        let out = std::fs::File::create("out.ndjson").unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_imwarden"))
            .args(["sniff", "-i", interface, how, "--format", "ndjson"])
            .args(["--interval", "1"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap();
        self.sniffing = Some(child);
        until_said("enforcing, ");
    }

    pub fn sniffing_id(&self) -> u32 {
        self.sniffing.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: &str) {
        let id = self.sniffing_id();
        assert_eq!(sh(&format!("kill -{signal} {id}")), "");
    }

    /// Ends it; the exit code.
    pub fn end(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.sniffing.take().unwrap().wait().unwrap().code()
    }

    /// A server for a sample's conversation.
    pub fn host(&mut self, at: &str, talk: Talk) -> usize {
        let (sample, server) = talk;
        let words = format!("host {at} {sample} {server} talking");
        let number = self.server.tell(&words);
        assert_eq!(self.server.hear(number, 0), "listening");
        number
    }

    /// A client of it: the number of its conversation, and its port.
    pub fn chat(&mut self, from: &str, at: &str, talk: Talk, how: &str) -> (usize, u16) {
        let (sample, server) = talk;
        let words = format!("chat {from} {at} {sample} {server} {how}");
        let number = self.client.tell(&words);
        let port = self.client.hear(number, 0);
        (number, port.parse().unwrap_or_else(|_| panic!("{port}")))
    }

    /// How a conversation ended for the client.
    pub fn ended(&self, chat: usize) -> Heard {
        Heard::of(&self.client.hear(chat, 1))
    }

    /// How the conversation with this client's port ended for the server.
    pub fn ended_there(&self, host: usize, port: u16) -> Heard {
        let words = format!("{port} ");
        let mut found = None;
        until("the server's end", || {
            let said = self.server.heard(host);
            found = said
                .iter()
                .find_map(|line| line.strip_prefix(&words))
                .map(Heard::of);
            found.is_some()
        });
        found.unwrap()
    }

    pub fn connect(&mut self, at: &str) -> String {
        self.client.ask(&format!("connect - {at}"))
    }
}
