//! Conversations that end: how fast, how thoroughly, for how long.

use crate::lab::{Lab, is_clean, records, refused, ruleset, said, sh, until, until_said};
use crate::policy_support::say;
use crate::talk::{Heard, file_size, now};
use crate::{AIM, MSN};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// When the first packet came that proved what it is, in microseconds since 1970.
fn confirmed_at() -> u64 {
    let mut record = Value::Null;
    // Whoever writes records may come later than whoever cuts.
    until("it is written that it was confirmed", || {
        let sure = |it: &Value| it["event_type"] == "detection" && it["confidence"] == "confirmed";
        let found = records().into_iter().find(sure);
        record = found.unwrap_or_default();
        record.is_object()
    });
    let time = record["last_seen"]
        .as_str()
        .or(record["timestamp"].as_str())
        .unwrap();
    let time: jiff::Timestamp = time.parse().unwrap();
    u64::try_from(time.as_microsecond()).unwrap()
}

/// Whether the end of a server knows that its client was cut off.
fn is_reset(heard: &Heard) -> bool {
    matches!(heard.end.as_str(), "ConnectionReset" | "BrokenPipe")
}

/// A conversation and a download beside it: how the two went.
fn cut_beside_a_download(firewall: &str, client: &str, server: &str) -> Lab {
    const CHUNKS: usize = 400;
    let mut lab = Lab::new();
    let (chat_at, file_at) = (format!("{server}:1863"), format!("{server}:8000"));
    let host = lab.host(&chat_at, MSN);
    let files = lab.server.tell(&format!("serve-file {file_at} {CHUNKS}"));
    assert_eq!(lab.server.hear(files, 0), "listening");

    // What is seen later is no dead path: one that nobody minds goes on, and is not recognised in its middle.
    let (before, _) = lab.chat("-", &chat_at, MSN, "talking");
    sleep(Duration::from_millis(600));
    assert_eq!(lab.client.heard(before).len(), 1, "it goes on");
    let was = ruleset();
    lab.enforce(&["--firewall", firewall]);
    let file = lab.client.tell(&format!("fetch-file {client} {file_at}"));
    assert_eq!(lab.client.hear(file, 0), "begun");
    let (chat, port) = lab.chat("-", &chat_at, MSN, "talking");
    let (here, there) = (lab.ended(chat), lab.ended_there(host, port));
    let reaction = here.last.max(there.last).saturating_sub(confirmed_at());
    say(&format!(
        "MEASURED {firewall} {server}: {reaction} us from the packet that proved it to the last payload"
    ));
    assert!(reaction < 1_000_000, "{firewall}: {reaction} us");
    // Both ends know that it is over; a client that was cut while it only waits will know with its next word.
    let waits = here.end == "went on";
    assert!(
        waits || here.end == "ConnectionReset",
        "{here:?}, {}",
        said()
    );
    assert!(is_reset(&there), "{there:?}");
    until("the place is refused", || {
        lab.connect(&chat_at) == "ConnectionRefused"
    });
    // So is what was there before, at its next word.
    assert_eq!(lab.ended(before).end, "ConnectionReset");

    let fetched = lab.client.hear(file, 1);
    assert_eq!(fetched, format!("{} closed", file_size(CHUNKS)));
    assert_eq!(lab.connect(&file_at), "open");
    assert_eq!(lab.connect(&chat_at), "ConnectionRefused");
    assert!(said().contains("to everybody for 1h"), "{}", said());
    assert_eq!(lab.end("TERM"), Some(0), "{}", said());
    assert!(said().contains("the rules were taken away"), "{}", said());
    assert!(is_clean(), "{}", ruleset());
    // The programs of iptables leave empty chains of the kernel's own behind.
    if firewall == "nftables" {
        assert_eq!(ruleset(), was, "as it was before");
    }
    assert_eq!(lab.connect(&chat_at), "open");
    lab
}

pub fn cut(firewall: &str) {
    let lab = cut_beside_a_download(firewall, "192.0.2.11", "198.51.100.10");
    drop(lab);
    let words = said();
    assert!(
        words.contains("1 cut, 1 places refused, 0 left alone"),
        "{words}"
    );
}

pub fn six(firewall: &str) {
    drop(cut_beside_a_download(firewall, "-", "[2001:db8:2::10]"));
}

/// The client says nothing any more, so that only the server could open it again.
pub fn silent(firewall: &str) {
    let mut lab = Lab::new();
    let host = lab.host("198.51.100.10:5190", AIM);
    lab.enforce(&["--firewall", firewall]);
    let (chat, port) = lab.chat("-", "198.51.100.10:5190", AIM, "silent");
    until_said("cut TCP");
    let there = lab.ended_there(host, port);
    assert!(is_reset(&there), "{there:?}");
    let since = now();
    // The kernel still knows it, marked.
    let known = sh("conntrack -L -p tcp --dport 5190 2>/dev/null");
    assert!(known.contains(&format!("mark={}", 0x4a_0000)), "{known}");
    assert_eq!(lab.connect("198.51.100.10:5190"), "ConnectionRefused");
    assert_eq!(lab.client.ask("stop"), "stopping");
    let here = lab.ended(chat);
    assert!(here.last < since, "{here:?}");
    assert_eq!(lab.end("TERM"), Some(0), "{}", said());
    assert!(is_clean());
}

pub fn refreshed(firewall: &str) {
    const AT: &str = "198.51.100.10:1863";
    let mut lab = Lab::new();
    lab.host(AT, MSN);
    lab.enforce(&["--firewall", firewall, "--enforce-timeout", "8s"]);
    let (chat, _) = lab.chat("-", AT, MSN, "talking");
    lab.ended(chat);
    until("it is refused", || refused(firewall));
    let begun = Instant::now();
    // Twice as long as it would be refused without.
    while begun.elapsed() < Duration::from_secs(16) {
        let asked = Instant::now();
        let how = lab.connect(AT);
        assert_eq!(how, "ConnectionRefused", "after {:?}", begun.elapsed());
        sleep(Duration::from_millis(500));
        assert!(
            asked.elapsed() < Duration::from_secs(7),
            "this machine is too slow to tell"
        );
    }
    let tried = Instant::now();
    until("nobody tries any more", || !refused(firewall));
    assert!(
        tried.elapsed() > Duration::from_secs(5),
        "{:?}",
        tried.elapsed()
    );
    assert_eq!(lab.connect(AT), "open");
    assert_eq!(lab.end("TERM"), Some(0));
}
