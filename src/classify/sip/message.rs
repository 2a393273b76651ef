//! One message: a start line, fields, a body.

use std::borrow::Cow;

/// Longest head that is waited for.
pub(super) const MAX_HEAD: usize = 8 * 1024;
/// Longest start line.
const MAX_LINE: usize = 1024;
/// Fields of one message that are read.
const MAX_FIELDS: usize = 96;

const VERSION: &[u8] = b"SIP/2.0 ";
/// Methods (IANA's register).
const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];
/// What a request may be about.
const SCHEMES: [&[u8]; 5] = [b"sip:", b"sips:", b"tel:", b"im:", b"pres:"];
/// Short names of fields (RFC 3261, 7.3.3, and others).
const SHORT: [(&str, &str); 7] = [
    ("c", "content-type"),
    ("f", "from"),
    ("i", "call-id"),
    ("l", "content-length"),
    ("o", "event"),
    ("t", "to"),
    ("v", "via"),
];

/// What bytes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A request or an answer.
    Sip,
    /// Could still become one.
    Unclear,
    Neither,
}

/// Do these bytes begin a message?
pub(super) fn look(bytes: &[u8]) -> Look {
    if VERSION.starts_with(bytes) {
        return Look::Unclear;
    }
    if let Some(rest) = bytes.strip_prefix(VERSION) {
        let fits = |(byte, shape): (&u8, &u8)| match shape {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        };
        return match rest.iter().zip(b"000 ").all(fits) {
            false => Look::Neither,
            true if rest.len() < 4 => Look::Unclear,
            true => Look::Sip,
        };
    }
    let mut open = false;
    for method in METHODS {
        let method = method.as_bytes();
        // Most bytes are nobody's, and the first one says so.
        if method.first() != bytes.first() {
            continue;
        }
        match bytes.strip_prefix(method) {
            Some([b' ', rest @ ..]) => return target(rest),
            Some([]) => open = true,
            Some(_) => {}
            None => open |= method.starts_with(bytes),
        }
    }
    if open { Look::Unclear } else { Look::Neither }
}

/// Do these bytes go on as a request line, behind the method? An address, and the version.
fn target(bytes: &[u8]) -> Look {
    let begins = SCHEMES.iter().any(|scheme| {
        scheme
            .iter()
            .zip(bytes)
            .all(|(want, byte)| byte.eq_ignore_ascii_case(want))
    });
    if !begins {
        return Look::Neither;
    }
    let end = memchr::memchr(b'\n', bytes);
    let line = &bytes[..end.unwrap_or(bytes.len())];
    if line.len() > MAX_LINE || line.contains(&0) {
        return Look::Neither;
    }
    match end {
        None => Look::Unclear,
        Some(_) if line.trim_ascii_end().ends_with(b" SIP/2.0") => Look::Sip,
        Some(_) => Look::Neither,
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    /// The method of a request.
    pub method: Option<&'static str>,
    /// The status of an answer.
    pub status: Option<u16>,
    fields: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// As far as it was seen.
    pub body: &'a [u8],
    /// How many bytes the head has.
    pub head: usize,
}

/// Method or status, and fields: each by its long name, in any case.
type Lines<'a> = (
    (Option<&'static str>, Option<u16>),
    Vec<(Cow<'a, str>, Cow<'a, str>)>,
);

/// Reads the lines of a head.
fn lines(text: &str) -> Option<Lines<'_>> {
    let mut rest = text;
    let mut next = || {
        let bytes = rest.as_bytes();
        let mut ends = memchr::memchr_iter(b'\r', bytes);
        let end = ends.find(|end| bytes.get(end + 1) == Some(&b'\n'))?;
        let line = &rest[..end];
        rest = &rest[end + 2..];
        Some(line).filter(|line| !line.is_empty())
    };
    let start = next()?;
    let status = start.strip_prefix("SIP/2.0 ");
    let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
    let method = start.split(' ').next()?;
    let method = METHODS.into_iter().find(|known| *known == method);
    let mut fields: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::with_capacity(16);
    while let Some(line) = next() {
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                let value = value.to_mut();
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':')
            && fields.len() < MAX_FIELDS
        {
            let name = name.trim();
            let long = SHORT
                .iter()
                .find(|(short, _)| short.eq_ignore_ascii_case(name));
            let name = long.map_or(name, |(_, long)| long);
            fields.push((name.into(), value.trim().into()));
        }
    }
    Some(((method, status), fields))
}

/// Where a head ends: behind the empty line.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let most = &bytes[..bytes.len().min(MAX_HEAD)];
    memchr::memmem::find(most, b"\r\n\r\n").map(|at| at + 4)
}

impl<'a> Message<'a> {
    /// Reads a message of which the whole head is there.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if look(bytes) != Look::Sip {
            return None;
        }
        let head = end_of_head(bytes)?;
        let (start, fields) = if let Ok(text) = str::from_utf8(&bytes[..head]) {
            lines(text)?
        } else {
            // Names may be in any charset.
            let text = String::from_utf8_lossy(&bytes[..head]);
            let (start, fields) = lines(&text)?;
            let fields = fields.into_iter();
            let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
            let fields = fields.map(|(name, value)| (own(name), own(value)));
            (start, fields.collect())
        };
        Some(Self {
            method: start.0,
            status: start.1,
            fields,
            body: &bytes[head..],
            head,
        })
    }

    /// The value of a field, by its long name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Its values, if it stands there more than once.
    pub fn all<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s str> + use<'s, 'n, 'a> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }

    /// How long the body is, as the head says.
    pub fn length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }

    /// A field's first word, in lower case: a content type or an event without its parameters.
    pub fn word(&self, name: &str) -> Option<String> {
        let word = self.field(name)?.split(';').next()?.trim();
        Some(word.to_ascii_lowercase())
    }

    /// The user that a field names: `alice@example.com`.
    pub fn user(&self, name: &str) -> Option<String> {
        user(self.field(name)?)
    }
}

/// Reads `"Alice" <sip:alice@example.com;transport=tcp>;tag=1`.
pub(in crate::classify) fn user(value: &str) -> Option<String> {
    let address = match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => value,
    };
    let (scheme, rest) = address.trim().split_once(':')?;
    let known = ["sip", "sips", "im", "pres"].iter();
    if !known.clone().any(|it| scheme.eq_ignore_ascii_case(it)) {
        return None;
    }
    let rest = rest.split([';', '?']).next()?;
    let (local, host) = rest.split_once('@')?;
    // A password in an address is as old as it is wrong, and is not repeated.
    let local = local.split(':').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?.0,
        None => host.split(':').next()?,
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"<>&'/".contains(c);
    let fits = (1..=64).contains(&local.len())
        && (1..=253).contains(&host.len())
        && !local.contains(odd)
        && !host.contains(odd)
        && !host.to_ascii_lowercase().ends_with(".invalid");
    fits.then(|| format!("{local}@{host}").to_lowercase())
}
