#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod mistakes;

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
fn a_certificate_is_a_messengers_if_all_its_hosts_are() {
    let rules = RuleSet::builtin().unwrap();
    let user = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        rules.certified(&names).map(crate::model::Service::id)
    };
    for (names, service) in [
        (&["slogin.oscar.aol.com"][..], "aim"),
        (&["*.oscar.aol.com", "login.oscar.aol.com"], "aim"),
        (&["*.messenger.hotmail.com", "messenger.hotmail.com"], "msn"),
        (
            &["*.whatsapp.net", "*.cdn.whatsapp.net", "web.whatsapp.com"],
            "whatsapp",
        ),
    ] {
        assert_eq!(user(names), Some(service), "{names:?}");
    }
    for names in [
        &[][..],
        &["www.example.com"],
        &["*.whatsapp.net", "www.example.com"],
        &["www.example.com", "*.whatsapp.net"],
        // Two messengers'.
        &["*.whatsapp.net", "web.telegram.org"],
        // Everybody's hosts are among them: www.zoom.us, www.slack.com, gateway.messenger.live.com, mp.weixin.qq.com.
        &["*.zoom.us"],
        &["*.slack.com"],
        &["*.messenger.live.com"],
        &["*.weixin.qq.com"],
        // Shared ones.
        &["*.whatsapp.net", "whatsapp.com"],
        // One host is no domain.
        &["*.web.whatsapp.com"],
        &["*.login.icq.com"],
        &["*.hotmail.com"],
        &["*.com"],
        &["*"],
        &["*."],
        &["a*.whatsapp.net"],
        &["*.*.whatsapp.net"],
        &["evil-whatsapp.net"],
    ] {
        assert_eq!(user(names), None, "{names:?}");
    }
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

#[test]
fn what_http_carries_is_said_by_a_client() {
    let file = |from: &str| {
        format!(
            "{HEAD}{PORT}\n[[signature]]\nid = \"chat/hello\"\nfeature = \"session\"\nfrom = \"{from}\"\n\
             pattern = \"'HELLO '\"\nin_http = true\nsource = \"site\"\n"
        )
    };
    let rules = load(&[("chat.toml", &file("client"))]).unwrap();
    assert!(rules.messenger("chat").unwrap().signatures[0].in_http);
    assert_eq!(
        mistakes(&[("chat.toml", &file("server"))]),
        ["chat.toml:17:11: a server asks nothing"]
    );
}
