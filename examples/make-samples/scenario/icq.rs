//! ICQ: OSCAR with a number for a name, the old UDP protocol, direct connections, files.

use super::aim_peer::file_between;
use super::bytes::{be16, be32, join, le16, le32, noise};
use super::icq_udp::text;
use super::oscar;
use super::oscar_session::{Login, Session};
use super::talk::{Scenario, Talk, Truth};
use std::net::Ipv4Addr;

/// What ICQ 2003a says about itself.
pub const ICQ_2003A: &str = "ICQ Inc. - Product of ICQ (TM).2003a.5.45.1.3777.85";

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![sign_on(), direct(), file_transfer()]
}

/// The number in a UIN.
pub fn number(uin: &str) -> usize {
    uin.parse().expect("a UIN is a number")
}

/// The authoriser's connection: the password under the fixed XOR key, the redirect on channel 4.
pub fn authoriser(
    client: &str,
    server: &str,
    start_ms: u64,
    uin: &'static str,
    next: &str,
    cookie: &[u8],
) -> Talk {
    Login {
        client,
        authoriser: server,
        start_ms,
        name: uin,
        password: "notreal1",
        software: ICQ_2003A,
        next,
        cookie,
    }
    .by_roast()
    .is(Truth::confirmed("icq", "oscar", "authoriser")
        .account(uin)
        .software(ICQ_2003A)
        .uses(&["sign-on"]))
}

/// Status and direct-connection block (TLV 0C, 37 bytes) of SNAC 0001/001E.
fn status(address: Ipv4Addr, port: usize) -> Vec<u8> {
    let direct = join(&[
        &address.octets(),
        &be32(port),
        // Type 4, protocol version 8, cookie, web port, features.
        &[4],
        &be16(8),
        &[0xde, 0xad, 0xbe, 0xef],
        &be32(0x50),
        &be32(3),
        &[0; 14],
    ]);
    join(&[
        &oscar::tlv(6, [0, 0, 0, 0]),
        &oscar::tlv(8, [0, 0]),
        &oscar::tlv(0x0c, direct),
    ])
}

/// ICQ's own request or answer (SNAC 0015): one TLV with a little-endian block.
fn own_unit(uin: usize, kind: usize, sequence: usize, body: &[u8]) -> Vec<u8> {
    let block = join(&[&le32(uin), &le16(kind), &le16(sequence), body]);
    oscar::tlv(1, join(&[&le16(block.len()), &block]))
}

/// A message of the old form (ICBM channel 4): little-endian inside TLV 5.
fn old_message(uin: usize, words: &str) -> Vec<u8> {
    oscar::tlv(5, join(&[&le32(uin), &[1, 0], &text(words)]))
}

/// A session with a conversation: stored messages, old and new message forms.
pub fn session(
    client: &str,
    server: &str,
    start_ms: u64,
    uin: &'static str,
    peer: &'static str,
    cookie: &[u8],
) -> Talk {
    let (me, them) = (number(uin), number(peer));
    let stored = join(&[
        &le32(them),
        &le16(2026),
        &[1, 1, 22, 15, 1, 0],
        &text("call me tomorrow"),
    ]);
    let head = |seed, name| join(&[&oscar::icbm_cookie(seed), &[0, 4], &oscar::short_text(name)]);
    let received = join(&[
        &oscar::icbm_cookie(54),
        &[0, 4],
        &oscar::user_info(peer, None),
        &old_message(them, "see you there"),
    ]);
    Session {
        client,
        server,
        start_ms,
        name: uin,
        cookie,
        buddies: &[peer],
        status: Some(status(Ipv4Addr::new(10, 0, 1, 20), 3574)),
    }
    .open()
    .ask(0x15, 2, &own_unit(me, 0x3c, 2, &[]))
    .answer(0x15, 3, &own_unit(me, 0x41, 2, &stored))
    .answer(0x15, 3, &own_unit(me, 0x42, 2, &[0, 0]))
    .ask(0x15, 2, &own_unit(me, 0x3e, 3, &[]))
    // Short information about somebody; an error is the usual answer.
    .ask(
        0x15,
        2,
        &own_unit(me, 0x07d0, 4, &join(&[&le16(0x04ba), &le32(them)])),
    )
    .answer(0x15, 1, &join(&[&be16(2), &oscar::tlv(0x21, [0, 1])]))
    .pause(1100)
    .message_to(51, peer, "thank you for the note")
    .ask(0x15, 2, &own_unit(me, 0x07d0, 5, &sms(uin)))
    .ask(
        4,
        6,
        &join(&[
            &head(52, peer),
            &old_message(me, "lunch at noon?"),
            &oscar::tlv(6, []),
        ]),
    )
    .pause(1700)
    .message_from(53, peer, "gladly")
    .tell(4, 7, &received)
    .idle(6000)
    .sign_off()
    .is(Truth::confirmed("icq", "oscar", "bos")
        .account(uin)
        .peer(peer)
        .uses(&["sign-on", "message"]))
}

/// A text message to a telephone: two numbers, zeros, XML behind its length.
fn sms(uin: &str) -> Vec<u8> {
    let xml = format!(
        "<icq_sms_message><destination>+15550100</destination><text>on my way</text><codepage>1252</codepage>\
         <senders_UIN>{uin}</senders_UIN><senders_name>me</senders_name><delivery_receipt>Yes</delivery_receipt>\
         </icq_sms_message>\0"
    );
    join(&[
        &le16(0x1482),
        &be16(1),
        &be16(22),
        &[0; 16],
        &be16(0),
        &be16(xml.len()),
        xml.as_bytes(),
    ])
}

fn sign_on() -> Scenario {
    let (first, second) = (oscar::cookie(17), oscar::cookie(18));
    let by_md5 = Login {
        client: "10.0.1.21:50510",
        authoriser: "64.12.161.185:443",
        start_ms: 400,
        name: "1000002",
        password: "",
        software: "ICQBasic",
        next: "64.12.24.50:443",
        cookie: &second,
    };
    Scenario {
        name: "icq-signon-message",
        about: "ICQ over OSCAR: 1000001 signs on with the XOR key, 1000002 with the MD5 challenge on port 443; they write \
                in the old and the new form.",
        talks: vec![
            authoriser(
                "10.0.1.20:50500",
                "205.188.153.98:5190",
                100,
                "1000001",
                "205.188.179.9:5190",
                &first,
            ),
            session(
                "10.0.1.20:50501",
                "205.188.179.9:5190",
                700,
                "1000001",
                "1000002",
                &first,
            ),
            by_md5
                .by_md5()
                .is(Truth::confirmed("icq", "oscar", "authoriser")
                    .account("1000002")
                    .software("ICQBasic")
                    .uses(&["sign-on"])),
            session(
                "10.0.1.21:50511",
                "64.12.24.50:443",
                1100,
                "1000002",
                "1000001",
                &second,
            ),
        ],
    }
}

/// Two users without a server: handshakes of version 8, then scrambled frames.
pub fn direct_connection(
    client: &str,
    server: &str,
    start_ms: u64,
    uin: &'static str,
    peer: &'static str,
) -> Talk {
    let address = |endpoint: &str| -> Ipv4Addr {
        let (address, _) = endpoint.split_once(':').expect("an address and a port");
        address.parse().expect("an IPv4 address")
    };
    let init = |from: &str, to: &str, at: Ipv4Addr| {
        let body = join(&[
            &[0xff],
            &le16(8),
            &le16(0x2b),
            &le32(number(to)),
            &[0, 0],
            &le32(3574),
            &le32(number(from)),
            &at.octets(),
            &at.octets(),
            &[4],
            &le32(3574),
            // The cookie that OSCAR's TLV 0C named, features, a constant, the connection's id.
            &[0xef, 0xbe, 0xad, 0xde],
            &le32(0x50),
            &le32(3),
            &[0; 4],
        ]);
        join(&[&le16(body.len()), &body])
    };
    let second = |dialler: usize| {
        let body = join(&[
            &[3],
            &le32(10),
            &le32(1),
            &le32(dialler),
            &[0; 8],
            &le32(0x0004_0001),
            &[0; 8],
        ]);
        join(&[&le16(body.len()), &body])
    };
    let ack = [4, 0, 1, 0, 0, 0];
    let (me, them) = ("see you at four", "bring the plans");
    Talk::tcp(client, server, start_ms)
        .client(init(uin, peer, address(client)))
        .server(join(&[&ack, &init(peer, uin, address(server))]))
        .client(ack)
        .client(second(0))
        .server(second(1))
        .pause(600)
        .client(direct_frame(START, 1, 0, me, &COLOURS))
        .server(direct_frame(RECEIVED, 1, 0, "", &COLOURS))
        .pause(2000)
        .server(direct_frame(START, 1, 0, them, &COLOURS))
        .client(direct_frame(RECEIVED, 1, 0, "", &COLOURS))
        .pause(900)
        .client(direct_frame(
            START,
            3,
            0,
            "the plans",
            &join(&[&[0; 4], &text("plans.exe"), &le32(3_000), &[0; 4]]),
        ))
        .pause(1500)
        .server(direct_frame(RECEIVED, 3, 0, "", &[0; 15]))
        .is(Truth::confirmed("icq", "icq-direct", "peer")
            .account(uin)
            .peer(peer)
            .uses(&["direct-connection", "message", "file-transfer"])
            .exposes(&["cleartext-messages", "executable-file"]))
}

/// The bytes of the file that is sent directly.
pub fn direct_file() -> Vec<u8> {
    join(&[b"MZ", &noise(77, 2_998)])
}

/// The file, on a connection of its own: version 7, introductions, then frames in clear.
fn direct_file_transfer() -> Talk {
    let init = |from: usize, to: usize, at: [u8; 4]| {
        let body = join(&[
            &[0xff],
            &le16(7),
            &le16(0x2b),
            &le32(to),
            &[0, 0],
            &le32(4711),
            &le32(from),
            &at,
            &at,
            &[4],
            &le32(4711),
            &[0xef, 0xbe, 0xad, 0xde],
            &le32(0x50),
            &le32(3),
            &[0; 4],
        ]);
        join(&[&le16(body.len()), &body])
    };
    let frame = |parts: &[&[u8]]| {
        let body = join(parts);
        join(&[&le16(body.len()), &body])
    };
    let ack = [4, 0, 1, 0, 0, 0];
    let file = direct_file();
    let speed = le32(100);
    let talk = Talk::tcp("10.0.1.20:50522", "10.0.1.21:28412", 7000)
        .client(init(1_000_001, 1_000_002, [10, 0, 1, 20]))
        .server(join(&[&ack, &init(1_000_002, 1_000_001, [10, 0, 1, 21])]))
        .client(ack)
        // Files, bytes, speed, who sends; then who receives.
        .client(frame(&[
            &[0],
            &le32(0),
            &le32(1),
            &le32(file.len()),
            &speed,
            &text("1000001"),
        ]))
        .server(frame(&[&[1], &speed, &text("1000002")]))
        .client(frame(&[
            &[2, 0],
            &text("plans.exe"),
            &text(""),
            &le32(file.len()),
            &le32(0),
            &speed,
        ]))
        .server(frame(&[&[3], &le32(0), &le32(0), &speed, &le32(1)]));
    file.chunks(1_024)
        .fold(talk, |talk, part| talk.client(frame(&[&[6], part])))
        .is(Truth::confirmed("icq", "icq-direct", "peer")
            .account("1000001")
            .peer("1000002")
            .uses(&["direct-connection", "file-transfer"])
            .exposes(&["executable-file"]))
}

/// Commands of messages between users: something new, and the answer to it.
const START: usize = 0x07ee;
const RECEIVED: usize = 0x07da;
/// Foreground and background.
const COLOURS: [u8; 8] = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0];

/// What scrambling draws from, as every client carries it.
const TEXT: &str = "As part of this software beta version Mirabilis is granting a limited access to the ICQ network, \
    servers, directories, listings, information and databases (\"ICQ Services and Information\"). The ICQ Service and \
    Information may databases (\"ICQ Services and Information\"). The ICQ Service and Information may\0";

/// A message of version 8, its first quarter scrambled.
fn direct_frame(command: usize, kind: usize, status: usize, words: &str, more: &[u8]) -> Vec<u8> {
    let mut body = join(&[
        &[0; 4],
        &le16(command),
        &le16(0x0e),
        &le16(0xfffe),
        &[0; 12],
        &le16(kind),
        &le16(status),
        &le16(0x10),
        &text(words),
        more,
    ]);
    // One byte of the message and one of the text, each with its place, under bytes of the message.
    let (place, index) = (13_u8, 40_u8);
    let key = TEXT.as_bytes();
    let places = [
        place,
        !body[usize::from(place)],
        index,
        !key[usize::from(index)],
    ];
    let check =
        u32::from_be_bytes(places) ^ u32::from_be_bytes([body[4], body[6], body[4], body[6]]);
    let mask = (body.len() as u32)
        .wrapping_mul(0x6765_7268)
        .wrapping_add(check);
    for at in (4..body.len().div_ceil(4)).step_by(4) {
        let word = mask.wrapping_add(u32::from(key[at])).to_le_bytes();
        for (byte, word) in body[at..].iter_mut().zip(word) {
            *byte ^= word;
        }
    }
    body[..4].copy_from_slice(&check.to_le_bytes());
    join(&[&le16(body.len() + 1), &[2], &body])
}

fn direct() -> Scenario {
    Scenario {
        name: "icq-direct",
        about: "1000001 dials 1000002 for a direct ICQ connection (version 8), once on port 3574 and once on any port; they write \
                and offer a file. One is sent over a connection of its own.",
        talks: vec![
            direct_connection(
                "10.0.1.20:50520",
                "10.0.1.21:3574",
                100,
                "1000001",
                "1000002",
            ),
            direct_connection(
                "10.0.1.21:50521",
                "10.0.1.20:28411",
                3500,
                "1000002",
                "1000001",
            ),
            direct_file_transfer(),
        ],
    }
}

fn file_transfer() -> Scenario {
    Scenario {
        name: "icq-file-transfer",
        about: "1000001 offers 1000002 a file over ICQ; 1000002 accepts, dials the other machine and fetches it (OFT2).",
        talks: file_between(
            "icq",
            ("10.0.1.20:50530", "1000001"),
            ("10.0.1.21:50540", "1000002"),
            150,
            "photos.zip",
            9_400,
        ),
    }
}
