//! MSN Messenger: notification servers, switchboards, both ways to sign on.

use super::bytes::noise;
use super::talk::{Scenario, Talk, Truth};

/// MSN Messenger 6.0 as its CVR command says it.
pub const MSN_6: &str = "MSNMSGR 6.0.0602";

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![sign_on(), by_md5(), through_proxy()]
}

/// A MSG command: the last word of the line counts the payload, which no line end follows.
pub fn msg(head: &str, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = format!("MSG {head} {}\r\n", payload.len()).into_bytes();
    bytes.extend(payload);
    bytes
}

/// Chat text.
pub fn text(words: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=UTF-8\r\nX-MMS-IM-Format: FN=Tahoma; EF=; CO=0; CS=0; \
         PF=22\r\n\r\n{words}"
    )
}

/// Somebody types.
pub fn typing(who: &str) -> String {
    format!(
        "MIME-Version: 1.0\r\nContent-Type: text/x-msmsgscontrol\r\nTypingUser: {who}\r\n\r\n\r\n"
    )
}

/// What the server tells the client about its own user after sign-on.
fn profile() -> String {
    "MIME-Version: 1.0\r\nContent-Type: text/x-msmsgsprofile; charset=UTF-8\r\nLoginTime: 1767323045\r\n\
     EmailEnabled: 0\r\nMemberIdHigh: 84736\r\nMemberIdLow: -1434729391\r\nlang_preference: 1033\r\n\
     preferredEmail: \r\ncountry: US\r\nPostalCode: \r\nGender: \r\nKid: 0\r\nAge: \r\nBDayPre: \r\nBirthday: \r\n\
     Wallet: \r\nFlags: 1027\r\nsid: 507\r\nkv: 5\r\nMSPAuth: 5not-a-real-ticket$$\r\nClientIP: 192.0.2.44\r\n\
     ClientPort: 19910\r\n\r\n"
        .into()
}

/// A user and where they sit.
#[derive(Clone, Copy)]
pub struct User {
    pub passport: &'static str,
    pub nick: &'static str,
}

pub const ALICE: User = User {
    passport: "alice@example.com",
    nick: "Alice",
};
pub const BOB: User = User {
    passport: "bob@example.org",
    nick: "Bob",
};
pub const CAROL: User = User {
    passport: "carol@example.net",
    nick: "Carol%20at%20work",
};

/// The commands of a ticket sign-on (TWN), client and server in turn.
pub fn sign_on_by_ticket(talk: Talk, me: User) -> Talk {
    let User { passport, nick } = me;
    talk.client("VER 1 MSNP9 MSNP8 CVR0\r\n")
        .server("VER 1 MSNP9\r\n")
        .client(format!(
            "CVR 2 0x0409 winnt 5.1 i386 {MSN_6} MSMSGS {passport}\r\n"
        ))
        .server("CVR 2 6.0.0602 6.0.0602 1.0.0000 http://download.example.com/setup http://www.example.com\r\n")
        .client(format!("USR 3 TWN I {passport}\r\n"))
        .server(
            "USR 3 TWN S lc=1033,id=507,tw=40,fs=1,ru=http%3A%2F%2Fmessenger%2Eexample%2Ecom,ct=1767323045,kpp=1,\
             kv=5,ver=2.1.0173.1,tpf=43f8a4c8ed940c04e3740be46c4d1619\r\n",
        )
        .pause(400)
        .client("USR 4 TWN S t=53*1not*a*real*ticket$$&p=5not*real*either$$\r\n")
        .server(format!("USR 4 OK {passport} {nick} 1 0\r\n"))
        .server(msg("Hotmail Hotmail", profile()))
}

/// A session at a notification server: ticket sign-on, list, presence, a switchboard to come, keep-alives.
pub fn notification(
    client: &str,
    server: &str,
    start_ms: u64,
    me: User,
    peer: User,
    switchboard: Option<(&str, &str)>,
) -> Talk {
    let (name, nick) = (peer.passport, peer.nick);
    let mut talk = sign_on_by_ticket(Talk::tcp(client, server, start_ms), me)
        .client("SYN 5 0\r\n")
        .server(format!(
            "SYN 5 12 1 1\r\nGTC A\r\nBLP AL\r\nPRP MFN {}\r\nLSG 0 Friends 0\r\nLST {name} {nick} 11 0\r\n",
            me.nick
        ))
        .client("CHG 6 NLN 268435508\r\n")
        .server(format!(
            "CHG 6 NLN 268435508\r\nILN 6 NLN {name} {nick} 268435508\r\n"
        ))
        .server("CHL 0 15570131571988941333\r\n")
        .client("QRY 7 msmsgs@msnmsgr.com 32\r\n8f2f5a91b72102cd28355e9fc9000d6e")
        .server("QRY 7\r\n");
    if let Some((address, token)) = switchboard {
        talk = talk
            .pause(500)
            .client("XFR 8 SB\r\n")
            .server(format!("XFR 8 SB {address} CKI {token}\r\n"));
    }
    talk.pause(6000)
        .client("PNG\r\n")
        .server("QNG 50\r\n")
        .pause(2000)
        .server(format!("NLN BSY {name} {nick} 268435508\r\n"))
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "notification")
            .account(me.passport)
            .software(MSN_6)
            .uses(&["sign-on", "contact-list", "presence"]))
}

/// Opens a switchboard as the one who invites.
pub fn calls(talk: Talk, me: User, peer: User, token: &str) -> Talk {
    let session = token.split_once('.').map_or(token, |(session, _)| session);
    talk.client(format!("USR 93 {} {token}\r\n", me.passport))
        .server(format!("USR 93 OK {} {}\r\n", me.passport, me.nick))
        .client(format!("CAL 94 {}\r\n", peer.passport))
        .server(format!("CAL 94 RINGING {session}\r\n"))
        .pause(700)
        .server(format!("JOI {} {} 268435508\r\n", peer.passport, peer.nick))
}

/// A switchboard session of the one who invites: typing, text both ways.
pub fn chat(client: &str, server: &str, start_ms: u64, me: User, peer: User, token: &str) -> Talk {
    let from = format!("{} {}", peer.passport, peer.nick);
    calls(Talk::tcp(client, server, start_ms), me, peer, token)
        .client(msg("95 U", typing(me.passport)))
        .pause(900)
        .client(msg("96 N", text("lunch at noon?")))
        .pause(1400)
        .server(msg(&from, typing(peer.passport)))
        .pause(600)
        .server(msg(&from, text("yes.\r\nMSG me when you leave")))
        .client(msg("97 A", text("will do")))
        .server("ACK 97\r\n")
        .pause(800)
        .server(format!("BYE {}\r\n", peer.passport))
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "switchboard")
            .account(me.passport)
            .peer(peer.passport)
            .uses(&["message"]))
}

/// A call to a switchboard as the invited user gets it: in RNG, to be given back in ANS.
#[derive(Clone, Copy)]
struct Call {
    session: &'static str,
    token: &'static str,
    /// What follows a participant's name: dialects before 8 know no capabilities.
    capabilities: &'static str,
}

/// The same conversation as the invited user's machine sees it.
fn answers(client: &str, server: &str, start_ms: u64, me: User, peer: User, call: Call) -> Talk {
    let from = format!("{} {}", peer.passport, peer.nick);
    let Call {
        session,
        token,
        capabilities,
    } = call;
    Talk::tcp(client, server, start_ms)
        .client(format!("ANS 1 {} {token} {session}\r\n", me.passport))
        .server(format!("IRO 1 1 1 {from}{capabilities}\r\nANS 1 OK\r\n"))
        .pause(1600)
        .server(msg(&from, text("lunch at noon?")))
        .pause(800)
        .client(msg("2 U", typing(me.passport)))
        .client(msg("3 N", text("yes.\r\nMSG me when you leave")))
        .pause(400)
        .server(msg(&from, text("will do")))
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "switchboard")
            .account(me.passport)
            .peer(peer.passport)
            .uses(&["message"]))
}

fn sign_on() -> Scenario {
    let token = "1835953129.20013021.2623242";
    // The dispatch server only sends the client on.
    let dispatch = Talk::tcp("10.0.2.5:50600", "207.46.104.20:1863", 50)
        .client("VER 1 MSNP9 MSNP8 CVR0\r\n")
        .server("VER 1 MSNP9\r\n")
        .client(format!(
            "CVR 2 0x0409 winnt 5.1 i386 {MSN_6} MSMSGS alice@example.com\r\n"
        ))
        .server("CVR 2 6.0.0602 6.0.0602 1.0.0000 http://download.example.com/setup http://www.example.com\r\n")
        .client("USR 3 TWN I alice@example.com\r\n")
        .server("XFR 3 NS 207.46.107.25:1863 0 207.46.104.20:1863\r\n")
        .is(Truth::confirmed("msn", "msnp", "notification")
            .account(ALICE.passport)
            .software(MSN_6)
            .uses(&["sign-on"]));
    Scenario {
        name: "msn-signon-chat",
        about: "alice@example.com signs on to MSN with a ticket, is sent to another server, opens a switchboard and chats \
                with bob@example.org, whose side of it is seen on another port.",
        talks: vec![
            dispatch,
            notification(
                "10.0.2.5:50601",
                "207.46.107.25:1863",
                700,
                ALICE,
                BOB,
                Some(("207.46.26.167:1863", token)),
            ),
            chat(
                "10.0.2.5:50602",
                "207.46.26.167:1863",
                3600,
                ALICE,
                BOB,
                token,
            ),
            answers(
                "192.168.7.30:50610",
                "198.51.100.64:1864",
                4000,
                BOB,
                ALICE,
                Call {
                    session: "1835953129",
                    token: "1139803431.29427",
                    capabilities: " 268435508",
                },
            ),
        ],
    }
}

fn by_md5() -> Scenario {
    let software = "MSMSGS 4.6.0082";
    let switchboard = "207.46.106.90:1864";
    let call = Call {
        session: "17522047",
        token: "1139803477.30112",
        capabilities: "",
    };
    let talk = Talk::tcp("10.0.2.8:50620", "207.46.106.88:1863", 100)
        .client("VER 0 MSNP7 MSNP6 MSNP5 MSNP4 CVR0\r\n")
        .server("VER 0 MSNP7\r\n")
        .client("INF 1\r\n")
        .server("INF 1 MD5\r\n")
        .client("USR 2 MD5 I carol@example.net\r\n")
        .server("USR 2 MD5 S 989048851.1851137130\r\n")
        .client("USR 3 MD5 S c4b26d6e3c1e077ea7f72ce010416663\r\n")
        .server("USR 3 OK carol@example.net Carol%20at%20work\r\n")
        .server(msg("Hotmail Hotmail", profile()))
        .client("SYN 4 8\r\n")
        .server("SYN 4 9\r\nGTC 4 9 A\r\nBLP 4 9 AL\r\nLST 4 FL 9 1 1 bob@example.org Bob\r\nLST 4 RL 9 0 0\r\n")
        .client("CHG 5 NLN\r\n")
        .server("CHG 5 NLN\r\nILN 5 NLN bob@example.org Bob\r\n")
        .client(format!("CVR 6 0x0409 win 4.10 i386 {software} MSMSGS\r\n"))
        .server("CVR 6 4.6.0082 4.6.0082 1.0.0863 http://download.example.com/setup http://www.example.com\r\n")
        .pause(1200)
        .server(format!(
            "RNG {} {switchboard} CKI {} {} {}\r\n",
            call.session, call.token, BOB.passport, BOB.nick
        ))
        .pause(9000)
        .client("PNG\r\n")
        .server("QNG\r\n")
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "notification")
            .account(CAROL.passport)
            .peer(BOB.passport)
            .software(software)
            .uses(&["sign-on"]));
    let chat = answers("10.0.2.8:50621", switchboard, 2100, CAROL, BOB, call);
    Scenario {
        name: "msn-md5",
        about: "carol@example.net signs on with an old MSN client: dialect 7, the password hashed with the server's seed. \
                bob@example.org calls her to a switchboard on a port of its own.",
        talks: vec![talk, chat],
    }
}

fn through_proxy() -> Scenario {
    let open = Talk::tcp("10.0.2.9:50630", "10.0.2.1:3128", 100)
        .client(
            "CONNECT messenger.hotmail.com:1863 HTTP/1.0\r\nUser-Agent: MSMSGS\r\nHost: messenger.hotmail.com\r\n\r\n",
        )
        .server("HTTP/1.0 200 Connection established\r\n\r\n");
    let inside = sign_on_by_ticket(open, ALICE)
        .client("CHG 5 NLN 0\r\n")
        .server("CHG 5 NLN 0\r\n")
        .pause(5000)
        .client("PNG\r\n")
        .server("QNG 48\r\n")
        .client("OUT\r\n")
        .is(Truth::confirmed("msn", "msnp", "notification")
            .account(ALICE.passport)
            .software(MSN_6)
            .uses(&["sign-on"]));
    // The proxy serves others too.
    let other = Talk::tcp("10.0.2.10:50631", "10.0.2.1:3128", 300)
        .client("CONNECT www.example.com:443 HTTP/1.1\r\nHost: www.example.com:443\r\n\r\n")
        .server("HTTP/1.1 200 Connection established\r\n\r\n")
        .client(noise(61, 300))
        .server(noise(62, 2400));
    Scenario {
        name: "msn-http-connect",
        about: "MSN inside an HTTP proxy's CONNECT tunnel, beside somebody else's tunnel.",
        talks: vec![inside, other],
    }
}
