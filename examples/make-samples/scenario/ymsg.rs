//! YMSG: header, keys and values, and the dialogues of its version 12.

use super::bytes::{be16, be32, join};
use super::talk::Talk;

pub const SEPARATOR: [u8; 2] = [0xc0, 0x80];
pub const SESSION: usize = 0x4a7c_19e3;

pub const LOGON: usize = 0x01;
pub const LOGOFF: usize = 0x02;
pub const MESSAGE: usize = 0x06;
pub const NEW_MAIL: usize = 0x0b;
pub const FILE: usize = 0x46;
pub const NOTIFY: usize = 0x4b;
pub const VERIFY: usize = 0x4c;
pub const PEER_HANDSHAKE: usize = 0x4d;
pub const PEER_ADDRESS: usize = 0x4f;
pub const LOGIN: usize = 0x54;
pub const LIST: usize = 0x55;
pub const AUTH: usize = 0x57;
pub const KEEP_ALIVE: usize = 0x8a;

/// Who writes: this is all that differs in their headers.
#[derive(Clone, Copy)]
pub struct Header {
    /// Version and vendor, four bytes.
    pub lead: [u8; 4],
    pub session: usize,
}

impl Header {
    /// Clients up to 10 write the version little-endian, later ones big-endian.
    pub const fn client(version: u8) -> Self {
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
    pub const fn new_here(self) -> Self {
        Self { session: 0, ..self }
    }

    pub const fn server() -> Self {
        Self {
            lead: [0; 4],
            session: SESSION,
        }
    }

    pub fn packet(self, service: usize, status: usize, body: &[u8]) -> Vec<u8> {
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

    pub fn say(self, service: usize, status: usize, pairs: &[(u16, &str)]) -> Vec<u8> {
        self.packet(service, status, &fields(pairs))
    }
}

/// Keys in decimal and values, each followed by C0 80.
pub fn fields(pairs: &[(u16, &str)]) -> Vec<u8> {
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

pub const COOKIE_Y: &str = "Y\tv=1&n=notarealcookie&l=20hei_o/o&p=m1v0000000000000&r=c0&lg=us&intl=us; expires=Thu, 15 Apr 2027 20:00:00 GMT; \
     path=/; domain=.yahoo.com";
pub const COOKIE_T: &str = "T\tz=notarealcookieeither&a=AAE&sk=DAA&d=c2wBTVRBM; expires=Thu, 15 Apr 2027 20:00:00 GMT; path=/; domain=.yahoo.com";

/// Typing on or off, as the client says it; the server swaps who is key 1 and key 4.
pub fn typing(header: Header, from_key: u16, from: &str, to: &str, on: bool) -> Vec<u8> {
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
pub fn open_12(talk: Talk, me: &str, peer: &str) -> Talk {
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
pub fn talks_12(talk: Talk, me: &str, peer: &str) -> Talk {
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
