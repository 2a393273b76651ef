//! ICQ over UDP, before it became part of OSCAR: version 2 in clear, version 5 scrambled. All numbers are little-endian.

use super::bytes::{join, le16, le32};
use super::icq::number;
use super::talk::{Scenario, Talk, Truth};

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![over_udp()]
}

/// The 256 bytes that version 5 adds to its key (a text of the ICQ client, as every third-party client carries it).
#[rustfmt::skip]
const TABLE: [u8; 256] = [
    0x59, 0x60, 0x37, 0x6b, 0x65, 0x62, 0x46, 0x48, 0x53, 0x61, 0x4c, 0x59, 0x60, 0x57, 0x5b, 0x3d,
    0x5e, 0x34, 0x6d, 0x36, 0x50, 0x3f, 0x6f, 0x67, 0x53, 0x61, 0x4c, 0x59, 0x40, 0x47, 0x63, 0x39,
    0x50, 0x5f, 0x5f, 0x3f, 0x6f, 0x47, 0x43, 0x69, 0x48, 0x33, 0x31, 0x64, 0x35, 0x5a, 0x4a, 0x42,
    0x56, 0x40, 0x67, 0x53, 0x41, 0x07, 0x6c, 0x49, 0x58, 0x3b, 0x4d, 0x46, 0x68, 0x43, 0x69, 0x48,
    0x33, 0x31, 0x44, 0x65, 0x62, 0x46, 0x48, 0x53, 0x41, 0x07, 0x6c, 0x69, 0x48, 0x33, 0x51, 0x54,
    0x5d, 0x4e, 0x6c, 0x49, 0x38, 0x4b, 0x55, 0x4a, 0x62, 0x46, 0x48, 0x33, 0x51, 0x34, 0x6d, 0x36,
    0x50, 0x5f, 0x5f, 0x5f, 0x3f, 0x6f, 0x47, 0x63, 0x59, 0x40, 0x67, 0x33, 0x31, 0x64, 0x35, 0x5a,
    0x6a, 0x52, 0x6e, 0x3c, 0x51, 0x34, 0x6d, 0x36, 0x50, 0x5f, 0x5f, 0x3f, 0x4f, 0x37, 0x4b, 0x35,
    0x5a, 0x4a, 0x62, 0x66, 0x58, 0x3b, 0x4d, 0x66, 0x58, 0x5b, 0x5d, 0x4e, 0x6c, 0x49, 0x58, 0x3b,
    0x4d, 0x66, 0x58, 0x3b, 0x4d, 0x46, 0x48, 0x53, 0x61, 0x4c, 0x59, 0x40, 0x67, 0x33, 0x31, 0x64,
    0x55, 0x6a, 0x32, 0x3e, 0x44, 0x45, 0x52, 0x6e, 0x3c, 0x31, 0x64, 0x55, 0x6a, 0x52, 0x4e, 0x6c,
    0x69, 0x48, 0x53, 0x61, 0x4c, 0x39, 0x30, 0x6f, 0x47, 0x63, 0x59, 0x60, 0x57, 0x5b, 0x3d, 0x3e,
    0x64, 0x35, 0x3a, 0x3a, 0x5a, 0x6a, 0x52, 0x4e, 0x6c, 0x69, 0x48, 0x53, 0x61, 0x6c, 0x49, 0x58,
    0x3b, 0x4d, 0x46, 0x68, 0x63, 0x39, 0x50, 0x5f, 0x5f, 0x3f, 0x6f, 0x67, 0x53, 0x41, 0x25, 0x41,
    0x3c, 0x51, 0x54, 0x3d, 0x5e, 0x54, 0x5d, 0x4e, 0x4c, 0x39, 0x50, 0x5f, 0x5f, 0x5f, 0x3f, 0x6f,
    0x47, 0x43, 0x69, 0x48, 0x33, 0x51, 0x54, 0x5d, 0x6e, 0x3c, 0x31, 0x64, 0x35, 0x5a, 0x00, 0x00,
];

const ACK: usize = 0x000a;
const SEND: usize = 0x010e;
const LOGIN: usize = 0x03e8;
const CONTACTS: usize = 0x0406;
const KEEP_ALIVE: usize = 0x042e;
const LOGOFF: usize = 0x0438;
const STATUS: usize = 0x04d8;
const HELLO: usize = 0x005a;
const ONLINE: usize = 0x006e;
const RECEIVE: usize = 0x0104;
const CONTACTS_DONE: usize = 0x021c;

/// A text behind its 16-bit length, which counts the zero at the end.
pub fn text(text: &str) -> Vec<u8> {
    join(&[&le16(text.len() + 1), text.as_bytes(), &[0]])
}

/// A text message (type 1) for or from this user.
fn message(uin: usize, words: &str) -> Vec<u8> {
    join(&[&le32(uin), &le16(1), &text(words)])
}

/// A client's packet of version 2: version, command, sequence, UIN.
fn v2_client(command: usize, sequence: usize, uin: usize, body: &[u8]) -> Vec<u8> {
    join(&[&le16(2), &le16(command), &le16(sequence), &le32(uin), body])
}

/// A server's packet of version 2: version, command, sequence.
fn v2_server(command: usize, sequence: usize, body: &[u8]) -> Vec<u8> {
    join(&[&le16(2), &le16(command), &le16(sequence), body])
}

/// One user's session of version 5.
struct V5 {
    uin: usize,
    session: usize,
}

impl V5 {
    /// A client's packet: check value, then everything but the first ten bytes and the check value under the key.
    fn client(&self, command: usize, sequence: usize, body: &[u8]) -> Vec<u8> {
        let mut packet = join(&[
            &le16(5),
            &[0; 4],
            &le32(self.uin),
            &le32(self.session),
            &le16(command),
            &le16(sequence),
            &le16(sequence & 7),
            &[0; 4],
            body,
        ]);
        // Two places that the server looks up again: one in the packet, one in the table.
        let (r1, r2) = (14_u8, (sequence * 37 % 256) as u8);
        let header = u32::from_be_bytes([packet[8], packet[4], packet[2], packet[6]]);
        let places = [r1, packet[usize::from(r1)], r2, TABLE[usize::from(r2)]];
        let check = header ^ u32::from_be_bytes(places) ^ 0x00ff_00ff;
        let key = (packet.len() as u32)
            .wrapping_mul(0x6865_6c6c)
            .wrapping_add(check);
        for i in (10..packet.len()).step_by(4) {
            let word = key.wrapping_add(u32::from(TABLE[i & 0xff])).to_le_bytes();
            for (offset, mask) in word.into_iter().enumerate() {
                // Bytes 20 to 23 hold the check value and stay as they are.
                if let Some(byte) = packet.get_mut(i + offset)
                    && !(20..24).contains(&(i + offset))
                {
                    *byte ^= mask;
                }
            }
        }
        packet[20..24].copy_from_slice(&scramble(check).to_le_bytes());
        packet
    }

    /// A server's packet: clear.
    fn server(&self, command: usize, sequence: usize, body: &[u8]) -> Vec<u8> {
        join(&[
            &le16(5),
            &[0],
            &le32(self.session),
            &le16(command),
            &le16(sequence),
            &le16(sequence & 7),
            &le32(self.uin),
            &le32(0x1234_5678 ^ sequence),
            body,
        ])
    }
}

/// Moves the bits of the check value to where version 5 hides them.
fn scramble(check: u32) -> u32 {
    ((check & 0x0000_001f) << 12)
        + ((check & 0x03e0_03e0) << 1)
        + ((check & 0xf800_0400) >> 10)
        + ((check & 0x0000_f800) << 16)
        + ((check & 0x041f_0000) >> 15)
}

/// ICQ 98 and 99 over UDP, version 5.
pub fn udp_v5(
    client: &str,
    server: &str,
    start_ms: u64,
    uin: &'static str,
    peer: &'static str,
) -> Talk {
    let (me, them) = (number(uin), number(peer));
    let v5 = V5 {
        uin: me,
        session: 0x1122_3344,
    };
    let ack = |sequence| v5.client(ACK, sequence, &le32(0x0055_1234));
    let login = join(&[
        &le32(1_767_323_045),
        &le32(4000),
        &text("notreal1"),
        &le32(0x98),
        &[10, 0, 1, 22],
        &[4],
        // Status, version of direct connections, then constants of the client.
        &le32(0),
        &le32(6),
        &[0; 8],
        &[2, 0, 0x3f, 1, 0x50, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0],
    ]);
    let online = join(&[
        &le32(them),
        &[10, 0, 1, 23],
        &le32(4001),
        &[10, 0, 1, 23],
        &[4],
        &le32(0),
        &le32(6),
    ]);
    Talk::udp(client, server, start_ms)
        .client(v5.client(LOGIN, 1, &login))
        .server(v5.server(ACK, 1, &[]))
        .server(v5.server(
            HELLO,
            1,
            &[
                0x8c, 0, 0, 0, 0xf0, 0, 10, 0, 10, 0, 5, 0, 10, 0, 1, 22, 0, 0, 0, 0,
            ],
        ))
        .client(ack(1))
        .client(v5.client(CONTACTS, 2, &join(&[&[1], &le32(them)])))
        .server(v5.server(ACK, 2, &[]))
        .server(v5.server(CONTACTS_DONE, 2, &[]))
        .client(ack(2))
        .server(v5.server(ONLINE, 3, &online))
        .client(ack(3))
        .client(v5.client(STATUS, 3, &le32(0)))
        .server(v5.server(ACK, 3, &[]))
        .pause(1500)
        .client(v5.client(SEND, 4, &message(them, "lunch at noon?")))
        .server(v5.server(ACK, 4, &[]))
        .pause(2500)
        .server(v5.server(RECEIVE, 4, &message(them, "gladly")))
        .client(ack(4))
        .pause(9000)
        .client(v5.client(KEEP_ALIVE, 5, &le32(0x0066_4321)))
        .server(v5.server(ACK, 5, &[]))
        .client(v5.client(LOGOFF, 6, &join(&[&text("B_USER_DISCONNECTED"), &[5, 0]])))
        .server(v5.server(ACK, 6, &[]))
        .is(Truth::confirmed("icq", "icq-udp", "session")
            .account(uin)
            .peer(peer)
            .uses(&["sign-on", "message"]))
}

/// The first clients over UDP, version 2, all in clear.
fn udp_v2(
    client: &str,
    server: &str,
    start_ms: u64,
    uin: &'static str,
    peer: &'static str,
) -> Talk {
    let (me, them) = (number(uin), number(peer));
    let login = join(&[
        &le32(1030),
        &text("notreal1"),
        &[0x72, 0, 4, 0],
        &[192, 168, 1, 20],
        &[4],
        &le16(0),
        &le16(0),
        &[2, 0, 0, 0, 0, 0, 4, 0, 0x72, 0, 0, 0],
    ]);
    let hello = join(&[
        &le32(me),
        &[192, 168, 1, 20],
        &le16(1),
        &[1, 0, 1, 0, 0x5e, 0, 0, 0, 0x8c, 0, 0, 0],
    ]);
    let online = join(&[
        &le32(them),
        &[192, 168, 1, 33],
        &le32(1031),
        &[192, 168, 1, 33],
        &[4],
        &le32(0),
    ]);
    let ack = |sequence| v2_client(ACK, sequence, me, &[]);
    Talk::udp(client, server, start_ms)
        .client(v2_client(LOGIN, 1, me, &login))
        .server(v2_server(ACK, 1, &[]))
        .server(v2_server(HELLO, 0, &hello))
        .client(ack(0))
        .client(v2_client(CONTACTS, 2, me, &join(&[&[1], &le32(them)])))
        .server(v2_server(ACK, 2, &[]))
        .server(v2_server(ONLINE, 1, &online))
        .client(ack(1))
        .pause(1200)
        .client(v2_client(SEND, 3, me, &message(them, "are you there?")))
        .server(v2_server(ACK, 3, &[]))
        .pause(1900)
        .server(v2_server(RECEIVE, 2, &message(them, "always")))
        .client(ack(2))
        .pause(8000)
        .client(v2_client(KEEP_ALIVE, 4, me, &[]))
        .server(v2_server(ACK, 4, &[]))
        .client(v2_client(
            LOGOFF,
            5,
            me,
            &join(&[&text("B_USER_DISCONNECTED"), &[5, 0]]),
        ))
        .server(v2_server(ACK, 5, &[]))
        .is(Truth::confirmed("icq", "icq-udp", "session")
            .account(uin)
            .peer(peer)
            .uses(&["sign-on", "message"]))
}

fn over_udp() -> Scenario {
    Scenario {
        name: "icq-udp",
        about: "ICQ before OSCAR: version 2 in clear, version 5 scrambled, and version 5 again on a port that is not ICQ's.",
        talks: vec![
            udp_v2(
                "192.168.1.20:1030",
                "205.188.252.21:4000",
                100,
                "1000001",
                "1000002",
            ),
            udp_v5(
                "10.0.1.22:4001",
                "205.188.252.24:4000",
                300,
                "1000003",
                "1000004",
            ),
            udp_v5(
                "10.0.1.23:1077",
                "198.51.100.44:7777",
                900,
                "1000004",
                "1000003",
            ),
        ],
    }
}
