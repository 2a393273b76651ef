//! AIM: sign-on, messages, TOC.

use super::bytes::{be16, hex, join, noise};
use super::oscar::{self, Link, capability};
use super::oscar_session::{Login, Session};
use super::talk::{Scenario, Side, Talk, Truth};

/// What the client of 2003 says about itself.
pub const AIM_5: &str = "AOL Instant Messenger, version 5.1.3036/WIN32";
const AIM_3: &str = "AOL Instant Messenger (SM), version 3.5.1670/WIN32";

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![sign_on(), on_443(), xor_sign_on(), toc()]
}

/// The authoriser's connection: challenge, digest, the way to the next server.
pub fn authoriser(
    client: &str,
    server: &str,
    start_ms: u64,
    name: &'static str,
    next: &str,
    cookie: &[u8],
) -> Talk {
    Login {
        client,
        authoriser: server,
        start_ms,
        name,
        password: "",
        software: AIM_5,
        next,
        cookie,
    }
    .by_md5()
    .is(Truth::confirmed("aim", "oscar", "authoriser")
        .account(name)
        .software(AIM_5)
        .uses(&["sign-on"]))
}

/// A session with a conversation.
pub fn session(
    client: &str,
    server: &str,
    start_ms: u64,
    name: &'static str,
    peer: &'static str,
    cookie: &[u8],
) -> Talk {
    Session {
        client,
        server,
        start_ms,
        name,
        cookie,
        buddies: &[peer, "carol9"],
        status: None,
    }
    .open()
    .pause(900)
    .typing_to(peer, 2)
    .message_to(1, peer, "lunch at noon?")
    .pause(1500)
    .typing_from(peer, 2)
    .message_from(2, peer, "<HTML><BODY>yes, the usual place</BODY></HTML>")
    .typing_from(peer, 0)
    .pause(700)
    .message_to(3, peer, "good. bring the minutes of the meeting")
    .message_from(4, peer, "will do")
    .idle(6000)
    .sign_off()
    .is(Truth::confirmed("aim", "oscar", "bos")
        .account(name)
        .peer(peer)
        .uses(&["sign-on", "message"]))
}

fn sign_on() -> Scenario {
    let cookie = oscar::cookie(11);
    Scenario {
        name: "aim-signon-message",
        about: "alice77 signs on to AIM with the MD5 challenge, is sent on with a cookie, writes with bob42 and leaves.",
        talks: vec![
            authoriser(
                "10.0.0.5:50210",
                "64.12.161.153:5190",
                100,
                "alice77",
                "205.188.7.9:5190",
                &cookie,
            ),
            session(
                "10.0.0.5:50211",
                "205.188.7.9:5190",
                900,
                "alice77",
                "bob42",
                &cookie,
            ),
        ],
    }
}

fn on_443() -> Scenario {
    let (first, second) = (oscar::cookie(12), oscar::cookie(13));
    // The basic service sends the client to another server for buddy icons (family 0010).
    let link = Session {
        client: "10.0.0.7:50311",
        server: "205.188.13.12:443",
        start_ms: 700,
        name: "Carol9",
        cookie: &first,
        buddies: &["alice77"],
        status: None,
    }
    .open()
    .message_to(21, "alice77", "on the other port today")
    .pause(1200)
    .message_from(22, "alice77", "does it matter?")
    .ask(1, 4, &be16(0x10));
    let redirect = join(&[
        &oscar::tlv(0x0d, be16(0x10)),
        &oscar::tlv(5, "64.12.25.91:443"),
        &oscar::tlv(6, &second),
    ]);
    let basic = link
        .answer(1, 5, &redirect)
        .idle(4000)
        .sign_off()
        .is(Truth::confirmed("aim", "oscar", "bos")
            .account("carol9")
            .peer("alice77")
            .uses(&["sign-on", "message"]));
    let hash = noise(31, 16);
    let icon = join(&[b"GIF89a", &noise(32, 2500)]);
    let reply = join(&[
        &oscar::short_text("alice77"),
        &[0, 1, 1, 16],
        &hash,
        &be16(icon.len()),
        &icon,
    ]);
    let icons = Link::new(Talk::tcp("10.0.0.7:50312", "64.12.25.91:443", 4200))
        .hello(&oscar::tlv(6, &second))
        .tell(1, 3, &[0, 1, 0, 0x10])
        .ask(1, 0x17, &[0, 1, 0, 4, 0, 0x10, 0, 1])
        .answer(1, 0x18, &[0, 1, 0, 4, 0, 0x10, 0, 1])
        .ask(
            1,
            2,
            &[
                0, 1, 0, 4, 1, 0x10, 7, 0x39, 0, 0x10, 0, 1, 1, 0x10, 7, 0x39,
            ],
        )
        .ask(
            0x10,
            4,
            &join(&[&oscar::short_text("alice77"), &[1, 0, 1, 1, 16], &hash]),
        )
        .answer(0x10, 5, &reply)
        .sign_off()
        .is(Truth::confirmed("aim", "oscar", "service").account("carol9"));
    Scenario {
        name: "aim-port-443",
        about: "AIM in clear on port 443: authoriser, basic service, and a third server for buddy icons.",
        talks: vec![
            authoriser(
                "10.0.0.7:50310",
                "64.12.25.50:443",
                50,
                "carol9",
                "205.188.13.12",
                &first,
            ),
            basic,
            icons,
        ],
    }
}

fn xor_sign_on() -> Scenario {
    let cookie = oscar::cookie(15);
    let game = join(&[
        &be16(0),
        &oscar::icbm_cookie(41),
        &capability(0x134a),
        &oscar::tlv(0x0a, [0, 1]),
        &oscar::tlv(0x0f, []),
        &oscar::tlv(0x2711, b"checkers:1.0\0\0\0\0"),
    ]);
    let invite = join(&[
        &oscar::icbm_cookie(41),
        &[0, 2],
        &oscar::short_text("bob42"),
        &oscar::tlv(5, game),
    ]);
    let session = Session {
        client: "10.0.0.5:50241",
        server: "205.188.3.21:5191",
        start_ms: 800,
        name: "alice77",
        cookie: &cookie,
        buddies: &["bob42"],
        status: None,
    }
    .open()
    .message_to(42, "bob42", "one game before work?")
    .ask(4, 6, &invite)
    .pause(1800)
    .message_from(43, "bob42", "later")
    .sign_off()
    .is(Truth::confirmed("aim", "oscar", "bos")
        .account("alice77")
        .peer("bob42")
        .uses(&["sign-on", "message", "games"]));
    Scenario {
        name: "aim-xor-signon",
        about: "An old AIM client signs on with the password under a fixed XOR key; the redirect comes on channel 4 and \
                names another port.",
        talks: vec![
            Login {
                client: "10.0.0.5:50240",
                authoriser: "64.12.161.185:5190",
                start_ms: 100,
                name: "alice77",
                password: "not-a-real-one",
                software: AIM_3,
                next: "205.188.3.21:5191",
                cookie: &cookie,
            }
            .by_roast()
            .is(Truth::confirmed("aim", "oscar", "authoriser")
                .account("alice77")
                .software(AIM_3)
                .uses(&["sign-on"])),
            session,
        ],
    }
}

fn toc() -> Scenario {
    // The password is XORed with "Tic/Toc" and written in hexadecimal.
    let key = b"Tic/Toc".iter().cycle();
    let xored: Vec<u8> = b"password"
        .iter()
        .zip(key)
        .map(|(byte, key)| byte ^ key)
        .collect();
    let roasted = hex(&xored);
    let link =
        Link::new(Talk::tcp("10.0.0.8:50250", "198.51.100.98:9898", 100).client("FLAPON\r\n\r\n"));
    let command = |text: &str| join(&[text.as_bytes(), &[0]]);
    let talk = link
        .flap(Side::Server, 1, &[0, 0, 0, 1])
        .flap(Side::Client, 1, &join(&[&[0, 0, 0, 1], &oscar::tlv(1, "carol9")]))
        .flap(
            Side::Client,
            2,
            &command(&format!(
                "toc_signon login.oscar.aol.com 5190 carol9 0x{roasted} english \"TIC:toc-client 1.2\""
            )),
        )
        .flap(Side::Server, 2, b"SIGN_ON:TOC1.0")
        .flap(Side::Server, 2, b"CONFIG:m 1\ng Buddies\nb alice77\nb bob42\n")
        .flap(Side::Client, 2, &command("toc_add_buddy alice77 bob42"))
        .flap(Side::Client, 2, &command("toc_init_done"))
        .flap(Side::Server, 2, b"NICK:Carol9")
        .flap(Side::Server, 2, b"UPDATE_BUDDY:alice77:T:0:1767323000:0: O ")
        .pause(900)
        .flap(Side::Client, 2, &command("toc_send_im alice77 \"lunch at noon?\""))
        .pause(1500)
        .flap(Side::Server, 2, b"IM_IN:alice77:F:not today, sorry")
        .flap(Side::Client, 2, &command("toc_send_im alice77 \"tomorrow then\""))
        .idle(5000)
        .talk
        .is(Truth::confirmed("aim", "toc", "session")
            .account("carol9")
            .peer("alice77")
            .software("TIC:toc-client 1.2")
            .uses(&["sign-on", "message"]));
    Scenario {
        name: "aim-toc",
        about: "carol9 uses AIM through TOC, the text protocol in the same frames, on port 9898.",
        talks: vec![talk],
    }
}
