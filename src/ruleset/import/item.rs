//! Parts of a rule file, as they are written down.

use crate::model::Transport;
use crate::ruleset::HostUse;
use std::fmt::Write;

/// Longest text that a rule file takes, with room for what is put before it.
const MAX_TEXT: usize = 300;

/// The head of a rule file.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) about: String,
}

impl Head {
    pub(super) fn toml(&self) -> String {
        format!(
            "id = {}\nname = {}\nabout = {}\npolicy = \"asked\"\n",
            quoted(&self.id),
            quoted(&self.name),
            quoted(&self.about)
        )
    }
}

/// Who begins like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
    Either,
}

/// A byte, and which of its bits count.
pub(super) type Masked = (u8, u8);

/// One part.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Beginning {
        /// Behind the messenger's id.
        id: String,
        transport: Transport,
        from: From,
        /// Where the first of them stands.
        offset: usize,
        bytes: Vec<Masked>,
        length: Option<usize>,
        longest: Option<usize>,
        port: Option<(u16, u16)>,
        regex: Option<String>,
        within: Option<usize>,
        reference: String,
        note: String,
    },
    Host {
        name: String,
        suffix: bool,
        usage: HostUse,
        reference: String,
        note: String,
    },
}

impl Item {
    /// What no other part of the file may state.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Beginning { id, .. } => id.clone(),
            Self::Host {
                name, suffix: true, ..
            } => format!("*.{name}"),
            Self::Host { name, .. } => name.clone(),
        }
    }

    pub(super) fn toml(&self, service: &str) -> String {
        let mut text = String::from("\n");
        // Into a string: this cannot fail.
        let mut line = |key: &str, value: String| {
            let _ = writeln!(text, "{key} = {value}");
        };
        match self {
            Self::Beginning {
                id,
                transport,
                from,
                offset,
                bytes,
                length,
                longest,
                port,
                regex,
                within,
                reference,
                note,
            } => {
                line("id", quoted(&format!("{service}/{id}")));
                let transport = match transport {
                    Transport::Tcp => "tcp",
                    Transport::Udp => "udp",
                };
                line("transport", quoted(transport));
                let from = match from {
                    From::Client => "client",
                    From::Server => "server",
                    From::Either => "either",
                };
                line("sender", quoted(from));
                line("bytes", quoted(&hex(bytes.iter().map(|(byte, _)| *byte))));
                if bytes.iter().any(|(_, mask)| *mask != 0xff) {
                    line("mask", quoted(&hex(bytes.iter().map(|(_, mask)| *mask))));
                }
                let mut number = |key: &str, value: Option<usize>| {
                    if let Some(value) = value {
                        line(key, value.to_string());
                    }
                };
                number("offset", Some(*offset).filter(|offset| *offset > 0));
                number("length", *length);
                number("longest", *longest);
                if let Some((first, last)) = port {
                    let range = format!("{first}-{last}");
                    line("port", quoted(&range));
                }
                if let Some(regex) = regex {
                    line("regex", quoted(regex));
                }
                if let Some(within) = within {
                    line("within", within.to_string());
                }
                line("source", quoted("field"));
                line("reference", quoted(reference));
                line("note", quoted(note));
                format!("\n[[beginning]]{text}")
            }
            Self::Host {
                name,
                suffix,
                usage,
                reference,
                note,
            } => {
                line("name", quoted(name));
                line("match", quoted(if *suffix { "suffix" } else { "exact" }));
                line("feature", quoted("everything"));
                line("use", quoted(usage.name()));
                line("source", quoted("field"));
                line("reference", quoted(reference));
                line("note", quoted(note));
                format!("\n[[host]]{text}")
            }
        }
    }
}

fn hex(bytes: impl Iterator<Item = u8>) -> String {
    let bytes: Vec<_> = bytes.map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// One line of text that a rule file takes: what somebody else wrote ends up in the comments of firewall files.
pub(super) fn plain(text: &str, otherwise: &str) -> String {
    let one_line = text.replace(|c: char| c.is_control(), " ");
    let words: Vec<_> = one_line.split_whitespace().collect();
    let text: String = words.join(" ").chars().take(MAX_TEXT).collect();
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}
