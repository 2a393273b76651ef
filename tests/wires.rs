//! The sample captures again, wrapped in every link layer and tunnel, and in every ordered pair of tunnels: the
//! verdicts and what is told beside them stay the same, and what was silent stays silent.
//!
//! The headers are made here, from the protocols' specifications, and share nothing with the decoder.
#![allow(clippy::unwrap_used)]

use imwarden::capture::{self, CaptureError, Frame, FrameSource, SourceStats};
use imwarden::model::{Finding, LinkType, Timestamp};
use imwarden::pipeline::{self, Settings};
use imwarden::ruleset::RuleSet;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

type Frames = Vec<(Timestamp, Vec<u8>)>;

/// Ethernet frames of a sample.
fn sample(path: &Path) -> Frames {
    let mut source = capture::open(path).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = source.next_frame().unwrap() {
        frames.push((frame.timestamp, frame.data.to_vec()));
    }
    frames
}

/// Frames in memory, as a source.
struct Memory {
    link: LinkType,
    frames: Frames,
    at: usize,
}

impl FrameSource for Memory {
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        self.at += 1;
        Ok(self.frames.get(self.at - 1).map(|(timestamp, data)| Frame {
            timestamp: *timestamp,
            link: self.link,
            data,
            wire_len: u32::try_from(data.len()).unwrap(),
        }))
    }

    fn stats(&self) -> SourceStats {
        SourceStats::default()
    }
}

/// Everything that is told of each flow, but for lengths, which a tunnel changes, and the path.
fn told(link: LinkType, frames: Frames) -> Vec<(String, String)> {
    static RULES: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::builtin().unwrap());
    let mut source = Memory {
        link,
        frames,
        at: 0,
    };
    let mut findings: Vec<Finding> = Vec::new();
    let sink = &mut |finding| findings.push(finding);
    let stop = AtomicBool::new(false);
    let settings = Settings::default();
    pipeline::run(&mut source, &RULES, settings, &stop, &mut |_| {}, sink);
    findings.sort_by_key(|finding| finding.flow_id);
    findings
        .into_iter()
        .map(|mut finding| {
            let path: Vec<String> = finding.path.iter().map(|layer| layer.to_string()).collect();
            finding.path = imwarden::model::LayerPath::default();
            finding.counts.bytes = 0;
            (format!("{finding:?}"), path.join(" > "))
        })
        .collect()
}

/// Puts an IP datagram behind an Ethernet header.
fn ethernet(datagram: &[u8]) -> Vec<u8> {
    let kind: u16 = if datagram[0] >> 4 == 4 {
        0x0800
    } else {
        0x86dd
    };
    frame(kind, datagram)
}

fn frame(kind: u16, payload: &[u8]) -> Vec<u8> {
    let addresses = [2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8];
    [&addresses[..], &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 header between two routers.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let mut header = vec![
        0x45, 0, total[0], total[1], 0, 7, 0x40, 0, 64, protocol, 0, 0,
    ];
    header.extend([198, 51, 100, 1, 198, 51, 100, 2]);
    [&header, payload].concat()
}

fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let header = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
    ipv4(17, &[&header, payload].concat())
}

fn gre(flags: u16, kind: u16, fields: &[u8], payload: &[u8]) -> Vec<u8> {
    let header = [flags, kind].map(u16::to_be_bytes).concat();
    ipv4(47, &[&header, fields, payload].concat())
}

fn ether_type(datagram: &[u8]) -> [u8; 2] {
    if datagram[0] >> 4 == 4 {
        [8, 0]
    } else {
        [0x86, 0xdd]
    }
}

fn ppp(datagram: &[u8]) -> Vec<u8> {
    let protocol = if datagram[0] >> 4 == 4 { 0x21 } else { 0x57 };
    [&[0xff, 3, 0, protocol][..], datagram].concat()
}

/// A tunnel: its name in the path, and a datagram that carries another.
type Tunnel = (&'static str, fn(&[u8]) -> Vec<u8>);

/// "ipip" and "6in4" are one tunnel here; the version of what is inside decides.
const TUNNELS: [Tunnel; 10] = [
    ("ip", |inner| {
        ipv4(if inner[0] >> 4 == 4 { 4 } else { 41 }, inner)
    }),
    ("gre", |inner| {
        let [high, low] = ether_type(inner);
        gre(0xb000, u16::from_be_bytes([high, low]), &[0; 12], inner)
    }),
    ("gre", |inner| gre(0, 0x6558, &[], &ethernet(inner))),
    ("gre > erspan", |inner| {
        let mirrored = [&[0x10, 7, 0, 1, 0, 0, 0, 0][..], &ethernet(inner)].concat();
        gre(0x1000, 0x88be, &[0; 4], &mirrored)
    }),
    ("vxlan 42", |inner| {
        udp(
            4789,
            &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &ethernet(inner)].concat(),
        )
    }),
    ("geneve 43", |inner| {
        udp(
            6081,
            &[
                &[1, 0, 0x65, 0x58, 0, 0, 43, 0, 1, 2, 3, 0][..],
                &ethernet(inner),
            ]
            .concat(),
        )
    }),
    ("gtp-u 0x2c", |inner| {
        let length = u16::try_from(4 + inner.len()).unwrap().to_be_bytes();
        let header = [&[0x32, 0xff][..], &length, &[0, 0, 0, 0x2c, 0, 1, 0, 0]].concat();
        udp(2152, &[&header, inner].concat())
    }),
    ("l2tp", |inner| {
        udp(1701, &[&[0, 2, 0, 1, 0, 2][..], &ppp(inner)].concat())
    }),
    ("tzsp", |inner| {
        udp(37008, &[&[1, 0, 0, 1, 1][..], &ethernet(inner)].concat())
    }),
    ("mpls 16", |inner| {
        udp(6635, &[&[0, 1, 1, 64][..], inner].concat())
    }),
];

/// A link layer: its name in the path, the capture's link type, and a frame that carries a datagram.
type Link = (&'static str, u32, fn(&[u8]) -> Vec<u8>);

const LINKS: [Link; 19] = [
    ("", 1, ethernet),
    ("vlan 7", 1, |ip| {
        frame(0x8100, &[&[0, 7][..], &ether_type(ip), ip].concat())
    }),
    ("vlan 8 > vlan 9", 1, |ip| {
        frame(
            0x88a8,
            &[&[0, 8, 0x81, 0, 0, 9][..], &ether_type(ip), ip].concat(),
        )
    }),
    ("vlan 8 > vlan 9", 1, |ip| {
        frame(
            0x9100,
            &[&[0, 8, 0x81, 0, 0, 9][..], &ether_type(ip), ip].concat(),
        )
    }),
    ("mpls 5 > mpls 6", 1, |ip| {
        frame(
            0x8847,
            &[&[0, 0, 0x50, 64, 0, 0, 0x61, 64][..], ip].concat(),
        )
    }),
    ("mpls 6", 1, |ip| {
        frame(
            0x8847,
            &[&[0, 0, 0x61, 64, 0, 0, 0, 0][..], &ethernet(ip)].concat(),
        )
    }),
    ("mpls 6", 1, |ip| {
        frame(0x8847, &[&[0, 0, 0x61, 64][..], &ethernet(ip)].concat())
    }),
    ("pppoe 17", 1, |ip| {
        let ppp = &ppp(ip)[2..];
        let length = u16::try_from(ppp.len()).unwrap().to_be_bytes();
        frame(0x8864, &[&[0x11, 0, 0, 17][..], &length, ppp].concat())
    }),
    ("", 9, ppp),
    ("", 50, ppp),
    ("", 101, |ip| ip.to_vec()),
    ("", 12, |ip| ip.to_vec()),
    ("", 0, |ip| {
        [&[if ip[0] >> 4 == 4 { 2 } else { 10 }, 0, 0, 0][..], ip].concat()
    }),
    ("", 108, |ip| {
        [&[0, 0, 0, if ip[0] >> 4 == 4 { 2 } else { 24 }][..], ip].concat()
    }),
    ("", 113, |ip| {
        [
            &[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0][..],
            &ether_type(ip),
            ip,
        ]
        .concat()
    }),
    ("", 276, |ip| {
        let rest = [0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0];
        [&ether_type(ip)[..], &rest, ip].concat()
    }),
    ("802.11", 105, |ip| wifi(ip)),
    ("802.11", 127, |ip| {
        [&[0, 0, 8, 0, 0, 0, 0, 0][..], &wifi(ip)].concat()
    }),
    ("802.11", 192, |ip| {
        [&[0, 0, 8, 0, 105, 0, 0, 0][..], &wifi(ip)].concat()
    }),
];

/// A `QoS` data frame to the access point.
fn wifi(ip: &[u8]) -> Vec<u8> {
    [
        &[0x88, 1][..],
        &[0; 24],
        &[0xaa, 0xaa, 3, 0, 0, 0],
        &ether_type(ip),
        ip,
    ]
    .concat()
}

/// The sample with each of its frames that carries IP sent over another wire.
fn sent(frames: &Frames, wire: impl Fn(&[u8]) -> Vec<u8>) -> Frames {
    frames
        .iter()
        .map(|(time, frame)| (*time, wire(&frame[14..])))
        .collect()
}

/// Every sample without VLAN tags: frame after frame of Ethernet with IP.
fn samples() -> Vec<(String, Frames)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps");
    let mut samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        })
        .map(|path| {
            (
                path.file_stem().unwrap().to_str().unwrap().to_owned(),
                sample(&path),
            )
        })
        .filter(|(_, frames)| {
            frames
                .iter()
                .all(|(_, frame)| matches!(frame[12..15], [8, 0, 0x45] | [0x86, 0xdd, _]))
        })
        .collect();
    samples.sort();
    assert!(samples.len() >= 25, "{} samples", samples.len());
    samples
}

/// `ip` stands for whichever name the version of the inner datagram gives.
fn same_path(path: &str, wanted: &str) -> bool {
    path.replace("ipip", "ip").replace("6in4", "ip") == wanted
}

#[test]
fn every_link_layer_and_every_tunnel_gives_the_same_answer() {
    let mut verdicts = 0;
    for (name, frames) in samples() {
        let plain = told(LinkType::ETHERNET, frames.clone());
        let mut check = |wire: &str, link: u32, frames: Frames| {
            let found = told(LinkType(link), frames);
            assert_eq!(found.len(), plain.len(), "{name} over {wire}");
            for ((found, path), (wanted, _)) in found.iter().zip(&plain) {
                assert_eq!(found, wanted, "{name} over {wire}");
                assert!(same_path(path, wire), "{name}: {path} is not {wire}");
                verdicts += 1;
            }
        };
        for (wire, link, wrap) in LINKS {
            check(wire, link, sent(&frames, wrap));
        }
        for (wire, wrap) in TUNNELS {
            check(wire, 1, sent(&frames, |ip| ethernet(&wrap(ip))));
        }
    }
    assert!(verdicts > 2000, "{verdicts} verdicts");
}

#[test]
fn every_tunnel_in_every_tunnel_over_every_link_layer() {
    // The largest sample tells nothing more than the others.
    let samples: Vec<_> = samples()
        .into_iter()
        .filter(|(_, frames)| frames.len() < 120)
        .collect();
    let work = |half: usize| {
        for (name, frames) in samples.iter().skip(half).step_by(2) {
            let plain = told(LinkType::ETHERNET, frames.clone());
            let mut turn = 0;
            for (outer, wrap) in TUNNELS {
                for (inner, wrap_inner) in TUNNELS {
                    // Each pair over another link layer, all of them in turn.
                    let (link_name, link, wrap_link) = LINKS[turn % LINKS.len()];
                    turn += 1;
                    let found = told(
                        LinkType(link),
                        sent(frames, |ip| wrap_link(&wrap(&wrap_inner(ip)))),
                    );
                    let wire: Vec<&str> = [link_name, outer, inner]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .collect();
                    let wire = wire.join(" > ");
                    assert_eq!(found.len(), plain.len(), "{name} over {wire}");
                    for ((found, path), (wanted, _)) in found.iter().zip(&plain) {
                        assert_eq!(found, wanted, "{name} over {wire}");
                        assert!(same_path(path, &wire), "{name}: {path} is not {wire}");
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| work(0));
        scope.spawn(|| work(1));
    });
}
