//! The program as a user meets it: exit codes, streams, formats.
#![allow(clippy::unwrap_used, clippy::panic)]

use assert_cmd::Command;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

fn imwarden() -> Command {
    Command::cargo_bin("imwarden").unwrap()
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-pcaps")
        .join(name)
}

fn analyze(args: &[&str], path: &Path) -> String {
    let output = imwarden()
        .arg("analyze")
        .args(args)
        .arg(path)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const OFFICE: &str = "office.pcap";

#[test]
fn the_table_names_all_four_messengers() {
    let table = analyze(&[], &sample(OFFICE));
    for messenger in ["AIM", "ICQ", "MSN", "Yahoo!"] {
        assert!(
            table.contains(messenger),
            "{messenger} is missing:\n{table}"
        );
    }
    assert!(
        table.lines().all(|line| line.chars().count() <= 100),
        "wider than 100 columns:\n{table}"
    );
}

#[test]
fn the_flow_record_has_exactly_its_fields() {
    let lines = analyze(&["--format", "ndjson"], &sample(OFFICE));
    let first = lines
        .lines()
        .find(|line| line.contains("\"event_type\":\"flow\""))
        .unwrap();
    let fields = [
        "schema",
        "event_type",
        "flow_id",
        "timestamp",
        "end",
        "src_ip",
        "src_port",
        "dest_ip",
        "dest_port",
        "proto",
        "community_id",
        "service",
        "app_proto",
        "role",
        "confidence",
        "path",
        "accounts",
        "peers",
        "client",
        "features",
        "packets",
        "bytes",
        "evidence",
        "risks",
        "learned_from",
    ];
    let mut at = 0;
    for field in fields {
        let key = format!("\"{field}\":");
        at += first[at..]
            .find(&key)
            .unwrap_or_else(|| panic!("{field} is missing or out of order: {first}"));
    }
    let record: Value = serde_json::from_str(first).unwrap();
    assert_eq!(record.as_object().unwrap().len(), fields.len());
    assert_eq!(record["schema"], "imwarden/1");
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (summary, rest) = records.split_last().unwrap();
    assert_eq!(summary["event_type"], "summary");
    let flows: Vec<&Value> = rest
        .iter()
        .filter(|record| record["event_type"] == "flow")
        .collect();
    assert!(flows.iter().all(|flow| flow["service"].is_string()));
    let ids: Vec<u64> = flows
        .iter()
        .map(|flow| flow["flow_id"].as_u64().unwrap())
        .collect();
    assert!(
        ids.is_sorted(),
        "flows come in order of their first packet: {ids:?}"
    );
}

#[test]
fn json_holds_the_same_records_as_ndjson_and_all_adds_the_rest() {
    let ndjson = analyze(&["--format", "ndjson"], &sample(OFFICE));
    let document: Value =
        serde_json::from_str(&analyze(&["--format", "json"], &sample(OFFICE))).unwrap();
    let lines: Vec<Value> = ndjson
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (list, kind) in [
        ("flows", "flow"),
        ("events", "event"),
        ("risks", "risk"),
        ("sessions", "session"),
        ("users", "user"),
    ] {
        let mut told: Vec<&Value> = lines
            .iter()
            .filter(|line| line["event_type"] == kind)
            .collect();
        // A long flow is told behind those that it would have held back.
        if kind == "risk" {
            told.sort_by_key(|line| line["flow_id"].as_u64());
        }
        let kept: Vec<&Value> = document[list].as_array().unwrap().iter().collect();
        assert!(!kept.is_empty(), "no {kind}");
        assert_eq!(kept, told, "{kind}");
    }
    assert_eq!(document["summary"], lines[lines.len() - 1]);
    let all = analyze(&["--format", "ndjson", "--all"], &sample(OFFICE));
    let flows = all
        .lines()
        .filter(|line| line.contains("\"event_type\":\"flow\""));
    assert_eq!(
        flows.count() as u64,
        document["summary"]["flows"].as_u64().unwrap()
    );
    assert!(all.contains("\"service\":null"));
}

#[test]
fn the_same_capture_gives_the_same_bytes() {
    let once = analyze(&["--format", "ndjson"], &sample(OFFICE));
    assert_eq!(once, analyze(&["--format", "ndjson"], &sample(OFFICE)));
}

#[test]
fn standard_input_and_compression_change_nothing() {
    let plain = analyze(&["--format", "ndjson"], &sample(OFFICE));
    let bytes = std::fs::read(sample(OFFICE)).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&bytes).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(
        bytes.as_slice(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    for (form, input) in [
        ("plain", bytes),
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd),
    ] {
        let run = imwarden()
            .args(["analyze", "--format", "ndjson", "-"])
            .write_stdin(input)
            .assert()
            .success();
        assert_eq!(
            text(&run.get_output().stdout),
            plain,
            "{form} on standard input"
        );
    }
}

#[test]
fn a_folder_is_read_whole_and_several_files_are_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deeper")).unwrap();
    for name in ["a.pcap", "deeper/b.pcap"] {
        std::fs::copy(sample(OFFICE), folder.path().join(name)).unwrap();
    }
    std::fs::write(
        folder.path().join("notes.txt"),
        "no capture, and nobody said it was one",
    )
    .unwrap();
    let both = analyze(&["--format", "ndjson"], folder.path());
    let one = analyze(&["--format", "ndjson"], &sample(OFFICE));
    // Users and sessions are of all captures together; flows are of one.
    let flows = |lines: &str| -> Vec<u64> {
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|record| record["event_type"] == "flow")
            .map(|record| record["flow_id"].as_u64().unwrap())
            .collect()
    };
    let ids = flows(&both);
    assert_eq!(ids.len(), 2 * flows(&one).len());
    assert!(
        ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]),
        "flow ids stay unique: {ids:?}"
    );
}

#[test]
fn a_capture_cut_in_the_middle_gives_what_came_before_and_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(sample(OFFICE)).unwrap();
    let cut = folder.path().join("cut.pcap");
    let size = whole.len() - 7;
    std::fs::write(&cut, &whole[..size]).unwrap();
    let run = imwarden()
        .args(["analyze", "--format", "ndjson"])
        .arg(&cut)
        .assert()
        .code(3);
    let complaint = text(&run.get_output().stderr);
    assert!(
        complaint.contains("cut.pcap") && complaint.contains("at byte"),
        "{complaint}"
    );
    let findings = text(&run.get_output().stdout).lines().count();
    let all = analyze(&["--format", "ndjson"], &sample(OFFICE))
        .lines()
        .count();
    assert_eq!(findings, all, "the last packet tells nothing new");
}

#[test]
fn what_is_no_capture_is_named_and_the_rest_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, said) in [
        ("empty.pcap", &b""[..], "empty"),
        ("picture.pcap", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG"),
        ("page.pcap", b"<!DOCTYPE html><html></html>", "HTML"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let run = imwarden()
            .args(["analyze", "--format", "ndjson"])
            .arg(&path)
            .arg(sample(OFFICE))
            .assert()
            .code(3);
        let complaint = text(&run.get_output().stderr);
        assert!(
            complaint.contains(name) && complaint.contains(said),
            "{name}: {complaint}"
        );
        let expected = analyze(&["--format", "ndjson"], &sample(OFFICE));
        assert_eq!(
            text(&run.get_output().stdout),
            expected,
            "{name} must not disturb the rest"
        );
    }
    let run = imwarden()
        .args(["analyze", "no/such/file.pcap"])
        .assert()
        .code(3);
    assert!(text(&run.get_output().stderr).contains("no/such/file.pcap"));
}

#[test]
fn wrong_arguments_are_exit_code_2_and_say_what_is_right() {
    imwarden().assert().code(2);
    imwarden().arg("analyze").assert().code(2);
    imwarden()
        .args(["analyze", "--format", "xml", "x"])
        .assert()
        .code(2);
    let run = imwarden()
        .args(["analyze", "-o", "/no/such/folder/out"])
        .arg(sample(OFFICE))
        .assert()
        .code(2);
    let output = run.get_output();
    assert!(text(&output.stderr).contains("/no/such/folder/out") && output.stdout.is_empty());
    imwarden()
        .args(["analyze", "--rules", "/no/such/folder"])
        .arg(sample(OFFICE))
        .assert()
        .code(2);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    use std::process::{Command, Stdio};
    for args in [
        &["analyze", "--all", "--format", "json"][..],
        &["man"],
        &["policy"],
    ] {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("imwarden"));
        command
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if args[0] == "analyze" {
            command.arg(sample(OFFICE));
        }
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert!(
            output.stderr.is_empty() || args[0] == "analyze",
            "{args:?}: {}",
            text(&output.stderr)
        );
    }
}

#[test]
fn output_goes_to_a_file_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    let run = imwarden()
        .args(["analyze", "--format", "ndjson", "-o"])
        .arg(&path)
        .arg(sample(OFFICE))
        .assert()
        .success();
    assert!(run.get_output().stdout.is_empty());
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        analyze(&["--format", "ndjson"], &sample(OFFICE))
    );
}

#[test]
fn help_version_manual_and_completions_are_there() {
    let help = text(
        &imwarden()
            .arg("--help")
            .assert()
            .success()
            .get_output()
            .stdout,
    );
    for command in [
        "analyze",
        "policy",
        "rules",
        "devices",
        "completions",
        "man",
    ] {
        assert!(help.contains(command), "{command} is missing in --help");
    }
    assert!(help.contains("Exit codes"));
    let version = text(
        &imwarden()
            .arg("--version")
            .assert()
            .success()
            .get_output()
            .stdout,
    );
    assert!(version.contains(env!("CARGO_PKG_VERSION")) && version.contains("network interfaces"));
    let manual = text(&imwarden().arg("man").assert().success().get_output().stdout);
    assert!(manual.contains(".TH imwarden") && manual.contains("IMWARDEN ANALYZE"));
    assert!(manual.contains("IMWARDEN POLICY EXPLAIN") && !manual.contains("NAMESPACE"));
    for shell in ["bash", "zsh", "fish"] {
        let script = imwarden().args(["completions", shell]).assert().success();
        assert!(script.get_output().stdout.len() > 1000, "{shell}");
    }
}

#[test]
fn each_command_has_a_page_in_the_manual() {
    let folder = tempfile::tempdir().unwrap();
    imwarden()
        .args(["man", "--dir"])
        .arg(folder.path())
        .assert()
        .success();
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name));
    for name in [
        "imwarden.1",
        "imwarden-analyze.1",
        "imwarden-policy-explain.1",
        "imwarden-rules-check.1",
    ] {
        let text = page(name).unwrap();
        let title = text.lines().find(|line| line.starts_with(".TH")).unwrap();
        let version = concat!("\"imwarden ", env!("CARGO_PKG_VERSION"), "\"");
        // The date is left open, so that the same sources give the same page.
        assert!(
            title.contains(&format!("1 \" \" {version}")),
            "{name}: {title}"
        );
        assert!(text.contains("EXIT STATUS"), "{name}");
    }
    // Not for people, and none that is promised and is not there.
    assert!(page("imwarden-replay-in-namespace.1").is_err());
    let mut promised = 0;
    for line in page("imwarden.1").unwrap().lines() {
        if let Some(name) = line.trim().strip_suffix("(1)") {
            let name = name.replace('\\', "");
            assert!(page(&format!("{name}.1")).is_ok(), "no page for {name}");
            promised += 1;
        }
    }
    assert!(promised > 5, "the reader of names finds {promised}");
    let run = imwarden()
        .args(["man", "--dir", "/no/such/folder"])
        .assert()
        .code(2);
    assert!(text(&run.get_output().stderr).contains("/no/such/folder"));
}

#[test]
fn interfaces_are_listed() {
    let list = text(
        &imwarden()
            .arg("devices")
            .assert()
            .success()
            .get_output()
            .stdout,
    );
    assert!(list.lines().any(|line| line.starts_with("lo ")), "{list}");
}

#[test]
fn texts_passwords_and_tickets_never_leave_the_program() {
    let secrets = [
        "lunch at noon",
        "the usual place",
        "minutes of the meeting",
        "as promised",
        "are you there",
        "gladly",
        "not-a-real",
        "notreal1",
    ];
    // They do cross in clear, so a program that kept them would show them.
    let wire: Vec<u8> = std::fs::read_dir(sample(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect();
    let crosses = |secret: &str| {
        wire.windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes())
    };
    assert!(crosses("lunch at noon") && crosses("not-a-real"));
    for format in ["table", "ndjson", "json", "csv", "eve", "zeek"] {
        let run = imwarden()
            .args(["analyze", "--all", "-vv", "--format", format])
            .arg(sample(""))
            .env("IMWARDEN_LOG", "trace")
            .assert()
            .success();
        for (stream, bytes) in [
            ("stdout", &run.get_output().stdout),
            ("stderr", &run.get_output().stderr),
        ] {
            let said = text(bytes);
            for secret in secrets {
                assert!(!said.contains(secret), "{secret:?} on {stream} as {format}");
            }
        }
    }
    // Nor where bytes are shown.
    let mut explained = 0;
    for entry in std::fs::read_dir(sample("")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "pcap") {
            continue;
        }
        for line in analyze(&["--format", "ndjson"], &path).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["event_type"] != "flow" {
                continue;
            }
            let run = imwarden()
                .args(["explain", &record["flow_id"].to_string()])
                .arg(&path)
                .assert()
                .success();
            let said = text(&run.get_output().stdout);
            assert!(said.contains("Evidence\n  1. packet"), "{said}");
            for secret in secrets {
                // Twelve bytes of each unit are shown, so a part of a secret would give it away as well.
                let part = &secret[..secret.len().min(6)];
                assert!(!said.contains(part), "{part:?} of {secret:?}:\n{said}");
            }
            explained += 1;
        }
    }
    assert!(explained > 100, "{explained}");
}

#[test]
fn explain_says_what_the_flow_is_and_what_it_is_not() {
    let explain = |flow: &str, capture: &str| {
        imwarden()
            .args(["explain", flow])
            .arg(sample(capture))
            .assert()
    };
    let said = text(
        &explain("3", "aim-file-transfer.pcap")
            .success()
            .get_output()
            .stdout,
    );
    for words in [
        "aim, oft peer, confirmed",
        "account bob42; with alice77",
        "4f 46 54 32",
        "shows what an earlier flow had given out for it",
        "not: flap,",
    ] {
        assert!(said.contains(words), "{words} is missing:\n{said}");
    }
    let run = explain("999", "aim-file-transfer.pcap").code(2);
    assert!(text(&run.get_output().stderr).contains("no flow 999"));
}

#[test]
fn what_ran_inside_a_proxy_says_so_in_its_path() {
    let lines = analyze(&["--format", "ndjson"], &sample("msn-http-connect.pcap"));
    let record: Value = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|record| record["event_type"] == "flow")
        .unwrap();
    assert_eq!(record["service"], "msn");
    assert_eq!(record["path"], serde_json::json!(["http-connect"]));
}

#[test]
fn the_first_interrupt_ends_reading_and_writes_what_was_found() {
    use std::process::{Command, Stdio};
    let bytes = std::fs::read(sample(OFFICE)).unwrap();
    let (before, after) = bytes.split_at(bytes.len() * 3 / 4);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("imwarden"))
        .args(["analyze", "--format", "ndjson", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its output is read meanwhile, for a full pipe would hold it up.
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut lines = String::new();
        stdout.read_to_string(&mut lines).unwrap();
        lines
    });
    let mut input = child.stdin.take().unwrap();
    input.write_all(before).unwrap();
    // The pipe holds 64 KiB: most of it was read when the write returned, so the program listens by now.
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    // A busy machine takes its time to hand the signal over.
    let status = format!("/proc/{}/status", child.id());
    let pending = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let shared = status.lines().find_map(|it| it.strip_prefix("ShdPnd:"));
        u64::from_str_radix(shared.unwrap().trim(), 16).unwrap() & (1 << (2 - 1)) != 0
    };
    while pending() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    // The next frame wakes the reader; it may be gone before the rest is written.
    let _ = input.write_all(after);
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("stopped"),
        "{}",
        text(&output.stderr)
    );
    let lines = reader.join().unwrap();
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(summary["event_type"], "summary");
    let (found, packets) = (
        summary["detected"].as_u64().unwrap(),
        summary["packets"].as_u64().unwrap(),
    );
    assert!(
        found >= 5 && packets > 500,
        "{found} flows found in {packets} packets"
    );
}

#[test]
fn packets_of_messengers_are_written_with_their_verdict_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("im.pcapng");
    let before = analyze(&["--format", "ndjson"], &sample(OFFICE));
    let run = imwarden()
        .args(["analyze", "-w"])
        .arg(&out)
        .arg(sample(OFFICE))
        .assert()
        .success();
    assert!(text(&run.get_output().stderr).contains("packets written"));
    let after = analyze(&["--all", "--format", "ndjson"], &out);
    let flows = |lines: &str| -> Vec<(String, u64, String)> {
        lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|record| record["event_type"] == "flow" && record["confidence"] != "possible")
            .map(|record| {
                (
                    record["community_id"].to_string(),
                    record["packets"].as_u64().unwrap(),
                    record["service"].to_string(),
                )
            })
            .collect()
    };
    let (kept, all) = (flows(&after), flows(&before));
    assert_eq!(
        kept.len(),
        all.len(),
        "the flows of messengers and no others"
    );
    assert!(all.len() > 10 && all.iter().all(|flow| kept.contains(flow)));
    // tshark reads the comments, where it is installed.
    let tshark = std::process::Command::new("tshark")
        .args(["-T", "fields", "-e", "frame.comment", "-r"])
        .arg(&out)
        .output();
    if let Ok(tshark) = tshark {
        let comments = text(&tshark.stdout);
        assert!(tshark.status.success(), "{}", text(&tshark.stderr));
        assert!(comments.lines().all(|line| line.starts_with("imwarden: ")));
        assert!(comments.contains("aim oscar bos, confirmed"));
        let packets: u64 = all.iter().map(|flow| flow.1).sum();
        assert_eq!(comments.lines().count() as u64, packets);
    }
}

#[test]
fn redaction_leaves_no_account_address_or_file_and_the_same_shape() {
    let folder = sample("");
    let plain = analyze(&["--format", "ndjson"], &folder);
    let mut secrets = std::collections::BTreeSet::new();
    for line in plain.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut keep = |value: &Value| {
            if let Some(text) = value.as_str().filter(|text| text.len() > 4) {
                secrets.insert(text.to_owned());
            }
        };
        for key in ["src_ip", "dest_ip", "host", "from", "to", "file", "sha256"] {
            keep(&record[key]);
        }
        for key in ["accounts", "peers", "contacts"] {
            record[key]
                .as_array()
                .into_iter()
                .flatten()
                .for_each(&mut keep);
        }
    }
    assert!(secrets.len() > 60, "{}", secrets.len());
    for format in ["table", "ndjson", "json", "csv", "eve", "zeek", "html"] {
        let run = |key: &str| {
            let run = imwarden()
                .args([
                    "analyze",
                    "-vv",
                    "--redact",
                    "--redact-key",
                    key,
                    "--format",
                    format,
                ])
                .arg(&folder)
                .assert()
                .success();
            text(&run.get_output().stdout)
        };
        let hidden = run("one");
        for secret in &secrets {
            // Not a part of a longer number or word, and not in the rules that a page proposes.
            let report = hidden.split("Proposed policy").next().unwrap();
            let shown = report.match_indices(secret.as_str()).any(|(at, _)| {
                let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '.');
                edge(report[..at].chars().next_back())
                    && edge(report[at + secret.len()..].chars().next())
            });
            assert!(!shown, "{secret} as {format}");
        }
        assert_eq!(hidden, run("one"), "{format}");
        assert_ne!(hidden, run("two"), "{format}");
        if format == "ndjson" {
            assert_eq!(hidden.lines().count(), plain.lines().count());
        }
    }
}

#[test]
fn a_users_row_has_the_hosts_card_and_who_made_it() {
    // The client's card in the sample is made up. Another one, of a maker in the register, is put in its place in every frame.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registered.pcap");
    let mut bytes = std::fs::read(sample("aim-signon-message.pcap")).unwrap();
    let made_up: [u8; 6] = user_card(&analyze(
        &["--format", "ndjson"],
        &sample("aim-signon-message.pcap"),
    ));
    let registered = [0x00, 0x0a, 0x27, 0x53, 0x00, 0x01];
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(6).position(|it| it == made_up) {
        bytes[at + found..][..6].copy_from_slice(&registered);
        at += found + 6;
    }
    std::fs::write(&path, bytes).unwrap();
    let records = analyze(&["--format", "ndjson"], &path);
    assert!(
        records.contains(r#""mac":"00:0a:27:53:00:01","vendor":"Apple, Inc.""#),
        "{records}"
    );
    assert!(analyze(&[], &path).contains("Apple, Inc."));
    assert!(analyze(&["--format", "html"], &path).contains("00:0a:27:53:00:01 Apple, Inc."));
    let redacted = analyze(&["--format", "ndjson", "--redact"], &path);
    assert!(
        !redacted.contains("00:0a:27") && !redacted.contains("Apple"),
        "{redacted}"
    );
}

/// The card of the first user.
fn user_card(records: &str) -> [u8; 6] {
    let user: Value = records
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .find(|record: &Value| record["event_type"] == "user")
        .unwrap();
    let text = user["mac"].as_str().unwrap();
    let mut bytes = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).unwrap());
    std::array::from_fn(|_| bytes.next().unwrap())
}
