//! Adding a messenger takes one file: the one in CONTRIBUTING.md, word for word.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

mod program;

use program::run;
use scenario::talk::{Scenario, Talk};
use std::path::Path;

/// The file that CONTRIBUTING.md shows.
fn shown() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("CONTRIBUTING.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, behind) = text.split_once("```toml\n").unwrap();
    behind.split_once("```").unwrap().0.to_owned()
}

#[test]
fn one_file_makes_a_messenger() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("parrot.toml");
    std::fs::write(&file, shown()).unwrap();
    let (file, rules) = (file.to_str().unwrap(), dir.path().to_str().unwrap());

    let (code, told, err) = run(&["rules", "test", file]);
    assert_eq!((code, err.as_str()), (0, ""), "{told}");
    assert!(told.contains("(parrot): "), "{told}");

    let talk = |client: &str, server: &str, start| {
        Talk::tcp(client, server, start)
            .client(*b"PARROT/1 hello\n")
            .server(*b"PARROT/1 who is there?\n")
    };
    let scenario = Scenario {
        name: "parrot",
        about: "",
        talks: vec![
            talk("10.0.0.5:50000", "192.0.2.7:7777", 100),
            // On any port; and one side alone; and what only resembles it.
            talk("10.0.0.6:50001", "192.0.2.7:443", 500),
            Talk::tcp("10.0.0.7:50002", "192.0.2.7:9999", 900).client(*b"PARROT/1 hello\n"),
            Talk::tcp("10.0.0.8:50003", "192.0.2.7:9999", 1300).client(*b"PARROTS are birds\n"),
        ],
    };
    let capture = dir.path().join("parrot.pcap");
    std::fs::write(&capture, scenario::wire::capture(&scenario)).unwrap();
    let capture = capture.to_str().unwrap();
    let analyze = ["analyze", "--format", "ndjson", "--rules", rules, capture];
    let (code, told, _) = run(&analyze);
    assert_eq!(code, 0);
    let flows: Vec<serde_json::Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &serde_json::Value| record["event_type"] == "flow")
        .collect();
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| {
            let text = |key: &str| flow[key].as_str().unwrap();
            (text("src_ip"), text("service"), text("confidence"))
        })
        .collect();
    assert_eq!(
        seen,
        [
            ("10.0.0.5", "parrot", "confirmed"),
            ("10.0.0.6", "parrot", "confirmed"),
            ("10.0.0.7", "parrot", "probable"),
        ]
    );

    let policy = ["policy", "--service", "parrot", "--rules", rules];
    let (code, told, _) = run(&policy);
    assert_eq!(code, 0);
    assert!(
        told.contains("7777 comment \"parrot/session (site)\"")
            && told.contains("parrot.example.com"),
        "{told}"
    );
}
