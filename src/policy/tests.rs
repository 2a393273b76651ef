#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::{Action, FeatureChoice, Hook, Plan, PlanError, Profile, Request, Target, render};
use crate::model::Transport;
use crate::ruleset::RuleSet;

const TARGETS: [Target; 4] = [
    Target::Nftables,
    Target::Iptables,
    Target::Ip6tables,
    Target::IptablesScript,
];

fn request() -> Request {
    Request {
        hooks: vec![Hook::Forward],
        ..Request::default()
    }
}

fn plan(request: &Request) -> Plan {
    Plan::new(&RuleSet::builtin().unwrap(), request).unwrap()
}

fn features(list: &[&str]) -> Request {
    Request {
        features: list.iter().map(|text| FeatureChoice::parse(text)).collect(),
        ..request()
    }
}

/// `transport ports: ids`, one line an entry.
fn entries(plan: &Plan) -> Vec<String> {
    let all = [Transport::Tcp, Transport::Udp]
        .into_iter()
        .flat_map(|t| plan.ports(t));
    all.map(|(_, ports)| {
        let ids: Vec<_> = ports.owners.iter().map(|owner| owner.id.as_str()).collect();
        format!(
            "{} {}: {}",
            ports.transport.name(),
            ports.range,
            ids.join(" ")
        )
    })
    .collect()
}

/// A rule set of one messenger from port lines `(id, port, further keys)`.
fn custom(id: &str, ports: &[(&str, &str, &str)]) -> RuleSet {
    let dir = tempfile::tempdir().unwrap();
    let mut parts = vec![format!(
        "id = \"{id}\"\nname = \"Chat\"\nabout = \"A chat.\"\n"
    )];
    for (name, port, more) in ports {
        parts.push(format!(
            "\n[[port]]\nid = \"{id}/{name}\"\nport = {port}\n{more}\n"
        ));
    }
    let file = dir.path().join("chat.toml");
    std::fs::write(&file, parts.concat()).unwrap();
    RuleSet::load_files(&[file]).unwrap()
}

const SITE: &str = "feature = \"session\"\ntransport = \"tcp\"\nsource = \"site\"";

#[test]
fn the_default_is_the_documents_table() {
    assert_eq!(
        entries(&plan(&request())),
        [
            "TCP 1503: msn/application-sharing",
            "TCP 1863: msn/session",
            "TCP 3574: icq/file-transfer",
            "TCP 4443: aim/images",
            "TCP 5050: yahoo/session",
            "TCP 5190: aim/session icq/session",
            "TCP 6891: msn/file-transfer",
            "TCP 7320: icq/images",
            "UDP 13324-13325: msn/conferencing",
        ]
    );
}

#[test]
fn the_full_profile_adds_the_rest_but_nothing_that_is_shared() {
    let plan = plan(&Request {
        profile: Profile::Full,
        ..request()
    });
    let entries = entries(&plan);
    assert!(entries.contains(&"TCP 6892-6900: msn/file-transfer-range".to_owned()));
    assert!(entries.contains(&"TCP 5190: aim/session icq/session aim/file-transfer".to_owned()));
    for port in [
        20, 21, 22, 23, 25, 53, 80, 110, 119, 143, 443, 3389, 5060, 5061, 5191, 5222,
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let hit = plan
                .ports(transport)
                .into_iter()
                .find(|(_, ports)| ports.range.contains(port));
            assert!(hit.is_none(), "{port}: {hit:?}");
        }
    }
    let left_out: Vec<_> = plan.left_out.iter().map(|left| left.id.as_str()).collect();
    for id in [
        "yahoo/http",
        "yahoo/fallback-25",
        "aim/tls",
        "msn/http",
        "icq/peer",
        "msn/conferencing-any",
    ] {
        assert!(left_out.contains(&id), "{id} is named as left out");
    }
}

#[test]
fn no_port_stands_in_two_entries() {
    let rules = custom(
        "chat",
        &[
            ("a", "\"100-200\"", SITE),
            ("b", "\"150-250\"", SITE),
            ("c", "150", SITE),
            ("d", "\"251-260\"", SITE),
        ],
    );
    let plan = Plan::new(&rules, &request()).unwrap();
    assert_eq!(
        entries(&plan),
        [
            "TCP 100-149: chat/a",
            "TCP 150: chat/a chat/b chat/c",
            "TCP 151-200: chat/a chat/b",
            "TCP 201-250: chat/b",
            "TCP 251-260: chat/d",
        ]
    );
}

#[test]
fn the_ends_of_the_port_space_are_ports_too() {
    let rules = custom(
        "chat",
        &[
            ("a", "1", SITE),
            ("b", "65535", SITE),
            ("c", "\"65000-65535\"", SITE),
        ],
    );
    assert_eq!(
        entries(&Plan::new(&rules, &request()).unwrap()),
        [
            "TCP 1: chat/a",
            "TCP 65000-65534: chat/c",
            "TCP 65535: chat/b chat/c"
        ]
    );
}

#[test]
fn a_selection_takes_what_it_names() {
    let only = |list: &[&str]| entries(&plan(&features(list)));
    assert_eq!(
        only(&["msn:file-transfer", "aim:images"]),
        ["TCP 4443: aim/images", "TCP 6891: msn/file-transfer"]
    );
    assert_eq!(
        only(&["file-transfer"]),
        ["TCP 3574: icq/file-transfer", "TCP 6891: msn/file-transfer"]
    );
    assert_eq!(
        only(&["aim:session"]),
        ["TCP 5190: aim/session"],
        "5190 is then AIM's alone"
    );
    let msn = Request {
        services: vec!["msn".to_owned()],
        ..request()
    };
    assert_eq!(only(&["msn:everything"]), entries(&plan(&msn)));
}

#[test]
fn a_selection_that_closes_nothing_says_so() {
    let plan = plan(&features(&["yahoo:webcam"]));
    assert!(plan.is_empty());
    assert_eq!(plan.idle, ["yahoo:webcam"]);
    for target in TARGETS {
        let text = render(&plan, target);
        assert!(text.contains("THIS FILE CLOSES NOTHING"), "{target:?}");
        assert!(text.contains("NO RULE for yahoo:webcam"), "{target:?}");
    }
}

#[test]
fn todays_messengers_are_closed_when_they_are_asked_for() {
    let asked = Request {
        services: vec!["teamspeak".to_owned(), "whatsapp".to_owned()],
        profile: Profile::Full,
        ..request()
    };
    let plan = plan(&asked);
    assert_eq!(
        entries(&plan),
        [
            "TCP 30033: teamspeak/files",
            "UDP 8767: teamspeak/voice-2",
            "UDP 9987: teamspeak/voice"
        ],
        "what others share stays open"
    );
    let hosts: Vec<&str> = plan.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["*.whatsapp.net", "web.whatsapp.com"]);
    assert!(plan.limits.iter().any(|limit| limit.contains("DoH")));

    // A feature asks for its messenger as well; nothing else brings one in.
    let feature = Request {
        profile: Profile::Full,
        ..features(&["teamspeak:voice"])
    };
    assert_eq!(
        entries(&self::plan(&feature)),
        ["UDP 8767: teamspeak/voice-2", "UDP 9987: teamspeak/voice"]
    );
    let full = Request {
        profile: Profile::Full,
        ..request()
    };
    let four = self::plan(&full);
    let ids: Vec<&str> = four
        .messengers
        .iter()
        .map(|(service, _)| service.id())
        .collect();
    assert_eq!(ids, ["aim", "icq", "msn", "yahoo"]);
}

#[test]
fn a_wrong_selection_says_what_there_is() {
    let rules = RuleSet::builtin().unwrap();
    let error = |request: &Request| Plan::new(&rules, request).unwrap_err().to_string();
    let service = Request {
        services: vec!["talk".to_owned()],
        ..request()
    };
    let none = "there is no messenger `talk`; the rule files know: aim, icq, msn, yahoo, ";
    assert!(error(&service).starts_with(none));
    assert!(error(&features(&["talk:session"])).starts_with(none));
    let feature = error(&features(&["aim:webcam"]));
    assert!(
        feature.starts_with("there is no feature `aim:webcam` here")
            && feature.contains("yahoo: session, voice, webcam"),
        "{feature}"
    );
    let aim = Request {
        services: vec!["aim".to_owned()],
        ..features(&["msn:session"])
    };
    assert_eq!(
        error(&aim),
        "`msn:session` asks for msn, but the services asked for are: aim"
    );
    let aim = Request {
        services: vec!["aim".to_owned()],
        ..features(&["webcam"])
    };
    assert!(error(&aim).contains("there is no feature `webcam` here"));
    assert!(matches!(
        Plan::new(&rules, &Request::default()),
        Err(PlanError::NoHook)
    ));
}

#[test]
fn a_rule_file_that_closes_everybodys_ports_is_refused() {
    for (port, why) in [
        ("80", "port 80 carries the web"),
        ("443", "port 443 carries the web"),
        ("53", "port 53 carries name resolution (DNS)"),
        ("22", "port 22 carries remote administration (SSH)"),
        ("\"70-90\"", "port 80 carries the web"),
        (
            "\"1024-65535\"",
            "64512 ports at once take in other people's traffic",
        ),
    ] {
        let rules = custom("chat", &[("session", "7000", SITE), ("web", port, SITE)]);
        let error = Plan::new(&rules, &request()).unwrap_err();
        assert!(matches!(error, PlanError::Unsafe(_)));
        let text = error.to_string();
        assert!(
            text.contains("chat.toml:13:6: refusing to close chat/web"),
            "{text}"
        );
        assert!(text.contains(why), "{text}");
    }
    let shared = format!("{SITE}\nshared_with = \"the web\"");
    let rules = custom("chat", &[("session", "7000", SITE), ("web", "80", &shared)]);
    let plan = Plan::new(&rules, &request()).unwrap();
    assert_eq!(entries(&plan), ["TCP 7000: chat/session"]);
    let text = render(&plan, Target::Nftables);
    assert!(
        text.contains("#   - chat/web: TCP 80 (site) is shared with the web"),
        "{text}"
    );
}

#[test]
fn a_sites_own_ports_belong_to_every_profile() {
    let vendor = SITE.replace("site", "vendor");
    let rules = custom("chat", &[("a", "7000", SITE), ("b", "7001", &vendor)]);
    let both = |profile| {
        entries(
            &Plan::new(
                &rules,
                &Request {
                    profile,
                    ..request()
                },
            )
            .unwrap(),
        )
    };
    assert_eq!(both(Profile::Document), ["TCP 7000: chat/a"]);
    assert_eq!(
        both(Profile::Full),
        ["TCP 7000: chat/a", "TCP 7001: chat/b"]
    );
}

#[test]
fn order_and_repetition_in_a_request_change_nothing() {
    let a = Request {
        services: vec!["yahoo".to_owned(), "aim".to_owned(), "aim".to_owned()],
        hooks: vec![Hook::Input, Hook::Forward, Hook::Input],
        ..Request::default()
    };
    let b = Request {
        services: vec!["aim".to_owned(), "yahoo".to_owned()],
        hooks: vec![Hook::Forward, Hook::Input],
        ..Request::default()
    };
    for target in TARGETS {
        assert_eq!(render(&plan(&a), target), render(&plan(&b), target));
    }
}

/// Everything that can be asked for at once, from a rule file with more of everything.
fn large() -> Plan {
    let ports: Vec<_> = (0_u16..40)
        .map(|n| {
            (
                format!("a-rather-long-name-{n}"),
                (7000 + 2 * n).to_string(),
            )
        })
        .collect();
    let ports: Vec<_> = ports
        .iter()
        .map(|(id, port)| (id.as_str(), port.as_str(), SITE))
        .collect();
    let rules = custom("a-long-id-here", &ports);
    let hooks = vec![Hook::Forward, Hook::Output, Hook::Input];
    Plan::new(
        &rules,
        &Request {
            hooks,
            action: Action::Drop,
            ..request()
        },
    )
    .unwrap()
}

#[test]
fn the_limits_of_the_firewalls_are_kept() {
    for plan in [
        large(),
        plan(&Request {
            profile: Profile::Full,
            ..request()
        }),
    ] {
        for target in TARGETS {
            for line in render(&plan, target).lines() {
                let comment = |mark: &str| {
                    let rest = line.split_once(mark).map(|(_, rest)| rest);
                    rest.and_then(|rest| rest.split('"').next())
                        .map_or(0, str::len)
                };
                assert!(comment("--comment \"") <= 255, "{line}");
                if target == Target::Nftables {
                    assert!(comment(" comment \"") <= 128, "{line}");
                }
                if let Some((_, ports)) = line.split_once("--dports ") {
                    let list = ports.split(' ').next().unwrap_or_default();
                    assert!(list.split([',', ':']).count() <= 15, "{line}");
                }
                if let Some(name) = line.strip_prefix(':') {
                    let name = name.split(' ').next().unwrap_or_default();
                    assert!(name.len() <= 28, "{line}");
                }
            }
        }
    }
}

#[test]
fn every_rule_says_what_it_is_for() {
    let text = render(&plan(&request()), Target::Nftables);
    let verdicts = [" accept", " reject", " drop", " goto ", "jump ", " vmap "];
    let rules: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("\t\t") && !line.contains("policy accept"))
        .filter(|line| verdicts.iter().any(|verdict| line.contains(verdict)))
        .collect();
    assert!(rules.len() > 20, "{rules:?}");
    for rule in rules {
        assert!(rule.contains(" comment \""), "{rule}");
    }
    let text = render(&plan(&request()), Target::Ip6tables);
    for rule in text
        .lines()
        .filter(|line| line.starts_with("-A ") || line.starts_with("-I "))
    {
        assert!(rule.contains("--comment \""), "{rule}");
    }
}

#[test]
fn both_families_have_the_same_rules() {
    let plan = plan(&Request {
        profile: Profile::Full,
        ..request()
    });
    let rules = |target| -> Vec<String> {
        let text = render(&plan, target);
        let rules = text.lines().filter(|line| !line.starts_with('#'));
        rules
            .map(|line| line.replace("icmp6-port-unreachable", "icmp-port-unreachable"))
            .collect()
    };
    assert_eq!(rules(Target::Iptables), rules(Target::Ip6tables));
}

#[test]
fn chains_that_would_be_called_alike_are_numbered() {
    let dir = tempfile::tempdir().unwrap();
    for (id, port) in [("a", "7000"), ("b", "7000"), ("a-b", "7001")] {
        let text = format!(
            "id = \"{id}\"\nname = \"Chat\"\nabout = \"A chat.\"\n\n[[port]]\nid = \"{id}/session\"\nport = {port}\n{SITE}\n"
        );
        std::fs::write(dir.path().join(format!("{id}.toml")), text).unwrap();
    }
    let plan = Plan::new(&RuleSet::load_dir(dir.path()).unwrap(), &request()).unwrap();
    let text = render(&plan, Target::Nftables);
    assert!(
        text.contains("chain f_a_b_session {") && text.contains("chain f_a_b_session_2 {"),
        "{text}"
    );
    let text = render(&plan, Target::Iptables);
    assert!(
        text.contains(":IMW-A-B-SESSION -") && text.contains(":IMW-A-B-SESSION-2 -"),
        "{text}"
    );
}
