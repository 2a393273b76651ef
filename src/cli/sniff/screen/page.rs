//! Pages of text over the tables: all that is known of a flow or a user, help, messages.

use super::store::{self, Flow, Store, User, UserKey};
use super::text::{self, Looks, width};
use crate::model::{Confidence, EvidenceKind, Finding, Risk, Severity, Sighting, Timestamp};
use crate::report::{
    RiskRecord, clean, community_id, event_line, names, service_title, time, vendor,
};
use std::time::Instant;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Heading,
    Bad(Severity),
}

/// One line before it is folded.
#[derive(Clone, Debug)]
pub struct Line {
    /// What stands to the left of the text, and of its further lines blanks.
    pub label: String,
    pub text: String,
    pub tone: Tone,
}

impl Line {
    pub fn new(label: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            text: text.into(),
            tone: Tone::Plain,
        }
    }

    pub fn heading(text: impl Into<String>) -> Self {
        Self {
            tone: Tone::Heading,
            ..Self::new("", text)
        }
    }

    fn toned(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }
}

/// Lines in so many columns.
pub fn folded(lines: &[Line], columns: usize, looks: Looks) -> Vec<(String, Tone)> {
    let mut out = Vec::new();
    for line in lines {
        let label = looks.plain(line.label.clone());
        let indent = width(&label).min(columns / 2);
        let text = looks.plain(line.text.clone());
        for (at, part) in text::fold(&text, columns - indent).iter().enumerate() {
            let left = if at == 0 {
                text::fit(&label, indent, false, looks)
            } else {
                " ".repeat(indent)
            };
            out.push((format!("{left}{part}").trim_end().to_owned(), line.tone));
        }
    }
    out
}

fn field(name: &str, text: impl Into<String>) -> Line {
    Line::new(format!("{name:<13} "), text)
}

fn span(first: Timestamp, last: Timestamp) -> String {
    format!("{} to {} UTC", time(first, false), time(last, false))
}

/// Everything that is known of a flow, as the records have it.
pub fn flow(flow: &Flow, risks: &[Risk], now: Instant) -> Vec<Line> {
    let finding = &flow.finding;
    let tuple = &finding.tuple;
    let mut lines = Vec::new();
    let card = finding.card.map_or(String::new(), |card| {
        let maker = vendor(card).map_or(String::new(), |name| format!(", {}", clean(name)));
        format!("  (network card {card}{maker})")
    });
    let transport = tuple.transport.name();
    lines.push(field("client", format!("{}{card}", tuple.client)));
    lines.push(field("server", format!("{} {transport}", tuple.server)));
    lines.push(field("messenger", messenger(finding)));
    lines.push(field("account", names(&finding.accounts)));
    lines.push(field("talks to", names(&finding.peers)));
    if let Some(client) = &finding.client {
        lines.push(field("program", clean(client)));
    }
    lines.push(field("used for", names(&finding.features)));
    lines.push(field(
        "seen",
        format!(
            "{}, {}",
            span(finding.first_seen, finding.last_seen),
            if flow.over { "over" } else { "open" }
        ),
    ));
    let (all, sent) = (finding.counts, finding.to_server);
    lines.push(field(
        "traffic",
        format!(
            "{} packets, {} bytes; {} packets, {} bytes of them to the server; {} bytes/s now",
            all.packets,
            all.bytes,
            sent.packets,
            sent.bytes,
            flow.rate(now)
        ),
    ));
    let layers = finding.path.iter().map(|layer| layer.to_string());
    let carriers = finding.carriers.iter().map(|carrier| (*carrier).to_owned());
    let path: Vec<String> = layers.chain(carriers).collect();
    if !path.is_empty() {
        lines.push(field("path", path.join(" > ")));
    }
    if let Some(teacher) = finding.learned_from {
        lines.push(field("announced by", format!("flow {teacher}")));
    }
    if let Some(id) = community_id(finding) {
        lines.push(field("community id", id));
    }
    evidence(finding, &mut lines);
    exposures(finding, risks, &mut lines);
    lines.push(Line::heading(format!(
        "Events (the last {})",
        store::MAX_EVENTS
    )));
    if flow.events.is_empty() {
        lines.push(Line::new("  ", "none"));
    }
    for event in &flow.events {
        lines.push(Line::new("  ", event_line(event)));
    }
    lines
}

fn messenger(finding: &Finding) -> String {
    let mut words = vec![
        finding
            .service
            .as_ref()
            .map_or("-", service_title)
            .to_owned(),
    ];
    words.extend(
        [finding.app_proto, finding.role]
            .into_iter()
            .flatten()
            .map(str::to_owned),
    );
    let confidence = finding.confidence.map_or("-", Confidence::name);
    format!("{}, {confidence}", words.join(" "))
}

fn evidence(finding: &Finding, lines: &mut Vec<Line>) {
    lines.push(Line::heading("Evidence"));
    if finding.evidence.is_empty() {
        lines.push(Line::new("  ", "none"));
    }
    for evidence in &finding.evidence {
        let kind = match evidence.kind {
            EvidenceKind::Payload => "said",
            EvidenceKind::Host => "host name",
            EvidenceKind::Learned => "another flow",
            EvidenceKind::Port => "port",
            EvidenceKind::Address => "address",
        };
        let place = format!("packet {}, byte {}", evidence.packet, evidence.offset);
        lines.push(Line::new(
            "  ",
            format!(
                "{place}  {kind}: {} ({})",
                clean(&evidence.detail),
                evidence.what
            ),
        ));
    }
}

fn exposures(finding: &Finding, risks: &[Risk], lines: &mut Vec<Line>) {
    let records = RiskRecord::of(finding, risks);
    lines.push(Line::heading("Risks"));
    if records.is_empty() {
        lines.push(Line::new("  ", "none"));
    }
    for record in &records {
        risk_lines(
            record.severity,
            record.title,
            (record.about, record.advice),
            record.count,
            lines,
        );
        for Sighting {
            packet,
            offset,
            detail,
        } in record.evidence
        {
            let detail = detail
                .as_ref()
                .map_or(String::new(), |detail| format!(": {}", clean(detail)));
            lines.push(Line::new(
                "      ",
                format!("packet {packet}, byte {offset}{detail}"),
            ));
        }
    }
}

fn risk_lines(
    severity: Severity,
    title: &str,
    (about, advice): (&str, &str),
    count: u64,
    lines: &mut Vec<Line>,
) {
    let times = match count {
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    };
    lines.push(
        Line::new(
            format!("  {:<9}", severity.name()),
            format!("{title}, {times}"),
        )
        .toned(Tone::Bad(severity)),
    );
    lines.push(Line::new("      ", about.trim()));
    lines.push(Line::new("    > ", advice.trim()));
}

/// Everything that is known of a user.
pub fn user(
    key: &UserKey,
    user: &User,
    flows: &[&Flow],
    risks: &[Risk],
    now: Instant,
) -> Vec<Line> {
    let cards: Vec<String> = user
        .cards
        .iter()
        .map(|card| match vendor(*card) {
            Some(name) => format!("{card} ({})", clean(name)),
            None => card.to_string(),
        })
        .collect();
    let mut lines = vec![
        field("host", key.host.to_string()),
        field(
            "network card",
            if cards.is_empty() {
                "-".to_owned()
            } else {
                cards.join(", ")
            },
        ),
        field(
            "messenger",
            format!(
                "{}, {}",
                service_title(&key.service),
                user.confidence.name()
            ),
        ),
        field("account", names(&key.accounts)),
        field("talks to", names(&user.contacts)),
        field("program", names(&user.clients)),
        field("used for", names(&user.features)),
        field("seen", span(user.first_seen, user.last_seen)),
        field(
            "traffic",
            format!(
                "{} packets, {} bytes in {} flow{}; {} bytes/s now",
                user.counts.packets,
                user.counts.bytes,
                user.flows,
                if user.flows == 1 { "" } else { "s" },
                flows.iter().map(|flow| flow.rate(now)).sum::<u64>()
            ),
        ),
    ];
    lines.push(Line::heading("Risks"));
    if user.risks.is_empty() {
        lines.push(Line::new("  ", "none"));
    }
    let mut exposed: Vec<(&Risk, u64, u64)> = user
        .risks
        .iter()
        .filter_map(|(id, exposed)| {
            let risk = risks.iter().find(|risk| risk.id == *id)?;
            Some((risk, exposed.count, exposed.flow))
        })
        .collect();
    exposed.sort_by_key(|(risk, ..)| std::cmp::Reverse(risk.severity));
    for (risk, count, flow) in exposed {
        let words = (risk.about.as_str(), risk.advice.as_str());
        risk_lines(risk.severity, &risk.title, words, count, &mut lines);
        lines.push(Line::new("      ", format!("last in flow {flow}")));
    }
    lines.push(Line::heading("Flows"));
    if flows.is_empty() {
        lines.push(Line::new("  ", "none of them is kept any more"));
    }
    for flow in flows {
        let tuple = &flow.finding.tuple;
        lines.push(Line::new(
            "  ",
            format!(
                "flow {}  {} -> {} {}  {}{}",
                flow.finding.flow_id,
                tuple.client,
                tuple.server,
                tuple.transport.name().to_lowercase(),
                messenger(&flow.finding),
                if flow.over { ", over" } else { "" }
            ),
        ));
    }
    lines
}

/// The keys, and what is kept.
pub fn help() -> Vec<Line> {
    let key = |keys: &str, what: &str| Line::new(format!("  {keys:<16} "), what);
    vec![
        Line::heading("Keys"),
        key("Tab, 1 2 3", "the next table; Users, Flows, Risks"),
        key(
            "Up Down PgUp PgDn",
            "another row (also k j); Home and End (also g G) go to the first and last",
        ),
        key(
            "Enter",
            "all that is known of the row: evidence, risks with advice, events",
        ),
        key(
            "/",
            "show rows with these words only; Enter keeps them, Esc shows all again",
        ),
        key("s, S", "sort by the next column; turn the order around"),
        key(
            "Space, u",
            "mark a row, or take its mark away; take all marks away",
        ),
        key(
            "b",
            "block what is marked, or else the row: shows what it would be and asks",
        ),
        key(
            "p",
            "pause: the screen stands still, listening and counting go on",
        ),
        key("m", "messages that would have gone to stderr"),
        key("Ctrl-L", "draw everything anew"),
        key("Ctrl-Z", "stop everything, listening as well, until fg"),
        key(
            "Esc, q",
            "back; in the tables, q and Ctrl-C end the program",
        ),
        Line::heading("What is shown"),
        Line::new(
            "  ",
            "Flows of messengers, confirmed or probable (a messenger with ? is probable). Times are in UTC. A dim row is a flow that is over.",
        ),
        Line::new(
            "  ",
            format!(
                "Kept are at most {} flows in {} MiB, {} users and {} events a flow. The oldest that are over go first. With --output FILE \
                 all records are written to that file, whatever the screen shows.",
                store::MAX_FLOWS,
                store::MAX_BYTES >> 20,
                store::MAX_USERS,
                store::MAX_EVENTS
            ),
        ),
        Line::heading("What is lost"),
        Line::new(
            "  ring       ",
            "packets that did not fit into imwarden's own buffer (-B makes it larger)",
        ),
        Line::new(
            "  kernel     ",
            "packets that did not fit into the kernel's queue before all interfaces",
        ),
        Line::new(
            "  interface  ",
            "packets that the interface or its driver dropped; - where it does not tell",
        ),
        Line::new(
            "  records    ",
            "records that were not written to --output, and packets not saved by -w",
        ),
        Line::new(
            "  screen     ",
            "news that the screen was too slow for; the next news of the same flow makes up for it",
        ),
    ]
}

/// What was forgotten, for whoever asks for a row that was there.
pub fn gone(store: &Store) -> Vec<Line> {
    vec![Line::new(
        "",
        format!(
            "This is not kept any more: {} rows had to go so far. --output FILE keeps everything.",
            store.forgotten
        ),
    )]
}
