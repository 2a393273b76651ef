//! What the records of carried messengers say beside who they are: the way in, the teacher, and no secret.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

fn run(sample: &str, all: bool) -> String {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("sample-pcaps")
        .join(sample);
    let mut command = Command::cargo_bin("imwarden").unwrap();
    command.args(["analyze", "--format", "ndjson"]);
    if all {
        command.arg("--all");
    }
    let run = command.arg(capture).assert().success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

/// Flow records by the client's port.
fn flows(text: &str) -> BTreeMap<u64, Value> {
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["event_type"] == "flow")
        .map(|record| (record["src_port"].as_u64().unwrap(), record))
        .collect()
}

#[test]
fn the_path_names_the_proxy() {
    for (sample, expected) in [
        (
            "socks5.pcap",
            &[
                (51_100, "socks5"),
                (51_101, "socks5"),
                (51_110, "socks5"),
                (51_120, "socks5"),
            ][..],
        ),
        (
            "socks4.pcap",
            &[(51_130, "socks4"), (51_140, "socks4a"), (51_150, "socks4")],
        ),
        ("msn-http-connect.pcap", &[(50_630, "http-connect")]),
    ] {
        let flows = flows(&run(sample, false));
        for (port, carrier) in expected {
            let path = flows[port]["path"].as_array().unwrap();
            assert_eq!(path.last().unwrap(), carrier, "{sample} {port}");
        }
    }
}

#[test]
fn a_proxied_sign_on_announces_the_proxied_session() {
    let flows = flows(&run("socks5.pcap", false));
    let authoriser = &flows[&51_100]["flow_id"];
    assert_eq!(&flows[&51_101]["learned_from"], authoriser);
    assert_eq!(flows[&51_100]["learned_from"], Value::Null);
}

#[test]
fn flows_of_a_polling_session_learn_from_its_first() {
    let found = flows(&run("oscar-http.pcap", false));
    let first = &found[&51_200]["flow_id"];
    for port in 51_201..=51_206 {
        assert_eq!(&found[&port]["learned_from"], first, "{port}");
        assert_eq!(found[&port]["accounts"][0], "1000001", "{port}");
    }
    // Another session behind the same address keeps to itself.
    assert_eq!(found[&51_210]["learned_from"], Value::Null);
    assert_eq!(found[&51_210]["accounts"], Value::Array(Vec::new()));
    let found = flows(&run("msn-http-gateway.pcap", false));
    assert_eq!(found[&50_701]["learned_from"], found[&50_700]["flow_id"]);
}

#[test]
fn session_ids_passwords_and_user_names_are_not_shown() {
    for sample in ["oscar-http.pcap", "msn-http-gateway.pcap", "socks5.pcap"] {
        let text = run(sample, true);
        for secret in [
            "sid=",
            "SessionID=",
            "1767323045",
            "secret12",
            "proxyuser",
            "not a real password",
        ] {
            assert!(!text.contains(secret), "{sample} shows {secret}");
        }
    }
}
