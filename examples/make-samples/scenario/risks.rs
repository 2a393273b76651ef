//! What messengers expose beyond the everyday: shares, programs, invitations, attacks, servers of somebody's own.

use super::bytes::{be16, be32, join, le16, le32, noise};
use super::oscar::{self, Rendezvous};
use super::oscar_session::Session;
use super::talk::{Scenario, Talk, Truth};
use super::{aim_peer, ordinary};
use std::net::Ipv4Addr;

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![files(), invitations(), attacks(), servers()]
}

fn bos(name: &'static str, features: &[&'static str], risks: &[&'static str]) -> Truth {
    Truth::confirmed("aim", "oscar", "bos")
        .account(name)
        .peer("mallory9")
        .uses(features)
        .exposes(risks)
}

/// A program, music and a folder.
fn files() -> Scenario {
    let open = Rendezvous {
        kind: 0,
        cookie: oscar::icbm_cookie(401),
        capability: oscar::GET_FILE,
        listens: Some((Ipv4Addr::new(10, 0, 6, 5), 5191)),
        file: None,
    };
    let share = aim_peer::around("10.0.6.5:50700", 7000, "alice77", "mallory9", |link| {
        link.pause(500).rendezvous_to("mallory9", &open)
    });
    let mut talks = aim_peer::file_between(
        "aim",
        ("10.0.6.5:50701", "alice77"),
        ("10.0.6.6:50702", "bob42"),
        100,
        "holiday.jpg.exe",
        6_000,
    );
    talks.extend(aim_peer::file_between(
        "aim",
        ("10.0.6.7:50703", "carol9"),
        ("10.0.6.8:50704", "dave11"),
        20_000,
        "song.mp3",
        9_000,
    ));
    for talk in &mut talks {
        let song = talk.start_ms >= 20_000;
        if let Some(truth) = talk.truth.as_mut() {
            truth.risks.push("file-transfer");
            truth.risks.push(if song {
                "media-file"
            } else {
                "executable-file"
            });
        }
    }
    talks.push(share.is(bos("alice77", &["file-share"], &["file-share"])));
    Scenario {
        name: "risk-files",
        about: "alice77 sends bob42 a program with a picture's name, carol9 sends dave11 a song, and alice77 opens a folder to \
                mallory9.",
        talks,
    }
}

fn invite(application: &str, guid: &str, cookie: u32) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: text/x-msmsgsinvite; charset=UTF-8\r\n\r\n\
         Application-Name: {application}\r\nApplication-GUID: {{{guid}}}\r\nInvitation-Command: INVITE\r\n\
         Invitation-Cookie: {cookie}\r\nSession-ID: {{DE4F1B5C-7E06-11D3-BBBB-00C04F795683}}\r\n\r\n"
    )
}

fn message(line: &str, body: &str) -> String {
    format!("MSG {line} {}\r\n{body}", body.len())
}

/// Remote Assistance and `NetMeeting`, both asked for on a switchboard.
fn invitations() -> Scenario {
    let assistance = invite(
        "Remote Assistance",
        "56B994A7-380F-410B-9985-C809D78C1BDC",
        41_001,
    );
    let meeting = invite("NetMeeting", "44BBA842-CC51-11CF-AAFA-00AA00B6015C", 41_002);
    let board = Talk::tcp("10.0.6.9:50710", "207.46.26.170:1863", 100)
        .client("USR 1 alice@example.com 989048851.1851137130\r\n")
        .server("USR 1 OK alice@example.com Alice\r\n")
        .client("CAL 2 mallory@example.net\r\n")
        .server("CAL 2 RINGING 1139803431\r\n")
        .server("JOI mallory@example.net Mallory\r\n")
        .pause(400)
        .client(message("3 N", &assistance))
        .pause(900)
        .server(message("mallory@example.net Mallory", &meeting))
        .pause(900)
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "switchboard")
            .account("alice@example.com")
            .peer("mallory@example.net")
            .uses(&["remote-assistance", "application-sharing"])
            .exposes(&["remote-assistance", "application-sharing"]));
    Scenario {
        name: "risk-invitations",
        about: "alice@example.com asks mallory@example.net for Remote Assistance and is asked to share applications.",
        talks: vec![board],
    }
}

/// A plain message as a client sends it; `declared` is the length that its text block claims.
fn text(cookie: usize, text: &str, declared: usize) -> Vec<u8> {
    let block = join(&[
        &[5, 1, 0, 1, 1],
        &[1, 1],
        &be16(declared + 4),
        &be32(0),
        text.as_bytes(),
    ]);
    join(&[
        &oscar::icbm_cookie(cookie as u64),
        &be16(1),
        &oscar::short_text("mallory9"),
        &oscar::tlv(2, block),
    ])
}

/// A game that is none, a unit that contradicts itself, and more messages than anybody types.
fn attacks() -> Scenario {
    let game = join(&[
        &oscar::icbm_cookie(402),
        &be16(2),
        &oscar::short_text("mallory9"),
        &oscar::tlv(
            5,
            join(&[
                &be16(0),
                &oscar::icbm_cookie(402),
                &oscar::capability(oscar::GAMES),
                &oscar::tlv(0x0a, be16(1)),
                &oscar::tlv(0x0f, ""),
                &oscar::tlv(0x2711, vec![b'A'; 2048]),
            ]),
        ),
    ]);
    let sender = aim_peer::around("10.0.6.11:50720", 100, "eve33", "mallory9", |link| {
        let link = link.pause(300).ask(4, 6, &game).pause(200);
        let link = link.ask(4, 6, &text(403, "short", 400)).pause(200);
        (0..45).fold(link, |link, number| {
            link.pause(60).ask(4, 6, &text(500 + number, "spam", 4))
        })
    });
    // The server's port and two answers in one packet: somebody is online, and is called something long.
    let part = |uin: usize, command: usize, body: &[u8]| {
        let packet = join(&[
            &le16(5),
            &[0],
            &le32(0x5157_4954),
            &le16(command),
            &[0; 4],
            &le32(uin),
            &[0; 4],
            body,
        ]);
        join(&[&le16(packet.len()), &packet])
    };
    let named = join(&[&[0; 6], &le16(512), &[b'A'; 512]]);
    let parts = join(&[&[2], &part(0, 0x6e, &[0; 24]), &part(0, 0x03de, &named)]);
    let multi = part(0, 0x0212, &parts);
    let worm = Talk::udp("203.0.113.9:31337", "10.0.6.14:4000", 2500).server(&multi[2..]);
    let by_shape = Truth {
        confidence: "probable",
        ..Truth::confirmed("icq", "icq-udp", "session")
    };
    Scenario {
        name: "risk-attacks",
        about: "eve33 sends mallory9 a game request that overflows clients of 2002, a message whose text is longer than the \
                message, and 45 messages in three seconds. Another host sends what the Witty worm sent: an ICQ server's packet \
                whose name overflows a firewall's reader.",
        talks: vec![
            sender.is(bos(
                "eve33",
                &["games", "message"],
                &["exploit", "malformed", "flood", "cleartext-messages"],
            )),
            worm.is(by_shape.exposes(&["exploit"])),
        ],
    }
}

/// DNS leads to AOL's server, the session goes elsewhere; another's goes where DNS led.
fn servers() -> Scenario {
    let session = |client: &'static str, server: &'static str, start_ms, name: &'static str| {
        Session {
            client,
            server,
            start_ms,
            name,
            cookie: &oscar::cookie(start_ms),
            buddies: &["mallory9"],
            status: None,
        }
        .open()
        .idle(2000)
        .sign_off()
    };
    let login = Ipv4Addr::new(205, 188, 153, 121);
    let truth = |name, risks: &[&'static str]| {
        Truth::confirmed("aim", "oscar", "bos")
            .account(name)
            .exposes(risks)
    };
    Scenario {
        name: "risk-server",
        about: "alice77 resolves AOL's login host and signs on there; bob42 resolves it too and signs on to a server that no \
                name led to.",
        talks: vec![
            ordinary::dns(
                "10.0.6.12:41100",
                "10.0.6.1:53",
                100,
                "login.oscar.aol.com",
                login,
            ),
            session("10.0.6.12:50730", "205.188.153.121:5190", 600, "alice77")
                .is(truth("alice77", &[])),
            ordinary::dns(
                "10.0.6.13:41101",
                "10.0.6.1:53",
                200,
                "login.oscar.aol.com",
                login,
            ),
            session("10.0.6.13:50731", "198.51.100.77:5190", 900, "bob42")
                .is(truth("bob42", &["unexpected-server"])),
            Talk::tcp("10.0.6.13:50732", "198.51.100.78:443", 1500)
                .client(noise(91, 80))
                .server(noise(92, 300)),
        ],
    }
}
