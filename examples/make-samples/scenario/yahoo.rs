//! Yahoo! Messenger: YMSG sessions of three generations, HTTP, files, peers, webcams.

use super::bytes::{base64, be16, be32, join, noise};
use super::talk::{Scenario, Talk, Truth};

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        sign_on(),
        sign_on_16(),
        old_client(),
        file_transfer(),
        peer_to_peer(),
        webcam(),
        over_http(),
    ]
}

const SEPARATOR: [u8; 2] = [0xc0, 0x80];
const SESSION: usize = 0x4a7c_19e3;

const LOGON: usize = 0x01;
const LOGOFF: usize = 0x02;
const MESSAGE: usize = 0x06;
const NEW_MAIL: usize = 0x0b;
const FILE: usize = 0x46;
const NOTIFY: usize = 0x4b;
const VERIFY: usize = 0x4c;
const PEER_HANDSHAKE: usize = 0x4d;
const PEER_ADDRESS: usize = 0x4f;
const LOGIN: usize = 0x54;
const LIST: usize = 0x55;
const AUTH: usize = 0x57;
const KEEP_ALIVE: usize = 0x8a;

/// Who writes: this is all that differs in their headers.
#[derive(Clone, Copy)]
struct Header {
    /// Version and vendor, four bytes.
    lead: [u8; 4],
    session: usize,
}

impl Header {
    /// Clients up to 10 write the version little-endian, later ones big-endian.
    const fn client(version: u8) -> Self {
        let lead = if version < 11 {
            [version, 0, 0, 0]
        } else {
            [0, version, 0, 0]
        };
        Self {
            lead,
            session: SESSION,
        }
    }

    /// Before the server named the session.
    const fn new_here(self) -> Self {
        Self { session: 0, ..self }
    }

    const fn server() -> Self {
        Self {
            lead: [0; 4],
            session: SESSION,
        }
    }

    fn packet(self, service: usize, status: usize, body: &[u8]) -> Vec<u8> {
        join(&[
            b"YMSG",
            &self.lead,
            &be16(body.len()),
            &be16(service),
            &be32(status),
            &be32(self.session),
            body,
        ])
    }

    fn say(self, service: usize, status: usize, pairs: &[(u16, &str)]) -> Vec<u8> {
        self.packet(service, status, &fields(pairs))
    }
}

/// Keys in decimal and values, each followed by C0 80.
fn fields(pairs: &[(u16, &str)]) -> Vec<u8> {
    pairs
        .iter()
        .flat_map(|(key, value)| {
            join(&[
                key.to_string().as_bytes(),
                &SEPARATOR,
                value.as_bytes(),
                &SEPARATOR,
            ])
        })
        .collect()
}

const COOKIE_Y: &str = "Y\tv=1&n=notarealcookie&l=20hei_o/o&p=m1v0000000000000&r=c0&lg=us&intl=us; expires=Thu, 15 Apr 2027 20:00:00 GMT; \
     path=/; domain=.yahoo.com";
const COOKIE_T: &str = "T\tz=notarealcookieeither&a=AAE&sk=DAA&d=c2wBTVRBM; expires=Thu, 15 Apr 2027 20:00:00 GMT; path=/; domain=.yahoo.com";

/// Typing on or off, as the client says it; the server swaps who is key 1 and key 4.
fn typing(header: Header, from_key: u16, from: &str, to: &str, on: bool) -> Vec<u8> {
    let state = if on { "1" } else { "0" };
    header.say(
        NOTIFY,
        0x16,
        &[
            (49, "TYPING"),
            (from_key, from),
            (14, " "),
            (13, state),
            (5, to),
        ],
    )
}

/// Sign-on of clients 6 to 7 (YMSG 12), up to being online.
fn open_12(talk: Talk, me: &str, peer: &str) -> Talk {
    let (c, s) = (Header::client(12), Header::server());
    // Real servers leave out the last separator here, and add a zero there.
    let online = join(&[&fields(&[(0, me), (1, me)]), b"8"]);
    let no_mail = join(&[&fields(&[(9, "0")]), &[0]]);
    let list = Header {
        lead: [0x80, 0, 0, 0],
        ..s
    };
    talk.client(c.new_here().say(VERIFY, 0, &[]))
        .server(Header::server().new_here().say(VERIFY, 1, &[]))
        .client(c.new_here().say(AUTH, 0, &[(1, me)]))
        .server(s.say(
            AUTH,
            1,
            &[
                (1, me),
                (94, "y%a%(w-t|3&v+(q^2)*(u/5))-(s+h%(k|7))"),
                (13, "1"),
            ],
        ))
        .client(c.new_here().say(
            LOGIN,
            0,
            &[
                (0, me),
                (6, "p=BF;I=5l,A=0n;"),
                (96, "d=JK;F=2a,M=7q;"),
                (1, me),
                (135, "6,0,0,1710"),
            ],
        ))
        .server(list.say(
            LIST,
            0,
            &[
                (87, &format!("Friends:{peer}\n")),
                (88, ""),
                (89, me),
                (59, COOKIE_Y),
                (59, COOKIE_T),
                (59, "C\tmg=1"),
                (3, me),
                (90, "1"),
                (100, "0"),
                (101, ""),
                (102, ""),
                (93, "86400"),
            ],
        ))
        .server(join(&[
            &s.packet(LOGON, 1, &online),
            &s.packet(NEW_MAIL, 0, &no_mail),
        ]))
        .pause(200)
        .server(s.say(
            LOGON,
            1,
            &[
                (0, me),
                (1, me),
                (8, "1"),
                (7, peer),
                (10, "0"),
                (11, "35A8CE04"),
                (17, "0"),
                (13, "1"),
            ],
        ))
}

/// Text and typing in both directions.
fn talks_12(talk: Talk, me: &str, peer: &str) -> Talk {
    let (c, s) = (Header::client(12), Header::server());
    talk.pause(900)
        .client(typing(c, 1, me, peer, true))
        .pause(700)
        .client(c.say(
            MESSAGE,
            0x5a55_aa56,
            &[
                (1, me),
                (5, peer),
                (14, "lunch at noon?"),
                (97, "1"),
                (63, ";0"),
                (64, "0"),
            ],
        ))
        .client(typing(c, 1, me, peer, false))
        .pause(1600)
        .server(typing(s, 4, peer, me, true))
        .server(s.say(
            MESSAGE,
            1,
            &[
                (5, me),
                (4, peer),
                (14, "gladly, at YMSG corner"),
                (97, "1"),
                (63, ";0"),
                (64, "0"),
            ],
        ))
}

/// A session of clients 6 to 7 with a conversation.
pub fn session(
    client: &str,
    server: &str,
    start_ms: u64,
    me: &'static str,
    peer: &'static str,
) -> Talk {
    let c = Header::client(12);
    let talk = open_12(Talk::tcp(client, server, start_ms), me, peer);
    talks_12(talk, me, peer)
        .pause(7000)
        .client(c.say(0x12, 0, &[]))
        .server(Header::server().say(0x12, 1, &[(143, "60"), (144, "13")]))
        .client(c.say(LOGOFF, 0, &[(0, me)]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]))
}

fn sign_on() -> Scenario {
    // Before signing on the client asks which server has room.
    let capacity = Talk::tcp("10.0.3.5:50800", "216.155.193.131:80", 50)
        .client("GET /capacity HTTP/1.1\r\nHost: vcs1.msg.yahoo.com\r\nUser-Agent: Mozilla/4.0\r\n\r\n")
        .server(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 47\r\n\r\nCOLO_CAPACITY=1\r\n\
             CS_IP_ADDRESS=216.155.193.140\r\n",
        )
        .is(Truth::by_host("yahoo"));
    Scenario {
        name: "yahoo-signon-message",
        about: "carol_y asks for a server, signs on to Yahoo! Messenger (YMSG 12) and writes with dave_y, whose session on \
                port 23 is seen too.",
        talks: vec![
            capacity,
            session(
                "10.0.3.5:50801",
                "216.155.193.140:5050",
                600,
                "carol_y",
                "dave_y",
            ),
            session(
                "10.0.3.6:50802",
                "216.155.193.141:23",
                900,
                "dave_y",
                "carol_y",
            ),
        ],
    }
}

fn sign_on_16() -> Scenario {
    let (me, peer) = ("carol_y", "dave_y");
    let (c, s) = (Header::client(16), Header::server());
    let hello = c.say(
        MESSAGE,
        0x5a55_aa56,
        &[
            (1, me),
            (5, peer),
            (14, "are you there?"),
            (97, "1"),
            (63, ";0"),
            (64, "0"),
            (206, "0"),
        ],
    );
    let talk = Talk::tcp("10.0.3.7:50810", "216.155.193.150:5050", 100)
        .client(c.new_here().say(VERIFY, 0, &[]))
        .server(Header::server().new_here().say(VERIFY, 1, &[]))
        .client(c.new_here().say(AUTH, 0, &[(1, me)]))
        .server(s.say(
            AUTH,
            1,
            &[(1, me), (94, "notAreal-challenge.0123456789_--"), (13, "2")],
        ))
        .pause(900)
        .client(c.say(
            LOGIN,
            0x5a55_aa55,
            &[
                (1, me),
                (0, me),
                (277, "v=1&n=notarealcookie"),
                (278, "z=notarealcookieeither"),
                (307, "q83vEjRWeJCrze8SNFZ4kA--"),
                (244, "4194239"),
                (2, me),
                (2, "1"),
                (59, "0"),
                (98, "us"),
                (135, "9.0.0.2162"),
            ],
        ))
        .server(s.say(
            LIST,
            0,
            &[(3, me), (89, me), (59, COOKIE_Y), (59, COOKIE_T)],
        ))
        .server(s.say(
            0xf1,
            0,
            &[
                (302, "318"),
                (300, "318"),
                (65, "Friends"),
                (302, "319"),
                (300, "319"),
                (7, peer),
                (301, "319"),
                (303, "319"),
                (301, "318"),
                (303, "318"),
            ],
        ))
        .server(s.say(
            0xf0,
            1,
            &[
                (302, "315"),
                (300, "315"),
                (7, peer),
                (10, "0"),
                (13, "1"),
                (301, "315"),
                (303, "315"),
            ],
        ))
        .pause(1200)
        // Some clients write the magic word alone, the rest after it.
        .client(&hello[..4])
        .client(&hello[4..])
        .pause(1500)
        .server(s.say(
            MESSAGE,
            1,
            &[
                (4, peer),
                (5, me),
                (14, "yes"),
                (97, "1"),
                (429, "000000004A7C19E4"),
            ],
        ))
        .client(c.say(
            0xfb,
            0,
            &[(1, me), (5, peer), (302, "430"), (430, "000000004A7C19E4")],
        ))
        .pause(9000)
        .client(c.say(KEEP_ALIVE, 0, &[(0, me)]))
        .client(c.say(LOGOFF, 0, &[]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]));
    Scenario {
        name: "yahoo-v16-signon",
        about: "carol_y signs on with YMSG 16: a token fetched over HTTPS, cookies in clear, and a header cut after its \
                first four bytes.",
        talks: vec![talk],
    }
}

fn old_client() -> Scenario {
    let (me, peer) = ("dave_y", "carol_y");
    let (c, s) = (Header::client(9), Header::server());
    let talk = Talk::tcp("10.0.3.8:50820", "216.155.193.160:119", 100)
        .client(c.new_here().say(AUTH, 0, &[(1, me)]))
        .server(s.say(AUTH, 1, &[(1, me), (94, "e3Bq0kUxVNvFMsyzZ3mT2A--")]))
        .client(c.say(
            LOGIN,
            0,
            &[
                (0, me),
                (6, "vG4l0XxRlTn0a2k8V9hB0g--"),
                (96, "uQ1n7YvSmUo1b3l9W0iC1h--"),
                (2, "1"),
                (1, me),
            ],
        ))
        .server(s.say(
            LIST,
            0,
            &[
                (87, "Friends:carol_y\n"),
                (88, ""),
                (89, me),
                (59, COOKIE_Y),
                (59, COOKIE_T),
            ],
        ))
        .pause(1300)
        .server(s.say(
            MESSAGE,
            1,
            &[(5, me), (4, peer), (14, "still with that old client?")],
        ))
        .pause(1500)
        .client(c.say(
            MESSAGE,
            0x5a55_aa56,
            &[(1, me), (5, peer), (14, "it works")],
        ))
        .client(c.say(LOGOFF, 0, &[(0, me)]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]));
    Scenario {
        name: "yahoo-v9-signon",
        about: "An old client: YMSG 9 with its little-endian version, on a news server's port.",
        talks: vec![talk],
    }
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

fn over_http() -> Scenario {
    let (me, peer) = ("carol_y", "dave_y");
    let h = Header {
        lead: [9, 0, 0xc8, 0],
        session: SESSION,
    };
    let post = |packet: &[u8]| {
        let head = format!(
            "POST http://http.pager.yahoo.com/notify HTTP/1.0\r\nContent-length: {}\r\nUser-Agent: Mozilla/4.5 \
             [en]\r\nHost: http.pager.yahoo.com\r\nCookie: Y=v=1&n=notarealcookie; T=z=notarealcookieeither\r\n\r\n",
            packet.len()
        );
        join(&[head.as_bytes(), packet])
    };
    // The answer is a count of packets in four bytes, then the packets.
    let reply = |packets: &[Vec<u8>]| {
        let body = join(&[&[packets.len() as u8, 0, 0, 0], &packets.concat()]);
        let head = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-length: {}\r\n\r\n",
            body.len()
        );
        join(&[head.as_bytes(), &body])
    };
    let server = "216.155.193.190:80";
    let truth = || Truth::confirmed("yahoo", "ymsg-http", "gateway").account(me);
    let first = Talk::tcp("10.0.3.5:50860", server, 100)
        .client(post(&h.say(
            LOGON,
            12,
            &[(0, me), (1, me), (6, "notarealcookie")],
        )))
        .server(reply(&[
            h.say(LIST, 0, &[(87, "Friends:dave_y\n"), (88, ""), (89, me)]),
            h.say(LOGON, 1, &[(0, me), (1, me), (8, "0")]),
        ]))
        .is(truth().uses(&["http"]));
    let second = Talk::tcp("10.0.3.5:50861", server, 3000)
        .client(post(&h.say(
            MESSAGE,
            12,
            &[(0, me), (1, me), (5, peer), (14, "lunch at noon?")],
        )))
        .server(reply(&[h.say(
            MESSAGE,
            1,
            &[(5, me), (4, peer), (14, "yes, but late")],
        )]))
        .is(truth().peer(peer).uses(&["message", "http"]));
    Scenario {
        name: "yahoo-http",
        about: "carol_y uses Yahoo! Messenger through HTTP: each packet is a POST of its own.",
        talks: vec![first, second],
    }
}
