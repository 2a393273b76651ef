//! The plan's own judgement (`policy explain --flow`) against the kernel's: thousands of random connections, on every
//! firewall, and not one difference.
//!
//! The test starts itself again inside a private network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod policy_support;

use imwarden::model::{
    Direction, Endpoint, LayerPath, Packet, Service, TcpFlags, TcpHeader, Timestamp, Transport,
    TransportHeader,
};
use imwarden::policy::prove::{Backend, Firewall, Lab, Rules, packet};
use imwarden::policy::{
    Attempt, Decision, Hook, Opening, Plan, Profile, Request, Sighting, Sightings, Target,
    feature_of, render,
};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, path};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

const INSIDE: &str = "IMWARDEN_DIFFERENTIAL";
const FLOWS: usize = 2_000;

/// The same numbers every time (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, 100, last).into()
}

fn v6(last: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, last).into()
}

/// Requests that a proxy is asked with, and what a messenger says first.
fn requests() -> Vec<(Vec<u8>, bool)> {
    vec![
        (
            b"CONNECT messenger.hotmail.com:1863 HTTP/1.1\r\n\r\n".to_vec(),
            true,
        ),
        (b"\x05\x01\x00\x01\xC6\x33\x64\x09\x14\x46".to_vec(), true),
        (b"\x04\x01\x14\x46\xC6\x33\x64\x09alice\0".to_vec(), true),
        (b"\x2A\x01\x00\x01\x00\x04\x00\x00\x00\x01".to_vec(), false),
        (b"YMSG\x00\x0C\x00\x00\x00\x08\x00\x57".to_vec(), false),
        (b"VER 1 MSNP8 MSNP9 CVR0\r\n".to_vec(), false),
    ]
}

/// Places that belong to messengers alone, and a proxy of each family that others use.
fn sightings() -> Sightings {
    let mut all = Sightings::default();
    let mut add = |transport, server, opening, proxied| {
        all.flows.push(Sighting {
            service: Service::AIM,
            feature: feature_of("oscar"),
            transport,
            client: Endpoint::new(v4(200), 50_000),
            server,
            proxied,
            opening,
            place: "made up, flow 1".into(),
        });
    };
    add(Transport::Tcp, Endpoint::new(v4(30), 8080), None, false);
    add(Transport::Udp, Endpoint::new(v4(31), 4000), None, false);
    add(Transport::Tcp, Endpoint::new(v6(30), 443), None, false);
    for proxy in [Endpoint::new(v4(40), 3128), Endpoint::new(v6(40), 3128)] {
        for (request, proxied) in requests() {
            add(
                Transport::Tcp,
                proxy,
                Opening::of(&request, proxied),
                proxied,
            );
        }
    }
    for proxy in [v4(40), v6(40)] {
        all.others
            .insert((Transport::Tcp, Endpoint::new(proxy, 3128)), 9);
    }
    all
}

/// A connection that may or may not be anybody's business.
fn attempt(dice: &mut Dice, number: usize) -> Attempt {
    const PORTS: [u16; 24] = [
        5190, 5191, 4443, 1863, 1864, 6890, 6891, 6900, 6901, 13323, 13324, 13325, 13326, 1503,
        5050, 5101, 3574, 7320, 80, 443, 3128, 8080, 4000, 9898,
    ];
    let transport = *dice.of(&[Transport::Tcp, Transport::Tcp, Transport::Udp]);
    let six = dice.below(2) == 1;
    let host = *dice.of(&[9, 30, 31, 40, 40, 40, 41, 77]);
    let server = if six { v6(host.into()) } else { v4(host) };
    let port = match dice.below(4) {
        _ if host == 40 && dice.below(4) > 0 => 3128,
        0 => 1 + u16::try_from(dice.below(65_000)).unwrap(),
        1 => 3128,
        _ => *dice.of(&PORTS),
    };
    // A client may be at a place where a messenger was, and from any port, a messenger's too. None comes twice.
    let many = u16::try_from(number).unwrap();
    let client = if six {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 7, many).into()
    } else {
        Ipv4Addr::from(0x0A00_0000 + u32::from(many)).into()
    };
    let from = *dice.of(&[50_000, 5190, 1863, 6891, 8080, 3128]);
    let client = match dice.below(40) {
        0 if !six => Endpoint::new(v4(30), 8080),
        1 if six => Endpoint::new(v6(30), 443),
        _ => Endpoint::new(client, from),
    };
    let mut payload = dice.of(&requests()).0.clone();
    match dice.below(5) {
        // One byte is another.
        0 => {
            let at = dice.below(payload.len());
            payload[at] ^= 0x20;
        }
        // It is not at the beginning.
        1 => payload.insert(0, b' '),
        // It is cut off.
        2 => payload.truncate(1 + dice.below(payload.len())),
        _ => {}
    }
    Attempt {
        transport,
        client,
        server: Endpoint::new(server, port),
        payload,
        extended: six && dice.below(4) == 0,
    }
}

/// Puts a destination options header in front of what an IPv6 packet carries.
fn extended(mut bytes: Vec<u8>) -> Vec<u8> {
    let length = u16::from_be_bytes([bytes[4], bytes[5]]) + 8;
    bytes[4..6].copy_from_slice(&length.to_be_bytes());
    let next = std::mem::replace(&mut bytes[6], 60);
    bytes.splice(40..40, [next, 0, 1, 4, 0, 0, 0, 0]);
    bytes
}

fn bytes(attempt: &Attempt, payload: &[u8], seq: u32, syn: bool) -> Vec<u8> {
    let header = match attempt.transport {
        Transport::Udp => TransportHeader::Udp,
        Transport::Tcp => TransportHeader::Tcp(TcpHeader {
            seq,
            ack: u32::from(!syn),
            flags: TcpFlags {
                syn,
                ack: !syn,
                ..TcpFlags::default()
            },
        }),
    };
    let bytes = packet(&Packet {
        number: 1,
        timestamp: Timestamp::default(),
        src: attempt.client,
        dst: attempt.server,
        header,
        payload,
        cut: 0,
        wire_len: 0,
        path: LayerPath::default(),
        card: None,
    })
    .unwrap();
    if attempt.extended {
        extended(bytes)
    } else {
        bytes
    }
}

/// Everything that the client sends, in order, and whether the plan lets it through.
fn segments(plan: &Plan, target: Target, attempt: &Attempt, split: usize) -> Vec<(Vec<u8>, bool)> {
    let judge = |payload: &[u8]| {
        let said = Attempt {
            payload: payload.to_vec(),
            ..attempt.clone()
        };
        plan.decide(&said, target) == Decision::Passes
    };
    if attempt.transport == Transport::Udp {
        return vec![(
            bytes(attempt, &attempt.payload, 0, false),
            judge(&attempt.payload),
        )];
    }
    let mut all = vec![(bytes(attempt, &[], 1_000, true), judge(&[]))];
    let (first, second) = attempt.payload.split_at(split.min(attempt.payload.len()));
    let mut seq = 1_001;
    for part in [first, second] {
        if !part.is_empty() && all.iter().all(|(_, passes)| *passes) {
            all.push((bytes(attempt, part, seq, false), judge(part)));
            seq += u32::try_from(part.len()).unwrap();
        }
    }
    all
}

#[test]
#[ignore = "the inside of the comparison; it starts it itself"]
fn inside_the_network() {
    let Ok(name) = std::env::var(INSIDE) else {
        return;
    };
    let backend = Backend::ALL
        .into_iter()
        .find(|it| it.name() == name)
        .unwrap();
    let request = Request {
        profile: Profile::Full,
        hooks: vec![Hook::Forward],
        ..Request::default()
    };
    let plan = Plan::observing(&RuleSet::builtin().unwrap(), &request, &sightings()).unwrap();
    let (target, rules) = match backend {
        Backend::Nftables => (
            Target::Nftables,
            Rules::Nft(render(&plan, Target::Nftables)),
        ),
        _ => (
            Target::IptablesScript,
            Rules::Script(render(&plan, Target::IptablesScript)),
        ),
    };
    let mut lab = Lab::new().unwrap();
    let firewall = Firewall::load(backend, &rules).unwrap();
    let mut dice = Dice(20_261_124);
    let (mut refused, mut by_payload, mut passed) = (0, 0, 0);
    for number in 0..FLOWS {
        let attempt = attempt(&mut dice, number);
        let split = *dice.of(&[usize::MAX, usize::MAX, usize::MAX, 1, 5, 12]);
        let all = segments(&plan, target, &attempt, split);
        for (at, (bytes, expected)) in all.iter().enumerate() {
            let through = lab.passes(Direction::ToServer, bytes).unwrap();
            assert_eq!(
                through, *expected,
                "{name}, flow {number}, packet {at}: the kernel says {through}, the plan {expected}: {attempt:?}"
            );
        }
        match (all.len(), all.last().is_some_and(|(_, passes)| *passes)) {
            (_, true) => passed += 1,
            (1, false) => refused += 1,
            (_, false) => by_payload += 1,
        }
    }
    assert!(
        refused > 300 && by_payload > 100 && passed > 300,
        "{refused} {by_payload} {passed}"
    );
    // Each refusal was counted, once.
    let counted: BTreeMap<String, u64> = firewall.counters().unwrap();
    assert_eq!(
        counted.values().sum::<u64>(),
        refused + by_payload,
        "{counted:?}"
    );
}

#[test]
fn the_plan_and_the_kernel_agree_on_every_connection() {
    let programs = [
        "nft",
        "ip",
        "iptables-nft",
        "ip6tables-nft",
        "iptables-legacy",
        "ip6tables-legacy",
    ];
    if !can_run(
        "the_plan_and_the_kernel_agree_on_every_connection",
        &programs,
    ) {
        return;
    }
    for backend in Backend::ALL {
        let output = Command::new("unshare")
            .args(["-Urn", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "inside_the_network", "--nocapture"])
            .env("PATH", path())
            .env(INSIDE, backend.name())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}\n{words}"
        );
    }
}
