//! Servers that redirects named, and endpoints that users offered each other, where nobody was seen to go: refused by a real kernel's
//! firewall, and nothing beside them. Out of the sample captures, without the flows that went there; by the capture and by its
//! findings alike.
//!
//! The test starts itself again inside a private network.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
mod policy_support;
#[path = "policy_support/talk.rs"]
mod talk;

use imwarden::capture::{self, Writer};
use imwarden::model::{Direction, Endpoint};
use imwarden::policy::prove::{Backend, Firewall, Lab, Rules};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use talk::Conversation;

const INSIDE: &str = "IMWARDEN_NAMED";

/// A sample, the place that one of its flows names, and that flow.
struct Case {
    sample: &'static str,
    place: &'static str,
    flow: u64,
    /// What a messenger's client says there, where the place may be others' as well.
    opening: Option<&'static [u8]>,
}

const fn whole(sample: &'static str, place: &'static str, flow: u64) -> Case {
    Case {
        sample,
        place,
        flow,
        opening: None,
    }
}

const CASES: [Case; 8] = [
    // OSCAR: the server behind the authoriser, on the usual port and on another one.
    whole("aim-signon-message", "205.188.7.9:5190", 1),
    whole("aim-xor-signon", "205.188.3.21:5191", 1),
    Case {
        opening: Some(b"\x2A\x01\x00\x00\x00\x04\x00\x00\x00\x01"),
        ..whole("icq-signon-message", "64.12.24.50:443", 2)
    },
    // MSN: XFR to a notification server, to a switchboard, and out of HTTP.
    whole("msn-signon-chat", "207.46.107.25:1863", 1),
    whole("msn-md5", "207.46.106.90:1864", 1),
    whole("msn-http-gateway", "207.46.26.172:1863", 2),
    // Yahoo!: the answer of a server for others.
    whole("yahoo-signon-message", "216.155.193.140:5050", 1),
    // Between users: who offers a file listens there.
    whole("aim-file-transfer", "192.0.2.44:5190", 2),
];

/// The address of an IPv4 packet's ends in an Ethernet frame, with ports.
fn ends(frame: &[u8]) -> Option<[SocketAddr; 2]> {
    let ip = |at: usize| -> Option<[u8; 4]> { frame.get(at..at + 4)?.try_into().ok() };
    let port = |at: usize| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?));
    Some([(ip(26)?, port(34)?).into(), (ip(30)?, port(36)?).into()])
}

fn sample(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    folder.join(name).with_extension("pcap")
}

/// The sample without what went there; how many packets that were.
fn without(name: &str, place: &str, to: &Path) -> usize {
    let place: SocketAddr = place.parse().unwrap();
    let mut frames = capture::open(&sample(name)).unwrap();
    let mut writer = Writer::new(std::fs::File::create(to).unwrap()).unwrap();
    let mut gone = 0;
    while let Some(frame) = frames.next_frame().unwrap() {
        if ends(frame.data).is_some_and(|ends| ends.contains(&place)) {
            gone += 1;
        } else {
            writer.frame(&frame, None).unwrap();
        }
    }
    writer.finish().unwrap();
    gone
}

/// What the program prints; on stderr as well.
fn imwarden(arguments: &[&str]) -> (String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
        .args(arguments)
        .output()
        .unwrap();
    let words = String::from_utf8(run.stderr).unwrap();
    assert!(run.status.success(), "{arguments:?}: {words}");
    (String::from_utf8(run.stdout).unwrap(), words)
}

fn policy(observed: &Path, more: &[&str]) -> (String, String) {
    let observed = observed.to_str().unwrap();
    imwarden(&[&["policy", "--observed", observed][..], more].concat())
}

/// All but comments; and what `--diff` reads.
fn rules(text: &str) -> Vec<String> {
    let lines = text.lines();
    let rules = lines.filter(|line| !line.starts_with('#') || line.contains("imwarden-rule:"));
    // The two files are the same but for their name.
    rules.map(|line| line.replace(".ndjson", ".pcap")).collect()
}

#[test]
fn what_was_named_is_a_rule_by_the_capture_and_by_its_findings_alike() {
    let folder = tempfile::tempdir().unwrap();
    for case in &CASES {
        let path = folder.path().join("cut.pcap");
        without(case.sample, case.place, &path);
        let (text, _) = policy(&path, &[]);
        let words = format!("named in flow {} of cut.pcap", case.flow);
        let its = |line: &&str| line.contains(&words) && !line.starts_with('#');
        assert!(
            text.lines().any(|line| its(&line)),
            "{}: {words}\n{text}",
            case.sample
        );
        let findings = path.with_extension("ndjson");
        let cut = path.to_str().unwrap();
        let all = ["analyze", "--all", "--format", "ndjson", "-o"];
        imwarden(&[&all[..], &[findings.to_str().unwrap(), cut]].concat());
        for format in ["nftables", "iptables-script"] {
            let (by_capture, said) = policy(&path, &["--format", format]);
            let (by_findings, also) = policy(&findings, &["--format", format]);
            assert_eq!(rules(&by_capture), rules(&by_findings), "{}", case.sample);
            let left_open = |said: &str| -> Vec<String> {
                let lines = said.lines().filter(|line| line.contains("no rule for"));
                lines.map(|line| line.replace(".ndjson", ".pcap")).collect()
            };
            assert_eq!(left_open(&said), left_open(&also), "{}", case.sample);
        }
    }
}

/// Rules in force, and connections through them.
struct Tried<'a> {
    lab: &'a mut Lab,
    /// Rules are there as long as it is.
    _firewall: Firewall,
    next: u16,
}

impl Tried<'_> {
    fn new(lab: &mut Lab, backend: Backend, text: String) -> Tried<'_> {
        Tried {
            _firewall: Firewall::load(backend, &Rules::of(text).unwrap()).unwrap(),
            lab,
            next: 20_000,
        }
    }

    fn say(&mut self, it: &mut Conversation, way: Direction, opens: bool, said: &[u8]) -> bool {
        let bytes = it.segment(way, opens, false, said);
        self.lab.refusal().unwrap();
        self.lab.passes(way, &bytes).unwrap()
    }

    /// A connection, if it is let in.
    fn opens(&mut self, to: SocketAddr) -> Option<Conversation> {
        self.next += 1;
        let mut it = Conversation {
            client: Endpoint::new([192, 0, 2, 10].into(), self.next),
            server: Endpoint::new(to.ip(), to.port()),
            sent: [1_000, 7_000],
        };
        self.say(&mut it, Direction::ToServer, true, b"")
            .then_some(it)
    }

    /// Whether such a first request comes through on a connection that is let in.
    fn asks(&mut self, to: SocketAddr, said: &[u8]) -> bool {
        let mut it = self.opens(to).unwrap();
        assert!(self.say(&mut it, Direction::ToClient, true, b""), "{to}");
        assert!(self.say(&mut it, Direction::ToServer, false, b""), "{to}");
        self.say(&mut it, Direction::ToServer, false, said)
    }
}

fn refused_and_beside(lab: &mut Lab, backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let format = match backend {
        Backend::Nftables => "nftables",
        _ => "iptables-script",
    };
    for case in &CASES {
        let path = folder.path().join("cut.pcap");
        without(case.sample, case.place, &path);
        let (text, _) = policy(&path, &["--format", format]);
        let mut it = Tried::new(lab, backend, text);
        let place: SocketAddr = case.place.parse().unwrap();
        match case.opening {
            None => assert!(it.opens(place).is_none(), "{}", case.place),
            Some(said) => {
                assert!(!it.asks(place, said), "{}", case.place);
                assert!(
                    it.asks(place, b"\x16\x03\x01\x00\x40\x01"),
                    "a hello of TLS"
                );
                assert!(it.asks(place, b"GET / HTTP/1.1\r\n\r\n"));
            }
        }
        // The next port, and the next host.
        let mut port = place;
        port.set_port(place.port() + 7);
        let host = match place.ip() {
            std::net::IpAddr::V4(ip) => std::net::Ipv4Addr::from_bits(ip.to_bits() ^ 1),
            std::net::IpAddr::V6(_) => panic!("the samples name none"),
        };
        let opening = case.opening.unwrap_or(b"hello");
        for beside in [port, SocketAddr::new(host.into(), place.port())] {
            assert!(it.asks(beside, opening), "{beside} beside {}", case.place);
        }
    }
}

#[test]
#[ignore = "the inside of the test below; it starts it itself"]
fn inside_the_network() {
    if let Some((backend, _)) = again::role(INSIDE) {
        refused_and_beside(&mut Lab::new().unwrap(), backend);
    }
}

#[test]
fn the_place_that_was_named_is_refused_and_what_is_beside_it_is_not() {
    again::on_each_firewall("inside_the_network", INSIDE, "named", &[]);
}

#[test]
fn a_flow_that_is_not_sure_names_nothing_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, confidence: &str| {
        let flow = format!(
            r#"{{"schema":"imwarden/1","event_type":"flow","flow_id":7,"src_ip":"10.0.0.5","src_port":1044,"dest_ip":"64.12.25.50","dest_port":5190,"proto":"TCP","service":"aim","app_proto":"oscar","confidence":"{confidence}","path":[]}}"#
        );
        let event = |address: &str| {
            format!(
                r#"{{"schema":"imwarden/1","event_type":"event","flow_id":7,"src_ip":"10.0.0.5","src_port":1044,"dest_ip":"64.12.25.50","dest_port":5190,"proto":"TCP","event":"redirect","address":"{address}","format":"oscar","role":"bos"}}"#
            )
        };
        let path = folder.path().join(name);
        let all = [
            event("205.188.7.9"),
            event("bos.example.com:5190"),
            event("192.168.0.9:5190"),
            event("www.slack.com:5190"),
            event("\\u0007"),
            flow,
        ];
        std::fs::write(&path, all.join("\n")).unwrap();
        path
    };
    let named = |text: &str| text.contains("imwarden-rule: named tcp 205.188.7.9:5190 aim session");
    for (confidence, asked, expected) in [
        ("confirmed", "confirmed", true),
        ("probable", "confirmed", false),
        ("probable", "probable", true),
        ("possible", "probable", false),
    ] {
        let path = write("some.ndjson", confidence);
        let (text, said) = policy(&path, &["--confidence", asked]);
        assert_eq!(named(&text), expected, "{confidence} {asked}\n{text}");
        let told = said.contains("192.168.0.9:5190: a private address")
            && said.contains("www.slack.com:5190: it serves others as well");
        assert_eq!(told, expected, "{said}");
        // A host name is for resolvers, and for a set with its port.
        for format in ["rpz", "unbound", "dnsmasq", "hosts", "squid", "suricata"] {
            let (text, _) = policy(&path, &["--confidence", asked, "--format", format]);
            let rules: Vec<&str> = text
                .lines()
                .filter(|line| !line.starts_with(['#', ';']))
                .collect();
            assert_eq!(
                rules.iter().any(|line| line.contains("bos.example.com")),
                expected,
                "{format}: {text}"
            );
            assert!(!text.contains("address=/www.slack.com/"), "{text}");
        }
        let sets = ["--confidence", asked, "--match", "name"];
        let (text, _) = policy(&path, &sets);
        let set = "imwarden-rule: set bos.example.com aim tcp 5190";
        assert_eq!(text.contains(set), expected, "{text}");
    }
}
