//! Fragments of IP datagrams.

use super::script::{Reader, random};
use imwarden::model::{LayerPath, LinkType, Packet, Timestamp, TransportHeader};
use imwarden::packet::{Defragmenter, Fragment, FrameMeta};
use std::net::{IpAddr, Ipv4Addr};

/// By the first byte: any fragments at all, or one datagram's fragments in any order, with duplicates.
pub fn defragmenter(data: &[u8]) {
    let mut input = Reader(data);
    if input.u8() & 1 == 0 {
        anything(input);
    } else {
        one_datagram(input);
    }
}

fn meta(number: u64, nanos: i64, wire_len: usize) -> FrameMeta {
    FrameMeta {
        number,
        timestamp: Timestamp::from_nanos(nanos),
        link: LinkType::RAW,
        wire_len: wire_len as u32,
    }
}

fn host(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn anything(mut input: Reader<'_>) {
    let memory = 4096 << (input.u8() % 8);
    let mut defragmenter = Defragmenter::new(memory);
    let mut clock = 0_i64;
    let mut number = 0;
    let mut packets = 0;
    let mut deliver = |packet: &Packet<'_>| {
        assert!(packet.payload.len() + packet.cut <= 65_535);
        packets += 1;
    };
    while !input.0.is_empty() {
        number += 1;
        let op = input.u8();
        let step = i64::from(input.u8())
            * if op & 1 == 0 {
                1_000_000
            } else {
                1_000_000_000
            };
        clock = if op & 2 == 0 {
            clock + step
        } else {
            clock - step
        };
        let names = input.u8();
        let offset = usize::from(input.u16());
        // Some are not sound: they must be refused.
        let offset = if op & 4 == 0 {
            offset & 0x1fff << 3
        } else {
            offset
        };
        let length = usize::from(input.u8());
        let payload = input.take(length);
        let cut = if op & 8 == 0 {
            0
        } else {
            usize::from(input.u16())
        };
        let protocols = [6, 17, 44, 4, 41, 47, 0, 60];
        defragmenter.push(
            &Fragment {
                meta: meta(number, clock, payload.len() + cut + 20),
                frames: 1,
                path: LayerPath::default(),
                src: host(names & 1),
                dst: host(2 + (names >> 1 & 1)),
                protocol: protocols[usize::from(names >> 2 & 7)],
                identification: u32::from(names >> 5),
                offset,
                more: op & 16 == 0,
                payload,
                cut,
            },
            &mut deliver,
        );
        assert!(
            defragmenter.used() <= memory,
            "{} of {memory}",
            defragmenter.used()
        );
    }
    defragmenter.finish(&mut deliver);
    assert_eq!(defragmenter.used(), 0, "all was given back");
    assert!(
        packets <= 2 * number,
        "{packets} packets of {number} fragments"
    );
}

/// UDP from port 4000 to port 4000.
fn one_datagram(mut input: Reader<'_>) {
    let mut seed = u64::from(input.u32());
    let content = input.0.get(..65_500).unwrap_or(input.0);
    let length = (content.len() as u16 + 8).to_be_bytes();
    let ports = 4000_u16.to_be_bytes();
    let payload = [&ports[..], &ports, &length, &[0; 2], content].concat();
    let mut fragments = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let step = 8 * (1 + random(&mut seed) as usize % 64);
        let end = (at + step).min(payload.len());
        fragments.push((at, end));
        at = end;
    }
    let whole = fragments.len() == 1;
    // Some of them twice, before the last one comes.
    for index in 0..fragments.len().min(8) {
        if random(&mut seed) & 1 == 0 {
            fragments.push(fragments[index]);
        }
    }
    for index in (1..fragments.len()).rev() {
        fragments.swap(index, random(&mut seed) as usize % (index + 1));
    }
    let mut got = Vec::new();
    let mut defragmenter = Defragmenter::new(1 << 24);
    let mut deliver = |packet: &Packet<'_>| {
        assert!(matches!(packet.header, TransportHeader::Udp));
        assert_eq!(packet.cut, 0);
        got.push(packet.payload.to_vec());
    };
    for (number, (at, end)) in fragments.iter().enumerate() {
        let fragment = Fragment {
            meta: meta(number as u64 + 1, 0, end - at + 20),
            frames: 1,
            path: LayerPath::default(),
            src: host(1),
            dst: host(2),
            protocol: 17,
            identification: 7,
            offset: *at,
            more: *end < payload.len(),
            payload: &payload[*at..*end],
            cut: 0,
        };
        defragmenter.push(&fragment, &mut deliver);
    }
    defragmenter.finish(&mut deliver);
    // A datagram that is whole as it is has no fragments to know a duplicate by.
    if !whole {
        assert_eq!(got.len(), 1, "one datagram");
    }
    assert!(got.iter().all(|got| got == content));
}
