//! ICQ UDP version 5: the scrambling of the client's datagrams and the check inside it.
//!
//! Facts: Open OSCAR Server and iserverd handle it, Wireshark's packet-icq.c undoes it. The key travels in the
//! datagram, so this hides nothing; but two bytes of plaintext are repeated in the check code, which makes
//! 16 bits of proof.

/// Where the scrambled part begins; the version, four zero bytes and the UIN before it are clear.
const SCRAMBLED: usize = 10;
/// The check code.
const CHECK: usize = 20;
/// Length of a client's header.
pub const CLIENT_HEADER: usize = 24;
/// Length of a server's header, which is not scrambled.
pub const SERVER_HEADER: usize = 21;

/// The table that both the scrambling and the check draw from.
#[rustfmt::skip]
const TABLE: [u8; 256] = [
    0x59, 0x60, 0x37, 0x6B, 0x65, 0x62, 0x46, 0x48, 0x53, 0x61, 0x4C, 0x59, 0x60, 0x57, 0x5B, 0x3D,
    0x5E, 0x34, 0x6D, 0x36, 0x50, 0x3F, 0x6F, 0x67, 0x53, 0x61, 0x4C, 0x59, 0x40, 0x47, 0x63, 0x39,
    0x50, 0x5F, 0x5F, 0x3F, 0x6F, 0x47, 0x43, 0x69, 0x48, 0x33, 0x31, 0x64, 0x35, 0x5A, 0x4A, 0x42,
    0x56, 0x40, 0x67, 0x53, 0x41, 0x07, 0x6C, 0x49, 0x58, 0x3B, 0x4D, 0x46, 0x68, 0x43, 0x69, 0x48,
    0x33, 0x31, 0x44, 0x65, 0x62, 0x46, 0x48, 0x53, 0x41, 0x07, 0x6C, 0x69, 0x48, 0x33, 0x51, 0x54,
    0x5D, 0x4E, 0x6C, 0x49, 0x38, 0x4B, 0x55, 0x4A, 0x62, 0x46, 0x48, 0x33, 0x51, 0x34, 0x6D, 0x36,
    0x50, 0x5F, 0x5F, 0x5F, 0x3F, 0x6F, 0x47, 0x63, 0x59, 0x40, 0x67, 0x33, 0x31, 0x64, 0x35, 0x5A,
    0x6A, 0x52, 0x6E, 0x3C, 0x51, 0x34, 0x6D, 0x36, 0x50, 0x5F, 0x5F, 0x3F, 0x4F, 0x37, 0x4B, 0x35,
    0x5A, 0x4A, 0x62, 0x66, 0x58, 0x3B, 0x4D, 0x66, 0x58, 0x5B, 0x5D, 0x4E, 0x6C, 0x49, 0x58, 0x3B,
    0x4D, 0x66, 0x58, 0x3B, 0x4D, 0x46, 0x48, 0x53, 0x61, 0x4C, 0x59, 0x40, 0x67, 0x33, 0x31, 0x64,
    0x55, 0x6A, 0x32, 0x3E, 0x44, 0x45, 0x52, 0x6E, 0x3C, 0x31, 0x64, 0x55, 0x6A, 0x52, 0x4E, 0x6C,
    0x69, 0x48, 0x53, 0x61, 0x4C, 0x39, 0x30, 0x6F, 0x47, 0x63, 0x59, 0x60, 0x57, 0x5B, 0x3D, 0x3E,
    0x64, 0x35, 0x3A, 0x3A, 0x5A, 0x6A, 0x52, 0x4E, 0x6C, 0x69, 0x48, 0x53, 0x61, 0x6C, 0x49, 0x58,
    0x3B, 0x4D, 0x46, 0x68, 0x63, 0x39, 0x50, 0x5F, 0x5F, 0x3F, 0x6F, 0x67, 0x53, 0x41, 0x25, 0x41,
    0x3C, 0x51, 0x54, 0x3D, 0x5E, 0x54, 0x5D, 0x4E, 0x4C, 0x39, 0x50, 0x5F, 0x5F, 0x5F, 0x3F, 0x6F,
    0x47, 0x43, 0x69, 0x48, 0x33, 0x51, 0x54, 0x5D, 0x6E, 0x3C, 0x31, 0x64, 0x35, 0x5A, 0x00, 0x00,
];

fn table(index: u32) -> u8 {
    TABLE
        .get((index & 0xFF) as usize)
        .copied()
        .unwrap_or_default()
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

/// The check code as computed, from the check code as sent: its bits are moved about.
const fn unscramble(c: u32) -> u32 {
    ((c & 0x0001_F000) >> 12)
        | ((c & 0x07C0_07C0) >> 1)
        | ((c & 0x003E_0001) << 10)
        | ((c & 0xF800_0000) >> 16)
        | ((c & 0x0000_083E) << 15)
}

/// What a check code repeats, and whether the table's byte is right: position and value of a byte of the
/// packet. Needs the clear part of the header only.
fn claims(check: u32, bytes: &[u8], wire_len: usize) -> Option<(usize, u8)> {
    let byte = |at: usize| bytes.get(at).copied().map_or(0, u32::from);
    let header = byte(8) << 24 | byte(4) << 16 | byte(2) << 8 | byte(6);
    let [position, of_packet, index, of_table] = (check ^ header ^ 0x00FF_00FF).to_be_bytes();
    let position = usize::from(position);
    (position < wire_len && table(u32::from(index)) == of_table).then_some((position, of_packet))
}

/// Undoes the scrambling of a client's datagram. `wire_len` is its length on the wire, which the key depends
/// on: a capture may have cut it. `None` when the check fails.
pub fn decode(bytes: &[u8], wire_len: usize) -> Option<Vec<u8>> {
    if bytes.len() < CLIENT_HEADER || !bytes.starts_with(&[5, 0, 0, 0, 0, 0]) {
        return None;
    }
    let check = unscramble(long(bytes, CHECK)?);
    let (position, value) = claims(check, bytes, wire_len)?;
    let packet = apply(bytes, wire_len, check);
    (packet.get(position) == Some(&value)).then_some(packet)
}

/// Scrambles or unscrambles: it is its own inverse.
fn apply(bytes: &[u8], wire_len: usize, check: u32) -> Vec<u8> {
    let key = (wire_len as u32)
        .wrapping_mul(0x6865_6C6C)
        .wrapping_add(check);
    let mut packet = bytes.to_vec();
    for (step, four) in packet
        .get_mut(SCRAMBLED..)
        .unwrap_or_default()
        .chunks_mut(4)
        .enumerate()
    {
        let at = SCRAMBLED + 4 * step;
        let mask = key.wrapping_add(u32::from(table(at as u32))).to_le_bytes();
        for (offset, (byte, mask)) in four.iter_mut().zip(mask).enumerate() {
            // The check code itself stays readable.
            if !(CHECK..CLIENT_HEADER).contains(&(at + offset)) {
                *byte ^= mask;
            }
        }
    }
    packet
}

/// Scrambles a client's datagram, as [`decode`] gives it, anew: with a check code of its own making, since what was
/// repeated in the old one may have changed. `None` for what is no such datagram, or none that is whole.
pub fn encode(packet: &[u8]) -> Option<Vec<u8>> {
    if packet.len() < CLIENT_HEADER {
        return None;
    }
    // Which byte of the packet and of the table are repeated is the sender's choice.
    let check = check_of(packet, 5, 0x20);
    let mut bytes = apply(packet, packet.len(), check);
    bytes
        .get_mut(CHECK..CLIENT_HEADER)?
        .copy_from_slice(&scramble(check).to_le_bytes());
    Some(bytes)
}

/// Undoes [`unscramble`].
const fn scramble(k: u32) -> u32 {
    ((k & 0x1F) << 12)
        | ((k & 0x03E0_03E0) << 1)
        | ((k & 0xF800_0400) >> 10)
        | ((k & 0xF800) << 16)
        | ((k & 0x041F_0000) >> 15)
}

/// The check code of a packet, from two positions of the sender's choice.
fn check_of(packet: &[u8], position: u8, index: u8) -> u32 {
    let byte = |at: u8| packet.get(usize::from(at)).copied().unwrap_or_default();
    let header = u32::from_be_bytes([byte(8), byte(4), byte(2), byte(6)]);
    let repeated = [position, byte(position), index, table(u32::from(index))];
    header ^ 0x00FF_00FF ^ u32::from_be_bytes(repeated)
}

/// Whether a server's datagram holds a check code of the same making: some servers compute one.
pub fn server_check(bytes: &[u8], wire_len: usize) -> bool {
    bytes.len() >= SERVER_HEADER
        && long(bytes, 17)
            .and_then(|check| claims(check, bytes, wire_len))
            .is_some_and(|(position, value)| bytes.get(position) == Some(&value))
}

#[cfg(test)]
pub mod testing {
    use super::*;

    /// A client's datagram.
    pub fn client(uin: u32, session: u32, command: u16, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![5, 0, 0, 0, 0, 0];
        packet.extend(uin.to_le_bytes());
        packet.extend(session.to_le_bytes());
        packet.extend(command.to_le_bytes());
        packet.extend([1, 0, 1, 0, 0, 0, 0, 0]);
        packet.extend(body);
        encode(&packet).unwrap_or_default()
    }

    /// A server's datagram, with a check code or with an arbitrary one.
    pub fn server(uin: u32, session: u32, command: u16, body: &[u8], checked: bool) -> Vec<u8> {
        let mut packet = vec![5, 0, 0];
        packet.extend(session.to_le_bytes());
        packet.extend(command.to_le_bytes());
        packet.extend([1, 0, 1, 0]);
        packet.extend(uin.to_le_bytes());
        packet.extend([0x78, 0x56, 0x34, 0x12]);
        packet.extend(body);
        if checked {
            let check = check_of(&packet, 5, 0x20);
            packet[17..21].copy_from_slice(&check.to_le_bytes());
        }
        packet
    }

    #[test]
    fn the_bits_of_a_check_code_move_back() {
        for n in 0..1000_u32 {
            let value = n.wrapping_mul(0x9E37_79B9);
            assert_eq!(unscramble(scramble(value)), value);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::testing::client;
    use super::*;
    use crate::classify::icq::testing::{LOGIN_V5, hex};

    #[test]
    fn a_sign_on_is_unscrambled() {
        let bytes = hex(LOGIN_V5);
        let packet = decode(&bytes, bytes.len()).unwrap();
        assert_eq!(packet[10..16], [0x44, 0x33, 0x22, 0x11, 0xE8, 0x03]);
        assert!(packet.windows(9).any(|window| window == b"secret12\0"));
    }

    #[test]
    fn the_length_on_the_wire_is_part_of_the_key() {
        let bytes = client(1_000_001, 7, 0x010E, &[0; 300]);
        assert!(decode(&bytes, bytes.len()).is_some());
        // Cut by the capture, but all that the check needs is there.
        assert!(decode(&bytes[..60], bytes.len()).is_some());
        // The same bytes as a datagram of their own mean something else.
        assert_ne!(decode(&bytes[..60], 60), decode(&bytes[..60], bytes.len()));
        assert!(decode(&bytes[..20], bytes.len()).is_none());
    }

    #[test]
    fn any_changed_byte_before_the_check_breaks_it() {
        let bytes = hex(LOGIN_V5);
        let broken = (0..8).filter(|bit| {
            let mut changed = bytes.clone();
            changed[20] ^= 1 << bit;
            decode(&changed, changed.len()).is_none()
        });
        assert_eq!(broken.count(), 8);
    }
}
