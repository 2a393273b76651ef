//! A morning in an office: all four messengers among everything else.

use super::ordinary;
use super::talk::{Scenario, Shown, Talk};
use super::{aim, aim_peer, icq, icq_udp, msn, msn_peer, oscar, yahoo, yahoo_peer};
use std::net::Ipv4Addr;

/// The office.
pub fn scenarios() -> Vec<Scenario> {
    let mut talks = messengers();
    talks.extend(everything_else());
    vec![Scenario {
        name: "office",
        about: "Sixteen machines of an office for a minute: AIM, ICQ, MSN and Yahoo! Messenger with sign-on, messages and a \
                file each, some on ports that are not theirs, one over IPv6, one that began before the capture; among \
                web, mail, files, shells, names, time and other chats.",
        talks,
    }]
}

/// A connection whose first messages came before the capture began.
fn joined_late(mut talk: Talk, missed: usize) -> Talk {
    talk.messages.drain(..missed);
    talk.start_ms = 0;
    talk.shown(Shown::WithoutOpening)
}

const RESOLVER: &str = "192.168.10.1:53";

fn messengers() -> Vec<Talk> {
    let mut talks = vec![
        // AIM: the way to the authoriser, sign-on, a conversation; another on a port that is not AIM's.
        ordinary::dns(
            "192.168.10.23:40123",
            RESOLVER,
            900,
            "login.oscar.aol.com",
            Ipv4Addr::new(64, 12, 161, 153),
        ),
    ];
    let cookie = oscar::cookie(201);
    talks.extend([
        aim::authoriser(
            "192.168.10.23:51000",
            "64.12.161.153:5190",
            1_000,
            "carol9",
            "205.188.248.14:5190",
            &cookie,
        ),
        aim::session(
            "192.168.10.23:51001",
            "205.188.248.14:5190",
            1_700,
            "carol9",
            "erin5",
            &cookie,
        ),
    ]);
    let cookie = oscar::cookie(202);
    talks.extend([
        aim::authoriser(
            "192.168.10.31:51002",
            "64.12.24.33:80",
            21_000,
            "frank3",
            "205.188.248.21:8080",
            &cookie,
        ),
        aim::session(
            "192.168.10.31:51003",
            "205.188.248.21:8080",
            21_800,
            "frank3",
            "carol9",
            &cookie,
        ),
    ]);
    talks.extend(aim_peer::file_between(
        "aim",
        ("192.168.10.21:51010", "alice77"),
        ("192.168.10.22:51011", "bob42"),
        5_000,
        "agenda.zip",
        14_500,
    ));
    // ICQ: over OSCAR, a file, and the old protocol.
    let cookie = oscar::cookie(203);
    talks.extend([
        icq::authoriser(
            "192.168.10.24:51020",
            "205.188.153.98:5190",
            2_200,
            "1000001",
            "205.188.179.19:5190",
            &cookie,
        ),
        icq::session(
            "192.168.10.24:51021",
            "205.188.179.19:5190",
            2_900,
            "1000001",
            "1000002",
            &cookie,
        ),
        icq_udp::udp_v5(
            "192.168.10.32:1044",
            "205.188.252.24:4000",
            14_000,
            "1000005",
            "1000001",
        ),
        icq::direct_connection(
            "192.168.10.24:51022",
            "192.168.10.32:28123",
            33_000,
            "1000001",
            "1000005",
        ),
    ]);
    talks.extend(aim_peer::file_between(
        "icq",
        ("192.168.10.25:51030", "1000003"),
        ("192.168.10.26:51031", "1000004"),
        24_000,
        "photos.zip",
        21_000,
    ));
    // MSN: sign-on and chat, a file, a conversation that began earlier, and IPv6.
    let token = "1767323060.20013021.55";
    talks.extend([
        msn::notification(
            "192.168.10.27:51040",
            "207.46.107.25:1863",
            3_300,
            msn::ALICE,
            msn::BOB,
            Some(("207.46.26.167:8001", token)),
        ),
        msn::chat(
            "192.168.10.27:51041",
            "207.46.26.167:8001",
            6_100,
            msn::ALICE,
            msn::BOB,
            token,
        ),
        joined_late(
            msn::chat(
                "192.168.10.33:51042",
                "207.46.26.180:1863",
                0,
                msn::CAROL,
                msn::BOB,
                "1767322000.8.1",
            ),
            5,
        ),
        msn::notification(
            "[2001:db8:10::33]:51043",
            "[2001:db8:207::25]:1863",
            27_000,
            msn::CAROL,
            msn::ALICE,
            None,
        ),
    ]);
    talks.extend(msn_peer::file_between(
        "192.168.10.27:51050",
        "192.168.10.28:51051",
        36_000,
        ("plan.pdf", 16_000),
    ));
    // Yahoo!: sign-on and messages, a file, a mail server's port.
    talks.extend([
        yahoo::session(
            "192.168.10.29:51060",
            "216.155.193.140:5050",
            4_100,
            "carol_y",
            "dave_y",
        ),
        yahoo::session(
            "192.168.10.34:51061",
            "216.155.193.143:25",
            17_000,
            "erin_y",
            "carol_y",
        ),
    ]);
    talks.extend(yahoo_peer::file_between(
        ("192.168.10.29:51070", "carol_y"),
        ("192.168.10.30:51071", "dave_y"),
        29_000,
        ("budget.zip", 18_000),
    ));
    talks
}

/// Numbers the ordinary flows and spreads them over the minute and the machines.
#[derive(Default)]
struct Crowd(Vec<Talk>);

impl Crowd {
    fn add(&mut self, server: &str, talk: impl Fn(&str, &str, u64) -> Talk) {
        let n = self.0.len();
        let client = format!("192.168.10.{}:{}", 21 + n * 5 % 16, 42_000 + n);
        let start = 150 + (n as u64 * 7_919) % 55_000;
        self.0.push(talk(&client, server, start));
    }
}

fn everything_else() -> Vec<Talk> {
    let mut crowd = Crowd::default();
    for n in 0..16_u8 {
        let address = Ipv4Addr::new(198, 51, 100, 20 + n);
        let host = format!("www{n}.example.com");
        crowd.add(RESOLVER, |client, server, start| {
            ordinary::dns(client, server, start, &host, address)
        });
        crowd.add(&format!("{address}:80"), |client, server, start| {
            let page =
                "<html><p>Our history of instant messengers: AIM, ICQ, MSN and Yahoo!</p></html>";
            ordinary::web(client, server, start, &host, page)
        });
        crowd.add(&format!("{address}:443"), |client, server, start| {
            ordinary::tls(client, server, start, &host)
        });
    }
    for n in 0..3 {
        crowd.add(&format!("203.0.113.{}:25", 5 + n), ordinary::smtp);
        crowd.add(&format!("203.0.113.{}:110", 5 + n), ordinary::pop3);
        crowd.add(&format!("203.0.113.{}:143", 5 + n), ordinary::imap);
        crowd.add("192.168.10.1:123", ordinary::ntp);
    }
    crowd.add("203.0.113.20:21", ordinary::ftp);
    crowd.add("203.0.113.21:22", ordinary::ssh);
    crowd.add("203.0.113.22:6667", ordinary::irc);
    crowd.add("203.0.113.23:5222", ordinary::xmpp);
    crowd.add("192.168.10.2:4222", ordinary::nats);
    crowd.add("192.168.10.2:6379", ordinary::redis);
    crowd.add("192.168.10.3:5060", ordinary::sip);
    crowd.add("192.168.10.3:13500", ordinary::rtp);
    crowd.add("192.168.10.4:135", ordinary::dce_rpc);
    crowd.add("192.168.10.5:2055", ordinary::netflow);
    // Not messengers, although on messengers' ports.
    crowd.add("192.168.10.6:5190", |client, server, start| {
        ordinary::web(
            client,
            server,
            start,
            "wiki.example.com",
            "<html>wiki</html>",
        )
    });
    crowd.add("203.0.113.24:1863", |client, server, start| {
        ordinary::tls(client, server, start, "vpn.example.org")
    });
    crowd.add("203.0.113.25:5050", ordinary::ssh);
    crowd.add("198.51.100.90:80", |client, server, start| {
        ordinary::download(client, server, start, "mirror.example.org", 140_000)
    });
    crowd.add("198.51.100.91:8080", |client, server, start| {
        ordinary::download(client, server, start, "mirror.example.net", 90_000)
    });
    crowd.add("203.0.113.26:22", |client, server, start| {
        joined_late(ordinary::ssh(client, server, start), 6)
    });
    crowd.0
}
