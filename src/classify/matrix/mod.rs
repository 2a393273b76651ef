//! Matrix over plain HTTP: its client-server and server-server interfaces (spec.matrix.org).

mod dissector;
mod path;
#[cfg(test)]
mod tests;

use super::Claim;
use super::carrier::http::{HttpDissector, HttpMessenger, RequestHead, ResponseHead};
use crate::model::{Direction, Evidence, Format, Service};
use path::Path;

/// Its part of HTTP.
pub const HTTP: &[&dyn HttpMessenger] = &[&Matrix];

/// The id of `rules/modern/matrix.toml`.
const ID: &str = "matrix";

fn format(role: &'static str) -> Format {
    Format {
        service: Some(Service::named(ID)),
        app_proto: "matrix-http",
        role: Some(role),
    }
}

fn claim(from_client: bool, role: &'static str, what: &'static str) -> Claim {
    Claim {
        format: format(role),
        offset: 0,
        sender_is_client: Some(from_client),
        evidence: Evidence::payload("matrix", what),
    }
}

/// Matrix.
#[derive(Debug)]
struct Matrix;

impl HttpMessenger for Matrix {
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        let path = Path::of(head)?;
        let role = path.role()?;
        // Its path alone is a signature; with a token of its own kind, or what belongs into it, it is more than that.
        let json = body.trim_ascii_start().first() == Some(&b'{');
        let certain = path.is_versioned() && (path::token(head) || json);
        let what = match role {
            "server" => "/_matrix/federation",
            _ => "/_matrix/client",
        };
        Some((claim(true, role, what), certain))
    }

    fn response(&self, _: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)> {
        // Errors have a code that begins like this and nothing else's does.
        let text = body.trim_ascii_start();
        let error =
            text.starts_with(b"{") && memchr::memmem::find(text, b"\"errcode\":\"M_").is_some();
        let has = |name: &[u8]| memchr::memmem::find(text, name).is_some();
        let signed_on = text.starts_with(b"{")
            && has(b"\"user_id\":\"@")
            && has(b"\"access_token\":\"")
            && has(b"\"device_id\":\"");
        let what = match (error, signed_on) {
            (true, _) => "an error with a code of Matrix",
            (_, true) => "a user signed on",
            _ => return None,
        };
        Some((claim(false, "client", what), false))
    }

    fn dissector(&self, _: Direction) -> Box<dyn HttpDissector> {
        Box::new(dissector::Exchanges::default())
    }
}
