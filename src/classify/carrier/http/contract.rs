//! The contract between the HTTP carrier and the messengers that speak over it.

use crate::classify::{Claim, Events};
use crate::model::{Direction, SessionId};

/// The head of an HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// `GET`, `POST`, ...
    pub method: &'a str,
    /// The request target as sent: a path or an absolute URI.
    pub target: &'a str,
    /// Name and value of each header field, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The head of an HTTP response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Status code.
    pub status: u16,
    /// The session that the request named, if the request was seen.
    pub asked: Option<&'a SessionId>,
    /// Name and value of each header field, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The value of a header field, without regard to case of the name.
pub fn header<'a>(headers: &[(&'a str, &'a [u8])], name: &str) -> Option<&'a [u8]> {
    headers
        .iter()
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
}

/// Undoes percent-encoding in the first 256 bytes of a part of a target; `None` when what results is no text.
pub fn percent_decoded(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len().min(256));
    let mut rest = value.as_bytes().iter().take(256);
    while let Some(&byte) = rest.next() {
        let byte = if byte == b'%' {
            let digits = [*rest.next()?, *rest.next()?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
        } else {
            byte
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

impl<'a> RequestHead<'a> {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.headers, name)
    }

    /// The target's path and query: without scheme and authority, if it came as an absolute URI.
    pub fn path(&self) -> &'a str {
        if self.target.starts_with('/') {
            return self.target;
        }
        match self.target.find("://") {
            Some(scheme) => {
                let rest = &self.target[scheme + 3..];
                rest.find('/').map_or("/", |slash| &rest[slash..])
            }
            None => self.target,
        }
    }
}

impl<'a> ResponseHead<'a> {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        header(self.headers, name)
    }
}

/// A messenger that hides in HTTP.
pub trait HttpMessenger: Sync {
    /// Is this request, whose body begins with `body`, the messenger's? `body` holds the first 256 bytes
    /// of the body or all of a shorter one. `Some((claim, certain))`.
    fn request(&self, head: &RequestHead<'_>, body: &[u8]) -> Option<(Claim, bool)>;

    /// The same for a response, for captures that show the server's side only.
    fn response(&self, head: &ResponseHead<'_>, body: &[u8]) -> Option<(Claim, bool)>;

    /// The session that a request would belong to if it is the messenger's. A name is not a proof: it counts
    /// where the session is known by something else.
    fn session(&self, head: &RequestHead<'_>) -> Option<SessionId> {
        let _ = head;
        None
    }

    /// Follows the exchanges of a connection that was claimed; requests go in the direction `client`.
    fn dissector(&self, client: Direction) -> Box<dyn HttpDissector>;
}

/// Follows HTTP exchanges of a messenger. Fed with every message of the connection from the claimed one on;
/// chunked bodies arrive decoded, in pieces of any size.
pub trait HttpDissector: Send {
    /// A request begins.
    fn request(&mut self, head: &RequestHead<'_>, out: &mut Events);
    /// The next bytes of its body.
    fn request_body(&mut self, bytes: &[u8], out: &mut Events);
    /// A response begins.
    fn response(&mut self, head: &ResponseHead<'_>, out: &mut Events);
    /// The next bytes of its body.
    fn response_body(&mut self, bytes: &[u8], out: &mut Events);
    /// Bytes of a body were not captured.
    fn gap(&mut self, from_client: bool, out: &mut Events) {
        let _ = (from_client, out);
    }
    /// Bytes held, itself and its buffers. What a session holds is counted with the sessions.
    fn memory(&self) -> usize {
        size_of_val(self)
    }
}

/// A part of a session that is spread over many connections.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A body begins; its number in the session, if the messenger counts them.
    Begin(Option<u32>),
    /// The next bytes of what runs inside.
    Bytes {
        /// Which of the session's inner connections, where there are several.
        channel: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Bytes are missing, nobody knows how many.
    Lost,
}

/// What runs inside a session that is spread over many connections. Kept with the session, fed from all its flows.
pub trait Inside: Send {
    /// The next part, from the client or from the server.
    fn take(&mut self, from_client: bool, part: Part<'_>, out: &mut Events);

    /// Another flow goes on: what was told of the last one is to be told again.
    fn tell_again(&mut self);

    /// Bytes held: sessions share a limit.
    fn held(&self) -> usize;
}
