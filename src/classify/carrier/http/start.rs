//! Where an HTTP/1 message begins.

use memchr::memmem;

/// Longest start line that is waited for.
const MAX_START_LINE: usize = 8 * 1024;
const METHODS: [&[u8]; 12] = [
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"CONNECT ",
    b"OPTIONS ",
    b"DELETE ",
    b"PATCH ",
    b"TRACE ",
    b"PROPFIND ",
    b"MKCOL ",
    b"REPORT ",
];
const VERSION: &[u8] = b"HTTP/1.";

/// What may stand in a request's target.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0x80..)
}

/// What the bytes at some place are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A request line.
    Request,
    /// A status line.
    Response,
    /// Could still become one of them.
    Unclear,
    /// Neither.
    Neither,
}

/// Do these bytes begin an HTTP message?
pub fn at(bytes: &[u8]) -> Start {
    if bytes.starts_with(VERSION) {
        // "HTTP/1.1 200": a minor version digit, a space and three more digits.
        let shape = b"0 000";
        let fits = |(byte, shape): (&u8, &u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        let rest = &bytes[VERSION.len()..];
        return match rest.iter().zip(shape).all(fits) {
            false => Start::Neither,
            true if rest.len() < shape.len() => Start::Unclear,
            true => Start::Response,
        };
    }
    if VERSION.starts_with(bytes) {
        return Start::Unclear;
    }
    if METHODS.iter().any(|method| method.starts_with(bytes)) {
        return Start::Unclear;
    }
    let behind = METHODS
        .iter()
        .find_map(|method| bytes.strip_prefix(*method));
    behind.map_or(Start::Neither, request)
}

/// Do these bytes go on as a request line, behind the method? One target without blanks, and the version.
fn request(bytes: &[u8]) -> Start {
    let end = memchr::memchr(b'\n', bytes);
    let line = &bytes[..end.unwrap_or(bytes.len())];
    if line.len() >= MAX_START_LINE {
        return Start::Neither;
    }
    let (target, version) = match memchr::memchr(b' ', line) {
        Some(blank) => (&line[..blank], Some(&line[blank + 1..])),
        None => (line, None),
    };
    if !target.iter().all(|byte| is_text(*byte)) || (target.is_empty() && version.is_some()) {
        return Start::Neither;
    }
    match (version, end) {
        (None, None) => Start::Unclear,
        (Some(version), None) if version_so_far(version) => Start::Unclear,
        (Some(version), Some(_)) if is_version(version.strip_suffix(b"\r").unwrap_or(version)) => {
            Start::Request
        }
        _ => Start::Neither,
    }
}

/// Whether what could become a request line is one as far as it goes: a method, and a path or a name of the web.
pub fn is_cut_request(bytes: &[u8]) -> bool {
    let target = METHODS.iter().find_map(|it| bytes.strip_prefix(*it));
    target.is_some_and(|it| it.starts_with(b"/") || it.starts_with(b"http://"))
}

fn is_version(bytes: &[u8]) -> bool {
    matches!(bytes.strip_prefix(VERSION), Some([minor]) if minor.is_ascii_digit())
}

/// Whether a version and a carriage return can still come of it.
fn version_so_far(bytes: &[u8]) -> bool {
    VERSION.starts_with(bytes) || is_version(bytes.strip_suffix(b"\r").unwrap_or(bytes))
}

/// Where a request line begins whose target, perhaps unfinished, begins behind that blank.
fn method_before(bytes: &[u8], blank: usize) -> Option<usize> {
    let upto = bytes.get(..=blank)?;
    let method = METHODS.iter().find(|method| upto.ends_with(method))?;
    Some(upto.len() - method.len())
}

/// The first message in a stream that was joined in the middle: its place and kind; or, when there is none,
/// the place from which bytes must be kept because a message may have begun there.
pub fn search(bytes: &[u8]) -> Result<(usize, Start), usize> {
    for found in memmem::find_iter(bytes, VERSION) {
        if at(&bytes[found..]) == Start::Response {
            return Ok((found, Start::Response));
        }
        // The version that ends a request line: method, blank, target, blank, version.
        let line = &bytes[..found.saturating_sub(1)];
        let line = &line[line.len().saturating_sub(MAX_START_LINE)..];
        let method = memchr::memrchr(b' ', line).and_then(|blank| method_before(line, blank));
        if let Some(method) = method {
            let place = found.saturating_sub(1) - line.len() + method;
            if at(&bytes[place..]) == Start::Request {
                return Ok((place, Start::Request));
            }
        }
    }
    // A start line may be cut at the end: in its target, or behind it.
    let tail = &bytes[bytes.len().saturating_sub(MAX_START_LINE)..];
    let open = memchr::memrchr_iter(b' ', tail)
        .take(2)
        .filter_map(|blank| method_before(tail, blank))
        .map(|place| bytes.len() - tail.len() + place)
        .filter(|place| at(&bytes[*place..]) == Start::Unclear)
        .min();
    // Or in its method, or in the version of an answer.
    Err(open
        .unwrap_or(usize::MAX)
        .min(bytes.len().saturating_sub(12)))
}

#[cfg(test)]
mod tests {
    use super::{Start, at, search};

    #[test]
    fn start_lines_are_told_from_other_text() {
        assert_eq!(at(b"GET / HTTP/1.1\r\n"), Start::Request);
        assert_eq!(
            at(b"POST http://example.com/x?y=z HTTP/1.0\n"),
            Start::Request
        );
        assert_eq!(at(b"HTTP/1.1 200 OK\r\n"), Start::Response);
        for unclear in [&b""[..], b"G", b"GET /index", b"HTTP/1.", b"HTTP/1.1 2"] {
            assert_eq!(at(unclear), Start::Unclear, "{unclear:?}");
        }
        for neither in [
            &b"GETTING\r\n"[..],
            b"GET key\r\n",
            b"HTTP/2 200",
            b"HTTP/1.1 OK ",
            b"SIP/2.0 200 OK\r\n",
            b"OPTIONS sip:bob@example.com SIP/2.0\r\n",
            b"GET \0\0",
            b"GET /\0 HTTP/1.1\r\n",
            b"GET /a b HTTP/1.1\r\n",
            b"GET  HTTP/1.1\r\n",
            b"GET HTTP/1.1\r\n",
            b"*1\r\n",
        ] {
            assert_eq!(at(neither), Start::Neither, "{neither:?}");
        }
    }

    #[test]
    fn a_message_is_found_behind_the_rest_of_a_body() {
        assert_eq!(
            search(b"...tailPOST /a HTTP/1.1\r\n"),
            Ok((7, Start::Request))
        );
        assert_eq!(
            search(b"\0\0\0HTTP/1.1 404 Not Found\r\n"),
            Ok((3, Start::Response))
        );
        assert_eq!(search(b"0123456789POST /abc HT"), Err(10));
        assert_eq!(
            search(b"the text HTTP/1.x is no message, it seems"),
            Err(29)
        );
    }
}
