#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::{HostUse, RuleSet, RulesError, Source, SourceFile};
use crate::model::Transport;

const HEAD: &str = "id = \"chat\"\nname = \"Chat\"\nabout = \"A chat.\"\n";
const PORT: &str = "\n[[port]]\nid = \"chat/session\"\nfeature = \"session\"\ntransport = \"tcp\"\nport = 7000\nsource = \"site\"\n";

fn load(files: &[(&str, &str)]) -> Result<RuleSet, RulesError> {
    RuleSet::from_texts(sources(files), [])
}

fn sources(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let source = |&(name, text): &(&str, &str)| SourceFile {
        name: name.into(),
        text: text.into(),
    };
    files.iter().map(source).collect()
}

/// `line:column: message` of every mistake.
fn mistakes(files: &[(&str, &str)]) -> Vec<String> {
    match load(files) {
        Err(RulesError::Invalid(mistakes)) => mistakes
            .iter()
            .map(|mistake| format!("{}: {}", mistake.origin(), mistake.message()))
            .collect(),
        other => unreachable!("expected mistakes, got {other:?}"),
    }
}

fn with(old: &str, new: &str) -> String {
    let text = format!("{HEAD}{PORT}");
    assert!(text.contains(old), "{old}");
    text.replace(old, new)
}

fn services(rules: &RuleSet, transport: Transport, port: u16) -> Vec<&str> {
    rules
        .port_hints(transport, port)
        .map(|hint| hint.rule.id.as_str())
        .collect()
}

fn host<'a>(rules: &'a RuleSet, name: &str) -> Option<&'a str> {
    rules.host(name).map(|hit| hit.service.id())
}

#[test]
fn the_builtin_rules_hold_the_documents_table() {
    let rules = RuleSet::builtin().unwrap();
    let mut table = Vec::new();
    for messenger in rules.messengers() {
        for rule in messenger
            .ports
            .iter()
            .filter(|rule| rule.source == Source::Document)
        {
            table.push(format!(
                "{} {} {}",
                rule.id,
                rule.transport.name(),
                rule.ports
            ));
        }
        for rule in messenger
            .hosts
            .iter()
            .filter(|rule| rule.source == Source::Document)
        {
            assert_eq!(rule.usage, HostUse::Exclusive);
            table.push(format!("{} {} {rule}", messenger.service, rule.feature));
        }
    }
    assert_eq!(
        table,
        [
            "aim/session TCP 5190",
            "aim/images TCP 4443",
            "aim everything login.oscar.aol.com",
            "icq/session TCP 5190",
            "icq/file-transfer TCP 3574",
            "icq/images TCP 7320",
            "icq everything login.icq.com",
            "msn/session TCP 1863",
            "msn/file-transfer TCP 6891",
            "msn/conferencing UDP 13324-13325",
            "msn/application-sharing TCP 1503",
            "msn everything *.messenger.hotmail.com",
            "yahoo/session TCP 5050",
            "yahoo/http TCP 80",
            "yahoo everything *.msg.yahoo.com",
        ]
    );
}

#[test]
fn a_port_hints_at_every_messenger_that_owns_it() {
    let rules = RuleSet::builtin().unwrap();
    assert_eq!(
        services(&rules, Transport::Tcp, 5190),
        ["aim/session", "icq/session"]
    );
    assert_eq!(services(&rules, Transport::Tcp, 1863), ["msn/session"]);
    assert_eq!(
        services(&rules, Transport::Tcp, 6892),
        ["msn/file-transfer-range"]
    );
    assert_eq!(
        services(&rules, Transport::Tcp, 6900),
        ["msn/file-transfer-range"]
    );
    assert_eq!(
        services(&rules, Transport::Udp, 13325),
        ["msn/conferencing"]
    );
    assert_eq!(services(&rules, Transport::Udp, 4000), ["icq/session-udp"]);
}

#[test]
fn a_port_that_others_share_hints_at_nobody() {
    let rules = RuleSet::builtin().unwrap();
    for port in [
        20, 21, 22, 23, 25, 53, 80, 110, 119, 443, 3389, 5000, 5061, 5191, 5222, 6902, 40_000,
    ] {
        assert_eq!(
            services(&rules, Transport::Tcp, port),
            [""; 0],
            "TCP {port}"
        );
    }
    for port in [53, 2055, 5004, 5190, 13_323, 13_326] {
        assert_eq!(
            services(&rules, Transport::Udp, port),
            [""; 0],
            "UDP {port}"
        );
    }
}

#[test]
fn host_names_match_label_by_label() {
    let rules = RuleSet::builtin().unwrap();
    for (name, service) in [
        ("login.oscar.aol.com", "aim"),
        ("LOGIN.Oscar.AOL.com.", "aim"),
        ("bos-m001a.oscar.aol.com", "aim"),
        ("oscar.aol.com", "aim"),
        ("login.icq.com", "icq"),
        ("api.login.icq.net", "icq"),
        ("gateway.messenger.hotmail.com", "msn"),
        ("messenger.hotmail.com", "msn"),
        ("byrdr.omega.contacts.msn.com", "msn"),
        ("scs.msg.yahoo.com", "yahoo"),
        ("http.pager.yahoo.com", "yahoo"),
    ] {
        assert_eq!(host(&rules, name), Some(service), "{name}");
    }
    for name in [
        "evil-oscar.aol.com",
        "oscar.aol.com.evil.example",
        "notmsg.yahoo.com",
        "msg.yahoo.com.example",
        "a.http.pager.yahoo.com",
        "aol.com",
        "com",
        ".",
        "",
        "..",
        ".oscar.aol.com..",
        "www.example.com",
        "messenger.hotmail.com\u{fffd}",
    ] {
        assert_eq!(host(&rules, name), None, "{name:?}");
    }
    assert_eq!(
        host(&rules, &format!("{}.msg.yahoo.com", "a".repeat(300))),
        None
    );
}

#[test]
fn a_shared_host_names_no_messenger_but_the_longest_fact_wins() {
    let rules = RuleSet::builtin().unwrap();
    for name in [
        "login.yahoo.com",
        "login.live.com",
        "msnia.login.live.com",
        "www.icq.com",
        "www.aim.com",
        "www.msn.com",
    ] {
        assert_eq!(host(&rules, name), None, "{name}");
        assert!(rules.is_shared_host(name), "{name}");
    }
    assert_eq!(
        host(&rules, "login.icq.com"),
        Some("icq"),
        "exclusive below a shared suffix"
    );
    assert!(!rules.is_shared_host("login.icq.com"));
    assert!(!rules.is_shared_host("www.example.com"));
}

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
fn every_builtin_fact_has_a_source_and_every_file_samples() {
    let rules = RuleSet::builtin().unwrap();
    let modern = |messenger: &&super::Messenger| !messenger.by_default;
    let mut seen = 0;
    for messenger in rules.messengers().iter().filter(modern) {
        seen += 1;
        assert!(messenger.updated.is_some(), "{}", messenger.service);
        assert!(!messenger.limits.is_empty(), "{}", messenger.service);
        let facts = messenger
            .ports
            .iter()
            .map(|rule| (&rule.reference, &rule.origin))
            .chain(
                messenger
                    .hosts
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .alpns
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .networks
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .beginnings
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .stuns
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            );
        for (reference, origin) in facts {
            assert!(reference.is_some(), "{origin}");
        }
    }
    assert_eq!(seen, 28);
    let written = rules
        .messengers()
        .iter()
        .filter_map(|it| it.updated)
        .max()
        .unwrap();
    assert_eq!(rules.warnings(written), [], "each has samples for both");
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

#[test]
fn a_folder_comes_before_the_builtin_rules() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        RuleSet::load_dir(dir.path()),
        Err(RulesError::Empty(_))
    ));
    assert!(matches!(
        RuleSet::load_dir(&dir.path().join("absent")),
        Err(RulesError::Unreadable { .. })
    ));
    std::fs::write(dir.path().join("notes.txt"), "not a rule file").unwrap();
    std::fs::write(dir.path().join("chat.toml"), format!("{HEAD}{PORT}")).unwrap();
    let rules = RuleSet::load_dir(dir.path()).unwrap();
    assert_eq!(services(&rules, Transport::Tcp, 7000), ["chat/session"]);
    assert_eq!(
        services(&rules, Transport::Tcp, 5190),
        ["aim/session", "icq/session"],
        "what it does not state stays"
    );
    // The same id: its file is the one that counts, as a whole.
    let aim = format!("{HEAD}{PORT}").replace("chat", "aim");
    std::fs::write(dir.path().join("aim.toml"), aim).unwrap();
    let rules = RuleSet::load_dir(dir.path()).unwrap();
    assert_eq!(
        services(&rules, Transport::Tcp, 7000),
        ["aim/session", "chat/session"]
    );
    assert_eq!(services(&rules, Transport::Tcp, 5190), ["icq/session"]);
    assert_eq!(host(&rules, "login.oscar.aol.com"), None);
}

#[test]
fn builtin_files_give_way_fact_by_fact() {
    let wire = |id: &str, usage: &str| {
        format!(
            "{}updated = \"2026-01-01\"\n[[host]]\nname = \"h.example.com\"\nmatch = \"suffix\"\nfeature = \"session\"\n\
             use = \"{usage}\"\nsource = \"site\"\n[[alpn]]\nprotocol = \"talk\"\nsource = \"site\"\n\
             [[network]]\nnet = \"192.0.2.0/24\"\nsource = \"site\"\n",
            HEAD.replace("chat", id)
        )
    };
    let (own, builtin) = (wire("own", "exclusive"), wire("builtin", "shared"));
    let rules = RuleSet::from_texts(sources(&[("a", &own)]), sources(&[("b", &builtin)])).unwrap();
    assert_eq!(host(&rules, "x.h.example.com"), Some("own"));
    assert_eq!(rules.alpn("talk").unwrap().id(), "own");
    let (service, _) = rules.network("192.0.2.9".parse().unwrap()).unwrap();
    assert_eq!(service.id(), "own");
    assert!(rules.network("192.0.3.0".parse().unwrap()).is_none());
    assert!(rules.network("192.0.1.255".parse().unwrap()).is_none());
    assert!(rules.messenger("builtin").unwrap().hosts.is_empty());
}

#[test]
fn a_label_is_a_label() {
    let rules = RuleSet::builtin().unwrap();
    for (name, service) in [
        ("e7.whatsapp.net", Some("whatsapp")),
        ("whatsapp.net", Some("whatsapp")),
        ("evilwhatsapp.net", None),
        ("whatsapp.net.example", None),
        ("ec.europa.eu", None),
        ("teams.microsoft.com", Some("teams")),
        ("myteams.microsoft.com", None),
        ("slack.com", None),
        ("team.slack.com", Some("slack")),
        ("www.slack.com", None),
        ("mp.weixin.qq.com", None),
        ("szlong.weixin.qq.com", Some("wechat")),
    ] {
        assert_eq!(host(&rules, name), service, "{name}");
    }
    let ec = "\n[[host]]\nname = \"x.ec\"\nmatch = \"suffix\"\nfeature = \"session\"\nuse = \"exclusive\"\nsource = \"site\"\n";
    let rules = load(&[("c", &format!("{HEAD}{ec}"))]).unwrap();
    for name in ["x.ec.europa.eu", "ec", "ax.ec", "x.ec.eu"] {
        assert_eq!(host(&rules, name), None, "{name}");
    }
    assert_eq!(host(&rules, "a.x.ec"), Some("chat"));
}
