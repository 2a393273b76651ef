//! `imwarden sniff --syslog` and `--journald`: what a log gets, from a socket that a test reads and from systemd's own journal.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test may fail"
)]

mod policy_support;
mod sniff_support;

use policy_support::can_run;
use serde_json::Value;
use sniff_support::{PROGRAMS, Ran, WORDS, run, run_in, sample};
use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs a script while the socket `log` in its folder is read; what it said, and each datagram.
fn logged(script: &str) -> (Ran, Vec<Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let log = UnixDatagram::bind(folder.path().join("log")).unwrap();
    log.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut messages = Vec::new();
            let mut message = vec![0; 65536];
            loop {
                match log.recv(&mut message) {
                    Ok(length) => messages.push(message[..length].to_vec()),
                    Err(_) if done.load(Ordering::Relaxed) => return messages,
                    Err(_) => {}
                }
            }
        });
        let ran = run_in(folder, script);
        done.store(true, Ordering::Relaxed);
        (ran, reader.join().unwrap())
    })
}

#[test]
fn a_system_log_gets_a_message_for_each_messenger_and_risk() {
    if !can_run("sniff, syslog", &PROGRAMS) {
        return;
    }
    let (ran, messages) = logged(&format!(
        "cable
sniff -i v1 --syslog log
replay {aim}
packets 1
finish",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let messages: Vec<String> = messages
        .into_iter()
        .map(|it| String::from_utf8(it).unwrap())
        .collect();
    assert!(
        messages
            .iter()
            .all(|it| it.starts_with('<') && it.contains(">1 20") && !it.contains('\n')),
        "{messages:?}"
    );
    let named = |kind: &str| messages.iter().find(|it| it.contains(kind)).cloned();
    let detection = named(" detection [imwarden@32473 ").expect("a detection");
    assert!(detection.starts_with("<29>1 "), "{detection}");
    assert!(
        detection.contains("service=\"aim\"") && detection.contains("accounts=\"alice77\""),
        "{detection}"
    );
    assert!(
        detection.contains("10.0.0.5 uses aim oscar authoriser, confirmed as alice77"),
        "{detection}"
    );
    assert!(
        named("A session cookie").is_some_and(|it| it.starts_with("<27>1 ")),
        "{messages:?}"
    );
}

#[test]
fn a_system_log_is_told_what_was_done() {
    if !can_run("sniff, syslog of what is done", &PROGRAMS) {
        return;
    }
    let (ran, messages) = logged(&format!(
        "cable
sniff -i v1 --syslog log --enforce --dry-run
replay {aim}
packets 1
finish",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n", "{}", ran.err());
    let messages = messages.into_iter();
    let messages: Vec<String> = messages.map(|it| String::from_utf8(it).unwrap()).collect();
    let cut = messages.iter().find(|it| it.contains("action=\"cut\""));
    let cut = cut.unwrap_or_else(|| panic!("{messages:?} {}", ran.err()));
    assert!(cut.contains(" action [imwarden@32473 "), "{cut}");
    assert!(cut.contains("] would be cut: TCP 10.0.0.5:"), "{cut}");
    let blocked = messages.iter().find(|it| it.contains("action=\"blocked\""));
    assert!(
        blocked.is_some_and(|it| it.contains("until=\"20")),
        "{messages:?}"
    );
}

/// The fields of an entry, as the protocol has them.
fn fields(mut entry: &[u8]) -> BTreeMap<String, Vec<String>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while !entry.is_empty() {
        let end = entry.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = (&entry[..end], &entry[end + 1..]);
        let (name, value);
        if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
            (name, value) = (text(&line[..equals]), text(&line[equals + 1..]));
            entry = rest;
        } else {
            let (length, rest) = rest.split_first_chunk().unwrap();
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            (name, value) = (text(line), text(&rest[..length]));
            assert!(
                value.contains('\n') && rest[length] == b'\n',
                "{name}: {value}"
            );
            entry = &rest[length + 1..];
        }
        let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        assert!(
            name.chars().all(allowed) && !name.starts_with('_'),
            "{name}"
        );
        fields.entry(name).or_default().push(value);
    }
    fields
}

#[test]
fn the_journal_gets_fields() {
    if !can_run("sniff, journal's socket", &PROGRAMS) {
        return;
    }
    let (ran, entries) = logged(&format!(
        "cable
sniff -i v1 --journald log
replay {aim}
packets 1
finish
\"$IM\" sniff -i v1 --journald=nowhere 2> nowhere.txt; echo $?
\"$IM\" sniff -i v1 --journald --syslog 2> both.txt; echo $?",
        aim = sample("aim-signon-message"),
    ));
    assert_eq!(ran.said, "exit 0\n2\n2\n", "{}", ran.err());
    assert!(
        ran.file("nowhere.txt")
            .contains("cannot open the journal at nowhere")
    );
    let entries: Vec<_> = entries.iter().map(|it| fields(it)).collect();
    let of = |event: &str, account: &str| {
        let is = |it: &&BTreeMap<String, Vec<String>>, name: &str, value: &str| {
            it.get(name)
                .is_some_and(|all| all.iter().any(|it| it == value))
        };
        entries
            .iter()
            .find(|it| is(it, "IMWARDEN_EVENT", event) && is(it, "IMWARDEN_ACCOUNT", account))
            .unwrap_or_else(|| panic!("{event}: {entries:#?}"))
    };
    let detection = of("detection", "alice77");
    for (name, value) in [
        (
            "MESSAGE",
            "10.0.0.5 uses aim oscar authoriser, confirmed as alice77",
        ),
        ("PRIORITY", "5"),
        ("SYSLOG_IDENTIFIER", "imwarden"),
        ("IMWARDEN_SERVICE", "aim"),
        ("IMWARDEN_CONFIDENCE", "confirmed"),
        ("IMWARDEN_SRC", "10.0.0.5"),
        ("IMWARDEN_DEST_PORT", "5190"),
        ("IMWARDEN_PROTO", "TCP"),
    ] {
        assert_eq!(detection[name], [value], "{detection:#?}");
    }
    // Several reasons: a value of several lines.
    assert!(detection["IMWARDEN_EVIDENCE"][0].lines().count() > 1);
    let risk = of("cleartext-cookie", "alice77");
    assert_eq!(risk["PRIORITY"], ["3"]);
    assert_eq!(risk["IMWARDEN_SEVERITY"], ["high"]);
    assert_ne!(risk["MESSAGE_ID"], detection["MESSAGE_ID"]);
    assert!(!risk["IMWARDEN_ADVICE"][0].is_empty());
}

/// What is read back from a journal is text, or bytes where it is not only that.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(bytes) => {
            let bytes = bytes.iter().map(|it| it.as_u64().unwrap() as u8).collect();
            String::from_utf8(bytes).unwrap()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn systemds_own_journal_keeps_it_and_may_go_away() {
    const JOURNALD: &str = "/usr/lib/systemd/systemd-journald";
    let programs = ["ip", "unshare", "tcpreplay", "strace", "journalctl"];
    if !can_run("sniff, journal", &programs) {
        return;
    }
    if !Path::new(JOURNALD).exists() {
        policy_support::skip("sniff, journal", "no systemd-journald");
        return;
    }
    let ran = run(&format!(
        "cat > inside.sh <<'X'
{WORDS}
mount -t tmpfs none /run; mkdir -p /run/systemd/journal /run/log/journal
journald() {{
    {JOURNALD} > journald.txt 2>&1 & J=$!
    n=0; until [ -S /run/systemd/journal/socket ] || [ $n -gt 200 ]; do n=$((n + 1)); sleep 0.1; done
}}
read_back() {{ journalctl -D /run/log/journal -o json --all --no-pager SYSLOG_IDENTIFIER=imwarden > journal.ndjson 2> journalctl.txt; }}
until_kept() {{ n=0; until read_back; grep -q -e \"$1\" journal.ndjson || [ $n -gt 200 ]; do n=$((n + 1)); sleep 0.1; done; }}
cable
journald
sniff -i v1 --journald
replay {aim}; until_kept alice77
kill -TERM $J; wait $J; rm -f /run/systemd/journal/socket
replay {msn}; until_said 'cannot write /run/systemd/journal/socket' err.txt
journald
replay {yahoo}; until_kept carol_y; until_said 'writing /run/systemd/journal/socket again' err.txt
# From now on as if all entries were too large for a datagram.
strace -f -p $P -o trace.txt -e trace=sendto,sendmsg -e inject=sendto:error=EMSGSIZE 2> strace.txt & S=$!
until_said attached strace.txt
replay {icq}; until_kept IMWARDEN_SERVICE.:.icq
kill -INT $S; wait $S
kill -TERM $P; wait $P; echo exit $?
kill -TERM $J; wait $J
X
IM=\"$IM\" unshare -m sh inside.sh",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
        yahoo = sample("yahoo-signon-message"),
        icq = sample("icq-signon-message"),
    ));
    // What was not kept is a loss.
    assert_eq!(ran.said, "exit 3\n", "{}", ran.err());
    assert!(ran.err().contains("records not written"), "{}", ran.err());
    assert!(
        ran.file("trace.txt").contains("SCM_RIGHTS"),
        "{}",
        ran.file("trace.txt")
    );
    let entries: Vec<Value> = ran
        .file("journal.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (service, account) in [("aim", "alice77"), ("yahoo", "carol_y"), ("icq", "1000001")] {
        let entry = entries.iter().find(|it| {
            it["IMWARDEN_EVENT"] == "detection"
                && it["IMWARDEN_SERVICE"] == service
                && it["IMWARDEN_ACCOUNT"] == account
        });
        let entry = entry.unwrap_or_else(|| panic!("{service}: {entries:#?}"));
        assert_eq!(entry["PRIORITY"], "5");
        assert_eq!(entry["_TRANSPORT"], "journal");
        assert!(
            text(&entry["IMWARDEN_EVIDENCE"]).lines().count() > 1,
            "{entry:#?}"
        );
    }
}

#[test]
fn a_system_log_that_begins_anew_is_written_on() {
    if !can_run(
        "sniff, syslog again",
        &["ip", "unshare", "tcpreplay", "python3"],
    ) {
        return;
    }
    let ran = run(&format!(
        "cable
cat > receive.py <<'X'
import os, socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind('log')
with open(sys.argv[1], 'ab', buffering=0) as kept:
    while True:
        kept.write(log.recv(65536) + b'\\n')
X
receive() {{ rm -f log; python3 receive.py $1 & R=$!; n=0; until [ -S log ] || [ $n -gt 100 ]; do n=$((n + 1)); sleep 0.1; done; }}
receive first.txt
sniff -i v1 --syslog log
replay {aim}; until_said alice77 first.txt
kill $R; wait $R 2> /dev/null
receive second.txt
replay {msn}; until_said alice@example.com second.txt
kill $R; wait $R 2> /dev/null
replay {yahoo}; until_said 'cannot write log' err.txt
receive third.txt
replay {icq}; until_said 1000001 third.txt; until_said 'writing log again' err.txt
kill $R
finish",
        aim = sample("aim-signon-message"),
        msn = sample("msn-signon-chat"),
        yahoo = sample("yahoo-signon-message"),
        icq = sample("icq-signon-message"),
    ));
    assert_eq!(ran.said, "exit 3\n", "{}", ran.err());
    assert!(ran.err().contains("records not written"), "{}", ran.err());
    // Nothing was lost while there was somebody to write to: the first message for the new one arrives.
    assert!(!ran.file("second.txt").contains("alice77"));
    assert!(ran.file("second.txt").contains(" detection "));
}
