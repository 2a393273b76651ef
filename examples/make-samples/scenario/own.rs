//! Today's messengers that have formats of their own, each told by how it begins; and what begins nearly so.

use super::bytes::{be16, be32, join, le32, noise};
use super::talk::{Scenario, Talk, Truth};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "today-own",
            "WeChat's own TLS, over TCP and in HTTP; a call of LINE; servers of Mumble and TeamSpeak 2; WhatsApp of before Noise; Discord's voice.",
            [wechat(), datagrams(), vec![old_whatsapp()]].concat(),
        ),
        scenario(
            "baits-own",
            "Records, pings and requests that begin nearly like these. No messenger here.",
            near(),
        ),
    ]
}

/// Told by how it begins.
pub fn by_signature(service: &'static str, confidence: &'static str) -> Truth {
    Truth {
        service,
        app_proto: Some("signature"),
        confidence,
        ..Truth::default()
    }
}

/// A record of mmtls.
fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    join(&[&[kind, 0xf1, 0x04], &be16(body.len()), body])
}

/// A handshake message in it.
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let message = join(&[&[kind, 0x03, 0xf1], body]);
    join(&[&be32(message.len()), &message])
}

fn hello(seed: u64) -> Vec<u8> {
    let suites = [2, 0xc0, 0x2b, 0, 0xa8];
    let random = noise(seed, 32);
    let extensions = join(&[&be32(0x13a), &[2], &noise(seed + 1, 0x139)]);
    handshake(1, &join(&[&suites, &random, &[0x66, 0, 0, 1], &extensions]))
}

fn early(seed: u64) -> Vec<u8> {
    let begin = join(&[&[1, 0, 0xa8], &noise(seed, 32), &[0x66, 0, 0, 1]]);
    join(&[
        &record(
            0x19,
            &handshake(
                1,
                &join(&[&begin, &be32(0x6f), &[1], &noise(seed + 1, 0x6e)]),
            ),
        ),
        &record(0x19, &noise(seed + 2, 0x24)),
        &record(0x17, &noise(seed + 3, 0xc9)),
        &record(0x15, &noise(seed + 4, 0x17)),
    ])
}

fn answer(seed: u64) -> Vec<u8> {
    let body = join(&[
        &[0xc0, 0x2b],
        &noise(seed, 32),
        &be32(0x4e),
        &[2],
        &noise(seed + 1, 0x4d),
    ]);
    join(&[
        &record(0x16, &handshake(2, &body)),
        &record(0x16, &noise(seed + 2, 0x5e)),
        &record(0x17, &noise(seed + 3, 0x157)),
    ])
}

/// A request whose body is such records.
fn post(path: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nAccept: */*\r\nHost: 198.18.60.3\r\n{fields}Content-Length: {}\r\n\
         Content-Type: application/octet-stream\r\nUser-Agent: MicroMessenger Client\r\n\r\n",
        body.len()
    );
    join(&[head.as_bytes(), body])
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    join(&[head.as_bytes(), body])
}

fn wechat() -> Vec<Talk> {
    let long = Talk::tcp("10.0.9.51:40501", "198.18.60.1:8080", 100)
        .client(record(0x16, &hello(1)))
        .server(answer(5))
        .client(record(0x17, &noise(10, 90)))
        .server(record(0x17, &noise(11, 400)));
    let at_once = Talk::tcp("10.0.9.52:40502", "198.18.60.2:443", 600)
        .client(early(20))
        .server(answer(30));
    let short = Talk::tcp("10.0.9.53:40503", "198.18.60.3:80", 1100)
        .client(post("/mmtls/00006a5e", "Upgrade: mmtls\r\n", &early(40)))
        .server(ok(&answer(50)));
    vec![
        long.is(by_signature("wechat", "confirmed")),
        at_once.is(by_signature("wechat", "confirmed")),
        short.is(Truth::confirmed("wechat", "mmtls", "client")),
    ]
}

/// Numbers of 32 bits, one behind the other.
fn numbers(all: [usize; 3]) -> Vec<u8> {
    all.into_iter().flat_map(be32).collect()
}

fn datagrams() -> Vec<Talk> {
    let talk = |n: usize, port: u16| {
        let client = format!("10.0.9.{}:405{n:02}", 60 + n);
        let server = format!("198.18.61.{}:{port}", n + 1);
        Talk::udp(&client, &server, 1600 + 300 * n as u64)
    };
    let line = talk(0, 29_070)
        .client(join(&[&[0xb6, 0x18, 0, 0x6a], &noise(60, 106)]))
        .server(join(&[&[0xb6, 0x13, 0, 6], &noise(61, 42)]))
        .client(noise(62, 180))
        .server(noise(63, 180));
    let id = noise(64, 8);
    let mumble = talk(1, 64_738)
        .client(join(&[&[0; 4], &id]))
        .server(join(&[&[0, 1, 3, 4], &id, &numbers([5, 100, 72_000])]))
        .client(join(&[&[0; 4], &id]));
    let text = |text: &str| {
        let mut field = join(&[&[text.len() as u8], text.as_bytes()]);
        field.resize(30, 0);
        field
    };
    let sign_on = join(&[
        &text("TeamSpeak"),
        &text("Linux 5"),
        &[2, 0, 0, 0, 20, 0, 1, 0, 1, 1],
    ]);
    let teamspeak = talk(2, 8767)
        .client(join(&[
            &[0xf4, 0xbe, 3, 0],
            &[0; 8],
            &le32(1),
            &noise(65, 4),
            &sign_on,
            &text(""),
        ]))
        .server(join(&[
            &[0xf4, 0xbe, 4, 0],
            &noise(66, 4),
            &le32(1),
            &le32(1),
            &noise(67, 4),
            &text("a server of two"),
        ]));
    let discord = talk(3, 50_011)
        .client(join(&[&[0x13, 0x37, 0xca, 0xfe], &le32(1)]))
        .client(join(&[&[0x13, 0x37, 0xca, 0xfe], &le32(2)]));
    vec![
        line.is(by_signature("line", "probable")),
        mumble.is(by_signature("mumble", "probable")),
        teamspeak.is(by_signature("teamspeak", "confirmed")),
        discord.is(by_signature("discord", "probable")),
    ]
}

fn old_whatsapp() -> Talk {
    let opening = [0xf8, 5, 1, 0xc8, 0xab, 0xa5, 0xfc, 0x12];
    Talk::tcp("10.0.9.54:40504", "198.18.60.4:443", 1300)
        .client(join(&[
            b"WA\x01\x05",
            &[0, 0, 0x13],
            &opening,
            &noise(70, 11),
            &[0, 0, 0x40],
            &noise(71, 0x40),
        ]))
        .server(join(&[&[0, 0, 9], &noise(72, 9)]))
        .is(by_signature("whatsapp", "probable"))
}

/// Not quite any of them.
fn near() -> Vec<Talk> {
    let streams: [Vec<u8>; 5] = [
        // Another message, another version, TLS.
        record(0x16, &handshake(0x0b, &noise(80, 300))),
        join(&[&[0x16, 0xf2, 4], &be16(300), &noise(81, 300)]),
        join(&[&[0x16, 3, 4], &be16(300), &noise(82, 300)]),
        // An archive of web pages, and a request for something of that name.
        b"WARC/1.0\r\nWARC-Type: warcinfo\r\n\r\n".to_vec(),
        post("/mmtls/about.html", "", &noise(83, 40)),
    ];
    let packets: [Vec<u8>; 7] = [
        // A byte more, a byte less, another type.
        join(&[&[0xb6, 0x18, 0, 0x6a], &noise(84, 107)]),
        join(&[&[0xb6, 7, 0, 4], &noise(85, 3)]),
        join(&[&[0xb6, 0x19, 0, 0x6a], &noise(86, 106)]),
        // A ping that nobody answers as a server of Mumble does.
        join(&[&[0; 4], &noise(87, 8)]),
        // Another program's name.
        join(&[
            &[0xf4, 0xbe, 3, 0],
            &[0; 8],
            &noise(88, 8),
            b"\x09TeamSpoke",
            &noise(89, 80),
        ]),
        join(&[&[0x13, 0x37, 0xca, 0xfe], &noise(90, 9)]),
        join(&[&[5, 0, 7, 0, 0, 0, 0, 0, 0x10], &noise(91, 80)]),
    ];
    let streams = streams.into_iter().enumerate().map(|(n, bytes)| {
        let client = format!("10.0.9.{}:406{n:02}", 70 + n);
        Talk::tcp(
            &client,
            &format!("198.18.62.{}:443", n + 1),
            4000 + 300 * n as u64,
        )
        .client(bytes)
        .server(noise(92 + n as u64, 300))
    });
    let packets = packets.into_iter().enumerate().map(|(n, bytes)| {
        let client = format!("10.0.9.{}:407{n:02}", 80 + n);
        Talk::udp(
            &client,
            &format!("198.18.63.{}:20610", n + 1),
            6000 + 300 * n as u64,
        )
        .client(bytes)
        .server(noise(99 + n as u64, 24))
    });
    streams.chain(packets).collect()
}
