//! Captures that no program writes, through the reader and through the whole program.

use super::build::Order;
use super::compressed::{gzip, zstd};
use super::{Outcome, drain, read};
use imwarden::capture::{CaptureError, FrameSource, open, open_reader};
use imwarden::model::{Finding, Summary};
use imwarden::pipeline::{self, Settings};
use imwarden::report::{self, Csv, Eve, Json, Ndjson, Report, Table, Zeek};
use imwarden::ruleset::RuleSet;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

const MICRO: u32 = 0xa1b2_c3d4;
const NANO: u32 = 0xa1b2_3c4d;
/// Raw IP.
const RAW: u32 = 101;
const MIB: usize = 1 << 20;

/// Frames of a sign-on to MSN, as raw IPv4: the handshake, and what the client says first.
fn sign_on() -> Vec<Vec<u8>> {
    let said = b"VER 1 MSNP9 MSNP8 CVR0\r\n\
        CVR 2 0x0409 winnt 5.1 i386 MSNMSGR 6.0.0602 MSMSGS alice@example.com\r\n\
        USR 3 TWN I alice@example.com\r\n";
    let segment = |to_server: bool, seq: u32, flags: u8, payload: &[u8]| {
        let (client, server) = ([10, 0, 0, 5], [192, 0, 2, 7]);
        let (from, to) = if to_server {
            ((client, 50_000_u16), (server, 1863_u16))
        } else {
            ((server, 1863), (client, 50_000))
        };
        let length = u16::try_from(40 + payload.len()).unwrap().to_be_bytes();
        [
            &[0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, 6, 0, 0][..],
            &from.0,
            &to.0,
            &from.1.to_be_bytes(),
            &to.1.to_be_bytes(),
            &seq.to_be_bytes(),
            &1000_u32.to_be_bytes(),
            &[5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0],
            payload,
        ]
        .concat()
    };
    let (syn, ack) = (2, 16);
    vec![
        segment(true, 999, syn, b""),
        segment(false, 999, syn | ack, b""),
        segment(true, 1000, ack, said),
    ]
}

/// The sign-on as a pcap file, with these times.
fn sign_on_at(magic: u32, times: [(u32, u32); 3]) -> Vec<u8> {
    let order = Order::Little;
    let records = sign_on()
        .into_iter()
        .zip(times)
        .flat_map(|(frame, (seconds, fraction))| order.pcap_record(seconds, fraction, &frame));
    let mut file = order.pcap_header(magic, RAW);
    file.extend(records);
    file
}

/// What the whole program made of a capture.
struct Analysis {
    findings: Vec<Finding>,
    summary: Summary,
    error: Option<CaptureError>,
}

/// Reads it through the whole program; every report can be written.
fn analyse(source: Result<Box<dyn FrameSource>, CaptureError>) -> Analysis {
    static RULES: OnceLock<RuleSet> = OnceLock::new();
    let rules = RULES.get_or_init(|| RuleSet::builtin().unwrap());
    let never = AtomicBool::new(false);
    let mut source = source.unwrap();
    let mut findings = Vec::new();
    let analysis = pipeline::run(
        source.as_mut(),
        rules,
        Settings::default(),
        &never,
        &mut |_| {},
        &mut |finding: Finding| findings.push(finding),
    );
    let analysis = Analysis {
        findings,
        summary: analysis.summary,
        error: analysis.error,
    };
    let mut out = Vec::new();
    let reports: [Box<dyn Report>; 6] = [
        Box::new(Table::new(rules.risks(), report::Verbosity::Events)),
        Box::new(Ndjson::new(rules.risks())),
        Box::new(Json::new(rules.risks())),
        Box::new(Csv::default()),
        Box::new(Eve::new(rules.risks())),
        Box::new(Zeek::default()),
    ];
    for mut report in reports {
        for finding in analysis.findings.clone() {
            report.finding(finding, &mut out).unwrap();
        }
        report.finish(&analysis.summary, &mut out).unwrap();
    }
    assert!(!out.is_empty());
    analysis
}

fn analyse_bytes(bytes: Vec<u8>) -> Analysis {
    analyse(open_reader(Box::new(Cursor::new(bytes)), "absurd"))
}

/// The one flow is MSN's, whatever else is in the capture.
fn assert_found(analysis: &Analysis) {
    let services: Vec<_> = analysis
        .findings
        .iter()
        .map(|finding| finding.service.as_ref().unwrap().id())
        .collect();
    assert_eq!(services, ["msn"]);
}

#[test]
fn files_of_nothing_say_so() {
    let outcome = read(b"");
    assert!(matches!(outcome.error, Some(CaptureError::Empty { .. })));
    for packed in [gzip(b""), zstd(b"")] {
        let message = read(&packed).error.unwrap().to_string();
        assert!(message.contains("holds nothing"), "{message}");
    }
    for packed in [gzip(&[0; 100]), zstd(&[0; 100])] {
        assert!(matches!(
            read(&packed).error,
            Some(CaptureError::NotACapture { .. })
        ));
    }
}

#[test]
fn packets_of_nothing_are_counted_and_cost_nothing_else() {
    let order = Order::Big;
    let mut pcap = sign_on_at(MICRO, [(5, 0), (5, 1), (5, 2)]);
    let empty = |wire_len| Order::Little.words(&[6, 0, 0, wire_len]);
    for wire_len in [0, 60, u32::MAX] {
        pcap.extend(empty(wire_len));
    }
    let mut pcapng = [
        order.section(),
        order.interface(RAW as u16, 0, &[]),
        order.enhanced(0, 0, b""),
        order.simple(0, b""),
        order.obsolete(0, 0, 0, b""),
    ]
    .concat();
    for frame in sign_on() {
        pcapng.extend(order.enhanced(0, 7, &frame));
    }
    for (bytes, frames) in [(pcap, 6), (pcapng, 6)] {
        assert_eq!(read(&bytes).frames.len(), frames);
        let analysis = analyse_bytes(bytes);
        assert_found(&analysis);
        assert_eq!(analysis.summary.packets, frames as u64);
        assert_eq!(analysis.summary.ignored.values().sum::<u64>(), 3);
    }
}

/// A file system fills what was never written with zeroes. To pcap that is one empty packet every sixteen bytes; a
/// pcapng block of no length is damage.
#[test]
fn a_hole_in_the_file_takes_nothing_from_what_is_around_it() {
    let hole = 4 * MIB as u64;
    let file = |content: &[u8]| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        file.as_file().set_len(content.len() as u64 + hole).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
        file
    };
    let pcap = sign_on_at(MICRO, [(5, 0), (5, 1), (5, 2)]);
    let mut sparse = file(&pcap);
    // The same flow goes on behind the hole.
    let record = Order::Little.pcap_record(9, 0, &sign_on()[2]);
    sparse.write_all(&record).unwrap();
    let analysis = analyse(open(sparse.path()));
    assert!(analysis.error.is_none());
    assert_found(&analysis);
    assert_eq!(analysis.summary.packets, 4 + hole / 16);
    assert_eq!(analysis.summary.flows, 1);

    let order = Order::Little;
    let mut pcapng = [order.section(), order.interface(RAW as u16, 0, &[])].concat();
    for frame in sign_on() {
        pcapng.extend(order.enhanced(0, 7, &frame));
    }
    let analysis = analyse(open(file(&pcapng).path()));
    assert_found(&analysis);
    let message = analysis.error.unwrap().to_string();
    assert!(message.contains("a block of 0 bytes"), "{message}");
}

#[test]
fn a_file_cut_behind_every_byte_goes_through_the_whole_program() {
    let pcap = sign_on_at(MICRO, [(5, 0), (5, 1), (5, 2)]);
    for cut in 24..=pcap.len() {
        let analysis = analyse_bytes(pcap[..cut].to_vec());
        // The last record says who it is.
        let whole = cut == pcap.len();
        assert_eq!(
            analysis.error.is_none(),
            whole || [24, 80, 136].contains(&cut)
        );
        assert_eq!(analysis.findings.iter().any(Finding::is_detection), whole);
    }
}

#[test]
fn any_clock_gives_the_same_finding() {
    let (last, most) = (u32::MAX, u32::MAX);
    for magic in [MICRO, NANO] {
        for times in [
            [(0, 0), (0, 0), (0, 0)],
            // 2106, and a fraction of more than a second.
            [(last, 999_999), (last, 999_999), (last, 999_999)],
            [(last, most), (last, most), (last, most)],
            // Backwards, within a second and by all the years there are.
            [(5, 900), (5, 500), (5, 100)],
            [(last, most), (1, 0), (0, 0)],
            // Forwards, but by less than a flow may sleep.
            [(1_000_000_000, 0), (1_000_000_010, 0), (1_000_000_020, 0)],
        ] {
            assert_found(&analyse_bytes(sign_on_at(magic, times)));
        }
    }
}

#[test]
fn the_clocks_of_pcapng_may_be_anything() {
    let order = Order::Little;
    for resolution in [0, 6, 9, 127, 0x80, 0x94, 0xff] {
        for offset in [0, 1, i64::MAX, i64::MIN, -1] {
            for count in [0, 1, u64::MAX / 2, u64::MAX] {
                let options = [
                    order.option(9, &[resolution]),
                    order.option(14, &order.u64(offset.cast_unsigned())),
                ];
                let mut file = [order.section(), order.interface(RAW as u16, 0, &options)].concat();
                for frame in sign_on() {
                    file.extend(order.enhanced(0, count, &frame));
                }
                assert_found(&analyse_bytes(file));
            }
        }
    }
}

/// The snap length is what somebody asked for, not what is there; the length on the wire may be forgotten.
#[test]
fn lengths_that_contradict_each_other_hide_nothing() {
    let order = Order::Little;
    for snaplen in [0_u32, 1, u32::MAX] {
        for wire_len in [0_u32, 1, 41, 65_535, u32::MAX] {
            let mut file = order.pcap_header(MICRO, RAW);
            file[16..20].copy_from_slice(&order.u32(snaplen));
            let mut pcapng = [order.section(), order.interface(RAW as u16, snaplen, &[])].concat();
            for frame in sign_on() {
                let mut record = order.pcap_record(5, 0, &frame);
                record[12..16].copy_from_slice(&order.u32(wire_len));
                file.extend(record);
                let mut body = order.enhanced_body(0, 5, &frame);
                body[16..20].copy_from_slice(&order.u32(wire_len));
                pcapng.extend(order.block(6, &body));
            }
            for bytes in [file, pcapng] {
                let analysis = analyse_bytes(bytes);
                assert!(analysis.error.is_none());
                assert_found(&analysis);
            }
        }
    }
}

/// A pcap file of frames of 1 MiB of zeroes, as the parts that a packer sees: the header, and one frame.
fn zeroes() -> (Vec<u8>, Vec<u8>) {
    let order = Order::Little;
    (
        order.pcap_header(MICRO, RAW),
        order.pcap_record(5, 0, &vec![0; MIB]),
    )
}

/// zstd (RFC 8878) by hand: a frame of blocks with a window of that descriptor.
fn zstd_frame(window: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    frame.extend(blocks.concat());
    // A last block of nothing.
    frame.extend([1, 0, 0]);
    frame
}

fn zstd_block(kind: u32, size: usize, content: &[u8]) -> Vec<u8> {
    let header = (u32::try_from(size).unwrap() << 3 | kind << 1).to_le_bytes();
    [&header[..3], content].concat()
}

/// What fits into a few kilobytes and unpacks to gigabytes is read as it comes: no more of it is fetched than the
/// next frame needs, and no more is held than one frame.
#[test]
fn a_bomb_is_unpacked_frame_by_frame() {
    let (header, record) = zeroes();
    let (gzip_header, gzip_record) = (gzip(&header), gzip(&record));
    let gzip_bomb = [gzip_header, gzip_record.repeat(4096)].concat();
    let (raw, repeated) = (0, 1);
    let mut blocks = vec![zstd_block(raw, header.len(), &header)];
    for _ in 0..4096 {
        blocks.push(zstd_block(raw, 16, &record[..16]));
        blocks.extend(vec![zstd_block(repeated, 128 << 10, &[0]); 8]);
    }
    // A window of 1 MiB.
    let zstd_bomb = zstd_frame(0x50, &blocks);
    for bomb in [gzip_bomb, zstd_bomb] {
        let length = bomb.len() as u64;
        let mut source = open_reader(Box::new(Cursor::new(bomb)), "bomb").unwrap();
        for number in 1..=40_u64 {
            let frame = source.next_frame().unwrap().unwrap();
            assert_eq!((frame.data.len(), frame.wire_len as usize), (MIB, MIB));
            // The packer's own buffer, and what so many frames take of the file.
            let position = source.stats().position;
            let share = length * (number + 2) / 4096;
            assert!(position <= share + (128 << 10), "{position} of {length}");
        }
    }
}

#[test]
fn a_bomb_that_is_no_capture_behind_its_header_ends_at_once() {
    let order = Order::Little;
    let head = [order.section(), order.interface(1, 0, &[])].concat();
    let (raw, repeated) = (0, 1);
    let mut blocks = vec![zstd_block(raw, head.len(), &head)];
    blocks.extend(vec![zstd_block(repeated, 128 << 10, &[0]); 100_000]);
    let bombs = [
        [gzip(&head), gzip(&vec![0; MIB]).repeat(4096)].concat(),
        zstd_frame(0x50, &blocks),
    ];
    for bomb in bombs {
        let outcome: Outcome = drain(open_reader(Box::new(Cursor::new(bomb)), "bomb"), 0);
        let (offset, what) = outcome.corrupt().unwrap();
        assert_eq!(offset, head.len() as u64);
        assert!(what.contains("a block of 0 bytes"), "{what}");
    }
}

/// A frame may ask for a window of up to 3.75 TB (RFC 8878 section 3.1.1.1.2).
#[test]
fn a_zstd_window_of_terabytes_is_refused() {
    let (header, _) = zeroes();
    let blocks = [zstd_block(0, header.len(), &header)];
    for window in [0xff, 0xf8, 0xb0] {
        let outcome = read(&zstd_frame(window, &blocks));
        assert!(outcome.frames.is_empty());
        let message = outcome.error.expect("an error").to_string();
        assert!(message.contains("zstd"), "{message}");
    }
    assert!(read(&zstd_frame(0x50, &blocks)).error.is_none());
}
