use crate::classify::Events;
use crate::classify::stream::{Context, Stream};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Event, Target, Transport};

const MSNP_UP: &[u8] = b"VER 1 MSNP9 MSNP8 CVR0\r\n";
const MSNP_DOWN: &[u8] = b"VER 1 MSNP9\r\n";
const CONNECT_5: &[u8] = b"\x05\x01\0\x03\x15messenger.example.com\x07\x47";
const GRANTED_5: &[u8] = b"\x05\0\0\x01\0\0\0\0\0\0";

type Turn<'a> = (Direction, &'a [u8]);

/// What a connection tells; however it is cut.
fn told(turns: &[Turn<'_>]) -> Vec<Event> {
    told_from(turns, true)
}

/// With or without the TCP handshake.
fn told_from(turns: &[Turn<'_>], from_start: bool) -> Vec<Event> {
    let run = |cut: usize| {
        let mut stream = Stream::new(Transport::Tcp, from_start);
        let mut out = Events::default();
        let context = Context {
            server_port: 1080,
            expected: None,
        };
        for (direction, bytes) in turns {
            for piece in bytes.chunks(cut) {
                stream.feed(*direction, piece, context, &mut out);
            }
        }
        for direction in Direction::BOTH {
            stream.end_of(direction, context, &mut out);
        }
        stream.end(&mut out);
        out.drain().collect::<Vec<_>>()
    };
    let whole = run(usize::MAX);
    for cut in [1, 2, 3, 7] {
        assert_eq!(run(cut), whole, "cut into {cut}");
    }
    whole
}

fn carriers(events: &[Event]) -> Vec<&str> {
    let carried = events.iter().filter_map(|event| match event {
        Event::Carried(carrier) => Some(*carrier),
        _ => None,
    });
    carried.collect()
}

/// Formats of messengers.
fn found(events: &[Event]) -> Vec<&str> {
    let mut found: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Identified { format, .. } if format.service.is_some() => Some(format.app_proto),
            _ => None,
        })
        .collect();
    found.dedup();
    found
}

#[test]
fn what_runs_inside_each_version() {
    let auth: &[u8] = b"\x01\x05alice\x06secret";
    let v5: &[Turn<'_>] = &[
        (ToServer, b"\x05\x02\0\x02"),
        (ToClient, b"\x05\x02"),
        (ToServer, auth),
        (ToClient, b"\x01\0"),
        (ToServer, CONNECT_5),
        (ToClient, GRANTED_5),
    ];
    let v4a: &[Turn<'_>] = &[
        (
            ToServer,
            b"\x04\x01\x07\x47\0\0\0\x01alice\0messenger.example.com\0",
        ),
        (ToClient, b"\0\x5a\0\0\0\0\0\0"),
    ];
    let v4: &[Turn<'_>] = &[
        (ToServer, b"\x04\x01\x07\x47\xc6\x33\x64\x09\0"),
        (ToClient, b"\0\x5a\0\0\0\0\0\0"),
    ];
    for (opening, carrier, named) in [
        (v5, "socks5", true),
        (v4a, "socks4a", true),
        (v4, "socks4", false),
    ] {
        let both = [opening, &[(ToServer, MSNP_UP), (ToClient, MSNP_DOWN)]].concat();
        let pick = |wanted: Direction| -> Vec<Turn<'_>> {
            both.iter()
                .filter(|(way, _)| *way == wanted)
                .copied()
                .collect()
        };
        // The client need not wait for anything.
        let pipelined = [pick(ToServer), pick(ToClient)].concat();
        for (turns, from_start) in [&both, &pipelined, &pick(ToServer)]
            .into_iter()
            .flat_map(|turns| [(turns, true), (turns, false)])
        {
            let events = told_from(turns, from_start);
            assert_eq!(found(&events), ["msnp"], "{carrier}");
            assert_eq!(carriers(&events), [carrier]);
            let host = Event::Host {
                name: "messenger.example.com".to_owned(),
                via: carrier,
            };
            assert_eq!(events.contains(&host), named);
            let text = format!("{events:?}");
            assert!(
                !text.contains("alice") && !text.contains("secret"),
                "{text}"
            );
        }
        let answers = told(&pick(ToClient));
        assert_eq!(found(&answers), ["msnp"], "{carrier}, the proxy alone");
    }
}

#[test]
fn the_server_may_speak_first_and_the_target_is_told() {
    let hello = b"\x2a\x01\x19\x8a\0\x04\0\0\0\x01";
    let events = told(&[
        (ToServer, b"\x05\x01\0"),
        (ToClient, b"\x05\0"),
        (ToServer, b"\x05\x01\0\x01\xc6\x33\x64\x09\x14\x46"),
        (ToClient, &[GRANTED_5, hello].concat()),
        (ToServer, b"\x2a\x01\0\x01\0\x04\0\0\0\x01"),
        (
            ToServer,
            b"\x2a\x02\0\x02\0\x12\0\x17\0\x06\0\0\0\0\0\0\0\x01\0\x04icqx",
        ),
    ]);
    assert_eq!(found(&events), ["oscar"]);
    let target = Target::parse("198.51.100.9:5190").unwrap_or(Target::Host(String::new(), None));
    assert!(events.contains(&Event::Through(target)));
}

#[test]
fn a_listener_is_answered_twice() {
    let twice = [GRANTED_5, GRANTED_5].concat();
    let events = told(&[
        (ToServer, b"\x05\x01\0"),
        (ToClient, b"\x05\0"),
        (ToServer, b"\x05\x02\0\x01\xc6\x33\x64\x09\x07\x47"),
        (ToClient, &twice),
        (ToClient, b"VER MSNFTP\r\n"),
        (ToServer, b"VER MSNFTP\r\n"),
        (ToClient, b"USR bob@example.com 93301\r\n"),
        (ToServer, b"FIL 21\r\n"),
    ]);
    assert_eq!(found(&events), ["msnftp"]);
    // The proxy's client stays the client, although the other side dialled.
    assert!(!events.contains(&Event::ClientIs(ToClient)));
}

#[test]
fn refusals_datagrams_and_sealed_insides_are_silent() {
    let v5 = |answer: &[u8], command: u8| {
        let mut request = CONNECT_5.to_vec();
        request[1] = command;
        told(&[
            (ToServer, b"\x05\x03\0\x01\x02"),
            (ToClient, &answer[..2]),
            (ToServer, &request),
            (ToClient, &answer[2..]),
            (ToServer, MSNP_UP),
        ])
    };
    assert_eq!(found(&v5(&[b"\x05\0", GRANTED_5].concat(), 1)), ["msnp"]);
    for (answer, command) in [
        ([&b"\x05\0\x05\x01"[..], &GRANTED_5[2..]].concat(), 1),
        (b"\x05\xff".to_vec(), 1),
        (b"\x05\x01\x01\x01\0\x02ab".to_vec(), 1),
        ([b"\x05\0", GRANTED_5].concat(), 3),
        (b"\x05\0\x09\x09\x09".to_vec(), 1),
    ] {
        let events = v5(&answer, command);
        assert_eq!(
            (found(&events), carriers(&events)),
            (vec![], vec![]),
            "{answer:02x?}"
        );
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::Host { .. }))
        );
    }
    let v4 = told(&[
        (ToServer, b"\x04\x01\x07\x47\xc6\x33\x64\x09\0"),
        (ToServer, MSNP_UP),
        (ToClient, b"\0\x5b\0\0\0\0\0\0"),
    ]);
    assert_eq!(found(&v4), [""; 0]);
}

#[test]
fn carriers_inside_each_other_are_bounded() {
    let connect: &[u8] = b"CONNECT proxy.example.com:1080 HTTP/1.1\r\n\r\n";
    let ok: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";
    let opening: &[u8] = b"\x05\x01\0";
    let nested = told(&[
        (ToServer, connect),
        (ToClient, ok),
        (ToServer, opening),
        (ToClient, b"\x05\0"),
        (ToServer, CONNECT_5),
        (ToClient, GRANTED_5),
        (ToServer, MSNP_UP),
        (ToClient, MSNP_DOWN),
    ]);
    assert_eq!(found(&nested), ["msnp"]);
    assert_eq!(carriers(&nested), ["http-connect", "socks5"]);

    let mut deep: Vec<Turn<'_>> = Vec::new();
    for _ in 0..2000 {
        deep.extend([(ToServer, connect), (ToClient, ok)]);
    }
    deep.push((ToServer, MSNP_UP));
    let mut stream = Stream::new(Transport::Tcp, true);
    let mut out = Events::default();
    let context = Context {
        server_port: 80,
        expected: None,
    };
    for (direction, bytes) in deep {
        stream.feed(direction, bytes, context, &mut out);
    }
    stream.end(&mut out);
    let events: Vec<Event> = out.drain().collect();
    assert_eq!(carriers(&events).len(), 8);
    assert_eq!(found(&events), [""; 0]);
}

#[test]
fn any_bytes_do_no_harm() {
    // xorshift, behind each opening.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..400_usize {
        let mut noise = Vec::new();
        for _ in 0..40 + round {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.push((state >> 32) as u8);
        }
        let up: [&[u8]; 3] = [
            b"\x05\x01\0",
            b"\x04\x01\x07\x47\xc6\x33\x64\x09\0",
            CONNECT_5,
        ];
        let down: [&[u8]; 3] = [b"\x05\0", b"\0\x5a", GRANTED_5];
        let events = told(&[
            (ToServer, up[round % 3]),
            (ToClient, down[round / 3 % 3]),
            (ToServer, &noise),
            (ToClient, &noise),
        ]);
        assert_eq!(found(&events), [""; 0]);
    }
}
