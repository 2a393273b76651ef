//! One rule: its head, and its options as far as they can be said.

use super::super::item::From;
use crate::model::Transport;

/// What is wrong, and the byte of the rule where.
pub(super) type Wrong = (usize, String);

/// An option: its place, its name, its value.
type Written<'a> = (usize, &'a str, &'a [u8]);

/// Longest list of contents; a rule with more is no simple one.
const MAX_CONTENTS: usize = 16;

/// Where the contents are looked for, when that is not the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    ServerName,
    DnsQuery,
}

/// One `content`, with what stands behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// The byte of the rule where it begins.
    pub(super) at: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) nocase: bool,
    pub(super) startswith: bool,
    pub(super) endswith: bool,
    pub(super) offset: Option<usize>,
    pub(super) depth: Option<usize>,
    pub(super) distance: Option<i64>,
    pub(super) within: Option<usize>,
}

/// A rule as it was written.
#[derive(Debug)]
pub(super) struct Rule<'a> {
    pub(super) transport: Transport,
    pub(super) from: From,
    /// The server's ports.
    pub(super) port: Option<(u16, u16)>,
    pub(super) buffer: Option<Buffer>,
    /// Its protocol is one whose names alone can be said.
    pub(super) names_only: bool,
    pub(super) dotprefix: bool,
    pub(super) bsize: Option<usize>,
    pub(super) contents: Vec<Content>,
    /// How long a datagram is: at least, at most.
    pub(super) size: (Option<usize>, Option<usize>),
    pub(super) sid: Option<u64>,
    pub(super) rev: Option<&'a str>,
    pub(super) msg: String,
    pub(super) references: Vec<String>,
}

/// The number of a rule that may not be readable else.
pub(super) fn sid(rule: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(rule);
    let (_, behind) = text.rsplit_once("sid:")?;
    behind.split(';').next()?.trim().parse().ok()
}

fn no<T>(at: usize, reason: impl Into<String>) -> Result<T, Wrong> {
    Err((at, reason.into()))
}

impl<'a> Rule<'a> {
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Wrong> {
        let Some(open) = text.iter().position(|byte| *byte == b'(') else {
            return no(0, "no options in parentheses");
        };
        if text.last() != Some(&b')') {
            return no(text.len(), "no `)` at its end");
        }
        let Ok(head) = std::str::from_utf8(&text[..open]) else {
            return no(0, "its head is no text");
        };
        let mut rule = Self::head(head)?;
        let options = options(text, open + 1, text.len() - 1)?;
        let mut directed = None;
        for (at, key, value) in options {
            rule.option(at, key, value, &mut directed)?;
        }
        if let Some(from) = directed {
            rule.from = from;
        }
        Ok(rule)
    }

    /// `alert tcp $HOME_NET any -> $EXTERNAL_NET 5222`.
    fn head(head: &str) -> Result<Self, Wrong> {
        let place = |word: &str| word.as_ptr() as usize - head.as_ptr() as usize;
        let words: Vec<_> = head.split_whitespace().collect();
        let &[
            action,
            protocol,
            source,
            source_port,
            way,
            target,
            target_port,
        ] = words.as_slice()
        else {
            return no(
                0,
                "a head has seven words, such as `alert tcp any any -> any any`",
            );
        };
        if !matches!(
            action,
            "alert" | "drop" | "reject" | "rejectsrc" | "rejectdst" | "rejectboth"
        ) {
            return no(
                place(action),
                format!("the action `{action}` finds nothing"),
            );
        }
        let (transport, names_only) = match protocol {
            "tcp" | "tcp-stream" => (Transport::Tcp, false),
            "udp" => (Transport::Udp, false),
            "tls" => (Transport::Tcp, true),
            "dns" => (Transport::Udp, true),
            _ => {
                return no(
                    place(protocol),
                    format!("`{protocol}`: only tcp, tcp-stream, udp, tls and dns can be said"),
                );
            }
        };
        for address in [source, target] {
            let anybody = matches!(
                address,
                "any" | "$HOME_NET" | "$EXTERNAL_NET" | "!$HOME_NET"
            );
            if !anybody {
                return no(
                    place(address),
                    format!("`{address}`: a rule here is about any address"),
                );
            }
        }
        if !matches!(way, "->" | "<>") {
            return no(place(way), "`->` or `<>` stands here");
        }
        let ports = [
            range(place(source_port), source_port)?,
            range(place(target_port), target_port)?,
        ];
        let (port, from) = match (ports, way) {
            ([None, None], _) => (None, From::Either),
            ([None, port], "->") => (port, From::Client),
            ([port, None], "->") => (port, From::Server),
            _ => return no(place(source_port), "ports of both sides cannot be said"),
        };
        Ok(Self {
            transport,
            from,
            port,
            buffer: None,
            names_only,
            dotprefix: false,
            bsize: None,
            contents: Vec::new(),
            size: (None, None),
            sid: None,
            rev: None,
            msg: String::new(),
            references: Vec::new(),
        })
    }

    fn option(
        &mut self,
        at: usize,
        key: &'a str,
        value: &'a [u8],
        directed: &mut Option<From>,
    ) -> Result<(), Wrong> {
        let text = || std::str::from_utf8(value).map_err(|_| (at, format!("`{key}` is no text")));
        match key {
            "msg" => self.msg = String::from_utf8_lossy(&unquoted(value)).into_owned(),
            "sid" => self.sid = Some(number(at, key, text()?)?),
            "rev" => self.rev = Some(text()?),
            "reference" => self.references.push(text()?.replace(',', ":")),
            // About alerts, or about how fast it is.
            "gid" | "classtype" | "metadata" | "priority" | "target" | "fast_pattern"
            | "rawbytes" | "prefilter" => {}
            "threshold" if text()?.contains("type limit") => {}
            "flowbits" if text()?.starts_with("set,") => {}
            "flow" => flow(at, text()?, directed)?,
            "tls.sni" | "tls_sni" => self.sticky(at, Buffer::ServerName)?,
            "dns.query" | "dns_query" => self.sticky(at, Buffer::DnsQuery)?,
            "dotprefix" => self.dotprefix = true,
            "bsize" => self.bsize = Some(number(at, key, text()?)?),
            "dsize" => self.dsize(at, text()?)?,
            "content" => {
                if self.contents.len() >= MAX_CONTENTS {
                    return no(at, format!("more than {MAX_CONTENTS} contents"));
                }
                let bytes = bytes(at, value)?;
                self.contents.push(Content {
                    at,
                    bytes,
                    ..Content::default()
                });
            }
            "nocase" | "startswith" | "endswith" | "offset" | "depth" | "distance" | "within" => {
                let Some(content) = self.contents.last_mut() else {
                    return no(at, format!("`{key}` without a `content` before it"));
                };
                match key {
                    "nocase" => content.nocase = true,
                    "startswith" => content.startswith = true,
                    "endswith" => content.endswith = true,
                    "offset" => content.offset = Some(number(at, key, text()?)?),
                    "depth" => content.depth = Some(number(at, key, text()?)?),
                    "distance" => content.distance = Some(number(at, key, text()?)?),
                    _ => content.within = Some(number(at, key, text()?)?),
                }
            }
            _ => return no(at, format!("`{}` cannot be said", key.escape_debug())),
        }
        Ok(())
    }

    fn sticky(&mut self, at: usize, buffer: Buffer) -> Result<(), Wrong> {
        if !self.contents.is_empty() {
            return no(at, "contents of the payload and of a name in one rule");
        }
        self.buffer = Some(buffer);
        Ok(())
    }

    fn dsize(&mut self, at: usize, text: &str) -> Result<(), Wrong> {
        if self.transport == Transport::Tcp {
            return no(
                at,
                "`dsize`: how a stream is cut into packets says nothing here",
            );
        }
        let text = text.trim();
        let size = |text: &str| number(at, "dsize", text);
        self.size = if let Some(least) = text.strip_prefix('>') {
            (Some(size(least)? + 1), None)
        } else if let Some(most) = text.strip_prefix('<') {
            let most: usize = size(most)?;
            let Some(most) = most.checked_sub(1) else {
                return no(at, "`dsize:<0` is never met");
            };
            (None, Some(most))
        } else if let Some((least, most)) = text.split_once("<>") {
            // Both ends are left out.
            let most: usize = size(most)?;
            (Some(size(least)? + 1), Some(most.saturating_sub(1)))
        } else {
            let exactly = size(text)?;
            (Some(exactly), Some(exactly))
        };
        Ok(())
    }
}

/// `established,to_server`.
fn flow(at: usize, text: &str, directed: &mut Option<From>) -> Result<(), Wrong> {
    for word in text.split(',').map(str::trim) {
        match word {
            "established" | "stateless" => {}
            "to_server" | "from_client" => *directed = Some(From::Client),
            "to_client" | "from_server" => *directed = Some(From::Server),
            _ => return no(at, format!("`flow:{}` cannot be said", word.escape_debug())),
        }
    }
    Ok(())
}

/// `any`, `5222`, `5222:5230`, `1024:`.
fn range(at: usize, text: &str) -> Result<Option<(u16, u16)>, Wrong> {
    if text == "any" {
        return Ok(None);
    }
    let port = |text: &str, otherwise: u16| match text {
        "" => Some(otherwise),
        text => text.parse::<u16>().ok(),
    };
    let (first, last) = match text.split_once(':') {
        Some((first, last)) => (port(first, 1), port(last, u16::MAX)),
        None => (text.parse().ok(), text.parse().ok()),
    };
    match (first, last) {
        (Some(first @ 1..), Some(last)) if first <= last => Ok(Some((first, last))),
        _ => no(
            at,
            format!(
                "`{}`: one port or one range can be said",
                text.escape_debug()
            ),
        ),
    }
}

fn number<T: std::str::FromStr>(at: usize, key: &str, text: &str) -> Result<T, Wrong> {
    let number = text.trim().parse().ok();
    number.ok_or_else(|| (at, format!("`{key}` without a number that can be used")))
}

/// Options; a value may be quoted.
fn options(text: &[u8], from: usize, end: usize) -> Result<Vec<Written<'_>>, Wrong> {
    let mut options = Vec::new();
    let mut at = from;
    while at < end {
        let blanks = text[at..end]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace());
        at += blanks.count();
        if at >= end {
            break;
        }
        let (mut quoted, mut escaped) = (false, false);
        let length = text[at..end].iter().position(|byte| {
            let ends = *byte == b';' && !quoted && !escaped;
            if !escaped && *byte == b'"' {
                quoted = !quoted;
            }
            escaped = !escaped && *byte == b'\\';
            ends
        });
        let Some(length) = length else {
            return no(at, "an option without its `;`");
        };
        let option = &text[at..at + length];
        let colon = option.iter().position(|byte| *byte == b':');
        let (key, value) = match colon {
            Some(colon) => (&option[..colon], &option[colon + 1..]),
            None => (option, &[][..]),
        };
        let Ok(key) = std::str::from_utf8(key.trim_ascii()) else {
            return no(at, "an option whose name is no text");
        };
        options.push((at, key, value.trim_ascii()));
        at += length + 1;
    }
    Ok(options)
}

/// Without its quotes and escapes.
fn unquoted(value: &[u8]) -> Vec<u8> {
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    let value = value.strip_suffix(b"\"").unwrap_or(value);
    let mut escaped = false;
    let kept = value.iter().filter(|byte| {
        let drop = **byte == b'\\' && !escaped;
        escaped = drop;
        !drop
    });
    kept.copied().collect()
}

/// `"GET |0d 0a|"`: text, with bytes in hexadecimal between bars.
fn bytes(at: usize, value: &[u8]) -> Result<Vec<u8>, Wrong> {
    if value.starts_with(b"!") {
        return no(at, "`content:!`: what must not be there cannot be said");
    }
    let inside = value
        .strip_prefix(b"\"")
        .and_then(|value| value.strip_suffix(b"\""));
    let Some(inside) = inside.filter(|inside| !inside.is_empty()) else {
        return no(at, "a content without its quotes, or an empty one");
    };
    let mut bytes = Vec::new();
    let mut rest = inside;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match byte {
            b'|' => {
                let Some(end) = rest.iter().position(|byte| *byte == b'|') else {
                    return no(at, "a `|` without the other");
                };
                let digits: Vec<u8> = rest[..end]
                    .iter()
                    .filter(|byte| !byte.is_ascii_whitespace())
                    .copied()
                    .collect();
                for pair in digits.chunks(2) {
                    let text = std::str::from_utf8(pair).unwrap_or_default();
                    let hex = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
                    let Some(byte) = u8::from_str_radix(text, 16).ok().filter(|_| hex) else {
                        return no(at, "two hexadecimal digits a byte stand between bars");
                    };
                    bytes.push(byte);
                }
                rest = &rest[end + 1..];
            }
            b'\\' => match rest {
                [escaped, behind @ ..] => {
                    bytes.push(*escaped);
                    rest = behind;
                }
                [] => return no(at, "a `\\` with nothing behind it"),
            },
            byte => bytes.push(*byte),
        }
    }
    if bytes.is_empty() {
        return no(at, "an empty content");
    }
    Ok(bytes)
}
