//! The parts of a rule file that are about what goes over the wire: protocols, addresses, signatures.

use super::parse::{RawAlpn, RawBeginning, RawFile, RawFingerprint, RawNetwork};
use super::read::optional;
use super::validate::Check;
use super::{AlpnRule, BeginningRule, Bytes, FingerprintRule, NetworkRule, Sender};
use crate::model::{Service, Transport};
use ipnet::IpNet;
use jiff::civil::Date;
use std::collections::BTreeMap;
use toml::Spanned;

/// What is known of a signature at least, in bits: less stands in too much that is no messenger. With a regex it may be less,
/// which says what else must be there.
const MIN_KNOWN_BITS: u32 = 32;
const MIN_KNOWN_BITS_WITH_REGEX: u32 = 24;
const MAX_OFFSET: usize = 256;
/// A side is not waited for longer.
const MAX_LENGTH: usize = 1200;
/// A compiled regex, and what it may use while it runs.
const MAX_REGEX: usize = 256 << 10;

/// The transports, by their names in rule files.
pub(super) const TRANSPORTS: [(&str, Transport); 2] =
    [("tcp", Transport::Tcp), ("udp", Transport::Udp)];

impl Check<'_> {
    #[allow(
        clippy::option_option,
        reason = "absent and wrong are different things here"
    )]
    pub(super) fn updated(&mut self, raw: &RawFile) -> Option<Option<Date>> {
        raw.updated
            .as_ref()
            .map_or(Some(None), |updated| self.date(updated).map(Some))
    }

    fn date(&mut self, text: &Spanned<String>) -> Option<Date> {
        let date = text.get_ref().parse::<Date>().ok();
        if date.is_none() {
            let label = "year, month and day, such as \"2026-11-28\"";
            self.read.wrong(text.span(), "not a date", label);
        }
        date
    }

    pub(super) fn fingerprints(&mut self, raw: &[RawFingerprint]) -> Option<Vec<FingerprintRule>> {
        let rules: Vec<_> = raw.iter().map(|raw| self.fingerprint(raw)).collect();
        rules.into_iter().collect()
    }

    fn fingerprint(&mut self, raw: &RawFingerprint) -> Option<FingerprintRule> {
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let date = self.date(&raw.date);
        if raw.ja4.get_ref().is_empty() {
            let label = "such as [\"t13d1516h2_8daaf6152771_e5627efa2ab1\"]";
            self.read.wrong(raw.ja4.span(), "no fingerprint", label);
        }
        let all: Vec<_> = raw.ja4.get_ref().iter().map(|ja4| self.ja4(ja4)).collect();
        let ja4: Vec<Option<String>> = all.into_iter().collect::<Option<_>>()?;
        Some(FingerprintRule {
            ja4: ja4.into_iter().flatten().collect(),
            date: date?,
            source: source?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.ja4.span().start),
        })
    }

    /// Nothing, when somebody else has it and this file gives way.
    #[allow(
        clippy::option_option,
        reason = "absent and wrong are different things here"
    )]
    fn ja4(&mut self, raw: &Spanned<String>) -> Option<Option<String>> {
        let text = raw.get_ref();
        if !is_ja4(text) {
            let message = format!("`{}` is no JA4 of a hello", text.escape_debug());
            let label =
                "such as \"t13d1516h2_8daaf6152771_e5627efa2ab1\": t (TLS) or q (QUIC) first";
            self.read.wrong(raw.span(), message, label);
            return None;
        }
        if let Some(first) = self.seen.ja4.get(text) {
            if self.yields {
                return Some(None);
            }
            let label = format!("first named at {first}");
            let message = format!("the fingerprint {text} is named twice");
            self.read.wrong(raw.span(), message, label);
            return None;
        }
        let here = self.read.file.origin(raw.span().start).to_string();
        self.seen.ja4.insert(text.clone(), here);
        Some(Some(text.clone()))
    }

    pub(super) fn alpns(&mut self, raw: &[RawAlpn]) -> Option<Vec<AlpnRule>> {
        let mut alpns = Vec::new();
        for raw in raw {
            let stated = self.seen.alpns.contains_key(raw.protocol.get_ref());
            if !(self.yields && stated) {
                alpns.push(self.alpn(raw));
            }
        }
        alpns.into_iter().collect()
    }

    fn alpn(&mut self, raw: &RawAlpn) -> Option<AlpnRule> {
        let protocol = raw.protocol.get_ref();
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let shared = ["h2", "h3", "http/1.1", "http/1.0", "spdy/3.1"];
        let problem = if protocol.is_empty()
            || protocol.len() > 255
            || !protocol.bytes().all(|byte| byte.is_ascii_graphic())
        {
            Some("1 to 255 printable characters")
        } else if shared.contains(&protocol.as_str()) {
            Some("this is the web's, and proves nothing")
        } else {
            None
        };
        if let Some(problem) = problem {
            self.read.wrong(
                raw.protocol.span(),
                "no messenger's protocol in TLS",
                problem,
            );
            return None;
        }
        let here = self.read.file.origin(raw.protocol.span().start);
        if let Some(first) = self.seen.alpns.get(protocol) {
            let label = format!("first named at {first}");
            let message = format!("the protocol {protocol} is named twice");
            self.read.wrong(raw.protocol.span(), message, label);
            return None;
        }
        self.seen.alpns.insert(protocol.clone(), here.to_string());
        Some(AlpnRule {
            protocol: protocol.clone(),
            source: source?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: here,
        })
    }

    pub(super) fn networks(&mut self, raw: &RawFile) -> Option<Vec<NetworkRule>> {
        if let (Some(first), None) = (raw.networks.first(), &raw.updated) {
            let label = "add `updated = \"YEAR-MONTH-DAY\"` to the file's head";
            self.read.wrong(
                first.net.span(),
                "address ranges move: the file needs a date",
                label,
            );
        }
        let networks: Vec<_> = raw
            .networks
            .iter()
            .filter_map(|network| self.network(network))
            .collect();
        networks.into_iter().collect()
    }

    /// Nothing, when somebody else has it and this file gives way.
    #[allow(
        clippy::option_option,
        reason = "absent and wrong are different things here"
    )]
    fn network(&mut self, raw: &RawNetwork) -> Option<Option<NetworkRule>> {
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let span = raw.net.span();
        let Ok(net) = raw.net.get_ref().parse::<IpNet>() else {
            self.read
                .wrong(span, "not a network", "such as \"192.0.2.0/24\"");
            return Some(None);
        };
        if net.trunc() != net {
            let label = format!("did you mean \"{}\"?", net.trunc());
            self.read
                .wrong(span, "the address has bits behind its prefix", label);
            return Some(None);
        }
        if net.prefix_len() < 8 {
            self.read
                .wrong(span, "so wide a network is nobody's", "at least /8");
            return Some(None);
        }
        let overlap = |other: &IpNet| other.contains(&net) || net.contains(other);
        if let Some((_, first)) = self.seen.networks.iter().find(|(other, _)| overlap(other)) {
            if self.yields {
                return None;
            }
            let label = format!("first named at {first}");
            self.read
                .wrong(span, "these addresses are named twice", label);
            return Some(None);
        }
        let origin = self.read.file.origin(span.start);
        self.seen.networks.push((net, origin.to_string()));
        let rule = |source, reference, note| NetworkRule {
            net,
            source,
            reference,
            note,
            origin,
        };
        match (source, optional(reference), optional(note)) {
            (Some(source), Some(reference), Some(note)) => {
                Some(Some(rule(source, reference, note)))
            }
            _ => Some(None),
        }
    }

    pub(super) fn beginnings(
        &mut self,
        service: &Service,
        raw: &[RawBeginning],
    ) -> Option<Vec<BeginningRule>> {
        let rules: Vec<_> = raw.iter().map(|raw| self.beginning(service, raw)).collect();
        let rules: Vec<BeginningRule> = rules.into_iter().collect::<Option<_>>()?;
        let known: BTreeMap<_, _> = rules.iter().map(|rule| (rule.id.as_str(), rule)).collect();
        let mut right = true;
        let firm = |rule: &BeginningRule| {
            rules.iter().any(|other| {
                let pair = rule.answers.as_ref() == Some(&other.id)
                    || other.answers.as_ref() == Some(&rule.id);
                pair && other.alone
            })
        };
        for (rule, raw) in rules.iter().zip(raw) {
            if !rule.alone && !firm(rule) {
                right = false;
                let label = "it needs another half that says something alone";
                self.read
                    .wrong(raw.id.span(), "this is never recognised", label);
            }
            let Some(answers) = &raw.answers else {
                continue;
            };
            let problem = match known.get(answers.get_ref().as_str()) {
                None => "the id of another beginning in this file",
                Some(asked) if asked.transport != rule.transport => {
                    "both must be of the same transport"
                }
                Some(asked) if asked.sender == rule.sender || asked.sender == Sender::Either => {
                    "one must be the client's and one the server's"
                }
                Some(_) => continue,
            };
            right = false;
            self.read
                .wrong(answers.span(), "this cannot be answered", problem);
        }
        right.then_some(rules)
    }

    fn beginning(&mut self, service: &Service, raw: &RawBeginning) -> Option<BeginningRule> {
        let id = self.fact_id(service, &raw.id);
        let transport = self.read.choice("transport", &raw.transport, &TRANSPORTS);
        let sender = self
            .read
            .choice("sender", &raw.sender, &Sender::ALL.map(|s| (s.name(), s)));
        let source = self.read.source(&raw.source);
        let reference = raw.reference.as_ref().map(|text| self.read.text(text));
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let offset = raw.offset.as_ref().map_or(Some(0), |offset| {
            self.number(offset, 0, MAX_OFFSET, "not an offset")
        });
        let pattern = self.pattern(&raw.bytes, raw.mask.as_ref(), raw.regex.is_some());
        let least = offset? + pattern.as_ref()?.len();
        let length = raw.length.as_ref().map_or(Some(least), |length| {
            self.number(length, least, MAX_LENGTH, "not a length")
        });
        let within = raw.within.as_ref().map(|within| {
            let least = length.unwrap_or(least);
            self.number(within, least, MAX_LENGTH, "not a number of bytes")
        });
        if let (Some(within), None) = (&raw.within, &raw.regex) {
            let label = "add `regex`, or leave it out";
            self.read
                .wrong(within.span(), "nothing is looked for within that", label);
        }
        let longest = raw.longest.as_ref().map(|longest| {
            let least = length.unwrap_or(least);
            self.number(longest, least, usize::from(u16::MAX), "not a length")
        });
        if let (Some(longest), Some(Transport::Tcp)) = (&raw.longest, transport) {
            let label = "leave it out: only datagrams have a length";
            self.read
                .wrong(longest.span(), "a stream has no longest", label);
        }
        let ports = raw.port.as_ref().map(|port| self.read.port_range(port));
        let regex = match &raw.regex {
            None => Some(None),
            Some(regex) => {
                let bounded = raw.length.is_some() || raw.within.is_some();
                let grows = raw.within.is_some();
                self.regex(regex, bounded, grows).map(Some)
            }
        };
        Some(BeginningRule {
            id: id?,
            transport: transport?,
            sender: sender?,
            offset: offset?,
            pattern: pattern?,
            length: length?,
            longest: optional(longest)?,
            ports: optional(ports)?,
            regex: regex?,
            within: optional(within)?,
            answers: raw.answers.as_ref().map(|id| id.get_ref().clone()),
            alone: raw.alone.unwrap_or(true),
            source: source?,
            reference: optional(reference)?,
            note: optional(note)?,
            origin: self.read.file.origin(raw.id.span().start),
        })
    }

    fn pattern(
        &mut self,
        bytes: &Spanned<String>,
        mask: Option<&Spanned<String>>,
        has_regex: bool,
    ) -> Option<Bytes> {
        let mut pattern = match Bytes::parse(bytes.get_ref()) {
            Ok(pattern) => pattern,
            Err(problem) => {
                self.read.wrong(bytes.span(), "these are no bytes", problem);
                return None;
            }
        };
        if let Some(mask) = mask {
            let parsed = Bytes::parse(mask.get_ref());
            match parsed.and_then(|bits| pattern.masked(&bits)) {
                Ok(masked) => pattern = masked,
                Err(problem) => {
                    self.read.wrong(mask.span(), "this is no mask", problem);
                    return None;
                }
            }
        }
        let least = if has_regex {
            MIN_KNOWN_BITS_WITH_REGEX
        } else {
            MIN_KNOWN_BITS
        };
        if pattern.known_bits() < least {
            let label = format!(
                "{} bits are known, {least} at least are wanted",
                pattern.known_bits()
            );
            self.read
                .wrong(bytes.span(), "so little tells no messenger", label);
            return None;
        }
        Some(pattern)
    }

    pub(super) fn number(
        &mut self,
        number: &Spanned<i64>,
        least: usize,
        most: usize,
        message: &str,
    ) -> Option<usize> {
        let value = usize::try_from(*number.get_ref()).ok();
        let value = value.filter(|value| (least..=most).contains(value));
        if value.is_none() {
            self.read
                .wrong(number.span(), message, format!("from {least} to {most}"));
        }
        value
    }

    pub(super) fn regex(
        &mut self,
        text: &Spanned<String>,
        bounded: bool,
        grows: bool,
    ) -> Option<regex::bytes::Regex> {
        if !bounded {
            let label = "add `length` or `within`: so many bytes are looked at";
            self.read.wrong(text.span(), "a regex needs a bound", label);
            return None;
        }
        if grows && looks_at_the_end(text.get_ref()) {
            let label = "with `within`, no `$`, `\\z` or `\\b`: where bytes end depends on how they were cut";
            self.read
                .wrong(text.span(), "this regex looks at the end", label);
            return None;
        }
        let built = regex::bytes::RegexBuilder::new(text.get_ref())
            .unicode(false)
            .dot_matches_new_line(true)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_REGEX)
            .build();
        match built {
            Ok(regex) => Some(regex),
            Err(error) => {
                // The last line says what is wrong; those before it draw the pattern again.
                let told = error.to_string();
                let label = told.lines().last().unwrap_or("wrong").to_owned();
                self.read
                    .wrong(text.span(), "this regex cannot be used", label);
                None
            }
        }
    }
}

/// Whether a regex asks where the bytes end. One that cannot be read is judged elsewhere.
fn looks_at_the_end(text: &str) -> bool {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parser = parser.utf8(false).unicode(false).dot_matches_new_line(true);
    parser.build().parse(text).is_ok_and(|hir| {
        let looks = hir.properties().look_set();
        looks
            .iter()
            .any(|look| look != regex_syntax::hir::Look::Start)
    })
}

/// What the program can tell of a hello, letter by letter.
fn is_ja4(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let hash = |text: &str| {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.len() == 12 && text.bytes().all(hex)
    };
    let mut parts = text.split('_');
    let (Some(about), Some(ciphers), Some(extensions), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    about.is_ascii()
        && about.len() == 10
        && about.starts_with(['t', 'q'])
        && ["13", "12", "11", "10", "s3", "s2", "00"].contains(&&about[1..3])
        && matches!(&about[3..4], "d" | "i")
        && digits(&about[4..8])
        && about[8..].bytes().all(|byte| byte.is_ascii_alphanumeric())
        && hash(ciphers)
        && hash(extensions)
}
