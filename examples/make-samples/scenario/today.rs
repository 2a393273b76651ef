//! Today's messengers: what their public descriptions say they send, and what only resembles it.

use super::bytes::{base64, be16, be32, join, le32, noise};
use super::ordinary::{self, lines};
use super::quic;
use super::talk::{Scenario, Talk, Truth};
use std::net::Ipv4Addr;

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "whatsapp",
            "A phone signs on over TCP 5222, a web client over TLS; media.",
            whatsapp(),
        ),
        scenario(
            "telegram",
            "MTProto in its transports: keys are asked for; then obfuscated, which nothing but an address range hints at.",
            telegram(),
        ),
        scenario(
            "discord",
            "The gateway over TLS, then voice: which address do I have?",
            discord(),
        ),
        scenario("teamspeak", "A client meets a server.", teamspeak()),
        scenario(
            "xmpp",
            "A session in clear text, one that begins TLS, and two servers.",
            xmpp(),
        ),
        scenario(
            "irc",
            "A session, a room, and the offer of a file from user to user.",
            irc(),
        ),
        scenario(
            "today-tls",
            "Connections over TLS to hosts that only one messenger uses.",
            by_tls(),
        ),
        scenario(
            "today-quic",
            "The same over QUIC: versions 1 and 2, the hello in several packets out of order; those of before, of drafts and vendors.",
            by_quic(),
        ),
        scenario(
            "baits-today",
            "Names that resemble today's messengers' or are shared with others, and beginnings that are not quite theirs. No messenger here.",
            baits(),
        ),
    ]
}

/// `DNS` names the host, then TLS is spoken with it.
fn named(n: usize, name: &str, talk: impl Fn(&str, &str, u64) -> Talk) -> [Talk; 2] {
    let server = Ipv4Addr::new(198, 18, (n >> 6) as u8, 10 + (n & 63) as u8);
    let client = format!("10.0.7.{}", 10 + n % 200);
    let start = 100 + 350 * n as u64;
    [
        ordinary::dns(
            &format!("{client}:{}", 41_000 + n),
            "10.0.7.1:53",
            start,
            name,
            server,
        ),
        talk(
            &format!("{client}:{}", 42_000 + n),
            &format!("{server}:443"),
            start + 100,
        ),
    ]
}

/// TLS that breaks off soon: the hello says enough.
fn tls(n: usize, name: &str) -> [Talk; 2] {
    named(n, name, |client, server, start| {
        let mut talk = ordinary::tls(client, server, start, name);
        talk.messages.truncate(2);
        for message in &mut talk.messages {
            message.bytes.truncate(400);
        }
        talk
    })
}

fn whatsapp() -> Vec<Talk> {
    let frame = |bytes: &[u8]| join(&[&be32(bytes.len())[1..], bytes]);
    // HandshakeMessage.clientHello.ephemeral, then HandshakeMessage.serverHello with ephemeral, static and payload.
    let hello = join(&[&[0x12, 0x22, 0x0a, 0x20], &noise(1, 32)]);
    let server = join(&[
        &[0x0a, 0x20],
        &noise(2, 32),
        &[0x12, 0x30],
        &noise(3, 48),
        &[0x1a, 0x80, 0x02],
        &noise(4, 256),
    ]);
    let answer = join(&[&[0x1a, 0xd7, 0x02], &server]);
    let session = |start| {
        Talk::tcp("10.0.7.11:50001", "198.18.7.7:5222", start)
            .client(join(&[b"WA\x06\x03", &frame(&hello)]))
            .server(frame(&answer))
            .client(frame(&noise(5, 330)))
            .server(frame(&noise(6, 620)))
            .pause(900)
            .client(frame(&noise(7, 90)))
    };
    let routed = Talk::tcp("10.0.7.12:50002", "198.18.7.8:443", 900)
        .client(join(&[
            &[b'E', b'D', 0, 1],
            &frame(&noise(8, 12)),
            b"WA\x06\x03",
            &frame(&hello),
        ]))
        .server(noise(9, 400));
    let truth = |confidence| Truth {
        service: "whatsapp",
        app_proto: Some("signature"),
        confidence,
        ..Truth::default()
    };
    let mut talks = vec![
        ordinary::dns(
            "10.0.7.11:41001",
            "10.0.7.1:53",
            100,
            "e7.whatsapp.net",
            Ipv4Addr::new(198, 18, 7, 7),
        ),
        session(400).is(truth("confirmed")),
        routed.is(truth("probable")),
    ];
    for (n, name) in [
        "web.whatsapp.com",
        "mmg.whatsapp.net",
        "media-fra3-1.cdn.whatsapp.net",
    ]
    .into_iter()
    .enumerate()
    {
        let [dns, tls] = tls(10 + n, name);
        talks.extend([dns, tls.is(Truth::by_host("whatsapp"))]);
    }
    talks
}

fn telegram() -> Vec<Talk> {
    // req_pq_multi and resPQ, in clear text because there is no key yet.
    let unencrypted = |seed: u64, body: &[u8]| {
        let id = noise(seed, 8);
        join(&[&[0; 8], &id, &le32(body.len()), body])
    };
    let request = unencrypted(11, &join(&[&[0xf1, 0x8e, 0x7e, 0xbe], &noise(12, 16)]));
    let answer = unencrypted(
        13,
        &join(&[
            &[0x63, 0x24, 0x16, 0x05],
            &noise(12, 16),
            &noise(14, 16),
            &[8],
            &noise(15, 8),
            &[0, 0, 0, 0x15, 0xc4, 0xb5, 0x1c, 1, 0, 0, 0],
            &noise(16, 8),
        ]),
    );
    let abridged = |bytes: &[u8]| join(&[&[(bytes.len() / 4) as u8], bytes]);
    let intermediate = |bytes: &[u8]| join(&[&le32(bytes.len()), bytes]);
    let truth = Truth {
        service: "telegram",
        app_proto: Some("signature"),
        confidence: "confirmed",
        ..Truth::default()
    };
    let later = |talk: Talk| talk.client(noise(17, 320)).server(noise(18, 700));
    let mut talks = vec![
        later(
            Talk::tcp("10.0.7.21:50011", "198.18.8.1:443", 100)
                .client(join(&[&[0xef], &abridged(&request)]))
                .server(abridged(&answer)),
        )
        .is(truth.clone()),
        later(
            Talk::tcp("10.0.7.22:50012", "198.18.8.2:80", 500)
                .client(join(&[&[0xee; 4], &intermediate(&request)]))
                .server(intermediate(&answer)),
        )
        .is(truth),
        // Obfuscated: no byte of it says anything.
        Talk::tcp("10.0.7.23:50013", "149.154.167.51:443", 900)
            .client(noise(19, 64 + 340))
            .server(noise(20, 900)),
    ];
    for (n, name) in ["web.telegram.org", "venus.web.telegram.org"]
        .into_iter()
        .enumerate()
    {
        let [dns, tls] = tls(20 + n, name);
        talks.extend([dns, tls.is(Truth::by_host("telegram"))]);
    }
    talks
}

fn discord() -> Vec<Talk> {
    let [dns, gateway] = tls(30, "gateway.discord.gg");
    let source = [0, 0, 0x30, 0x39];
    let mut address = b"192.0.2.77".to_vec();
    address.resize(64, 0);
    let voice = Talk::udp("10.0.7.40:51000", "198.18.9.1:50004", 1500)
        .client(join(&[&[0, 1, 0, 70], &source, &[0; 66]]))
        .server(join(&[&[0, 2, 0, 70], &source, &address, &be16(51_000)]));
    let voice = (0..12_u16).fold(voice, |talk, number| {
        talk.client(join(&[
            &[0x90, 0x78],
            &number.to_be_bytes(),
            &[0; 4],
            &source,
            &noise(u64::from(number), 120),
        ]))
    });
    vec![
        dns,
        gateway.is(Truth::by_host("discord")),
        voice.is(Truth {
            service: "discord",
            app_proto: Some("signature"),
            confidence: "confirmed",
            ..Truth::default()
        }
        .uses(&["voice"])),
    ]
}

fn teamspeak() -> Vec<Talk> {
    let client = |step: u8, body: &[u8]| {
        join(&[
            b"TS3INIT1",
            &[0, 0x65, 0, 0, 0x88, 0x06, 0x3b, 0xec, 0xe9, step],
            body,
        ])
    };
    let server = |step: u8, body: &[u8]| join(&[b"TS3INIT1", &[0, 0x65, 0x88, step], body]);
    vec![
        Talk::udp("10.0.7.50:52000", "198.18.10.1:9987", 100)
            .client(client(0, &join(&[&noise(1, 8), &[0; 8]])))
            .server(server(1, &noise(2, 20)))
            .client(client(2, &noise(3, 20)))
            .server(server(3, &noise(4, 232)))
            .client(noise(5, 300))
            .server(noise(6, 400))
            .is(Truth {
                service: "teamspeak",
                app_proto: Some("signature"),
                confidence: "confirmed",
                ..Truth::default()
            }),
    ]
}

fn xmpp() -> Vec<Talk> {
    let open = |who: &str, kind: &str| {
        format!(
            "<?xml version='1.0'?><stream:stream {who} xmlns='jabber:{kind}' \
             xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        )
    };
    let features = |inside: &str| format!("<stream:features>{inside}</stream:features>");
    let sasl = "urn:ietf:params:xml:ns:xmpp-sasl";
    let nonce = base64(&noise(31, 30));
    let clear = Talk::tcp("10.0.7.71:54001", "198.18.12.1:5222", 100)
        .client(open("to='chat.example.com'", "client"))
        .server(open("from='chat.example.com' id='s1'", "client"))
        .server(features(&format!("<mechanisms xmlns='{sasl}'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>")))
        .client(format!("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-1'>{nonce}</auth>"))
        .server(format!("<success xmlns='{sasl}'/>"))
        .client(open("to='chat.example.com'", "client"))
        .server(open("from='chat.example.com' id='s2'", "client"))
        .client("<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        .server("<iq id='b' type='result'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@chat.example.com/desk</jid></bind></iq>")
        .client("<presence/>")
        .client("<message to='bob@example.org/phone' type='chat'><body>lunch at noon?</body></message>")
        .server("<message from='bob@example.org/phone' to='alice@chat.example.com/desk' type='chat'><body>yes</body></message>")
        .client("</stream:stream>");
    let hidden = Talk::tcp("10.0.7.72:54002", "198.18.12.1:5222", 700)
        .client(open("to='chat.example.com'", "client"))
        .server(open("from='chat.example.com' id='s3'", "client"))
        .server(features(
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ))
        .client("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .server("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        .client(join(&[&[0x16, 3, 1], &be16(300), &noise(1, 300)]))
        .server(join(&[&[0x16, 3, 3], &be16(900), &noise(2, 900)]));
    let servers = Talk::tcp("198.18.12.9:54003", "198.18.12.1:5269", 1300)
        .client(open("from='example.org' to='chat.example.com'", "server"))
        .server(open("from='chat.example.com' id='s4'", "server"))
        .server(features(
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        ));
    vec![
        clear.is(Truth::confirmed("xmpp", "xmpp", "client")
            .account("alice@chat.example.com")
            .peer("bob@example.org")
            .uses(&["sign-on", "message", "presence"])
            .exposes(&["cleartext-messages"])),
        hidden.is(Truth::confirmed("xmpp", "xmpp", "client")),
        servers.is(Truth::confirmed("xmpp", "xmpp", "server")),
    ]
}

fn irc() -> Vec<Talk> {
    let session = lines(
        "10.0.7.81:55001",
        "198.18.13.1:6667",
        100,
        &[
            "C: CAP LS 302",
            "C: NICK alice\r\nUSER alice 0 * :Alice",
            "S: :irc.example.net NOTICE * :*** Looking up your hostname...",
            "S: :irc.example.net CAP * LS :multi-prefix sasl",
            "C: CAP END",
            "S: :irc.example.net 001 alice :Welcome to the network, alice",
            "C: JOIN #lunch",
            "S: :alice!a@desk.example.com JOIN #lunch",
            "C: PRIVMSG #lunch :who is coming?",
            "S: :bob!b@phone.example.org PRIVMSG alice :I am",
            // 10.0.7.82, port 55010.
            "S: :bob!b@phone.example.org PRIVMSG alice :\u{1}DCC SEND menu.txt 167774034 55010 40\u{1}",
            "C: PRIVMSG bob :thanks",
        ],
    );
    vec![
        session.is(Truth::confirmed("irc", "irc", "session")
            .account("alice")
            .peer("bob")
            .uses(&["sign-on", "message", "chat-room", "file-transfer"])
            .exposes(&["cleartext-messages"])),
    ]
}

fn by_tls() -> Vec<Talk> {
    let names = [
        ("chat.signal.org", "signal"),
        ("cdn2.signal.org", "signal"),
        ("sfu.voip.signal.org", "signal"),
        ("wss-primary.slack.com", "slack"),
        ("emea.ng.msg.teams.microsoft.com", "teams"),
        ("web.skype.com", "skype"),
        ("media.cdn.viber.com", "viber"),
        ("gd2.line.naver.jp", "line"),
        ("szshort.weixin.qq.com", "wechat"),
        ("ticket-loco.kakao.com", "kakaotalk"),
        ("g-33.0.threema.ch", "threema"),
        ("matrix-client.matrix.org", "matrix"),
        ("app.element.io", "matrix"),
        ("edge-chat.facebook.com", "fbmessenger"),
        ("www.messenger.com", "fbmessenger"),
        ("edge-chat.instagram.com", "instagram"),
        ("gcp.api.snapchat.com", "snapchat"),
        ("us04xmpp1.zoom.us", "zoom"),
        ("chat.google.com", "googlechat"),
        ("seed1.getsession.org", "session"),
        ("prod-nginz-https.wire.com", "wire"),
        ("msfwifi.3g.qq.com", "qq"),
        ("irc.libera.chat", "irc"),
    ];
    let pairs = names.into_iter().enumerate().map(|(n, (name, service))| {
        let [dns, tls] = tls(n, name);
        [dns, tls.is(Truth::by_host(service))]
    });
    pairs.flatten().collect()
}

fn by_quic() -> Vec<Talk> {
    let names = [
        (&quic::V1, "gcp.api.snapchat.com", "snapchat"),
        (&quic::V2, "edge-chat.facebook.com", "fbmessenger"),
        (&quic::V1, "web.whatsapp.com", "whatsapp"),
    ];
    let talks = names
        .into_iter()
        .enumerate()
        .map(|(n, (version, name, service))| {
            let talk = |client: &str, server: &str, start| {
                quic::talk(client, server, start, version, name)
            };
            let [dns, quic] = named(70 + n, name, talk);
            // One of them without the question to DNS: the packets say enough.
            let quic = quic.is(Truth::by_host(service));
            if n == 1 { vec![quic] } else { vec![dns, quic] }
        });
    let mut talks: Vec<Talk> = talks.flatten().collect();
    // What captures of earlier years have; nobody asked DNS.
    let older = [
        (&quic::DRAFT29, "web.whatsapp.com", "whatsapp"),
        (&quic::META, "www.messenger.com", "fbmessenger"),
        (&quic::T051, "chat.google.com", "googlechat"),
        (&quic::Q050, "app.snapchat.com", "snapchat"),
    ];
    for (n, (version, name, service)) in older.into_iter().enumerate() {
        let talk =
            |client: &str, server: &str, start| quic::talk(client, server, start, version, name);
        let [_, quic] = named(80 + n, name, talk);
        talks.push(quic.is(Truth::by_host(service)));
    }
    let oldest: [(&[u8; 4], &str); 2] = [
        (b"Q043", "feelinsonice-hrd.appspot.com"),
        (b"Q046", "gcp.api.snapchat.com"),
    ];
    for (n, (version, name)) in oldest.into_iter().enumerate() {
        let talk = |client: &str, server: &str, start| {
            quic::in_clear(client, server, start, *version, name)
        };
        let [_, quic] = named(90 + n, name, talk);
        talks.push(quic.is(Truth::by_host("snapchat")));
    }
    talks
}

fn baits() -> Vec<Talk> {
    let near = [
        "evilwhatsapp.net.example",
        "notwhatsapp.net",
        "whatsapp.net.example",
        "www.whatsapp.com",
        "telegram.org",
        "web.telegram.org.example",
        "mysignal.org",
        "signal.org",
        "cdn.discordapp.com",
        "discord.gg.example",
        "slack.com",
        "slacker.com",
        "myteams.microsoft.com",
        "www.microsoft.com",
        "www.facebook.com",
        "edge-mqtt.facebook.com",
        "static.xx.fbcdn.net",
        "i.instagram.com",
        "cf-st.sc-cdn.net",
        "mp.weixin.qq.com",
        "www.qq.com",
        "map.kakao.com",
        "mtalk.google.com",
        "1-courier.push.apple.com",
        "shop.threema.ch",
        "matrix.example.com",
        "cloudfront.net",
        "firewire.com",
        "www.zoom.us",
    ];
    let mut talks: Vec<Talk> = near
        .into_iter()
        .enumerate()
        .flat_map(|(n, name)| tls(100 + n, name))
        .collect();
    for (n, (version, name)) in [
        (&quic::V1, "www.facebook.com"),
        (&quic::V2, "www.example.com"),
        (&quic::V1, "web.whatsapp.com.example"),
        (&quic::DRAFT29, "www.google.com"),
        (&quic::META, "www.instagram.com"),
        (&quic::T051, "www.google.com"),
        (&quic::Q050, "other.appspot.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let talk =
            |client: &str, server: &str, start| quic::talk(client, server, start, version, name);
        talks.extend(named(140 + n, name, talk));
    }
    for (n, (version, name)) in [(b"Q043", "other.appspot.com"), (b"Q046", "www.google.com")]
        .into_iter()
        .enumerate()
    {
        let talk = |client: &str, server: &str, start| {
            quic::in_clear(client, server, start, *version, name)
        };
        talks.extend(named(150 + n, name, talk));
    }
    // A content network: one address, a messenger's name and two others, so that one may be lost.
    let shared = Ipv4Addr::new(198, 18, 20, 1);
    for (n, name) in ["files.slack.com", "cdn.example.com", "img.example.com"]
        .into_iter()
        .enumerate()
    {
        let start = 60_000 + 200 * n as u64;
        talks.push(ordinary::dns(
            &format!("10.0.7.90:4600{n}"),
            "10.0.7.1:53",
            start,
            name,
            shared,
        ));
    }
    talks.push(
        Talk::tcp("10.0.7.90:46010", &format!("{shared}:443"), 60_900)
            .client(noise(1, 200))
            .server(noise(2, 900)),
    );
    talks.extend(beginnings());
    talks
}

/// Beginnings that are not quite a messenger's.
fn beginnings() -> Vec<Talk> {
    let tcp = |n: usize, port: u16, client: Vec<u8>, server: Vec<u8>| {
        let from = format!("10.0.7.{}:570{n:02}", 120 + n);
        Talk::tcp(
            &from,
            &format!("198.18.22.{}:{port}", n + 1),
            64_000 + 300 * n as u64,
        )
        .client(client)
        .server(server)
    };
    let udp = |n: usize, port: u16, client: Vec<u8>| {
        let from = format!("10.0.7.{}:571{n:02}", 140 + n);
        Talk::udp(
            &from,
            &format!("198.18.22.{}:{port}", n + 30),
            67_000 + 300 * n as u64,
        )
        .client(client)
        .server(noise(n as u64, 60))
    };
    vec![
        // Sound, a record of 4 bytes of type 1, one byte alone, noise.
        tcp(
            0,
            5222,
            join(&[b"WAVEfmt \x10\0\0\0\x01\0\x01\0", &noise(1, 300)]),
            noise(2, 80),
        ),
        tcp(
            1,
            8074 + 1,
            join(&[&le32(2), &le32(4), &noise(3, 4)]),
            join(&[&le32(1), &le32(4), &noise(4, 4)]),
        ),
        tcp(2, 443, join(&[&[0xef, 0x0a], &noise(5, 40)]), noise(6, 300)),
        tcp(3, 443, noise(7, 64 + 200), noise(8, 500)),
        tcp(
            4,
            5222,
            b"<?xml version='1.0'?><order xmlns='urn:example:shop'><item n='1'/></order>".to_vec(),
            b"<ok/>".to_vec(),
        ),
        tcp(
            5,
            2121,
            b"USER anonymous\r\nPASS alice@example.com\r\n".to_vec(),
            b"331 go on\r\n230 welcome\r\n".to_vec(),
        ),
        tcp(
            6,
            2122,
            b"NICK OF TIME\r\nUSER FRIENDLY\r\n".to_vec(),
            b"what?\r\n".to_vec(),
        ),
        udp(0, 50_005, join(&[&[0, 1, 0, 70], &noise(9, 70)])),
        udp(1, 19_987, join(&[b"TS3INIT ", &noise(10, 20)])),
        udp(2, 50_006, join(&[&[0xc0, 0, 0, 0, 1, 8], &noise(11, 1194)])),
        udp(3, 4242, join(&[&[0; 4], &noise(12, 8)])),
    ]
}
