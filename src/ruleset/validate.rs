//! From the shape of a rule file to facts that the rest of the program may trust.
//!
//! Names and notes end up in the comments and chain names of firewall files, so what could break out of a
//! comment (a line break, a quote in an id) is refused here.

use super::error::{Mistake, SourceFile};
use super::parse::{self, RawHost, RawPort};
use super::{
    Feature, HostMatch, HostRule, HostUse, Messenger, Opening, PortRange, PortRule, Source,
};
use crate::model::{Service, Transport};
use std::collections::HashMap;
use std::ops::Range;
use toml::Spanned;

/// A port-only guess from a wider range would be a guess at random.
const MAX_HINT_PORTS: u32 = 1024;
/// `IMW-` + id + `-` + feature must fit into the 28 characters of an iptables chain name.
const MAX_ID: usize = 14;
const MAX_FACT_ID: usize = 60;
const MAX_TEXT: usize = 400;

/// What was claimed by which fact, over all files.
#[derive(Default)]
struct Seen {
    services: HashMap<String, String>,
    facts: HashMap<String, String>,
    hosts: HashMap<(String, &'static str), (String, HostUse, Service)>,
}

/// Reads all files; on mistakes, as many of them as can be told at once.
pub(super) fn messengers(
    files: impl IntoIterator<Item = SourceFile>,
) -> Result<Vec<Messenger>, Vec<Mistake>> {
    let mut seen = Seen::default();
    let mut mistakes = Vec::new();
    let mut messengers = Vec::new();
    for file in files {
        match parse::parse(&file) {
            Ok(raw) => {
                let mut check = Check {
                    file: &file,
                    mistakes: &mut mistakes,
                    seen: &mut seen,
                };
                messengers.extend(check.messenger(&raw));
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() {
        Ok(messengers)
    } else {
        Err(mistakes)
    }
}

struct Check<'a> {
    file: &'a SourceFile,
    mistakes: &'a mut Vec<Mistake>,
    seen: &'a mut Seen,
}

impl Check<'_> {
    fn wrong(&mut self, span: Range<usize>, message: impl Into<String>, label: impl Into<String>) {
        self.mistakes
            .push(Mistake::new(self.file, span, message, label));
    }

    fn messenger(&mut self, raw: &parse::RawFile) -> Option<Messenger> {
        let id = self.service_id(&raw.id)?;
        let service = Service::named(id);
        let name = self.text(&raw.name);
        let about = self.text(&raw.about);
        let limits = raw
            .limits
            .iter()
            .filter_map(|limit| self.text(limit))
            .collect();
        if raw.ports.is_empty() && raw.hosts.is_empty() {
            let message = format!("`{service}` has neither a port nor a host");
            self.wrong(raw.id.span(), message, "add a [[port]] or a [[host]]");
        }
        // All facts are looked at, also behind a wrong one: every mistake is told at once.
        let ports: Vec<_> = raw
            .ports
            .iter()
            .map(|port| self.port(&service, port))
            .collect();
        let hosts: Vec<_> = raw
            .hosts
            .iter()
            .map(|host| self.host(&service, host))
            .collect();
        Some(Messenger {
            service,
            name: name?,
            about: about?,
            limits,
            ports: ports.into_iter().collect::<Option<_>>()?,
            hosts: hosts.into_iter().collect::<Option<_>>()?,
            origin: self.file.origin(0),
        })
    }

    fn service_id(&mut self, id: &Spanned<String>) -> Option<String> {
        let text = id.get_ref();
        let shaped = text.len() <= MAX_ID
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_id_char);
        if !shaped {
            let message = format!("`{}` cannot name a messenger", text.escape_debug());
            let label =
                format!("a letter, then letters, digits and '-', all lower case, at most {MAX_ID}");
            self.wrong(id.span(), message, label);
            return None;
        }
        if text == "oscar" {
            self.wrong(
                id.span(),
                "`oscar` is taken: it says \"AIM or ICQ\"",
                "choose another id",
            );
            return None;
        }
        let here = self.file.origin(id.span().start).to_string();
        if let Some(first) = self.seen.services.get(text) {
            let message = format!("messenger `{text}` is defined twice");
            let label = format!("first defined at {first}");
            self.wrong(id.span(), message, label);
            return None;
        }
        self.seen.services.insert(text.clone(), here);
        Some(text.clone())
    }

    fn port(&mut self, service: &Service, raw: &RawPort) -> Option<PortRule> {
        let id = self.fact_id(service, &raw.id);
        let feature = self.feature(&raw.feature);
        let transport = self.choice(
            "transport",
            &raw.transport,
            &[("tcp", Transport::Tcp), ("udp", Transport::Udp)],
        );
        let ports = self.port_range(&raw.port);
        let opening = match &raw.direction {
            Some(direction) => {
                self.choice("direction", direction, &Opening::ALL.map(|o| (o.name(), o)))
            }
            None => Some(Opening::Out),
        };
        let source = self.source(&raw.source);
        let shared_with = raw.shared_with.as_ref().map(|text| self.text(text));
        let note = raw.note.as_ref().map(|text| self.text(text));
        let hint = self.hint(raw, ports);
        if let (Some(Feature::Everything), true) = (feature, ports.is_some()) {
            self.wrong(
                raw.feature.span(),
                "a port cannot serve `everything`",
                "this is for hosts that are denied on all ports",
            );
        }
        Some(PortRule {
            id: id?,
            feature: feature?,
            transport: transport?,
            ports: ports?,
            opening: opening?,
            source: source?,
            hint: hint?,
            shared_with: optional(shared_with)?,
            note: optional(note)?,
            origin: self.file.origin(raw.id.span().start),
        })
    }

    fn fact_id(&mut self, service: &Service, id: &Spanned<String>) -> Option<String> {
        let text = id.get_ref();
        let own = text
            .strip_prefix(service.id())
            .and_then(|rest| rest.strip_prefix('/'));
        let shaped = text.len() <= MAX_FACT_ID
            && own.is_some_and(|own| !own.is_empty() && own.chars().all(is_id_char));
        if !shaped {
            let message = format!(
                "`{}` cannot name a fact of `{service}`",
                text.escape_debug()
            );
            let label = format!("`{service}/` and lower-case letters, digits and '-'");
            self.wrong(id.span(), message, label);
            return None;
        }
        let here = self.file.origin(id.span().start).to_string();
        if let Some(first) = self.seen.facts.get(text) {
            let label = format!("first used at {first}");
            self.wrong(id.span(), format!("the id `{text}` is used twice"), label);
            return None;
        }
        self.seen.facts.insert(text.clone(), here);
        Some(text.clone())
    }

    fn port_range(&mut self, port: &Spanned<toml::Value>) -> Option<PortRange> {
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

    /// A port that others own makes no guess; neither does half the port space.
    fn hint(&mut self, raw: &RawPort, ports: Option<PortRange>) -> Option<bool> {
        let wide = ports.is_some_and(|ports| ports.count() > MAX_HINT_PORTS);
        let Some(hint) = &raw.hint else {
            return Some(raw.shared_with.is_none() && !wide);
        };
        if *hint.get_ref() && raw.shared_with.is_some() {
            self.wrong(
                hint.span(),
                "a port that others own cannot be a hint",
                "leave out `hint` or `shared_with`",
            );
            return None;
        }
        if *hint.get_ref() && wide {
            let label = format!("at most {MAX_HINT_PORTS} ports");
            self.wrong(hint.span(), "so wide a range cannot be a hint", label);
            return None;
        }
        Some(*hint.get_ref())
    }

    fn host(&mut self, service: &Service, raw: &RawHost) -> Option<HostRule> {
        let name = self.host_name(&raw.name);
        let matching = self.choice(
            "match",
            &raw.matching,
            &[("exact", HostMatch::Exact), ("suffix", HostMatch::Suffix)],
        );
        let feature = self.feature(&raw.feature);
        let usage = self.choice(
            "use",
            &raw.usage,
            &[
                ("exclusive", HostUse::Exclusive),
                ("shared", HostUse::Shared),
            ],
        );
        let source = self.source(&raw.source);
        let note = raw.note.as_ref().map(|text| self.text(text));
        let (name, matching, usage) = (name?, matching?, usage?);
        self.host_once(service, raw, &name, matching, usage)?;
        Some(HostRule {
            name,
            matching,
            feature: feature?,
            usage,
            source: source?,
            note: optional(note)?,
            origin: self.file.origin(raw.name.span().start),
        })
    }

    /// A host is stated once; only what is shared may be stated by several messengers.
    fn host_once(
        &mut self,
        service: &Service,
        raw: &RawHost,
        name: &str,
        matching: HostMatch,
        usage: HostUse,
    ) -> Option<()> {
        let here = self.file.origin(raw.name.span().start).to_string();
        let key = (name.to_owned(), matching.name());
        match self.seen.hosts.get(&key) {
            None => {
                self.seen.hosts.insert(key, (here, usage, service.clone()));
                Some(())
            }
            Some((_, HostUse::Shared, other)) if usage == HostUse::Shared && other != service => {
                Some(())
            }
            Some((first, _, _)) => {
                let label = format!("first named at {first}");
                self.wrong(
                    raw.name.span(),
                    format!("the host {name} is named twice"),
                    label,
                );
                None
            }
        }
    }

    fn host_name(&mut self, name: &Spanned<String>) -> Option<String> {
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

    fn feature(&mut self, feature: &Spanned<String>) -> Option<Feature> {
        self.choice("feature", feature, &Feature::ALL.map(|f| (f.name(), f)))
    }

    fn source(&mut self, source: &Spanned<String>) -> Option<Source> {
        self.choice("source", source, &Source::ALL.map(|s| (s.name(), s)))
    }

    fn choice<T: Copy>(
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
    fn text(&mut self, text: &Spanned<String>) -> Option<String> {
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
fn optional(value: Option<Option<String>>) -> Option<Option<String>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(some) => Some(some),
    }
}

fn is_id_char(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.chars().all(|c| is_id_char(c) || c == '_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
