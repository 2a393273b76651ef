//! MSN through the HTTP gateway: one session over several connections.

use super::bytes::join;
use super::msn::{ALICE, BOB, MSN_6, msg, text, typing};
use super::talk::{Scenario, Talk, Truth};

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![gateway()]
}

const GATEWAY: &str = "207.46.110.48:80";

fn request(query: &str, commands: impl AsRef<[u8]>) -> Vec<u8> {
    let commands = commands.as_ref();
    let head = format!(
        "POST http://gateway.messenger.hotmail.com/gateway/gateway.dll?{query} HTTP/1.1\r\nAccept: */*\r\n\
         Accept-Language: en-us\r\nUser-Agent: MSMSGS\r\nHost: gateway.messenger.hotmail.com\r\n\
         Proxy-Connection: Keep-Alive\r\nConnection: Keep-Alive\r\nPragma: no-cache\r\n\
         Content-Type: application/x-msn-messenger\r\nContent-Length: {}\r\n\r\n",
        commands.len()
    );
    join(&[head.as_bytes(), commands])
}

fn response(session: &str, commands: impl AsRef<[u8]>) -> Vec<u8> {
    answer(session, "", commands.as_ref())
}

/// `ending` follows the gateway's address in the header that names the session.
fn answer(session: &str, ending: &str, commands: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nServer: Microsoft-IIS/5.0\r\nX-MSN-Messenger: SessionID={session}; \
         GW-IP=207.46.110.48{ending}\r\nContent-Type: application/x-msn-messenger\r\nContent-Length: {}\r\n\r\n",
        commands.len()
    );
    join(&[head.as_bytes(), commands])
}

fn gateway() -> Scenario {
    let (me, bob) = (ALICE.passport, BOB.passport);
    let truth = || Truth::confirmed("msn", "msn-http", "gateway");
    let first = Talk::tcp("10.0.2.12:50700", GATEWAY, 100)
        .client(request(
            "Action=open&Server=NS&IP=messenger.hotmail.com",
            "VER 1 MSNP9 MSNP8 CVR0\r\n",
        ))
        .server(response("1767323045.19131", "VER 1 MSNP9\r\n"))
        .client(request(
            "SessionID=1767323045.19131",
            format!("CVR 2 0x0409 winnt 5.1 i386 {MSN_6} MSMSGS {me}\r\nUSR 3 TWN I {me}\r\n"),
        ))
        .server(response(
            "1767323045.19132",
            "CVR 2 6.0.0602 6.0.0602 1.0.0000 http://download.example.com/setup http://www.example.com\r\n\
             USR 3 TWN S lc=1033,id=507,tw=40,fs=1,kpp=1,kv=5,ver=2.1.0173.1\r\n",
        ))
        .pause(400)
        .client(request(
            "SessionID=1767323045.19132",
            "USR 4 TWN S t=53*1not*a*real*ticket$$&p=5not*real*either$$\r\n",
        ))
        .server(response(
            "1767323045.19133",
            format!("USR 4 OK {me} Alice 1 0\r\n"),
        ))
        .is(truth()
            .account(me)
            .software(MSN_6)
            .uses(&["sign-on", "http"]));
    // The session goes on over another connection; only its id says whose it is.
    let second = Talk::tcp("10.0.2.12:50701", GATEWAY, 2600)
        .client(request(
            "SessionID=1767323045.19133",
            "CHG 6 NLN 268435508\r\n",
        ))
        .server(response(
            "1767323045.19134",
            format!("CHG 6 NLN 268435508\r\nILN 6 NLN {bob} Bob 268435508\r\n"),
        ))
        .pause(2000)
        .client(request("Action=poll&SessionID=1767323045.19134", ""))
        .server(response("1767323045.19135", ""))
        .client(request("SessionID=1767323045.19135", "XFR 8 SB\r\n"))
        .server(response(
            "1767323045.19136",
            "XFR 8 SB 207.46.26.172:1863 CKI 1767323061.5.9001\r\n",
        ))
        .is(truth().account(me).uses(&["http"]));
    let from = format!("{bob} Bob");
    let third = Talk::tcp("10.0.2.12:50702", GATEWAY, 6200)
        .client(request(
            "Action=open&Server=SB&IP=207.46.26.172",
            format!("USR 1 {me} 1767323061.5.9001\r\n"),
        ))
        .server(response("2204417.8001", format!("USR 1 OK {me} Alice\r\n")))
        .client(request(
            "SessionID=2204417.8001",
            format!("CAL 2 {bob}\r\n"),
        ))
        .server(response(
            "2204417.8002",
            format!("CAL 2 RINGING 1767323061\r\nJOI {from} 268435508\r\n"),
        ))
        .client(request(
            "SessionID=2204417.8002",
            join(&[&msg("3 U", typing(me)), &msg("4 N", text("lunch at noon?"))]),
        ))
        .server(response("2204417.8003", ""))
        .pause(2000)
        .client(request("Action=poll&SessionID=2204417.8003", ""))
        .server(response("2204417.8004", msg(&from, text("yes"))))
        .client(request("SessionID=2204417.8004", "OUT\r\n"))
        .server(answer("2204417.8005", "; Session=close", &[]))
        .is(truth().account(me).peer(bob).uses(&["message", "http"]));
    Scenario {
        name: "msn-http-gateway",
        about: "MSN over HTTP: the commands travel as bodies to gateway.dll, one session over several connections.",
        talks: vec![first, second, third],
    }
}
