//! `imwarden sniff` on real interfaces: a cable in a private network, packets from tcpreplay, signals from the shell.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test may fail"
)]

mod policy_support;

use policy_support::{can_run, in_private_network};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PROGRAMS: [&str; 3] = ["ip", "unshare", "tcpreplay"];

/// A cable from v0 to v1, and words for what a test does. Nothing here waits for ever.
const WORDS: &str = r#"
set -u
cable() {
    ip link add v0 mtu 65535 type veth peer name v1 mtu 65535
    ip link set v0 up; ip link set v1 up
}
# Neighbours' chatter would be packets that nobody sent.
quiet() { for c in all default; do echo 1 > /proc/sys/net/ipv6/conf/$c/disable_ipv6; done; }
until_said() { # WORDS FILE
    n=0
    until grep -q -e "$1" "$2" 2>/dev/null; do
        n=$((n + 1)); [ $n -gt 200 ] && { echo "never said: $1"; cat "$2"; break; }
        sleep 0.1
    done
}
sniff() { # ARGUMENTS...: in the background as $P; out.ndjson, err.txt
    : > err.txt
    "$IM" sniff --duration 90 "$@" > out.ndjson 2> err.txt &
    P=$!
    until_said "listening on" err.txt
}
replay() { tcpreplay -q --topspeed -i v0 "$@" > replay.txt 2>&1 || cat replay.txt; }
packets() { # N: until so many came by
    n=0
    while :; do
        : > asked.txt; lines=$(grep -c " packets, " err.txt)
        kill -USR1 $P
        k=0; until [ "$(grep -c " packets, " err.txt)" -gt "$lines" ] || [ $k -gt 50 ]; do k=$((k + 1)); sleep 0.1; done
        last=$(grep " packets, " err.txt | tail -1 | sed 's/^imwarden: \([0-9]*\) .*/\1/')
        [ "${last:-0}" -ge "$1" ] && break
        n=$((n + 1)); [ $n -gt 100 ] && { echo "only $last packets of $1"; break; }
        sleep 0.1
    done
}
finish() { kill -TERM $P; wait $P; echo "exit $?"; }
quiet; ip link set lo up
"#;

fn imwarden() -> &'static str {
    env!("CARGO_BIN_EXE_imwarden")
}

fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    path.join(format!("{name}.pcap")).display().to_string()
}

/// What a script left behind.
struct Ran {
    folder: tempfile::TempDir,
    said: String,
}

impl Ran {
    fn file(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn err(&self) -> String {
        self.file("err.txt")
    }

    /// The records of a file, each a whole line.
    fn records(&self, name: &str) -> Vec<Value> {
        let text = self.file(name);
        assert!(text.is_empty() || text.ends_with('\n'), "{name} ends in half a record");
        text.lines().map(|line| record(line)).collect()
    }

    fn of_type(&self, event_type: &str) -> Vec<Value> {
        let mut records = self.records("out.ndjson");
        records.retain(|record| record["event_type"] == event_type);
        records
    }

    fn summary(&self) -> Value {
        let mut summaries = self.of_type("summary");
        assert_eq!(summaries.len(), 1, "{}\n{}", self.said, self.err());
        summaries.remove(0)
    }
}

fn record(line: &str) -> Value {
    let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let errors: Vec<String> = schema().iter_errors(&record).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}: {line}");
    record
}

fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: std::sync::OnceLock<jsonschema::Validator> = std::sync::OnceLock::new();
    SCHEMA.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/imwarden-1.json");
        let schema = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    })
}

fn run(script: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let said = in_private_network(
        folder.path(),
        &format!("IM='{}'\n{WORDS}\n{script}", imwarden()),
    );
    Ran { folder, said }
}

/// What must not depend on whether packets come from a file or an interface, by connection.
fn essence(flows: &[Value]) -> BTreeMap<String, String> {
    let key = |flow: &Value| {
        ["src_ip", "src_port", "dest_ip", "dest_port", "proto"]
            .map(|field| flow[field].to_string())
            .join(" ")
    };
    let rest = |flow: &Value| {
        [
            "service", "app_proto", "role", "confidence", "path", "accounts", "peers", "client",
            "features", "packets", "bytes",
        ]
        .map(|field| format!("{field}={}", flow[field]))
        .join(" ")
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for flow in flows {
        // Ports may be used again within a capture.
        found.entry(key(flow)).or_default().push_str(&(rest(flow) + "\n"));
    }
    found
}

fn analysed(path: &str) -> (Vec<Value>, u64) {
    let output = Command::new(imwarden())
        .args(["analyze", "--format", "ndjson", path])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let records: Vec<Value> = text.lines().map(record).collect();
    let packets = records.last().unwrap()["packets"].as_u64().unwrap();
    let flows = |it: &Value| it["event_type"] == "flow";
    (records.into_iter().filter(flows).collect(), packets)
}

#[test]
fn every_sample_replayed_at_full_speed_gives_the_findings_of_its_file() {
    if !can_run("sniff, samples", &PROGRAMS) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    let mut samples: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "pcap"))
        .collect();
    samples.sort();
    assert!(samples.len() > 20);
    let mut script = "cable\n".to_owned();
    let mut counts = Vec::new();
    for path in &samples {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (_, count) = analysed(path.to_str().unwrap());
        counts.push(count);
        // It ends by itself when it has seen as many packets as there are.
        script.push_str(&format!(
            "sniff -i v1 --format ndjson -c {count} -o {name}.ndjson\nreplay {}\nwait $P || {{ echo {name}: exit $?; cat err.txt; }}\n",
            path.display()
        ));
    }
    let ran = run(&script);
    assert_eq!(ran.said, "");
    for (path, count) in samples.iter().zip(counts) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (expected, _) = analysed(path.to_str().unwrap());
        let records = ran.records(&format!("{name}.ndjson"));
        let mut flows = records.clone();
        flows.retain(|it| it["event_type"] == "flow");
        assert_eq!(essence(&flows), essence(&expected), "{name}");
        let summary = records.last().unwrap();
        assert_eq!(summary["packets"], count, "{name}");
        assert_eq!(summary["listening"]["drops_ring"], 0, "{name}");
        // Each was told of before it was over.
        let ids = |event_type: &str| -> BTreeSet<u64> {
            let of_type = records.iter().filter(|it| it["event_type"] == event_type);
            let sure = of_type.filter(|it| it["confidence"] != "possible");
            sure.map(|it| it["flow_id"].as_u64().unwrap()).collect()
        };
        assert_eq!(ids("detection"), ids("flow"), "{name}");
    }
}
