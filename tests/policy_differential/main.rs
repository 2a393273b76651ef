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
use imwarden::policy::prove::{Backend, Firewall, Lab, Refusal, Rules, packet};
use imwarden::policy::{
    Action, Attempt, Hook, Opening, Plan, Profile, Request, Sighting, Sightings, Target,
    feature_of, render,
};
use imwarden::ruleset::RuleSet;
use policy_support::{can_run, path};
use std::collections::BTreeMap;
use std::io::Write;
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
    add(Transport::Udp, Endpoint::new(v4(31), 27_015), None, false);
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
fn attempt(dice: &mut Dice, plan: &Plan, ports: &[u16], number: usize) -> Attempt {
    let places = plan.seen.iter().flat_map(|group| &group.seen);
    let whole: Vec<_> = places.filter(|seen| seen.opening.is_none()).collect();
    let transport = *dice.of(&[Transport::Tcp, Transport::Tcp, Transport::Udp]);
    let six = dice.below(2) == 1;
    let host = *dice.of(&[9, 30, 31, 40, 40, 40, 41, 77]);
    let server = if six { v6(host.into()) } else { v4(host) };
    let port = match dice.below(4) {
        _ if host == 40 && dice.below(4) > 0 => 3128,
        0 => 1 + u16::try_from(dice.below(65_000)).unwrap(),
        1 => 3128,
        _ => *dice.of(ports),
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
    // Before chance is asked, everything that the plan names, with either transport.
    let (transport, server) = match number.checked_sub(whole.len()) {
        None => (whole[number].transport, whole[number].server),
        Some(at) if at < 2 * ports.len() => {
            let transports = [Transport::Tcp, Transport::Udp];
            (transports[at % 2], Endpoint::new(server, ports[at / 2]))
        }
        Some(_) => (transport, Endpoint::new(server, port)),
    };
    let client = if server.ip.is_ipv4() == client.ip.is_ipv4() {
        client
    } else if server.ip.is_ipv4() {
        Endpoint::new(Ipv4Addr::from(0x0A00_0000 + u32::from(many)).into(), from)
    } else {
        Endpoint::new(
            Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 7, many).into(),
            from,
        )
    };
    Attempt {
        transport,
        client,
        server,
        payload,
        extended: six && server.ip.is_ipv6() && dice.below(4) == 0,
    }
}

/// Both ends of every range of ports that the plan closes, and their neighbours.
fn ports(plan: &Plan) -> Vec<u16> {
    let ranges = plan.groups.iter().flat_map(|group| &group.ports);
    let mut all: Vec<u16> = ranges
        .flat_map(|ports| {
            let (first, last) = (ports.range.first(), ports.range.last());
            [first - 1, first, last, last + 1]
        })
        .chain([80, 443, 3128, 8080, 4000])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
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
    let flags = TcpFlags {
        syn,
        ack: !syn,
        ..TcpFlags::default()
    };
    segment(attempt, flags, seq, u32::from(!syn), payload)
}

fn segment(attempt: &Attempt, flags: TcpFlags, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let header = match attempt.transport {
        Transport::Udp => TransportHeader::Udp,
        Transport::Tcp => TransportHeader::Tcp(TcpHeader { seq, ack, flags }),
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
        plan.decide(&said, target).passes()
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

/// What is different between the plan and the kernel, if anything; and how many connections were refused at once, refused by
/// their payload, and let through.
fn compare(
    lab: &mut Lab,
    firewall: &Firewall,
    plan: &Plan,
    target: Target,
    flows: usize,
) -> Result<[u64; 3], String> {
    let mut dice = Dice(20_261_124);
    let ports = ports(plan);
    let (mut refused, mut by_payload, mut passed) = (0, 0, 0);
    for number in 0..flows {
        let attempt = attempt(&mut dice, plan, &ports, number);
        let split = *dice.of(&[usize::MAX, usize::MAX, usize::MAX, 1, 5, 12]);
        let all = segments(plan, target, &attempt, split);
        let wrong = |what: String| Err(format!("flow {number}: {what}: {attempt:?}"));
        for (at, (bytes, expected)) in all.iter().enumerate() {
            lab.refusal().unwrap();
            let through = lab.passes(Direction::ToServer, bytes).unwrap();
            if through != *expected {
                return wrong(format!(
                    "packet {at}: passes {through}, the plan says {expected}"
                ));
            }
            let wanted = match (through, attempt.transport) {
                (true, _) => Refusal::Silent,
                (false, Transport::Tcp) => Refusal::Reset,
                (false, Transport::Udp) => Refusal::Unreachable,
            };
            let told = lab.refusal().unwrap();
            // Nobody is told twice in a second that a datagram was refused.
            if told != wanted && wanted != Refusal::Unreachable {
                return wrong(format!(
                    "packet {at}: refused with {told:?}, not {wanted:?}"
                ));
            }
            if wanted == Refusal::Unreachable && told == Refusal::Reset {
                return wrong(format!("packet {at}: a datagram was reset"));
            }
        }
        match (all.len(), all.last().is_some_and(|(_, passes)| *passes)) {
            (_, true) => passed += 1,
            (1, false) => refused += 1,
            (_, false) => by_payload += 1,
        }
        let open = all.last().is_some_and(|(_, passes)| *passes);
        if open && attempt.transport == Transport::Tcp && attempt.server.port != 0 {
            // The answer goes to the client's port, whosever that is.
            let answer = Attempt {
                client: attempt.server,
                server: attempt.client,
                ..attempt.clone()
            };
            if !lab
                .passes(Direction::ToClient, &answer_to(&answer))
                .unwrap()
            {
                return wrong("the answer is refused".to_owned());
            }
        }
        if all.len() == 1 && !open && attempt.transport == Transport::Tcp {
            // A reset goes through, whatever it belongs to.
            if !lab.passes(Direction::ToServer, &reset(&attempt)).unwrap() {
                return wrong("a reset is refused".to_owned());
            }
        }
    }
    // Each refusal was counted, once.
    let counted: BTreeMap<String, u64> = firewall.counters().unwrap();
    if plan.action != Action::Log && counted.values().sum::<u64>() != refused + by_payload {
        return Err(format!(
            "{} were refused, and counted: {counted:?}",
            refused + by_payload
        ));
    }
    Ok([refused, by_payload, passed])
}

/// The server's answer to a SYN.
fn answer_to(attempt: &Attempt) -> Vec<u8> {
    let flags = TcpFlags {
        syn: true,
        ack: true,
        ..TcpFlags::default()
    };
    segment(attempt, flags, 7_000, 1_001, &[])
}

fn reset(attempt: &Attempt) -> Vec<u8> {
    let flags = TcpFlags {
        rst: true,
        ..TcpFlags::default()
    };
    segment(attempt, flags, 1_001, 0, &[])
}

/// Policies that are judged: everything; for some clients, with exceptions; and one that only looks.
const VARIANTS: [&str; 3] = ["all", "some", "looks"];

fn policy(variant: &str) -> Plan {
    let nets = |all: &[&str]| all.iter().map(|net| net.parse().unwrap()).collect();
    let all = Request {
        profile: Profile::Full,
        hooks: vec![Hook::Forward],
        ..Request::default()
    };
    let request = match variant {
        "some" => Request {
            sources: nets(&[
                "10.0.1.0/24",
                "10.0.0.0/25",
                "10.0.0.64/26",
                "2001:db8:1::7:0/117",
            ]),
            exceptions: nets(&["10.0.1.16/28", "198.51.100.41/32", "2001:db8:2::9/128"]),
            ..all
        },
        "looks" => Request {
            action: Action::Log,
            ..all
        },
        _ => all,
    };
    Plan::observing(&RuleSet::builtin().unwrap(), &request, &sightings()).unwrap()
}

fn written(plan: &Plan, backend: Backend) -> (Target, String) {
    let target = match backend {
        Backend::Nftables => Target::Nftables,
        _ => Target::IptablesScript,
    };
    (target, render(plan, target))
}

#[test]
#[ignore = "the inside of the comparison; it starts it itself"]
fn inside_the_network() {
    let Ok(role) = std::env::var(INSIDE) else {
        return;
    };
    let (name, variant) = role.split_once(' ').unwrap();
    let backend = Backend::ALL
        .into_iter()
        .find(|it| it.name() == name)
        .unwrap();
    let plan = policy(variant);
    let (target, text) = written(&plan, backend);
    let mut lab = Lab::new().unwrap();
    let firewall = Firewall::load(backend, &Rules::of(text).unwrap()).unwrap();
    let [refused, by_payload, passed] = compare(&mut lab, &firewall, &plan, target, FLOWS)
        .unwrap_or_else(|what| panic!("{name}, {what}"));
    let enough = match variant {
        "looks" => refused + by_payload == 0,
        "some" => refused > 20 && by_payload > 5 && passed > 1_000,
        _ => refused > 200 && by_payload > 100 && passed > 300,
    };
    assert!(enough, "{variant}: {refused} {by_payload} {passed}");
}

/// A file from which one line is missing, given on the standard input: prints whether anybody noticed.
#[test]
#[ignore = "the inside of the mutations; they start it themselves"]
fn inside_a_mutation() {
    if std::env::var(INSIDE).is_err() {
        return;
    }
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let plan = policy("all");
    let mut lab = Lab::new().unwrap();
    let noticed = match Firewall::load(Backend::Nftables, &Rules::of(text).unwrap()) {
        Err(_) => true,
        Ok(firewall) => compare(&mut lab, &firewall, &plan, Target::Nftables, 1_200).is_err(),
    };
    writeln!(std::io::stdout(), "NOTICED {noticed}").unwrap();
}

/// Lines that may go without anybody noticing here, and why.
const FREE: [&str; 3] = [
    // For a machine that has no such table yet, or has one: this one is fresh.
    "table inet imwarden",
    "delete table inet imwarden",
    "#!/usr/sbin/nft -f",
];

#[test]
fn no_line_of_the_file_can_go_without_being_missed() {
    let name = "no_line_of_the_file_can_go_without_being_missed";
    if !can_run(name, &["nft", "ip"]) {
        return;
    }
    let (_, text) = written(&policy("all"), Backend::Nftables);
    let lines: Vec<&str> = text.lines().collect();
    let mut survivors = Vec::new();
    let mut tried = 0;
    for (at, line) in lines.iter().enumerate() {
        let word = line.trim();
        if word.is_empty() || word.starts_with("# ") || word == "#" || FREE.contains(&word) {
            continue;
        }
        tried += 1;
        let mut rest = lines.clone();
        rest.remove(at);
        if !noticed(&format!("{}\n", rest.join("\n"))) {
            survivors.push(format!("line {}: {word}", at + 1));
        }
    }
    assert!(tried > 80, "{tried}");
    assert!(
        survivors.is_empty(),
        "{} of {tried} may go:\n{}",
        survivors.len(),
        survivors.join("\n")
    );
}

fn noticed(text: &str) -> bool {
    let mut child = inside("inside_a_mutation", "mutation")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    match (
        told.contains("NOTICED true"),
        told.contains("NOTICED false"),
    ) {
        (true, _) => true,
        (_, true) => false,
        _ => panic!("the mutation did not run: {told}"),
    }
}

fn inside(test: &str, role: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-Urn", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test, "--nocapture"])
        .env("PATH", path())
        .env(INSIDE, role)
        .stdin(Stdio::null());
    command
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
    for (backend, variant) in Backend::ALL
        .into_iter()
        .flat_map(|backend| VARIANTS.map(|variant| (backend, variant)))
    {
        let role = format!("{} {variant}", backend.name());
        let output = inside("inside_the_network", &role).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.contains("1 passed"),
            "{told}\n{words}"
        );
    }
}
