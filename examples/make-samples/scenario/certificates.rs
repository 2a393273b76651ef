//! TLS whose hello names nobody, to servers whose certificates do, and certificates that say nothing.

use super::bytes::{be16, be32, join, noise};
use super::talk::{Scenario, Shown, Talk, Truth};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "tls-certificates",
            "Hellos of old clients, which name no server, to servers whose certificates are for one messenger's hosts alone.",
            by_certificate(),
        ),
        scenario(
            "tls-certificates-joined",
            "The same where the capture begins behind the hello, or the hello has the form of SSL 2.",
            joined(),
        ),
        scenario(
            "baits-certificates",
            "Certificates that are for other hosts as well, look alike, are cut or absurd, or that nobody asked for; hellos that name \
             somebody. No messenger here.",
            baits(),
        ),
    ]
}

/// A DER element (X.690, 8.1).
fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = match body.len() {
        short @ 0..0x80 => vec![short as u8],
        long @ 0x80..0x100 => vec![0x81, long as u8],
        long => join(&[&[0x82], &be16(long)]),
    };
    join(&[&[tag], &length, body])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, &join(parts))
}

/// A name with an organisation and a common name.
fn name(common: &[u8]) -> Vec<u8> {
    let part = |kind: u8, text: &[u8]| {
        der(
            0x31,
            &sequence(&[&der(6, &[0x55, 4, kind]), &der(0x0c, text)]),
        )
    };
    sequence(&[&part(10, b"Example Trust"), &part(3, common)])
}

/// What a certificate says; nobody has the keys.
struct Certificate<'a> {
    common: &'a [u8],
    /// Alternative names, as they stand in DER; without any it is one of version 1.
    alternative: Vec<u8>,
}

impl<'a> Certificate<'a> {
    /// With a common name alone.
    const fn old(common: &'a str) -> Self {
        Self {
            common: common.as_bytes(),
            alternative: Vec::new(),
        }
    }

    /// With these hosts as alternative names.
    fn of(hosts: &[&'a str]) -> Self {
        let host = |host: &&str| der(0x82, host.as_bytes());
        Self {
            common: b"Example service",
            alternative: hosts.iter().flat_map(host).collect(),
        }
    }

    /// RFC 5280, 4.1.
    fn der(&self, seed: u64) -> Vec<u8> {
        let rsa = |kind: u8| {
            let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, kind];
            sequence(&[&der(6, &oid), &[5, 0]])
        };
        let number = |bytes: &[u8]| der(2, &join(&[&[0x41], bytes]));
        let key = sequence(&[&number(&noise(seed, 255)), &der(2, &[1, 0, 1])]);
        let names = sequence(&[
            &der(6, &[0x55, 0x1d, 0x11]),
            &der(4, &sequence(&[&self.alternative])),
        ]);
        let no_authority = sequence(&[&der(6, &[0x55, 0x1d, 0x13]), &der(4, &sequence(&[]))]);
        let [version, extensions] = if self.alternative.is_empty() {
            [Vec::new(), Vec::new()]
        } else {
            let extensions = sequence(&[&no_authority, &names]);
            [der(0xa0, &der(2, &[2])), der(0xa3, &extensions)]
        };
        let signed = sequence(&[
            &version,
            &number(&noise(seed + 1, 8)),
            &rsa(11),
            &name(b"Example Trust CA"),
            &sequence(&[&der(0x17, b"250101000000Z"), &der(0x17, b"270101000000Z")]),
            &name(self.common),
            &sequence(&[&rsa(1), &der(3, &join(&[&[0], &key]))]),
            &extensions,
        ]);
        sequence(&[
            &signed,
            &rsa(11),
            &der(3, &join(&[&[0], &noise(seed + 2, 256)])),
        ])
    }
}

fn be24(n: usize) -> [u8; 3] {
    let [_, a, b, c] = be32(n);
    [a, b, c]
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    join(&[&[kind], &be24(body.len()), body])
}

/// Handshake messages in records of at most so many bytes.
fn records(messages: &[u8], most: usize) -> Vec<u8> {
    let record = |part: &[u8]| join(&[&[0x16, 3, 1], &be16(part.len()), part]);
    messages.chunks(most).flat_map(record).collect()
}

/// A client's hello of TLS 1.0, with these extensions, if any.
fn hello(seed: u64, extensions: &[u8]) -> Vec<u8> {
    let extensions = match extensions {
        [] => Vec::new(),
        some => join(&[&be16(some.len()), some]),
    };
    let suites = [0, 10, 0, 4, 0, 5, 0, 10, 0, 9, 0, 3];
    let body = join(&[
        &[3, 1],
        &noise(seed, 32),
        &[0],
        &suites,
        &[1, 0],
        &extensions,
    ]);
    records(&message(1, &body), 16_384)
}

/// The extension that names a server (RFC 6066, 3).
fn sni(name: &str) -> Vec<u8> {
    let entry = join(&[&[0], &be16(name.len()), name.as_bytes()]);
    join(&[&[0, 0], &be16(entry.len() + 2), &be16(entry.len()), &entry])
}

fn server_hello(seed: u64) -> Vec<u8> {
    let body = join(&[
        &[3, 1],
        &noise(seed, 32),
        &[32],
        &noise(seed + 1, 32),
        &[0, 10, 0],
    ]);
    message(2, &body)
}

fn certificates(chain: &[Vec<u8>]) -> Vec<u8> {
    let chain: Vec<u8> = chain
        .iter()
        .flat_map(|one| join(&[&be24(one.len()), one]))
        .collect();
    message(11, &join(&[&be24(chain.len()), &chain]))
}

/// The server's flight up to TLS 1.2, in three messages.
fn flight(seed: u64, chain: &[Vec<u8>]) -> [Vec<u8>; 3] {
    [server_hello(seed), certificates(chain), message(14, &[])]
}

fn issuer() -> Vec<u8> {
    Certificate::old("Example Trust CA").der(900)
}

/// What follows when both agree: the key, and then what nobody can read.
fn agreed(talk: Talk, seed: u64) -> Talk {
    let over = |kind: u8, body: &[u8]| join(&[&[kind, 3, 1], &be16(body.len()), body]);
    let finished = |seed| join(&[&over(0x14, &[1]), &over(0x16, &noise(seed, 40))]);
    let key = records(
        &message(16, &join(&[&be16(128), &noise(seed + 3, 128)])),
        16_384,
    );
    talk.client(join(&[&key, &finished(seed + 4)]))
        .server(finished(seed + 5))
        .client(over(0x17, &noise(seed + 6, 180)))
        .server(over(0x17, &noise(seed + 7, 420)))
}

/// Who is who in the nth talk.
fn talk(n: u64) -> Talk {
    Talk::tcp(
        &format!("10.0.9.{}:{}", 10 + n, 43_000 + n),
        &format!("198.18.90.{}:443", 10 + n),
        100 + 400 * n,
    )
}

/// A whole handshake, the server's messages in records of so many bytes.
fn whole(n: u64, extensions: &[u8], chain: &[Vec<u8>], most: usize) -> Talk {
    let seed = 1000 + 20 * n;
    let opened = talk(n).client(hello(seed, extensions));
    agreed(
        opened.server(records(&flight(seed + 1, chain).concat(), most)),
        seed,
    )
}

fn by_certificate() -> Vec<Talk> {
    // Curves and point formats, as hellos without a name have them.
    let curves = [0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0];
    let mail = der(0x81, b"admin@example.com");
    let address = der(0x87, &[198, 18, 90, 18]);
    let mixed = Certificate {
        alternative: join(&[&mail, &der(0x82, b"chat.signal.org"), &address]),
        ..Certificate::of(&[])
    };
    let whatsapp = Certificate::of(&[
        "*.whatsapp.net",
        "whatsapp.net",
        "web.whatsapp.com",
        "*.cdn.whatsapp.net",
    ]);
    let rows: [(&str, &[u8], Certificate<'_>, usize); 9] = [
        ("aim", &[], Certificate::old("slogin.oscar.aol.com"), 16_384),
        ("icq", &curves, Certificate::old("slogin.icq.com"), 16_384),
        (
            "msn",
            &[],
            Certificate::of(&["messenger.hotmail.com", "*.messenger.hotmail.com"]),
            16_384,
        ),
        ("yahoo", &curves, Certificate::of(&["*.msg.yahoo.com"]), 200),
        ("whatsapp", &curves, whatsapp, 16_384),
        (
            "telegram",
            &[],
            Certificate::of(&["web.telegram.org", "*.WEB.telegram.org"]),
            16_384,
        ),
        ("threema", &curves, Certificate::of(&["*.0.threema.ch"]), 7),
        ("signal", &curves, mixed, 16_384),
        // A hello that names an address names nobody.
        (
            "teams",
            &sni("198.18.90.19"),
            Certificate::of(&["*.teams.microsoft.com"]),
            1000,
        ),
    ];
    let talks = (1..)
        .zip(rows)
        .map(|(n, (service, extensions, certificate, most))| {
            let chain = [certificate.der(2000 + n), issuer()];
            whole(n, extensions, &chain, most).is(Truth::by_host(service))
        });
    talks.collect()
}

fn joined() -> Vec<Talk> {
    let line = [
        Certificate::of(&["*.line-apps.com", "gd2.line.naver.jp"]).der(3001),
        issuer(),
    ];
    let viber = [Certificate::old("aloha.viber.com").der(3003), issuer()];
    let behind_hello = talk(31).server(records(&flight(3010, &line).concat(), 16_384));
    // RFC 5246, E.2: a hello that servers of SSL 2 understand.
    let suites = [0, 0, 4, 0, 0, 5, 0, 0, 10, 1, 0, 0x80];
    let body = join(&[
        &[1, 3, 1],
        &be16(suites.len()),
        &[0, 0, 0, 16],
        &suites,
        &noise(3012, 16),
    ]);
    let compatible = join(&[&be16(0x8000 | body.len()), &body]);
    let compatible = talk(33)
        .client(compatible)
        .server(records(&flight(3013, &viber).concat(), 16_384));
    vec![
        agreed(behind_hello, 3020)
            .shown(Shown::WithoutOpening)
            .is(Truth::by_host("line")),
        agreed(compatible, 3040).is(Truth::by_host("viber")),
    ]
}

fn baits() -> Vec<Talk> {
    let whatsapp = || Certificate::of(&["*.whatsapp.net"]).der(4000);
    let lists: [&[&str]; 12] = [
        // The hosts of one messenger, and its web site, which everybody visits.
        &["zoom.us", "*.zoom.us"],
        &["*.slack-msgs.com", "*.slack.com"],
        // What a network of several products has.
        &["*.whatsapp.net", "*.facebook.com", "*.instagram.com"],
        &["*.teams.microsoft.com", "*.cloudapp.example"],
        // Two messengers'.
        &["*.whatsapp.net", "web.telegram.org"],
        // Another's host is below it.
        &["*.messenger.live.com"],
        // Wider than what is known.
        &["*.hotmail.com"],
        &["*.com"],
        &["*"],
        // Look-alikes.
        &["slogin.oscar.aol.com.evil.example"],
        &["evil-whatsapp.net", "*.evil-whatsapp.net"],
        &["web.telegram.org", "www.example.com"],
    ];
    let mut talks: Vec<Talk> = (50..)
        .zip(lists)
        .map(|(n, hosts)| {
            whole(
                n,
                &[],
                &[Certificate::of(hosts).der(4100 + n), issuer()],
                16_384,
            )
        })
        .collect();
    // The alternative names count, whatever the common name says; a name that ends in the middle is none.
    let others_host = der(0x82, b"www.example.com");
    let contradicting = Certificate {
        common: b"web.telegram.org",
        alternative: others_host,
    };
    let cut_name = Certificate {
        common: b"web.telegram.org\0.example.com",
        alternative: Vec::new(),
    };
    let router = Certificate::old("192.0.2.1");
    for (n, certificate) in (70..).zip([contradicting, cut_name, router]) {
        talks.push(whole(n, &[], &[certificate.der(4200 + n)], 16_384));
    }
    let own = || Certificate::of(&["www.example.com"]).der(4300);
    // The messenger's is not the server's own.
    talks.push(whole(73, &[], &[own(), whatsapp()], 16_384));
    // No bytes of DER.
    let mut broken = whatsapp();
    broken[9] ^= 0xff;
    talks.push(whole(74, &[], &[broken], 16_384));
    // The client's word counts.
    talks.push(whole(
        75,
        &sni("www.example.com"),
        &[whatsapp(), issuer()],
        16_384,
    ));
    // A user's certificate, not the server's.
    let asked = talk(77).client(hello(4400, &[])).server(records(
        &[
            server_hello(4401),
            certificates(&[own()]),
            message(13, &[1, 1, 0, 0]),
            message(14, &[]),
        ]
        .concat(),
        16_384,
    ));
    talks.push(agreed(
        asked.client(records(&certificates(&[whatsapp()]), 16_384)),
        4410,
    ));
    talks.extend(cut_short());
    talks
}

/// Certificates that nobody sees, or not whole.
fn cut_short() -> [Talk; 5] {
    let chain = [Certificate::of(&["*.whatsapp.net"]).der(4600), issuer()];
    let opened = |n: u64| talk(n).client(hello(4600 + n, &[]));
    let whole = records(&flight(4601, &chain).concat(), 16_384);
    // All but the last byte of the server's own.
    let end = 5 + server_hello(4601).len() + 10 + chain[0].len() - 1;
    // A length that no certificate has.
    let absurd = join(&[&server_hello(4602), &[11], &[0xff; 9], &chain[0]]);
    // TLS 1.3: what is behind the hello is encrypted, whatever it looks like.
    let versions = [0, 43, 0, 3, 2, 3, 4];
    let answer = join(&[
        &[3, 3],
        &noise(4603, 32),
        &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4],
    ]);
    let hidden = certificates(&chain);
    let hidden = join(&[
        &records(&message(2, &answer), 16_384),
        &[0x14, 3, 3, 0, 1, 1, 0x17, 3, 3],
        &be16(hidden.len()),
        &hidden,
    ]);
    // A session that is taken up again has none.
    let resumed = join(&[
        &records(&server_hello(4604), 16_384),
        &[0x14, 3, 1, 0, 1, 1],
        &records(&certificates(&chain), 16_384),
    ]);
    // Behind what else has been said, it is too late.
    let late = [server_hello(4605), message(14, &[]), certificates(&chain)].concat();
    [
        opened(80).server(&whole[..end]),
        agreed(opened(81).server(records(&absurd, 16_384)), 4620),
        talk(82).client(hello(4682, &versions)).server(hidden),
        opened(83).server(resumed),
        opened(84).server(records(&late, 16_384)),
    ]
}
