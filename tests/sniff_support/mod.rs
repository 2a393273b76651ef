//! Words for tests that listen on interfaces: a cable in a private network, what is said there, what is found.

#![allow(dead_code, reason = "each test uses some of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test may fail"
)]

use crate::policy_support::in_private_network;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What a test of this kind needs.
pub const PROGRAMS: [&str; 3] = ["ip", "unshare", "tcpreplay"];

/// A cable from v0 to v1, and words for what a test does. Nothing here waits for ever.
pub const WORDS: &str = r#"
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
host() { # COMMAND...: as on a machine that is no container, whatever this one is
    unshare -m sh -c 'mount -t tmpfs none /mnt
        for it in /*; do
            if [ -L "$it" ]; then cp -d "$it" /mnt; elif [ -d "$it" ] && [ "$it" != /mnt ]; then mkdir "/mnt$it"; mount --rbind "$it" "/mnt$it"; fi
        done
        mount -t tmpfs none /mnt/run
        exec env -u container chroot /mnt "$@"' host "$@"
}
finish() { kill -TERM $P; wait $P; echo "exit $?"; }
quiet; ip link set lo up
"#;

pub fn imwarden() -> &'static str {
    env!("CARGO_BIN_EXE_imwarden")
}

pub fn sample(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    path.join(format!("{name}.pcap")).display().to_string()
}

/// What a script left behind.
pub struct Ran {
    /// Where it ran.
    pub folder: tempfile::TempDir,
    /// What it printed.
    pub said: String,
}

impl Ran {
    pub fn file(&self, name: &str) -> String {
        let bytes = fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8(bytes).expect("UTF-8")
    }

    pub fn err(&self) -> String {
        self.file("err.txt")
    }

    /// The records of a file, each a whole line.
    pub fn records(&self, name: &str) -> Vec<Value> {
        let text = self.file(name);
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "{name} ends in half a record"
        );
        text.lines().map(record).collect()
    }

    pub fn of_type(&self, event_type: &str) -> Vec<Value> {
        let mut records = self.records("out.ndjson");
        records.retain(|record| record["event_type"] == event_type);
        records
    }

    pub fn summary(&self) -> Value {
        let mut summaries = self.of_type("summary");
        assert_eq!(summaries.len(), 1, "{}\n{}", self.said, self.err());
        summaries.remove(0)
    }
}

pub fn record(line: &str) -> Value {
    let record = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let errors: Vec<String> = schema()
        .iter_errors(&record)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:?}: {line}");
    record
}

pub fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: std::sync::OnceLock<jsonschema::Validator> = std::sync::OnceLock::new();
    SCHEMA.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/imwarden-1.json");
        let schema = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        jsonschema::validator_for(&schema).unwrap()
    })
}

pub fn run(script: &str) -> Ran {
    run_in(tempfile::tempdir().unwrap(), script)
}

pub fn run_in(folder: tempfile::TempDir, script: &str) -> Ran {
    let said = in_private_network(
        folder.path(),
        &format!("IM='{}'\n{WORDS}\n{script}", imwarden()),
    );
    Ran { folder, said }
}

/// What must not depend on whether packets come from a file or an interface, by connection.
pub fn essence(flows: &[Value]) -> BTreeMap<String, String> {
    let key = |flow: &Value| {
        ["src_ip", "src_port", "dest_ip", "dest_port", "proto"]
            .map(|field| flow[field].to_string())
            .join(" ")
    };
    let rest = |flow: &Value| {
        [
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
        ]
        .map(|field| format!("{field}={}", flow[field]))
        .join(" ")
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for flow in flows {
        // Ports may be used again within a capture.
        found
            .entry(key(flow))
            .or_default()
            .push_str(&(rest(flow) + "\n"));
    }
    found
}

pub fn analysed(path: &str) -> (Vec<Value>, u64) {
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
