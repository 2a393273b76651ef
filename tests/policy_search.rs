//! What iptables searches for, wherever it stands: names in TLS hellos, and messengers in the body of HTTP requests. Packet by
//! packet through three kernels' firewalls, with what only looks alike; nftables, which cannot search, lets all of it pass and
//! says so.
//!
//! The test starts itself again inside a private network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
#[path = "policy_support/hello.rs"]
mod hello;
mod policy_support;
#[path = "policy_support/talk.rs"]
mod talk;

use hello::{Hello, USUAL};
use imwarden::model::{Direction, Endpoint, Transport};
use imwarden::policy::prove::{Backend, Lab, Refusal};
use imwarden::policy::{
    Action, Attempt, Can, CustomRule, Decision, Matching, Place, Plan, Profile, Request, Target,
    capabilities, closes_nothing, render,
};
use imwarden::ruleset::PortRange;
use std::collections::BTreeSet;
use talk::{Loaded, forward, plan};

const INSIDE: &str = "IMWARDEN_SEARCH";

const BY_HELLO: Matching = Matching {
    ports: false,
    names: false,
    signatures: false,
    sni: true,
};

fn own(id: &str, place: Place, ports: Option<(Transport, u16)>) -> CustomRule {
    CustomRule {
        id: id.to_owned(),
        place,
        ports: ports.map(|(transport, port)| (transport, PortRange::new(port, port).unwrap())),
        reason: "the test says so".to_owned(),
        until: None,
    }
}

fn for_hello(name: &str) -> Place {
    let (name, below) = name
        .strip_prefix("*.")
        .map_or((name, false), |it| (it, true));
    Place::Hello {
        name: name.to_owned(),
        below,
    }
}

/// A name of so many characters.
fn long(length: usize) -> String {
    let labels = format!("{}.", "l".repeat(40)).repeat(2);
    format!("{labels}{}", "n".repeat(length - labels.len()))
}

/// Signal's names, and some of one's own.
fn names() -> Plan {
    let plain = |name: &str| Place::Name {
        name: name.to_owned(),
        below: false,
    };
    plan(&Request {
        services: vec!["signal".to_owned(), "slack".to_owned()],
        profile: Profile::Full,
        matching: BY_HELLO,
        rules: vec![
            own("chat", for_hello("*.chat.example.com"), None),
            own(
                "talk",
                for_hello("talk.example.net"),
                Some((Transport::Tcp, 8443)),
            ),
            own("old", plain("old.example.org"), None),
            own("udp", plain("udp.example.org"), Some((Transport::Udp, 443))),
            own("long", for_hello(&long(119)), None),
            own("longer", for_hello(&long(120)), None),
        ],
        ..forward()
    })
}

/// What a connection comes to that says this behind something else.
struct Opens<'a> {
    six: bool,
    port: u16,
    before: &'a [u8],
    said: &'a [u8],
}

impl Opens<'_> {
    /// Everything of it is refused from there on, and the client is told; the plan says the same.
    fn is_refused(&self, it: &mut Loaded<'_>, what: &str) {
        let mut flow = it.open(self.six, self.port);
        if !self.before.is_empty() {
            assert!(
                it.say(&mut flow, Direction::ToServer, None, self.before),
                "{what}"
            );
        }
        assert!(
            !it.say(&mut flow, Direction::ToServer, None, self.said),
            "{what}: it passes"
        );
        assert_eq!(it.lab.refusal().unwrap(), Refusal::Reset, "{what}");
        it.is_over(&mut flow, what);
        let decision = it.decides(&flow, self.said, b"");
        assert!(
            matches!(decision, Decision::RefusedByPayload(_)),
            "{what}: {decision}"
        );
    }

    /// Nothing of it is.
    fn passes(&self, it: &mut Loaded<'_>, what: &str) {
        let mut flow = it.open(self.six, self.port);
        for part in [self.before, self.said, b"more"] {
            assert!(
                part.is_empty() || it.say(&mut flow, Direction::ToServer, None, part),
                "{what}: it is refused"
            );
        }
        assert!(
            it.say(&mut flow, Direction::ToClient, None, b"more"),
            "{what}"
        );
        assert_eq!(
            it.decides(&flow, self.said, b""),
            Decision::Passes,
            "{what}"
        );
    }
}

/// Every extension that a name was seen before in today's clients; what GREASE makes up is among them.
fn followers() -> Vec<u16> {
    let mut all = vec![
        0x0005, 0x000B, 0x0017, 0x0023, 0x002B, 0xFF01, 0xFE0D, 0x4469, 0x44CD,
    ];
    all.extend((0..16).map(|high| 0x1010 * high + 0x0A0A));
    all
}

/// Hellos as OpenSSL and as Chromium make them.
fn forms(name: &str) -> Vec<Vec<u8>> {
    let mut all = vec![Hello::to(name), Hello::to(&name.to_ascii_uppercase())];
    let chromium = Hello {
        name: Some(name),
        before: &[0x2A2A, 0x0033, 0x0010],
        ..Hello::default()
    };
    all.push(chromium.bytes());
    // Without a session id the extensions begin where they begin at the earliest but for one suite.
    all.push(
        Hello {
            session: 0,
            ..chromium
        }
        .bytes(),
    );
    all
}

fn hellos(lab: &mut Lab, backend: Backend) {
    let plan = names();
    let searches = backend != Backend::Nftables;
    let mut it = Loaded::new(lab, backend, &plan);
    let mut refused = 0;
    let mut ask = |it: &mut Loaded<'_>, port, said: &[u8], what: &str| {
        for six in [false, true] {
            let what = format!("{} {what} at {port}, IPv6 {six}", backend.name());
            for before in [&b""[..], b"<starttls/>"] {
                let said = Opens {
                    six,
                    port,
                    before,
                    said,
                };
                if searches {
                    said.is_refused(it, &what);
                    refused += 3;
                } else {
                    said.passes(it, &what);
                }
            }
        }
    };
    let hosts: BTreeSet<(String, u16)> = plan
        .sni
        .iter()
        .flat_map(|group| {
            let port = group.ports.map_or(443, |(_, range)| range.first());
            group
                .names
                .iter()
                .map(move |host| (host.name.clone(), port))
        })
        .filter(|(name, _)| name.len() < 120)
        .collect();
    let spared: Vec<&str> = plan.spared.iter().map(String::as_str).collect();
    assert!(spared.contains(&"www.slack.com"), "{spared:?}");
    assert!(hosts.len() > 12, "{hosts:?}");
    for (host, port) in &hosts {
        let name = host.trim_start_matches("*.");
        let mut all = if spared.contains(&name) {
            Vec::new()
        } else {
            forms(name)
        };
        if host.starts_with("*.") {
            all.extend(forms(&format!("a.b-2.{name}")));
        }
        for said in all {
            ask(&mut it, *port, &said, host);
        }
    }
    for number in followers() {
        let said = Hello {
            name: Some("edge.chat.example.com"),
            before: &[0x3A3A],
            behind: &[number, 0x0010],
            ..Hello::default()
        };
        ask(
            &mut it,
            5222,
            &said.bytes(),
            &format!("{number:#06x} behind it"),
        );
    }
    let last = |name| {
        Hello {
            name: Some(name),
            before: &USUAL,
            behind: &[],
            ..Hello::default()
        }
        .bytes()
    };
    // A whole name is known whatever follows; the end of one only before something.
    ask(
        &mut it,
        443,
        &last("chat.example.com"),
        "the last extension",
    );
    let whole = Hello::to("edge.chat.example.com");
    let at = whole.windows(5).position(|part| part == b"edge.").unwrap();
    // Cut behind the name and its follower it is known by the first segment.
    ask(&mut it, 443, &whole[..at + 23], "cut behind the name");
    let early = Hello {
        name: Some("www.example.com"),
        random: b"\0\0\0\x15\0\x13\0\0\x10chat.example.com",
        session: 0,
        ..Hello::default()
    };
    let mut other = whole.clone();
    other[0] = 0x17;
    let mut servers = whole.clone();
    servers[5] = 2;
    let mut passes: Vec<(u16, Vec<u8>, &str)> = vec![
        (443, last("edge.chat.example.com"), "the last, below a name"),
        (443, Hello::default().bytes(), "no name"),
        (443, early.bytes(), "the name is in the random number"),
        (443, other, "another record"),
        (443, servers, "a server's hello"),
        (443, Hello::to("talk.example.net"), "another port"),
        (443, Hello::to("udp.example.org"), "a name of UDP's"),
        (443, Hello::to(&long(120)), "too long a name"),
        (
            80,
            b"GET / HTTP/1.1\r\nHost: chat.signal.org\r\n\r\n".to_vec(),
            "HTTP",
        ),
        (
            25,
            b"edge.chat.example.com\0 is what we talk of".to_vec(),
            "text",
        ),
    ];
    for name in [
        "notchat.signal.org",
        "chat.signal.org.example.com",
        "chat.signal.orga",
        "xchat.example.com",
        "edge.xchat.example.com",
        "edge.chat.example.community",
        "edge.chat.example.com.example.net",
        "edge.chat.example.com-2.example.net",
        "example.com",
        "my.old.example.org",
    ] {
        passes.push((443, Hello::to(name), name));
    }
    passes.extend(spared.iter().map(|name| (443, Hello::to(name), *name)));
    for (port, said, what) in &passes {
        for six in [false, true] {
            let what = format!("{} {what}, IPv6 {six}", backend.name());
            let (port, before) = (*port, &b""[..]);
            Opens {
                six,
                port,
                before,
                said,
            }
            .passes(&mut it, &what);
        }
    }
    for cut in [2, 30, at + 3] {
        let (before, said) = whole.split_at(cut);
        let (six, port) = (false, 443);
        Opens {
            six,
            port,
            before,
            said,
        }
        .passes(&mut it, &format!("cut at {cut}"));
    }
    // A server that says so asks for nobody; and only beginnings are looked at.
    let mut flow = it.open(false, 443);
    assert!(it.say(&mut flow, Direction::ToClient, None, &whole));
    let mut flow = it.open(false, 443);
    for _ in 0..11 {
        assert!(it.say(&mut flow, Direction::ToServer, None, b"x"));
    }
    assert!(
        it.say(&mut flow, Direction::ToServer, None, &whole),
        "the thirteenth"
    );
    let counted: u64 = it.firewall.counters().unwrap().values().sum();
    assert_eq!(counted, refused, "{}: each refusal once", backend.name());
}

/// Counted and logged once, whatever name it is.
fn looks(lab: &mut Lab, backend: Backend) {
    let plan = plan(&Request {
        action: Action::Log,
        profile: Profile::None,
        matching: BY_HELLO,
        rules: vec![
            own("chat", for_hello("*.chat.example.com"), None),
            own("edge", for_hello("edge.chat.example.com"), None),
        ],
        ..forward()
    });
    // The one takes in the other.
    assert_eq!(plan.sni.len(), 1, "{:?}", plan.sni);
    assert!(
        plan.shadowed[0].to_string().starts_with("edge "),
        "{}",
        plan.shadowed[0]
    );
    let mut it = Loaded::new(lab, backend, &plan);
    for name in ["chat.example.com", "edge.chat.example.com"] {
        let mut flow = it.open(false, 443);
        let said = Hello::to(name);
        for part in [&said[..], b"more"] {
            assert!(it.say(&mut flow, Direction::ToServer, None, part), "{name}");
        }
        let decision = it.decides(&flow, &said, b"");
        assert_eq!(
            matches!(decision, Decision::Logged(_)),
            backend != Backend::Nftables,
            "{decision}"
        );
    }
    let counted: u64 = it.firewall.counters().unwrap().values().sum();
    assert_eq!(counted, if backend == Backend::Nftables { 0 } else { 2 });
}

/// Yahoo! and MSN as they post themselves.
fn requests(lab: &mut Lab, backend: Backend) {
    let plan = plan(&Request {
        profile: Profile::None,
        matching: Matching {
            ports: false,
            names: false,
            signatures: true,
            sni: false,
        },
        ..forward()
    });
    let mut it = Loaded::new(lab, backend, &plan);
    let post = |head: &str, body: &[u8]| {
        let head = format!("{head} HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 9\r\n\r\n");
        [head.as_bytes(), body].concat()
    };
    let yahoo = "POST http://www.example.com/notify";
    let msn = "POST http://www.example.com/gateway/gateway.dll?Action=open";
    let mut carried = vec![
        (msn, b"VER 1 MSNP8 CVR0\r\n".to_vec()),
        (msn, b"VER 42 MSNP12\r\n".to_vec()),
    ];
    for version in [&b"\x00\x0c"[..], b"\x08\x00", b"\x09\x00", b"\x0a\x00"] {
        carried.push((yahoo, [b"YMSG", version, b"\xc8\x00\x00"].concat()));
    }
    for (head, body) in &carried {
        for (six, port) in [(false, 80), (true, 8080)] {
            let what = format!("{} {head} {body:02x?}, IPv6 {six}", backend.name());
            let said = &post(head, body)[..];
            let whole = Opens {
                six,
                port,
                before: b"",
                said,
            };
            if backend == Backend::Nftables {
                whole.passes(&mut it, &what);
            } else {
                whole.is_refused(&mut it, &what);
            }
            // A body that begins a segment is known by itself.
            let (before, said) = said.split_at(said.len() - body.len());
            Opens {
                six,
                port,
                before,
                said,
            }
            .is_refused(&mut it, &what);
        }
    }
    for (what, said) in [
        ("no request", [b"\r\n\r\n", &carried[2].1[..]].concat()),
        (
            "a question",
            post("GET http://www.example.com/notify", &carried[2].1),
        ),
        ("in the middle of the body", post(yahoo, b"xYMSG\0\x0c\0\0")),
        ("in its address", post("POST /YMSG", b"YMS")),
        ("another VER", post(msn, b"VER 1.0 of it\r\n")),
        ("cut in the body", post(yahoo, b"YMS")),
    ] {
        for six in [false, true] {
            let what = format!("{} {what}", backend.name());
            Opens {
                six,
                port: 80,
                before: b"",
                said: &said,
            }
            .passes(&mut it, &what);
        }
    }
    // What a server answers is no request.
    let mut flow = it.open(false, 80);
    let answer = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &carried[2].1].concat();
    assert!(it.say(&mut flow, Direction::ToClient, None, &answer));
}

#[test]
#[ignore = "the inside of the tests below; they start it themselves"]
fn inside_the_network() {
    let Some((backend, part)) = again::role(INSIDE) else {
        return;
    };
    let mut lab = Lab::new().unwrap();
    match part.as_str() {
        "hellos" => hellos(&mut lab, backend),
        "looks" => looks(&mut lab, backend),
        "requests" => requests(&mut lab, backend),
        _ => panic!("{part}"),
    }
}

#[test]
fn a_hello_is_refused_for_its_name_on_any_port_and_none_for_a_name_alike() {
    again::on_each_firewall("inside_the_network", INSIDE, "hellos", &[]);
}

#[test]
fn a_hello_that_is_only_looked_at_is_counted_once() {
    again::on_each_firewall("inside_the_network", INSIDE, "looks", &[]);
}

#[test]
fn a_messenger_in_a_request_is_refused_and_none_that_is_only_spoken_of() {
    again::on_each_firewall("inside_the_network", INSIDE, "requests", &[]);
}

#[test]
fn what_each_target_makes_of_a_hello_is_said() {
    let plan = names();
    for target in Target::ALL {
        let all = capabilities(&plan, target);
        let of = |name: &str| {
            let what = format!("TLS to {name} ");
            let mut all = all.iter().filter(|it| it.what.starts_with(&what));
            let one = all.next().unwrap();
            assert!(all.next().is_none() && one.closes, "{name}");
            one.can
        };
        for name in ["*.chat.example.com", "talk.example.net", "chat.signal.org"] {
            let can = of(name);
            let right = match target {
                Target::Suricata => can == Can::Exact,
                Target::Iptables | Target::Ip6tables | Target::IptablesScript | Target::Squid => {
                    matches!(can, Can::Weaker(_))
                }
                _ => matches!(can, Can::Impossible(_)),
            };
            assert!(right, "{target:?} {name}: {can:?}");
        }
        if [Target::Iptables, Target::Ip6tables, Target::IptablesScript].contains(&target) {
            assert!(matches!(of(&long(119)), Can::Weaker(_)));
            assert!(matches!(of(&long(120)), Can::Impossible(_)));
        }
    }
    let bare = Plan {
        names: Vec::new(),
        ..plan.clone()
    };
    assert!(closes_nothing(&bare, Target::Nftables));
    assert!(!closes_nothing(&plan, Target::IptablesScript));
    // What serves others too is nobody's name: none of it is looked for.
    let rules = imwarden::ruleset::RuleSet::builtin().unwrap();
    let all = Request {
        services: rules
            .messengers()
            .iter()
            .map(|it| it.service.id().to_owned())
            .collect(),
        profile: Profile::Full,
        matching: BY_HELLO,
        ..forward()
    };
    let plan = Plan::new(&rules, &all).unwrap();
    let decides = |name: &str| {
        let attempt = Attempt {
            transport: Transport::Tcp,
            client: Endpoint::new([10, 0, 0, 5].into(), 50_000),
            server: Endpoint::new([192, 0, 2, 9].into(), 443),
            payload: Hello::to(name),
            extended: false,
        };
        plan.decide(&attempt, Target::IptablesScript)
    };
    // A whole domain below it is another product's: it has no end of its own that could be let pass.
    let mut said = plan.notes.iter().filter(|it| it.contains("are let pass"));
    let left_open = said.next().and_then(|note| {
        let (_, rest) = note.split_once("TLS hellos for *")?;
        Some(rest.split_once(" are let pass")?.0)
    });
    assert_eq!(left_open, Some(".weixin.qq.com"));
    assert_eq!(said.next(), None);
    let (mut shared, mut own) = (0, 0);
    for host in rules.messengers().iter().flat_map(|it| &it.hosts) {
        for name in [host.name.clone(), format!("x.{}", host.name)] {
            if left_open.is_some_and(|end| name.ends_with(end)) {
                continue;
            }
            if rules.host(&name).is_some() {
                assert!(!decides(&name).passes(), "{name}");
                own += 1;
            } else {
                assert!(decides(&name).passes(), "{name}: {}", decides(&name));
                shared += u32::from(rules.is_shared_host(&name));
            }
        }
    }
    assert!(own > 150 && shared > 50, "{own} {shared}");
    // A rule of one's own for such a host, by force, is meant.
    let forced = Request {
        rules: vec![own_rule_for_all_of_slack()],
        force: true,
        ..all
    };
    let forced = Plan::new(&rules, &forced).unwrap();
    let sni = forced.sni.iter().find(|group| group.custom).unwrap();
    assert_eq!(sni.names[0].name, "*.slack.com");
    let text = render(&forced, Target::IptablesScript);
    assert!(!text.contains("www.slack.com serves others too"));
    assert!(text.contains("www.zoom.us serves others too"));
}

fn own_rule_for_all_of_slack() -> CustomRule {
    own("all-of-it", for_hello("*.slack.com"), None)
}
