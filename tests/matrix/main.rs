//! Every scenario of `sample-pcaps/` over every wire, and over every ordered pair of wires: the verdict stays the same
//! wherever the bytes suffice, a name is never wrong, and what is no messenger stays silent.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../../examples/make-samples/scenario/mod.rs"]
#[allow(dead_code, unreachable_pub)]
mod scenario;

mod binary;
mod datagrams;
mod files;
mod layers;
mod properties;
mod talks;

use datagrams::Datagrams;
use files::{Capture, Record};
use imwarden::capture;
use imwarden::model::{Endpoint, Finding, Service, risk};
use imwarden::pipeline::{self, Settings};
use imwarden::ruleset::RuleSet;
use scenario::talk::{Scenario, Shown, Side, Talk};
use scenario::{ordinary, wire};
use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};

/// What is left of a conversation behind a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// Every byte: the verdict is the same to the last name.
    All,
    /// The same, but for scenarios whose verdict hangs on what the wire changes.
    AllBut(&'static [&'static str]),
    /// A part: what is named must be named right, and this share of the flows, in percent, must still be.
    Part(usize),
}

/// What a wire does.
#[derive(Clone, Copy)]
enum How {
    Talks(fn(&mut Scenario)),
    Datagrams(fn(Datagrams) -> Datagrams),
    Tunnel(fn(&[u8]) -> Vec<u8>),
    Link(u32, fn(&[u8]) -> Vec<u8>),
    Snap(usize),
    File(fn(&Capture) -> Vec<u8>),
}

#[derive(Clone, Copy)]
struct Wire {
    name: &'static str,
    how: How,
    left: Left,
}

impl Wire {
    /// What comes first on the way from the programs to the file.
    const fn stage(&self) -> u8 {
        match self.how {
            How::Talks(_) => 0,
            How::Datagrams(_) | How::Tunnel(_) => 1,
            How::Link(..) => 2,
            How::Snap(_) => 3,
            How::File(_) => 4,
        }
    }

    /// Whether `self` may come first and `next` behind it.
    fn fits_before(&self, next: &Self) -> bool {
        // Which copy of a byte comes first is what the first of these is about.
        let undone = ["reordered", "every 7th lost"];
        if self.name == "overlapped" && undone.contains(&next.name) {
            return false;
        }
        match self.stage() {
            0 | 1 => self.stage() <= next.stage(),
            stage => stage < next.stage(),
        }
    }
}

const fn talk(name: &'static str, left: Left, how: fn(&mut Scenario)) -> Wire {
    let how = How::Talks(how);
    Wire { name, how, left }
}

const fn datagram(name: &'static str, left: Left, how: fn(Datagrams) -> Datagrams) -> Wire {
    let how = How::Datagrams(how);
    Wire { name, how, left }
}

const fn file(name: &'static str, how: fn(&Capture) -> Vec<u8>) -> Wire {
    let (how, left) = (How::File(how), Left::All);
    Wire { name, how, left }
}

fn wires() -> Vec<Wire> {
    use Left::{All, AllBut, Part};
    let snap = |name, length, left| Wire {
        name,
        how: How::Snap(length),
        left,
    };
    let mut wires = vec![
        talk("port 8765", All, |all| talks::port(all, 8765)),
        talk("port 80", All, |all| talks::port(all, 80)),
        talk("port 443", All, |all| talks::port(all, 443)),
        talk("1-byte segments", All, |all| talks::pieces(all, 1)),
        talk("3-byte segments", All, |all| talks::pieces(all, 3)),
        // An unknown protocol may be anything when its beginning was not seen, whatever DNS says of the address.
        talk("no handshake", AllBut(&["host-names"]), |all| {
            talks::joined(all, 0);
        }),
        // Of what encrypts by itself, nothing but the beginning tells anything.
        talk("mid-flow", Part(65), |all| talks::joined(all, 3)),
        talk("client only", Part(95), |all| {
            talks::one_side(all, Side::Client);
        }),
        talk("server only", Part(75), |all| {
            talks::one_side(all, Side::Server);
        }),
        talk("CONNECT", All, talks::connect),
        talk("SOCKS 4", All, talks::socks4),
        // The name that the proxy is asked for is no messenger's here.
        talk(
            "SOCKS 4a",
            AllBut(&["host-names", "tls-certificates", "tls-certificates-joined"]),
            talks::socks4a,
        ),
        talk("SOCKS 5", All, |all| talks::socks5(all, None)),
        talk("SOCKS 5 with a password", All, |all| {
            talks::socks5(all, Some(("carol", "secret12")));
        }),
        datagram("reordered", All, datagrams::reordered),
        datagram("duplicated", All, datagrams::duplicated),
        datagram("overlapped", All, datagrams::overlapped),
        datagram("every 7th lost", Part(90), datagrams::lossy),
        datagram("fragments", All, datagrams::fragmented),
        // What DNS answers stays IPv4.
        datagram("IPv6", AllBut(&["host-names"]), datagrams::version_6),
        datagram(
            "extension headers",
            AllBut(&["host-names"]),
            datagrams::extended,
        ),
        datagram("TSO", All, datagrams::offloaded),
    ];
    wires.extend(layers::TUNNELS.map(|(name, how)| Wire {
        name,
        how: How::Tunnel(how),
        left: All,
    }));
    wires.extend(layers::LINKS.map(|(name, link, how)| Wire {
        name,
        how: How::Link(link, how),
        left: All,
    }));
    wires.extend([
        // And exactly which: `a_cut_capture_still_names_what_its_first_bytes_tell`.
        snap("snap 96", 96, Part(75)),
        snap("snap 200", 200, Part(85)),
        file("nanosecond pcap", Capture::nanosecond_pcap),
        file("pcapng", Capture::pcapng),
        file("gzip", Capture::gzip),
        file("zstd", Capture::zstandard),
    ]);
    wires
}

/// The scenario over the wires, one behind the other, as a capture file.
fn sent(mut scenario: Scenario, wires: &[Wire]) -> (Scenario, Vec<u8>) {
    for wire in wires {
        if let How::Talks(change) = wire.how {
            change(&mut scenario);
        }
    }
    let mut datagrams = datagrams(&scenario);
    for wire in wires {
        match wire.how {
            How::Datagrams(change) => datagrams = change(datagrams),
            How::Tunnel(wrap) => {
                for (_, datagram) in &mut datagrams {
                    *datagram = wrap(datagram);
                }
            }
            _ => {}
        }
    }
    let (link, wrap) = wires
        .iter()
        .find_map(|wire| match wire.how {
            How::Link(link, wrap) => Some((link, wrap)),
            _ => None,
        })
        .unwrap_or((1, layers::ethernet));
    let mut capture = Capture {
        link,
        records: records(datagrams, wrap),
    };
    let mut file: fn(&Capture) -> Vec<u8> = Capture::pcap;
    for wire in wires {
        match wire.how {
            How::Snap(length) => capture.snap(length),
            How::File(write) => file = write,
            _ => {}
        }
    }
    (scenario, file(&capture))
}

/// Datagrams in frames, as a capture holds them.
fn records(datagrams: Datagrams, wrap: fn(&[u8]) -> Vec<u8>) -> Vec<Record> {
    let record = |(micros, datagram): (u64, Vec<u8>)| {
        let data = wrap(&datagram);
        let wire_len = data.len();
        Record {
            micros,
            data,
            wire_len,
        }
    };
    datagrams.into_iter().map(record).collect()
}

/// All talks of a scenario, in order of time, as IP datagrams.
fn datagrams(scenario: &Scenario) -> Datagrams {
    let talks = scenario.talks.iter().enumerate();
    let mut seen: Vec<wire::Seen> = talks
        .flat_map(|(number, talk)| wire::frames(talk, number))
        .collect();
    seen.sort_by_key(|seen| seen.micros);
    seen.into_iter()
        .map(|seen| (seen.micros, seen.frame[14..].to_vec()))
        .collect()
}

/// What is found in a capture file.
fn findings(capture: Vec<u8>) -> Vec<Finding> {
    let mut findings = all_findings(capture);
    findings.retain(Finding::is_detection);
    findings
}

/// Possible flows as well.
fn all_findings(capture: Vec<u8>) -> Vec<Finding> {
    static RULES: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::builtin().unwrap());
    let mut source = capture::open_reader(Box::new(Cursor::new(capture)), "matrix").unwrap();
    let mut findings = Vec::new();
    let analysis = pipeline::run(
        source.as_mut(),
        &RULES,
        Settings::default(),
        &AtomicBool::new(false),
        &mut |_| {},
        &mut |finding: Finding| findings.push(finding),
    );
    assert!(analysis.error.is_none(), "{:?}", analysis.error);
    findings
}

/// Everything that is told of the messengers, but for addresses, lengths and paths, which wires change.
fn verdicts(findings: &[Finding]) -> Vec<String> {
    let mut verdicts: Vec<String> = findings
        .iter()
        .map(|finding| {
            let names = |names: &std::collections::BTreeSet<String>| {
                names.iter().cloned().collect::<Vec<_>>().join(" ")
            };
            format!(
                "{} {} {} {}, accounts {}, peers {}, client {:?}, features {}, risks {:?}",
                finding.service.as_ref().unwrap(),
                finding.app_proto.unwrap_or("-"),
                finding.role.unwrap_or("-"),
                finding.confidence.unwrap(),
                names(&finding.accounts),
                names(&finding.peers),
                finding.client,
                names(&finding.features),
                risks(finding),
            )
        })
        .collect();
    verdicts.sort();
    verdicts
}

/// What it exposes, but for what follows from addresses and from time rather than from what was said.
fn risks(finding: &Finding) -> Vec<&'static str> {
    let risks = finding.risks.keys().copied();
    risks
        .filter(|id| ![risk::UNEXPECTED_SERVER, risk::FLOOD].contains(id))
        .collect()
}

/// The path that the record must show: the link layer, then tunnels from the outermost in.
fn path(wires: &[Wire]) -> String {
    let link = wires
        .iter()
        .filter(|wire| matches!(wire.how, How::Link(..)));
    let tunnels = wires.iter().rev();
    let tunnels = tunnels.filter(|wire| matches!(wire.how, How::Tunnel(_)));
    let layers = link.chain(tunnels).map(|wire| wire.name);
    layers
        .filter(|name| !name.is_empty())
        .collect::<Vec<_>>()
        .join(" > ")
}

/// The same as it was found. What is IP in IP is one wire here; the versions inside and outside decide what it is called.
fn path_found(finding: &Finding) -> String {
    let layers: Vec<String> = finding.path.iter().map(|layer| layer.to_string()).collect();
    layers
        .join(" > ")
        .replace("ipip", "ip")
        .replace("6in4", "ip")
        .replace("4in6", "ip")
}

/// An endpoint as the scenario has it: the wire that turns IPv4 into IPv6 keeps the numbers.
fn endpoint(endpoint: Endpoint) -> (IpAddr, u16) {
    let ip = match endpoint.ip {
        IpAddr::V6(v6) if v6.segments()[..6] == [0x2001, 0xdb8, 0, 0, 0, 0] => {
            let [.., a, b, c, d] = v6.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        ip => ip,
    };
    (ip, endpoint.port)
}

/// Baits that a single packet clears, by their client's port: a proxy's refusal, a second answer of DNS that gives the
/// same address to somebody else, and what the client asked for before the certificate. A wire that may lose it leaves what a
/// messenger's attempt would leave.
const CLEARED_BY_ONE_PACKET: [u16; 3] = [51_180, 40_026, 43_075];

/// Every name must be the true one, or "AIM or ICQ" for one of the two.
fn wrong_names(scenario: &Scenario, findings: &[Finding], lossless: bool) -> Vec<String> {
    let truths: BTreeMap<_, _> = scenario
        .talks
        .iter()
        .filter_map(|talk| {
            let end = |address: std::net::SocketAddr| (address.ip(), address.port());
            let truth = talk.truth.as_ref()?;
            Some(((end(talk.client), end(talk.server)), truth.service))
        })
        .collect();
    let mut wrong = Vec::new();
    for finding in findings {
        let ends = (
            endpoint(finding.tuple.client),
            endpoint(finding.tuple.server),
        );
        if !lossless && CLEARED_BY_ONE_PACKET.contains(&ends.0.1) {
            continue;
        }
        // Without the opening, who is the client may stay open.
        let truth = truths.get(&ends).or_else(|| truths.get(&(ends.1, ends.0)));
        let service = finding.service.as_ref().unwrap().id();
        let family = service == "oscar" && matches!(truth, Some(&"aim" | &"icq"));
        if truth != Some(&service) && !family {
            wrong.push(format!(
                "{} -> {} is {service}, in truth {truth:?}: {:?}",
                finding.tuple.client, finding.tuple.server, finding.evidence
            ));
        }
    }
    wrong
}

struct Case {
    scenario: Scenario,
    plain: Vec<String>,
}

/// What one scenario gives over some wires.
struct Outcome {
    /// Wrong names, wrong paths.
    wrong: Vec<String>,
    verdicts: Vec<String>,
}

impl Case {
    fn new(scenario: Scenario) -> Self {
        let plain = verdicts(&findings(sent(scenario.clone(), &[]).1));
        Self { scenario, plain }
    }

    fn over(&self, wires: &[Wire]) -> Outcome {
        let (scenario, capture) = sent(self.scenario.clone(), wires);
        let findings = findings(capture);
        let mut wrong = wrong_names(&scenario, &findings, part(wires).is_none());
        let path = path(wires);
        let paths = findings.iter().map(path_found);
        wrong.extend(
            paths
                .filter(|found| *found != path)
                .map(|found| format!("the path is {found:?}, in truth {path:?}")),
        );
        Outcome {
            wrong,
            verdicts: verdicts(&findings),
        }
    }
}

/// Told by how they begin or whom they call, and by nothing behind that: they are in no share of what is left.
const BY_BEGINNING: [&str; 12] = [
    "discord",
    "gadu-gadu",
    "msrp",
    "teamspeak",
    "telegram",
    "tls-certificates",
    "tls-certificates-joined",
    "today-own",
    "today-quic",
    "today-tls",
    "whatsapp",
    "xmpp",
];

/// Told by signatures of rule files.
const BY_SIGNATURE: [&str; 4] = ["gadu-gadu", "telegram", "today-own", "whatsapp"];

/// The share of the flows that must still be named, if one of the wires takes something away.
fn part(wires: &[Wire]) -> Option<usize> {
    wires.iter().find_map(|wire| match wire.left {
        Left::All | Left::AllBut(_) => None,
        Left::Part(share) => Some(share),
    })
}

/// The scenarios over the wires; everything that is not as it should be.
fn complaints(cases: &[Case], wires: &[Wire]) -> Vec<String> {
    let names: Vec<&str> = wires.iter().map(|wire| wire.name).collect();
    let names = names.join(", then ");
    let part = part(wires);
    let mut complaints = Vec::new();
    let (mut found, mut wanted) = (0, 0);
    for case in cases {
        let name = case.scenario.name;
        let outcome = case.over(wires);
        let wrong = outcome.wrong.iter();
        complaints.extend(wrong.map(|wrong| format!("{name} over {names}: {wrong}")));
        if !BY_BEGINNING.contains(&name) {
            (found, wanted) = (found + outcome.verdicts.len(), wanted + case.plain.len());
        }
        // What a SOCKS 4 request leads to proves it, if the program knows that by itself; rule files have no say in it.
        let unproven = |wire: &Wire| wire.name == "SOCKS 4" && BY_SIGNATURE.contains(&name);
        let spared = wires.iter().any(|wire| {
            matches!(wire.left, Left::AllBut(all) if all.contains(&name)) || unproven(wire)
        });
        if part.is_none() && !spared && outcome.verdicts != case.plain {
            let lost = case
                .plain
                .iter()
                .filter(|one| !outcome.verdicts.contains(one));
            let new = outcome
                .verdicts
                .iter()
                .filter(|one| !case.plain.contains(one));
            complaints.extend(lost.map(|one| format!("{name} over {names} is without: {one}")));
            complaints.extend(new.map(|one| format!("{name} over {names} has new: {one}")));
        }
    }
    if let (Some(share), 1) = (part, wires.len()) {
        println!("{names}: {found} of {wanted} flows");
        if found * 100 < wanted * share {
            complaints.push(format!("{names}: {found} of {wanted} flows are named"));
        }
    }
    complaints
}

/// Does the work on all processors; panics with the first complaints.
fn check(cases: &[Case], rows: &[Vec<Wire>]) {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let complaints = complaints(cases, row);
                    all.lock().unwrap().extend(complaints);
                }
            });
        }
    });
    let all = all.into_inner().unwrap();
    assert!(
        all.is_empty(),
        "{} complaints, among them\n{}",
        all.len(),
        all.iter().take(40).cloned().collect::<Vec<_>>().join("\n")
    );
}

fn bytes(scenario: &Scenario) -> usize {
    let messages = scenario.talks.iter().flat_map(|talk| &talk.messages);
    messages.map(|message| message.bytes.len()).sum()
}

/// There are at least as many ordinary conversations as messengers' ones.
fn assert_balance(cases: &[Case]) {
    let talks = || cases.iter().flat_map(|case| &case.scenario.talks);
    let positive = talks().filter(|talk| talk.truth.is_some()).count();
    let baits = talks().count() - positive;
    assert!(positive >= 60, "{positive} flows of messengers");
    assert!(baits >= positive, "{baits} baits, {positive} positive");
}

#[test]
fn every_wire() {
    // The office is a mix of the others.
    let scenarios = scenario::all().into_iter();
    let cases: Vec<Case> = scenarios
        .filter(|scenario| scenario.name != "office")
        .map(Case::new)
        .collect();
    assert_balance(&cases);
    let rows: Vec<Vec<Wire>> = wires().into_iter().map(|wire| vec![wire]).collect();
    assert!(rows.len() >= 50, "{} wires", rows.len());
    check(&cases, &rows);
}

#[test]
fn every_ordered_pair_of_wires() {
    let mut cases = Vec::new();
    for mut scenario in scenario::all() {
        if scenario.name == "office" {
            continue;
        }
        if scenario.talks.iter().all(|talk| talk.truth.is_none()) {
            // What tempts stands at the beginning; the rest costs time.
            for message in scenario
                .talks
                .iter_mut()
                .flat_map(|talk| &mut talk.messages)
            {
                message.bytes.truncate(1000);
            }
        }
        if bytes(&scenario) < 20_000 || scenario.name.starts_with("bait") {
            cases.push(Case::new(scenario));
        }
    }
    assert_balance(&cases);
    let wires = wires();
    let mut rows = Vec::new();
    for first in &wires {
        let behind = wires.iter().filter(|next| first.fits_before(next));
        rows.extend(behind.map(|next| vec![*first, *next]));
    }
    println!("{} pairs, {} scenarios", rows.len(), cases.len());
    check(&cases, &rows);
}

/// A resolver's client that happens to send from ICQ's port is still a resolver's client: its answer counts, and
/// its own port makes no guess.
#[test]
fn an_ordinary_client_may_have_a_messengers_port() {
    let address = "216.155.193.9".parse().unwrap();
    let scenario = Scenario {
        name: "client-port-4000",
        about: "",
        talks: vec![
            ordinary::dns(
                "10.0.0.5:4000",
                "10.0.0.1:53",
                100,
                "scs.msg.yahoo.com",
                address,
            ),
            Talk::tcp("10.0.0.5:5190", "216.155.193.9:443", 500)
                .client(vec![0x99; 80])
                .server(vec![0x77; 90])
                .shown(Shown::WithoutOpening),
        ],
    };
    let findings = all_findings(wire::capture(&scenario));
    let told: Vec<String> = findings
        .iter()
        .map(|finding| format!("{} {:?}", finding.tuple.server, finding.service))
        .collect();
    assert_eq!(
        told,
        [format!("216.155.193.9:443 {:?}", Some(Service::YAHOO))]
    );
}

/// What 96 bytes of a packet (42 of a segment, 54 of a datagram) do not tell: scenario, server or client ("" for all of it), and what
/// stands further back.
const FURTHER_BACK: &[(&str, &str, &str)] = &[
    (
        "msn-signon-chat",
        "198.51.100.64:1864",
        "the end of a line that counts its words",
    ),
    ("yahoo-signon-message", "216.155.193.131:80", "the host"),
    ("yahoo-file-transfer", "10.0.3.6:50832", "the host"),
    ("oscar-http", "64.12.163.150:80", "the host"),
    (
        "oscar-http",
        "64.12.200.20:80",
        "the session's id, which is longer",
    ),
    (
        "host-names",
        "216.155.193.7:8001",
        "whether the client says something else: DNS alone is a hint",
    ),
    ("host-names", "64.12.25.91:443", "the name in the hello"),
    ("host-names", "64.12.25.92:443", "the name in the hello"),
    ("host-names", "207.46.110.48:80", "the host"),
    ("host-names", "207.46.104.21:443", "the name in the hello"),
    (
        "risk-attacks",
        "10.0.6.14:4000",
        "what is decrypted of a datagram with a checksum",
    ),
    ("whatsapp", "198.18.0.20:443", "the name in the hello"),
    ("whatsapp", "198.18.0.21:443", "the name in the hello"),
    ("whatsapp", "198.18.0.22:443", "the name in the hello"),
    ("telegram", "198.18.0.30:443", "the name in the hello"),
    ("telegram", "198.18.0.31:443", "the name in the hello"),
    ("discord", "198.18.0.40:443", "the name in the hello"),
    ("today-tls", "", "the name in the hello"),
    ("tls-certificates", "", "the server's certificate"),
    ("tls-certificates-joined", "", "the server's certificate"),
    ("today-quic", "198.18.1.17:443", "the hello"),
    ("today-quic", "198.18.1.26:443", "the hello"),
    ("today-quic", "198.18.1.27:443", "the hello"),
    ("today-quic", "198.18.1.28:443", "the hello"),
    ("today-quic", "198.18.1.29:443", "the hello"),
    ("today-quic", "198.18.1.36:443", "the name in the hello"),
    ("today-quic", "198.18.1.37:443", "the name in the hello"),
    ("calls", "198.18.31.1:3478", "the relay's name"),
    ("calls", "198.18.32.2:1400", "the relay's name"),
    ("calls", "198.18.32.3:443", "the relay's name"),
    (
        "sip-simple",
        "",
        "what a message is, for people or from a machine",
    ),
    (
        "today-own",
        "198.18.60.3:80",
        "what goes over HTTP under that path",
    ),
    ("today-sessions", "198.18.70.1:995", "a frame behind a key"),
    ("today-sessions", "198.18.70.2:443", "a frame behind a key"),
    (
        "today-sessions",
        "198.18.70.3:10009",
        "a frame behind a key",
    ),
    ("today-sessions", "198.18.70.4:9282", "a frame behind a key"),
];

/// Whatever the first bytes of a packet tell is named, all of it, and the rest is silent: whoever finds more in them
/// takes it from the list.
#[test]
fn a_cut_capture_still_names_what_its_first_bytes_tell() {
    let wires = wires();
    let cut = wires.iter().find(|wire| wire.name == "snap 96").unwrap();
    let (mut named, mut silent, mut wrong) = (0, 0, Vec::new());
    let mut used = std::collections::BTreeSet::new();
    // AIM or ICQ may stay open.
    let family = |found: &Finding| found.service == Some(Service::OSCAR);
    for scenario in scenario::all() {
        if scenario.name == "office" {
            continue;
        }
        let name = scenario.name;
        let plain = findings(sent(scenario.clone(), &[]).1);
        let told = findings(sent(scenario, &[*cut]).1);
        for whole in &plain {
            let server = whole.tuple.server.to_string();
            let ends = [
                String::new(),
                whole.tuple.client.to_string(),
                server.clone(),
            ];
            let listed = FURTHER_BACK
                .iter()
                .position(|it| it.0 == name && ends.contains(&it.1.to_owned()));
            used.extend(listed);
            let same = |it: &&Finding| it.tuple.key() == whole.tuple.key();
            match (told.iter().find(same), listed.is_some()) {
                (Some(found), false) if found.service == whole.service || family(found) => {
                    named += 1;
                }
                (None, true) => silent += 1,
                (found, _) => {
                    let found = found.and_then(|found| found.service.as_ref());
                    let evidence = whole.evidence.iter().map(|it| &*it.detail);
                    let evidence: Vec<_> = evidence.collect();
                    wrong.push(format!(
                        "(\"{name}\", \"{server}\", \"\"): {found:?}, {evidence:?}"
                    ));
                }
            }
        }
    }
    println!("{named} named, {silent} silent");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used.len(), FURTHER_BACK.len(), "each of the list is met");
}
