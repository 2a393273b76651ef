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

/// What may stand in a start line; a carriage return may be half of its end.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 0x80.. | b'\r')
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
    if !METHODS.iter().any(|method| bytes.starts_with(method)) {
        return Start::Neither;
    }
    let Some(end) = memchr::memchr(b'\n', bytes) else {
        return if bytes.iter().all(|byte| is_text(*byte)) && bytes.len() < MAX_START_LINE {
            Start::Unclear
        } else {
            Start::Neither
        };
    };
    // As above, where the end was still to come.
    if end >= MAX_START_LINE || !bytes[..end].iter().all(|byte| is_text(*byte)) {
        return Start::Neither;
    }
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let version = line
        .len()
        .checked_sub(VERSION.len() + 2)
        .map(|at| &line[at..]);
    let is_request =
        version.is_some_and(|v| v.starts_with(b" HTTP/1.") && v[v.len() - 1].is_ascii_digit());
    if is_request {
        Start::Request
    } else {
        Start::Neither
    }
}

/// The first message in a stream that was joined in the middle: its place and kind; or, when there is none,
/// the place from which bytes must be kept because a message may have begun there.
pub fn search(bytes: &[u8]) -> Result<(usize, Start), usize> {
    for found in memmem::find_iter(bytes, VERSION) {
        if at(&bytes[found..]) == Start::Response {
            return Ok((found, Start::Response));
        }
        // The version that ends a request line: the line begins with the last method in front of it.
        let line_start = bytes[..found].len().saturating_sub(MAX_START_LINE);
        let line = &bytes[line_start..found];
        let method = METHODS
            .iter()
            .filter_map(|method| memmem::rfind(line, method))
            .max();
        if let Some(method) = method {
            let place = line_start + method;
            if at(&bytes[place..]) == Start::Request {
                return Ok((place, Start::Request));
            }
        }
    }
    // A start line may be cut at the end. It is all text without a line end, which rules most tails out.
    let text = bytes
        .iter()
        .rposition(|byte| !is_text(*byte))
        .map_or(0, |place| place + 1);
    let tail = text.max(bytes.len().saturating_sub(MAX_START_LINE));
    let open = METHODS
        .iter()
        .filter_map(|method| memmem::rfind(&bytes[tail..], method).map(|place| tail + place))
        .filter(|place| at(&bytes[*place..]) == Start::Unclear)
        .min();
    Err(open.unwrap_or_else(|| bytes.len().saturating_sub(12)))
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
        assert_eq!(search(b"0123456789POST /a HT"), Err(10));
        assert_eq!(
            search(b"the text HTTP/1.x is no message, it seems"),
            Err(29)
        );
    }
}
