//! `WeChat`'s own TLS (mmtls) inside HTTP. Over TCP alone a rule file tells it; its content nobody reads.
//!
//! Shapes: citizenlab/wechat-security-report, `docs/mmtls-network-format.md`; requests as "Should We Chat, Too?" (Citizen Lab, 2024) has them.

#[cfg(test)]
mod tests;

use super::carrier::http::{HttpDissector, HttpMessenger, RequestHead, ResponseHead};
use super::{Claim, Events};
use crate::model::{Direction, Evidence, Format, Service};

/// Its part of HTTP.
pub const HTTP: &[&dyn HttpMessenger] = &[&WeChat];

/// The id of `rules/modern/wechat.toml`.
const SERVICE: &str = "wechat";
/// The wire format.
const FORMAT: &str = "mmtls";

/// `WeChat`.
#[derive(Debug)]
struct WeChat;

/// Whether bytes begin with a record: its type, its version, a length, and the message of a handshake.
fn is_record(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [
            0x16 | 0x19,
            0xf1,
            3 | 4,
            _,
            _,
            0,
            0,
            _,
            _,
            1 | 2,
            3 | 4,
            0xf1,
            ..
        ]
    )
}

/// `/mmtls/00006a5e`.
fn is_path(path: &str) -> bool {
    let id = path.strip_prefix("/mmtls/");
    id.is_some_and(|id| (1..=16).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_hexdigit()))
}

fn claim(from_client: bool, what: &'static str) -> Claim {
    Claim {
        format: Format::messenger(Service::named(SERVICE), FORMAT, "client"),
        offset: 0,
        sender_is_client: Some(from_client),
        evidence: Evidence::payload(FORMAT, what),
    }
}

impl HttpMessenger for WeChat {
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        if head.method != "POST" || !is_path(head.path()) {
            return None;
        }
        let upgrade = head.header("upgrade");
        let said = upgrade.is_some_and(|it| it.eq_ignore_ascii_case(FORMAT.as_bytes()));
        let shown = is_record(body);
        (said || shown).then(|| (claim(true, "POST /mmtls"), said && shown))
    }

    fn response(&self, _: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        is_record(body).then(|| (claim(false, "a record in an answer"), false))
    }

    fn dissector(&self, _: Direction) -> Box<dyn HttpDissector> {
        Box::new(Sealed)
    }
}

/// What it carries is encrypted.
struct Sealed;

impl HttpDissector for Sealed {
    fn request(&mut self, _: &RequestHead<'_>, _: &mut Events) {}
    fn request_body(&mut self, _: &[u8], _: &mut Events) {}
    fn response(&mut self, _: &ResponseHead<'_>, _: &mut Events) {}
    fn response_body(&mut self, _: &[u8], _: &mut Events) {}
}
