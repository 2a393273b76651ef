//! Wires that IP datagrams run over: other orders, repetitions, losses, fragments, and the other IP version.

/// When it was seen, in microseconds, and an IP datagram.
pub type Datagrams = Vec<(u64, Vec<u8>)>;

pub const TCP: u8 = 6;
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

pub const fn is_v4(datagram: &[u8]) -> bool {
    datagram[0] >> 4 == 4
}

/// A fragment, or what comes behind one.
pub fn is_fragment(datagram: &[u8]) -> bool {
    if is_v4(datagram) {
        datagram[6] & 0x3f != 0 || datagram[7] != 0
    } else {
        chain(datagram).1 == FRAGMENT
    }
}

/// Of IPv6: where the first header lies that is no hop-by-hop, destination or routing header, which it is, and the place
/// that names it.
fn chain(datagram: &[u8]) -> (usize, u8, usize) {
    let (mut end, mut named) = (40, 6);
    while [HOP_BY_HOP, DESTINATION, ROUTING].contains(&datagram[named]) {
        named = end;
        end += 8 + 8 * usize::from(datagram[end + 1]);
    }
    (end, datagram[named], named)
}

/// Sets the length that the header gives.
pub fn set_length(datagram: &mut [u8]) {
    let (at, length) = if is_v4(datagram) {
        (2, datagram.len())
    } else {
        (4, datagram.len() - 40)
    };
    let length = u16::try_from(length).unwrap();
    datagram[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

/// Neighbours change places; their times stay.
pub fn reordered(mut datagrams: Datagrams) -> Datagrams {
    for three in datagrams.chunks_exact_mut(3) {
        let (times, first) = ([three[1].0, three[2].0], three.len() - 2);
        three.swap(first, first + 1);
        (three[1].0, three[2].0) = (times[0], times[1]);
    }
    datagrams
}

/// Every datagram comes twice.
pub fn duplicated(datagrams: Datagrams) -> Datagrams {
    let twice = |datagram: (u64, Vec<u8>)| [datagram.clone(), datagram];
    datagrams.into_iter().flat_map(twice).collect()
}

/// Every seventh datagram is lost.
pub fn lossy(mut datagrams: Datagrams) -> Datagrams {
    let mut number = 0;
    datagrams.retain(|_| {
        number += 1;
        number % 7 != 6
    });
    datagrams
}

/// Every segment comes in two halves, and the second brings other bytes for the first half again.
pub fn overlapped(datagrams: Datagrams) -> Datagrams {
    let mut out = Vec::new();
    for (time, datagram) in datagrams {
        let header = match is_v4(&datagram) {
            true if !is_fragment(&datagram) && datagram[9] == TCP => 40,
            false if chain(&datagram).1 == TCP => chain(&datagram).0 + 20,
            _ => usize::MAX,
        };
        let length = datagram.len().saturating_sub(header);
        if length < 2 {
            out.push((time, datagram));
            continue;
        }
        let half = length / 2;
        let mut first = datagram[..header + half].to_vec();
        // The end of the stream is not told twice.
        first[header - 7] &= !1;
        set_length(&mut first);
        let mut second = datagram;
        second[header..header + half].fill(b'#');
        out.extend([(time, first), (time, second)]);
    }
    out
}

/// The network card has joined segments, and left the length to the reader.
pub fn offloaded(mut datagrams: Datagrams) -> Datagrams {
    for (_, datagram) in &mut datagrams {
        if is_v4(datagram) && !is_fragment(datagram) && datagram[9] == TCP {
            datagram[2..4].fill(0);
        } else if !is_v4(datagram) && datagram[6] == TCP {
            datagram[4..6].fill(0);
        }
    }
    datagrams
}

/// IPv4 becomes IPv6 with the same numbers in the addresses.
pub fn version_6(datagrams: Datagrams) -> Datagrams {
    let address = |v4: &[u8]| [&[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0][..], v4].concat();
    let translate = |(time, v4): (u64, Vec<u8>)| {
        if !is_v4(&v4) || is_fragment(&v4) {
            return (time, v4);
        }
        let mut v6 = vec![0x60, 0, 0, 0, 0, 0, v4[9], 64];
        v6.extend(address(&v4[12..16]));
        v6.extend(address(&v4[16..20]));
        v6.extend(&v4[20..]);
        set_length(&mut v6);
        (time, v6)
    };
    datagrams.into_iter().map(translate).collect()
}

/// IPv6 with hop-by-hop options, a routing header and destination options in front of everything else.
pub fn extended(datagrams: Datagrams) -> Datagrams {
    let mut datagrams = version_6(datagrams);
    for (_, datagram) in &mut datagrams {
        let next = datagram[6];
        // Hop-by-hop options stand first, and once.
        if is_v4(datagram) || next == HOP_BY_HOP {
            continue;
        }
        let padding = [1, 4, 0, 0, 0, 0];
        let headers = [
            &[ROUTING, 0][..],
            &padding,
            // Type 2 of mobile IPv6, no segments left.
            &[DESTINATION, 2, 2, 0, 0, 0, 0, 0],
            &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
            &[next, 0],
            &padding,
        ];
        datagram.splice(40..40, headers.concat());
        datagram[6] = HOP_BY_HOP;
        set_length(datagram);
    }
    datagrams
}

/// Small fragments, the last one first.
pub fn fragmented(datagrams: Datagrams) -> Datagrams {
    let mut out = Vec::new();
    for (number, (time, datagram)) in datagrams.into_iter().enumerate() {
        let size = if datagram.len() > 400 { 256 } else { 16 };
        let mut fragments = if is_v4(&datagram) {
            fragments_v4(&datagram, size, number)
        } else {
            fragments_v6(&datagram, size, number)
        };
        fragments.reverse();
        out.extend(fragments.into_iter().map(|fragment| (time, fragment)));
    }
    out
}

fn fragments_v4(datagram: &[u8], size: usize, number: usize) -> Vec<Vec<u8>> {
    let (header, payload) = datagram.split_at(20);
    // Routers cut fragments again.
    let (before, more) = (
        u16::from_be_bytes([header[6], header[7]]) & 0x1fff,
        header[6] & 0x20 != 0,
    );
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(at, piece)| {
            let last = (at + 1) * size >= payload.len();
            let offset = before + u16::try_from(at * size / 8).unwrap();
            let flags = if last && !more { 0 } else { 0x2000 };
            let mut fragment = [header, piece].concat();
            if !is_fragment(datagram) {
                fragment[4..6]
                    .copy_from_slice(&u16::try_from(number % 65_536).unwrap().to_be_bytes());
            }
            fragment[6..8].copy_from_slice(&(offset | flags).to_be_bytes());
            set_length(&mut fragment);
            fragment
        })
        .collect()
}

fn fragments_v6(datagram: &[u8], size: usize, number: usize) -> Vec<Vec<u8>> {
    let (end, next, named) = chain(datagram);
    // Only senders cut IPv6.
    if next == FRAGMENT {
        return vec![datagram.to_vec()];
    }
    let (headers, payload) = datagram.split_at(end);
    let pieces = payload.chunks(size).enumerate();
    pieces
        .map(|(at, piece)| {
            let more = u16::from((at + 1) * size < payload.len());
            let offset = u16::try_from(at * size).unwrap() | more;
            let mut fragment = headers.to_vec();
            fragment[named] = FRAGMENT;
            fragment.extend([next, 0]);
            fragment.extend(offset.to_be_bytes());
            fragment.extend(u32::try_from(number).unwrap().to_be_bytes());
            fragment.extend(piece);
            set_length(&mut fragment);
            fragment
        })
        .collect()
}
