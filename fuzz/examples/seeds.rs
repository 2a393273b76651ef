//! Makes inputs to begin with out of `sample-pcaps/`, `rules/` and the importers' tests: `cargo run --example seeds -- FOLDER`.
//!
//! What a flow is, is taken from the program's own answer: a seed in the wrong place does no harm.

use flate2::{Compression, write::GzEncoder};
use imwarden::capture;
use imwarden::flow::{Chunk, FlowHandler, FlowInfo, Interest, Timeouts, Tracker};
use imwarden::model::{Direction, FlowKey, Packet, Transport};
use imwarden::packet::{Decoded, FrameMeta, decode};
use imwarden::pipeline::{self, Settings};
use imwarden::ruleset::RuleSet;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use targets::script::{Step, What, hash, write};

/// Longest speech of one side, and longest conversation, in a seed.
const SPEECH: usize = 900;
const CONVERSATION: usize = 5000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::args_os().nth(1).ok_or("say where to")?;
    let out = Seeds(PathBuf::from(out));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["rules", "rules/modern"] {
        for entry in std::fs::read_dir(root.join(folder))? {
            let path = entry?.path();
            if path.is_dir() {
                continue;
            }
            let text = std::fs::read(path)?;
            out.put("rules", &text)?;
            out.put("rules", &text[..text.len().min(1500)])?;
        }
    }
    let test = std::fs::read_to_string(root.join("tests/policy_file.rs"))?;
    for text in test
        .split("r#\"")
        .skip(1)
        .filter_map(|rest| rest.split("\"#").next())
    {
        out.put("policy", text.as_bytes())?;
    }
    imports(&out, &root)?;
    for entry in std::fs::read_dir(root.join("sample-pcaps"))? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "pcap")
        {
            conversations(&out, &path)?;
            files(&out, &path)?;
        }
    }
    Ok(())
}

struct Seeds(PathBuf);

impl Seeds {
    fn put(&self, target: &str, bytes: &[u8]) -> std::io::Result<()> {
        let folder = self.0.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{:016x}", hash(bytes))), bytes)
    }
}

/// The head of the capture as each kind of file, and its frames.
fn files(out: &Seeds, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let mut source = capture::open(path)?;
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame()? {
        frames.push(frame.data.to_vec());
        if frames.len() == 12 {
            break;
        }
    }
    let length = 24
        + frames
            .iter()
            .take(6)
            .map(|frame| 16 + frame.len())
            .sum::<usize>();
    let head = &bytes[..length.min(bytes.len())];
    let ng = pcapng(&frames[..frames.len().min(6)]);
    out.put("pcap", head)?;
    out.put("pcapng", &ng)?;
    for inner in [head, &ng[..]] {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(inner)?;
        out.put("compressed", &encoder.finish()?)?;
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        out.put(
            "compressed",
            &ruzstd::encoding::compress_to_vec(inner, level),
        )?;
    }
    let mut all = vec![0, 4];
    for frame in &frames {
        out.put("decode", &[&[0, 0], &frame[..]].concat())?;
        all.extend([0xb5, 0xb6, 0xb7, 3, 0]);
        all.extend(frame);
    }
    out.put("frames", &all)?;
    for (link, wrapped) in frames.iter().take(4).flat_map(|frame| wrap(frame)) {
        out.put("decode", &[&[link, 0], &wrapped[..]].concat())?;
        out.put(
            "frames",
            &[&[link, 0, 0xb5, 0xb6, 0xb7, 1, 0], &wrapped[..]].concat(),
        )?;
    }
    Ok(())
}

/// One frame on other wires: number of the link type in the target's table, and bytes.
fn wrap(frame: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let Some((mac, ip)) = frame.split_at_checked(14) else {
        return Vec::new();
    };
    let ethernet = |kind: &[u8], rest: &[u8]| (0, [&mac[..12], kind, rest].concat());
    let outer = |protocol: u8, rest: &[u8]| {
        let length = (rest.len() as u16 + 20).to_be_bytes();
        let start = [
            0x45, 0, length[0], length[1], 0, 7, 0, 0, 64, protocol, 0, 0,
        ];
        [&start[..], &[10, 1, 0, 1, 10, 1, 0, 2], rest].concat()
    };
    let udp = |port: u16, rest: &[u8]| {
        let length = (rest.len() as u16 + 8).to_be_bytes();
        outer(
            17,
            &[
                &port.to_be_bytes(),
                &port.to_be_bytes(),
                &length,
                &[0, 0][..],
                rest,
            ]
            .concat(),
        )
    };
    let v6 = {
        let payload = ip.get(20..).unwrap_or_default();
        let length = (payload.len() as u16 + 8).to_be_bytes();
        let protocol = ip.get(9).copied().unwrap_or(6);
        // Behind a hop-by-hop header.
        let start = [0x60, 0, 0, 0, length[0], length[1], 0, 64];
        [
            &start[..],
            &[0xfd; 32],
            &[protocol, 0, 1, 4, 0, 0, 0, 0],
            payload,
        ]
        .concat()
    };
    let fragment = {
        let mut piece = ip[..ip.len().min(44)].to_vec();
        piece[6] = 0x20;
        let length = (piece.len() as u16).to_be_bytes();
        piece[2..4].copy_from_slice(&length);
        piece
    };
    vec![
        ethernet(&[0x81, 0, 0, 7, 8, 0], ip),
        ethernet(&[0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0], ip),
        ethernet(&[0x91, 0, 0, 7, 0x81, 0, 0, 8, 8, 0], ip),
        ethernet(&[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64], ip),
        ethernet(&[0x88, 0x47, 0, 1, 1, 64, 0, 0, 0, 0], frame),
        ethernet(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 60, 0, 0x21], ip),
        ethernet(&[0x86, 0xdd], &v6),
        ethernet(&[8, 0], &fragment),
        ethernet(&[8, 0], &outer(4, ip)),
        ethernet(&[8, 0], &outer(41, &v6)),
        ethernet(&[8, 0], &outer(47, &[&[0, 0, 8, 0], ip].concat())),
        ethernet(
            &[8, 0],
            &outer(
                47,
                &[
                    &[0xb0, 0, 0x65, 0x58, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2],
                    frame,
                ]
                .concat(),
            ),
        ),
        ethernet(
            &[8, 0],
            &outer(
                47,
                &[
                    &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 1, 0, 1, 0, 0, 0, 0],
                    frame,
                ]
                .concat(),
            ),
        ),
        ethernet(
            &[8, 0],
            &outer(
                47,
                &[
                    &[
                        0x30, 1, 0x88, 0x0b, 0, 60, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21,
                    ],
                    ip,
                ]
                .concat(),
            ),
        ),
        ethernet(
            &[8, 0],
            &udp(4789, &[&[8, 0, 0, 0, 0, 0, 1, 0], frame].concat()),
        ),
        ethernet(
            &[8, 0],
            &udp(
                6081,
                &[&[1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 0, 0, 0], frame].concat(),
            ),
        ),
        ethernet(
            &[8, 0],
            &udp(
                2152,
                &[&[0x32, 0xff, 0, 64, 0, 0, 0, 1, 0, 1, 0, 0], ip].concat(),
            ),
        ),
        ethernet(&[8, 0], &udp(3544, &v6)),
        ethernet(
            &[8, 0],
            &udp(1701, &[&[0, 2, 0, 1, 0, 1, 0xff, 3, 0, 0x21], ip].concat()),
        ),
        ethernet(&[8, 0], &udp(37008, &[&[1, 0, 0, 1, 1], frame].concat())),
        (1, [&[2, 0, 0, 0], ip].concat()),
        (9, [&[0, 0, 0, 2], ip].concat()),
        (2, [&[0xff, 3, 0, 0x21], ip].concat()),
        (5, [&[0xff, 3, 0, 0x21], ip].concat()),
        (6, [&[0x11, 0, 0, 1, 0, 60, 0, 0x21], ip].concat()),
        (
            10,
            [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 8, 0], ip].concat(),
        ),
        (
            15,
            [
                &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0],
                ip,
            ]
            .concat(),
        ),
        (8, ip.to_vec()),
        (
            7,
            [
                &[8, 1, 0, 0],
                &[2; 18][..],
                &[0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
                ip,
            ]
            .concat(),
        ),
        (
            11,
            [
                &[0, 0, 8, 0, 0, 0, 0, 0, 0x88, 2, 0, 0],
                &[2; 18][..],
                &[0, 0, 0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
                ip,
            ]
            .concat(),
        ),
        (
            12,
            [
                &[0, 0, 8, 0, 105, 0, 0, 0, 8, 1, 0, 0],
                &[2; 18][..],
                &[0, 0, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0],
                ip,
            ]
            .concat(),
        ),
    ]
}

/// A section with one interface and these frames, each in its own kind of block.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, body: &[u8]| {
        let padded = body.len().next_multiple_of(4);
        let length = (padded as u32 + 12).to_le_bytes();
        let mut block = [&kind.to_le_bytes(), &length, body].concat();
        block.resize(padded + 8, 0);
        block.extend(length);
        block
    };
    let section = [&[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0][..], &[0xff; 8]].concat();
    let mut out = block(0x0a0d_0d0a, &section);
    out.extend(block(
        1,
        &[1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0],
    ));
    for (number, frame) in frames.iter().enumerate() {
        let length = (frame.len() as u32).to_le_bytes();
        let time = (1_700_000_000_000_u64 + number as u64).to_le_bytes();
        let (low, high) = time.split_at(4);
        match number % 3 {
            0 | 1 => out.extend(block(
                6,
                &[&[0; 4], high, low, &length, &length, frame].concat(),
            )),
            _ => out.extend(block(3, &[&length[..], frame].concat())),
        }
    }
    out.extend(block(
        5,
        &[
            0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
    ));
    out
}

/// What is said in each flow.
fn conversations(out: &Seeds, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let rules = RuleSet::builtin()?;
    let settings = Settings {
        keep_all: true,
        ..Settings::default()
    };
    let mut source = capture::open(path)?;
    let never = AtomicBool::new(false);
    let mut findings = Vec::new();
    let sink = &mut |finding| findings.push(finding);
    pipeline::run(source.as_mut(), &rules, settings, &never, &mut |_| {}, sink);
    let mut tracker = Tracker::new(Recorder::default(), 1 << 28, Timeouts::default(), 1);
    let mut source = capture::open(path)?;
    let mut number = 0;
    while let Some(frame) = source.next_frame()? {
        number += 1;
        let meta = FrameMeta {
            number,
            timestamp: frame.timestamp,
            link: frame.link,
            wire_len: frame.wire_len,
        };
        if let Decoded::Packet(packet) = decode(meta, frame.data) {
            tracker.packet(&packet);
        }
    }
    let (recorder, _) = tracker.finish();
    let mut together = Vec::new();
    let mut used = [false; 8];
    for (id, (_, transport, port, steps)) in recorder.flows {
        let finding = findings.iter().find(|finding| finding.flow_id == id);
        let app_proto = finding
            .and_then(|finding| finding.app_proto)
            .unwrap_or("none");
        let carrier = finding.and_then(|finding| finding.carriers.first().copied());
        let script = write(&steps);
        let port_bits = port_bits(port);
        for (target, first) in places(app_proto, carrier, transport, port) {
            let script = match target {
                "matrix" => write(&exchanges(&steps)),
                _ => script.clone(),
            };
            out.put(target, &[&[first, port_bits], &script[..]].concat())?;
            out.put(target, &[&[first | 0x10, port_bits], &script[..]].concat())?;
        }
        let udp = if transport == Transport::Udp { 0x40 } else { 0 };
        out.put("stream", &[&[udp | port_bits], &script[..]].concat())?;
        let wanted = engine_flow(transport, port);
        let free = (0..8).map(|step| (wanted + step) % 8);
        let fits = |flow: &usize| (*flow >= 6) == (transport == Transport::Udp) && !used[*flow];
        if let Some(flow) = free.filter(fits).next() {
            used[flow] = true;
            together.extend(steps.into_iter().map(|step| Step { flow, ..step }));
        }
    }
    let engine = write(&together);
    out.put("engine", &[&[0xff], &engine[..]].concat())?;
    out.put("engine", &[&[0], &engine[..]].concat())?;
    Ok(())
}

fn port_bits(port: u16) -> u8 {
    [5190, 4000, 1863, 5050, 80, 443, 53]
        .iter()
        .position(|known| *known == port)
        .unwrap_or(7) as u8
}

fn engine_flow(transport: Transport, port: u16) -> usize {
    match (transport, port) {
        (Transport::Udp, 53) => 6,
        (Transport::Udp, _) => 7,
        (_, 5190) => 0,
        (_, 1863) => 1,
        (_, 5050) => 2,
        (_, 80) => 3,
        (_, 443) => 4,
        _ => 5,
    }
}

/// Targets that a flow is a seed of, each with its first byte.
fn places(
    app_proto: &str,
    carrier: Option<&str>,
    transport: Transport,
    port: u16,
) -> Vec<(&'static str, u8)> {
    if let Some(carrier) = carrier {
        return match carrier.starts_with("socks") {
            true => vec![("socks", udp(transport))],
            false => vec![("http", 0)],
        };
    }
    vec![match app_proto {
        "oscar" => ("oscar", 0),
        "toc" => return vec![("oscar", 0), ("toc", 0)],
        "oft" => ("oscar_peer", 0),
        "odc" => ("oscar_peer", 1),
        "ars" => ("oscar_peer", 2),
        "icq-udp" => ("icq_udp", 0),
        "icq-direct" => ("icq_direct", 0),
        "msnp" => ("msnp", 0),
        "msnftp" => ("msn_peer", 0),
        "msn-p2p" => ("msn_peer", 1),
        "msn-webcam" => ("msn_peer", 2),
        "ymsg" => ("ymsg", 0),
        "ypns" => ("yahoo_peer", 0),
        "yahoo-webcam" => ("yahoo_peer", 1),
        "tls" => ("tls", 0),
        "dns" => ("dns", 0),
        "quic" => ("quic", 0),
        "gadu-gadu" => ("gadugadu", 0),
        "matrix-http" => return vec![("http", 0), ("matrix", 0)],
        "sip" => ("sip", udp(transport)),
        "oicq" => ("oicq", udp(transport)),
        "stun" => ("call", 1 - udp(transport)),
        "xmpp" => ("xmpp", 0),
        "irc" => ("irc", 0),
        proto if proto.contains("http") => ("http", 0),
        _ if transport == Transport::Udp && port == 53 => ("dns", 0),
        _ if transport == Transport::Tcp && port == 443 => ("tls", 0),
        _ if transport == Transport::Tcp && port == 80 => ("http", 0),
        _ if transport == Transport::Tcp && port == 1080 => ("socks", 0),
        _ if transport == Transport::Tcp => ("dns", 1),
        _ => return Vec::new(),
    }]
}

fn udp(transport: Transport) -> u8 {
    u8::from(transport == Transport::Udp)
}

/// Speeches of HTTP as `targets/parsers.rs` takes those of Matrix: what is asked or answered, and the body.
fn exchanges(steps: &[Step]) -> Vec<Step> {
    let exchange = |step: &Step| {
        let What::Bytes(bytes) = &step.what else {
            return None;
        };
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let line = bytes.split(|byte| *byte == b'\r').next()?;
        let line = match step.direction {
            Direction::ToServer => line.strip_suffix(b" HTTP/1.1")?,
            Direction::ToClient => line.strip_prefix(b"HTTP/1.1 ")?,
        };
        let what = What::Bytes([line, b"\n", &bytes[head + 4..]].concat());
        Some(Step {
            what,
            ..step.clone()
        })
    };
    steps.iter().filter_map(exchange).collect()
}

/// What the tests of the importers take, each as a file.
fn imports(out: &Seeds, root: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let test = std::fs::read_to_string(root.join("src/ruleset/import/tests.rs"))?;
    let strings = |begin: &str| -> Vec<String> {
        let texts = test.split(begin).skip(1);
        let texts = texts.filter_map(|rest| rest.split('"').next());
        texts.map(str::to_owned).collect()
    };
    for pattern in strings("r\"").iter().chain(&strings("(\"^")) {
        let pattern = format!("^{}", pattern.trim_start_matches('^'));
        let file = format!("# A chat.\nchat\n{pattern}\n");
        let asked = [
            file.as_bytes(),
            b"\xb5\xb6\x00hello there, parrot\xb5\xb6\x01YMSG",
        ]
        .concat();
        out.put("import_l7", &asked)?;
    }
    let rules = test.split("alert ").skip(1).filter_map(|rest| {
        let rule = rest.split(";)").next()?;
        let rule = rule.replace("\\\"", "\"").replace("\\\\", "\\");
        Some(format!("alert {rule};)\n"))
    });
    for rule in rules {
        let asked = [
            rule.as_bytes(),
            b"\xb5\xb6\x00HELLO there\xb5\xb6\x01\x00\x01\x00\x46",
        ]
        .concat();
        out.put("import_suricata", &asked)?;
    }
    let all: String = ["sid:1", "sid:2"]
        .into_iter()
        .zip(["HELLO", "|48 45|LP"])
        .map(|(sid, content)| {
            format!("alert tcp any any -> any 7000 (msg:\"x\"; content:\"{content}\"; startswith; {sid};)\n")
        })
        .collect();
    out.put(
        "import_suricata",
        &[all.as_bytes(), b"\xb5\xb6\x00HELP"].concat(),
    )?;
    Ok(())
}

type Flow = (FlowKey, Transport, u16, Vec<Step>);

#[derive(Default)]
struct Recorder {
    flows: BTreeMap<u64, Flow>,
}

impl Recorder {
    fn say(&mut self, info: &FlowInfo, direction: Direction, bytes: &[u8]) {
        let (_, transport, _, steps) = self.flows.entry(info.id).or_insert_with(|| {
            (
                info.tuple.key(),
                info.tuple.transport,
                info.tuple.server.port,
                Vec::new(),
            )
        });
        let so_far: usize = steps.iter().map(|step| length(&step.what)).sum();
        if so_far > CONVERSATION {
            return;
        }
        if let Some(last) = steps.last_mut()
            && last.direction == direction
            && *transport == Transport::Tcp
            && let What::Bytes(speech) = &mut last.what
        {
            let room = SPEECH.saturating_sub(speech.len());
            speech.extend(&bytes[..bytes.len().min(room)]);
            return;
        }
        let what = What::Bytes(bytes[..bytes.len().min(SPEECH)].to_vec());
        steps.push(Step {
            flow: 0,
            direction,
            what,
        });
    }
}

fn length(what: &What) -> usize {
    match what {
        What::Bytes(bytes) => bytes.len(),
        What::Gap(_) => 0,
    }
}

impl FlowHandler for Recorder {
    type State = ();

    fn sent_by_client(&self, packet: &Packet<'_>) -> bool {
        packet.src.port > packet.dst.port
    }

    fn open(&mut self, _: &FlowInfo) {}

    fn stream(&mut self, info: &FlowInfo, (): &mut (), direction: Direction, chunk: Chunk<'_>) {
        if let Chunk::Data(bytes) = chunk {
            self.say(info, direction, bytes);
        }
    }

    fn stream_end(&mut self, _: &FlowInfo, (): &mut (), _: Direction) {}

    fn datagram(
        &mut self,
        info: &FlowInfo,
        (): &mut (),
        direction: Direction,
        payload: &[u8],
        _: usize,
    ) {
        self.say(info, direction, payload);
    }

    fn wants_bytes(&self, (): &()) -> bool {
        true
    }

    fn interest(&self, (): &()) -> Interest {
        Interest::Undecided
    }

    fn memory(&self, (): &()) -> usize {
        0
    }

    fn close(&mut self, _: &FlowInfo, (): ()) {}
}
