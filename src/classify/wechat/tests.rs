//! What is mmtls in HTTP, and what only has its name.
#![allow(clippy::unwrap_used)]

use crate::classify::Events;
use crate::classify::testing::{spoken, sure_of};
use crate::model::Direction::{self, ToClient, ToServer};
use crate::model::{Confidence, Transport};

const RECORD: &[u8] = b"\x19\xf1\x04\0\xa1\0\0\0\x9d\x01\x03\xf1\x01\0\xa8abcdefgh";

fn post(line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{line} HTTP/1.1\r\nHost: 192.0.2.7\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn sure(direction: Direction, bytes: Vec<u8>) -> Option<Confidence> {
    let turns = [(direction, bytes)];
    let whole = spoken((Transport::Tcp, 80), &turns, 4000, Events::default());
    let cut = spoken((Transport::Tcp, 80), &turns, 1, Events::default());
    assert_eq!(sure_of("mmtls", &whole), sure_of("mmtls", &cut));
    sure_of("mmtls", &whole)
}

#[test]
fn records_in_requests_and_answers_are_recognised() {
    let (path, upgrade) = ("POST /mmtls/00006a5e", "Upgrade: mmtls\r\n");
    assert_eq!(
        sure(ToServer, post(path, upgrade, RECORD)),
        Some(Confidence::Confirmed)
    );
    assert_eq!(
        sure(ToServer, post(path, "", RECORD)),
        Some(Confidence::Probable)
    );
    assert_eq!(
        sure(ToServer, post(path, upgrade, b"")),
        Some(Confidence::Probable)
    );
    let answer = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n\x16",
        &RECORD[1..9],
        b"\x02\x03\xf1abcdefghijkl",
    ]
    .concat();
    assert_eq!(sure(ToClient, answer), Some(Confidence::Probable));
}

#[test]
fn what_only_has_its_name_is_silent() {
    for (line, fields, body) in [
        ("POST /mmtls/00006a5e", "", &b"hello"[..]),
        ("POST /mmtls/about", "Upgrade: mmtls\r\n", RECORD),
        ("GET /mmtls/00006a5e", "Upgrade: mmtls\r\n", b""),
        ("POST /other/00006a5e", "Upgrade: mmtls\r\n", RECORD),
        (
            "POST /mmtls/00006a5e",
            "Upgrade: websocket\r\n",
            b"\x16\x03\x01\0\xa1\0\0\0\x9d\x01\x03\x03",
        ),
    ] {
        assert_eq!(
            sure(ToServer, post(line, fields, body)),
            None,
            "{line} {fields}"
        );
    }
}
