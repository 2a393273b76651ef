//! SOCKS proxies: 4, 4a and 5 with messengers inside, and with everything else.
//!
//! SOCKS 4 and 4a after the papers of their authors, SOCKS 5 after RFC 1928, user name and password after RFC 1929.

use super::aim;
use super::bytes::{be16, join};
use super::msn::{self, ALICE, BOB};
use super::ordinary;
use super::oscar;
use super::talk::{Message, Scenario, Shown, Side, Talk};
use super::yahoo;
use std::net::Ipv4Addr;

const PROXY: &str = "10.0.5.1:1080";

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![version_5(), version_4(), baits()]
}

/// What is said before the conversation begins.
pub type Opening = Vec<(Side, Vec<u8>)>;

/// The same conversation, behind an opening.
pub fn behind(opening: Opening, mut talk: Talk) -> Talk {
    let opening = opening.into_iter().map(|(from, bytes)| Message {
        from,
        bytes,
        after_ms: 0,
    });
    talk.messages.splice(0..0, opening);
    talk
}

/// The port of the proxy's own connection to the server, and its address.
fn bound() -> Vec<u8> {
    join(&[&[1, 198, 51, 100, 7], &be16(40_021)])
}

fn target_5(host: &str, port: usize) -> Vec<u8> {
    let address = match host.parse::<Ipv4Addr>() {
        Ok(ip) => join(&[&[1], &ip.octets()]),
        Err(_) => join(&[
            &[3, u8::try_from(host.len()).expect("a host name")],
            host.as_bytes(),
        ]),
    };
    join(&[&address, &be16(port)])
}

/// Greeting, perhaps a password, request, reply.
pub fn opening_5(host: &str, port: usize, user: Option<(&str, &str)>, reply: u8) -> Opening {
    let mut opening = vec![];
    if let Some((name, password)) = user {
        let len = |text: &str| u8::try_from(text.len()).expect("a short text");
        let sign_on = join(&[
            &[1, len(name)],
            name.as_bytes(),
            &[len(password)],
            password.as_bytes(),
        ]);
        opening.push((Side::Client, vec![5, 2, 0, 2]));
        opening.push((Side::Server, vec![5, 2]));
        opening.push((Side::Client, sign_on));
        opening.push((Side::Server, vec![1, 0]));
    } else {
        opening.push((Side::Client, vec![5, 1, 0]));
        opening.push((Side::Server, vec![5, 0]));
    }
    let request = join(&[&[5, 1, 0], &target_5(host, port)]);
    opening.push((Side::Client, request));
    opening.push((Side::Server, join(&[&[5, reply, 0], &bound()])));
    opening
}

/// Request and reply; with a name it is version 4a.
pub fn opening_4(host: &str, port: usize, user: &str) -> Opening {
    let request = match host.parse::<Ipv4Addr>() {
        Ok(ip) => join(&[&[4, 1], &be16(port), &ip.octets(), user.as_bytes(), &[0]]),
        Err(_) => join(&[
            &[4, 1],
            &be16(port),
            &[0, 0, 0, 1],
            user.as_bytes(),
            &[0],
            host.as_bytes(),
            &[0],
        ]),
    };
    vec![
        (Side::Client, request),
        (Side::Server, vec![0, 0x5a, 0, 0, 0, 0, 0, 0]),
    ]
}

fn version_5() -> Scenario {
    let cookie = oscar::cookie(51);
    let user = Some(("proxyuser", "not a real password"));
    let authoriser = aim::authoriser(
        "10.0.5.5:51100",
        PROXY,
        100,
        "alice77",
        "205.188.7.9:5190",
        &cookie,
    );
    let session = aim::session("10.0.5.5:51101", PROXY, 1200, "alice77", "bob42", &cookie);
    let chat = msn::chat(
        "10.0.5.6:51110",
        PROXY,
        2000,
        ALICE,
        BOB,
        "1767323061.5.9001",
    );
    // The capture begins while the proxy is asked.
    let joined = yahoo::session("10.0.5.7:51120", PROXY, 2500, "carol_y", "dave_y")
        .shown(Shown::WithoutOpening);
    Scenario {
        name: "socks5",
        about: "AIM, MSN and Yahoo! Messenger through a SOCKS 5 proxy: with a password, to a name and to an address, and \
                one without its TCP handshake.",
        talks: vec![
            behind(opening_5("login.oscar.aol.com", 5190, user, 0), authoriser),
            behind(opening_5("205.188.7.9", 5190, user, 0), session),
            behind(opening_5("207.46.26.172", 1863, None, 0), chat),
            behind(opening_5("scs.msg.yahoo.com", 5050, None, 0), joined),
        ],
    }
}

fn version_4() -> Scenario {
    let cookie = oscar::cookie(52);
    let session = aim::session("10.0.5.8:51130", PROXY, 100, "alice77", "bob42", &cookie);
    let notification = msn::notification("10.0.5.9:51140", PROXY, 300, ALICE, BOB, None);
    let yahoo = yahoo::session("10.0.5.10:51150", PROXY, 500, "carol_y", "dave_y");
    Scenario {
        name: "socks4",
        about: "AIM and Yahoo! Messenger through SOCKS 4, which knows addresses only, and MSN through SOCKS 4a.",
        talks: vec![
            behind(opening_4("205.188.7.9", 5190, "alice"), session),
            behind(opening_4("messenger.hotmail.com", 1863, ""), notification),
            behind(opening_4("216.155.193.140", 5050, ""), yahoo),
        ],
    }
}

fn baits() -> Scenario {
    let web = |port: u16, start_ms| {
        let client = format!("10.0.5.11:{port}");
        ordinary::web(&client, PROXY, start_ms, "www.example.com", "<p>hello</p>")
    };
    let shell = ordinary::ssh("10.0.5.12:51170", PROXY, 600);
    let sealed = ordinary::tls("10.0.5.12:51171", PROXY, 900, "www.example.com");
    // The proxy does not let AIM out; the client gives up.
    let mut refused = Talk::tcp("10.0.5.13:51180", PROXY, 1200);
    refused = behind(opening_5("login.oscar.aol.com", 5190, None, 2), refused);
    let mut nobody = Talk::tcp("10.0.5.13:51181", PROXY, 1500);
    nobody = nobody.client([5, 1, 1]).server([5, 0xff]);
    // Begins like SOCKS, and is something else.
    let other = Talk::tcp("10.0.5.14:51190", "10.0.5.2:4000", 1800)
        .client([4, 1, 0, 80, 10, 0, 0, 1, 0, 9, 9, 9])
        .server([0, 0x5a, 1, 2, 3, 4, 5, 6, 7, 8]);
    let short = Talk::tcp("10.0.5.14:51191", "10.0.5.2:4001", 2100)
        .client([5, 1, 0])
        .server(*b"\x05\x01\x00 what do you want?");
    Scenario {
        name: "bait-socks",
        about: "SOCKS proxies with a web page, a shell and TLS inside, a request for AIM that is refused, and streams that \
                begin like SOCKS.",
        talks: vec![
            behind(opening_5("www.example.com", 80, None, 0), web(51_160, 100)),
            behind(opening_4("198.51.100.80", 80, ""), web(51_161, 300)),
            behind(opening_4("shell.example.com", 22, "carol"), shell),
            behind(opening_5("198.51.100.81", 443, None, 0), sealed),
            refused,
            nobody,
            other,
            short,
        ],
    }
}
