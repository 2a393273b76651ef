//! Yahoo! Messenger: sign-on and messages of three generations, and over HTTP.

use super::bytes::join;
use super::talk::{Scenario, Talk, Truth};
use super::ymsg::{
    AUTH, COOKIE_T, COOKIE_Y, Header, KEEP_ALIVE, LIST, LOGIN, LOGOFF, LOGON, MESSAGE, SESSION,
    VERIFY, open_12, talks_12,
};

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![sign_on(), sign_on_16(), old_client(), over_http()]
}

/// A session of clients 6 to 7 with a conversation.
pub fn session(
    client: &str,
    server: &str,
    start_ms: u64,
    me: &'static str,
    peer: &'static str,
) -> Talk {
    let c = Header::client(12);
    let talk = open_12(Talk::tcp(client, server, start_ms), me, peer);
    talks_12(talk, me, peer)
        .pause(7000)
        .client(c.say(0x12, 0, &[]))
        .server(Header::server().say(0x12, 1, &[(143, "60"), (144, "13")]))
        .client(c.say(LOGOFF, 0, &[(0, me)]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]))
}

fn sign_on() -> Scenario {
    // Before signing on the client asks which server has room.
    let room = "COLO_CAPACITY=1\r\nCS_IP_ADDRESS=216.155.193.140\r\n";
    let capacity = Talk::tcp("10.0.3.5:50800", "216.155.193.131:80", 50)
        .client(
            "GET /capacity HTTP/1.1\r\nHost: vcs1.msg.yahoo.com\r\nUser-Agent: Mozilla/4.0\r\n\r\n",
        )
        .server(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{room}",
            room.len()
        ))
        .is(Truth::by_host("yahoo"));
    Scenario {
        name: "yahoo-signon-message",
        about: "carol_y asks for a server, signs on to Yahoo! Messenger (YMSG 12) and writes with dave_y, whose session on \
                port 23 is seen too.",
        talks: vec![
            capacity,
            session(
                "10.0.3.5:50801",
                "216.155.193.140:5050",
                600,
                "carol_y",
                "dave_y",
            ),
            session(
                "10.0.3.6:50802",
                "216.155.193.141:23",
                900,
                "dave_y",
                "carol_y",
            ),
        ],
    }
}

fn sign_on_16() -> Scenario {
    let (me, peer) = ("carol_y", "dave_y");
    let (c, s) = (Header::client(16), Header::server());
    let hello = c.say(
        MESSAGE,
        0x5a55_aa56,
        &[
            (1, me),
            (5, peer),
            (14, "are you there?"),
            (97, "1"),
            (63, ";0"),
            (64, "0"),
            (206, "0"),
        ],
    );
    let talk = Talk::tcp("10.0.3.7:50810", "216.155.193.150:5050", 100)
        .client(c.new_here().say(VERIFY, 0, &[]))
        .server(Header::server().new_here().say(VERIFY, 1, &[]))
        .client(c.new_here().say(AUTH, 0, &[(1, me)]))
        .server(s.say(
            AUTH,
            1,
            &[(1, me), (94, "notAreal-challenge.0123456789_--"), (13, "2")],
        ))
        .pause(900)
        .client(c.say(
            LOGIN,
            0x5a55_aa55,
            &[
                (1, me),
                (0, me),
                (277, "v=1&n=notarealcookie"),
                (278, "z=notarealcookieeither"),
                (307, "q83vEjRWeJCrze8SNFZ4kA--"),
                (244, "4194239"),
                (2, me),
                (2, "1"),
                (59, "0"),
                (98, "us"),
                (135, "9.0.0.2162"),
            ],
        ))
        .server(s.say(
            LIST,
            0,
            &[(3, me), (89, me), (59, COOKIE_Y), (59, COOKIE_T)],
        ))
        .server(s.say(
            0xf1,
            0,
            &[
                (302, "318"),
                (300, "318"),
                (65, "Friends"),
                (302, "319"),
                (300, "319"),
                (7, peer),
                (301, "319"),
                (303, "319"),
                (301, "318"),
                (303, "318"),
            ],
        ))
        .server(s.say(
            0xf0,
            1,
            &[
                (302, "315"),
                (300, "315"),
                (7, peer),
                (10, "0"),
                (13, "1"),
                (301, "315"),
                (303, "315"),
            ],
        ))
        .pause(1200)
        // Some clients write the magic word alone, the rest after it.
        .client(&hello[..4])
        .client(&hello[4..])
        .pause(1500)
        .server(s.say(
            MESSAGE,
            1,
            &[
                (4, peer),
                (5, me),
                (14, "yes"),
                (97, "1"),
                (429, "000000004A7C19E4"),
            ],
        ))
        .client(c.say(
            0xfb,
            0,
            &[(1, me), (5, peer), (302, "430"), (430, "000000004A7C19E4")],
        ))
        .pause(9000)
        .client(c.say(KEEP_ALIVE, 0, &[(0, me)]))
        .client(c.say(LOGOFF, 0, &[]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]));
    Scenario {
        name: "yahoo-v16-signon",
        about: "carol_y signs on with YMSG 16: a token fetched over HTTPS, cookies in clear, and a header cut after its \
                first four bytes.",
        talks: vec![talk],
    }
}

fn old_client() -> Scenario {
    let (me, peer) = ("dave_y", "carol_y");
    let (c, s) = (Header::client(9), Header::server());
    let talk = Talk::tcp("10.0.3.8:50820", "216.155.193.160:119", 100)
        .client(c.new_here().say(AUTH, 0, &[(1, me)]))
        .server(s.say(AUTH, 1, &[(1, me), (94, "e3Bq0kUxVNvFMsyzZ3mT2A--")]))
        .client(c.say(
            LOGIN,
            0,
            &[
                (0, me),
                (6, "vG4l0XxRlTn0a2k8V9hB0g--"),
                (96, "uQ1n7YvSmUo1b3l9W0iC1h--"),
                (2, "1"),
                (1, me),
            ],
        ))
        .server(s.say(
            LIST,
            0,
            &[
                (87, "Friends:carol_y\n"),
                (88, ""),
                (89, me),
                (59, COOKIE_Y),
                (59, COOKIE_T),
            ],
        ))
        .pause(1300)
        .server(s.say(
            MESSAGE,
            1,
            &[(5, me), (4, peer), (14, "still with that old client?")],
        ))
        .pause(1500)
        .client(c.say(
            MESSAGE,
            0x5a55_aa56,
            &[(1, me), (5, peer), (14, "it works")],
        ))
        .client(c.say(LOGOFF, 0, &[(0, me)]))
        .is(Truth::confirmed("yahoo", "ymsg", "session")
            .account(me)
            .peer(peer)
            .uses(&["sign-on", "message"]));
    Scenario {
        name: "yahoo-v9-signon",
        about: "An old client: YMSG 9 with its little-endian version, on a news server's port.",
        talks: vec![talk],
    }
}

fn over_http() -> Scenario {
    let (me, peer) = ("carol_y", "dave_y");
    let h = Header {
        lead: [9, 0, 0xc8, 0],
        session: SESSION,
    };
    let post = |packet: &[u8]| {
        let head = format!(
            "POST http://http.pager.yahoo.com/notify HTTP/1.0\r\nContent-length: {}\r\nUser-Agent: Mozilla/4.5 \
             [en]\r\nHost: http.pager.yahoo.com\r\nCookie: Y=v=1&n=notarealcookie; T=z=notarealcookieeither\r\n\r\n",
            packet.len()
        );
        join(&[head.as_bytes(), packet])
    };
    // The answer is a count of packets in four bytes, then the packets.
    let reply = |packets: &[Vec<u8>]| {
        let body = join(&[&[packets.len() as u8, 0, 0, 0], &packets.concat()]);
        let head = format!(
            "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\nContent-length: {}\r\n\r\n",
            body.len()
        );
        join(&[head.as_bytes(), &body])
    };
    let server = "216.155.193.190:80";
    let truth = || Truth::confirmed("yahoo", "ymsg-http", "gateway").account(me);
    let first = Talk::tcp("10.0.3.5:50860", server, 100)
        .client(post(&h.say(
            LOGON,
            12,
            &[(0, me), (1, me), (6, "notarealcookie")],
        )))
        .server(reply(&[
            h.say(LIST, 0, &[(87, "Friends:dave_y\n"), (88, ""), (89, me)]),
            h.say(LOGON, 1, &[(0, me), (1, me), (8, "0")]),
        ]))
        .is(truth().uses(&["http"]));
    let second = Talk::tcp("10.0.3.5:50861", server, 3000)
        .client(post(&h.say(
            MESSAGE,
            12,
            &[(0, me), (1, me), (5, peer), (14, "lunch at noon?")],
        )))
        .server(reply(&[h.say(
            MESSAGE,
            1,
            &[(5, me), (4, peer), (14, "yes, but late")],
        )]))
        .is(truth().peer(peer).uses(&["message", "http"]));
    Scenario {
        name: "yahoo-http",
        about: "carol_y uses Yahoo! Messenger through HTTP: each packet is a POST of its own.",
        talks: vec![first, second],
    }
}
