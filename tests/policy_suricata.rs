//! Suricata's rules, judged by Suricata: it reads every file; over captures it finds the flows that a policy is about and no others,
//! by what was seen, by content and by name. It is not in the path here, so that what it would refuse it only tells (`policy_suricata_path` has it there).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/combinations.rs"]
mod combinations;
#[path = "policy_support/hello.rs"]
mod hello;
#[path = "policy_support/made.rs"]
mod made;
mod policy_support;
#[path = "policy_support/sharing.rs"]
mod sharing;

use hello::Hello;
use imwarden::policy::Target;
use made::Capture;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs Suricata with these rules; whether it is content, and its words.
fn suricata(rules: &Path, folder: &Path, more: &[&str]) -> (bool, String) {
    let run = Command::new("suricata")
        .args(["--runmode", "single", "-k", "none"])
        .arg("-S")
        .arg(rules)
        .arg("-l")
        .arg(folder)
        .args(more)
        .env("PATH", policy_support::path())
        .output()
        .unwrap();
    let words = [run.stdout, run.stderr].concat();
    (
        run.status.success(),
        String::from_utf8_lossy(&words).into_owned(),
    )
}

fn imwarden(arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{arguments:?}: {words}");
    String::from_utf8(run.stdout).unwrap()
}

/// Both ends of a flow, in order, whoever opened it.
type Ends = BTreeSet<(IpAddr, u64)>;

fn ends(record: &Value) -> Ends {
    let end = |ip: &str, port: &str| {
        let ip: IpAddr = record[ip].as_str().unwrap().parse().unwrap();
        (ip, record[port].as_u64().unwrap())
    };
    [end("src_ip", "src_port"), end("dest_ip", "dest_port")].into()
}

/// The flows that these rules are against, in a capture.
fn found(rules: &str, capture: &Path) -> BTreeSet<Ends> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("imwarden.rules");
    std::fs::write(&file, rules).unwrap();
    let (content, words) = suricata(&file, folder.path(), &["-r", capture.to_str().unwrap()]);
    assert!(content && !words.contains("E: "), "{words}");
    let told = std::fs::read_to_string(folder.path().join("eve.json")).unwrap();
    let records = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let alerts = records.filter(|record| record["event_type"] == "alert");
    alerts.map(|record| ends(&record)).collect()
}

fn is_here(test: &str) -> bool {
    policy_support::can_run(test, &["suricata"])
}

#[test]
fn it_reads_every_file() {
    if !is_here("it_reads_every_file") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("imwarden.rules");
    let texts = combinations::texts(Target::Suricata);
    assert!(texts.len() > 5, "{}", texts.len());
    // Each rule by itself is right or wrong: all of them in one file, with numbers of their own.
    let rules = texts.iter().flat_map(|(text, _)| text.lines());
    let rules: BTreeSet<&str> = rules
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once("sid:")?.0))
        .collect();
    let numbered = (1..).zip(&rules);
    let all: Vec<String> = numbered
        .map(|(number, rule)| format!("{rule}sid:{number}; rev:1;)\n"))
        .collect();
    let whole = texts.iter().take(5).map(|(text, _)| text.as_str());
    for text in whole.chain([all.concat().as_str()]) {
        std::fs::write(&file, text).unwrap();
        let (content, words) = suricata(&file, folder.path(), &["-T"]);
        let bad = ["E: ", "W: "].iter().any(|mark| words.contains(mark));
        assert!(content && !bad, "{words}\n{text}");
    }
    // It does say no.
    std::fs::write(
        &file,
        "alert tcp any any -> any 5190 (msg:\"x\"; nonsense; sid:1;)\n",
    )
    .unwrap();
    assert!(!suricata(&file, folder.path(), &["-T"]).0);
    policy_support::say(&format!(
        "suricata -T: {} files, {} rules that differ, all accepted",
        texts.len(),
        rules.len()
    ));
}

#[test]
fn it_finds_what_was_seen_and_nothing_else() {
    if !is_here("it_finds_what_was_seen_and_nothing_else") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    let mut captures: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap"))
        .collect();
    captures.sort();
    let (mut messengers, mut others) = (0, 0);
    for capture in &captures {
        let name = capture.to_str().unwrap();
        let rules = imwarden(&["policy", "--format", "suricata", "--observed", name]);
        let found = found(&rules, capture);
        let told = imwarden(&["analyze", "--all", "--format", "ndjson", name]);
        for line in told.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["event_type"] != "flow" {
                continue;
            }
            let is_found = found.contains(&ends(&record));
            if record["confidence"] == "confirmed" {
                messengers += 1;
                assert!(is_found, "{name}: {record}");
            } else if record["service"].is_null() {
                others += 1;
                assert!(!is_found, "{name}: {record}");
            }
        }
    }
    assert!(messengers > 90 && others > 90, "{messengers} and {others}");
    policy_support::say(&format!(
        "suricata, {} samples: what was seen finds {messengers} of {messengers} messengers' flows and 0 of {others} others",
        captures.len()
    ));
}

#[test]
fn it_knows_names_from_their_neighbours_and_from_those_that_serve_others() {
    if !is_here("it_knows_names_from_their_neighbours_and_from_those_that_serve_others") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    sharing::write(folder.path());
    let names = [
        ("chat.example.com", true),
        ("a.b.chat.example.com", true),
        ("A.Chat.Example.com", true),
        ("below.www.chat.example.com", true),
        ("notwww.chat.example.com", true),
        ("www.chat.example.com", false),
        ("WWW.chat.example.com", false),
        ("cdn.chat.example.com", false),
        ("a.b.cdn.chat.example.com", false),
        ("bot.cdn.chat.example.com", true),
        ("talk.example.net", false),
        ("a.talk.example.net", true),
        ("notchat.example.com", false),
        ("chat.example.com.example.net", false),
        ("example.com", false),
    ];
    let path = folder.path().join("names.pcapng");
    let mut capture = Capture::new(&path);
    // Each by DNS, by a hello and by a request, at an address of its own.
    for (number, (name, _)) in (1..).zip(names) {
        capture.resolve(name, [198, 51, 100, number]);
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n");
        let server = format!("198.51.100.{number}");
        capture.talk(&format!("{server}:443"), &[(true, &Hello::to(name))]);
        let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
        let said: [(bool, &[u8]); 2] = [(true, request.as_bytes()), (false, answer)];
        capture.talk(&format!("{server}:80"), &said);
    }
    capture.finish();
    let own = folder.path().to_str().unwrap();
    let choice = ["--rules", own, "--service", "chat", "--strict"];
    let rules = imwarden(&[&["policy", "--format", "suricata"], &choice[..]].concat());
    let found = found(&rules, &path);
    // By the order in which the capture was made, three flows a name.
    for (number, (name, refused)) in (0..).zip(names) {
        for flow in 0..3 {
            let port = 20_001 + 3 * number + flow;
            let is_found = found
                .iter()
                .any(|ends| ends.iter().any(|(_, its)| *its == port));
            assert_eq!(is_found, refused, "{name}, flow {flow}: {found:?}");
        }
    }
}
