//! Each mistake has its place and its words.

use super::{HEAD, PORT, load, mistakes, with};

#[test]
fn a_mistake_shows_file_line_column_and_a_caret() {
    let text = with("port = 7000", "port = 70000");
    let error = load(&[("my/chat.toml", &text)]).unwrap_err();
    let expected = "\
error: not a port
 --> my/chat.toml:9:8
  |
9 | port = 70000
  |        ^^^^^ a number from 1 to 65535, or \"6892-6900\"";
    assert_eq!(error.to_string(), expected);
    assert_eq!(error.render(false), expected);
    assert!(
        error.render(true).contains('\u{1b}'),
        "colour when asked for"
    );
}

#[test]
fn each_kind_of_mistake_is_found_at_its_place() {
    for (old, new, expected) in [
        ("port = 7000", "port = 0", "c:9:8: port 0 is no port"),
        ("port = 7000", "port = \"0-5\"", "c:9:8: port 0 is no port"),
        (
            "port = 7000",
            "port = \"6900-6892\"",
            "c:9:8: the range is reversed",
        ),
        ("port = 7000", "port = -1", "c:9:8: not a port"),
        ("port = 7000", "port = \"http\"", "c:9:8: not a port"),
        ("port = 7000", "port = [1, 2]", "c:9:8: not a port"),
        ("port = 7000", "port = \"1-\"", "c:9:8: not a port"),
        ("\"tcp\"", "\"sctp\"", "c:8:13: unknown transport `sctp`"),
        (
            "\"session\"",
            "\"sesion\"",
            "c:7:11: unknown feature `sesion`",
        ),
        (
            "\"session\"",
            "\"everything\"",
            "c:7:11: a port cannot serve `everything`",
        ),
        ("\"site\"", "\"me\"", "c:10:10: unknown source `me`"),
        (
            "\"site\"",
            "\"site\"\ndirection = \"up\"",
            "c:11:13: unknown direction `up`",
        ),
        (
            "chat/session",
            "talk/session",
            "c:6:6: `talk/session` cannot name a fact of `chat`",
        ),
        (
            "chat/session",
            "chat/\\\"; drop",
            "c:6:6: `chat/\\\"; drop` cannot name a fact of `chat`",
        ),
        (
            "id = \"chat\"",
            "id = \"Chat\"",
            "c:1:6: `Chat` cannot name a messenger",
        ),
        (
            "id = \"chat\"",
            "id = \"a-very-long-name\"",
            "c:1:6: `a-very-long-name` cannot name a messenger",
        ),
        (
            "id = \"chat\"",
            "id = \"oscar\"",
            "c:1:6: `oscar` is taken: it says \"AIM or ICQ\"",
        ),
        (
            "\"A chat.\"",
            "\"A\\nchat.\"",
            "c:3:9: this text cannot be used",
        ),
        ("\"A chat.\"", "\"\"", "c:3:9: this text cannot be used"),
        (
            "port = 7000",
            "port = \"1000-3000\"\nhint = true",
            "c:10:8: so wide a range cannot be a hint",
        ),
        (
            "port = 7000",
            "port = 25\nshared_with = \"mail\"\nhint = true",
            "c:11:8: a port that others own cannot be a hint",
        ),
    ] {
        assert_eq!(mistakes(&[("c", &with(old, new))]), [expected], "{new}");
    }
}

const SIGNATURE: &str = "\n[[beginning]]\nid = \"chat/hello\"\ntransport = \"tcp\"\nsender = \"client\"\nbytes = \"43 48 41 54 0?\"\nsource = \"site\"\n";

#[test]
fn each_mistake_about_the_wire_is_found_at_its_place() {
    let good = format!("{HEAD}{SIGNATURE}");
    assert!(load(&[("c", &good)]).is_ok());
    let alpn = "[[alpn]]\nprotocol = \"h2\"\nsource = \"site\"\n";
    let network = |net: &str| format!("[[network]]\nnet = \"{net}\"\nsource = \"site\"\n");
    let dated = |rest: &str| format!("updated = \"2026-01-01\"\n{rest}");
    for (text, expected) in [
        (good.replace("0?", "0x"), "c:9:9: these are no bytes"),
        (good.replace("0?", "0"), "c:9:9: these are no bytes"),
        (
            good.replace("54 0?", "?? ??"),
            "c:9:9: so little tells no messenger",
        ),
        (format!("{good}offset = 300"), "c:11:10: not an offset"),
        (format!("{good}length = 3"), "c:11:10: not a length"),
        (
            format!("{good}regex = \"x\""),
            "c:11:9: a regex needs a bound",
        ),
        (
            format!("{good}length = 9\nregex = \"(\""),
            "c:12:9: this regex cannot be used",
        ),
        (
            format!("{good}length = 9\nregex = \"(a{{1000}}){{1000}}\""),
            "c:12:9: this regex cannot be used",
        ),
        (
            format!("{good}answers = \"chat/nobody\""),
            "c:11:11: this cannot be answered",
        ),
        (
            format!("{good}answers = \"chat/hello\""),
            "c:11:11: this cannot be answered",
        ),
        (
            format!("{good}alone = false"),
            "c:6:6: this is never recognised",
        ),
        (
            format!("{good}{alpn}"),
            "c:12:12: no messenger's protocol in TLS",
        ),
        (
            format!("{good}{}", network("192.0.2.0/24")),
            "c:12:7: address ranges move: the file needs a date",
        ),
        (
            format!(
                "{HEAD}{}",
                dated(&format!("{SIGNATURE}{}", network("192.0.2.1/24")))
            ),
            "c:13:7: the address has bits behind its prefix",
        ),
        (
            format!(
                "{HEAD}{}",
                dated(&format!("{SIGNATURE}{}", network("chat")))
            ),
            "c:13:7: not a network",
        ),
        (
            format!("{HEAD}updated = \"last year\"\n{SIGNATURE}"),
            "c:4:11: not a date",
        ),
        (
            format!("{good}[[sample]]\nexpect = \"maybe\"\nhost = \"a.example\""),
            "c:12:10: unknown expect `maybe`",
        ),
        (
            format!("{good}[[sample]]\nexpect = \"silent\""),
            "c:12:10: a sample is one kind of traffic",
        ),
        (
            format!("{good}[[sample]]\nexpect = \"silent\"\nclient = \"00\""),
            "c:12:10: bytes of what connection?",
        ),
    ] {
        assert_eq!(mistakes(&[("c", &text)]), [expected], "{text}");
    }
}

#[test]
fn old_lists_and_files_without_samples_are_warned_about() {
    let text = format!("{HEAD}updated = \"2025-11-01\"\n{PORT}");
    let rules = load(&[("c", &text)]).unwrap();
    let warnings = |today: jiff::civil::Date| -> Vec<String> {
        rules
            .warnings(today)
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let samples = [
        "c:1:1: Chat has no sample that must be found",
        "c:1:1: Chat has no sample that must be silent",
    ];
    assert_eq!(warnings(jiff::civil::date(2026, 11, 1)), samples);
    let old = warnings(jiff::civil::date(2026, 11, 2));
    assert_eq!(old.len(), 3);
    assert_eq!(
        old[0],
        "c:1:1: what is stated about Chat was last checked on 2025-11-01: hosts and addresses change"
    );
}

#[test]
fn what_toml_itself_objects_to_has_its_place_too() {
    let unknown = mistakes(&[("c", &with("port = 7000", "prt = 7000"))]);
    assert!(
        matches!(unknown.as_slice(), [one] if one.starts_with("c:9:1: unknown field `prt`")),
        "{unknown:?}"
    );
    let missing = mistakes(&[("c", &with("transport = \"tcp\"\n", ""))]);
    assert!(
        matches!(missing.as_slice(), [one] if one.starts_with("c:5:1: missing field `transport`")),
        "{missing:?}"
    );
    let syntax = mistakes(&[("c", &with("port = 7000", "port = = 7000"))]);
    assert!(
        matches!(syntax.as_slice(), [one] if one.starts_with("c:9:8: ")),
        "{syntax:?}"
    );
    let kind = mistakes(&[("c", &with("\"session\"", "7"))]);
    assert!(
        matches!(kind.as_slice(), [one] if one.starts_with("c:7:11: invalid type")),
        "{kind:?}"
    );
}

#[test]
fn many_mistakes_are_told_at_once_and_over_all_files() {
    let one = with("\"tcp\"", "\"sctp\"").replace("7000", "0");
    let two = format!("{HEAD}{PORT}");
    let three = "id = ";
    let found = mistakes(&[("one", &one), ("two", &two), ("three", three)]);
    assert_eq!(
        found.get(..3).unwrap(),
        [
            "one:8:13: unknown transport `sctp`",
            "one:9:8: port 0 is no port",
            "two:1:6: messenger `chat` is defined twice",
        ]
    );
    assert!(found.get(3).unwrap().starts_with("three:1:"), "{found:?}");
    assert_eq!(found.len(), 4);
}

#[test]
fn what_is_stated_twice_is_a_mistake() {
    let twice = format!("{HEAD}{PORT}{PORT}");
    assert_eq!(
        mistakes(&[("c", &twice)]),
        ["c:13:6: the id `chat/session` is used twice"]
    );

    let host = |usage: &str| {
        format!(
            "\n[[host]]\nname = \"h.example.com\"\nmatch = \"suffix\"\nfeature = \"session\"\nuse = \"{usage}\"\nsource = \"site\"\n"
        )
    };
    let other = HEAD.replace("chat", "talk");
    let exclusive = format!("{HEAD}{}", host("exclusive"));
    let also_exclusive = format!("{other}{}", host("exclusive"));
    assert_eq!(
        mistakes(&[("a", &exclusive), ("b", &also_exclusive)]),
        ["b:6:8: the host h.example.com is named twice"]
    );
    let shared = format!("{HEAD}{}", host("shared"));
    let also_shared = format!("{other}{}", host("shared"));
    assert!(
        load(&[("a", &shared), ("b", &also_shared)]).is_ok(),
        "shared by two messengers"
    );
}

#[test]
fn what_is_no_host_name_is_refused() {
    for name in [
        "localhost",
        "192.0.2.1",
        "2001:db8::1",
        "a..example",
        ".example.com",
        "*.example.com",
        "-a.example",
        "a b.example",
        "a\\\"b.example",
        "http://chat.example",
        "",
    ] {
        let text = format!(
            "{HEAD}\n[[host]]\nname = \"{name}\"\nmatch = \"exact\"\nfeature = \"session\"\nuse = \"exclusive\"\nsource = \"site\"\n"
        );
        let found = mistakes(&[("c", &text)]);
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("c:6:8: ") && one.ends_with("is no host name")),
            "{name}: {found:?}"
        );
    }
}
