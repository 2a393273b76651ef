//! QQ's own protocol as clients of two ages speak it, in datagrams and over TCP; and what begins with the same byte.

use super::bytes::{be16, be32, join, noise};
use super::talk::{Scenario, Side, Talk, Transport, Truth};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "qq",
            "QQ of 2005, 2006, 2008 and 2014, and TIM: people sign on and write, over UDP and TCP.",
            sessions(),
        ),
        scenario(
            "baits-qq",
            "Datagrams that begin with 02 and end with 03, or nearly: RADIUS, RIP, DNS, games, tunnels, the vendor's other products; single packets that prove nothing. No messenger here.",
            baits(),
        ),
    ]
}

const ALICE: usize = 1_000_001;
const BOB: usize = 1_000_002;
const QQ_2005: usize = 0x0d55;
const QQ_2006: usize = 0x0f5f;
const QQ_2008: usize = 0x115b;
const QQ_2014: usize = 0x352f;
const TIM: usize = 0x3713;

fn packet(version: usize, command: usize, sequence: usize, rest: &[u8]) -> Vec<u8> {
    let header = join(&[&[2], &be16(version), &be16(command), &be16(sequence)]);
    join(&[&header, rest, &[3]])
}

/// A conversation of numbered packets.
struct Session {
    talk: Talk,
    version: usize,
    number: usize,
    sequence: usize,
    /// What the client says of itself, if it does: its type and its build.
    program: Option<[u8; 2]>,
}

impl Session {
    fn new(talk: Talk, version: usize, number: usize, program: Option<[u8; 2]>) -> Self {
        Self {
            talk,
            version,
            number,
            sequence: 0x3100,
            program,
        }
    }

    fn say(&mut self, from: Side, bytes: Vec<u8>) {
        let bytes = match self.talk.transport {
            Transport::Tcp => join(&[&be16(bytes.len() + 2), &bytes]),
            Transport::Udp => bytes,
        };
        let talk = self.talk.clone();
        self.talk = match from {
            Side::Client => talk.client(bytes),
            Side::Server => talk.server(bytes),
        };
    }

    /// Something encrypted.
    fn text(&self, command: usize, blocks: usize) -> Vec<u8> {
        noise((self.sequence * 0x1_0000 + command) as u64, blocks * 8)
    }

    fn client(&mut self, command: usize, kind: u8, blocks: usize) {
        let says = self.program.map_or_else(Vec::new, |[program, build]| {
            let zeros = vec![0; usize::from(kind - 2) * 4];
            join(&[&[kind, 0, 0, 0, 1, program, 1, 0, 0, build, 0x0a], &zeros])
        });
        let text = self.text(command, blocks);
        let rest = join(&[&be32(self.number), &says, &text]);
        let bytes = packet(self.version, command, self.sequence, &rest);
        self.say(Side::Client, bytes);
    }

    fn server(&mut self, command: usize, blocks: usize) {
        let number = self
            .program
            .map_or_else(Vec::new, |_| join(&[&be32(self.number), &[0; 3]]));
        let text = self.text(command + 1, blocks);
        let rest = join(&[&number, &text]);
        let bytes = packet(self.version, command, self.sequence, &rest);
        self.say(Side::Server, bytes);
    }

    /// The client asks, the server answers.
    fn asks(mut self, command: usize, kind: u8, blocks: (usize, usize)) -> Self {
        self.sequence += 1;
        self.client(command, kind, blocks.0);
        self.server(command, blocks.1);
        self
    }

    /// The server tells, the client says that it has heard.
    fn tells(mut self, command: usize, blocks: usize) -> Self {
        let own = std::mem::replace(&mut self.sequence, 0x0700 + command);
        self.server(command, blocks);
        self.client(command, 2, 3);
        self.sequence = own;
        self
    }

    /// Before anything else a token is asked for, in clear.
    fn token(mut self) -> Self {
        self.sequence += 1;
        let ask = join(&[&be32(self.number), &[0]]);
        let ask = packet(self.version, 0x0062, self.sequence, &ask);
        self.say(Side::Client, ask);
        let token = join(&[&[0, 24], &noise(62, 24)]);
        let token = packet(self.version, 0x0062, self.sequence, &token);
        self.say(Side::Server, token);
        self
    }

    fn is(self, truth: Truth) -> Talk {
        self.talk.is(truth)
    }
}

fn sessions() -> Vec<Talk> {
    let truth = |client| {
        Truth::confirmed("qq", "oicq", "session")
            .account("1000001")
            .software(client)
    };
    let old = Talk::udp("10.0.7.70:4000", "198.18.70.1:8000", 100);
    let old = Session::new(old, QQ_2005, ALICE, None)
        .token()
        .asks(0x0022, 2, (54, 22))
        .asks(0x0026, 2, (3, 30))
        .asks(0x000d, 2, (3, 2))
        .asks(0x0016, 2, (20, 2))
        .tells(0x0017, 18)
        .asks(0x0002, 2, (3, 4));
    let tcp = Talk::tcp("10.0.7.71:51710", "198.18.70.2:8080", 900);
    let tcp = Session::new(tcp, QQ_2008, ALICE, None)
        .asks(0x0091, 2, (5, 4))
        .asks(0x00ba, 2, (6, 12))
        .asks(0x00dd, 2, (40, 20))
        .asks(0x0022, 2, (54, 22))
        .asks(0x0002, 2, (3, 4))
        .asks(0x0016, 2, (20, 2))
        .tells(0x0017, 18);
    let late = Talk::udp("10.0.7.72:4001", "198.18.70.3:8000", 1800);
    let late = Session::new(late, QQ_2014, ALICE, Some([0x01, 0x67]))
        .asks(0x0825, 3, (14, 14))
        .asks(0x0836, 3, (78, 108))
        .asks(0x0828, 2, (80, 50))
        .asks(0x00ec, 2, (3, 2))
        .asks(0x0058, 2, (2, 3))
        .asks(0x00cd, 2, (24, 3))
        .tells(0x00ce, 24);
    let tim = Talk::tcp("10.0.7.73:51730", "198.18.70.4:443", 2700);
    let tim = Session::new(tim, TIM, ALICE, Some([0x2e, 0x68]))
        .asks(0x0825, 3, (14, 14))
        .asks(0x0836, 3, (78, 108))
        .asks(0x00ec, 2, (3, 2))
        .asks(0x0058, 2, (2, 3))
        .tells(0x00ce, 24);
    // The answers took another way.
    let mut alone = Session::new(
        Talk::udp("10.0.7.74:4002", "198.18.70.5:8000", 3600),
        QQ_2006,
        ALICE,
        None,
    );
    for (command, blocks) in [(0x0002, 3), (0x0027, 3), (0x0002, 3), (0x0016, 12)] {
        alone.sequence += 1;
        alone.client(command, 2, blocks);
    }
    // The capture begins while somebody writes to alice.
    let heard = Talk::udp("10.0.7.75:4003", "198.18.70.6:8000", 4500);
    let heard = Session::new(heard, QQ_2014, ALICE, Some([0x01, 0x6a]))
        .tells(0x00ce, 24)
        .asks(0x0058, 2, (2, 3));
    let unsure = |client| Truth {
        confidence: "probable",
        ..truth(client)
    };
    vec![
        old.is(truth("QQ 2005 (0x0d55)")
            .uses(&["sign-on", "contact-list", "presence", "message"])
            .exposes(&["weak-sign-on"])),
        tcp.is(truth("QQ 2008 (0x115b)").uses(&["sign-on", "message"])),
        late.is(truth("QQ (0x352f)").uses(&["sign-on", "presence", "message"])),
        tim.is(truth("TIM (0x3713)").uses(&["sign-on", "presence", "message"])),
        alone.is(unsure("QQ 2006 (0x0f5f)").uses(&["contact-list", "message"])),
        heard.is(truth("QQ (0x352f)").uses(&["message"])),
    ]
}

fn baits() -> Vec<Talk> {
    let ends = |parts: &[&[u8]], seed: u64, length: usize| {
        join(&[&join(parts), &noise(seed, length), &[3]])
    };
    let at = |n: usize, port: u16| {
        Talk::udp(
            &format!("10.0.8.{}:4{n:02}00", 60 + n),
            &format!("198.18.71.{}:{port}", n + 1),
            100 + 230 * n as u64,
        )
    };
    let one = |version, command, sequence, number: usize| {
        let rest = join(&[&be32(number), &noise(number as u64, 24)]);
        packet(version, command, sequence, &rest)
    };
    let answer = |version, command, sequence| packet(version, command, sequence, &noise(9, 32));
    let name = b"\x07example\x03com\0\0\x01\0\x01";
    let question = |id: u8| join(&[&[2, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name]);
    let reply = |id: u8| {
        let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 3];
        join(&[&[2, id, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], name, &record])
    };
    // An accept of 256 bytes under number 8: the version of one client, a command, and the right length.
    let accept = ends(&[&[2, 8, 1, 0, 2], &noise(1, 15), &[26, 236]], 2, 233);
    let accept_2 = ends(&[&[2, 21, 1, 0, 0x22], &noise(3, 15), &[26, 236]], 4, 233);
    let routes = |version: u8| {
        let route = [
            0, 2, 0, 0, 192, 0, 2, 0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 3,
        ];
        join(&[&[2, version, 0, 0], &route, &route])
    };
    let raknet = join(&[
        &[2],
        &noise(5, 8),
        b"\0\xff\xff\0\xfe\xfe\xfe\xfe\xfd\xfd\xfd\xfd\x124Vx",
        &noise(6, 7),
        &[3],
    ]);
    let guard = |kind: u8, length: usize| join(&[&[kind, 0, 0, 0], &noise(7, length - 5), &[3]]);
    let relay = |mark: u8| ends(&[&[mark], &be16(QQ_2005), &be16(0x0002)], 8, 40);
    let counted = |parts: [u8; 2], length: usize| {
        ends(&[&parts, &be16(length), &[0x0b, 0x0b]], 11, length - 7)
    };
    let program = [2, 0, 0, 0, 1, 1, 1, 0, 0, 0x67, 0x0a];
    let other = |at: usize, value: u8| {
        let mut says = program;
        says[at] = value;
        let rest = join(&[&be32(ALICE), &says, &noise(12, 24)]);
        packet(QQ_2014, 0x0058, 7, &rest)
    };
    let keep_alive = |n: usize| one(QQ_2005, 0x0002, n, ALICE);
    let framed = |bytes: &[u8]| join(&[&be16(bytes.len() + 2), bytes]);
    let stream = |n: usize, port: u16| {
        Talk::tcp(
            &format!("10.0.8.{}:4{n:02}00", 60 + n),
            &format!("198.18.71.{}:{port}", n + 1),
            100 + 230 * n as u64,
        )
    };
    let question_2 = question(0x15);
    vec![
        at(0, 53).client(question(0x08)).server(reply(0x08)),
        at(1, 8000).client(question(0x18)).server(reply(0x18)),
        at(2, 1812)
            .client(join(&[&[1, 8, 0, 60], &noise(13, 56)]))
            .server(accept)
            .client(join(&[&[1, 21, 0, 60], &noise(14, 56)]))
            .server(accept_2),
        at(3, 520).client(routes(1)).client(routes(2)),
        at(4, 19_132).client(raknet.clone()).server(raknet),
        at(5, 51_820).client(guard(1, 148)).server(guard(2, 92)),
        // The vendor's relays, video and games.
        at(6, 8000).client(relay(4)).server(relay(4)),
        at(7, 9000)
            .client(counted([2, 2], 60))
            .server(counted([2, 2], 80))
            .client(counted([2, 2], 44)),
        at(8, 8000)
            .client(counted([2, 3], 60))
            .server(counted([2, 3], 60)),
        at(9, 1863)
            .client(join(&[&[0xfe], &noise(15, 40), &[3]]))
            .server(join(&[&[0xfe], &noise(16, 40), &[3]])),
        // Nobody answers, or somebody else does.
        at(10, 8000).client(keep_alive(1)),
        at(11, 8000)
            .client(keep_alive(1))
            .client(keep_alive(2))
            .client(keep_alive(3)),
        at(12, 8000)
            .client(keep_alive(1))
            .server(answer(QQ_2005, 0x0002, 2)),
        at(13, 8000).client(keep_alive(1)).server(keep_alive(1)),
        at(14, 8000)
            .client(keep_alive(1))
            .client(one(QQ_2005, 0x0005, 2, BOB)),
        at(15, 8000)
            .client(one(QQ_2005, 0x0002, 1, 9_999))
            .server(answer(QQ_2005, 0x0002, 1)),
        at(16, 8000)
            .client(one(0x0d5a, 0x0002, 1, ALICE))
            .server(answer(0x0d5a, 0x0002, 1)),
        at(17, 8000)
            .client(one(QQ_2005, 0x0202, 1, ALICE))
            .server(answer(QQ_2005, 0x0202, 1)),
        at(18, 8000).client(other(0, 5)).client(other(5, 3)),
        at(19, 8000).client(other(8, 1)).client(other(9, 0x30)),
        // DNS over TCP, and the vendor's packets over TCP.
        stream(20, 53)
            .client(framed(&question_2))
            .server(framed(&reply(0x15))),
        stream(21, 443)
            .client(framed(&relay(4)))
            .server(framed(&relay(4))),
        stream(22, 8080)
            .client(ends(&[&[2, 0, 60, 6, 5, 0]], 17, 53))
            .server(ends(&[&[2, 0, 60, 6, 8, 0]], 18, 53)),
        stream(23, 8080)
            .client(framed(&keep_alive(1)))
            .server(b"no".to_vec()),
    ]
}
