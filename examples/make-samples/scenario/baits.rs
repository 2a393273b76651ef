//! Traffic that looks like a messenger's and is not: every flow here without a truth must stay silent.

use super::bytes::{be16, join, noise};
use super::ordinary::{self, lines};
use super::talk::{Scenario, Shown, Talk};
use std::net::Ipv4Addr;

/// Text, binary and names.
pub fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario {
            name: "baits-text",
            about: "Text protocols on messenger ports, and text that shares words with messengers. None of the four is here; the two other chats (IRC, XMPP) are what they are.",
            talks: text(),
        },
        Scenario {
            name: "baits-binary",
            about: "TLS, SSH, RPC, flow export, voice and noise on messenger ports. No messenger here.",
            talks: binary(),
        },
        Scenario {
            name: "baits-names",
            about: "Host names that resemble messenger hosts, and pages that talk about them. No messenger here.",
            talks: names(),
        },
    ]
}

/// Client address of the n-th flow.
fn client(n: usize) -> String {
    format!("10.0.9.{}:{}", 10 + n % 200, 40_000 + n)
}

fn at(n: usize) -> u64 {
    100 + n as u64 * 170
}

/// Numbers flows while a list is made.
#[derive(Default)]
struct List(Vec<Talk>);

impl List {
    fn add(&mut self, server: &str, talk: impl Fn(&str, &str, u64) -> Talk) {
        let n = self.0.len();
        self.0.push(talk(&client(n), server, at(n)));
    }

    fn lines(&mut self, server: &str, dialogue: &[&str]) {
        self.add(server, |client, server, start| {
            lines(client, server, start, dialogue)
        });
    }
}

fn text() -> Vec<Talk> {
    let mut list = List::default();
    for port in [5190, 5050, 1863, 4443, 7320, 5101] {
        list.add(&format!("198.51.100.20:{port}"), |client, server, start| {
            ordinary::web(
                client,
                server,
                start,
                "intranet.example.com",
                "<html>Nothing to see</html>",
            )
        });
    }
    let redis_or_imap = [
        ordinary::redis as fn(&str, &str, u64) -> Talk,
        ordinary::imap,
    ];
    for (service, port) in redis_or_imap.into_iter().zip([5190, 5190]) {
        list.add(&format!("198.51.100.21:{port}"), service);
    }
    for port in [1863, 4222] {
        list.add(&format!("198.51.100.22:{port}"), ordinary::nats);
    }
    for port in [1863, 5060] {
        list.add(&format!("198.51.100.23:{port}"), ordinary::sip);
    }
    list.add("198.51.100.24:1863", ordinary::ftp);
    list.add("198.51.100.24:5050", ordinary::smtp);
    list.add("198.51.100.24:1863", ordinary::pop3);
    list.add("198.51.100.25:1863", ordinary::irc);
    list.add("198.51.100.25:5222", ordinary::xmpp);
    // A message bus whose connection the capture joins in the middle: MSG lines from the first byte on.
    list.add("198.51.100.22:1863", |client, server, start| {
        lines(
            client,
            server,
            start,
            &[
                "S: MSG orders.new 1 5\r\nhello",
                "S: MSG alice@example.com bob 5\r\nhello",
                "C: PUB orders.new 5\r\nhello",
                "S: MSG orders.new 1 23\r\nContent-Type: text/plain",
            ],
        )
        .shown(Shown::WithoutOpening)
    });
    list.lines(
        "198.51.100.26:1863",
        &["C: VER 1.0", "S: VER 1.0 OK", "C: MSG hello", "S: ACK"],
    );
    list.lines(
        "198.51.100.26:1863",
        &["C: USR alice", "S: ANS 42", "C: BYE", "S: OUT"],
    );
    list.lines(
        "198.51.100.26:5050",
        &[
            "C: YMSG rocks, said nobody in particular",
            "S: YMSG? What is that?",
        ],
    );
    list.lines(
        "198.51.100.26:5190",
        &["C: * this is a list", "S: * of two things"],
    );
    list.lines(
        "198.51.100.26:9898",
        &["C: FLAP your wings", "S: toc_signon is a command"],
    );
    list.lines(
        "198.51.100.26:5190",
        &["C: OFT2 is a format", "S: ODC2 is another"],
    );
    // An article whose body begins with a magic word, and another that quotes a dialogue.
    for body in [
        "YMSG is the magic of a protocol.\n",
        "VER 1 MSNP9 CVR0\r\nUSR 2 TWN I alice@example.com\r\nis how it began.\r\n",
    ] {
        list.add("198.51.100.27:80", |client, server, start| {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            Talk::tcp(client, server, start)
                .client("GET /history.txt HTTP/1.1\r\nHost: articles.example.com\r\n\r\n")
                .server(format!("{head}{body}"))
        });
    }
    // Paths that a messenger's gateway has too.
    for request in [
        "POST /gateway/gateway.dll HTTP/1.1\r\nHost: shop.example.com\r\nContent-Type: text/xml\r\nContent-Length: 7\r\n\r\n<order>",
        "POST /notify HTTP/1.1\r\nHost: build.example.com\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"ok\": true }\n",
        "GET /relay?token=1&to=2 HTTP/1.1\r\nHost: mail.example.com\r\n\r\n",
        "GET /capacity HTTP/1.1\r\nHost: disk.example.com\r\n\r\n",
    ] {
        list.add("198.51.100.28:80", |client, server, start| {
            Talk::tcp(client, server, start).client(request).server(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n",
            )
        });
    }
    // A cache's long arrays: whatever counts begins with FLAP's first byte.
    list.add("198.51.100.21:5190", |client, server, start| {
        Talk::tcp(client, server, start)
            .client("*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$2\r\n42\r\n".repeat(120))
            .server("+OK\r\n".repeat(120))
            .client("*4\r\n$6\r\nLRANGE\r\n$4\r\nlist\r\n$1\r\n0\r\n$2\r\n-1\r\n")
            .server(format!("*400\r\n{}", "*1\r\n$2\r\n42\r\n".repeat(400)))
    });
    list.0
}

fn binary() -> Vec<Talk> {
    let mut list = List::default();
    for port in [1863, 443, 5190, 5050, 5101] {
        list.add(&format!("203.0.113.30:{port}"), |client, server, start| {
            ordinary::tls(client, server, start, "www.example.org")
        });
    }
    for port in [5050, 5190, 22] {
        list.add(&format!("203.0.113.31:{port}"), ordinary::ssh);
    }
    for port in [4000, 135] {
        list.add(&format!("203.0.113.32:{port}"), ordinary::dce_rpc);
    }
    for port in [4000, 2055] {
        list.add(&format!("203.0.113.33:{port}"), ordinary::netflow);
    }
    for port in [13324, 13325, 5004] {
        list.add(&format!("203.0.113.34:{port}"), ordinary::rtp);
    }
    // AOL's own client framed its packets with Z on the same port.
    list.add("203.0.113.35:5190", |client, server, start| {
        let frame = |n: u64| {
            join(&[
                b"Z",
                &noise(n, 2),
                &be16(24),
                &[0x10, 0x10, 0x20],
                &noise(n + 1, 24),
            ])
        };
        Talk::tcp(client, server, start)
            .client(frame(1))
            .server(frame(2))
            .client(frame(3))
            .server(frame(4))
    });
    // Noise, from both sides, on every messenger port.
    for port in [
        5190, 4443, 1863, 6891, 1503, 5050, 3574, 7320, 5100, 5101, 9898, 443,
    ] {
        list.add(&format!("203.0.113.36:{port}"), |client, server, start| {
            Talk::tcp(client, server, start)
                .client(noise(start, 700))
                .server(noise(start + 1, 4000))
                .client(noise(start + 2, 90))
        });
        list.add(&format!("203.0.113.37:{port}"), |client, server, start| {
            Talk::tcp(client, server, start)
                .server(noise(start, 3000))
                .client(noise(start + 2, 2000))
                .shown(Shown::WithoutOpening)
        });
    }
    for port in [4000, 13324, 13325, 5000] {
        list.add(&format!("203.0.113.38:{port}"), |client, server, start| {
            (0..20).fold(Talk::udp(client, server, start), |talk, n| {
                talk.client(noise(start + n, 24 + n as usize * 7))
                    .server(noise(start + n + 50, 21))
            })
        });
    }
    // Datagrams that begin as ICQ's do, with nothing behind that would be.
    list.add("203.0.113.39:4000", |client, server, start| {
        (0..12).fold(Talk::udp(client, server, start), |talk, n| {
            talk.client(join(&[&[5, 0, 0, 0, 0, 0], &noise(start + n, 40)]))
                .client(join(&[&[2, 0, 0x0a, 0], &noise(start + n + 30, 17)]))
                .server(join(&[&[5, 0, 0], &noise(start + n + 60, 33)]))
        })
    });
    // Nobody listens: a connection attempt is no messenger yet.
    for port in [5190, 1863, 5050] {
        list.add(&format!("203.0.113.40:{port}"), |client, server, start| {
            Talk::tcp(client, server, start).shown(Shown::Refused)
        });
    }
    list.0
}

fn names() -> Vec<Talk> {
    let mut list = List::default();
    let near = [
        "evil-oscar.aol.com",
        "login.oscar.aol.com.evil.example",
        "notmsg.yahoo.com",
        "msg.yahoo.com.evil.example",
        "www.yahoo.com",
        "login.live.com",
        "www.aol.com",
        "messenger-hotmail.com",
    ];
    for (n, name) in near.into_iter().enumerate() {
        let address = Ipv4Addr::new(203, 0, 113, 100 + n as u8);
        list.add("10.0.9.1:53", |client, server, start| {
            ordinary::dns(client, server, start, name, address)
        });
        list.add(&format!("{address}:443"), |client, server, start| {
            ordinary::tls(client, server, start, name)
        });
        list.add(&format!("{address}:80"), |client, server, start| {
            let page = "<p>Sign on at login.oscar.aol.com, port 5190, or scs.msg.yahoo.com.</p>";
            ordinary::web(client, server, start, name, page)
        });
    }
    // One address, a messenger's name and another one: the address proves nothing.
    let shared = Ipv4Addr::new(203, 0, 113, 200);
    for name in ["scs.msg.yahoo.com", "cdn.example.com"] {
        list.add("10.0.9.1:53", |client, server, start| {
            ordinary::dns(client, server, start, name, shared)
        });
    }
    list.add(&format!("{shared}:8080"), |client, server, start| {
        Talk::tcp(client, server, start + 500)
            .client(noise(start, 300))
            .server(noise(start + 1, 800))
    });
    // A messenger's address, but the connection says that it is for somebody else.
    let moved = Ipv4Addr::new(203, 0, 113, 201);
    list.add("10.0.9.1:53", |client, server, start| {
        ordinary::dns(client, server, start, "scs.msg.yahoo.com", moved)
    });
    list.add(&format!("{moved}:443"), |client, server, start| {
        ordinary::tls(client, server, start + 500, "www.example.net")
    });
    list.add(&format!("{moved}:22"), |client, server, start| {
        ordinary::ssh(client, server, start + 500)
    });
    list.0
}
