//! One request or answer: a start line, fields, and what they carry up to the line that ends it (RFC 4975, 9).

/// Longest head that is waited for.
pub(super) const MAX_HEAD: usize = 4 * 1024;
/// Longest start line: an answer may have a comment.
const MAX_LINE: usize = 256;
const BEGIN: &[u8] = b"MSRP ";
/// What a transaction is called by: so many letters, digits and these.
const TRANSACTION: std::ops::RangeInclusive<usize> = 4..=32;
const ALSO: &[u8] = b".-+%=";
/// Methods: those of RFC 4975, RFC 4976 and RFC 7701.
const METHODS: [&str; 4] = ["SEND", "REPORT", "AUTH", "NICKNAME"];

/// What bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look<'a> {
    Msrp(Line<'a>),
    /// Could still become one.
    Unclear,
    Neither,
}

/// A start line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// What the line that ends it repeats.
    pub transaction: &'a [u8],
    /// The method of a request; `None` for an answer.
    pub method: Option<&'static str>,
    /// Bytes of it, its end included.
    pub length: usize,
}

/// Do these bytes begin a request or an answer?
pub(super) fn look(bytes: &[u8]) -> Look<'_> {
    let Some(rest) = bytes.strip_prefix(BEGIN) else {
        return if BEGIN.starts_with(bytes) {
            Look::Unclear
        } else {
            Look::Neither
        };
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || ALSO.contains(byte);
    let name = rest.iter().take_while(|byte| is_name(byte)).count();
    if rest.len() == name && name <= *TRANSACTION.end() {
        return Look::Unclear;
    }
    if !TRANSACTION.contains(&name) || rest.get(name) != Some(&b' ') {
        return Look::Neither;
    }
    let (transaction, does) = (&rest[..name], &rest[name + 1..]);
    let end = memchr::memchr(b'\n', does);
    let line = &does[..end.unwrap_or(does.len())];
    let word = line
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric())
        .count();
    let (word, behind) = line.split_at(word);
    let method = METHODS.into_iter().find(|it| it.as_bytes() == word);
    let whole = match end {
        Some(_) if method.is_some() => behind == b"\r",
        // A status, and perhaps a comment.
        Some(_) => is_status(word) && word.len() == 3 && behind.ends_with(b"\r"),
        None => {
            let open =
                METHODS.iter().any(|it| it.as_bytes().starts_with(word)) && behind.is_empty();
            let ends = method.is_some() && behind == b"\r";
            let answers = is_status(word) && (word.len() == 3 || behind.is_empty());
            return if (open || ends || answers) && line.len() < MAX_LINE {
                Look::Unclear
            } else {
                Look::Neither
            };
        }
    };
    if whole {
        Look::Msrp(Line {
            transaction,
            method,
            length: BEGIN.len() + name + 1 + line.len() + 1,
        })
    } else {
        Look::Neither
    }
}

fn is_status(word: &[u8]) -> bool {
    word.len() <= 3 && word.iter().all(u8::is_ascii_digit)
}

/// Whether the field comes first that all of them begin with; `None` when that is not there yet.
pub(super) fn has_path(behind_line: &[u8]) -> Option<bool> {
    const PATH: &[u8] = b"to-path: msrp";
    let here = &behind_line[..behind_line.len().min(PATH.len())];
    if !PATH[..here.len()].eq_ignore_ascii_case(here) {
        return Some(false);
    }
    (here.len() == PATH.len()).then_some(true)
}

/// The line that ends it, without the flag and the line end behind.
pub(super) fn end_line(transaction: &[u8]) -> Vec<u8> {
    [b"\r\n-------", transaction].concat()
}

/// A field's value, by its name in lower case.
pub(super) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let lines = head.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
        .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// `1-25/25`: where what is carried begins in the message, and how long that is, if it is known by then.
pub(super) fn byte_range(value: &str) -> Option<(usize, Option<usize>)> {
    let (range, total) = value.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}
