//! `imwarden prove` against this machine's kernel: what a policy blocks, what it leaves alone, and that a policy which does
//! neither is not called proven.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "policy_support/mod.rs"]
mod support;

use assert_cmd::Command;
use imwarden::capture::{self, Writer};
use serde_json::Value;
use std::path::{Path, PathBuf};

const PROGRAMS: [&str; 7] = [
    "ipset",
    "nft",
    "ip",
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
];

fn samples() -> Vec<PathBuf> {
    captures_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps"))
}

/// All captures of a folder, in order; none if it is not there.
fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut all: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcap"))
        .collect();
    all.sort();
    all
}

fn sample(name: &str) -> PathBuf {
    let all = samples();
    all.into_iter()
        .find(|path| path.file_stem().unwrap() == name)
        .unwrap()
}

/// The exit code and the certificates.
fn prove(capture: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let run = Command::cargo_bin("imwarden")
        .unwrap()
        .args(["prove", "--format", "json"])
        .args(arguments)
        .arg(capture)
        .env("PATH", support::path())
        .output()
        .unwrap();
    let whole: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| {
        panic!(
            "{}: {}",
            capture.display(),
            String::from_utf8_lossy(&run.stderr)
        )
    });
    let certificates = whole["certificates"].as_array().unwrap().clone();
    (run.status.code().unwrap(), certificates)
}

fn number(value: &Value, path: &str) -> u64 {
    value.pointer(path).unwrap().as_u64().unwrap()
}

#[test]
fn what_was_seen_is_blocked_and_nothing_else_by_every_firewall() {
    if !support::can_run(
        "what_was_seen_is_blocked_and_nothing_else_by_every_firewall",
        &PROGRAMS,
    ) {
        return;
    }
    let (messengers, others) = prove_all("samples", &samples());
    assert!(messengers > 90 && others > 90, "{messengers} and {others}");
}

/// Traffic of real clients and servers, where a checkout has it beside it.
#[test]
fn what_real_clients_do_is_blocked_and_nothing_else() {
    let name = "what_real_clients_do_is_blocked_and_nothing_else";
    let folder = std::env::var("IMWARDEN_CAPTURES").unwrap_or("../shared/captures".into());
    let captures = captures_in(Path::new(&folder));
    if captures.is_empty() {
        return support::skip(name, &format!("no captures in {folder}"));
    }
    if support::can_run(name, &PROGRAMS) {
        let (messengers, others) = prove_all("captures of real clients", &captures);
        assert!(messengers > 50 && others > 10, "{messengers} and {others}");
    }
}

/// Proves all of them, and returns how many flows were messengers' and others'.
fn prove_all(what: &str, captures: &[PathBuf]) -> (u64, u64) {
    let (mut messengers, mut others) = (0, 0);
    // What the document's table alone would have done.
    let (mut by_table, mut cut, mut touched) = (0, 0, 0);
    for capture in captures {
        let (code, certificates) = prove(capture, &["--backend", "all"]);
        assert_eq!(code, 0, "{}", capture.display());
        let of = |decides: bool| -> Vec<&Value> {
            let wanted = |it: &&Value| it["decides"] == decides;
            certificates.iter().filter(wanted).collect()
        };
        for decides in [true, false] {
            let all = of(decides);
            assert_eq!(all.len(), 3);
            // The three judge every flow alike.
            for other in &all[1..] {
                let outcomes = |it: &Value| -> Vec<(Value, Value)> {
                    let flows = it["flows"].as_array().unwrap();
                    let one = |flow: &Value| (flow["flow_id"].clone(), flow["outcome"].clone());
                    flows.iter().map(one).collect()
                };
                assert_eq!(outcomes(all[0]), outcomes(other), "{}", capture.display());
            }
        }
        for it in of(true) {
            assert_eq!(
                number(it, "/messengers/blocked"),
                number(it, "/messengers/flows")
            );
            assert_eq!(number(it, "/others/passed"), number(it, "/others/flows"));
            assert_eq!(number(it, "/not_replayed"), 0, "{}", capture.display());
            // A rule is named for each flow that is refused.
            for flow in it["flows"].as_array().unwrap() {
                assert_eq!(
                    flow["rule"].is_null(),
                    flow["outcome"] == "passed",
                    "{flow}"
                );
            }
        }
        messengers += number(of(true)[0], "/messengers/flows");
        others += number(of(true)[0], "/others/flows");
        let table = of(false)[0];
        by_table += number(table, "/messengers/blocked");
        cut += number(table, "/messengers/cut");
        touched += number(table, "/others/flows") - number(table, "/others/passed");
    }
    support::say(&format!(
        "prove, {} {what}, three firewalls: what was seen blocks {messengers} of {messengers} messengers' flows and touches 0 of {others} others; the \
         document's table alone blocks {by_table} of {messengers} (and cuts {cut} late) and touches {touched} of {others}",
        captures.len()
    ));
    // The table misses those on other ports, and says so.
    assert!(
        by_table > messengers / 3 && by_table < messengers,
        "{by_table}"
    );
    (messengers, others)
}

#[test]
fn the_documents_table_misses_what_is_on_other_ports() {
    if !support::can_run(
        "the_documents_table_misses_what_is_on_other_ports",
        &PROGRAMS,
    ) {
        return;
    }
    let (code, certificates) = prove(&sample("aim-port-443"), &["--profile", "document"]);
    assert_eq!(code, 1);
    assert_eq!(number(&certificates[0], "/messengers/blocked"), 0);
    let (code, certificates) = prove(&sample("aim-signon-message"), &["--profile", "document"]);
    assert_eq!(code, 0, "{certificates:?}");
}

#[test]
fn who_is_left_alone_is_counted_apart_and_must_pass() {
    let name = "who_is_left_alone_is_counted_apart_and_must_pass";
    if !support::can_run(name, &[&PROGRAMS[..], &["mount"]].concat()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let office = sample("office");
    write("hosts", "192.168.10.28 printer.example.com\n");
    write("nsswitch", "hosts: files\n");
    let rules = format!("observed = [{:?}]\n", office.to_str().unwrap());
    let exceptions = "[[exception]]\nnet = \"192.168.10.21\"\nwhy = \"made up\"\n\
        [[exception]]\nname = \"printer.example.com\"\nwhy = \"made up\"\n\
        [[exception]]\nnet = \"192.168.10.33\"\nwhy = \"made up\"\nuntil = 2026-01-01\n";
    write("policy.toml", &format!("{rules}{exceptions}"));
    write("all.toml", &rules);
    // Names are asked for on a machine that knows this one.
    let prove = |plan: &str| -> Vec<Value> {
        let script = "mount --bind hosts /etc/hosts && mount --bind nsswitch /etc/nsswitch.conf && exec \"$@\"";
        let run = std::process::Command::new("unshare")
            .args([
                "-rm",
                "sh",
                "-c",
                script,
                "sh",
                env!("CARGO_BIN_EXE_imwarden"),
            ])
            .args([
                "prove",
                "--format",
                "json",
                "--backend",
                "all",
                "--plan",
                plan,
            ])
            .arg(&office)
            .current_dir(folder.path())
            .env("PATH", support::path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{words}");
        let whole: Value = serde_json::from_slice(&run.stdout).unwrap();
        whole["certificates"].as_array().unwrap().clone()
    };
    let (all, spared) = (prove("all.toml"), prove("policy.toml"));
    assert_eq!((all.len(), spared.len()), (3, 3));
    for (all, it) in all.iter().zip(&spared) {
        let left_alone = number(it, "/left_alone/flows");
        assert!(left_alone >= 3, "{it}");
        assert_eq!(number(it, "/left_alone/passed"), left_alone);
        assert_eq!(number(all, "/left_alone/flows"), 0);
        assert_eq!(
            number(it, "/messengers/blocked") + left_alone,
            number(all, "/messengers/blocked")
        );
        assert_eq!(
            number(it, "/messengers/blocked"),
            number(it, "/messengers/flows")
        );
        let ends = |flow: &Value| format!("{}{}", flow["src"], flow["dest"]);
        let meant = |flow: &Value| {
            let ends = ends(flow);
            ends.contains("192.168.10.21:") || ends.contains("192.168.10.28:")
        };
        for flow in it["flows"].as_array().unwrap() {
            let apart = flow["group"] == "spared";
            assert!(
                !apart || meant(flow) && flow["outcome"] == "passed",
                "{flow}"
            );
            assert!(
                apart || flow["group"] != "messenger" || !meant(flow),
                "{flow}"
            );
        }
    }
}

#[test]
fn a_policy_that_does_too_little_or_too_much_is_not_proven() {
    if !support::can_run(
        "a_policy_that_does_too_little_or_too_much_is_not_proven",
        &PROGRAMS,
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let with = |rules: &str, capture: &str| {
        let path = folder.path().join("rules.nft");
        let head = "#!/usr/sbin/nft -f\ntable inet t {\n\tchain f {\n\t\ttype filter hook forward priority 0; policy accept;\n";
        std::fs::write(&path, format!("{head}{rules}\n\t}}\n}}\n")).unwrap();
        let (code, certificates) = prove(&sample(capture), &["--policy", path.to_str().unwrap()]);
        (code, certificates[0].clone())
    };
    let (code, nothing) = with("", "office");
    assert_eq!(code, 1);
    assert_eq!(
        number(&nothing, "/messengers/passed"),
        number(&nothing, "/messengers/flows")
    );
    assert_eq!(
        number(&nothing, "/others/passed"),
        number(&nothing, "/others/flows")
    );
    let (code, everything) = with("\t\tmeta l4proto { tcp, udp } th dport != 9 drop", "office");
    assert_eq!(code, 1);
    assert_eq!(
        number(&everything, "/messengers/blocked"),
        number(&everything, "/messengers/flows")
    );
    assert!(number(&everything, "/others/blocked") > 0);
    // A message is refused, the sign-on before it went through: that is no block.
    let (code, late) = with(
        "\t\ttcp dport 5190 @ih,0,16 0x2a02 @ih,48,32 0x00040006 drop",
        "aim-signon-message",
    );
    assert_eq!(code, 1);
    assert!(number(&late, "/messengers/cut") > 0, "{late}");
    assert_eq!(number(&late, "/messengers/blocked"), 0);
}

#[test]
fn sessions_that_were_open_before_are_ended_whoever_speaks_first() {
    if !support::can_run(
        "sessions_that_were_open_before_are_ended_whoever_speaks_first",
        &PROGRAMS,
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "aim-signon-message",
        "msn-signon-chat",
        "yahoo-signon-message",
    ] {
        let source = sample(name);
        // Without the packets that open connections, and beginning with a server's.
        let path = folder.path().join(format!("{name}.pcapng"));
        let mut frames = capture::open(&source).unwrap();
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap()).unwrap();
        while let Some(frame) = frames.next_frame().unwrap() {
            let tcp = frame.data.get(34..54).unwrap_or_default();
            let opens =
                frame.data.get(23) == Some(&6) && tcp.get(13).is_some_and(|flags| flags & 2 != 0);
            if !opens {
                writer.frame(&frame, None).unwrap();
            }
        }
        writer.finish().unwrap();
        let (code, certificates) = prove(&path, &["--backend", "all"]);
        assert_eq!(code, 0, "{name}: {certificates:?}");
        assert!(number(&certificates[0], "/messengers/flows") > 0);
    }
}

#[test]
fn a_file_that_the_firewall_refuses_is_an_error_with_its_words() {
    if !support::can_run(
        "a_file_that_the_firewall_refuses_is_an_error_with_its_words",
        &PROGRAMS,
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.nft");
    std::fs::write(&path, "table inet t {\n\tchain f { hello }\n}\n").unwrap();
    let run = |path: &Path| {
        let output = Command::cargo_bin("imwarden")
            .unwrap()
            .args(["prove", "--policy"])
            .arg(path)
            .arg(sample("aim-toc"))
            .env("PATH", support::path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), words)
    };
    let (code, words) = run(&path);
    assert!(code != Some(0) && code != Some(1), "{code:?}");
    assert!(
        words.contains("nft") && words.contains("syntax error"),
        "{words}"
    );
    std::fs::write(&path, "hello\n").unwrap();
    let (code, words) = run(&path);
    assert_eq!(code, Some(2));
    assert!(words.contains("no rule file"), "{words}");
}

#[test]
fn names_in_hellos_are_proven_where_bytes_are_searched() {
    let name = "names_in_hellos_are_proven_where_bytes_are_searched";
    if !support::can_run(name, &PROGRAMS) {
        return;
    }
    // Messengers of today that a capture shows by the names in their hellos.
    let all = "signal,slack,teams,skype,viber,line,wechat,kakaotalk,threema,matrix,fbmessenger,instagram,snapchat,zoom,googlechat,\
        session,wire,qq,irc";
    // A user of a namespace's own cannot send iptables over nftables so many names at once.
    let some = "signal,slack,teams,zoom";
    for (backend, services, expected) in [
        // All but WeChat's, below whose domain another product has one of its own.
        ("iptables-legacy", all, 22),
        ("iptables-nft", some, 6),
        // It cannot search, and nothing is called proven by it.
        ("nftables", all, 0),
    ] {
        let asked = ["--service", services, "--profile", "full", "--match", "sni"];
        let how = ["--confidence", "probable", "--backend", backend];
        let (code, certificates) = prove(&sample("today-tls"), &[&asked[..], &how].concat());
        let it = &certificates[0];
        let (flows, blocked) = (
            number(it, "/messengers/flows"),
            number(it, "/messengers/blocked"),
        );
        let others = (number(it, "/others/flows"), number(it, "/others/passed"));
        assert_eq!(others.0, others.1, "{backend}: nobody else is touched");
        assert_eq!((flows, blocked), (23, expected), "{backend}: {it:#}");
        assert_eq!(code, i32::from(blocked < flows), "{backend}");
        support::say(&format!(
            "names in hellos, {backend}: messenger flows blocked {blocked} of {flows}, other flows touched {} of {}",
            others.0 - others.1,
            others.0
        ));
    }
}
