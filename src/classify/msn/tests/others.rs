//! What is not MSN.

use super::{accounts, is_nothing};
use crate::classify::msn::{CAM_PEER, DETECTORS, FTP, P2P, SWITCHBOARD, claim};
use crate::classify::{Events, Probe, ProbeInput, Start};
use crate::model::Direction::{ToClient, ToServer};
use crate::model::Format;

#[test]
fn other_protocols_are_not_msn() {
    for text in [
        "USER alice\r\nPASS x\r\n",
        "VRFY x\r\n",
        "MSG hello\r\n",
        "VER 1.0\r\n",
        "VER 1\r\nVER 2\r\n",
        // NATS
        "INFO {\"server_id\":\"x\"}\r\nPING\r\n+OK\r\n",
        "MSG chat.room 9 11\r\nHello World\r\nMSG chat.room 9 2\r\nok\r\nPING\r\n",
        "MSG alice@example.com 9 40\r\nMIME-Version: 1.0 is what mail begins with\r\n",
        "PUB chat 5\r\nhello\r\nSUB chat 1\r\n",
        // SIP, HTTP, RTSP
        "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1\r\n\r\n",
        "ACK sip:bob@example.com SIP/2.0\r\n\r\n",
        "BYE sip:bob@example.com SIP/2.0\r\nCSeq: 1 BYE\r\n\r\n",
        "POST /gateway/gateway.dll HTTP/1.1\r\nContent-Length: 19\r\n\r\nVER 1 MSN18 CVR0\r\n",
        // FTP, SMTP, NNTP, POP3, IRC: commands and replies
        "220 ready\r\n331 send it\r\n230 in\r\n",
        "221 7\r\n500 8\r\n211 12\r\n",
        "EHLO example.com\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n",
        "MODE READER\r\nGROUP misc.test\r\n211 5 1 5 misc.test\r\nXHDR 1\r\n",
        "USER alice\r\nLIST\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n",
        "NICK alice\r\nUSER alice 0 * :Alice\r\nJOIN #room\r\nPRIVMSG #room :MSG 1 N 5\r\n",
        "PWD\r\nCWD x\r\nACT 1\r\n",
        // A mail about the protocol: one quoted line proves nothing.
        "From: alice@example.com\r\n\r\nThe client says\r\nUSR 1 alice@example.com 17.20\r\nand waits.\r\n",
        // RDP, TLS
        "\x03\0\0\x13\x0e\u{60}\0\0\0\0\0\x01\0\x08\0\0\0\0\0",
        "\x16\x03\x01\0\x50\x01\0\0\x4c\x03\x03",
    ] {
        is_nothing(text.as_bytes());
    }
}

#[test]
fn other_traffic_is_refused_within_eight_bytes() {
    for text in [
        "GET / HT",
        "HTTP/1.1",
        "SSH-2.0-",
        "USER ali",
        "220 smtp",
        "VER MSN1",
        "MSG\tabc ",
        "POST /ga",
        "INVITE s",
    ] {
        let bytes = text.as_bytes();
        let input = ProbeInput {
            direction: ToServer,
            bytes,
            start: Start::Beginning,
            wire_len: 8,
            ended: false,
            server_port: 1863,
            expected: None,
            signatures: None,
        };
        assert_eq!(DETECTORS[0].probe(&input), Probe::No, "{text}");
    }
}

#[test]
fn random_bytes_are_nothing_and_harm_nothing() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let words: [&[u8]; 12] = [
        b"MSG ",
        b"\r\n",
        b"USR 1 ",
        b"a@b ",
        b"\x04\0\0\0",
        b"foo\0",
        b"30\r\n",
        b"MIME-Version: 1.0\r\n",
        b"\x30\0\0\0",
        b"UBX ",
        b"99999999999",
        b" ",
    ];
    let claim = |format: &Format| claim(format.clone(), None, "test", "test");
    let formats = [SWITCHBOARD, FTP, P2P, CAM_PEER];
    for round in 0..12 {
        let noise: Vec<u8> = (0..1500).map(|_| random() as u8).collect();
        is_nothing(&noise);
        let mut soup = Vec::new();
        while soup.len() < 1500 {
            let pick = random() as usize;
            if round % 2 == 0 {
                soup.extend_from_slice(words[pick % words.len()]);
            } else {
                soup.push(pick as u8);
            }
        }
        for (index, format) in formats.iter().enumerate() {
            let mut dissector = DETECTORS[index].dissector(&claim(format));
            let mut out = Events::default();
            for piece in soup.chunks(97) {
                let direction = if random() % 2 == 0 {
                    ToServer
                } else {
                    ToClient
                };
                dissector.feed(direction, piece, &mut out);
                if random() % 8 == 0 {
                    dissector.gap(direction, random() % 3000, &mut out);
                }
            }
            dissector.end(&mut out);
            assert!(accounts(out.as_ref()).iter().all(|name| name.contains('@')));
        }
    }
}
