//! Datagrams in pieces of which some come late, cut or not at all, and more of them than there is room for.

use super::build::{ACK, TCP, UDP, tcp, udp};
use super::fragments::{MEMORY, VERSIONS, Wire, permutations, pieces, text, v4};
use imwarden::model::{LinkType, Timestamp};
use imwarden::packet::{Decoded, Defragmenter, FrameMeta, Reason, decode};

#[test]
fn pieces_that_come_late_are_waited_for_and_not_for_ever() {
    let data = text(60);
    for build in VERSIONS {
        for (late, whole) in [(900, true), (29_900, true), (30_001, false)] {
            let pieces = pieces(build, 1, UDP, &udp(&data), &[0, 24]);
            let mut wire = Wire::new(LinkType::RAW);
            wire.frame(&pieces[0]).wait(late).frame(&pieces[1]);
            if whole {
                assert_eq!(wire.payloads(), [&data[..]], "{late}");
                assert_eq!((wire.seen[0].cut, wire.seen[0].number), (0, 2));
                wire.end();
            } else {
                // What was there of the beginning, and how much the UDP header says there was.
                assert_eq!(wire.payloads(), [&data[..16]], "{late}");
                assert_eq!((wire.seen[0].cut, wire.seen[0].number), (44, 1));
                wire.end();
            }
            assert_eq!(wire.seen.len(), 1, "{late}");
            assert_eq!(wire.unusable(), u64::from(!whole));
        }
    }
}

#[test]
fn a_clock_that_goes_back_breaks_nothing() {
    let data = text(60);
    let pieces = pieces(v4, 1, UDP, &udp(&data), &[0, 24, 40]);
    let mut wire = Wire::new(LinkType::RAW);
    wire.frame(&pieces[2]).wait(-900_000).frame(&pieces[0]);
    wire.wait(-3_600_000).frame(&pieces[1]).end();
    assert_eq!(wire.payloads(), [&data[..]]);
    assert_eq!(wire.unusable(), 0);
    // Nor does one that leaps over three centuries, in one step or back and forth.
    for millis in [i64::MAX / 1_000_000, i64::MIN / 1_000_000] {
        let mut wire = Wire::new(LinkType::RAW);
        wire.frame(&pieces[0]);
        wire.millis = millis;
        wire.frame(&pieces[1]);
        wire.millis = 0;
        wire.frame(&pieces[2]).end();
        let got: usize = wire.seen.iter().map(|seen| seen.payload.len()).sum();
        assert!(got == 60 || got == 16, "{got}");
    }
}

#[test]
fn when_the_rest_never_comes_the_beginning_is_read() {
    let data = text(80);
    let cuts = [0, 32, 64];
    for build in VERSIONS {
        // As when the capture's filter was by port: later fragments have none.
        let (datagrams, segments) = (
            pieces(build, 1, UDP, &udp(&data), &cuts),
            pieces(build, 2, TCP, &tcp(ACK, &[], &data), &cuts),
        );
        let mut wire = Wire::new(LinkType::RAW);
        wire.frame(&datagrams[0]).frame(&segments[0]).end();
        assert_eq!(wire.payloads(), [&data[..24], &data[..12]]);
        // A UDP header says how long the datagram is; nothing does for TCP.
        assert_eq!((wire.seen[0].cut, wire.seen[1].cut), (56, 0));
        assert_eq!(wire.unusable(), 0);
        // The last one is there: what is missing is known. It could not be used itself.
        let mut wire = Wire::new(LinkType::RAW);
        for at in [2, 0] {
            wire.frame(&datagrams[at]).frame(&segments[at]);
        }
        wire.end();
        assert_eq!(wire.payloads(), [&data[..24], &data[..12]]);
        assert_eq!((wire.seen[0].cut, wire.seen[1].cut), (56, 68));
        assert_eq!(wire.unusable(), 2);
        // Two of three.
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(&datagrams[..2]).frames(&segments[..2]).end();
        assert_eq!(wire.payloads(), [&data[..56], &data[..44]]);
        assert_eq!((wire.seen[0].cut, wire.seen[1].cut), (24, 0));
        assert_eq!(wire.unusable(), 0);
        // Without the beginning there is nothing to read.
        let mut wire = Wire::new(LinkType::RAW);
        wire.frames(&datagrams[1..]).frames(&segments[1..]).end();
        assert!(wire.seen.is_empty());
        assert_eq!(wire.unusable(), 4);
        // Nor with less than a transport header.
        let mut wire = Wire::new(LinkType::RAW);
        let segments = pieces(build, 2, TCP, &tcp(ACK, &[], &data), &[0, 16, 32]);
        wire.frame(&segments[0]).frame(&segments[2]).end();
        assert!(wire.seen.is_empty());
        assert_eq!(wire.unusable(), 2);
    }
}

#[test]
fn options_of_a_lone_first_fragment_are_not_taken_for_missing_payload() {
    // The fragment ends within the TCP options.
    let segment = tcp(ACK, &[1; 40], &text(80));
    let mut wire = Wire::new(LinkType::RAW);
    wire.frames(&pieces(v4, 1, TCP, &segment, &[0, 32])[..1])
        .end();
    assert_eq!((wire.payloads(), wire.seen[0].cut), (vec![&[][..]], 0));
}

#[test]
fn a_tcp_beginning_does_not_wait_for_long_and_the_rest_may_still_come() {
    let data = text(80);
    for build in VERSIONS {
        let pieces = pieces(build, 1, TCP, &tcp(ACK, &[], &data), &[0, 32, 64]);
        let lengths: Vec<u32> = pieces.iter().map(|piece| piece.len() as u32).collect();
        let mut wire = Wire::new(LinkType::RAW);
        wire.frame(&pieces[0]).frame(&pieces[2]).wait(900);
        assert!(wire.seen.is_empty());
        wire.wait(200);
        // No word of a gap: the sender will try again.
        assert_eq!((wire.payloads(), wire.seen[0].cut), (vec![&data[..12]], 0));
        assert_eq!(wire.seen[0].wire_len, lengths[0] + lengths[2]);
        wire.wait(5_000).frame(&pieces[1]).end();
        assert_eq!(wire.payloads(), [&data[..12], &data[..]]);
        // Each frame's bytes once.
        assert_eq!(wire.seen[1].wire_len, lengths[1]);
        assert_eq!(wire.unusable(), 0);
        // Told once is enough.
        let mut wire = Wire::new(LinkType::RAW);
        wire.frame(&pieces[0]).wait(1_100).wait(40_000).end();
        assert_eq!(wire.payloads(), [&data[..12]]);
        assert_eq!(wire.unusable(), 0);
    }
}

#[test]
fn the_snap_length_cuts_fragments_as_it_cuts_packets() {
    let data = text(300);
    for build in VERSIONS {
        let header = build(1, UDP, 0, true, &[]).len();
        let pieces = pieces(build, 1, UDP, &udp(&data), &[0, 104, 208]);
        for order in permutations(3) {
            let mut wire = Wire::new(LinkType::RAW);
            for &at in &order {
                wire.cut_frame(&pieces[at], header + 48);
            }
            // Every byte came by, so there is nothing to wait for.
            assert_eq!(wire.payloads(), [&data[..40]], "{order:?}");
            assert_eq!(wire.seen[0].cut, 260);
            wire.end();
            assert_eq!((wire.seen.len(), wire.unusable()), (1, 0));
        }
        // Another copy of the first piece that was not cut.
        let mut wire = Wire::new(LinkType::RAW);
        wire.cut_frame(&pieces[0], header + 48)
            .cut_frame(&pieces[1], header + 48);
        wire.frame(&pieces[0]).frame(&pieces[2]).end();
        assert_eq!(wire.payloads(), [&data[..96 + 48]]);
        assert_eq!((wire.seen[0].cut, wire.overlaps()), (300 - 96 - 48, 1));
        // Nothing left of the transport header.
        let mut wire = Wire::new(LinkType::RAW);
        for piece in &pieces {
            wire.cut_frame(piece, header + 4);
        }
        wire.end();
        assert!(wire.seen.is_empty());
        assert_eq!(wire.ignored(Reason::TruncatedHeader), 3);
    }
}

#[test]
fn the_oldest_gives_way_when_memory_is_short() {
    let data = text(400);
    let mut wire = Wire::with_memory(LinkType::RAW, 16 << 10);
    let begun: Vec<_> = (0..100)
        .map(|id| pieces(v4, id, UDP, &udp(&data), &[0, 200]))
        .collect();
    for datagram in &begun {
        wire.frame(&datagram[0]);
        assert!(wire.defragmenter.used() <= 16 << 10);
    }
    let gone = wire.seen.len();
    assert!((80..99).contains(&gone), "{gone}");
    // Those given up said what they had; the youngest are still there.
    assert!(
        wire.seen
            .iter()
            .all(|seen| seen.payload == data[..192] && seen.cut == 208)
    );
    wire.frame(&begun[99][1]).frame(&begun[98][1]);
    assert_eq!(wire.payloads()[gone..], [&data[..], &data[..]]);
    // The oldest one's second half comes too late.
    wire.frame(&begun[0][1]).end();
    assert_eq!(wire.seen.len(), 100);
    assert_eq!(wire.unusable(), 1);
}

#[test]
fn without_memory_fragments_are_counted_and_nothing_else() {
    for memory in [0, 100, 1_023, 1_024] {
        let mut wire = Wire::with_memory(LinkType::RAW, memory);
        wire.frames(&pieces(v4, 1, UDP, &udp(&text(3_000)), &[0, 1_480]));
        assert!(wire.defragmenter.used() <= memory);
        wire.end();
        assert!(wire.seen.is_empty());
        assert_eq!(wire.unusable(), 2, "{memory}");
    }
}

#[test]
fn a_flood_of_first_fragments_leaves_the_others_alone() {
    const FLOOD: u32 = 1_000_000;
    let mut defragmenter = Defragmenter::new(MEMORY);
    let mut packets = 0_u64;
    let mut found = 0;
    let data = text(300);
    let good = pieces(v4, 77, UDP, &udp(&data), &[0, 104, 208]);
    // 30 seconds long, from ever new addresses.
    let mut flood = v4(0, UDP, 0, true, &udp(&[0x55; 56]));
    for n in 0..FLOOD + 300 {
        let timestamp = Timestamp::from_nanos(i64::from(n) * 30_000);
        let mut push = |frame: &[u8]| {
            let meta = FrameMeta {
                number: u64::from(n),
                timestamp,
                link: LinkType::RAW,
                wire_len: u32::try_from(frame.len()).unwrap(),
            };
            let Decoded::Fragment(piece) = decode(meta, frame) else {
                panic!()
            };
            defragmenter.push(&piece, &mut |packet| {
                packets += 1;
                found += u32::from(packet.payload == data);
            });
        };
        if n < FLOOD {
            flood[4..6].copy_from_slice(&(n as u16).to_be_bytes());
            flood[12..16].copy_from_slice(&(n / 3).to_be_bytes());
            push(&flood);
        }
        // The pieces of a datagram now and then, with some of the flood between.
        if n % 10_000 < 300 && n % 100 == 0 {
            push(&good[(n % 10_000 / 100) as usize]);
        }
        assert!(defragmenter.used() <= MEMORY);
    }
    assert_eq!(found, FLOOD / 10_000 + 1);
    // Each of the flood's datagrams is told of once at most, however long it lasts.
    defragmenter.finish(&mut |_| packets += 1);
    assert_eq!(packets, u64::from(FLOOD + found));
    assert_eq!(defragmenter.used(), 0);
    assert!(defragmenter.stats().ignored().next().is_none());
}
