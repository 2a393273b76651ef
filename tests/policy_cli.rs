//! `imwarden policy` as an administrator meets it: files, exit codes and messages.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod program;

fn run(args: &[&str]) -> (i32, String, String) {
    program::run(&[&["policy"], args].concat())
}

#[test]
fn rules_go_to_the_standard_output_or_to_a_file_alike() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let (code, told, _) = run(&["--format", "nftables"]);
    assert_eq!(code, 0);
    assert!(told.starts_with("#!/usr/sbin/nft -f\n") && told.contains("\n}\n"));
    let (code, nothing, _) = run(&["--format", "nftables", "-o", path]);
    assert_eq!((code, nothing.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(path).unwrap(), told);
    assert_eq!(run(&["--format", "nftables", "-o", "-"]).1, told);
}

#[test]
fn a_wrong_request_is_a_usage_error_that_helps() {
    for (args, hint) in [
        (
            &["--service", "aim,icqq"][..],
            "there is no messenger `icqq`; the rule files know: aim, icq, msn, yahoo",
        ),
        (
            &["--feature", "msn:files"],
            "there is no feature `msn:files` here",
        ),
        (
            &["--service", "aim", "--feature", "msn:session"],
            "the services asked for are: aim",
        ),
        (&["--profile", "all"], "possible values: document, full"),
        (
            &["--direction", "sideways"],
            "possible values: forward, output, input",
        ),
        (&["--service", ""], "there is no messenger ``"),
        (&["--rules", "/nonexistent"], "cannot read /nonexistent"),
    ] {
        let (code, out, err) = run(&[&["--format", "nftables"], args].concat());
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(hint), "{args:?}: {err}");
    }
}

#[test]
fn nftables_is_written_unless_told_otherwise() {
    let (code, out, _) = run(&[]);
    assert_eq!((code, out), (0, run(&["--format", "nftables"]).1));
}

#[test]
fn an_output_file_that_cannot_be_written_is_named() {
    let (code, _, err) = run(&["--format", "nftables", "-o", "/nonexistent/rules.nft"]);
    assert_ne!(code, 0);
    assert!(err.contains("cannot write /nonexistent/rules.nft"), "{err}");
}

#[test]
fn own_rule_files_come_before_the_builtin_ones() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.toml");
    let chat = |port: &str| {
        format!(
            "id = \"chat\"\nname = \"Corporate Chat\"\nabout = \"A chat.\"\n\n[[port]]\nid = \"chat/session\"\n\
             feature = \"session\"\ntransport = \"tcp\"\nport = {port}\nsource = \"site\"\n"
        )
    };
    let rules = [
        "--format",
        "nftables",
        "--service",
        "chat",
        "--rules",
        dir.path().to_str().unwrap(),
    ];

    let (code, _, err) = run(&rules);
    assert_eq!(code, 2);
    assert!(err.contains("no rule file (*.toml)"), "{err}");

    std::fs::write(&file, chat("7000")).unwrap();
    let (code, told, _) = run(&rules);
    assert_eq!(code, 0);
    assert!(
        told.contains("7000 comment \"chat/session (site)\" : goto f_chat_session"),
        "{told}"
    );
    assert!(!told.contains("5190 comment"), "only one was asked for");
    let (_, told, _) = run(&["--format", "nftables", "--rules", rules[5]]);
    assert!(
        told.contains("7000 comment") && told.contains("5190 comment"),
        "one's own and the built-in ones: {told}"
    );

    std::fs::write(&file, chat("443")).unwrap();
    let (code, told, err) = run(&rules);
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(
        err.contains("chat.toml:6:6: refusing to close chat/session: port 443 carries the web"),
        "{err}"
    );

    std::fs::write(&file, chat("\"9-1\"")).unwrap();
    let (code, _, err) = run(&rules);
    assert_eq!(code, 2);
    assert!(
        err.contains("chat.toml:9:8") && err.contains("^^^^^ did you mean \"1-9\"?"),
        "{err}"
    );
}

#[test]
fn what_would_touch_others_is_refused_unless_it_is_forced() {
    let sample = |name: &str| {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
        folder.join(name).to_str().unwrap().to_owned()
    };
    // Baits on messengers' ports: the table would close them, what was seen does not.
    let baits = sample("baits-binary.pcap");
    let table = ["--profile", "document", "--observed", &baits];
    let (code, out, words) = run(&table);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(
        words.contains("flows that are no messenger's") && words.contains("--force"),
        "{words}"
    );
    let (code, out, words) = run(&[&table[..], &["--force"]].concat());
    assert_eq!(code, 0);
    assert!(
        out.contains("table inet imwarden") && words.contains("would also touch"),
        "{words}"
    );
    let office = sample("office.pcap");
    let (code, _, words) = run(&["--observed", &office]);
    assert!(code == 0 && !words.contains("touch"), "{words}");
    // Nor is the private address that a user of ICQ has: nobody was seen to go there.
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(
        words.contains("no rule for flow 36 of office.pcap, 10.0.1.23:4001: a private address"),
        "{words}"
    );
}

#[test]
fn explain_says_which_rule_decides() {
    let decides = |flow: &str| run(&["explain", "--flow", flow]);
    let (code, out, _) = decides("tcp:10.0.0.5->192.0.2.9:5190");
    assert_eq!(code, 0);
    assert!(
        out.contains("refused when it is opened, by aim_icq_session"),
        "{out}"
    );
    assert!(
        decides("udp:[2001:db8::1]->[2001:db8::2]:13325")
            .1
            .contains("msn_conferencing")
    );
    assert!(
        decides("tcp:10.0.0.5:5190->192.0.2.9:80")
            .1
            .contains("passes")
    );
    let (_, out, _) = run(&[
        "explain",
        "--except",
        "10.0.0.0/24",
        "--flow",
        "tcp:10.0.0.5->192.0.2.9:5190",
    ]);
    assert!(out.contains("passes"), "{out}");
    for wrong in [
        "tcp",
        "tcp:10.0.0.5->192.0.2.9",
        "icmp:10.0.0.5->192.0.2.9:1",
        "tcp:10.0.0.5->192.0.2.9:80:xyz",
    ] {
        let (code, out, words) = decides(wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{wrong}");
        assert!(words.contains("is no connection"), "{words}");
    }
    let (_, out, _) = run(&["explain", "--service", "yahoo"]);
    assert!(
        out.contains("yahoo/session (document)") && out.contains("Cannot stop: Yahoo"),
        "{out}"
    );
}

#[test]
fn every_file_says_how_to_check_load_and_remove_it() {
    for target in imwarden::policy::Target::ALL {
        let (_, text, _) = run(&["--match", "port,name", "--format", target.name()]);
        for verb in ["check ", "load ", "remove "] {
            let said = text.lines().any(|line| {
                let words = line.strip_prefix(['#', ';']).unwrap_or_default();
                words
                    .strip_prefix("   ")
                    .is_some_and(|rest| rest.starts_with(verb))
            });
            assert!(said, "{} does not say how to {verb}", target.name());
        }
    }
}
