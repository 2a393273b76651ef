//! Rules that users write or bring along, as the program takes them: beginnings inside proxies, whose rules win, and rules of
//! l7-filter and Suricata that find what they were written for.
#![allow(clippy::unwrap_used)]

#[path = "../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

use assert_cmd::Command;
use scenario::socks::{behind, opening_4, opening_5};
use scenario::talk::{Scenario, Side, Talk};
use std::path::Path;

const PARROT: &str = "id = \"parrot\"\nname = \"Parrot\"\nabout = \"It repeats.\"\n[[beginning]]\nid = \"parrot/hello\"\n\
    transport = \"tcp\"\nsender = \"client\"\nbytes = \"50 41 52 52 4f 54 2f 31 20\"\nsource = \"site\"\n[[beginning]]\n\
    id = \"parrot/answer\"\nanswers = \"parrot/hello\"\ntransport = \"tcp\"\nsender = \"server\"\n\
    bytes = \"50 41 52 52 4f 54 2f 31 20\"\nsource = \"site\"\n";

fn run(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("imwarden").unwrap();
    let output = command.args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The flow records of these talks by the rules in that folder.
fn flows(rules: &Path, talks: Vec<Talk>) -> Vec<serde_json::Value> {
    let scenario = Scenario {
        name: "talks",
        about: "",
        talks,
    };
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("talks.pcap");
    std::fs::write(&capture, scenario::wire::capture(&scenario)).unwrap();
    let (rules, capture) = (rules.to_str().unwrap(), capture.to_str().unwrap());
    let (code, told, err) = run(&[
        "analyze", "--format", "ndjson", "--all", "--rules", rules, capture,
    ]);
    assert_eq!(code, 0, "{err}");
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &serde_json::Value| record["event_type"] == "flow")
        .collect()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn verdict(flow: &serde_json::Value) -> (String, String) {
    let text = |key: &str| flow[key].as_str().unwrap_or("-").to_owned();
    (text("service"), text("confidence"))
}

#[test]
fn a_beginning_is_found_inside_socks_and_connect() {
    let dir = folder(&[("parrot.toml", PARROT)]);
    let target = ("parrot.example.com", 7777);
    let connect = |status: &str| {
        let request = format!(
            "CONNECT {}:{} HTTP/1.1\r\nHost: {}\r\n\r\n",
            target.0, target.1, target.0
        );
        let answer = format!("HTTP/1.1 {status}\r\n\r\n");
        vec![
            (Side::Client, request.into_bytes()),
            (Side::Server, answer.into_bytes()),
        ]
    };
    let ways = [
        (opening_4("192.0.2.7", target.1, "alice"), "socks4"),
        (opening_4(target.0, target.1, ""), "socks4a"),
        (opening_5(target.0, target.1, None, 0), "socks5"),
        (
            opening_5("192.0.2.7", target.1, Some(("alice", "no secret")), 0),
            "socks5",
        ),
        (connect("200 Connection established"), "http-connect"),
    ];
    for (n, (opening, carrier)) in ways.into_iter().enumerate() {
        let talk = |port: usize, hello: &[u8], answer: &[u8]| {
            let client = format!("10.0.0.5:{}", 50_000 + 10 * n + port);
            let talk = Talk::tcp(&client, "10.0.5.1:1080", 100 + 1000 * port as u64);
            behind(opening.clone(), talk.client(hello).server(answer))
        };
        let talks = vec![
            talk(0, b"PARROT/1 hello\n", b"PARROT/1 who is there?\n"),
            talk(1, b"PARROT/1 hello\n", b"what?\n"),
            // What only resembles it; and its words further behind.
            talk(2, b"PARROTS are birds\n", b"PARROT/1 who is there?\n"),
            talk(3, b"hello PARROT/1 \n", b"hello\n"),
        ];
        let flows = flows(dir.path(), talks);
        let seen: Vec<_> = flows.iter().map(verdict).collect();
        let is = |service: &str, sure: &str| (service.to_owned(), sure.to_owned());
        assert_eq!(seen[0], is("parrot", "confirmed"), "{carrier}");
        assert_eq!(seen[1], is("parrot", "probable"), "{carrier}");
        assert_ne!(seen[3].0, "parrot", "{carrier}");
        assert!(
            flows[0]["path"].to_string().contains(carrier),
            "{}",
            flows[0]
        );
        // One side alone, said by the answer of a pair, is as much as the hello alone.
        assert_eq!(seen[2], is("parrot", "probable"), "{carrier}");
    }
    // A proxy that refuses carries nothing.
    let refused = [
        (opening_5(target.0, target.1, None, 5), "socks5"),
        (connect("403 Forbidden"), "http-connect"),
    ];
    for (opening, carrier) in refused {
        let talk = behind(opening, Talk::tcp("10.0.0.5:50000", "10.0.5.1:1080", 100));
        let flows = flows(dir.path(), vec![talk]);
        assert_ne!(verdict(&flows[0]).0, "parrot", "{carrier}");
    }
}

#[test]
fn rules_of_ones_own_win_over_the_built_in_ones() {
    // A beginning, a host and a whole messenger that the built-in files have as well.
    let own = "id = \"house\"\nname = \"House\"\nabout = \"Ours.\"\n[[beginning]]\nid = \"house/hello\"\ntransport = \"udp\"\n\
        sender = \"client\"\nbytes = \"54 53 33 49 4e 49 54 31\"\nsource = \"site\"\n[[host]]\nname = \"web.telegram.org\"\n\
        match = \"suffix\"\nfeature = \"everything\"\nuse = \"exclusive\"\nsource = \"site\"\n";
    let dir = folder(&[("house.toml", own)]);
    let init = b"TS3INIT1\x00\x65\x00\x00\x88\x06\x3b\xec\xe9\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    let talks = vec![Talk::udp("10.0.0.5:50000", "192.0.2.7:9999", 100).client(*init)];
    let seen = verdict(&flows(dir.path(), talks)[0]);
    assert_eq!(seen, ("house".to_owned(), "probable".to_owned()));
    let (_, told, _) = run(&[
        "rules",
        "show",
        "telegram",
        "--rules",
        dir.path().to_str().unwrap(),
    ]);
    assert!(!told.contains("*.web.telegram.org"), "{told}");
    let dir = folder(&[(
        "telegram.toml",
        "id = \"telegram\"\nname = \"Ours\"\nabout = \"Ours.\"\n[[port]]\nid = \"telegram/x\"\n\
        feature = \"session\"\ntransport = \"tcp\"\nport = 7\nsource = \"site\"\n",
    )]);
    let (_, told, _) = run(&[
        "rules",
        "show",
        "telegram",
        "--rules",
        dir.path().to_str().unwrap(),
    ]);
    assert!(told.starts_with("Ours (telegram)"), "{told}");
}

#[test]
fn imported_patterns_find_what_they_were_written_for() {
    let pattern = "# Parrot talk - a bird\n# Pattern attributes: good\n\nparrot\n^parrot/[0-9]+[\\x09-\\x0d ](hello|who)|bird\n";
    let source = folder(&[("parrot.pat", pattern)]);
    let rules = folder(&[]);
    let file = rules.path().join("parrot.toml");
    let (code, told, err) = run(&[
        "rules",
        "import",
        "l7-filter",
        source.path().join("parrot.pat").to_str().unwrap(),
        "-o",
        file.to_str().unwrap(),
    ]);
    assert_eq!((code, told.as_str()), (3, ""), "{err}");
    assert!(
        err.contains("1 taken, 1 left") && err.contains("not anchored by `^`"),
        "{err}"
    );
    let (code, _, err) = run(&["rules", "check", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("no sample that must be found"), "{err}");

    let said = |n: u64, client: &[u8]| {
        let address = format!("10.0.0.5:{}", 50_000 + n);
        Talk::tcp(&address, "192.0.2.7:7777", 100 + 500 * n).client(client)
    };
    let flows = flows(
        rules.path(),
        vec![
            said(0, b"Parrot/12\thello there"),
            said(1, b"PARROT/1 WHO"),
            // Piece by piece.
            said(2, b"parr")
                .client(*b"ot/")
                .client(*b"77")
                .client(*b" he")
                .client(*b"llo"),
            said(3, b"parrot/ hello"),
            said(4, b"parrot/1 goodbye"),
            said(5, b" parrot/1 hello"),
            said(6, b"a bird"),
        ],
    );
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| verdict(flow).0 == "parrot")
        .collect();
    assert_eq!(seen, [true, true, true, false, false, false, false]);
}

#[test]
fn imported_suricata_rules_find_what_they_were_written_for() {
    let text = "# local rules\n\
        alert tcp $HOME_NET any -> $EXTERNAL_NET 7000:7010 (msg:\"PARROT hello\"; flow:established,to_server; \
        content:\"PARROT/\"; startswith; nocase; content:\"|20|hello\"; distance:1; within:8; sid:1000001; rev:2;)\n\
        alert udp any any -> any any (msg:\"PARROT call\"; content:\"|50 41 52 52 00|\"; offset:2; depth:5; dsize:>19; sid:1000002;)\n\
        alert tls any any -> any any (msg:\"PARROT name\"; tls.sni; dotprefix; content:\".parrot.example.com\"; nocase; endswith; \
        sid:1000003;)\n\
        alert http any any -> any any (msg:\"no\"; http.uri; content:\"/parrot\"; sid:1000004;)\n";
    let source = folder(&[("local.rules", text)]);
    let path = source.path().join("local.rules");
    let path = path.to_str().unwrap();
    let (code, told, err) = run(&["rules", "import", "suricata", path, "--id", "parrot"]);
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("3 taken, 1 left") && err.contains(":5:7: sid 1000004: `http`"),
        "{err}"
    );
    assert!(
        told.contains("PARROT hello") && told.contains("local.rules, sid 1000001, rev 2"),
        "{told}"
    );
    let rules = folder(&[("parrot.toml", &told)]);

    let tcp = |n: u64, port: u16, client: &[u8], server: &[u8]| {
        let address = format!("10.0.0.5:{}", 50_000 + n);
        let talk = Talk::tcp(&address, &format!("192.0.2.7:{port}"), 100 + 500 * n);
        talk.client(client).server(server)
    };
    let udp = |n: u64, client: &[u8]| {
        let address = format!("10.0.0.5:{}", 50_000 + n);
        Talk::udp(&address, "192.0.2.7:9000", 100 + 500 * n).client(client)
    };
    let call = |length: usize, at: usize| {
        let mut bytes = vec![9; length];
        bytes[at..at + 5].copy_from_slice(b"PARR\0");
        bytes
    };
    let flows = flows(
        rules.path(),
        vec![
            tcp(0, 7000, b"parrot/1 hello", b"hi"),
            tcp(1, 7010, b"PARROT/123 hello", b"hi"),
            udp(2, &call(20, 2)),
            udp(3, &call(500, 2)),
            // Another port, the other side, too far, too near.
            tcp(4, 7011, b"parrot/1 hello", b"hi"),
            tcp(5, 7000, b"hi", b"parrot/1 hello"),
            tcp(6, 7000, b"PARROT/1234 hello", b"hi"),
            tcp(7, 7000, b"PARROT/ hello", b"hi"),
            // Too short, and elsewhere.
            udp(8, &call(19, 2)),
            udp(9, &call(20, 3)),
        ],
    );
    let seen: Vec<_> = flows
        .iter()
        .map(|flow| verdict(flow).0 == "parrot")
        .collect();
    assert_eq!(
        seen,
        [
            true, true, true, true, false, false, false, false, false, false
        ]
    );
    let (_, told, _) = run(&[
        "rules",
        "show",
        "parrot",
        "--rules",
        rules.path().to_str().unwrap(),
    ]);
    assert!(told.contains("*.parrot.example.com"), "{told}");
}

#[test]
fn what_cannot_be_imported_is_an_error() {
    let source = folder(&[
        ("aim.pat", "aim\nflapon\n"),
        ("yahoo.pat", "yahoo\n^ymsg[0-9][0-9]\n"),
    ]);
    let path = |name: &str| source.path().join(name).to_str().unwrap().to_owned();
    let (code, told, err) = run(&["rules", "import", "l7-filter", &path("aim.pat")]);
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(
        err.contains("nothing of") && err.contains("0 taken, 1 left"),
        "{err}"
    );
    let (code, _, err) = run(&["rules", "import", "suricata", &path("none.rules")]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot read"), "{err}");
    // A file named as a built-in messenger takes nobody's place.
    let (code, told, err) = run(&["rules", "import", "l7-filter", &path("yahoo.pat")]);
    assert_eq!(code, 0, "{err}");
    assert!(told.contains("id = \"own-yahoo\""), "{told}");
    let (code, _, err) = run(&[
        "rules",
        "import",
        "l7-filter",
        &path("yahoo.pat"),
        "--id",
        "No Good",
    ]);
    assert_eq!(code, 2);
    assert!(err.contains("cannot name a messenger"), "{err}");
}
