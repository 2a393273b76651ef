//! Holds the program against the truth beside every sample capture, and the captures against their maker.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use assert_cmd::Command;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    #[allow(dead_code, reason = "for people")]
    about: String,
    #[serde(default)]
    flow: Vec<Flow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flow {
    proto: String,
    client: String,
    server: String,
    service: String,
    app_proto: Option<String>,
    role: Option<String>,
    confidence: String,
    accounts: Vec<String>,
    peers: Vec<String>,
    client_software: Option<String>,
    features: Vec<String>,
    #[serde(default)]
    risks: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps")
}

fn captures() -> Vec<PathBuf> {
    let mut captures: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .collect();
    captures.sort();
    captures
}

/// Confirmed and probable flows, by who talks to whom.
fn detections(capture: &Path) -> BTreeMap<String, Value> {
    records(capture)
        .into_iter()
        .filter(|record| record["event_type"] == "flow")
        .filter(|record| record["service"].is_string() && record["confidence"] != "possible")
        .map(|record| {
            let end = |side: &str| {
                let ip = record[format!("{side}_ip")]
                    .as_str()
                    .unwrap()
                    .parse()
                    .unwrap();
                std::net::SocketAddr::new(
                    ip,
                    record[format!("{side}_port")].as_u64().unwrap() as u16,
                )
            };
            (
                format!(
                    "{} {} -> {}",
                    record["proto"].as_str().unwrap(),
                    end("src"),
                    end("dest")
                ),
                record,
            )
        })
        .collect()
}

fn texts(list: &Value) -> Vec<String> {
    let mut texts: Vec<String> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts
}

fn rank(confidence: &str) -> usize {
    ["possible", "probable", "confirmed"]
        .iter()
        .position(|known| *known == confidence)
        .unwrap()
}

/// Everything in which a record differs from its truth.
fn differences(truth: &Flow, record: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut equal = |what: &str, want: &Value, got: &Value| {
        if want != got {
            found.push(format!("{what} is {got}, in truth {want}"));
        }
    };
    equal(
        "service",
        &truth.service.as_str().into(),
        &record["service"],
    );
    if let Some(app_proto) = &truth.app_proto {
        equal(
            "app_proto",
            &app_proto.as_str().into(),
            &record["app_proto"],
        );
    }
    if let Some(role) = &truth.role {
        equal("role", &role.as_str().into(), &record["role"]);
    }
    if let Some(software) = &truth.client_software {
        equal("client", &software.as_str().into(), &record["client"]);
    }
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    equal(
        "accounts",
        &sorted(&truth.accounts).into(),
        &texts(&record["accounts"]).into(),
    );
    equal(
        "peers",
        &sorted(&truth.peers).into(),
        &texts(&record["peers"]).into(),
    );
    let features = texts(&record["features"]);
    for feature in truth
        .features
        .iter()
        .filter(|feature| !features.contains(feature))
    {
        found.push(format!("feature {feature} is missing in {features:?}"));
    }
    let risks = texts(&record["risks"]);
    for risk in truth.risks.iter().filter(|risk| !risks.contains(risk)) {
        found.push(format!("risk {risk} is missing in {risks:?}"));
    }
    let confidence = record["confidence"].as_str().unwrap();
    if rank(confidence) < rank(&truth.confidence) {
        found.push(format!("only {confidence}, in truth {}", truth.confidence));
    }
    found
}

#[test]
fn every_sample_is_named_as_its_truth_says_and_everything_else_is_silent() {
    let mut wrong = Vec::new();
    let mut flows = 0;
    for capture in captures() {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let truth: Truth =
            toml::from_str(&std::fs::read_to_string(capture.with_extension("toml")).unwrap())
                .unwrap();
        let mut found = detections(&capture);
        for flow in &truth.flow {
            flows += 1;
            let key = format!("{} {} -> {}", flow.proto, flow.client, flow.server);
            match found.remove(&key) {
                Some(record) => {
                    wrong.extend(
                        differences(flow, &record)
                            .iter()
                            .map(|what| format!("{name}: {key}: {what}")),
                    );
                }
                None => wrong.push(format!("{name}: {key}: {} is missed", flow.service)),
            }
        }
        for (key, record) in found {
            wrong.push(format!(
                "{name}: {key}: false alarm: {}, {}",
                record["service"], record["evidence"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} differences in {flows} flows\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(flows >= 40, "only {flows} flows in all samples");
}

#[test]
fn the_maker_makes_the_same_bytes_again() {
    let again = tempfile::tempdir().unwrap();
    scenario::write_all(again.path()).unwrap();
    let list = |folder: &Path| -> Vec<PathBuf> {
        let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into())
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        list(again.path()),
        list(&folder()),
        "the samples are those that the maker makes"
    );
    for name in list(again.path()) {
        let (made, kept) = (
            std::fs::read(again.path().join(&name)),
            std::fs::read(folder().join(&name)),
        );
        assert!(
            made.unwrap() == kept.unwrap(),
            "{} differs: run `cargo run --example make-samples`",
            name.display()
        );
    }
}

/// Everything that the program tells of a capture.
fn records(capture: &Path) -> Vec<Value> {
    let run = Command::cargo_bin("imwarden")
        .unwrap()
        .args(["analyze", "--all", "--format", "ndjson"])
        .arg(capture)
        .assert()
        .success();
    String::from_utf8(run.get_output().stdout.clone())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn every_risk_is_raised_by_a_sample_and_none_by_a_bait() {
    let mut raised = std::collections::BTreeSet::new();
    for capture in captures() {
        let name = capture.file_name().unwrap().to_string_lossy().into_owned();
        let bait = name.starts_with("bait");
        // Other chats stand among the baits: what is told of those is right.
        let truth: Truth =
            toml::from_str(&std::fs::read_to_string(capture.with_extension("toml")).unwrap())
                .unwrap();
        let other_chat = |record: &Value| {
            truth
                .flow
                .iter()
                .any(|flow| record["service"] == flow.service.as_str())
        };
        for record in records(&capture) {
            match record["event_type"].as_str().unwrap() {
                "risk" => {
                    assert!(!bait || other_chat(&record), "{name}: {record}");
                    let evidence = record["evidence"].as_array().unwrap();
                    assert!(
                        !evidence.is_empty() && evidence.iter().all(|it| it["packet"] != 0),
                        "{name}: {record}"
                    );
                    assert!(record["advice"].as_str().unwrap().len() > 20);
                    raised.insert(record["risk"].as_str().unwrap().to_owned());
                }
                "event" | "session" | "user" => {
                    assert!(!bait || other_chat(&record), "{name}: {record}");
                }
                _ => {}
            }
        }
    }
    let known: std::collections::BTreeSet<String> = imwarden::model::risk::ALL
        .iter()
        .map(|id| (*id).to_owned())
        .collect();
    let missing: Vec<&String> = known.difference(&raised).collect();
    assert!(missing.is_empty(), "no sample shows {missing:?}");
}

#[test]
fn every_record_is_of_its_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/imwarden-1.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut seen = BTreeMap::new();
    for capture in captures() {
        for record in records(&capture) {
            let wrong: Vec<String> = validator
                .iter_errors(&record)
                .map(|error| format!("{}: {error}", error.instance_path))
                .collect();
            assert!(wrong.is_empty(), "{record}\n{}", wrong.join("\n"));
            let kind = record["event_type"].as_str().unwrap().to_owned();
            *seen.entry(kind).or_insert(0) += 1;
        }
    }
    let kinds: Vec<&str> = seen.keys().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["event", "flow", "risk", "session", "summary", "user"]
    );
    // It would notice: a record with a field too many, and one with a wrong word.
    for broken in [
        r#"{"schema":"imwarden/1","event_type":"flow"}"#,
        r#"{"schema":"imwarden/1","event_type":"shrug"}"#,
    ] {
        assert!(!validator.is_valid(&serde_json::from_str(broken).unwrap()));
    }
}
