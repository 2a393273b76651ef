//! `--inline`: the first packets of connections wait until it is known what they are.

use crate::enforcer;
use crate::lab::{Lab, is_clean, records, refused, ruleset, said, sh, until, until_said};
use crate::pieces::from_here;
use crate::policy_support::say;
use crate::talk::file_size;
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What proves it, and what must not be known outside.
const SIGNATURE: &[u8] = b"VER 1 MSNP9 MSNP8 CVR0\r\n";
const SECRET: &[u8] = b"USR 2 TWN I alice@example.com\r\n";
/// A download: 6.5 MB.
const CHUNKS: usize = 400;

fn opening() -> Vec<u8> {
    [SIGNATURE, SECRET].concat()
}

/// What the last summary or statistics say of packets that were held.
fn inline() -> Value {
    let mut found = Value::Null;
    until("it is counted", || {
        let counted = records().into_iter().rev().find_map(|it| {
            let of = it["listening"]["enforced"]["inline"].clone();
            of.is_object().then_some(of)
        });
        found = counted.unwrap_or_default();
        found.is_object()
    });
    found
}

fn number(of: &Value, name: &str) -> u64 {
    of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}"))
}

/// How a client in pieces fared: the bytes that arrived, and how it ended.
fn fared(lab: &mut Lab, collector: usize, at: &str, size: usize) -> (Vec<u8>, String) {
    let (number, port) = lab.pieces(at, size, &opening());
    let end = lab.client.hear(number, 1);
    (lab.received(collector, port), end)
}

/// Nothing that the server got is enough to know what it is, and nothing of it is behind that.
fn is_harmless(received: &[u8]) -> bool {
    SIGNATURE.starts_with(received) && received.len() < SIGNATURE.len()
}

/// What arrived of a connection that is to be cut before it can be known what it is, and what was counted.
///
/// A machine that is so busy that nobody looks in time lets things pass, and says so: then it is tried again.
fn when_in_time(mut attempt: impl FnMut() -> (Vec<u8>, String)) -> (Vec<u8>, Value) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (received, end) = attempt();
        let counted = inline();
        if !is_harmless(&received) && number(&counted, "unheld") > 0 && attempts < 4 {
            continue;
        }
        assert!(is_harmless(&received), "{received:?} {counted} {}", said());
        assert_eq!(end, "ConnectionReset", "{}", said());
        return (received, counted);
    }
}

pub fn held(firewall: &str, server: &str) {
    let mut lab = Lab::new();
    let at = format!("{server}:4000");
    let collector = lab.collector(&at, "mute");
    let file_at = format!("{server}:8000");
    let files = lab.server.tell(&format!("serve-file {file_at} {CHUNKS}"));
    assert_eq!(lab.server.hear(files, 0), "listening");
    let firewalls = ["--firewall", firewall, "--enforce-timeout", "1s"];

    // As it is without: it is too late when it is known.
    lab.enforce(&firewalls);
    let (all, _) = fared(&mut lab, collector, &at, 3);
    assert!(all.starts_with(SIGNATURE), "{all:?}");
    assert_eq!(lab.end("TERM"), Some(0), "{}", said());

    for size in [1, 3] {
        let (received, counted) = when_in_time(|| {
            lab.act("--inline", "lan", &firewalls);
            assert!(ruleset().contains("IMWHOLD"));
            let file = lab.client.tell(&format!("fetch-file - {file_at}"));
            assert_eq!(lab.client.hear(file, 0), "begun");
            let (client, port) = lab.pieces(&at, size, &opening());
            let end = lab.client.hear(client, 1);
            let fetched = lab.client.hear(file, 1);
            assert_eq!(fetched, format!("{} closed", file_size(CHUNKS)));
            assert_eq!(lab.end("TERM"), Some(0), "{}", said());
            assert!(is_clean(), "{}", ruleset());
            (lab.received(collector, port), end)
        });
        assert!(number(&counted, "held") > 0, "{counted}");
        say(&format!(
            "MEASURED {firewall} {server}, pieces of {size}: {} of {} bytes arrived; {counted}",
            received.len(),
            SIGNATURE.len()
        ));
        let cut = records()
            .into_iter()
            .find(|it| it["event_type"] == "detection");
        let cut = cut.unwrap_or_else(|| panic!("{}", said()));
        assert_eq!(cut["service"], "msn");
    }
}

/// A download, and conversations that look like a messenger's for a moment.
pub fn bystanders() {
    let mut lab = Lab::new();
    let files = lab
        .server
        .tell(&format!("serve-file 198.51.100.10:8000 {CHUNKS}"));
    assert_eq!(lab.server.hear(files, 0), "listening");
    let answering = lab.collector("198.51.100.10:8001", "answering");
    lab.act("--inline", "lan", &["--firewall", "iptables"]);
    let file = lab.client.tell("fetch-file - 198.51.100.10:8000");
    assert_eq!(lab.client.hear(file, 0), "begun");
    let fetched = lab.client.hear(file, 1);
    assert_eq!(fetched, format!("{} closed", file_size(CHUNKS)));
    // No more than the first of its packets came into the queue: the rule has counted them.
    let counted = sh("iptables -t mangle -L IMWHOLD -v -x -n | grep NFQUEUE");
    let queued: u64 = counted.split_whitespace().next().unwrap().parse().unwrap();
    let bytes: u64 = counted.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(queued > 0 && queued <= 64, "{counted}");
    say(&format!(
        "MEASURED a download of {} bytes: {queued} packets, {bytes} bytes of it queued",
        file_size(CHUNKS)
    ));
    let before = number(&inline(), "late");
    // Each word alone may be the beginning of something; the last one shows that it is not.
    let words: [&[u8]; 4] = [b"V", b"E", b"R", b"Y WELL\r\n"];
    let innocent = lab.turns("198.51.100.10:8001", &words);
    let took = lab.client.hear(innocent, 1);
    assert!(took.parse::<u64>().is_ok(), "{took}");
    say(&format!(
        "MEASURED a conversation that is held at each of three words: {took} ms"
    ));
    // A line that is nobody's is not waited for.
    let plain = lab.turns("198.51.100.10:8001", &[b"HELLO\r\n", b"HOW ARE YOU\r\n"]);
    let took = lab.client.hear(plain, 1);
    assert!(took.parse::<u64>().is_ok(), "{took}");
    say(&format!("MEASURED one that is not: {took} ms"));
    until("what was let go is counted", || {
        number(&inline(), "late") >= before + 3
    });
    // After the first line, one for each word and one that it was all.
    until("all of their words are said to have arrived", || {
        lab.server.heard(answering).len() == 1 + (words.len() + 1) + (2 + 1)
    });
    assert_eq!(lab.end("TERM"), Some(0), "{}", said());
    assert!(said().contains("0 cut, 0 places refused"), "{}", said());
    assert!(is_clean());
}

/// The packets that an interface has carried.
fn carried() -> u64 {
    let told: Value = serde_json::from_str(&sh("ip -s -j link show lan")).unwrap();
    let number = |way: &str| told[0]["stats64"][way]["packets"].as_u64().unwrap();
    number("rx") + number("tx")
}

/// What is seen in the queue and on the interface is one packet.
pub fn counts() {
    let mut lab = Lab::new();
    lab.collector("198.51.100.10:8001", "answering");
    lab.act("--inline", "lan", &[]);
    let mut before = carried();
    until("it is quiet", || {
        sleep(Duration::from_millis(500));
        before == std::mem::replace(&mut before, carried())
    });
    for _ in 0..20 {
        let plain = lab.turns("198.51.100.10:8001", &[b"HELLO\r\n", b"HOW ARE YOU\r\n"]);
        assert!(lab.client.hear(plain, 1).parse::<u64>().is_ok());
    }
    sleep(Duration::from_millis(500));
    let after = carried();
    assert_eq!(lab.end("TERM"), Some(0));
    let all = records();
    let summary = all.iter().find(|it| it["event_type"] == "summary").unwrap();
    let packets = summary["packets"].as_u64().unwrap();
    assert!(number(&inline(), "asked") >= 40, "{summary}");
    assert_eq!(summary["flows"], 20, "{summary}");
    // Besides, there are the few that came while one waited for quiet.
    let carried = after - before;
    say(&format!(
        "MEASURED {carried} packets carried, {packets} counted"
    ));
    assert!(
        carried <= packets && packets <= carried + 12,
        "{before} {after} {summary}"
    );
    assert!(carried >= 20 * 8, "{before} {after}");
}

/// Nobody looks: stopped, and killed. The downloads are such that the interface's ring has room for them meanwhile.
pub fn asleep() {
    const CHUNKS: usize = 20;
    let mut lab = Lab::new();
    let collector = lab.collector("198.51.100.10:4000", "mute");
    let files = lab
        .server
        .tell(&format!("serve-file 198.51.100.10:8000 {CHUNKS}"));
    assert_eq!(lab.server.hear(files, 0), "listening");
    let download = |lab: &mut Lab| {
        let begun = Instant::now();
        let file = lab.client.tell("fetch-file - 198.51.100.10:8000");
        assert_eq!(lab.client.hear(file, 0), "begun");
        let waited = begun.elapsed();
        let fetched = lab.client.hear(file, 1);
        assert_eq!(fetched, format!("{} closed", file_size(CHUNKS)));
        waited
    };
    lab.act("--inline", "lan", &["--keep"]);
    lab.signal("STOP");
    for what in ["the first", "the next"] {
        let waited = download(&mut lab);
        say(&format!(
            "MEASURED the one that listens is stopped: {what} download begins after {waited:?}"
        ));
    }
    // A messenger's passes as well, whole.
    let (_, port) = lab.pieces("198.51.100.10:4000", 3, &opening());
    lab.until_received(collector, port, &opening());
    lab.signal("CONT");
    until("it says what passed", || number(&inline(), "unheld") > 0);
    until_said("cut TCP");
    let again = (4001..4005).any(|port| {
        let at = format!("198.51.100.10:{port}");
        let collector = lab.collector(&at, "mute");
        is_harmless(&fared(&mut lab, collector, &at, 3).0)
    });
    assert!(again, "it holds again: {}", said());
    lab.signal("KILL");
    for _ in 0..3 {
        download(&mut lab);
    }
    until("nothing holds any more", || !ruleset().contains("IMWHOLD"));
    // What is to stay stays, and holds nothing.
    assert!(refused("nftables"));
    assert_eq!(lab.end("KILL"), None);
}

/// How many new connections another one has to wait for until the kernel has no more room to keep them, which it says in this file.
const CROWD: &str = "import socket
sent = 0
while sent < 100000:
    for _ in range(50):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(('198.51.100.10', 9))
        one.close()
        sent += 1
    try:
        socket.create_connection(('198.51.100.10', 9), 0.2)
    except ConnectionRefusedError:
        break
    except OSError:
        pass
open('crowd.txt', 'w').write(str(sent))
";

/// The one that holds packets is stopped itself. What is beyond its first packets goes on; what is new waits, until the kernel keeps no more.
pub fn stopped() {
    const NOBODY: &str = "198.51.100.10:9";
    const CHUNKS: usize = 1000;
    let mut lab = Lab::new();
    let files = lab
        .server
        .tell(&format!("serve-file 198.51.100.10:8000 {CHUNKS}"));
    assert_eq!(lab.server.hear(files, 0), "listening");
    lab.act("--inline", "lan", &[]);
    assert_eq!(lab.connect(NOBODY), "ConnectionRefused");
    let before = carried();
    let file = lab.client.tell("fetch-file - 198.51.100.10:8000");
    assert_eq!(lab.client.hear(file, 0), "begun");
    until(
        "the download is beyond the packets that are asked about",
        || carried() > before + 500,
    );
    let holder = enforcer();
    assert_eq!(sh(&format!("kill -STOP {holder}")), "");
    let fetched = lab.client.hear(file, 1);
    assert_eq!(fetched, format!("{} closed", file_size(CHUNKS)));
    assert_eq!(lab.connect(NOBODY), "TimedOut");
    until_said("NOTHING IS HEARD of the process that holds packets");
    std::fs::write("crowd.py", CROWD).unwrap();
    assert_eq!(lab.client.ask("sh python3 crowd.py"), "rc 0");
    let crowd = std::fs::read_to_string("crowd.txt").unwrap();
    say(&format!(
        "MEASURED the one that holds packets is stopped: new connections pass after {crowd} others"
    ));
    assert!(crowd.parse::<u32>().unwrap() < 65_536, "{crowd}");
    assert_eq!(sh(&format!("kill -CONT {holder}")), "");
    until_said("whoever holds packets does it again");
    assert_eq!(lab.connect(NOBODY), "ConnectionRefused");
    until("it says what passed", || number(&inline(), "unheld") > 0);
    // As it is said: whoever is in the way is ended, and new ones pass.
    assert_eq!(sh(&format!("kill -STOP {holder}")), "");
    assert_eq!(lab.connect(NOBODY), "TimedOut");
    assert_eq!(sh(&format!("kill -KILL {holder}")), "");
    until("new ones pass", || {
        lab.connect(NOBODY) == "ConnectionRefused"
    });
    assert_eq!(lab.end("TERM"), Some(0));
}

/// The router's own, both ways.
pub fn own() {
    let mut lab = Lab::new();
    let collector = lab.collector("198.51.100.10:4000", "mute");
    when_in_time(|| {
        lab.act("--inline", "wan", &[]);
        let (port, end) = from_here("198.51.100.10:4000", 3, &opening());
        assert_eq!(lab.end("TERM"), Some(0), "{}", said());
        assert!(is_clean());
        (lab.received(collector, port), end)
    });
}

pub fn spared() {
    let mut lab = Lab::new();
    let collector = lab.collector("198.51.100.10:4000", "mute");
    lab.act("--inline", "lan", &["--allow", "192.0.2.0/24"]);
    let (_, port) = lab.pieces("198.51.100.10:4000", 3, &opening());
    lab.until_received(collector, port, &opening());
    until_said("left alone: one end of it is to be left alone");
    assert_eq!(lab.end("TERM"), Some(0), "{}", said());
    assert!(is_clean());
}

pub fn dry() {
    let mut lab = Lab::new();
    let collector = lab.collector("198.51.100.10:4000", "mute");
    let was = ruleset();
    lab.act("--inline", "lan", &["--dry-run"]);
    assert_eq!(ruleset(), was);
    let words = said();
    assert!(
        words.contains("-j NFQUEUE --queue-num 18765 --queue-bypass"),
        "{words}"
    );
    assert!(
        words.contains("-t mangle -I FORWARD 1 -i lan -p tcp -j IMWHOLD"),
        "{words}"
    );
    let (_, port) = lab.pieces("198.51.100.10:4000", 3, &opening());
    lab.until_received(collector, port, &opening());
    until_said("would cut TCP");
    assert_eq!(ruleset(), was);
    assert_eq!(lab.end("TERM"), Some(0));
}
