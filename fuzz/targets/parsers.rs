//! The parsers of every protocol family, through the contract that the engine uses.
//!
//! The first byte of an input says which detector of the family and where its bytes lie; the second one what is
//! known around them. The rest is a [`script`](super::script).
//!
//! What must hold, whatever the bytes: no panic; a detector that claims a long input says `NeedMore` or the same of each
//! beginning of it; the claim and the events do not depend on how the bytes were cut; what a dissector holds is bounded;
//! one that says it is done has told everything.

use super::script::{Cuts, Step, What, hash, steps};
use super::stream::with_builtin;
use imwarden::classify::{Claim, Detector, Events, Probe, ProbeInput, Start, registry};
use imwarden::model::{Direction, Event, Evidence, EvidenceKind, Format, Service, Transport};
use std::collections::BTreeSet;

/// What the engine keeps of an undecided direction.
const WINDOW: usize = 16 * 1024;
/// No dissector needs more. The longest unit that one reads as a whole is an OSCAR frame of 64 KiB.
const MOST_HELD: usize = 512 * 1024;

/// A detector, a format that it may claim, to start its dissector with when it does not, and what others may announce.
struct Parser {
    detector: &'static dyn Detector,
    formats: Vec<Format>,
}

fn parser(name: &str, formats: &[(Option<Service>, &'static str, &'static str)]) -> Parser {
    let mut all = registry::FAMILIES.iter().copied().flatten().copied();
    let detector = all
        .find(|detector| detector.name() == name)
        .unwrap_or_else(|| panic!("a detector {name}"));
    let formats = formats.iter().map(|(service, app_proto, role)| Format {
        service: service.clone(),
        app_proto,
        role: service.is_some().then_some(role),
    });
    Parser {
        detector,
        formats: formats.collect(),
    }
}

/// OSCAR in FLAP frames, and TOC.
pub fn oscar(data: &[u8]) {
    let flap = parser(
        "flap",
        &[
            (Some(Service::OSCAR), "oscar", "bos"),
            (Some(Service::AIM), "toc", "bos"),
        ],
    );
    run(&[flap], data);
}

/// TOC: each line of the input is put into a FLAP frame, behind the greeting and the sign-on, so that the texts are read.
pub fn toc(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(2));
    let signon = b"*\x01\0\x01\0\x0d\0\0\0\x01\0\x01\0\x05alice";
    let mut numbers = [1_u16; 2];
    let mut turns = vec![
        (Direction::ToServer, b"FLAPON\r\n\r\n".to_vec()),
        (Direction::ToClient, b"*\x01\0\x01\0\x04\0\0\0\x01".to_vec()),
        (Direction::ToServer, signon.to_vec()),
    ];
    for step in steps(rest) {
        let What::Bytes(bytes) = step.what else {
            continue;
        };
        for line in bytes.split(|byte| *byte == b'\n') {
            let number = &mut numbers[step.direction.index()];
            *number = number.wrapping_add(1);
            let line = &line[..line.len().min(usize::from(u16::MAX))];
            let length = (line.len() as u16).to_be_bytes();
            let frame = [b"*\x02", &number.to_be_bytes()[..], &length, line].concat();
            turns.push((step.direction, frame));
        }
    }
    let turns: Vec<Step> = turns
        .into_iter()
        .map(|(direction, bytes)| Step {
            flow: 0,
            direction,
            what: What::Bytes(bytes),
        })
        .collect();
    let flap = parser("flap", &[(Some(Service::AIM), "toc", "bos")]);
    exercise(&flap, Control::read(head), &turns);
}

/// OSCAR between clients: file transfer, direct connections, and the rendezvous server's own protocol.
pub fn oscar_peer(data: &[u8]) {
    let parsers = [
        parser("oft", &[(Some(Service::OSCAR), "oft", "peer")]),
        parser("odc", &[(Some(Service::OSCAR), "odc", "peer")]),
        parser("ars", &[(Some(Service::OSCAR), "ars", "peer")]),
    ];
    run(&parsers, data);
}

/// ICQ over UDP.
pub fn icq_udp(data: &[u8]) {
    let parser = parser("icq-udp", &[(Some(Service::ICQ), "icq-udp", "session")]);
    run(&[parser], data);
}

/// ICQ between clients.
pub fn icq_direct(data: &[u8]) {
    let parser = parser("icq-direct", &[(Some(Service::ICQ), "icq-direct", "peer")]);
    run(&[parser], data);
}

/// MSN's sessions.
pub fn msnp(data: &[u8]) {
    let roles = ["notification", "switchboard", "dispatch"];
    let formats = roles.map(|role| (Some(Service::MSN), "msnp", role));
    run(&[parser("msnp", &formats)], data);
}

/// MSN between clients.
pub fn msn_peer(data: &[u8]) {
    let parsers = [
        parser("msnftp", &[(Some(Service::MSN), "msnftp", "peer")]),
        parser("msn-p2p", &[(Some(Service::MSN), "msn-p2p", "peer")]),
        parser("msn-webcam", &[(Some(Service::MSN), "msn-webcam", "peer")]),
    ];
    run(&parsers, data);
}

/// Yahoo's sessions.
pub fn ymsg(data: &[u8]) {
    let parser = parser("ymsg", &[(Some(Service::YAHOO), "ymsg", "session")]);
    run(&[parser], data);
}

/// Yahoo's other servers: pictures and webcams.
pub fn yahoo_peer(data: &[u8]) {
    let webcam = ["master", "viewer", "uploader"];
    let webcam = webcam.map(|role| (Some(Service::YAHOO), "yahoo-webcam", role));
    let parsers = [
        parser("ypns", &[(Some(Service::YAHOO), "ypns", "session")]),
        parser("yahoo-webcam", &webcam),
    ];
    run(&parsers, data);
}

/// HTTP: what messengers say in it, and what runs through CONNECT.
pub fn http(data: &[u8]) {
    run(&[parser("http", &[(None, "http", "")])], data);
}

/// SOCKS, with what runs inside.
pub fn socks(data: &[u8]) {
    let parsers = [
        parser("socks", &[(None, "socks5", ""), (None, "socks4", "")]),
        parser("socks-udp", &[(None, "socks5", "")]),
    ];
    run(&parsers, data);
}

/// TLS.
pub fn tls(data: &[u8]) {
    run(&[parser("tls", &[(None, "tls", "")])], data);
}

/// QUIC's Initial packets, with the hellos in them.
pub fn quic(data: &[u8]) {
    run(&[parser("quic", &[(None, "quic", "")])], data);
}

/// XMPP, between clients and servers and between servers.
pub fn xmpp(data: &[u8]) {
    let roles = ["client", "server"];
    let formats = roles.map(|role| (Some(Service::named("xmpp")), "xmpp", role));
    run(&[parser("xmpp", &formats)], data);
}

/// IRC.
pub fn irc(data: &[u8]) {
    let format = (Some(Service::named("irc")), "irc", "session");
    run(&[parser("irc", &[format])], data);
}

/// Gadu-Gadu.
pub fn gadugadu(data: &[u8]) {
    let format = (Some(Service::named("gadugadu")), "gadu-gadu", "session");
    run(&[parser("gadu-gadu", &[format])], data);
}

/// QQ over TCP and over UDP.
pub fn oicq(data: &[u8]) {
    let format = (Some(Service::named("qq")), "oicq", "session");
    let parsers = ["oicq-tcp", "oicq"].map(|name| parser(name, std::slice::from_ref(&format)));
    run(&parsers, data);
}

/// SIP over UDP and over TCP.
pub fn sip(data: &[u8]) {
    let parsers = ["sip-tcp", "sip"].map(|name| parser(name, &[(None, "sip", "")]));
    run(&parsers, data);
}

/// STUN and TURN over UDP and over TCP, with RTP between them, and what the built-in rules know of calls.
pub fn call(data: &[u8]) {
    let parsers = ["stun", "stun-tcp"].map(|name| parser(name, &[(None, "stun", "")]));
    run(&parsers, data);
}

/// Matrix over HTTP: the first line of each speech is a request's method and path, or an answer's status, and the rest is its
/// body, so that the bodies are read. With `chunked` in that line the body comes in two chunks.
pub fn matrix(data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(2));
    let spoken = steps(rest).into_iter().map(|step| match step.what {
        What::Bytes(bytes) => Step {
            what: What::Bytes(exchange(step.direction, &bytes)),
            ..step
        },
        What::Gap(_) => step,
    });
    let spoken: Vec<Step> = spoken.collect();
    let http = parser("http", &[(None, "http", "")]);
    exercise(&http, Control::read(head), &spoken);
}

fn exchange(direction: Direction, bytes: &[u8]) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, body) = match end {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[][..]),
    };
    let start = match direction {
        Direction::ToServer => [line, b" HTTP/1.1\r\nHost: chat.example.com\r\n"].concat(),
        Direction::ToClient => [b"HTTP/1.1 ", line, b"\r\n"].concat(),
    };
    let kind = b"Content-Type: application/json\r\nAuthorization: Bearer x\r\n".to_vec();
    let chunked = line.windows(7).any(|word| word == b"chunked");
    let framed = if chunked {
        let (one, two) = body.split_at(body.len() / 2);
        let mut framed = b"Transfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in [one, two].into_iter().filter(|chunk| !chunk.is_empty()) {
            framed.extend(format!("{:x}\r\n", chunk.len()).bytes());
            framed.extend([chunk, b"\r\n"].concat());
        }
        framed.extend(b"0\r\n\r\n");
        framed
    } else {
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        [length.as_bytes(), body].concat()
    };
    [start, kind, framed].concat()
}

/// DNS, and the protocols that are known to be none of ours.
pub fn dns(data: &[u8]) {
    let parsers = [
        parser("dns", &[(None, "dns", "")]),
        parser("ordinary", &[(None, "ssh", "")]),
    ];
    run(&parsers, data);
}

fn run(parsers: &[Parser], data: &[u8]) {
    let (head, rest) = data.split_at(data.len().min(2));
    let control = Control::read(head);
    exercise(
        &parsers[control.which % parsers.len()],
        control,
        &steps(rest),
    );
}

/// What the first two bytes of an input say.
#[derive(Clone, Copy, Debug)]
struct Control {
    which: usize,
    start: Start,
    /// Start the dissector even if the detector says no.
    forced: bool,
    format: usize,
    server_port: u16,
    expected: bool,
}

impl Control {
    fn read(head: &[u8]) -> Self {
        let (first, second) = match head {
            [first, second] => (*first, *second),
            _ => (0, 0),
        };
        let starts = [
            Start::Beginning,
            Start::Beginning,
            Start::Joined,
            Start::Later,
        ];
        let ports = [5190, 4000, 1863, 5050, 80, 443, 53, 40_000];
        Self {
            which: usize::from(first & 3),
            start: starts[usize::from(first >> 2 & 3)],
            forced: first & 0x10 != 0,
            format: usize::from(first >> 5 & 3),
            server_port: ports[usize::from(second & 7)],
            expected: second & 8 != 0,
        }
    }
}

fn exercise(parser: &Parser, control: Control, steps: &[Step]) {
    let detector = parser.detector;
    let format = &parser.formats[control.format % parser.formats.len()];
    let asked = Asked {
        detector,
        control,
        expected: control.expected.then_some(format.app_proto),
    };
    let Some((direction, first)) = first_speech(steps) else {
        return;
    };
    let seed = hash(&first);
    let claim = match detector.transport() {
        Transport::Udp => asked.datagram(direction, &first),
        Transport::Tcp => {
            asked.check_beginnings(direction, &first);
            let whole = asked.decide(direction, &first, Cuts::Whole);
            for cuts in [Cuts::Ones, Cuts::Random(seed)] {
                assert_eq!(
                    asked.decide(direction, &first, cuts),
                    whole,
                    "{}: the claim depends on how the bytes were cut ({cuts:?})",
                    detector.name()
                );
            }
            whole.map(|(_, claim)| claim)
        }
    };
    let claim = match claim {
        Some(claim) => claim,
        None if control.forced => Claim {
            format: format.clone(),
            offset: 0,
            sender_is_client: None,
            evidence: Evidence {
                kind: EvidenceKind::Payload,
                what: "forced",
                detail: "".into(),
                packet: 0,
                offset: 0,
            },
        },
        None => return,
    };
    let whole = said(with_builtin(|events| {
        follow(events, detector, &claim, steps, Cuts::Whole)
    }));
    if detector.transport() == Transport::Tcp {
        for cuts in [Cuts::Ones, Cuts::Random(seed)] {
            assert_eq!(
                said(with_builtin(|events| follow(
                    events, detector, &claim, steps, cuts
                ))),
                whole,
                "{}: the events depend on how the bytes were cut ({cuts:?})",
                detector.name()
            );
        }
    }
}

/// What counts of the events: not how often something was told, nor in which order, but for what the stream is.
/// What runs inside a carrier is decided later, so the example that its evidence gives may be another one.
pub fn said(events: Vec<Event>) -> (Vec<String>, BTreeSet<String>) {
    let (mut formats, mut others) = (Vec::new(), BTreeSet::new());
    let mut surest = None;
    for event in events {
        match event {
            Event::Identified {
                format,
                confidence,
                evidence,
            } => {
                // As in the record, a doubt that comes behind the proof takes nothing back.
                surest = surest.max(format.service.is_some().then_some(confidence));
                let confidence = surest.unwrap_or(confidence);
                let said = format!("{format:?} {confidence:?} {}", evidence.what);
                if formats.last() != Some(&said) {
                    formats.push(said);
                }
            }
            event => {
                others.insert(format!("{event:?}"));
            }
        }
    }
    (formats, others)
}

/// What the one who speaks first says until the other does, or until something is missing.
fn first_speech(steps: &[Step]) -> Option<(Direction, Vec<u8>)> {
    let direction = steps.first()?.direction;
    let mut speech = Vec::new();
    for step in steps {
        match &step.what {
            What::Bytes(bytes) if step.direction == direction => speech.extend(bytes),
            _ => break,
        }
    }
    (!speech.is_empty()).then_some((direction, speech))
}

/// A detector and what it is asked.
struct Asked {
    detector: &'static dyn Detector,
    control: Control,
    expected: Option<&'static str>,
}

impl Asked {
    fn probe(&self, direction: Direction, bytes: &[u8], start: Start, ended: bool) -> Probe {
        let answer = self.detector.probe(&ProbeInput {
            direction,
            bytes,
            start,
            wire_len: bytes.len(),
            ended,
            server_port: self.control.server_port,
            expected: self.expected,
            signatures: None,
        });
        match &answer {
            Probe::NeedMore { from, total } => assert!(
                *from <= bytes.len() && *total > bytes.len(),
                "{}: more than {} bytes wanted, {answer:?}",
                self.detector.name(),
                bytes.len()
            ),
            Probe::Likely(claim) | Probe::Certain(claim) => assert!(
                claim.offset <= bytes.len(),
                "{}: {answer:?} of {} bytes",
                self.detector.name(),
                bytes.len()
            ),
            Probe::No => {}
        }
        answer
    }

    /// A datagram, whole and as the snap length cuts it.
    fn datagram(&self, direction: Direction, bytes: &[u8]) -> Option<Claim> {
        let ask = |bytes: &[u8], wire_len| {
            self.detector.probe(&ProbeInput {
                direction,
                bytes,
                start: Start::Beginning,
                wire_len,
                ended: true,
                server_port: self.control.server_port,
                expected: self.expected,
                signatures: None,
            })
        };
        for cut in beginnings(bytes.len()) {
            ask(&bytes[..cut], bytes.len());
        }
        match ask(bytes, bytes.len()) {
            Probe::Likely(claim) | Probe::Certain(claim) => Some(claim),
            _ => None,
        }
    }

    /// Whatever is claimed of a long input must be open or the same for its beginnings.
    fn check_beginnings(&self, direction: Direction, bytes: &[u8]) {
        let start = self.control.start;
        let bytes = &bytes[..bytes.len().min(WINDOW)];
        let whole = self.probe(direction, bytes, start, false);
        if !matches!(whole, Probe::Likely(_) | Probe::Certain(_)) {
            return;
        }
        for length in beginnings(bytes.len()) {
            let answer = self.probe(direction, &bytes[..length], start, false);
            assert!(
                answer == whole || matches!(answer, Probe::NeedMore { .. }),
                "{}: {answer:?} of {length} bytes, then {whole:?} of {}",
                self.detector.name(),
                bytes.len()
            );
        }
    }

    /// The claim, and where the dissector begins, as the engine comes to it.
    fn decide(&self, direction: Direction, bytes: &[u8], mut cuts: Cuts) -> Option<(bool, Claim)> {
        let (mut from, mut have, mut ask_at) = (0, 0, 0);
        let mut start = self.control.start;
        let claimed = |from: usize, answer| match answer {
            Probe::Likely(claim) => Some((false, from, claim)),
            Probe::Certain(claim) => Some((true, from, claim)),
            _ => None,
        };
        let mut found = None;
        for piece in cuts.pieces(bytes) {
            have += piece.len();
            let window = &bytes[from..have];
            if window.len() < ask_at {
                continue;
            }
            let full = window.len() >= WINDOW;
            let answer = self.probe(direction, window, start, full);
            found = claimed(from, answer.clone());
            match answer {
                _ if found.is_some() => break,
                Probe::NeedMore {
                    from: ruled_out,
                    total,
                } if !full => {
                    if ruled_out > 0 {
                        start = Start::Later;
                        from += ruled_out;
                    }
                    ask_at = total.saturating_sub(ruled_out).min(WINDOW);
                }
                _ if start == Start::Beginning => return None,
                _ => {
                    (from, start, ask_at) = (have, Start::Later, 0);
                }
            }
        }
        if found.is_none() && from < have {
            found = claimed(from, self.probe(direction, &bytes[from..have], start, true));
        }
        let (certain, from, mut claim) = found?;
        claim.offset += from;
        Some((certain, claim))
    }
}

/// Lengths of beginnings: all short ones, then fewer and fewer.
fn beginnings(length: usize) -> impl Iterator<Item = usize> {
    let mut next = 0;
    std::iter::from_fn(move || {
        next += 1 + next / 64;
        Some(next)
    })
    .take_while(move |next| *next < length)
}

/// Everything that a dissector tells of the steps.
fn follow(
    events: &mut Events,
    detector: &'static dyn Detector,
    claim: &Claim,
    steps: &[Step],
    mut cuts: Cuts,
) -> Vec<Event> {
    let mut dissector = detector.dissector(claim);
    let mut told: Vec<Event> = Vec::new();
    let mut skip = claim.offset;
    let speaker = steps.first().map(|step| step.direction);
    let mut done = false;
    for step in steps {
        match &step.what {
            What::Bytes(bytes) => {
                // What lies before the claim is not fed.
                let skipped = match Some(step.direction) == speaker {
                    true => skip.min(bytes.len()),
                    false => 0,
                };
                skip -= skipped;
                let pieces = match detector.transport() {
                    Transport::Tcp => cuts.pieces(&bytes[skipped..]),
                    Transport::Udp => vec![&bytes[skipped..]],
                };
                for piece in pieces {
                    dissector.feed(step.direction, piece, events);
                    let held = dissector.memory();
                    assert!(held <= MOST_HELD, "{} holds {held} bytes", detector.name());
                }
            }
            What::Gap(missing) => dissector.gap(step.direction, *missing, events),
        }
        assert!(
            !done || events.is_empty(),
            "{} was done, and then told {:?}",
            detector.name(),
            events.as_ref()
        );
        assert!(
            !done || dissector.is_done(),
            "{} was done once",
            detector.name()
        );
        done = dissector.is_done();
        told.extend(events.drain());
    }
    dissector.end(events);
    told.extend(events.drain());
    told
}
