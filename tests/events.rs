//! What people did in the samples, as the scenarios that made them say; and that one flow leads to the next.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use assert_cmd::Command;
use scenario::bytes::{join, noise};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-pcaps")
        .join(format!("{name}.pcap"))
}

fn records(name: &str) -> Vec<Value> {
    records_of(&sample(name))
}

fn records_of(capture: &Path) -> Vec<Value> {
    let run = Command::cargo_bin("imwarden")
        .unwrap()
        .args(["analyze", "--format", "ndjson"])
        .arg(capture)
        .assert()
        .success();
    String::from_utf8(run.get_output().stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .concat()
}

/// Each of these is told: the event, who, to whom, and all further fields that are given here.
fn told(name: &str, expected: &[(&str, &str, &str, Value)]) {
    let all = records(name);
    let events: Vec<&Value> = all
        .iter()
        .filter(|it| it["event_type"] == "event")
        .collect();
    for (event, from, to, fields) in expected {
        let party = |name: &str| match name {
            "" => Value::Null,
            name => name.into(),
        };
        let fits = |it: &&&Value| {
            it["event"] == *event
                && it["from"] == party(from)
                && it["to"] == party(to)
                && fields
                    .as_object()
                    .unwrap()
                    .iter()
                    .all(|(key, value)| it[key] == *value)
        };
        assert!(
            events.iter().any(|it| fits(&it)),
            "{name}: no {event} {from} -> {to} {fields} in\n{}",
            events
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        );
    }
}

/// How many messages each flow of a sample carries.
fn messages(name: &str) -> Vec<usize> {
    let all = records(name);
    let flows = all.iter().filter(|it| it["event_type"] == "flow");
    flows
        .map(|flow| {
            let of = |it: &&Value| it["event"] == "message" && it["flow_id"] == flow["flow_id"];
            all.iter().filter(of).count()
        })
        .collect()
}

#[test]
fn files_are_offered_accepted_and_hashed() {
    let zip = join(&[b"PK\x03\x04", &noise(100, 12_008 - 4)]);
    told(
        "aim-file-transfer",
        &[
            ("sign-on", "", "", json!({"method": "cookie"})),
            (
                "file-offer",
                "alice77",
                "bob42",
                json!({"file": "minutes.zip", "size": 12_008, "kind": "archive"}),
            ),
            (
                "address",
                "alice77",
                "bob42",
                json!({"address": "10.0.0.5:5190"}),
            ),
            ("accepted", "bob42", "alice77", json!({"kind": "file"})),
            (
                "file-sent",
                "alice77",
                "bob42",
                json!({"file": "minutes.zip", "sha256": sha256(&zip)}),
            ),
        ],
    );
    let pdf = join(&[b"%PDF-1.3\n", &noise(100, 9_000 - 9)]);
    told(
        "msn-file-transfer",
        &[
            (
                "file-offer",
                "alice@example.com",
                "bob@example.org",
                json!({"file": "plan.pdf", "size": 9_000}),
            ),
            (
                "accepted",
                "bob@example.org",
                "alice@example.com",
                json!({}),
            ),
            (
                "file-sent",
                "alice@example.com",
                "bob@example.org",
                json!({"size": 9_000, "sha256": sha256(&pdf)}),
            ),
        ],
    );
}

#[test]
fn messages_have_their_parties_and_lengths_and_nothing_more() {
    let noon = json!({"length": "lunch at noon?".len()});
    told(
        "aim-signon-message",
        &[(
            "message",
            "alice77",
            "bob42",
            json!({"length": "lunch at noon?".len(), "charset": "ascii"}),
        )],
    );
    told("aim-toc", &[("message", "carol9", "alice77", noon.clone())]);
    told(
        "icq-direct",
        &[
            ("message", "1000001", "1000002", json!({"length": 15})),
            ("message", "1000002", "1000001", json!({"length": 15})),
            (
                "file-offer",
                "1000001",
                "1000002",
                json!({"file": "plans.exe", "size": 3_000, "kind": "program"}),
            ),
            ("accepted", "1000002", "1000001", json!({"kind": "file"})),
            (
                "file-sent",
                "1000001",
                "1000002",
                json!({"file": "plans.exe", "sha256": sha256(&scenario::icq::direct_file())}),
            ),
        ],
    );
    told(
        "icq-signon-message",
        &[("sms", "1000001", "", json!({"number": "+15550100"}))],
    );
    told(
        "yahoo-webcam",
        &[
            ("stream", "carol_y", "", json!({"kind": "webcam"})),
            ("stream", "carol_y", "dave_y", json!({"kind": "webcam"})),
        ],
    );
    told(
        "icq-udp",
        &[
            ("sign-on", "1000003", "", json!({"method": "icq-udp-v5"})),
            ("message", "1000003", "1000004", noon.clone()),
            (
                "message",
                "1000004",
                "1000003",
                json!({"length": "gladly".len()}),
            ),
            ("sign-off", "1000003", "", json!({})),
        ],
    );
    told(
        "msn-signon-chat",
        &[
            (
                "message",
                "alice@example.com",
                "bob@example.org",
                noon.clone(),
            ),
            (
                "typing",
                "bob@example.org",
                "alice@example.com",
                json!({"state": "begun"}),
            ),
            ("chat-leave", "bob@example.org", "", json!({})),
        ],
    );
    told(
        "yahoo-signon-message",
        &[
            ("sign-on", "carol_y", "", json!({"method": "yahoo-v12"})),
            ("message", "carol_y", "dave_y", noon),
            (
                "message",
                "dave_y",
                "carol_y",
                json!({"length": "gladly, at YMSG corner".len()}),
            ),
            ("typing", "carol_y", "dave_y", json!({"state": "stopped"})),
        ],
    );
    // The scenario: three on alice's switchboard, three on bob's; the notification servers carry none.
    assert_eq!(messages("msn-signon-chat"), [0, 0, 3, 3]);
    assert_eq!(messages("icq-udp"), [2, 2, 2]);
    assert_eq!(messages("yahoo-signon-message"), [0, 2, 2]);
}

#[test]
fn attacks_say_what_they_look_like() {
    let all = records("risk-attacks");
    let details = |risk: &str| -> Vec<String> {
        let record = all.iter().find(|it| it["risk"] == risk).unwrap();
        let evidence = record["evidence"].as_array().unwrap();
        let details = evidence.iter().filter_map(|it| it["detail"].as_str());
        details.map(str::to_owned).collect()
    };
    assert_eq!(
        details("exploit"),
        ["AIM game request with 2048 bytes of service data"]
    );
    assert_eq!(
        details("malformed"),
        ["SNAC 0004/0006: text longer than its message"]
    );
    assert_eq!(details("flood"), ["40 messages within 10 seconds"]);
    // No CVE number where none was confirmed.
    assert!(
        !all.iter()
            .any(|it| it.to_string().contains("CVE-2002-0005"))
    );
}

/// Every connection that another one of the sample announced says so: the rest are those that began it all.
#[test]
fn connections_that_were_announced_are_known_before_they_begin() {
    for (name, roots) in [
        ("aim-signon-message", 1),
        ("aim-port-443", 1),
        ("aim-file-transfer", 2),
        ("aim-direct-im", 2),
        ("icq-signon-message", 2),
        ("icq-file-transfer", 2),
        ("msn-signon-chat", 2),
        ("msn-file-transfer", 1),
        ("msn-p2p-direct", 1),
        ("yahoo-signon-message", 2),
        ("risk-files", 5),
    ] {
        let all = records(name);
        let flows: Vec<&Value> = all.iter().filter(|it| it["event_type"] == "flow").collect();
        let unannounced: Vec<&&Value> = flows
            .iter()
            .filter(|flow| flow["learned_from"].is_null())
            .collect();
        assert_eq!(unannounced.len(), roots, "{name}: {unannounced:#?}");
        for flow in flows {
            if let Some(teacher) = flow["learned_from"].as_u64() {
                assert!(
                    teacher < flow["flow_id"].as_u64().unwrap(),
                    "{name}: {flow}"
                );
            }
        }
    }
}

#[test]
fn whoever_is_seen_first_events_go_the_same_way() {
    const HEADS: [usize; 2] = [24, 16];
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.pcap");
    // What was done between whom, and which way. (Both sides speak of a sign-on: who is heard first is told of.)
    let told = |records: &[Value]| -> Vec<String> {
        let events = records
            .iter()
            .filter(|it| it["event_type"] == "event" && it["event"] != "sign-on");
        let fields = [
            "event",
            "src_ip",
            "src_port",
            "dest_ip",
            "dest_port",
            "direction",
        ];
        events
            .map(|it| fields.map(|field| it[field].to_string()).join(" "))
            .collect()
    };
    for name in [
        "aim-signon-message",
        "icq-signon-message",
        "icq-udp",
        "msn-signon-chat",
        "yahoo-signon-message",
        "gadu-gadu",
        "qq",
    ] {
        let bytes = std::fs::read(sample(name)).unwrap();
        let whole = told(&records(name));
        let (mut at, mut compared) = (HEADS[0], 0);
        while let Some(length) = bytes.get(at + 8..at + 12) {
            let length = u32::from_le_bytes(length.try_into().unwrap());
            at += HEADS[1] + length as usize;
            std::fs::write(&cut, [&bytes[..HEADS[0]], &bytes[at..]].concat()).unwrap();
            for event in told(&records_of(&cut)) {
                assert!(
                    whole.contains(&event),
                    "{name} from byte {at}: {event}\n{whole:#?}"
                );
                compared += 1;
            }
        }
        assert!(compared > 20, "{name}: {compared}");
    }
}
