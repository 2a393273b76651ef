//! Values as an administrator writes them in a TOML file, turned into what the program may trust, or into a mistake with its place.
//!
//! Names and notes end up in the comments and chain names of firewall files, so what could break out of a
//! comment (a line break, a quote in an id) is refused here.

use super::error::{Mistake, SourceFile};
use super::{Feature, PortRange, Source};
use serde::de::DeserializeOwned;
use std::ops::Range;
use toml::Spanned;

const MAX_TEXT: usize = 400;

/// One file being read, and all that is wrong with it so far.
pub struct Reader<'a> {
    /// The file.
    pub file: &'a SourceFile,
    /// Its mistakes.
    pub mistakes: &'a mut Vec<Mistake>,
}

/// A file's shape; the mistake, if it has another.
pub fn toml<T: DeserializeOwned>(file: &SourceFile, otherwise: &str) -> Result<T, Mistake> {
    toml::from_str(&file.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        // The parser may add lines of its own; the first one says what is wrong.
        let message = error.message().lines().next().unwrap_or(otherwise);
        Mistake::new(file, span, message, "here")
    })
}

impl Reader<'_> {
    /// Notes a mistake: what is wrong, and what belongs in this place.
    pub fn wrong(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) {
        self.mistakes
            .push(Mistake::new(self.file, span, message, label));
    }

    /// `5190`, or `"6892-6900"`.
    pub fn port_range(&mut self, port: &Spanned<toml::Value>) -> Option<PortRange> {
        let number = |text: &str| text.trim().parse::<u16>().ok();
        let (first, last) = match port.get_ref() {
            toml::Value::Integer(number) => {
                let number = u16::try_from(*number).ok();
                (number, number)
            }
            toml::Value::String(text) => match text.split_once('-') {
                Some((first, last)) => (number(first), number(last)),
                None => (number(text), number(text)),
            },
            _ => (None, None),
        };
        let (Some(first), Some(last)) = (first, last) else {
            self.wrong(
                port.span(),
                "not a port",
                "a number from 1 to 65535, or \"6892-6900\"",
            );
            return None;
        };
        let range = PortRange::new(first, last);
        if range.is_none() {
            if first == 0 {
                self.wrong(port.span(), "port 0 is no port", "ports go from 1 to 65535");
            } else {
                let label = format!("did you mean \"{last}-{first}\"?");
                self.wrong(port.span(), "the range is reversed", label);
            }
        }
        range
    }

    /// A name of two labels or more, in lower case, without a final dot.
    pub fn host_name(&mut self, name: &Spanned<String>) -> Option<String> {
        let text = name.get_ref().to_ascii_lowercase();
        let text = text.strip_suffix('.').unwrap_or(&text);
        let problem = if text.len() > 253 {
            Some("a host name has at most 253 characters")
        } else if text.parse::<std::net::IpAddr>().is_ok() {
            Some("this is an address, not a name")
        } else if !text.contains('.') {
            Some("a host name has at least two labels, such as \"chat.example\"")
        } else if !text.split('.').all(is_label) {
            Some("labels are letters, digits, '-' and '_', 1 to 63 of them, with dots between")
        } else {
            None
        };
        match problem {
            None => Some(text.to_owned()),
            Some(problem) => {
                let message = format!("`{}` is no host name", name.get_ref().escape_debug());
                self.wrong(name.span(), message, problem);
                None
            }
        }
    }

    /// One of the features that there are.
    pub fn feature(&mut self, feature: &Spanned<String>) -> Option<Feature> {
        self.choice("feature", feature, &Feature::ALL.map(|f| (f.name(), f)))
    }

    /// One of the sources that there are.
    pub fn source(&mut self, source: &Spanned<String>) -> Option<Source> {
        self.choice("source", source, &Source::ALL.map(|s| (s.name(), s)))
    }

    /// One of several words.
    pub fn choice<T: Copy>(
        &mut self,
        what: &str,
        value: &Spanned<String>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = value.get_ref();
        let found = choices
            .iter()
            .find(|(name, _)| name == text)
            .map(|&(_, choice)| choice);
        if found.is_none() {
            let names: Vec<_> = choices.iter().map(|&(name, _)| name).collect();
            let message = format!("unknown {what} `{}`", text.escape_debug());
            self.wrong(
                value.span(),
                message,
                format!("one of: {}", names.join(", ")),
            );
        }
        found
    }

    /// Free text, one line of it.
    pub fn text(&mut self, text: &Spanned<String>) -> Option<String> {
        let value = text.get_ref().trim();
        let problem = if value.is_empty() {
            Some("say something here")
        } else if value.chars().any(char::is_control) {
            Some("one line, without control characters: it goes into comments of firewall files")
        } else if value.chars().count() > MAX_TEXT {
            Some("at most 400 characters")
        } else {
            None
        };
        match problem {
            None => Some(value.to_owned()),
            Some(problem) => {
                self.wrong(text.span(), "this text cannot be used", problem);
                None
            }
        }
    }
}

/// `None` outside stands for a mistake, `Some(None)` for "not given".
#[allow(
    clippy::option_option,
    reason = "absent and wrong are different things here"
)]
pub(super) fn optional<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

pub(super) fn is_id_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

pub(super) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.chars().all(|c| is_id_char(c) || c == '_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
