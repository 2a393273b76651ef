//! One line: who says it, a command, parameters.

/// A line has at most 512 bytes (RFC 1459, 2.3), and as much as 8191 of tags before it (`IRCv3`).
pub(super) const MAX_LINE: usize = 8192 + 512;

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Who says it, when it goes to a client: a server's name, or `nick!user@host`.
    pub prefix: Option<&'a str>,
    /// A word, or three digits.
    pub command: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    /// `None` for what is no line of the protocol.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let text = text.trim_end_matches(['\r', '\n']);
        if text.contains(['\0', '\r', '\n']) {
            return None;
        }
        let text = match text.strip_prefix('@') {
            Some(tagged) => tagged.split_once(' ')?.1.trim_start_matches(' '),
            None => text,
        };
        let (prefix, text) = match text.strip_prefix(':') {
            Some(named) => {
                let (prefix, text) = named.split_once(' ')?;
                (Some(prefix), text)
            }
            None => (None, text),
        };
        let text = text.trim_start_matches(' ');
        let (command, rest) = text.split_once(' ').unwrap_or((text, ""));
        let word = !command.is_empty() && command.bytes().all(|byte| byte.is_ascii_alphabetic());
        let number = command.len() == 3 && command.bytes().all(|byte| byte.is_ascii_digit());
        let named = prefix.is_none_or(|name| !name.is_empty());
        (named && (word || number)).then_some(Self {
            prefix,
            command,
            rest,
        })
    }

    /// The parameters; the last one may hold blanks.
    pub fn params(self) -> Params<'a> {
        Params(self.rest)
    }

    /// One of them.
    pub fn param(self, n: usize) -> Option<&'a str> {
        self.params().nth(n)
    }

    /// The nickname in the prefix `nick!user@host`.
    pub fn nick(self) -> Option<&'a str> {
        let (nick, host) = self.prefix?.split_once('!')?;
        (is_nick(nick) && host.contains('@')).then_some(nick)
    }
}

/// Parameters, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Params<'a>(&'a str);

impl<'a> Iterator for Params<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        if let Some(last) = rest.strip_prefix(':') {
            self.0 = "";
            return Some(last);
        }
        let (param, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        self.0 = rest;
        Some(param)
    }
}

/// Whether this can be a nickname: RFC 2812, 2.3.1, and the longer ones and letters that networks allow.
pub(super) fn is_nick(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || "-[]\\`_^{|}".contains(c);
    let first = |c: char| c.is_alphabetic() || "[]\\`_^{|}".contains(c);
    (1..=64).contains(&name.len()) && name.starts_with(first) && name.chars().all(fits)
}

/// Whether this names a channel.
pub(super) fn is_channel(name: &str) -> bool {
    name.len() <= 200 && name.starts_with(['#', '&', '+', '!']) && !name.contains(['\u{7}', ','])
}
