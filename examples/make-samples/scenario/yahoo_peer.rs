//! Yahoo! Messenger between users: files, direct connections, webcams.

use super::bytes::{base64, be32, join, noise};
use super::talk::{Scenario, Talk, Truth};
use super::ymsg::{
    FILE, Header, LOGOFF, MESSAGE, PEER_ADDRESS, PEER_HANDSHAKE, SEPARATOR, fields, open_12, typing,
};

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![file_transfer(), peer_to_peer(), webcam()]
}

/// An upload to the file server, the notice to the receiver, the receiver's download: three connections.
pub fn file_between(
    (client, me): (&str, &'static str),
    (receiver, peer): (&str, &'static str),
    start_ms: u64,
    (file, size): (&str, usize),
) -> Vec<Talk> {
    let s = Header::server();
    let keys = fields(&[
        (0, me),
        (5, peer),
        (14, "as promised"),
        (27, file),
        (28, &size.to_string()),
    ]);
    // Key 29 opens the file; the packet's length ends there.
    let packet = Header::client(12).packet(FILE, 0, &join(&[&keys, b"29", &SEPARATOR]));
    let content = join(&[b"PK\x03\x04", &noise(start_ms, size - 4)]);
    let body = join(&[&packet, &content]);
    let cookies = "Cookie: T=z=notarealcookieeither; Y=v=1&n=notarealcookie\r\n";
    let host = "filetransfer.msg.yahoo.com";
    let head = format!(
        "POST http://{host}:80/notifyft HTTP/1.0\r\nContent-length: {}\r\nHost: {host}:80\r\n{cookies}\r\n",
        body.len()
    );
    let url = format!("http://{host}/{peer}/tmp/{file}?r=4a7c19e3");
    let upload = Talk::tcp(client, "216.155.193.170:80", start_ms)
        .client(join(&[head.as_bytes(), &body]))
        .server("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
        .is(Truth::confirmed("yahoo", "ymsg-http", "file-transfer")
            .account(me)
            .peer(peer)
            .uses(&["file-transfer"]));
    let notice = s.say(
        FILE,
        1,
        &[
            (5, peer),
            (4, me),
            (14, "as promised"),
            (20, &url),
            (27, file),
            (28, &size.to_string()),
            (38, "604800"),
        ],
    );
    let c = Header::client(12);
    let session = open_12(
        Talk::tcp(
            receiver,
            "216.155.193.171:5050",
            start_ms.saturating_sub(50),
        ),
        peer,
        me,
    )
    .pause(600)
    .server(notice)
    .pause(4000)
    .client(c.say(LOGOFF, 0, &[(0, peer)]))
    .is(Truth::confirmed("yahoo", "ymsg", "session")
        .account(peer)
        .peer(me)
        .uses(&["sign-on", "file-transfer"]));
    let (host_part, port) = receiver.split_once(':').expect("an address and a port");
    let port: u16 = port.parse().expect("a port");
    let download = Talk::tcp(
        &format!("{host_part}:{}", port + 1),
        "216.155.193.170:80",
        start_ms + 2500,
    )
    .client(format!(
        "GET /{peer}/tmp/{file}?r=4a7c19e3 HTTP/1.0\r\nHost: {host}\r\n{cookies}\r\n"
    ))
    .server(join(&[
        format!("HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n")
            .as_bytes(),
        &content,
    ]))
    .is(Truth::by_host("yahoo"));
    vec![upload, session, download]
}

fn file_transfer() -> Scenario {
    let mut talks = file_between(
        ("10.0.3.5:50830", "carol_y"),
        ("10.0.3.6:50831", "dave_y"),
        150,
        ("minutes.zip", 8_000),
    );
    // The other notice: an offer that the peer's own machine serves (0x4D).
    let s = Header::server();
    let offer = open_12(
        Talk::tcp("10.0.3.9:50835", "216.155.193.172:5050", 400),
        "erin_y",
        "carol_y",
    )
    .pause(700)
    .server(s.say(
        PEER_HANDSHAKE,
        1,
        &[
            (5, "erin_y"),
            (4, "carol_y"),
            (49, "FILEXFER"),
            (1, "carol_y"),
            (13, "1"),
            (27, "map.png"),
            (28, "5120"),
            (20, "http://10.0.3.5:80/Messenger.map.png"),
            (53, "map.png"),
            (14, ""),
            (54, "MSG1.0"),
        ],
    ))
    .pause(4000)
    .client(Header::client(12).say(LOGOFF, 0, &[(0, "erin_y")]))
    .is(Truth::confirmed("yahoo", "ymsg", "session")
        .account("erin_y")
        .peer("carol_y")
        .uses(&["sign-on", "file-transfer"]));
    talks.push(offer);
    Scenario {
        name: "yahoo-file-transfer",
        about: "carol_y sends dave_y a file through Yahoo!'s file server, and offers erin_y one from her own machine.",
        talks,
    }
}

/// Key 12: the address read as a little-endian signed number, in decimal, in base64.
fn hidden_address(octets: [u8; 4]) -> String {
    base64(i32::from_le_bytes(octets).to_string().as_bytes())
}

/// Two users without a server.
fn between_peers(
    client: &str,
    server: &str,
    start_ms: u64,
    me: &'static str,
    peer: &'static str,
) -> Talk {
    let h = Header::client(15);
    let step = |from: &str, to: &str, number: &str| {
        h.say(
            PEER_HANDSHAKE,
            0,
            &[
                (4, from),
                (5, to),
                (241, "0"),
                (49, "PEERTOPEER"),
                (13, number),
            ],
        )
    };
    let says = |from: &str, to: &str, words: &str| {
        h.say(
            MESSAGE,
            0,
            &[
                (4, from),
                (5, to),
                (14, words),
                (97, "1"),
                (63, ";0"),
                (64, "0"),
            ],
        )
    };
    Talk::tcp(client, server, start_ms)
        .client(step(me, peer, "1"))
        .server(step(peer, me, "5"))
        .client(step(me, peer, "6"))
        .pause(800)
        .client(typing(h, 4, me, peer, true))
        .client(says(me, peer, "now without a server"))
        .pause(1500)
        .server(says(peer, me, "so it seems"))
        .pause(9000)
        .client(step(me, peer, "7"))
        .server(step(peer, me, "7"))
        .is(Truth::confirmed("yahoo", "ymsg", "peer")
            .account(me)
            .peer(peer)
            .uses(&["message", "direct-connection"]))
}

fn peer_to_peer() -> Scenario {
    let s = Header::server();
    let told = open_12(
        Talk::tcp("10.0.3.6:50840", "216.155.193.173:5050", 100),
        "dave_y",
        "carol_y",
    )
    .pause(900)
    .server(s.say(
        PEER_ADDRESS,
        1,
        &[
            (4, "carol_y"),
            (1, "carol_y"),
            (5, "dave_y"),
            (12, &hidden_address([10, 0, 3, 5])),
            (13, "0"),
            (49, "PEERTOPEER"),
            (61, "0"),
            (2, ""),
            (11, "4A7C19E5"),
        ],
    ))
    .pause(12_000)
    .client(Header::client(12).say(LOGOFF, 0, &[(0, "dave_y")]))
    .is(Truth::confirmed("yahoo", "ymsg", "session")
        .account("dave_y")
        .peer("carol_y")
        .uses(&["sign-on", "direct-connection"]));
    Scenario {
        name: "yahoo-p2p",
        about: "dave_y is told carol_y's address and dials her machine on port 5101; they write without a server.",
        talks: vec![
            told,
            between_peers("10.0.3.6:50841", "10.0.3.5:5101", 2200, "dave_y", "carol_y"),
        ],
    }
}

fn webcam() -> Scenario {
    let text = |header: &[u8], tail: &[u8], lines: &str| {
        join(&[header, &be32(lines.len()), tail, lines.as_bytes()])
    };
    // Header of 13 bytes: its size, a reason, 05 00, length, kind, time stamp.
    let frame = |kind: u8, time: usize, data: &[u8]| {
        join(&[
            &[0x0d, 0, 5, 0],
            &be32(data.len()),
            &[kind],
            &be32(time),
            data,
        ])
    };
    let image = |seed: u64| join(&[&[0xff, 0x4f, 0xff, 0x51], &noise(seed, 1500)]);
    let asks = Talk::tcp("10.0.3.6:50850", "216.155.193.180:5100", 100)
        .client("<RVWCFG>")
        .client(text(&[8, 0, 1, 0], &[], "g=carol_y\r\n"))
        .server(join(&[&[4, 0, 2, 0], b"216.155.193.181\0"]))
        .is(Truth::confirmed("yahoo", "yahoo-webcam", "master")
            .peer("carol_y")
            .uses(&["video"]));
    let views = Talk::tcp("10.0.3.6:50851", "216.155.193.181:5100", 700)
        .client("<REQIMG>")
        .client(text(
            &[8, 0, 1, 0],
            &[],
            "a=2\r\nc=us\r\nu=dave_y\r\nt=4A7C19E6\r\ni=10.0.3.6\r\ng=carol_y\r\no=w-2-5-1\r\np=1\r\n",
        ))
        .pause(300)
        .server(frame(1, 0, b"\x00"))
        .pause(400)
        .server(frame(2, 400, &image(81)))
        .pause(800)
        .server(frame(2, 1200, &image(82)))
        .pause(800)
        .server(frame(2, 2000, &image(83)))
        .is(Truth::confirmed("yahoo", "yahoo-webcam", "viewer")
            .account("dave_y")
            .peer("carol_y")
            .uses(&["video"]));
    let sends = Talk::tcp("10.0.3.5:50852", "216.155.193.181:5100", 60)
        .client("<SNDIMG>")
        .client(text(
            &[0x0d, 0, 5, 0],
            &[1, 0, 0, 0, 1],
            "a=2\r\nc=us\r\nu=carol_y\r\nt=4A7C19E7\r\ni=10.0.3.5\r\no=w-2-5-1\r\np=2\r\nb=Carol at work\r\n",
        ))
        .pause(400)
        .server(frame(0, 0, b"u=dave_y\r\n"))
        .client(frame(2, 300, &image(81)))
        .pause(800)
        .client(frame(2, 1100, &image(82)))
        .pause(800)
        .client(frame(2, 1900, &image(83)))
        .is(Truth::confirmed("yahoo", "yahoo-webcam", "sender")
            .account("carol_y")
            .uses(&["video"]));
    Scenario {
        name: "yahoo-webcam",
        about: "carol_y shows her webcam and dave_y watches: he asks where, she sends pictures, he receives them.",
        talks: vec![asks, views, sends],
    }
}
