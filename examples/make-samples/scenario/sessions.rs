//! Sessions of `KakaoTalk` and of the older Skype, as far as they can be told; and records that begin nearly so, or as Viber does elsewhere.

use super::bytes::{join, le16, le32, noise};
use super::own::by_signature;
use super::talk::{Scenario, Talk};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "today-sessions",
            "KakaoTalk's LOCO with its handshakes of three ages, and without encryption; an older Skype signs on.",
            [loco(), clear(), vec![skype()]].concat(),
        ),
        scenario(
            "baits-sessions",
            "Records, remote procedures, consoles of game servers and TLS that begin nearly like these, on their ports. No messenger here.",
            near(),
        ),
    ]
}

/// Three numbers of 32 bits, from the low byte on: how a handshake begins, and many a record.
fn numbers(all: [usize; 3]) -> Vec<u8> {
    all.into_iter().flat_map(le32).collect()
}

/// A length, and what has it.
fn frame(seed: u64, length: usize) -> Vec<u8> {
    join(&[&le32(length), &noise(seed, length)])
}

/// How long the key is, how it is encrypted, what with; the key.
fn handshake(seed: u64, begin: [usize; 3]) -> Vec<u8> {
    join(&[&numbers(begin), &noise(seed, begin[0])])
}

fn loco() -> Vec<Talk> {
    let talk = |n: usize, port: u16| {
        let client = format!("10.0.10.{}:413{n:02}", 10 + n);
        Talk::tcp(
            &client,
            &format!("198.18.70.{}:{port}", n + 1),
            100 + 400 * n as u64,
        )
    };
    let session = |talk: Talk, seed: u64, sizes: [usize; 2]| {
        talk.client(frame(seed, sizes[0]))
            .server(frame(seed + 1, sizes[1]))
            .pause(700)
            .client(frame(seed + 2, sizes[0] / 32 * 16))
            .server(frame(seed + 3, 160))
            .is(by_signature("kakaotalk", "probable"))
    };
    vec![
        // A nonce of 12 bytes, the frame, a mark of 16 bytes (GCM); then what CFB and CBC make of it.
        session(
            talk(0, 995).client(handshake(1, [256, 16, 3])),
            10,
            [12 + 22 + 141 + 16, 12 + 22 + 230 + 16],
        ),
        session(
            talk(1, 443).client(handshake(2, [256, 12, 2])),
            20,
            [16 + 22 + 133, 16 + 22 + 1900],
        ),
        session(
            talk(2, 10_009).client(handshake(3, [256, 14, 2])),
            30,
            [16 + 22 + 99, 16 + 22 + 240],
        ),
        session(
            talk(3, 9282).client(handshake(4, [128, 1, 1])),
            40,
            [272, 1936],
        ),
    ]
}

/// A header, and BSON with one text in it.
fn packet(number: usize, method: &str, name: &str, text: &str) -> Vec<u8> {
    let mut padded = method.as_bytes().to_vec();
    padded.resize(11, 0);
    let element = join(&[
        &[2],
        name.as_bytes(),
        &[0],
        &le32(text.len() + 1),
        text.as_bytes(),
        &[0, 0],
    ]);
    let length = le32(4 + element.len());
    join(&[
        &le32(number),
        &[0; 2],
        &padded,
        &[0],
        &length,
        &length,
        &element,
    ])
}

fn clear() -> Vec<Talk> {
    let asked = |n: usize, port: u16, number, method, server: &str| {
        let client = format!("10.0.10.{}:414{n:02}", 20 + n);
        Talk::tcp(
            &client,
            &format!("198.18.71.{}:{port}", n + 1),
            2000 + 400 * n as u64,
        )
        .client(packet(number, method, "os", "android"))
        .server(packet(number, method, "host", server))
        .is(by_signature("kakaotalk", "confirmed"))
    };
    vec![
        asked(0, 5228, 0x2712, "CHECKIN", "198.18.70.1"),
        asked(1, 5228, 1, "BUY", "198.18.70.1"),
        asked(2, 8080, 10_002, "CHECKIN", "198.18.70.4"),
        asked(3, 5223, 1, "GETCONF", "198.18.71.1"),
    ]
}

/// A message of Viber: its length with these two bytes, a number, a beginning, noise.
fn message(number: usize, begin: &[u8], seed: u64, length: usize) -> Vec<u8> {
    let rest = noise(seed, length - 4 - begin.len());
    join(&[&le16(length), &le16(number), begin, &rest])
}

fn skype() -> Talk {
    Talk::tcp("10.0.10.40:41601", "198.18.73.1:33033", 5000)
        .client([0x16, 3, 1, 0, 0])
        .server([0x17, 3, 1, 0, 0])
        .client(join(&[&[0x16, 3, 1, 0, 0xcd], &noise(90, 0xcd)]))
        .server(join(&[&[0x17, 3, 1, 1, 0x8a], &noise(91, 0x18a)]))
        .is(by_signature("skype", "confirmed"))
}

/// A record of a remote procedure: three numbers, then what it is about.
fn record(begin: [usize; 3], body: &[u8]) -> Vec<u8> {
    join(&[&numbers(begin), body])
}

/// Not quite any of them: the server's port, and what the client says.
fn near() -> Vec<Talk> {
    let text = |length: usize| "status; ".bytes().cycle().take(length).collect::<Vec<u8>>();
    let tls = join(&[
        &[0x16, 3, 3, 0, 60, 1, 0, 0, 56, 3, 3],
        &noise(110, 32),
        &[0, 0, 4, 0xc0, 0x2f, 0, 0x35, 1, 0, 0, 13],
        &[0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 1, 0],
    ]);
    let console = join(&[&numbers([256, 16, 3])[..], &text(246), &[0, 0]]);
    let streams: [(u16, Vec<u8>); 16] = [
        // A console of a game server signs on, then gives an order: length, number, type each time.
        (
            27_015,
            join(&[&console, &numbers([14, 17, 2]), b"status\0\0"]),
        ),
        // Records of 256 and of 128 bytes, one behind the other; longer and shorter ones behind them.
        (995, record([256, 16, 3], &noise(100, 256)).repeat(2)),
        (
            995,
            join(&[
                &record([256, 12, 2], &noise(101, 256)),
                &record([80, 12, 2], &noise(102, 80)),
            ]),
        ),
        (10_009, record([128, 1, 1], &noise(103, 128)).repeat(3)),
        (
            10_009,
            join(&[
                &record([128, 1, 1], &noise(104, 128)),
                &record([272, 2, 1], &noise(105, 272)),
            ]),
        ),
        // What the key is of, and no frame; other numbers; a frame of other lengths.
        (9282, record([256, 16, 3], &noise(106, 256))),
        (
            9282,
            join(&[&handshake(107, [256, 16, 2]), &frame(108, 203)]),
        ),
        (443, join(&[&handshake(109, [128, 1, 1]), &frame(109, 271)])),
        // Mail, push and other chats where KakaoTalk is, too.
        (995, tls.clone()),
        (5223, tls),
        // A header of the same kind, of somebody else's; lines.
        (5228, packet(1, "CHECKOUT", "os", "android")),
        (5228, packet(1, "CHECKINS", "os", "android")),
        (8080, b"CHECKIN 1 android\r\n".to_vec()),
        // Viber's bytes on a port of nobody, and sizes that cannot be.
        (9000, message(0, &[3, 0x80, 1, 2, 3, 4, 0x0a], 111, 24)),
        (4244, join(&[&le16(9), &message(0, &[], 112, 40)])),
        // Empty records of another version of TLS.
        (33_033, vec![0x16, 3, 0, 0, 0]),
    ];
    let streams = streams.into_iter().enumerate();
    let talks = streams.map(|(n, (port, bytes))| {
        let client = format!("10.0.10.{}:417{n:02}", 50 + n);
        Talk::tcp(
            &client,
            &format!("198.18.74.{}:{port}", n + 1),
            6000 + 300 * n as u64,
        )
        .client(bytes)
        .server(frame(120 + n as u64, 160))
    });
    talks.collect()
}
