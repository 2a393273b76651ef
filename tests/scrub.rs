//! A scrubbed capture gives the same verdicts and names nobody: over all samples, and over the captures of real clients
//! where those are at hand.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use assert_cmd::Command;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn captures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut captures: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(|entry| Some(entry.ok()?.into_path()))
        .filter(|path| path.extension().is_some_and(|it| it == "pcap"))
        .collect();
    captures.sort();
    captures
}

fn imwarden(args: &[&str], files: &[&Path]) -> (String, String) {
    let run = Command::cargo_bin("imwarden")
        .unwrap()
        .args(args)
        .args(files)
        .assert()
        .success();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let output = run.get_output();
    (text(&output.stdout), text(&output.stderr))
}

fn records(capture: &Path) -> Vec<Value> {
    let (lines, _) = imwarden(&["analyze", "--format", "ndjson"], &[capture]);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is told of each flow, but for names and counts, by who talks to whom.
fn verdicts(records: &[Value]) -> BTreeMap<String, Value> {
    let flows = records
        .iter()
        .filter(|record| record["event_type"] == "flow");
    flows
        .map(|flow| {
            let ends = ["proto", "src_ip", "src_port", "dest_ip", "dest_port"]
                .map(|key| flow[key].to_string());
            let told = [
                "service",
                "app_proto",
                "role",
                "confidence",
                "features",
                "risks",
            ]
            .map(|key| flow[key].clone());
            let many = |key: &str| flow[key].as_array().unwrap().len();
            let counted = json!([
                many("accounts"),
                many("peers") > 0,
                flow["learned_from"].is_null()
            ]);
            (ends.join(" "), json!([told, counted]))
        })
        .collect()
}

/// Accounts, names of files and the like.
fn names(records: &[Value]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for record in records {
        let lists = ["accounts", "peers", "contacts"].map(|key| record[key].as_array());
        let listed = lists.into_iter().flatten().flatten();
        let single = ["from", "to", "file"].map(|key| &record[key]);
        let texts = listed.chain(single).filter_map(Value::as_str);
        // An address is not replaced; what is shorter stands everywhere.
        let told = texts.filter(|text| text.len() > 3 && text.parse::<std::net::IpAddr>().is_err());
        names.extend(told.map(str::to_owned));
    }
    names
}

/// Whether bytes hold a text, in any case, in 8 or 16 bits a letter, or as a number of four bytes.
fn holds(bytes: &[u8], text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let wide: Vec<u8> = lower.bytes().flat_map(|byte| [0, byte]).skip(1).collect();
    let number = text.parse::<u32>();
    let find = |what: &[u8]| memchr::memmem::find(bytes, what).is_some();
    let find_number = |number: u32| find(&number.to_le_bytes()) || find(&number.to_be_bytes());
    find(lower.as_bytes()) || find(&wide) || number.is_ok_and(find_number)
}

/// Scrubs a capture; how many flows and names it had.
fn check(capture: &Path) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let (said, told) = imwarden(&["scrub"], &[capture, &out]);
    assert_eq!(said, "");
    assert!(told.contains("payload bytes are as they were"), "{told}");
    assert!(!told.contains("stays in flows"), "{told}");
    let (before, after) = (records(capture), records(&out));
    let shown = capture.display();
    assert_eq!(verdicts(&before), verdicts(&after), "{shown}");
    let bytes = std::fs::read(&out).unwrap().to_ascii_lowercase();
    let names = names(&before);
    for name in &names {
        assert!(!holds(&bytes, name), "{name} is in what is left of {shown}");
    }
    (verdicts(&before).len(), names.len())
}

#[test]
fn the_samples_keep_their_verdicts_and_lose_their_names_and_texts() {
    let (mut flows, mut named) = (0, 0);
    for capture in captures("sample-pcaps") {
        let (told, names) = check(&capture);
        flows += told;
        named += names;
    }
    assert!(flows > 150 && named > 100, "{flows} flows, {named} names");
}

#[test]
fn captures_of_real_clients_keep_their_verdicts_and_lose_their_names() {
    let captures = captures("../shared/captures");
    if captures.is_empty() {
        println!("SKIPPED: no captures of real clients here");
        return;
    }
    for capture in captures {
        check(&capture);
    }
}

#[test]
fn no_text_password_cookie_or_file_is_left() {
    let secrets: [&[u8]; 9] = [
        b"lunch at noon",
        b"the usual place",
        b"minutes of the meeting",
        b"as promised",
        b"are you there",
        b"gladly",
        b"not-a-real",
        b"notreal1",
        // A screen name's beginning that is a beginning of a profile, too.
        b"alice@example.com",
    ];
    let find = |bytes: &[u8], text: &[u8]| memchr::memmem::find(bytes, text).is_some();
    let mut crossed = BTreeSet::new();
    for capture in captures("sample-pcaps") {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.pcapng");
        imwarden(&["scrub"], &[&capture, &out]);
        let (before, after) = (
            std::fs::read(&capture).unwrap(),
            std::fs::read(&out).unwrap(),
        );
        for secret in secrets {
            if find(&before, secret) {
                crossed.insert(secret);
            }
            assert!(!find(&after, secret), "{}", capture.display());
        }
    }
    assert_eq!(crossed.len(), secrets.len());
}

#[test]
fn other_programs_read_it_and_find_its_checksums_right() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcapng");
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/office.pcap");
    imwarden(&["scrub"], &[&capture, &out]);
    let wrong = |file: &Path| {
        let filter = "tcp.checksum.status == \"Bad\" || udp.checksum.status == \"Bad\"";
        let run = std::process::Command::new("tshark")
            .args([
                "-o",
                "tcp.check_checksum:TRUE",
                "-o",
                "udp.check_checksum:TRUE",
            ])
            .args(["-Y", filter, "-T", "fields", "-e", "frame.number", "-r"])
            .arg(file)
            .output();
        run.ok().map(|run| {
            assert!(run.status.success());
            String::from_utf8(run.stdout).unwrap().lines().count()
        })
    };
    match wrong(&capture) {
        Some(wrong_before) => {
            assert_eq!(wrong_before, 0);
            assert_eq!(wrong(&out), Some(0));
        }
        None => println!("SKIPPED: tshark is not installed"),
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("in.pcap");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/aim-toc.pcap");
    let whole = std::fs::read(&sample).unwrap();
    std::fs::write(&capture, &whole).unwrap();
    let fails = |args: [&Path; 2], code: i32, said: &str| {
        let run = Command::cargo_bin("imwarden")
            .unwrap()
            .arg("scrub")
            .args(args)
            .assert()
            .code(code);
        let told = String::from_utf8(run.get_output().stderr.clone()).unwrap();
        assert!(told.contains(said), "{told}");
    };
    fails([&capture, &capture], 2, "the same file");
    assert_eq!(std::fs::read(&capture).unwrap(), whole);
    let out = folder.path().join("out.pcapng");
    fails([Path::new("-"), &out], 2, "save it to a file first");
    fails([&folder.path().join("none.pcap"), &out], 2, "none.pcap");
    fails(
        [&capture, &folder.path().join("no/out.pcapng")],
        2,
        "cannot write",
    );
    // What came before the damage is kept.
    std::fs::write(&capture, &whole[..whole.len() - 5]).unwrap();
    fails([&capture, &out], 3, "what came before it is in");
    assert!(!verdicts(&records(&out)).is_empty());
}
