//! Calls: STUN and TURN (RFC 8489, RFC 8656) with what messengers add to it, and RTP (RFC 3550); then the calls of others.

use super::bytes::{be16, be32, join, noise};
use super::talk::{Scenario, Talk, Truth};

const ALLOCATE: usize = 0x0003;
const BINDING: usize = 0x0001;
const SUCCESS: usize = 0x0100;
const ERROR: usize = 0x0110;

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "calls",
            "Calls of WhatsApp, Signal, Telegram, Viber and Zoom through their relays, by UDP and by TCP.",
            [whatsapp(), signal(), telegram(), viber_and_zoom()].concat(),
        ),
        scenario(
            "baits-calls",
            "Calls of others, with STUN, TURN and RTP as browsers, phones and games use them, and what only resembles a messenger's. No messenger here.",
            [browsers(), relays(), near(), others()].concat(),
        ),
    ]
}

/// A message with the cookie.
fn stun(kind: usize, seed: u64, attributes: &[(usize, &[u8])]) -> Vec<u8> {
    let padded = |(kind, value): &(usize, &[u8])| {
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        join(&[&be16(*kind), &be16(value.len()), value, &padding])
    };
    let body: Vec<u8> = attributes.iter().flat_map(padded).collect();
    join(&[
        &be16(kind),
        &be16(body.len()),
        &[0x21, 0x12, 0xa4, 0x42],
        &noise(seed, 12),
        &body,
    ])
}

/// "Which address do I have?", answered.
fn mapped(seed: u64) -> Vec<u8> {
    let address = join(&[&[0, 1], &noise(seed + 1, 6)]);
    stun(BINDING + SUCCESS, seed, &[(0x20, &address)])
}

/// A relay is asked, and wants to know who asks.
fn unauthorised(seed: u64, realm: &str) -> [Vec<u8>; 2] {
    [
        stun(ALLOCATE, seed, &[(0x19, &[17, 0, 0, 0])]),
        stun(
            ALLOCATE + ERROR,
            seed,
            &[
                (0x09, b"\0\0\x04\x01Unauthorized"),
                (0x15, b"000102030405060708090a0b"),
                (0x14, realm.as_bytes()),
            ],
        ),
    ]
}

fn authorised(seed: u64, realm: &str) -> [Vec<u8>; 2] {
    let address = join(&[&[0, 1], &noise(seed + 1, 6)]);
    [
        stun(
            ALLOCATE,
            seed,
            &[
                (0x19, &[17, 0, 0, 0]),
                (0x06, b"1790000000:caller"),
                (0x14, realm.as_bytes()),
                (0x15, b"000102030405060708090a0b"),
                (0x08, &noise(seed + 2, 20)),
            ],
        ),
        stun(
            ALLOCATE + SUCCESS,
            seed,
            &[(0x16, &address), (0x20, &address), (0x0d, &be32(600))],
        ),
    ]
}

fn rtp(kind: u8, number: u16, source: u8, seed: u64) -> Vec<u8> {
    join(&[
        &[0x80, kind],
        &number.to_be_bytes(),
        &be32(usize::from(number) * 960),
        &[1, 2, 3, source],
        &noise(seed, 90),
    ])
}

/// Both talk for a while.
fn voice(talk: Talk, kind: u8, wrap: impl Fn(&[u8]) -> Vec<u8>) -> Talk {
    (0..10_u16).fold(talk, |talk, number| {
        let seed = u64::from(number);
        talk.client(wrap(&rtp(kind, number, 4, seed)))
            .server(wrap(&rtp(kind, number + 7000, 5, seed + 50)))
    })
}

fn as_it_is(packet: &[u8]) -> Vec<u8> {
    packet.to_vec()
}

fn in_channel(packet: &[u8]) -> Vec<u8> {
    let padding = vec![0; packet.len().next_multiple_of(4) - packet.len()];
    join(&[&[0x40, 1], &be16(packet.len()), packet, &padding])
}

fn call(service: &'static str, confidence: &'static str) -> Truth {
    Truth {
        service,
        app_proto: Some("stun"),
        role: Some("call"),
        confidence,
        ..Truth::default()
    }
    .uses(&["voice"])
}

fn whatsapp() -> Vec<Talk> {
    // Tokens as protobuf in attributes of its own, then pings that the relay answers.
    let ask = |seed| {
        let token = join(&[&[0x0a, 0x20], &noise(seed, 32)]);
        let route = join(&[&[0x08, 0x01, 0x12, 0x08], &noise(seed + 1, 8)]);
        let proof = noise(seed + 2, 20);
        stun(
            ALLOCATE,
            seed,
            &[(0x4000, &token), (0x4024, &route), (0x08, &proof)],
        )
    };
    let talk = Talk::udp("10.0.8.11:51001", "198.18.30.1:3478", 100)
        .client(ask(1))
        .server(stun(ALLOCATE + SUCCESS, 1, &[(0x16, &noise(2, 8))]))
        .client(stun(0x0801, 3, &[]))
        .server(stun(0x0802, 3, &[(0x20, &noise(4, 8))]));
    // Nobody takes the call.
    let missed = Talk::udp("10.0.8.12:51002", "198.18.30.2:3478", 2500)
        .client(ask(5))
        .server(stun(ALLOCATE + SUCCESS, 5, &[(0x16, &noise(6, 8))]));
    let mut unheard = call("whatsapp", "probable");
    unheard.features.clear();
    vec![
        voice(talk, 120, as_it_is).is(call("whatsapp", "confirmed")),
        missed.is(unheard),
    ]
}

fn signal() -> Vec<Talk> {
    let relay = |talk: Talk, seed| {
        let [ask, refused] = unauthorised(seed, "voip.signal.org");
        let [again, granted] = authorised(seed + 3, "voip.signal.org");
        let talk = talk
            .client(ask)
            .server(refused)
            .client(again)
            .server(granted);
        voice(talk, 102, in_channel).is(call("signal", "probable"))
    };
    vec![
        relay(Talk::udp("10.0.8.21:51003", "198.18.31.1:3478", 4000), 20),
        relay(Talk::tcp("10.0.8.22:51004", "198.18.31.1:3478", 6000), 30),
    ]
}

fn telegram() -> Vec<Talk> {
    // A reflector passes on what comes with a tag; packets to itself have ones behind the tag.
    let tag = noise(40, 16);
    let id = noise(41, 8);
    let own = [0xff; 12];
    let ask = join(&[&tag, &own, &[0xfe, 0xff, 0xff, 0xff], &id]);
    let answer = join(&[
        &tag,
        &own,
        &[0xc7, 0x72, 0x15, 0xc0],
        &[0x40, 0x42, 0x0f, 0x66],
        &id,
        &[0; 10],
        &[0xff, 0xff, 198, 51, 100, 7],
        &[0x39, 0xc7, 0, 0],
    ]);
    let reflector = Talk::udp("10.0.8.31:51005", "198.18.32.1:598", 8000)
        .client(ask)
        .server(answer);
    let reflector = (0..8_u64).fold(reflector, |talk, number| {
        talk.client(join(&[&tag, &noise(50 + number, 104)]))
            .server(join(&[&tag, &noise(60 + number, 104)]))
    });
    let [ask, refused] = unauthorised(70, "telegram.org");
    let [again, granted] = authorised(73, "telegram.org");
    let relay = Talk::udp("10.0.8.32:51006", "198.18.32.2:1400", 9500)
        .client(ask)
        .server(refused)
        .client(again)
        .server(granted);
    vec![
        reflector.is(Truth {
            service: "telegram",
            app_proto: Some("signature"),
            confidence: "confirmed",
            ..Truth::default()
        }),
        voice(relay, 111, in_channel).is(call("telegram", "probable")),
    ]
}

fn viber_and_zoom() -> Vec<Talk> {
    let [ask, refused] = unauthorised(80, "viber.com");
    let [again, granted] = authorised(83, "viber.com");
    let relay = Talk::udp("10.0.8.35:51007", "198.18.32.3:443", 10_500)
        .client(ask)
        .server(refused)
        .client(again)
        .server(granted);
    // Which server is reached? Nobody talks over that.
    let reached = Talk::udp("10.0.8.36:51008", "198.18.32.4:3478", 11_000)
        .client(stun(BINDING, 90, &[(0x0101, &noise(91, 20))]))
        .server(mapped(90));
    let mut silent = call("zoom", "probable");
    silent.features.clear();
    vec![
        voice(relay, 111, in_channel).is(call("viber", "probable")),
        reached.is(silent),
    ]
}

/// Checks from browser to browser (RFC 8445), DTLS, voice.
fn browsers() -> Vec<Talk> {
    let check = |seed: u64| {
        stun(
            BINDING,
            seed,
            &[
                (0x06, b"aB3d:Ef7h"),
                (0xc057, &[0, 1, 0, 50]),
                (0x802a, &noise(seed + 3, 8)),
                (0x25, b""),
                (0x24, &noise(seed + 4, 4)),
                (0x08, &noise(seed + 5, 20)),
                (0x8028, &noise(seed + 6, 4)),
            ],
        )
    };
    [3478, 19_302, 50_004, 9987, 10_000, 443]
        .into_iter()
        .enumerate()
        .map(|(n, port)| {
            let seed = 900 + 10 * n as u64;
            let talk = Talk::udp(
                &format!("10.0.8.{}:5600{n}", 40 + n),
                &format!("198.18.40.{}:{port}", n + 1),
                12_000 + 800 * n as u64,
            )
            .client(check(seed))
            .server(mapped(seed))
            .client(join(&[&[0x16, 0xfe, 0xff, 0, 0], &noise(seed + 7, 150)]));
            voice(talk, 111, as_it_is)
        })
        .collect()
}

/// Relays of others: Jitsi, a video conference, Meet.
fn relays() -> Vec<Talk> {
    [
        "meet.example.org",
        "google.com",
        "example.com",
        "turn.matrix.example",
    ]
    .into_iter()
    .enumerate()
    .map(|(n, realm)| {
        let seed = 1000 + 20 * n as u64;
        let client = format!("10.0.8.{}:5610{n}", 60 + n);
        let server = format!("198.18.41.{}:3478", n + 1);
        let start = 18_000 + 900 * n as u64;
        let [ask, refused] = unauthorised(seed, realm);
        let [again, granted] = authorised(seed + 5, realm);
        let talk = if n % 2 == 0 {
            Talk::udp(&client, &server, start)
        } else {
            Talk::tcp(&client, &server, start)
        };
        let talk = talk
            .client(ask)
            .server(refused)
            .client(again)
            .server(granted);
        voice(talk, 96, in_channel)
    })
    .collect()
}

/// Not quite a messenger's.
fn near() -> Vec<Talk> {
    let software = |text: &'static [u8]| {
        let answer = [(0x20, &[0, 1, 2, 3, 4, 5, 6, 7][..]), (0x8022, text)];
        stun(BINDING + SUCCESS, 1100, &answer)
    };
    let almost: [Vec<u8>; 9] = [
        unauthorised(1101, "notsignal.org")[1].clone(),
        unauthorised(1102, "signal.org.example")[1].clone(),
        unauthorised(1103, "mytelegram.org")[1].clone(),
        stun(ALLOCATE, 1104, &[(0x3fff, b"near"), (0x4008, b"near")]),
        stun(0x0803, 1105, &[]),
        // What Teams, Skype and Skype for Business have in common: a hint, and no more.
        stun(
            ALLOCATE,
            1106,
            &[(0x8008, &[0, 0, 0, 6]), (0x8070, &[0, 0, 0, 3])],
        ),
        software(b"WhatsApp is not the maker of this"),
        // Ones behind sixteen bytes.
        join(&[&noise(1107, 16), &[0xff; 16], &noise(1108, 8)]),
        // The length says more than there is.
        join(&[
            &[0, 3, 0, 40, 0x21, 0x12, 0xa4, 0x42],
            &noise(1109, 12),
            &[0x40, 0, 0, 4],
            &noise(1110, 4),
        ]),
    ];
    almost
        .into_iter()
        .enumerate()
        .map(|(n, bytes)| {
            Talk::udp(
                &format!("10.0.8.{}:5620{n}", 70 + n),
                &format!("198.18.42.{}:3478", n + 1),
                22_000 + 300 * n as u64,
            )
            .client(bytes)
            .server(mapped(1120 + n as u64))
        })
        .collect()
}

/// A game that asks as RFC 3489 has it; a phone's voice without STUN; a camera.
fn others() -> Vec<Talk> {
    let old = |kind: usize, attributes: &[u8]| {
        join(&[
            &be16(kind),
            &be16(attributes.len()),
            &noise(1200, 16),
            attributes,
        ])
    };
    let game = Talk::udp("10.0.8.90:56300", "198.18.43.1:3478", 26_000)
        .client(old(BINDING, &[0, 3, 0, 4, 0, 0, 0, 6]))
        .server(old(
            BINDING + SUCCESS,
            &[0, 1, 0, 8, 0, 1, 0x1f, 0x90, 198, 51, 100, 9],
        ));
    let phone = Talk::udp("10.0.8.91:56301", "198.18.43.2:20014", 26_500);
    let camera = Talk::udp("10.0.8.92:56302", "198.18.43.3:5004", 28_000);
    let camera = (0..12_u16).fold(camera, |talk, number| {
        talk.server(rtp(96, number, 9, 1300 + u64::from(number)))
    });
    vec![game, voice(phone, 0, as_it_is), camera]
}
