//! Today's messengers in clear text: Gadu-Gadu, SIP/SIMPLE (RFC 3428, RFC 3856) and Matrix over plain HTTP; and telephones,
//! cameras and web pages beside them.

use super::bytes::{join, le32, noise};
use super::talk::{Scenario, Talk, Truth};

/// All of them.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, talks| Scenario { name, about, talks };
    vec![
        scenario(
            "gadu-gadu",
            "Clients of four ages sign on; messages, a file.",
            gadu_gadu(),
        ),
        scenario(
            "sip-simple",
            "People write to each other by SIP, over UDP and TCP, and tell who is there.",
            sip(),
        ),
        scenario(
            "msrp",
            "A session of messages that SIP set up: two people write, one sends a picture.",
            msrp(),
        ),
        scenario(
            "matrix-http",
            "A client signs on in plain HTTP and talks in a room; two servers pass it on.",
            matrix(),
        ),
        scenario(
            "baits-chat",
            "A telephone, an exchange and a camera that speak SIP, web pages that mention Matrix, records that look like Gadu-Gadu, lines that look like MSRP. No messenger here.",
            [telephones(), pages(), records(), letters()].concat(),
        ),
    ]
}

fn packet(kind: usize, body: &[u8]) -> Vec<u8> {
    join(&[&le32(kind), &le32(body.len()), body])
}

/// A hash, filled up with zeros.
fn hash(kind: u8, seed: u64) -> Vec<u8> {
    let length = if kind == 1 { 4 } else { 20 };
    join(&[&[kind], &noise(seed, length), &vec![0; 64 - length]])
}

fn gadu_gadu() -> Vec<Talk> {
    let (alice, bob) = (le32(1_000_001), le32(1_000_002));
    let available = [2, 0, 0, 0];
    let login_60 = join(&[&alice, &noise(1, 4), &available, &[0x20, 0, 0, 0], &[0; 15]]);
    let login_70 = join(&[&alice, &hash(1, 2), &available, &[0x2a, 0, 0, 0], &[0; 15]]);
    let login_80 = join(&[&alice, b"pl", &hash(2, 3), &available, &[0; 26]]);
    let login_105 = join(&[b"pl", &hash(2, 4), b"\0\x071000001", &[0; 24]]);
    let truth = || {
        Truth::confirmed("gadugadu", "gadu-gadu", "session")
            .account("1000001")
            .uses(&["sign-on"])
            .exposes(&["weak-sign-on"])
    };
    let open = |n: usize, port: u16, kind: usize, login: &[u8], answer: &[u8]| {
        Talk::tcp(
            &format!("10.0.7.{}:5300{n}", 60 + n),
            &format!("198.18.11.{}:{port}", n + 1),
            100 + 900 * n as u64,
        )
        .server(packet(1, &noise(n as u64 + 9, 4)))
        .client(packet(kind, login))
        .server(answer)
    };
    let old = |text: &[u8]| join(&[&bob, &[1, 0, 0, 0], &[8, 0, 0, 0], text, &[0]]);
    let html = b"<span>the menu is here</span>\0";
    let new = join(&[
        &bob,
        &[1, 0, 0, 0],
        &[8, 0, 0, 0],
        &le32(20 + html.len()),
        &le32(20 + html.len() + 17),
        html,
        b"the menu is here\0",
    ]);
    let mut name = b"menu.zip".to_vec();
    name.resize(255, 0);
    let file = join(&[
        &noise(20, 8),
        &alice,
        &bob,
        &[4, 0, 0, 0],
        &name,
        &le32(4096),
        &[0; 4],
        &noise(21, 20),
    ]);
    let received = join(&[
        &bob,
        &[2, 0, 0, 0],
        &le32(1_300_000_000),
        &[8, 0, 0, 0],
        b"thanks\0",
    ]);
    let signed_on = packet(0x35, &[1, 0, 0, 0]);
    let chat = |talk: Talk, said: Vec<u8>| {
        talk.client(packet(0x10, &join(&[&bob, &[3]])))
            .client(said)
            .server(packet(0x0a, &received))
            .client(packet(0x08, &[]))
            .is(truth()
                .peer("1000002")
                .uses(&["message", "contact-list"])
                .exposes(&["cleartext-messages"]))
    };
    vec![
        chat(
            open(0, 8074, 0x15, &login_60, &packet(0x03, &[])),
            packet(0x0b, &old(b"lunch?")),
        ),
        chat(
            open(1, 8074, 0x19, &login_70, &packet(0x03, &[])),
            packet(0x0b, &old(b"who is coming?")),
        ),
        chat(
            open(2, 8074, 0x31, &login_80, &signed_on),
            join(&[&packet(0x2d, &new), &packet(0x20, &file)]),
        ),
        open(3, 443, 0x83, &login_105, &packet(0x9d, &[0; 4]))
            .client(packet(0x63, &join(&[&available, &[0; 8]])))
            .is(truth().uses(&["presence"])),
    ]
}

/// A SIP request from alice to bob.
fn request(method: &str, transport: &str, number: usize, fields: &str, body: &str) -> String {
    format!(
        "{method} sip:bob@example.org SIP/2.0\r\n\
         Via: SIP/2.0/{transport} 10.0.9.11:5060;branch=z9hG4bK{number}\r\n\
         Max-Forwards: 70\r\n\
         From: \"Alice\" <sip:alice@example.com>;tag=9fxced76sl\r\n\
         To: <sip:bob@example.org>\r\n\
         Call-ID: {number}.{method}@10.0.9.11\r\n\
         CSeq: {number} {method}\r\n\
         {fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn answer(status: &str, number: usize, method: &str) -> String {
    format!(
        "SIP/2.0 {status}\r\n\
         From: <sip:alice@example.com>;tag=9fxced76sl\r\n\
         To: <sip:bob@example.org>;tag=8321234356\r\n\
         CSeq: {number} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

fn register(number: usize, fields: &str) -> String {
    format!(
        "REGISTER sip:example.com SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.9.11:5060;branch=z9hG4bK{number}\r\n\
         From: <sip:alice@example.com>;tag=a73kszlfl\r\n\
         To: <sip:alice@example.com>\r\n\
         Call-ID: 1j9FpLxk3uxtm8tn@10.0.9.11\r\n\
         CSeq: {number} REGISTER\r\n\
         Contact: <sip:alice@10.0.9.11:5060>\r\n\
         User-Agent: Example Phone 1.0\r\n\
         {fields}Content-Length: 0\r\n\r\n"
    )
}

const DIGEST: &str = "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"ea9c8e88df84f1cec4341ae6cbe5a359\", \
    uri=\"sip:example.com\", response=\"dfe56131d1958046689d83306477ecc7\"\r\n";
const PIDF: &str = "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\"><tuple id=\"t1\"/></presence>";

/// Bob's answer as a request of its own.
fn from_bob(method: &str, number: usize, fields: &str, body: &str) -> String {
    format!(
        "{method} sip:alice@10.0.9.11:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.18.50.1:5060;branch=z9hG4bKb{number}\r\n\
         From: <sip:bob@example.org>;tag=31415\r\n\
         To: <sip:alice@example.com>\r\n\
         Call-ID: {number}.{method}@198.18.50.1\r\n\
         CSeq: {number} {method}\r\n\
         {fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn sip() -> Vec<Talk> {
    let plain = "Content-Type: text/plain\r\n";
    let pidf = "Event: presence\r\nContent-Type: application/pidf+xml\r\n";
    let datagrams = Talk::udp("10.0.9.11:5070", "198.18.50.1:5060", 100)
        .client(register(1, ""))
        .server(answer("401 Unauthorized", 1, "REGISTER"))
        .client(register(2, DIGEST))
        .server(answer("200 OK", 2, "REGISTER"))
        .client(request("MESSAGE", "UDP", 3, plain, "Watson, come here."))
        .server(answer("200 OK", 3, "MESSAGE"))
        .server(from_bob("MESSAGE", 4, plain, "On my way."))
        .client(answer("200 OK", 4, "MESSAGE"));
    let stream = Talk::tcp("10.0.9.12:40100", "198.18.50.2:5060", 2000)
        .client(request(
            "SUBSCRIBE",
            "TCP",
            1,
            "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: 3600\r\n",
            "",
        ))
        .server(answer("200 OK", 1, "SUBSCRIBE"))
        .server(from_bob("NOTIFY", 2, pidf, PIDF))
        .client(answer("200 OK", 2, "NOTIFY"))
        .client("\r\n\r\n")
        .client(request("MESSAGE", "TCP", 3, plain, "You are there!"))
        .server(answer("200 OK", 3, "MESSAGE"));
    let truth = || {
        Truth::confirmed("sip", "sip", "simple")
            .account("alice@example.com")
            .peer("bob@example.org")
            .uses(&["message"])
            .exposes(&["cleartext-messages"])
    };
    vec![
        datagrams.is(truth()
            .software("Example Phone 1.0")
            .uses(&["sign-on"])
            .exposes(&["weak-sign-on"])),
        stream.is(truth().uses(&["presence"])),
    ]
}

/// A request of RFC 4975.
fn send(id: &str, from_alice: bool, fields: &str, body: &str) -> String {
    let alice = "msrp://10.0.9.31:40300/iau39soe2843z;tcp";
    let bob = "msrp://198.18.52.1:2855/9di4eae923wzd;tcp";
    let (from, to) = if from_alice {
        (alice, bob)
    } else {
        (bob, alice)
    };
    let body = match body {
        "" => String::new(),
        body => format!("\r\n{body}\r\n"),
    };
    format!(
        "MSRP {id} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{fields}{body}-------{id}$\r\n"
    )
}

fn msrp() -> Vec<Talk> {
    let taken = |id: &str| {
        format!(
            "MSRP {id} 200 OK\r\nTo-Path: msrp://10.0.9.31:40300/iau39soe2843z;tcp\r\n\
             From-Path: msrp://198.18.52.1:2855/9di4eae923wzd;tcp\r\n-------{id}$\r\n"
        )
    };
    let wrapped = |from: &str, to: &str, text: &str| {
        let body = format!(
            "From: <sip:{from}>\r\nTo: <sip:{to}>\r\n\r\nContent-Type: text/plain\r\n\r\n{text}"
        );
        let fields = format!(
            "Message-ID: {}\r\nByte-Range: 1-{1}/{1}\r\nContent-Type: message/cpim\r\n",
            text.len(),
            body.len()
        );
        (fields, body)
    };
    let (asked, question) = wrapped("alice@example.com", "bob@example.org", "lunch at noon?");
    let (answered, reply) = wrapped("bob@example.org", "alice@example.com", "yes");
    let plain = "Message-ID: 9\r\nByte-Range: 1-9/9\r\nContent-Type: text/plain\r\n";
    let talk = Talk::tcp("10.0.9.31:40300", "198.18.52.1:2855", 100)
        .client(send(
            "d93kswow",
            true,
            "Message-ID: 0\r\nByte-Range: 1-0/0\r\n",
            "",
        ))
        .server(taken("d93kswow"))
        .client(send("a786hjs2", true, &asked, &question))
        .server(taken("a786hjs2"))
        .server(send("dkei38sd", false, &answered, &reply))
        .client(taken("dkei38sd"))
        .client(send("x1y2z3w4", true, plain, "see you.\n"));
    let picture = "Message-ID: 1\r\nByte-Range: 1-600/600\r\nContent-Disposition: attachment; filename=\"menu.png\"\r\n\
        Content-Type: image/png\r\n\r\n";
    let head = send("f1f2f3f4", true, picture, "");
    let (head, end) = head.split_at(head.len() - "-------f1f2f3f4$\r\n".len());
    let file = Talk::tcp("10.0.9.31:40301", "198.18.52.1:2855", 1500)
        .client(join(&[
            head.as_bytes(),
            &noise(9, 600),
            b"\r\n",
            end.as_bytes(),
        ]))
        .server(taken("f1f2f3f4"));
    vec![
        talk.is(Truth::confirmed("sip", "msrp", "session")
            .account("alice@example.com")
            .peer("bob@example.org")
            .uses(&["message"])
            .exposes(&["cleartext-messages"])),
        file.is(Truth::confirmed("sip", "msrp", "session").uses(&["file-transfer"])),
    ]
}

/// Lines that begin nearly like MSRP.
fn letters() -> Vec<Talk> {
    [
        "MSRP is a protocol for instant messages.\r\nRFC 4975 says how.\r\n",
        "MSRP abcd SENDER\r\nTo-Path: msrp://192.0.2.1/a;tcp\r\n",
        "MSRP abcd SEND\r\nTo-Path: http://192.0.2.1/a\r\n",
    ]
    .into_iter()
    .enumerate()
    .map(|(n, text)| {
        let client = format!("10.0.9.{}:4040{n}", 35 + n);
        Talk::tcp(
            &client,
            &format!("198.18.52.{}:2855", 10 + n),
            30_000 + 300 * n as u64,
        )
        .client(text)
        .server("what?\r\n")
    })
    .collect()
}

fn ask(line: &str, fields: &str, body: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: chat.example.com\r\nUser-Agent: Example/1.0\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const TOKEN: &str = "Authorization: Bearer syt_YWxpY2U_notarealtokenatall_0aBcDe\r\n";

fn matrix() -> Vec<Talk> {
    let kind = "Content-Type: application/json\r\n";
    let room = "/_matrix/client/v3/rooms/!lunch%3Aexample.com/send";
    let said = |sender: &str, text: &str| {
        format!(
            r#"{{"type":"m.room.message","sender":"{sender}","event_id":"$1","content":{{"msgtype":"m.text","body":"{text}"}}}}"#
        )
    };
    let sync = format!(
        r#"{{"next_batch":"s72595_4483_1934","rooms":{{"join":{{"!lunch:example.com":{{"timeline":{{"events":[{}]}}}}}}}}}}"#,
        said("@bob:example.org", "I am")
    );
    let client = Talk::tcp("10.0.9.21:40200", "198.18.51.1:8008", 100)
        .client(ask("GET /_matrix/client/versions", "", ""))
        .server(json(r#"{"versions":["r0.6.1","v1.11"]}"#))
        .client(ask(
            "POST /_matrix/client/v3/login",
            kind,
            r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"@alice:example.com"},"password":"not-a-real-one"}"#,
        ))
        .server(json(
            r#"{"user_id":"@alice:example.com","access_token":"syt_YWxpY2U_notarealtokenatall_0aBcDe","device_id":"GHTYAJCE"}"#,
        ))
        .client(ask(
            &format!("PUT {room}/m.room.message/m1"),
            TOKEN,
            r#"{"msgtype":"m.text","body":"who is coming?"}"#,
        ))
        .server(json(r#"{"event_id":"$2"}"#))
        .client(ask("GET /_matrix/client/v3/sync?timeout=30000", TOKEN, ""))
        .server(json(&sync));
    let servers = Talk::tcp("198.18.51.1:40201", "198.18.51.2:8448", 2000)
        .client(ask(
            "PUT /_matrix/federation/v1/send/1700000000000",
            "Authorization: X-Matrix origin=\"example.com\",destination=\"example.org\",key=\"ed25519:1\",sig=\"AAAA\"\r\n",
            &format!(
                r#"{{"origin":"example.com","pdus":[{}]}}"#,
                said("@alice:example.com", "who is coming?")
            ),
        ))
        .server(json(r#"{"pdus":{"$1":{}}}"#));
    vec![
        client.is(Truth::confirmed("matrix", "matrix-http", "client")
            .account("@alice:example.com")
            .peer("@bob:example.org")
            .uses(&["sign-on", "message", "chat-room"])
            .exposes(&[
                "cleartext-password",
                "cleartext-cookie",
                "cleartext-messages",
            ])),
        servers.is(Truth::confirmed("matrix", "matrix-http", "server")
            .peer("@alice:example.com")
            .uses(&["message"])
            .exposes(&["cleartext-messages"])),
    ]
}

/// SIP that is no messenger.
fn telephones() -> Vec<Talk> {
    let sdp = "v=0\r\no=alice 2890844526 2890844526 IN IP4 10.0.9.31\r\ns=call\r\nc=IN IP4 10.0.9.31\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0\r\n";
    let kind = "Content-Type: application/sdp\r\n";
    let catalogue = "Content-Type: Application/MANSCDP+xml\r\n";
    let keepalive =
        "<?xml version=\"1.0\"?><Notify><CmdType>Keepalive</CmdType><SN>1</SN></Notify>";
    let phone = Talk::udp("10.0.9.31:5071", "198.18.52.1:5060", 100)
        .client(register(1, ""))
        .server(answer("401 Unauthorized", 1, "REGISTER"))
        .client(register(2, DIGEST))
        .server(answer("200 OK", 2, "REGISTER"))
        .client(request("INVITE", "UDP", 3, kind, sdp))
        .server(answer("180 Ringing", 3, "INVITE"))
        .server(answer("200 OK", 3, "INVITE"))
        .client(request("ACK", "UDP", 3, "", ""))
        .client(request("BYE", "UDP", 4, "", ""));
    let exchange = Talk::tcp("10.0.9.32:40300", "198.18.52.2:5060", 1500)
        .client(request(
            "OPTIONS",
            "TCP",
            1,
            "Accept: application/sdp\r\n",
            "",
        ))
        .server(answer("200 OK", 1, "OPTIONS"))
        .client(request(
            "SUBSCRIBE",
            "TCP",
            2,
            "Event: message-summary\r\nAccept: application/simple-message-summary\r\n",
            "",
        ))
        .server(from_bob(
            "NOTIFY",
            3,
            "Event: dialog\r\nContent-Type: application/dialog-info+xml\r\n",
            "<dialog-info/>",
        ));
    // GB/T 28181.
    let camera = Talk::udp("10.0.9.33:5072", "198.18.52.3:5060", 3000)
        .client(register(1, DIGEST))
        .server(answer("200 OK", 1, "REGISTER"))
        .client(request("MESSAGE", "UDP", 2, catalogue, keepalive))
        .server(answer("200 OK", 2, "MESSAGE"))
        .server(from_bob(
            "SUBSCRIBE",
            3,
            "Event: presence\r\nContent-Type: Application/MANSCDP+xml\r\n",
            "<Query><CmdType>MobilePosition</CmdType></Query>",
        ));
    // A short message of a mobile network.
    let operator = Talk::udp("10.0.9.34:5073", "198.18.52.4:5060", 4000)
        .client(request(
            "MESSAGE",
            "UDP",
            1,
            "Content-Type: application/vnd.3gpp.sms\r\n",
            "0123456789",
        ))
        .server(answer("202 Accepted", 1, "MESSAGE"));
    vec![phone, exchange, camera, operator]
}

/// Web pages that mention Matrix, and other servers' JSON.
fn pages() -> Vec<Talk> {
    [
        "GET /docs/_matrix/client/v3/sync",
        "GET /_matrix/media/v3/download/example.com/abc",
        "GET /_matrix/key/v2/server",
        "POST /api/v3/login",
        "GET /search?q=/_matrix/client/v3/login",
    ]
    .into_iter()
    .enumerate()
    .map(|(n, line)| {
        Talk::tcp(
            &format!("10.0.9.{}:40{n}00", 40 + n),
            &format!("198.18.53.{}:80", n + 1),
            6000 + 300 * n as u64,
        )
        .client(ask(
            line,
            "Content-Type: application/json\r\n",
            r#"{"type":"password","user":"alice"}"#,
        ))
        .server(json(
            r#"{"errcode":"E_NONE","user_id":"alice","access_token":"x"}"#,
        ))
    })
    .collect()
}

/// Types and lengths that others use as well.
fn records() -> Vec<Talk> {
    let alice = le32(1_000_001);
    let dirty = join(&[&alice, b"pl", &[2], &noise(30, 64), &[0; 30]]);
    let foreign = join(&[&alice, b"xx", &hash(2, 31), &[0; 30]]);
    let late = join(&[
        &alice,
        &noise(32, 4),
        &[2, 0, 0, 0],
        &[0x77, 0, 0, 0],
        &[0; 15],
    ]);
    [
        packet(0x31, &dirty),
        packet(0x31, &foreign),
        packet(0x15, &late),
        packet(0x19, &noise(33, 92)),
        packet(0x02, &noise(34, 4)),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, bytes)| {
        Talk::tcp(
            &format!("10.0.9.{}:41{n}00", 50 + n),
            &format!("198.18.54.{}:9100", n + 1),
            8000 + 300 * n as u64,
        )
        .server(packet(1, &noise(40 + n as u64, 4)))
        .client(bytes)
        .server(packet(3, &[]))
    })
    .collect()
}
