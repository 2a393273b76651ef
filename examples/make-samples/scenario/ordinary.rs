//! What else goes over an office network: web, mail, files, shells, names, other chats.

use super::bytes::{be16, be32, join, noise};
use super::png::png;
use super::talk::{Talk, Truth};
use std::net::Ipv4Addr;

/// A page and two pictures over one kept-alive connection.
pub fn web(client: &str, server: &str, start_ms: u64, host: &str, page: &str) -> Talk {
    let request = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: */*\r\n\
             Connection: keep-alive\r\n\r\n"
        )
    };
    let response = |kind: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        join(&[head.as_bytes(), body])
    };
    Talk::tcp(client, server, start_ms)
        .client(request("/"))
        .server(response("text/html; charset=utf-8", page.as_bytes()))
        .pause(80)
        .client(request("/logo.png"))
        .server(response("image/png", &png(start_ms, 60, 50)))
        .client(request("/photo.png"))
        .server(response("image/png", &png(start_ms + 1, 120, 75)))
}

/// A large file.
pub fn download(client: &str, server: &str, start_ms: u64, host: &str, size: usize) -> Talk {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n"
    );
    Talk::tcp(client, server, start_ms)
        .client(format!(
            "GET /pub/image.iso HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ))
        .server(join(&[head.as_bytes(), &noise(size as u64, size)]))
}

/// TLS with this server name, then records that nobody can read.
pub fn tls(client: &str, server: &str, start_ms: u64, name: &str) -> Talk {
    let record = |kind: u8, body: &[u8]| join(&[&[kind, 3, 3], &be16(body.len()), body]);
    let handshake = |kind: u8, body: &[u8]| join(&[&[kind, 0], &be16(body.len()), body]);
    let entry = join(&[&[0], &be16(name.len()), name.as_bytes()]);
    let sni = join(&[&[0, 0], &be16(entry.len() + 2), &be16(entry.len()), &entry]);
    let versions = [0, 43, 0, 3, 2, 3, 4];
    let extensions = join(&[&sni, &versions]);
    let hello = join(&[
        &[3, 3],
        &noise(start_ms, 32),
        &[32],
        &noise(start_ms + 1, 32),
        &[0, 4, 0x13, 1, 0x13, 2, 1, 0],
        &be16(extensions.len()),
        &extensions,
    ]);
    let answer = join(&[
        &[3, 3],
        &noise(start_ms + 2, 32),
        &[32],
        &noise(start_ms + 1, 32),
        &[0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4],
    ]);
    Talk::tcp(client, server, start_ms)
        .client(record(0x16, &handshake(1, &hello)))
        .server(join(&[
            &record(0x16, &handshake(2, &answer)),
            &record(0x14, &[1]),
            &record(0x17, &noise(start_ms + 3, 2300)),
        ]))
        .client(join(&[
            &record(0x14, &[1]),
            &record(0x17, &noise(start_ms + 4, 53)),
        ]))
        .client(record(0x17, &noise(start_ms + 5, 410)))
        .server(record(0x17, &noise(start_ms + 6, 5200)))
}

/// A question and its answer.
pub fn dns(client: &str, server: &str, start_ms: u64, name: &str, address: Ipv4Addr) -> Talk {
    let labels: Vec<u8> = name
        .split('.')
        .flat_map(|label| join(&[&[label.len() as u8], label.as_bytes()]))
        .chain([0])
        .collect();
    let id = be16((start_ms & 0xffff) as usize);
    let question = join(&[&labels, &[0, 1, 0, 1]]);
    let answer = join(&[
        &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4],
        &address.octets(),
    ]);
    Talk::udp(client, server, start_ms)
        .client(join(&[&id, &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &question]))
        .server(join(&[
            &id,
            &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0],
            &question,
            &answer,
        ]))
}

/// Lines of a text protocol: `C: ` and `S: ` say who speaks.
pub fn lines(client: &str, server: &str, start_ms: u64, dialogue: &[&str]) -> Talk {
    dialogue
        .iter()
        .fold(Talk::tcp(client, server, start_ms), |talk, line| {
            let (who, text) = line.split_at(3);
            let text = format!("{text}\r\n");
            if who == "C: " {
                talk.client(text)
            } else {
                talk.server(text)
            }
        })
}

/// Mail goes out.
pub fn smtp(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "S: 220 mail.example.com ESMTP",
            "C: EHLO desk.example.com",
            "S: 250-mail.example.com\r\n250 8BITMIME",
            "C: VRFY alice",
            "S: 252 try it",
            "C: MAIL FROM:<alice@example.com>",
            "S: 250 ok",
            "C: RCPT TO:<bob@example.org>",
            "S: 250 ok",
            "C: DATA",
            "S: 354 go on",
            "C: Subject: minutes\r\n\r\nUSR and VER are no words. YMSG neither.\r\n.",
            "S: 250 queued",
            "C: QUIT",
            "S: 221 bye",
        ],
    )
}

/// Mail comes in.
pub fn pop3(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "S: +OK POP3 ready",
            "C: USER alice",
            "S: +OK",
            "C: PASS not-a-real-one",
            "S: +OK 1 message",
            "C: LIST",
            "S: +OK\r\n1 120\r\n.",
            "C: QUIT",
            "S: +OK bye",
        ],
    )
}

/// Mail stays on the server.
pub fn imap(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "S: * OK IMAP4rev1 ready",
            "C: a1 LOGIN alice not-a-real-one",
            "S: * CAPABILITY IMAP4rev1 IDLE\r\na1 OK done",
            "C: a2 SELECT INBOX",
            "S: * 3 EXISTS\r\n* 0 RECENT\r\na2 OK done",
            "C: a3 LOGOUT",
            "S: * BYE\r\na3 OK",
        ],
    )
}

/// Files.
pub fn ftp(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "S: 220 ftp.example.com ready",
            "C: USER anonymous",
            "S: 331 mail address as password",
            "C: PASS alice@example.com",
            "S: 230 welcome",
            "C: TYPE I",
            "S: 200 ok",
            "C: QUIT",
            "S: 221 bye",
        ],
    )
}

/// A shell.
pub fn ssh(client: &str, server: &str, start_ms: u64) -> Talk {
    // Length, length of the padding, payload, padding to a multiple of eight.
    let packet = |payload: &[u8]| {
        let padding = 4 + (8 - (payload.len() + 9) % 8) % 8;
        join(&[
            &be32(payload.len() + padding + 1),
            &[padding as u8],
            payload,
            &vec![0; padding],
        ])
    };
    let text = |bytes: &[u8]| join(&[&be32(bytes.len()), bytes]);
    let kex_init = |seed: u64| {
        let lists: Vec<u8> = [
            "curve25519-sha256,ecdh-sha2-nistp256",
            "ssh-ed25519,rsa-sha2-512",
            "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com",
            "hmac-sha2-256-etm@openssh.com,hmac-sha2-256",
            "hmac-sha2-256-etm@openssh.com,hmac-sha2-256",
            "none,zlib@openssh.com",
            "none,zlib@openssh.com",
            "",
            "",
        ]
        .iter()
        .flat_map(|list| text(list.as_bytes()))
        .collect();
        packet(&join(&[&[20], &noise(seed, 16), &lists, &[0; 5]]))
    };
    let new_keys = packet(&[21]);
    let key = join(&[&text(b"ssh-ed25519"), &text(&noise(start_ms + 4, 32))]);
    let signature = join(&[&text(b"ssh-ed25519"), &text(&noise(start_ms + 5, 64))]);
    let reply = packet(&join(&[
        &[31],
        &text(&key),
        &text(&noise(start_ms + 6, 32)),
        &text(&signature),
    ]));
    Talk::tcp(client, server, start_ms)
        .server("SSH-2.0-OpenSSH_9.6\r\n")
        .client("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        .client(kex_init(start_ms))
        .server(kex_init(start_ms + 1))
        .client(packet(&join(&[&[30], &text(&noise(start_ms + 7, 32))])))
        .server(join(&[&reply, &new_keys]))
        .client(join(&[&new_keys, &noise(start_ms + 2, 120)]))
        .server(noise(start_ms + 3, 900))
}

/// Another chat.
pub fn irc(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "C: NICK alice\r\nUSER alice 0 * :Alice",
            "S: :irc.example.net 001 alice :Welcome",
            "C: JOIN #lunch",
            "S: :alice!a@desk JOIN #lunch",
            "C: PRIVMSG #lunch :MSG me when you are there",
            "S: PING :irc.example.net",
            "C: PONG :irc.example.net",
            "C: QUIT",
        ],
    )
    .is(Truth::confirmed("irc", "irc", "session")
        .account("alice")
        .uses(&["chat-room"]))
}

/// And another.
pub fn xmpp(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "C: <?xml version='1.0'?><stream:stream to='example.com' xmlns='jabber:client' version='1.0'>",
            "S: <?xml version='1.0'?><stream:stream from='example.com' id='1' version='1.0'><stream:features/>",
            "C: <message to='bob@example.com'><body>lunch at noon?</body></message>",
            "S: <message from='bob@example.com'><body>yes</body></message>",
            "C: </stream:stream>",
        ],
    )
    .is(Truth::confirmed("xmpp", "xmpp", "client")
        .peer("bob@example.com")
        .uses(&["message"]))
}

/// A message bus whose verbs look like MSN's.
pub fn nats(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "S: INFO {\"server_id\":\"NA\",\"version\":\"2.10.0\",\"max_payload\":1048576}",
            "C: CONNECT {\"verbose\":false}\r\nPING",
            "S: PONG",
            "C: SUB orders.new 1\r\nPUB orders.new 5\r\nhello",
            "S: MSG orders.new 1 5\r\nhello",
            "S: MSG orders.new 1 11\r\nhello world",
            "C: UNSUB 1",
        ],
    )
}

/// A cache whose arrays begin with FLAP's first byte.
pub fn redis(client: &str, server: &str, start_ms: u64) -> Talk {
    lines(
        client,
        server,
        start_ms,
        &[
            "C: *1\r\n$4\r\nPING",
            "S: +PONG",
            "C: *3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue",
            "S: +OK",
            "C: *2\r\n$4\r\nKEYS\r\n$1\r\n*",
            "S: *2\r\n$3\r\nkey\r\n$5\r\nother",
        ],
    )
}

/// Telephony in text.
pub fn sip(client: &str, server: &str, start_ms: u64) -> Talk {
    let head = "Via: SIP/2.0/TCP desk.example.com\r\nFrom: <sip:alice@example.com>\r\nTo: <sip:bob@example.com>\r\n\
        Call-ID: 7@desk\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    Talk::tcp(client, server, start_ms)
        .client(format!("INVITE sip:bob@example.com SIP/2.0\r\n{head}"))
        .server(format!("SIP/2.0 100 Trying\r\n{head}"))
        .server(format!("SIP/2.0 200 OK\r\n{head}"))
        .client(format!("ACK sip:bob@example.com SIP/2.0\r\n{head}"))
        .pause(500)
        .client(format!("BYE sip:bob@example.com SIP/2.0\r\n{head}"))
        .server(format!("SIP/2.0 200 OK\r\n{head}"))
}

/// What time is it?
pub fn ntp(client: &str, server: &str, start_ms: u64) -> Talk {
    Talk::udp(client, server, start_ms)
        .client(join(&[&[0x23, 0, 6, 0xec], &[0; 36], &noise(start_ms, 8)]))
        .server(join(&[&[0x24, 2, 6, 0xec], &noise(start_ms + 1, 44)]))
}

/// A remote procedure call (DCE/RPC 5.0: bind, then a request to an interface of nobody's).
pub fn dce_rpc(client: &str, server: &str, start_ms: u64) -> Talk {
    let pdu = |kind: u8, body: &[u8]| {
        let length = (body.len() + 16) as u16;
        join(&[
            &[5, 0, kind, 3, 0x10, 0, 0, 0],
            &length.to_le_bytes(),
            &[0, 0, 1, 0, 0, 0],
            body,
        ])
    };
    // NDR, the syntax of transfer, version 2.
    let ndr = [
        0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 8, 0, 0x2b, 0x10, 0x48, 0x60,
        2, 0, 0, 0,
    ];
    let sizes = [0xd0, 0x16, 0xd0, 0x16];
    let bind = join(&[
        &sizes,
        &[0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0],
        &noise(start_ms, 16),
        &[1, 0, 0, 0],
        &ndr,
    ]);
    let accepted = join(&[
        &sizes,
        &[0x34, 0x12, 0, 0, 4, 0],
        b"135\0",
        &[0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        &ndr,
    ]);
    let request = join(&[&[24, 0, 0, 0, 0, 0, 2, 0], &noise(start_ms + 2, 24)]);
    let response = join(&[&[48, 0, 0, 0, 0, 0, 0, 0], &noise(start_ms + 3, 48)]);
    Talk::tcp(client, server, start_ms)
        .client(pdu(11, &bind))
        .server(pdu(12, &accepted))
        .client(pdu(0, &request))
        .server(pdu(2, &response))
}

/// Flow export (`NetFlow` v5: big-endian version 5, a count, then records of 48 bytes).
pub fn netflow(client: &str, server: &str, start_ms: u64) -> Talk {
    (0..4).fold(Talk::udp(client, server, start_ms), |talk, round| {
        let count = 3;
        let header = join(&[&be16(5), &be16(count), &noise(start_ms + round, 20)]);
        talk.pause(250)
            .client(join(&[&header, &noise(start_ms + round + 9, count * 48)]))
    })
}

/// A voice stream (RTP version 2, one source, numbers and times that step).
pub fn rtp(client: &str, server: &str, start_ms: u64) -> Talk {
    (0..30_u16).fold(Talk::udp(client, server, start_ms), |talk, number| {
        let header = join(&[
            &[0x80, 0],
            &number.to_be_bytes(),
            &(u32::from(number) * 160).to_be_bytes(),
            &[0x12, 0x34, 0x56, 0x78],
        ]);
        talk.client(join(&[&header, &noise(start_ms + u64::from(number), 160)]))
    })
}
