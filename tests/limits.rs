//! Memory, timeouts, streaming and `--jobs`, with the program as a user starts it.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn imwarden(args: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("imwarden"));
    command.arg("analyze").args(args);
    command
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps")
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn records(lines: &str) -> Vec<Value> {
    let records = lines.lines().map(serde_json::from_str);
    records.collect::<Result<_, _>>().unwrap()
}

const RECORD_HEADER: usize = 16;

/// Seconds, microseconds and the frame.
type Packet = (u32, u32, Vec<u8>);

/// A little-endian microsecond capture: its header and its packets.
fn read(file: &Path) -> (Vec<u8>, Vec<Packet>) {
    let bytes = std::fs::read(file).unwrap();
    let (header, mut rest) = bytes.split_at(24);
    let mut packets = Vec::new();
    while rest.len() >= RECORD_HEADER {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let (seconds, micros, length) = (word(0), word(4), word(8) as usize);
        let (record, next) = rest.split_at(RECORD_HEADER + length);
        packets.push((seconds, micros, record[RECORD_HEADER..].to_vec()));
        rest = next;
    }
    (header.to_vec(), packets)
}

fn record(seconds: u32, micros: u32, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let times = [seconds.to_le_bytes(), micros.to_le_bytes()].concat();
    [&times[..], &length, &length, frame].concat()
}

/// A SYN of flow `number`, between hosts that are in no sample.
fn syn(number: u32) -> Vec<u8> {
    let [a, b, c, d] = number.to_be_bytes();
    [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..],
        &[0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0],
        &[172, 16, a, b, 172, 20, b, c],
        &[
            200, d, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 255, 255, 0, 0, 0, 0,
        ],
    ]
    .concat()
}

#[test]
fn a_flood_is_evicted_and_the_messengers_in_it_are_kept() {
    let office = samples().join("office.pcap");
    let (mut file, packets) = read(&office);
    let mut number = 0;
    for (seconds, micros, frame) in packets {
        file.extend(record(seconds, micros, &frame));
        for _ in 0..150 {
            number += 1;
            file.extend(record(seconds, micros, &syn(number)));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let flooded = folder.path().join("flooded.pcap");
    std::fs::write(&flooded, file).unwrap();
    let messengers = |file: &Path| {
        let args = ["--format", "ndjson", "--max-memory", "16M"];
        let records = records(&stdout(imwarden(&args).arg(file)));
        let (summary, flows) = records.split_last().unwrap();
        let what = |flow: &Value| {
            let fields = [
                "src_ip",
                "src_port",
                "service",
                "confidence",
                "accounts",
                "features",
            ];
            fields.map(|field| flow[field].to_string()).join(" ")
        };
        let mut flows: Vec<String> = flows.iter().map(what).collect();
        flows.sort();
        (flows, summary.clone())
    };
    let (plain, summary) = messengers(&office);
    assert_eq!(summary["evictions"], 0);
    assert!(plain.len() > 10);
    let (found, summary) = messengers(&flooded);
    assert_eq!(found, plain);
    assert!(number > 80_000);
    // 16 MiB are some 20,000 flows.
    let evictions = summary["evictions"].as_u64().unwrap();
    assert!(
        evictions > u64::from(number) / 3,
        "{evictions} of {number} evicted"
    );
}

#[test]
fn findings_come_while_the_pipe_is_open() {
    let bytes = std::fs::read(samples().join("office.pcap")).unwrap();
    let mut child = imwarden(&["--format", "ndjson", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&bytes).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Without the end of the input: a program that waited for it would hang here.
    let told = |line: Result<String, _>| serde_json::from_str::<Value>(&line.unwrap()).unwrap();
    let first = lines
        .by_ref()
        .map(told)
        .find(|it| it["event_type"] == "flow");
    assert!(first.unwrap()["service"].is_string());
    drop(input);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.last().unwrap().contains("\"summary\""));
    assert!(child.wait().unwrap().success());
}

#[test]
fn any_number_of_jobs_gives_the_same_output() {
    for format in ["ndjson", "json", "table"] {
        let run = |jobs| stdout(imwarden(&["--format", format, "--jobs", jobs]).arg(samples()));
        let one = run("1");
        assert!(one.len() > 1000);
        for jobs in ["2", "3", "64"] {
            assert_eq!(run(jobs), one, "{format}, {jobs} jobs");
        }
    }
}

#[test]
fn timeouts_are_as_they_are_set() {
    // Half a connection, then silence, then the same SYN again, as another flow or not.
    let (header, _) = read(&samples().join("office.pcap"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("silence.pcap");
    // A clock that goes on in between.
    let times = [(0, 1), (20, 2), (40, 1)];
    let packets = times.map(|(seconds, flow)| record(1_700_000_000 + seconds, 0, &syn(flow)));
    std::fs::write(&file, [header, packets.concat()].concat()).unwrap();
    for (timeout, flows) in [("30", 3), ("60", 2)] {
        let args = ["--format", "ndjson", "--half-open-timeout", timeout];
        let records = records(&stdout(imwarden(&args).arg(&file)));
        assert_eq!(records.last().unwrap()["flows"], flows, "{timeout} s");
    }
}

#[test]
fn a_limit_that_is_none_is_refused() {
    for args in [
        &["--max-memory", "much"][..],
        &["--max-memory", "0"],
        &["--jobs", "0"],
        &["--tcp-timeout", "0"],
        &["--udp-timeout", "1h"],
        &["--half-open-timeout", "99999999999999999999"],
    ] {
        let output = imwarden(args).arg(samples().join("office.pcap")).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {errors}");
        assert!(errors.contains(args[0]), "{args:?}: {errors}");
        assert!(output.stdout.is_empty());
    }
}
