//! Suricata in the path: a router whose kernel hands every packet to it (NFQUEUE), with clients and servers on real sockets.
//! What the rules name is refused, by port, by opening and by name, over IPv4 and IPv6; what is beside it goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
#[path = "policy_support/agent.rs"]
mod agent;
#[path = "policy_support/attempts.rs"]
#[allow(dead_code, reason = "the matrix's part of it")]
mod attempts;
#[path = "policy_support/hello.rs"]
#[allow(dead_code, reason = "what is searched for needs more of it")]
mod hello;
#[path = "policy_support/lab.rs"]
#[allow(dead_code, reason = "firewalls' part of it")]
mod lab;
mod policy_support;

use agent::{SERVER, TCP};
use hello::Hello;
use lab::{Backend, Lab, Place};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const QUEUE: u16 = 5;
/// Reading rules takes a moment, and longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Suricata on the router.
struct Engine {
    child: Child,
    folder: tempfile::TempDir,
}

impl Engine {
    /// It judges all that is forwarded, by these rules, from when this returns.
    fn start(lab: &mut Lab, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("imwarden.rules");
        std::fs::write(&file, rules).unwrap();
        let said = std::fs::File::create(folder.path().join("said")).unwrap();
        let child = Command::new("suricata")
            .args(["-q", &QUEUE.to_string(), "-k", "none", "-S"])
            .arg(&file)
            .arg("-l")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let engine = Self { child, folder };
        let begun = Instant::now();
        while !engine.said().contains("Engine started") {
            assert!(begun.elapsed() < PATIENCE, "{}", engine.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        Self::hand_over(lab, "-A");
        engine
    }

    fn hand_over(lab: &mut Lab, how: &str) {
        for program in ["iptables", "ip6tables"] {
            let rule = format!("{program} {how} FORWARD -j NFQUEUE --queue-num {QUEUE}");
            lab.sh(Place::Gateway, &rule);
        }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("said")).unwrap()
    }

    /// Without anybody at the other end of the queue nothing would pass.
    fn stop(self, lab: &mut Lab) {
        Self::hand_over(lab, "-D");
        let said = self.said();
        assert!(!said.contains("E: "), "{said}");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rules(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
        .args(["policy", "--format", "suricata"])
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{words}");
    String::from_utf8(run.stdout).unwrap()
}

/// How connections of the client to a port of everybody's end that open with these words.
fn expect(lab: &mut Lab, port: u16, words: &[u8], how: &str, what: &str) {
    for server in SERVER {
        let to = std::net::SocketAddr::new(server.parse().unwrap(), port).to_string();
        assert_eq!(lab.opening(&to, words), how, "{to}: {what}");
    }
}

/// Signatures: on a port of somebody else's, and what looks alike.
fn openings(lab: &mut Lab) {
    let own: [(&str, &[u8]); 5] = [
        ("AIM and ICQ", b"*\x01\x00\x01\x00\x04\x00\x00\x00\x01"),
        ("TOC", b"FLAPON\r\n\r\n"),
        ("MSN", b"VER 1 MSNP8 CVR0\r\n"),
        ("MSN, a file", b"VER MSNFTP\r\n"),
        (
            "Yahoo!",
            b"YMSG\x00\x0f\x00\x00\x00\x00\x00\x4c\x00\x00\x00\x00\x00\x00\x00\x00",
        ),
    ];
    let others: [(&str, &[u8]); 6] = [
        ("a star", b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"),
        (
            "a flap of another kind",
            b"*\x03\x00\x01\x00\x04\x00\x00\x00\x01",
        ),
        ("a version", b"VER 1 OTHER8 CVR0\r\n"),
        ("behind something", b"x VER 1 MSNP8 CVR0\r\n"),
        ("a name", b"YMSG is a protocol\r\n"),
        ("a greeting", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ];
    for (what, words) in own {
        expect(lab, 22, words, "reset", what);
    }
    for (what, words) in others {
        expect(lab, 22, words, "open", what);
    }
}

/// Names, in hellos and in requests.
fn names(lab: &mut Lab) {
    let names = [
        ("login.oscar.aol.com", "reset"),
        ("scs.msg.yahoo.com", "reset"),
        ("a.b.msg.yahoo.com", "reset"),
        ("notmsg.yahoo.com", "open"),
        ("www.yahoo.com", "open"),
        ("login.oscar.aol.com.example.net", "open"),
        ("notlogin.icq.com", "open"),
    ];
    for (name, how) in names {
        expect(lab, 443, &Hello::to(name), how, name);
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        expect(lab, 80, request.as_bytes(), how, name);
    }
}

/// The document's table. Suricata answers a datagram with ICMP's "administratively prohibited", which ends no socket's wait.
fn ports(lab: &mut Lab, when: &str) {
    lab.expect_closed(when, &["refused", "silent"]);
    for port in TCP {
        expect(lab, port, b"ping", "refused", when);
    }
}

fn scenario(_: Backend) {
    let mut lab = Lab::new();
    lab.serve();
    lab.wait_until_all_is_open();

    // The way through it is no dead one.
    let engine = Engine::start(&mut lab, "");
    lab.expect_all_open("no rules");
    engine.stop(&mut lab);

    let engine = Engine::start(&mut lab, &rules(&[]));
    ports(&mut lab, "the document's table");
    names(&mut lab);
    // Again: what was refused before has not closed anything else.
    ports(&mut lab, "the document's table, after all that");
    engine.stop(&mut lab);

    let signatures = ["--profile", "full", "--match", "signature"];
    let engine = Engine::start(&mut lab, &rules(&signatures));
    openings(&mut lab);
    engine.stop(&mut lab);

    let engine = Engine::start(&mut lab, &rules(&["--action", "log"]));
    lab.expect_all_open("it only tells");
    let told = std::fs::read_to_string(engine.folder.path().join("fast.log")).unwrap();
    assert!(told.contains("imwarden msn/session (document)"), "{told}");
    engine.stop(&mut lab);
    lab.expect_all_open("without it");
}

#[test]
#[ignore = "the inside of the test below, which starts it itself"]
fn inside_the_lab() {
    lab::inside(scenario);
}

#[test]
fn in_the_path_it_refuses_what_the_rules_name_and_nothing_else() {
    let programs = ["ip", "iptables", "ip6tables", "suricata"];
    lab::run("suricata in the path", Backend::Iptables, &programs);
}
