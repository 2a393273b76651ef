//! What each rule would do to the flows of others in a capture: by its place, by the addresses of names, by what is said. The capture
//! is made of flows whose truth is known, and what is said of them is what `prove` finds when the kernel judges.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/hello.rs"]
mod hello;
#[path = "policy_support/made.rs"]
mod made;
mod policy_support;

use hello::Hello;
use made::Capture;
use std::path::{Path, PathBuf};
use std::process::Command;

const POLICY: &str = "profile = \"none\"\nservices = [\"yahoo\"]\n\
    [[rule]]\nid = \"shop\"\nto = \"*.shop.example.net\"\nreason = \"made up\"\n\
    [[rule]]\nid = \"games\"\nsni = \"games.example.net\"\nreason = \"made up\"\n\
    [[rule]]\nid = \"old\"\nto = \"198.51.100.7\"\nreason = \"made up\"\n";

/// Flows of others: how many of them each kind of rule is about.
fn made(folder: &Path) -> PathBuf {
    let path = folder.join("others.pcapng");
    let mut capture = Capture::new(&path);
    let web = b"GET / HTTP/1.1\r\nHost: www.example.org\r\n\r\n";
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    // By its place: two.
    for _ in 0..2 {
        capture.talk("198.51.100.7:9000", &[(true, b"hello\n")]);
    }
    // They begin as Yahoo! does, in their first packets or later, and are none: three. The last says it too late to be looked at.
    let yahoo = b"YMSG\0 is how a letter to the editor began\n";
    capture.talk("198.51.100.20:9000", &[(true, yahoo)]);
    capture.talk("198.51.100.21:9000", &[(true, b"first\n"), (true, yahoo)]);
    capture.talk(
        "198.51.100.21:9001",
        &[(false, b"220 ready\n"), (true, yahoo)],
    );
    let mut late: Vec<(bool, &[u8])> = vec![(true, b"a line\n"); 12];
    late.push((true, yahoo));
    capture.talk("198.51.100.22:9000", &late);
    // The server says what only a client's rule is about, and it stands further on.
    capture.talk("198.51.100.23:9000", &[(false, yahoo), (true, b"I see\n")]);
    capture.talk("198.51.100.23:9000", &[(true, b" YMSG\0\n")]);
    // By the name in a hello: one; beside it a longer name.
    capture.talk(
        "198.51.100.30:443",
        &[(true, &Hello::to("games.example.net"))],
    );
    capture.talk(
        "198.51.100.30:443",
        &[(true, &Hello::to("mygames.example.net"))],
    );
    // By a name that DNS gave: two, one of which asks for it. The third asks for another at the same address.
    capture.resolve("www.shop.example.net", [198, 51, 100, 40]);
    capture.resolve("notshop.example.net", [198, 51, 100, 41]);
    let shop = b"GET / HTTP/1.1\r\nHost: www.shop.example.net\r\n\r\n";
    capture.talk("198.51.100.40:80", &[(true, shop), (false, answer)]);
    capture.talk("198.51.100.40:9000", &[(true, b"hello\n")]);
    capture.talk("198.51.100.40:80", &[(true, web), (false, answer)]);
    capture.talk("198.51.100.41:80", &[(true, web), (false, answer)]);
    capture.finish();
    path
}

fn imwarden(arguments: &[&str]) -> (i32, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
        .args(arguments)
        .env("PATH", policy_support::path())
        .output()
        .unwrap();
    (
        run.status.code().unwrap(),
        String::from_utf8(run.stdout).unwrap(),
        String::from_utf8(run.stderr).unwrap(),
    )
}

/// The words of a head, without its line ends and marks.
fn flowing(text: &str) -> String {
    let words = text.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !["#", ";"].contains(word)).collect();
    words.join(" ")
}

#[test]
fn each_rule_says_how_many_flows_of_others_it_would_touch() {
    let folder = tempfile::tempdir().unwrap();
    let capture = made(folder.path());
    let plan = folder.path().join("policy.toml");
    std::fs::write(&plan, POLICY).unwrap();
    let (capture, plan) = (capture.to_str().unwrap(), plan.to_str().unwrap());
    let with = |matching: &str, more: &[&str]| {
        let common = [
            "policy",
            "--plan",
            plan,
            "--observed",
            capture,
            "--match",
            matching,
        ];
        imwarden(&[&common[..], more].concat())
    };
    // More than one in a thousand: refused, and it is said by which rules.
    let (code, text, said) = with("signature,sni", &["--format", "iptables-script"]);
    assert_eq!((code, text.as_str()), (2, ""));
    for words in [
        "would also touch 6 of 16 flows that are no messenger's",
        "TCP 198.51.100.7:9000: 2, by rule_old",
        "TCP 198.51.100.20:9000: 1, by sig_yahoo_session",
        "TCP 198.51.100.30:443: 1, by sni_games",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    let (code, text, _) = with("signature,sni", &["--format", "iptables-script", "--force"]);
    assert_eq!(code, 0);
    let text = flowing(&text);
    let counts = "Of 16 flows of others that were seen, so many would be touched by each rule: rule_old 2, sig_yahoo_session 3";
    assert!(text.contains(counts), "{text}");
    assert!(text.contains("sni_games 1"), "{text}");
    // Who only looks touches nobody, and is told as many.
    let looks = ["--format", "iptables-script", "--action", "log"];
    let (code, text, said) = with("signature,sni", &looks);
    assert_eq!(code, 0, "{said}");
    assert!(
        flowing(&text).contains("rule_old 2, sig_yahoo_session 3"),
        "{text}"
    );
    // Sets of addresses take all that goes there; a resolver, what asks for the name.
    let (code, text, _) = with("name", &["--force"]);
    assert_eq!(code, 0);
    assert!(
        flowing(&text).contains("rule_old 2, names_shop 3"),
        "{text}"
    );
    let (code, text, said) = with("name", &["--format", "rpz", "--force"]);
    assert_eq!(code, 0);
    assert!(said.contains("would also touch 2 of 16 flows"), "{said}");
    let counts = "so many would be touched by refusing each name: *.shop.example.net 2";
    assert!(flowing(&text).contains(counts), "{text}");
    // All of it together, for a reader.
    let everything = ["policy", "explain", "--plan", plan, "--observed", capture];
    let (code, text, _) = imwarden(&[&everything[..], &["--match", "signature,sni"]].concat());
    assert_eq!(code, 0);
    for count in [
        "rule_old 2",
        "sig_yahoo_session 3",
        "sni_games 1",
        "*.shop.example.net 2",
    ] {
        assert!(text.contains(count), "{count}: {text}");
    }
    // Findings have where flows went, and nothing of what was said or asked for.
    let findings = folder.path().join("others.ndjson");
    let findings = findings.to_str().unwrap();
    imwarden(&[
        "analyze", "--all", "--format", "ndjson", "-o", findings, capture,
    ]);
    let by_findings = ["policy", "explain", "--plan", plan, "--observed", findings];
    let (code, text, _) = imwarden(&[&by_findings[..], &["--match", "signature,sni"]].concat());
    assert_eq!(code, 0);
    let (told, open) = text.split_once("it cannot be told").unwrap();
    assert!(told.contains("rule_old 2"), "{text}");
    assert!(
        !told.contains("sig_yahoo") && open.contains("sig_yahoo_session"),
        "{text}"
    );
    assert!(open.contains("*.shop.example.net"), "{text}");
}

#[test]
fn the_kernel_touches_as_many_as_was_said() {
    let name = "the_kernel_touches_as_many_as_was_said";
    let programs = ["nft", "ip", "iptables-legacy", "ip6tables-legacy", "ipset"];
    if !policy_support::can_run(name, &programs) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let capture = made(folder.path());
    let plan = folder.path().join("policy.toml");
    std::fs::write(&plan, POLICY).unwrap();
    let (capture, plan) = (capture.to_str().unwrap(), plan.to_str().unwrap());
    let common = [
        "prove",
        "--plan",
        plan,
        "--match",
        "signature,sni",
        "--format",
        "json",
    ];
    // nftables does not search: it leaves the hello alone.
    for (backend, expected) in [("iptables-legacy", 6), ("nftables", 5)] {
        let (_, text, said) = imwarden(&[&common[..], &["--backend", backend, capture]].concat());
        let whole: serde_json::Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{said}"));
        let others = &whole["certificates"][0]["others"];
        let touched = others["blocked"].as_u64().unwrap() + others["cut"].as_u64().unwrap();
        assert_eq!(touched, expected, "{backend}: {whole:#}");
    }
}
