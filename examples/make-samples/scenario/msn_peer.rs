//! MSN between users: MSNFTP and the direct connection of MSNP2P.

use super::bytes::{base64, join, le16, le32, noise};
use super::msn::{ALICE, BOB, User, calls, msg};
use super::talk::{Scenario, Talk, Truth};
use std::net::Ipv4Addr;

/// All captures.
pub fn scenarios() -> Vec<Scenario> {
    vec![file_transfer(), direct()]
}

fn address(endpoint: &str) -> Ipv4Addr {
    let (address, _) = endpoint.split_once(':').expect("an address and a port");
    address.parse().expect("an IPv4 address")
}

/// A file of 0 to 65535 bytes in MSNFTP's blocks: `00`, size, at most 2045 bytes; `01 00 00` ends.
fn blocks(file: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = file
        .chunks(2045)
        .flat_map(|block| join(&[&[0], &le16(block.len()), block]))
        .collect();
    bytes.extend([1, 0, 0]);
    bytes
}

/// The switchboard with the invitation, and the connection that it leads to: the receiver dials the sender.
pub fn file_between(sender: &str, receiver: &str, start_ms: u64, file: (&str, usize)) -> Vec<Talk> {
    let here = address(sender);
    let invite = |lines: &str| {
        format!(
            "MIME-Version: 1.0\r\nContent-Type: text/x-msmsgsinvite; charset=UTF-8\r\n\r\n{lines}\r\n"
        )
    };
    let from = format!("{} {}", BOB.passport, BOB.nick);
    let talk = calls(
        Talk::tcp(sender, "207.46.26.168:1863", start_ms),
        ALICE,
        BOB,
        "1767323049.1187.8800",
    )
    .client(msg(
        "95 N",
        invite(&format!(
            "Application-Name: File Transfer\r\nApplication-GUID: {{5D3E02AB-6190-11d3-BBBB-00C04F795683}}\r\n\
             Invitation-Command: INVITE\r\nInvitation-Cookie: 33267\r\nApplication-File: {}\r\n\
             Application-FileSize: {}\r\nConnectivity: N\r\n",
            file.0, file.1
        )),
    ))
    .pause(1500)
    .server(msg(
        &from,
        invite(
            "Invitation-Command: ACCEPT\r\nInvitation-Cookie: 33267\r\nLaunch-Application: FALSE\r\n\
             Request-Data: IP-Address:\r\n",
        ),
    ))
    .client(msg(
        "96 N",
        invite(&format!(
            "Invitation-Command: ACCEPT\r\nInvitation-Cookie: 33267\r\nIP-Address: {here}\r\nPort: 6891\r\n\
             AuthCookie: 93301\r\nLaunch-Application: FALSE\r\nRequest-Data: IP-Address:\r\n"
        )),
    ))
    .pause(3000)
    .server(format!("BYE {}\r\n", BOB.passport))
    .client("OUT\r\n")
    .is(Truth::confirmed("msn", "msnp", "switchboard")
        .account(ALICE.passport)
        .peer(BOB.passport)
        .uses(&["file-transfer"]));
    let content = join(&[b"%PDF-1.3\n", &noise(start_ms, file.1 - 9)]);
    let transfer = Talk::tcp(receiver, &format!("{here}:6891"), start_ms + 2900)
        .client("VER MSNFTP\r\n")
        .server("VER MSNFTP\r\n")
        .client(format!("USR {} 93301\r\n", BOB.passport))
        .server(format!("FIL {}\r\n", file.1))
        .client("TFR\r\n")
        .server(blocks(&content))
        .client("BYE 16777989\r\n")
        .is(Truth::confirmed("msn", "msnftp", "peer")
            .account(BOB.passport)
            .peer(ALICE.passport)
            .uses(&["file-transfer"]));
    vec![talk, transfer]
}

fn file_transfer() -> Scenario {
    Scenario {
        name: "msn-file-transfer",
        about: "alice@example.com offers bob@example.org a file on the switchboard; he dials her machine on port 6891 and \
                fetches it (MSNFTP).",
        talks: file_between("10.0.2.5:50640", "10.0.2.6:50641", 100, ("plan.pdf", 9_000)),
    }
}

/// A P2P version 1 frame: 48 bytes of little-endian header, then data.
struct Chunk<'a> {
    session: usize,
    id: usize,
    offset: usize,
    total: usize,
    flags: usize,
    /// The message of `total` bytes that this acknowledges.
    answers: Option<usize>,
    data: &'a [u8],
}

impl Chunk<'_> {
    /// Message `answers` has come whole.
    const fn received(session: usize, id: usize, answers: usize, total: usize) -> Self {
        Self {
            session,
            id,
            offset: 0,
            total,
            flags: 2,
            answers: Some(answers),
            data: &[],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let wide = |n: usize| (n as u64).to_le_bytes();
        // A message has any number here; its acknowledgement repeats it after the message's id.
        let any = |id: usize| 0x0102_0304 + id;
        let (first, second, come) = match self.answers {
            Some(message) => (message, any(message), self.total),
            None => (any(self.id), 0, 0),
        };
        join(&[
            &le32(self.session),
            &le32(self.id),
            &wide(self.offset),
            &wide(self.total),
            &le32(self.data.len()),
            &le32(self.flags),
            &le32(first),
            &le32(second),
            &wide(come),
            self.data,
        ])
    }
}

/// A text of MSNSLP as messages on the switchboard, at most 1202 bytes in each; `head` begins the nth of them.
fn slp(head: impl Fn(usize) -> String, to: User, id: usize, text: &str) -> Vec<u8> {
    let text = join(&[text.as_bytes(), &[0]]);
    text.chunks(1202)
        .enumerate()
        .flat_map(|(number, data)| {
            let chunk = Chunk {
                session: 0,
                id,
                offset: number * 1202,
                total: text.len(),
                flags: 0,
                answers: None,
                data,
            };
            in_message(&head(number), to, &chunk)
        })
        .collect()
}

fn in_message(head: &str, to: User, chunk: &Chunk) -> Vec<u8> {
    let mime = format!(
        "MIME-Version: 1.0\r\nContent-Type: application/x-msnmsgrp2p\r\nP2P-Dest: {}\r\n\r\n",
        to.passport
    );
    // Application 0 is MSNSLP itself; this footer is big-endian.
    msg(head, join(&[mime.as_bytes(), &chunk.bytes(), &[0; 4]]))
}

fn slp_message(
    first: &str,
    to: User,
    from: User,
    sequence: usize,
    kind: &str,
    body: &str,
) -> String {
    format!(
        "{first}\r\nTo: <msnmsgr:{}>\r\nFrom: <msnmsgr:{}>\r\nVia: MSNSLP/1.0/TLP \
         ;branch={{33517CE4-02FC-4428-B6F4-39927229B722}}\r\nCSeq: {sequence} \r\nCall-ID: \
         {{9D79AE57-1BD5-444B-B14E-3FC9BB2B5D58}}\r\nMax-Forwards: 0\r\nContent-Type: {kind}\r\nContent-Length: \
         {}\r\n\r\n{body}",
        to.passport,
        from.passport,
        body.len() + 1
    )
}

fn direct() -> Scenario {
    let size = 6_000;
    let nonce = [
        0x6c, 0x1f, 0x4a, 0x2e, 0x99, 0x31, 0x42, 0x4f, 0x8b, 0x21, 0x0a, 0x5c, 0x77, 0xd3, 0x10,
        0xee,
    ];
    let nonce_text = "{2E4A1F6C-3199-4F42-8B21-0A5C77D310EE}";
    // File context: length of this block, version 3, size, type 1 (no preview), name in UTF-16. In base64 it makes the
    // invitation too long for one message.
    let mut context = join(&[&le32(638), &le32(3), &(size as u64).to_le_bytes(), &le32(1)]);
    context.extend("holiday.jpg".encode_utf16().flat_map(u16::to_le_bytes));
    context.resize(638, 0);
    let context = base64(&context);
    let kind = |name: &str| format!("application/x-msnmsgr-{name}");
    let invite = slp_message(
        &format!("INVITE MSNMSGR:{} MSNSLP/1.0", BOB.passport),
        BOB,
        ALICE,
        0,
        &kind("sessionreqbody"),
        &format!(
            "EUF-GUID: {{5D3E02AB-6190-11D3-BBBB-00C04F795683}}\r\nSessionID: 330021\r\nAppID: 2\r\nContext: \
             {context}\r\n\r\n"
        ),
    );
    let accept = slp_message(
        "MSNSLP/1.0 200 OK",
        ALICE,
        BOB,
        1,
        &kind("sessionreqbody"),
        "SessionID: 330021\r\n\r\n",
    );
    let transport = slp_message(
        &format!("INVITE MSNMSGR:{} MSNSLP/1.0", BOB.passport),
        BOB,
        ALICE,
        0,
        &kind("transreqbody"),
        "Bridges: TRUDPv1 TCPv1\r\nNetID: 0\r\nConn-Type: Direct-Connect\r\nUPnPNat: false\r\nICF: false\r\n\r\n",
    );
    let listening = slp_message(
        "MSNSLP/1.0 200 OK",
        ALICE,
        BOB,
        1,
        &kind("transrespbody"),
        &format!(
            "Bridge: TCPv1\r\nListening: true\r\nNonce: {nonce_text}\r\nIPv4Internal-Addrs: \
             10.0.2.6\r\nIPv4Internal-Port: 6902\r\n\r\n"
        ),
    );
    let from = format!("{} {}", BOB.passport, BOB.nick);
    // The NUL that ends a text belongs to the message.
    let received = |id, answers, text: &str| Chunk::received(0, id, answers, text.len() + 1);
    let mine = |first: usize| move |number| format!("{} D", first + number);
    let his = |_| from.clone();
    let board = calls(
        Talk::tcp("10.0.2.5:50650", "207.46.26.170:1863", 100),
        ALICE,
        BOB,
        "1767323050.77.4100",
    )
    .client(slp(mine(95), BOB, 700, &invite))
    .server("ACK 95\r\nACK 96\r\n")
    .server(in_message(&from, ALICE, &received(900, 700, &invite)))
    .pause(1300)
    .server(slp(his, ALICE, 901, &accept))
    .client(in_message("97 D", BOB, &received(701, 901, &accept)))
    .server("ACK 97\r\n")
    .client(slp(mine(98), BOB, 702, &transport))
    .server("ACK 98\r\n")
    .server(in_message(&from, ALICE, &received(902, 702, &transport)))
    .server(slp(his, ALICE, 903, &listening))
    .client(in_message("99 D", BOB, &received(703, 903, &listening)))
    .server("ACK 99\r\n")
    .pause(4000)
    .client("OUT\r\n")
    .is(Truth::confirmed("msn", "msnp", "switchboard")
        .account(ALICE.passport)
        .peer(BOB.passport)
        .uses(&["file-transfer"]));
    let framed = |bytes: &[u8]| join(&[&le32(bytes.len()), bytes]);
    // The header of a nonce has the flag 0100 and the nonce where acknowledgements are.
    let handshake = |id: usize| {
        let header = join(&[&le32(0), &le32(id), &[0; 20], &le32(0x100), &nonce]);
        framed(&header)
    };
    let content = join(&[b"\xff\xd8\xff\xe0", &noise(71, size - 4)]);
    let data: Vec<u8> = content
        .chunks(1352)
        .enumerate()
        .flat_map(|(number, data)| {
            let chunk = Chunk {
                session: 330_021,
                id: 705,
                offset: number * 1352,
                total: size,
                flags: 0x0100_0030,
                answers: None,
                data,
            };
            framed(&chunk.bytes())
        })
        .collect();
    let received = Chunk::received(330_021, 905, 705, size);
    let flow = Talk::tcp("10.0.2.5:50651", "10.0.2.6:6902", 3200)
        .client(framed(b"foo\0"))
        .client(handshake(704))
        .server(handshake(904))
        .client(data)
        .server(framed(&received.bytes()))
        .is(Truth::confirmed("msn", "msn-p2p", "peer")
            .account(ALICE.passport)
            .peer(BOB.passport)
            .uses(&["direct-connection"]));
    Scenario {
        name: "msn-p2p-direct",
        about: "alice@example.com sends bob@example.org a picture the newer way: MSNSLP on the switchboard, then a direct \
                connection between the two machines.",
        talks: vec![board, flow],
    }
}
