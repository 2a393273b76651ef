//! OSCAR over HTTP: one session over many connections, after the sources of SIM, Jimm and Miranda.
//!
//! `/hello` gives a session id and a host; `/data` takes packets, `/monitor` waits for them. A packet is length u16 (of
//! what follows it), 0x0443, type u16, u32 zero, number of the inner connection u32, data.

use super::bytes::{be16, be32, hex, join, noise};
use super::oscar::{self, Link};
use super::oscar_session::{Login, Session};
use super::talk::{Scenario, Side, Talk, Truth};

const ICQ: &str = "ICQ Inc. - Product of ICQ (TM).2003a.5.45.1.3777.85";
const HELLO: &str = "64.12.163.150:80";
const PROXY: &str = "64.12.200.20:80";

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![over_http(), baits()]
}

fn packet(kind: usize, connection: usize, data: &[u8]) -> Vec<u8> {
    join(&[
        &be16(data.len() + 12),
        &[0x04, 0x43],
        &be16(kind),
        &be32(0),
        &be32(connection),
        data,
    ])
}

fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: AIM/HTTP\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    join(&[head.as_bytes(), body])
}

fn get(path: &str, host: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/4.08 [en] (WinNT; U ;Nav)\r\n\
         Cache-Control: no-store no-cache\r\nPragma: no-cache\r\n\r\n"
    )
}

/// A session at the HTTP proxy of AIM and ICQ.
struct Polling {
    id: Vec<u8>,
    posts: u32,
}

impl Polling {
    fn new(seed: u64) -> Self {
        Self {
            id: noise(seed, 16),
            posts: 0,
        }
    }

    /// The answer to `/hello` has a header of 12 bytes.
    fn hello(&self) -> Vec<u8> {
        let host = PROXY.trim_end_matches(":80");
        let data = join(&[&self.id, &be16(host.len()), host.as_bytes(), &be16(80)]);
        ok(&join(&[
            &be16(data.len() + 10),
            &[0x04, 0x43, 0, 2],
            &[0; 6],
            &data,
        ]))
    }

    /// One POST of one packet.
    fn post(&mut self, talk: Talk, packet: &[u8]) -> Talk {
        self.posts += 1;
        let head = format!(
            "POST /data?sid={}&seq={} HTTP/1.1\r\nHost: {PROXY}\r\nUser-Agent: Mozilla/4.08 [en] (WinNT; U ;Nav)\r\n\
             Cache-Control: no-store no-cache\r\nPragma: no-cache\r\nContent-Length: {}\r\n\r\n",
            hex(&self.id),
            self.posts,
            packet.len()
        );
        talk.client(join(&[head.as_bytes(), packet]))
            .server(ok(&[]))
    }

    /// Bytes of an inner connection, in packets of at most 512 bytes.
    fn sends(&mut self, mut talk: Talk, connection: usize, bytes: &[u8]) -> Talk {
        for piece in bytes.chunks(512) {
            talk = self.post(talk, &packet(5, connection, piece));
        }
        talk
    }

    /// The client waits, and that comes.
    fn monitor(&self, talk: Talk, packets: &[u8]) -> Talk {
        let path = format!("/monitor?sid={}", hex(&self.id));
        talk.client(get(&path, PROXY))
            .pause(200)
            .server(ok(packets))
    }
}

/// Where the inner connection goes.
fn login(connection: usize, host: &str, port: usize) -> Vec<u8> {
    let data = join(&[&be16(host.len()), host.as_bytes(), &be16(port)]);
    packet(3, connection, &data)
}

/// Everything that one side of a conversation says.
fn side(talk: &Talk, from: Side) -> Vec<u8> {
    talk.messages
        .iter()
        .filter(|message| message.from == from)
        .flat_map(|message| message.bytes.clone())
        .collect()
}

/// The connections that the HTTP session stands for.
fn inner(name: &'static str, peer: &'static str, seed: u64) -> (Talk, Talk) {
    let nowhere = ("10.0.4.5:1", "192.0.2.1:1");
    let cookie = oscar::cookie(seed);
    let authoriser = Login {
        client: nowhere.0,
        authoriser: nowhere.1,
        start_ms: seed,
        name,
        password: "secret12",
        software: ICQ,
        next: "205.188.7.9:5190",
        cookie: &cookie,
    }
    .by_roast();
    let session: Link = Session {
        client: nowhere.0,
        server: nowhere.1,
        start_ms: seed + 1,
        name,
        cookie: &cookie,
        buddies: &[peer],
        status: None,
    }
    .open();
    let session = session
        .message_to(1, peer, "lunch at noon?")
        .message_from(2, peer, "yes, the usual place")
        .sign_off();
    (authoriser, session)
}

fn over_http() -> Scenario {
    let (me, peer) = ("1000001", "1000002");
    let truth = |service| Truth::confirmed(service, "oscar-http", "gateway").uses(&["http"]);
    let at = |port: u16, server, start_ms| Talk::tcp(&format!("10.0.4.5:{port}"), server, start_ms);
    let (authoriser, session) = inner(me, peer, 61);
    let mut polling = Polling::new(6);

    // Each connection is over before the next one begins, as polling has it, even where they are sent byte by byte.
    let hello = at(51_200, HELLO, 100)
        .client(get("/hello", "http.proxy.icq.com"))
        .server(polling.hello())
        .is(truth("icq"));
    let mut first = at(51_201, PROXY, 20_000);
    first = polling.post(first, &login(1, "login.icq.com", 5190));
    first = polling
        .sends(first, 1, &side(&authoriser, Side::Client))
        .is(truth("icq").account(me).software(ICQ).uses(&["sign-on"]));
    // The proxy's answer to the login is one byte; then the authoriser speaks.
    let answers = join(&[
        &packet(4, 1, &[0]),
        &packet(5, 1, &side(&authoriser, Side::Server)),
    ]);
    let waits = polling
        .monitor(at(51_202, PROXY, 60_000), &answers)
        .is(truth("icq").account(me));
    // A poll of no event.
    let idle = polling
        .monitor(at(51_203, PROXY, 90_000), &[])
        .is(truth("icq").account(me));
    // On to the next server. A frame is cut: its rest is sent over another connection.
    let sent = side(&session, Side::Client);
    let (before, behind) = sent.split_at(sent.len() - 40);
    let mut second = at(51_204, PROXY, 120_000);
    second = polling.post(second, &login(2, "205.188.7.9", 5190));
    second = polling.post(second, &packet(6, 1, &[]));
    second = polling
        .sends(second, 2, before)
        .is(truth("icq").account(me));
    let third = polling.sends(at(51_205, PROXY, 200_000), 2, behind);
    let third = third.is(truth("icq").account(me).peer(peer).uses(&["message"]));
    let said = side(&session, Side::Server);
    let (before, behind) = said.split_at(said.len() / 2);
    let fourth = polling.monitor(at(51_206, PROXY, 230_000), &packet(5, 2, before));
    let fourth = polling
        .monitor(fourth, &packet(5, 2, behind))
        .is(truth("icq").account(me).peer(peer).uses(&["message"]));

    // Somebody else behind the same address has a session of his own, of which the capture has the middle only.
    let (_, other) = inner("1000003", "1000004", 62);
    let mut theirs = Polling::new(7);
    theirs.posts = 40;
    let messages = side(&other, Side::Client);
    let tail = &messages[messages.len() - 120..];
    let middle = theirs
        .sends(at(51_210, PROXY, 310_000), 3, tail)
        .is(Truth::confirmed("icq", "oscar-http", "gateway")
            .peer("1000004")
            .uses(&["http", "message"]));
    Scenario {
        name: "oscar-http",
        about: "1000001 uses ICQ through the HTTP proxy of AIM and ICQ: hello, data and monitor, seven connections of one \
                session, and a frame cut in two over two of them. Behind the same address somebody else has a session that \
                is seen in the middle only.",
        talks: vec![hello, first, waits, idle, second, third, fourth, middle],
    }
}

fn baits() -> Scenario {
    let page = |port: u16, start_ms, request: String, answer: &[u8]| {
        Talk::tcp(&format!("10.0.4.8:{port}"), "198.51.100.60:80", start_ms)
            .client(request)
            .server(ok(answer))
    };
    let id = hex(&noise(8, 16));
    let post = |body: &str| {
        format!(
            "POST /data?sid={id}&seq=1 HTTP/1.1\r\nHost: metrics.example.com\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    Scenario {
        name: "bait-oscar-http",
        about: "Web applications with addresses like those of OSCAR over HTTP: /hello, /monitor and /data with a sid.",
        talks: vec![
            page(
                51_300,
                100,
                get("/hello", "www.example.com"),
                b"hello, world\n",
            ),
            page(
                51_301,
                300,
                get(&format!("/monitor?sid={id}"), "metrics.example.com"),
                b"{\"cpu\":17,\"ram\":40}",
            ),
            page(51_302, 500, post("cpu=17&ram=40&disk=99"), b"stored\n"),
            page(
                51_303,
                700,
                get("/monitor?sid=42", "metrics.example.com"),
                &noise(9, 700),
            ),
            page(
                51_304,
                900,
                get("/data?sid=42&seq=7", "metrics.example.com"),
                b"\x00\x0c\x04\x43 is how the packets of that protocol begin",
            ),
        ],
    }
}
