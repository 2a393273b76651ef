//! Which lines are valid commands, who can have sent them, and how much they prove.

use super::line::{Line, account, is_digits, is_number};

/// Who can have sent a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
    Either,
}

/// Where a line occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Notification,
    Switchboard,
    Either,
}

/// How much a line proves. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    /// Valid, but so short that other protocols have such lines too.
    Filler,
    /// A passport or a constant of the protocol where it belongs.
    Structured,
    /// Unmistakable by itself.
    Signature,
    /// Names the protocol.
    Proof,
}

/// A valid command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub side: Side,
    pub place: Place,
    pub weight: Weight,
}

/// What the first parameter of a verb looks like: enough to refuse most other text within a few bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum First {
    /// There may be no parameter at all.
    Nothing,
    /// A transaction id or another number.
    Number,
    /// Anything.
    Text,
}

const VERBS: &[(&[u8; 3], First)] = &[
    (b"ACK", First::Number),
    (b"ADC", First::Text),
    (b"ADD", First::Number),
    (b"ADG", First::Number),
    (b"ADL", First::Number),
    (b"ANS", First::Number),
    (b"BLP", First::Text),
    (b"BPR", First::Text),
    (b"BYE", First::Text),
    (b"CAL", First::Number),
    (b"CHG", First::Number),
    (b"CHL", First::Number),
    (b"CVR", First::Number),
    (b"DEL", First::Number),
    (b"FLN", First::Text),
    (b"FQY", First::Number),
    (b"GCF", First::Number),
    (b"GTC", First::Text),
    (b"ILN", First::Number),
    (b"INF", First::Number),
    (b"IPG", First::Number),
    (b"IRO", First::Number),
    (b"JOI", First::Text),
    (b"LSG", First::Text),
    (b"LST", First::Text),
    (b"MSG", First::Text),
    (b"NAK", First::Number),
    (b"NFY", First::Text),
    (b"NLN", First::Text),
    (b"NOT", First::Number),
    (b"OUT", First::Nothing),
    (b"PNG", First::Nothing),
    (b"PRP", First::Text),
    (b"PUT", First::Number),
    (b"QNG", First::Number),
    (b"QRY", First::Number),
    (b"REA", First::Number),
    (b"REG", First::Number),
    (b"REM", First::Number),
    (b"RMG", First::Number),
    (b"RML", First::Number),
    (b"RNG", First::Text),
    (b"SBS", First::Number),
    (b"SDC", First::Number),
    (b"SDG", First::Number),
    (b"SYN", First::Number),
    (b"UBM", First::Text),
    (b"UBN", First::Text),
    (b"UBX", First::Text),
    (b"URL", First::Number),
    (b"USR", First::Number),
    (b"UUM", First::Number),
    (b"UUN", First::Number),
    (b"UUX", First::Number),
    (b"VAS", First::Number),
    (b"VER", First::Number),
    (b"XFR", First::Number),
];

/// Whether a line can begin with these bytes.
pub(super) fn viable(prefix: &[u8]) -> bool {
    let (verb, rest) = prefix.split_at(prefix.len().min(3));
    // Looked at for each stream that begins: three bytes are one comparison, and most streams have no such three.
    let is_begun = |known: &[u8; 3]| match <&[u8; 3]>::try_from(verb) {
        Ok(whole) => known == whole,
        Err(_) => known.starts_with(verb),
    };
    VERBS.iter().any(|(known, first)| {
        is_begun(known)
            && match (first, rest) {
                (_, [] | [b' ']) | (First::Nothing, [b'\r', ..]) => true,
                (First::Number, [b' ', digit, ..]) => digit.is_ascii_digit(),
                (_, [b' ', byte, ..]) => *byte > b' ',
                _ => false,
            }
    })
}

/// Judges a line; `None` if it is no valid command, or an error (`500 7` is an FTP or SMTP reply as well).
// A table: one line for each form of a command.
#[allow(clippy::match_same_arms)]
pub(super) fn shape(line: &Line<'_>) -> Option<Shape> {
    use Place::{Either as Anywhere, Notification, Switchboard};
    use Side::{Client, Either, Server};
    use Weight::{Filler, Signature, Structured};

    let verb = line.verb();
    let first = VERBS
        .iter()
        .find(|(known, _)| known.as_slice() == verb.as_bytes())?
        .1;
    let p = |n: usize| line.param(n).unwrap_or_default();
    let count = line.count();
    // Before MSNP9 the answer to `PNG` did not say when to ask again.
    if verb == "QNG" && count == 0 {
        return Some(Shape {
            side: Server,
            place: Notification,
            weight: Filler,
        });
    }
    if first == First::Number && !is_number(p(0)) || first != First::Nothing && p(0).is_empty() {
        return None;
    }
    let (side, place, weight) = match verb {
        "VER" => return version(line),
        "USR" => return user(line),
        "CVR" if count >= 7 && p(1).starts_with("0x") => (Client, Notification, Signature),
        "CVR" if count >= 4 && is_version(p(1)) && is_version(p(2)) => {
            (Server, Notification, Structured)
        }
        "INF" if count == 1 => (Client, Notification, Filler),
        "INF" if p(1) == "MD5" => (Server, Notification, Structured),
        "ANS" if count == 4 && is_account(p(1)) && !p(2).is_empty() => {
            (Client, Switchboard, Signature)
        }
        "ANS" if count == 2 && p(1) == "OK" => (Server, Switchboard, Structured),
        "IRO" if count >= 5 && is_number(p(1)) && is_number(p(2)) && is_account(p(3)) => {
            (Server, Switchboard, Signature)
        }
        "CAL" if count == 2 && is_account(p(1)) => (Client, Switchboard, Structured),
        "CAL" if count == 3 && p(1) == "RINGING" => (Server, Switchboard, Structured),
        "JOI" if count >= 2 && is_account(p(0)) => (Server, Switchboard, Structured),
        "BYE" if count <= 2 && is_account(p(0)) => (Server, Switchboard, Structured),
        "ACK" | "NAK" if count == 1 => (Server, Switchboard, Filler),
        "MSG"
            if count == 3
                && is_number(p(0))
                && matches!(p(1), "U" | "N" | "A" | "D")
                && is_number(p(2)) =>
        {
            (Client, Switchboard, Structured)
        }
        "MSG" if count == 3 && p(0) == "Hotmail" && is_number(p(2)) => {
            (Server, Notification, Structured)
        }
        "MSG" if count == 3 && is_account(p(0)) && is_number(p(2)) => {
            (Server, Switchboard, Structured)
        }
        "XFR" if count == 2 && p(1) == "SB" => (Client, Notification, Structured),
        "XFR" if count >= 5 && p(1) == "SB" && is_endpoint(p(2)) && p(3) == "CKI" => {
            (Server, Notification, Signature)
        }
        "XFR" if count >= 4 && p(1) == "NS" && is_endpoint(p(2)) => {
            (Server, Notification, Signature)
        }
        "RNG" if count >= 6 && is_endpoint(p(1)) && p(2) == "CKI" && is_account(p(4)) => {
            (Server, Notification, Signature)
        }
        "CHL" if count == 2 && p(1).len() >= 10 && is_digits(p(1)) => {
            (Server, Notification, Structured)
        }
        "QRY" if count == 3 && p(2) == "32" => (Client, Notification, Structured),
        "QRY" if count == 1 => (Server, Notification, Filler),
        "PNG" if count == 0 => (Client, Notification, Filler),
        "QNG" if count == 1 => (Server, Notification, Filler),
        "OUT" if count == 0 || matches!(p(0), "OTH" | "SSD" | "RCT" | "TOU") => {
            (Either, Anywhere, Filler)
        }
        "CHG" if count >= 2 && is_status(p(1)) => (Either, Notification, Structured),
        "NLN" if count >= 3 && is_status(p(0)) && is_account(p(1)) => {
            (Server, Notification, Structured)
        }
        "ILN" if count >= 4 && is_status(p(1)) && is_account(p(2)) => {
            (Server, Notification, Structured)
        }
        "FLN" if count <= 4 && is_account(p(0)) => (Server, Notification, Structured),
        "UBX" if count >= 2 && is_account(p(0)) && ends_in_number(line) => {
            (Server, Notification, Structured)
        }
        "UBN" if count >= 3 && is_account(p(0)) && ends_in_number(line) => {
            (Server, Notification, Structured)
        }
        "UUN" if count >= 4 && is_account(p(1)) && ends_in_number(line) => {
            (Client, Notification, Structured)
        }
        "UUN" if count == 2 && p(1) == "OK" => (Server, Notification, Filler),
        "UBM" if count >= 4 && is_account(p(0)) && ends_in_number(line) => {
            (Server, Notification, Structured)
        }
        "UUM" if count >= 4 && is_account(p(1)) && ends_in_number(line) => {
            (Client, Notification, Structured)
        }
        "LST"
            if line
                .params()
                .take(6)
                .any(|param| is_account(param.trim_start_matches("N="))) =>
        {
            (Server, Notification, Structured)
        }
        // An empty list before MSNP8: its name, its version, no entry of none.
        "LST" if count == 5 && matches!(p(1), "FL" | "AL" | "BL" | "RL") && p(3) == "0" => {
            (Server, Notification, Filler)
        }
        "SBS" if count == 2 && p(1) == "null" => (Server, Notification, Structured),
        "NFY" if matches!(p(0), "PUT" | "DEL") && ends_in_number(line) => {
            (Server, Notification, Structured)
        }
        "NOT" | "IPG" if count == 1 => (Server, Notification, Filler),
        "GCF" | "UUX" | "ADL" | "RML" | "FQY" | "PUT" | "DEL" | "SDG" | "SDC" | "VAS"
            if count >= 2 =>
        {
            (Either, Notification, Filler)
        }
        "ADC" | "ADD" | "ADG" | "BLP" | "BPR" | "GTC" | "LSG" | "PRP" | "REA" | "REG" | "REM"
        | "RMG" | "SYN" | "URL" => (Either, Notification, Filler),
        _ => return None,
    };
    Some(Shape {
        side,
        place,
        weight,
    })
}

/// `VER tr MSNP15 MSNP14 CVR0`, or the answer `VER tr MSNP15`, or the refusal `VER tr 0`.
fn version(line: &Line<'_>) -> Option<Shape> {
    let place = Place::Notification;
    if line.count() == 2 && line.param(1) == Some("0") {
        return Some(Shape {
            side: Side::Server,
            place,
            weight: Weight::Filler,
        });
    }
    let (mut dialects, mut list) = (0, false);
    for token in line.params().skip(1) {
        if !(3..=8).contains(&token.len()) || !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        dialects += usize::from(is_dialect(token));
        list |= token.eq_ignore_ascii_case("CVR0");
    }
    // A client lists what it speaks and ends in CVR0; a server names one dialect.
    let side = if list || dialects > 1 {
        Side::Client
    } else {
        Side::Either
    };
    (dialects > 0).then_some(Shape {
        side,
        place,
        weight: Weight::Proof,
    })
}

/// `USR` signs on to the notification server in several ways, and names the caller at a switchboard.
fn user(line: &Line<'_>) -> Option<Shape> {
    let p = |n: usize| line.param(n).unwrap_or_default();
    let count = line.count();
    let (side, place) = match (p(1), p(2)) {
        ("OK", name) if is_account(name) => {
            // Before MSNP8 the notification server answers with name and nickname as well.
            let place = if count > 4 {
                Place::Notification
            } else {
                Place::Either
            };
            (Side::Server, place)
        }
        ("MD5" | "TWN" | "SSO", "I") if is_account(p(3)) => (Side::Client, Place::Notification),
        ("MD5", "S") if is_md5(p(3)) => (Side::Client, Place::Notification),
        ("MD5", "S") if count == 4 && is_version(p(3)) => (Side::Server, Place::Notification),
        ("TWN" | "SSO", "S") if count >= 4 => {
            // A challenge is a list of assignments (TWN) or names its key (SSO); all else is a ticket.
            let challenge = p(3).contains(',') && p(3).contains('=') || p(3).starts_with("MBI_");
            (
                if challenge && !p(3).starts_with("t=") {
                    Side::Server
                } else {
                    Side::Client
                },
                Place::Notification,
            )
        }
        ("SHA", "A") if count == 4 => (Side::Client, Place::Notification),
        (name, token) if count == 3 && is_account(name) && !token.is_empty() => {
            (Side::Client, Place::Switchboard)
        }
        _ => return None,
    };
    Some(Shape {
        side,
        place,
        weight: Weight::Signature,
    })
}

/// `MSNP2` to `MSNP21`, in either case.
fn is_dialect(token: &str) -> bool {
    let (name, number) = token.split_at_checked(4).unwrap_or_default();
    name.eq_ignore_ascii_case("MSNP")
        && number.len() <= 2
        && is_number(number)
        && !number.starts_with('0')
}

fn is_account(param: &str) -> bool {
    account(param).is_some()
}

/// 32 hexadecimal digits.
pub(super) fn is_md5(param: &str) -> bool {
    param.len() == 32 && param.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Digits and dots, such as `8.5.1302`, and the salt `989048851.1851137130`.
fn is_version(param: &str) -> bool {
    !param.is_empty() && param.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_status(param: &str) -> bool {
    matches!(
        param,
        "NLN" | "BSY" | "IDL" | "BRB" | "AWY" | "PHN" | "LUN" | "HDN" | "FLN"
    )
}

/// `host:port`.
fn is_endpoint(param: &str) -> bool {
    param
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn ends_in_number(line: &Line<'_>) -> bool {
    line.params().last().is_some_and(is_number)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Line, Place, Shape, Side, Weight, shape, viable};

    fn judge(text: &str) -> Option<Shape> {
        shape(&Line::parse(text)?)
    }

    #[test]
    fn the_side_is_in_the_form() {
        for (text, side, place, weight) in [
            (
                "VER 1 MSNP15 MSNP14 CVR0",
                Side::Client,
                Place::Notification,
                Weight::Proof,
            ),
            (
                "VER 1 msnp15",
                Side::Either,
                Place::Notification,
                Weight::Proof,
            ),
            (
                "USR 93 alice@example.com 1835953129.20013021.2623242",
                Side::Client,
                Place::Switchboard,
                Weight::Signature,
            ),
            (
                "USR 93 OK alice@example.com Alice",
                Side::Server,
                Place::Either,
                Weight::Signature,
            ),
            (
                "USR 4 OK alice@example.com Alice 1 0",
                Side::Server,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 3 TWN I alice@example.com",
                Side::Client,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 3 TWN S lc=1033,id=507,tw=40",
                Side::Server,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 4 TWN S t=abc&p=def",
                Side::Client,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 3 MD5 S 989048851.1851137130",
                Side::Server,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 4 MD5 S c4b26d6e3c1e077ea7f72ce010416663",
                Side::Client,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 3 SSO S MBI_KEY_OLD bm9uY2U=",
                Side::Server,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "USR 4 SSO S t=ticket bm9uY2U=",
                Side::Client,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "ANS 1 bob@example.com 1139803431.29427 17522047",
                Side::Client,
                Place::Switchboard,
                Weight::Signature,
            ),
            (
                "MSG 95 U 96",
                Side::Client,
                Place::Switchboard,
                Weight::Structured,
            ),
            (
                "MSG bob@example.com Bob 96",
                Side::Server,
                Place::Switchboard,
                Weight::Structured,
            ),
            (
                "MSG Hotmail Hotmail 500",
                Side::Server,
                Place::Notification,
                Weight::Structured,
            ),
            (
                "XFR 10 SB 192.0.2.7:1863 CKI 17.20.26",
                Side::Server,
                Place::Notification,
                Weight::Signature,
            ),
            (
                "CHL 0 15570131571988941333",
                Side::Server,
                Place::Notification,
                Weight::Structured,
            ),
        ] {
            assert_eq!(
                judge(text),
                Some(Shape {
                    side,
                    place,
                    weight
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_command() {
        for text in [
            "VER 1.0",
            "VER MSNFTP",
            "VER 1 MSNFTP",
            "VER 1 MSNP",
            "VER 1 MSNP150",
            "USR bob@example.com 93301",
            "USR 1 bob token",
            "ANS 1",
            "BYE 16777989",
            "MSG foo.bar 9 11",
            "MSG hello",
            "MSG 1 X 10",
            "NLN NLN alice Alice",
            "XFR 1 SB host CKI 1",
            "500 7",
            "ABC 1",
        ] {
            assert_eq!(judge(text), None, "{text}");
        }
    }

    #[test]
    fn other_text_is_refused_within_a_few_bytes() {
        for text in [
            "USE", "VRF", "GET", "HTT", "220", "VER a", "VER M", "USR b", "PIN", "+OK", "EHL",
            "MSG  ", "ACK\r",
        ] {
            assert!(!viable(text.as_bytes()), "{text}");
        }
        for text in ["", "V", "VE", "VER", "VER ", "VER 1", "PNG\r", "MSG a"] {
            assert!(viable(text.as_bytes()), "{text}");
        }
    }
}
