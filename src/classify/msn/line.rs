//! One command line: a verb and its parameters.

/// The longest payload a command may announce. The switchboard allows 1664 bytes, the notification server
/// sends policies and contact lists of some ten thousand.
pub(super) const MAX_PAYLOAD: usize = 64 * 1024;

/// A line without its line end: a three-letter verb or a three-digit error, then parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    text: &'a str,
}

impl<'a> Line<'a> {
    /// `None` if the text does not have the form of a command.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_end_matches(' ');
        let bytes = text.as_bytes();
        let verb = bytes.get(..3)?;
        let named = verb.iter().all(u8::is_ascii_uppercase) || verb.iter().all(u8::is_ascii_digit);
        let bounded = matches!(bytes.get(3), None | Some(b' '));
        let clean = !bytes.iter().any(u8::is_ascii_control);
        (named && bounded && clean).then_some(Self { text })
    }

    /// The verb, or the digits of an error.
    pub fn verb(&self) -> &'a str {
        self.text.get(..3).unwrap_or_default()
    }

    /// The parameters as sent, still percent-encoded: decoding comes after cutting at blanks, because a
    /// nickname may hold an encoded blank or line end.
    pub fn params(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        Words(Some(self.text)).skip(1)
    }

    /// One parameter, or nothing.
    pub fn param(&self, n: usize) -> Option<&'a str> {
        self.params().nth(n)
    }

    /// How many parameters there are.
    pub fn count(&self) -> usize {
        memchr::memchr_iter(b' ', self.text.as_bytes()).count()
    }

    /// The length of the payload behind the line; `None` if it is out of bounds.
    ///
    /// An explicit list, because many other commands end in a number that is no length: capabilities (JOI),
    /// a session id (CAL), list counts (LST, SYN, IRO).
    pub fn payload_len(&self) -> Option<usize> {
        let least = match self.verb() {
            "NOT" | "IPG" => 1,
            "UBX" | "UUX" | "GCF" | "ADL" | "RML" | "FQY" | "PUT" | "DEL" | "SDG" | "NFY"
            | "VAS" | "SDC" => 2,
            // The server's answer `QRY tr` has none. `MSG` is held to its two exact forms by the grammar.
            "QRY" | "MSG" | "UBN" | "UUN" | "UBM" | "UUM" => 3,
            // An error has a payload only from MSNP13 on, and then says its length: `241 tr len`.
            verb if verb.starts_with(|c: char| c.is_ascii_digit()) && self.count() == 2 => 2,
            _ => return Some(0),
        };
        if self.count() < least {
            return Some(0);
        }
        // `ADL tr OK`, `GCF tr Shields.xml`: an answer or a request without payload.
        let Some(last) = self.params().last().filter(|last| is_number(last)) else {
            return Some(0);
        };
        last.parse().ok().filter(|length| *length <= MAX_PAYLOAD)
    }
}

/// A text, cut at blanks. (`split` does the same in three times the time, and a line is cut again and again.)
struct Words<'a>(Option<&'a str>);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0?;
        let Some(end) = memchr::memchr(b' ', text.as_bytes()) else {
            self.0 = None;
            return Some(text);
        };
        self.0 = text.get(end + 1..);
        text.get(..end)
    }
}

/// Decimal digits that fit 32 bits: a transaction id, a count, a length.
pub(super) fn is_number(text: &str) -> bool {
    is_digits(text) && text.parse::<u32>().is_ok()
}

/// Decimal digits only.
pub(super) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The account in `alice@example.com`, `1:alice@example.com` (network id, MSNP18 on) or
/// `alice@example.com;{machine guid}` (MSNP16 on), in lower case.
pub(super) fn passport(param: &str) -> Option<String> {
    account(param).map(|name| decode(name).to_ascii_lowercase())
}

/// The same as it is written, still percent-encoded.
pub(super) fn account(param: &str) -> Option<&str> {
    let name = param.split_once(';').map_or(param, |(name, _)| name);
    let name = match name.split_once(':') {
        Some((network, rest)) if is_number(network) => rest,
        _ => name,
    };
    let (user, domain) = name.split_once('@')?;
    let fits = !user.is_empty() && !domain.is_empty() && name.len() <= 129;
    let user_ok = user
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"<>\"'(),:[]\\".contains(&b));
    let domain_ok = domain
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-' || b == b'_');
    (fits && user_ok && domain_ok).then_some(name)
}

/// Undoes percent-encoding. Bytes that are no UTF-8 and control characters become U+FFFD.
pub(super) fn decode(param: &str) -> String {
    // Most have nothing to be undone.
    if param.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'%') {
        return param.to_owned();
    }
    let mut bytes = Vec::with_capacity(param.len());
    let mut rest = param.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let value = match tail {
            [high, low, ..] if first == b'%' => {
                hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        bytes.push(value.unwrap_or(first));
        rest = if value.is_some() {
            tail.get(2..).unwrap_or_default()
        } else {
            tail
        };
    }
    let text = String::from_utf8_lossy(&bytes);
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Line, Words, decode, passport};

    #[test]
    fn lines_are_cut_as_a_text_is_split() {
        for text in [
            "",
            " ",
            "OUT",
            "MSG  96 ",
            "USR 1 OK alice@example.com B\u{fc}ro",
            "A B  C",
        ] {
            assert!(Words(Some(text)).eq(text.split(' ')), "{text:?}");
        }
    }

    fn payload(text: &str) -> Option<usize> {
        Line::parse(text).unwrap().payload_len()
    }

    #[test]
    fn only_payload_commands_have_one() {
        assert_eq!(payload("MSG 96 N 132"), Some(132));
        assert_eq!(payload("MSG alice@example.com Alice 133"), Some(133));
        assert_eq!(payload("QRY 3 msmsgs@msnmsgr.com 32"), Some(32));
        assert_eq!(payload("QRY 3"), Some(0));
        assert_eq!(payload("ADL 7 65"), Some(65));
        assert_eq!(payload("ADL 7 OK"), Some(0));
        assert_eq!(payload("UUX 9 0"), Some(0));
        assert_eq!(payload("NOT 300"), Some(300));
        assert_eq!(payload("241 8 26"), Some(26));
        assert_eq!(payload("218 7"), Some(0));
        assert_eq!(payload("JOI bob@example.com Bob 1616756780"), Some(0));
        assert_eq!(payload("CAL 2 RINGING 17522047"), Some(0));
        assert_eq!(payload("GCF 4 Shields.xml"), Some(0));
    }

    #[test]
    fn an_impossible_length_is_refused() {
        assert_eq!(payload("MSG 96 N 4000000000"), None);
        assert_eq!(payload("UBX alice@example.com 65537"), None);
    }

    #[test]
    fn lines_that_are_no_commands() {
        for text in [
            "",
            "VE",
            "VERY 1",
            "ver 1 MSNP9",
            "HTTP/1.1 200 OK",
            "MSG\t1",
            "1A2 3",
        ] {
            assert!(Line::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn passports_in_all_their_forms() {
        for text in [
            "Alice@Example.com",
            "1:alice@example.com",
            "alice@example.com;{1BE99E6D-1C6E-4BEA-8B3E-9C464006A774}",
        ] {
            assert_eq!(
                passport(text).as_deref(),
                Some("alice@example.com"),
                "{text}"
            );
        }
        for text in [
            "alice",
            "@example.com",
            "alice@",
            "a@b@c",
            "alice@exa mple",
            "alice@example.com/x",
        ] {
            assert_eq!(passport(text), None, "{text}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_without_letting_line_ends_in() {
        assert_eq!(decode("Other%20Contacts"), "Other Contacts");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("a%0D%0Ab"), "a\u{fffd}\u{fffd}b");
        assert_eq!(decode("%C3%A9%zz"), "\u{e9}%zz");
    }
}
