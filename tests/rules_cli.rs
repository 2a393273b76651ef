//! `imwarden rules` as an administrator meets it.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod program;

fn run(args: &[&str]) -> (i32, String, String) {
    program::run(&[&["rules"], args].concat())
}

#[test]
fn list_names_the_four_messengers() {
    let (code, told, _) = run(&["list"]);
    assert_eq!(code, 0);
    let ids: Vec<_> = told
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for id in ["aim", "icq", "msn", "yahoo"] {
        assert!(ids.contains(&id), "{told}");
    }
    assert!(
        told.lines().all(|line| line == line.trim_end()),
        "no blanks at the ends"
    );
}

#[test]
fn show_gives_every_port_and_host_with_its_source() {
    let (code, told, _) = run(&["show", "msn"]);
    assert_eq!(code, 0);
    let line = |start: &str| {
        told.lines()
            .find(|line| line.starts_with(start))
            .unwrap_or_default()
    };
    assert!(
        line("tcp 1863").contains("msn/session") && line("tcp 1863").contains("document"),
        "{told}"
    );
    assert!(line("tcp 6892-6900").contains("vendor"), "{told}");
    assert!(
        line("*.messenger.hotmail.com").contains("exclusive"),
        "{told}"
    );
    assert!(line("*.login.live.com").contains("shared"), "{told}");

    let (code, told, _) = run(&["show", "telegram"]);
    assert_eq!(code, 0);
    for part in ["149.154.160.0/20", "telegram/abridged", "2026-"] {
        assert!(told.contains(part), "{part}: {told}");
    }

    let (code, _, err) = run(&["show", "talk"]);
    assert_eq!(code, 2);
    assert!(
        err.contains("there is no messenger `talk`; the rule files know: aim, icq, msn, yahoo"),
        "{err}"
    );
}

#[test]
fn check_accepts_what_is_right_and_shows_each_mistake() {
    assert_eq!(run(&["check"]).0, 0);
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let (code, told, _) = run(&["check", rules]);
    assert_eq!((code, told.lines().count()), (0, 4), "{told}");
    let (code, told, _) = run(&[
        "check",
        concat!(env!("CARGO_MANIFEST_DIR"), "/rules/aim.toml"),
    ]);
    assert_eq!((code, told.lines().count()), (0, 1), "{told}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("aim.toml");
    let text = std::fs::read_to_string(format!("{rules}/aim.toml")).unwrap();
    let wrong = text
        .replace("port = 4443", "port = 0")
        .replace("port = 9898", "prt = 9898");
    std::fs::write(&file, &wrong).unwrap();
    let line = |needle: &str| {
        wrong
            .lines()
            .position(|line| line.contains(needle))
            .unwrap()
            + 1
    };
    let (code, told, err) = run(&["check", file.to_str().unwrap()]);
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(
        err.contains(&format!("aim.toml:{}:1", line("prt = 9898"))),
        "{err}"
    );
    assert!(
        err.contains("unknown field `prt`") && err.contains("^^^"),
        "{err}"
    );

    std::fs::write(&file, text.replace("port = 4443", "port = 0")).unwrap();
    let (code, _, err) = run(&["check", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(
        err.contains(&format!("aim.toml:{}:8", line("port = 0"))),
        "{err}"
    );
}

#[test]
fn every_builtin_rule_recognises_its_own_samples() {
    let (code, told, err) = run(&["test"]);
    assert_eq!((code, err.as_str()), (0, ""), "{told}");
    for id in ["aim", "whatsapp", "telegram", "xmpp", "teamspeak"] {
        assert!(told.contains(&format!("({id}): ")), "{told}");
    }
}

#[test]
fn a_sample_that_is_told_otherwise_fails_and_a_missing_one_is_warned_about() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("chat.toml");
    let head = "id = \"chat\"\nname = \"Chat\"\nabout = \"A chat.\"\n[[host]]\nname = \"chat.example.com\"\n\
                match = \"suffix\"\nfeature = \"everything\"\nuse = \"exclusive\"\nsource = \"site\"\n";
    let sample = |expect: &str, host: &str| {
        format!("[[sample]]\nexpect = \"{expect}\"\nhost = \"{host}\"\n")
    };
    let path = file.to_str().unwrap();
    std::fs::write(&file, head).unwrap();
    let (code, _, err) = run(&["test", path]);
    assert_eq!(code, 0);
    assert!(
        err.contains("warning: ") && err.contains("no sample that must be found"),
        "{err}"
    );

    let right =
        sample("probable", "a.chat.example.com") + &sample("silent", "evilchat.example.com");
    std::fs::write(&file, format!("{head}{right}")).unwrap();
    assert_eq!(
        run(&["test", path]),
        (0, format!("ok: {path} (chat): 2 samples\n"), String::new())
    );

    let wrong =
        sample("silent", "a.chat.example.com") + &sample("probable", "evilchat.example.com");
    std::fs::write(&file, format!("{head}{wrong}")).unwrap();
    let (code, told, err) = run(&["test", path]);
    assert_eq!((code, told.as_str()), (2, ""));
    assert!(
        err.contains("chat.toml:11:10: chat is probable, and must be silent"),
        "{err}"
    );
    assert!(
        err.contains("chat.toml:14:10: chat is silent, and must be probable"),
        "{err}"
    );
}
