//! Rules by what is said, by name, by interface and of one's own, packet by packet through three kernels' firewalls: what the
//! plan's own judgement says happens, to the whole connection and to nobody else's.
//!
//! The test starts itself again inside a private network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
mod policy_support;
#[path = "policy_support/talk.rs"]
mod talk;

use imwarden::model::{Direction, Endpoint, Transport};
use imwarden::policy::prove::{Backend, Firewall, Lab, Refusal, Rules};
use imwarden::policy::{
    Action, CustomRule, Decision, Interfaces, Mark, Matching, Place, Profile, Request,
    Surroundings, Target, render,
};
use imwarden::ruleset::{PortRange, Speaker};
use policy_support::{can_run, path};
use std::process::{Command, Stdio};
use talk::{Conversation, Loaded, forward, opens, plan};

const INSIDE: &str = "IMWARDEN_CONTENT";

/// Bytes that a pattern is about, with something else where it leaves that open, and something behind.
fn example(pieces: &[(u16, Vec<u8>)], fill: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, piece) in pieces {
        bytes.resize(usize::from(*at), fill);
        bytes.extend(piece);
    }
    bytes.extend(b"\x07 and more");
    bytes
}

/// Every signature of every messenger, on ports of others, over both families.
fn signatures(lab: &mut Lab, backend: Backend) {
    let plan = plan(&Request {
        matching: Matching {
            ports: true,
            names: false,
            signatures: true,
            sni: false,
        },
        ..forward()
    });
    let mut it = Loaded::new(lab, backend, &plan);
    let all: Vec<_> = plan
        .signatures
        .iter()
        .flat_map(|group| &group.signatures)
        .collect();
    assert!(all.len() > 15, "{}", all.len());
    let mut refused = 0;
    for (number, signature) in all.iter().enumerate() {
        let port = [80, 443, 23, 9999][number % 4];
        let says = match signature.speaker {
            Speaker::Client => Direction::ToServer,
            Speaker::Server => Direction::ToClient,
        };
        for six in [false, true] {
            let what = format!(
                "{} {} over {port}, IPv6 {six}",
                backend.name(),
                signature.owners[0].id
            );
            let said = example(&signature.opening.pieces, 0x35);
            // At once, and behind something else that was said.
            for before in [&b""[..], b"hello\r\n"] {
                let mut flow = it.open(six, port);
                if !before.is_empty() {
                    assert!(it.say(&mut flow, says, None, before), "{what}");
                }
                assert!(!it.say(&mut flow, says, None, &said), "{what}: it passes");
                if says == Direction::ToServer {
                    assert_eq!(it.lab.refusal().unwrap(), Refusal::Reset, "{what}");
                }
                refused += 3;
                it.is_over(&mut flow, &what);
                let decision = match signature.speaker {
                    Speaker::Client => it.decides(&flow, &said, b""),
                    Speaker::Server => it.decides(&flow, b"", &said),
                };
                assert!(
                    matches!(decision, Decision::RefusedByPayload(_)),
                    "{what}: {decision}"
                );
            }
            // Each fixed byte matters; and it must be at the beginning.
            let mut baits: Vec<Vec<u8>> = signature
                .opening
                .pieces
                .iter()
                .flat_map(|(at, piece)| (0..piece.len()).map(move |n| usize::from(*at) + n))
                .map(|at| {
                    let mut bait = said.clone();
                    bait[at] ^= 0x80;
                    bait
                })
                .collect();
            baits.push([b"x", &said[..]].concat());
            for bait in &baits {
                let mut flow = it.open(six, port);
                assert!(
                    it.say(&mut flow, says, None, bait),
                    "{what}: {bait:02x?} is refused"
                );
                assert!(
                    it.say(&mut flow, Direction::ToServer, None, b"more"),
                    "{what}"
                );
                assert!(
                    it.say(&mut flow, Direction::ToClient, None, b"more"),
                    "{what}"
                );
                let decision = match signature.speaker {
                    Speaker::Client => it.decides(&flow, bait, b""),
                    Speaker::Server => it.decides(&flow, b"", bait),
                };
                assert_eq!(decision, Decision::Passes, "{what}");
            }
            // Cut in two it passes, as the capabilities say.
            let mut flow = it.open(six, port);
            assert!(it.say(&mut flow, says, None, &said[..2]), "{what}");
            assert!(it.say(&mut flow, says, None, &said[2..]), "{what}");
        }
    }
    // Only beginnings are looked at: a dozen packets of whoever speaks.
    let said = example(
        &all.iter()
            .find(|it| it.speaker == Speaker::Client)
            .unwrap()
            .opening
            .pieces,
        0,
    );
    let mut flow = it.open(false, 80);
    for _ in 0..11 {
        assert!(it.say(&mut flow, Direction::ToServer, None, b"x"));
    }
    assert!(
        it.say(&mut flow, Direction::ToServer, None, &said),
        "the thirteenth"
    );
    // Ports are closed beside it.
    let mut flow = Conversation {
        client: flow.client,
        server: Endpoint::new(flow.server.ip, 5190),
        sent: [1, 1],
    };
    assert!(!it.say(&mut flow, Direction::ToServer, Some(true), b""));
    let counted: u64 = it.firewall.counters().unwrap().values().sum();
    assert_eq!(
        counted,
        refused + 1,
        "{}: each refusal once",
        backend.name()
    );
}

/// Others' bits of the mark stay, and the byte is the one that was chosen.
fn marks(lab: &mut Lab, backend: Backend) {
    let others = "table inet others {\n chain f {\n  type filter hook forward priority filter - 20; policy accept;\n  ct mark 0 ct mark set 0x12000034\n }\n}\n";
    let load = |text: &str| {
        let mut nft = Command::new("nft")
            .args(["-f", "/dev/stdin"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut nft.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(nft.wait().unwrap().success());
    };
    load(others);
    for (mark, expected) in [
        ("0x490000/0xff0000", 0x1249_0034_u32),
        ("0x5500/0xff00", 0x1200_5534),
    ] {
        let plan = plan(&Request {
            services: vec!["yahoo".to_owned()],
            profile: Profile::None,
            matching: Matching {
                ports: false,
                names: false,
                signatures: true,
                sni: false,
            },
            mark: mark.parse::<Mark>().unwrap(),
            ..forward()
        });
        let mut it = Loaded::new(lab, backend, &plan);
        let mut flow = it.open(false, 8080);
        // No two of them are the same connection.
        flow.client.port += u16::try_from(expected & 0xfff).unwrap();
        assert!(it.say(&mut flow, Direction::ToServer, Some(true), b""));
        assert!(it.say(&mut flow, Direction::ToClient, Some(true), b""));
        assert!(!it.say(&mut flow, Direction::ToServer, None, b"YMSG\0\x0c\0\0"));
        let list = Command::new("conntrack")
            .args(["-L", "-p", "tcp", "--sport", &flow.client.port.to_string()])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(
            text.contains(&format!("mark={expected} ")),
            "{} {mark}: {text}",
            backend.name()
        );
    }
    load("delete table inet others\n");
}

/// Rules of one's own: a network, a host and a port, a port.
fn own_rules(lab: &mut Lab, backend: Backend) {
    let rule = |id: &str, place, ports: Option<(Transport, u16, u16)>| CustomRule {
        id: id.to_owned(),
        place,
        ports: ports
            .map(|(transport, first, last)| (transport, PortRange::new(first, last).unwrap())),
        reason: "the test says so".to_owned(),
        until: None,
    };
    let net = |text: &str| Place::Net(text.parse().unwrap());
    let plan = plan(&Request {
        profile: Profile::None,
        rules: vec![
            rule("net", net("198.51.100.16/28"), None),
            rule(
                "host",
                net("198.51.100.40/32"),
                Some((Transport::Tcp, 7000, 7010)),
            ),
            rule(
                "six",
                net("2001:db8:2::40/128"),
                Some((Transport::Udp, 443, 443)),
            ),
            rule("port", Place::Anywhere, Some((Transport::Tcp, 8444, 8444))),
        ],
        exceptions: vec!["198.51.100.20/32".parse().unwrap()],
        ..forward()
    });
    let mut it = Loaded::new(lab, backend, &plan);
    let nowhere = Surroundings::default();
    for (to, transport, expected) in [
        ("198.51.100.16:1", Transport::Tcp, false),
        ("198.51.100.31:65535", Transport::Udp, false),
        ("198.51.100.15:80", Transport::Tcp, true),
        ("198.51.100.32:80", Transport::Tcp, true),
        ("198.51.100.20:80", Transport::Tcp, true),
        ("198.51.100.40:7000", Transport::Tcp, false),
        ("198.51.100.40:7010", Transport::Tcp, false),
        ("198.51.100.40:7011", Transport::Tcp, true),
        ("198.51.100.40:7000", Transport::Udp, true),
        ("198.51.100.41:7000", Transport::Tcp, true),
        ("[2001:db8:2::40]:443", Transport::Udp, false),
        ("[2001:db8:2::40]:443", Transport::Tcp, true),
        ("[2001:db8:2::41]:443", Transport::Udp, true),
        ("198.51.100.41:8444", Transport::Tcp, false),
        ("[2001:db8:2::41]:8444", Transport::Tcp, false),
        ("[2001:db8:2::41]:8445", Transport::Tcp, true),
        ("198.51.100.41:8444", Transport::Udp, true),
        ("198.51.100.41:5190", Transport::Tcp, true),
    ] {
        assert_eq!(
            opens(&mut it, to, transport, &nowhere),
            expected,
            "{} {to}",
            backend.name()
        );
    }
}

/// `c1` is where the lab's clients come in, `s1` where they go out.
fn interfaces(lab: &mut Lab, backend: Backend) {
    for (ways, expected) in [
        ("in:c1", false),
        ("out:s1", false),
        ("in:c1 out:s1", false),
        ("in:eth7 in:c1", false),
        ("in:s1", true),
        ("out:c1", true),
        ("in:c1 out:c1", true),
        ("in:s1 out:s1", true),
    ] {
        let mut interfaces = Interfaces::default();
        for way in ways.split(' ') {
            interfaces.add(way).unwrap();
        }
        let plan = plan(&Request {
            interfaces,
            matching: Matching {
                ports: true,
                names: false,
                signatures: true,
                sni: false,
            },
            ..forward()
        });
        let mut it = Loaded::new(lab, backend, &plan);
        // Other policies' connections are not remembered under these.
        it.next += 1_000 * u16::try_from(ways.len()).unwrap() + u16::from(ways.as_bytes()[3]);
        let around = Surroundings {
            incoming: Some("c1".to_owned()),
            outgoing: Some("s1".to_owned()),
            ..Surroundings::default()
        };
        for to in ["198.51.100.9:5190", "[2001:db8:2::9]:1863"] {
            assert_eq!(
                opens(&mut it, to, Transport::Tcp, &around),
                expected,
                "{} {ways} {to}",
                backend.name()
            );
        }
        // The way back is the other way round: a greeting, and what is said once it was recognised.
        let mut flow = it.open(false, 9999);
        let greeting = b"\x2a\x01\x00\x01\x00\x04\x00\x00\x00\x01";
        let passes = it.say(&mut flow, Direction::ToClient, None, greeting);
        assert_eq!(passes, expected, "{} {ways}", backend.name());
        let passes = it.say(&mut flow, Direction::ToClient, None, b"more");
        assert_eq!(passes, expected, "{} {ways}", backend.name());
    }
}

/// Sets that a resolver fills; here by hand.
fn names(lab: &mut Lab, backend: Backend) {
    let plan = plan(&Request {
        services: vec!["yahoo".to_owned()],
        rules: vec![CustomRule {
            id: "chat".to_owned(),
            place: Place::Name {
                name: "chat.example.com".to_owned(),
                below: false,
            },
            ports: Some((Transport::Tcp, PortRange::new(7000, 7000).unwrap())),
            reason: "the test says so".to_owned(),
            until: None,
        }],
        matching: Matching {
            ports: true,
            names: true,
            signatures: false,
            sni: false,
        },
        ..forward()
    });
    let mut it = Loaded::new(lab, backend, &plan);
    let nowhere = Surroundings::default();
    let places = [
        "198.51.100.30:80",
        "[2001:db8:2::30]:443",
        "198.51.100.40:7000",
    ];
    for to in places {
        assert!(opens(&mut it, to, Transport::Tcp, &nowhere), "{to}");
    }
    for (set, ip) in [
        ("yahoo4", "198.51.100.30"),
        ("yahoo6", "2001:db8:2::30"),
        ("chat4", "198.51.100.40"),
    ] {
        let command = match backend {
            Backend::Nftables => format!("nft add element inet imwarden names_{set} '{{ {ip} }}'"),
            _ => format!("ipset add imw-names-{set} {ip}"),
        };
        let run = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(run.success(), "{command}");
    }
    let told = |name: &str| Surroundings {
        names: vec![name.to_owned()],
        ..Surroundings::default()
    };
    let yahoo = told("scs.msg.yahoo.com");
    for to in [
        "198.51.100.30:80",
        "198.51.100.30:443",
        "[2001:db8:2::30]:443",
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            assert!(!opens(&mut it, to, transport, &yahoo), "{to}");
        }
    }
    let chat = told("chat.example.com");
    assert!(!opens(&mut it, "198.51.100.40:7000", Transport::Tcp, &chat));
    assert!(opens(&mut it, "198.51.100.40:7001", Transport::Tcp, &chat));
    assert!(opens(&mut it, "198.51.100.40:7000", Transport::Udp, &chat));
    assert!(opens(
        &mut it,
        "198.51.100.31:80",
        Transport::Tcp,
        &told("www.yahoo.com")
    ));
    // Both are refused again when the rules are loaded around what is there.
    if backend == Backend::Nftables {
        let text = render(it.plan, Target::NftablesKeep);
        let before = it.firewall.counters().unwrap();
        let again = Firewall::load(backend, &Rules::of(text).unwrap()).unwrap();
        assert_eq!(again.counters().unwrap(), before, "counters are kept");
        assert!(
            before["names_yahoo"] == 6 && before["names_chat"] == 1,
            "{before:?}"
        );
        assert!(!opens(&mut it, "198.51.100.30:80", Transport::Tcp, &yahoo));
    } else {
        let text = render(it.plan, it.target);
        Firewall::load(backend, &Rules::of(text).unwrap()).unwrap();
        assert!(!opens(&mut it, "198.51.100.30:80", Transport::Tcp, &yahoo));
    }
}

/// A policy that only looks marks nobody, and lets everybody on.
fn looks(lab: &mut Lab, backend: Backend) {
    let plan = plan(&Request {
        action: Action::Log,
        log: Some(73),
        matching: Matching {
            ports: true,
            names: true,
            signatures: true,
            sni: false,
        },
        ..forward()
    });
    let mut it = Loaded::new(lab, backend, &plan);
    it.next += 3_000;
    let mut flow = it.open(false, 9999);
    for said in [&b"YMSG\0\x0c\0\0"[..], b"more"] {
        assert!(
            it.say(&mut flow, Direction::ToServer, None, said),
            "{}",
            backend.name()
        );
    }
    assert!(it.say(&mut flow, Direction::ToClient, None, b"YMSG\0\0\0\0"));
    // In iptables what is only looked at counts as no refusal.
    if backend == Backend::Nftables {
        let counted = it.firewall.counters().unwrap();
        assert_eq!(counted.values().sum::<u64>(), 1, "{counted:?}");
    }
}

#[test]
#[ignore = "the inside of the tests below; they start it themselves"]
fn inside_the_network() {
    let Some((backend, part)) = again::role(INSIDE) else {
        return;
    };
    let mut lab = Lab::new().unwrap();
    match part.as_str() {
        "signatures" => signatures(&mut lab, backend),
        "marks" => marks(&mut lab, backend),
        "own" => own_rules(&mut lab, backend),
        "interfaces" => interfaces(&mut lab, backend),
        "names" => names(&mut lab, backend),
        "looks" => looks(&mut lab, backend),
        _ => panic!("{part}"),
    }
}

fn judge(part: &str, programs: &[&str]) {
    again::on_each_firewall("inside_the_network", INSIDE, part, programs);
}

#[test]
fn what_opens_as_a_messenger_is_refused_on_any_port_with_all_that_follows_and_nothing_alike_is() {
    judge("signatures", &[]);
}

#[test]
fn the_mark_is_a_byte_of_its_own() {
    judge("marks", &["conntrack"]);
}

#[test]
fn a_rule_of_ones_own_is_as_narrow_as_it_is_written() {
    judge("own", &[]);
}

#[test]
fn an_interface_is_a_way_and_its_other_way_back() {
    judge("interfaces", &[]);
}

#[test]
fn addresses_of_names_are_refused_once_they_are_told_and_kept_when_rules_are_loaded_again() {
    judge("names", &[]);
}

#[test]
fn a_policy_that_looks_refuses_nothing_and_marks_nobody() {
    judge("looks", &[]);
}

#[test]
fn by_what_is_said_alone_no_other_flow_of_any_sample_is_touched() {
    let name = "by_what_is_said_alone_no_other_flow_of_any_sample_is_touched";
    if !can_run(name, &["ip", "nft", "iptables-legacy", "ip6tables-legacy"]) {
        return;
    }
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    let mut captures: Vec<_> = std::fs::read_dir(samples)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|it| it == "pcap" || it == "pcapng")
        })
        .collect();
    captures.sort();
    assert!(captures.len() > 20, "{captures:?}");
    for backend in ["nftables", "iptables-legacy"] {
        let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
            .args([
                "prove",
                "--profile",
                "none",
                "--match",
                "signature",
                "--backend",
                backend,
            ])
            .args(&captures)
            .env("PATH", path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout);
        // `messenger flows blocked 3 of 3, other flows touched 0 of 7`
        let (mut blocked, mut touched, mut others) = (0, 0, 0);
        for line in told
            .lines()
            .filter(|line| line.contains("messenger flows blocked"))
        {
            let numbers: Vec<u64> = line
                .split([' ', ','])
                .filter_map(|word| word.parse().ok())
                .collect();
            let [own, _, other, all] = numbers[..] else {
                panic!("{line}");
            };
            blocked += own;
            touched += other;
            others += all;
        }
        assert_eq!(touched, 0, "{backend}: {told}");
        assert!(
            others > 100 && blocked >= 60,
            "{backend}: {blocked} blocked, {others} others"
        );
    }
}
