//! The three tables: what stands in their rows and columns, and how much room each column gets.

use super::store::{Store, UserKey, worst};
use super::text::{self, width};
use crate::model::{Confidence, Risk, Severity, Timestamp, Transport};
use crate::report::{clean, names, service_title, time, used_for};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    Users,
    Flows,
    Risks,
}

impl Pane {
    pub const ALL: [Self; 3] = [Self::Users, Self::Flows, Self::Risks];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "Users",
            Self::Flows => "Flows",
            Self::Risks => "Risks",
        }
    }

    /// Its columns.
    pub const fn columns(self) -> &'static [Column] {
        match self {
            Self::Users => &USERS,
            Self::Flows => &FLOWS,
            Self::Risks => &RISKS,
        }
    }

    /// What it is sorted by at first, and whether the largest come first.
    pub const fn sorting(self) -> (usize, bool) {
        match self {
            Self::Users => (4, true),
            Self::Flows | Self::Risks => (0, true),
        }
    }
}

/// How a text that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Anywhere,
    /// Between words.
    Words,
    /// Whole items of a list go.
    Items,
}

/// One column.
#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
    /// Of those with the highest number, the last one goes first when there is no room; 0 stays.
    pub spare: u8,
    /// Columns that it can do with, where its texts may be cut.
    pub least: Option<usize>,
    pub cut: Cut,
}

const fn column(name: &'static str, spare: u8) -> Column {
    Column {
        name,
        right: false,
        spare,
        least: None,
        cut: Cut::Anywhere,
    }
}

const fn number(name: &'static str, spare: u8) -> Column {
    Column {
        right: true,
        ..column(name, spare)
    }
}

const fn elastic(name: &'static str, spare: u8, least: usize) -> Column {
    Column {
        least: Some(least),
        ..column(name, spare)
    }
}

static USERS: [Column; 9] = [
    column("HOST", 0),
    column("SERVICE", 0),
    elastic("ACCOUNT", 0, 18),
    Column {
        cut: Cut::Items,
        ..elastic("USED FOR", 3, 20)
    },
    column("RISK", 1),
    number("BYTES", 2),
    column("SEEN", 4),
    number("FLOWS", 5),
    number("BYTES/S", 6),
];

static FLOWS: [Column; 11] = [
    number("ID", 0),
    elastic("FROM", 0, 15),
    column("TO", 0),
    column("SERVICE", 0),
    elastic("ACCOUNT", 0, 12),
    column("RISK", 3),
    number("BYTES/S", 2),
    number("BYTES", 4),
    column("WHAT", 5),
    column("SURE", 6),
    column("SEEN", 7),
];

static RISKS: [Column; 7] = [
    column("RISK", 0),
    Column {
        cut: Cut::Words,
        ..elastic("WHAT", 0, 26)
    },
    column("HOST", 0),
    elastic("ACCOUNT", 0, 12),
    number("TIMES", 1),
    column("SERVICE", 2),
    column("SEEN", 3),
];

/// What a row is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    User(Arc<UserKey>),
    Flow(u64),
    Risk(Arc<UserKey>, &'static str),
}

/// What a column is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Number(u64),
    Text(String),
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: Id,
    pub cells: Vec<(String, Key)>,
    /// What a filter looks at, in small letters.
    pub words: String,
    pub severity: Option<Severity>,
    /// The flow is over.
    pub over: bool,
}

impl Row {
    fn new(id: Id, cells: Vec<(String, Key)>, more: &str, severity: Option<Severity>) -> Self {
        let mut words: Vec<&str> = cells.iter().map(|(text, _)| text.as_str()).collect();
        words.push(more);
        Self {
            words: words.join(" ").to_lowercase(),
            id,
            cells,
            severity,
            over: false,
        }
    }

    /// Whether all words of a filter are in it.
    pub fn matches(&self, filter: &str) -> bool {
        let filter = filter.to_lowercase();
        filter
            .split_whitespace()
            .all(|word| self.words.contains(word))
    }
}

fn word(text: impl Into<String>) -> (String, Key) {
    let text = text.into();
    let key = Key::Text(text.to_lowercase());
    (text, key)
}

fn figure(text: impl Into<String>, key: u64) -> (String, Key) {
    (text.into(), Key::Number(key))
}

/// Addresses in their own order, not in that of their digits.
fn address(ip: std::net::IpAddr, port: u16, text: String) -> (String, Key) {
    let bits = match ip {
        std::net::IpAddr::V4(ip) => u128::from(ip.to_bits()),
        std::net::IpAddr::V6(ip) => ip.to_bits(),
    };
    let six = u8::from(ip.is_ipv6());
    (text, Key::Text(format!("{six}{bits:032x}{port:04x}")))
}

fn seen(at: Timestamp) -> (String, Key) {
    figure(time(at, true), at.as_nanos().max(0).cast_unsigned())
}

fn bad(severity: Option<Severity>) -> (String, Key) {
    severity.map_or_else(
        || figure("-", 0),
        |severity| figure(severity.name(), 1 + severity as u64),
    )
}

/// Rows of a table, in no order.
pub fn rows(pane: Pane, store: &Store, risks: &[Risk], now: Instant) -> Vec<Row> {
    let risk = |id: &str| risks.iter().find(|risk| risk.id == id);
    let severity = |id: &str| risk(id).map(|risk| risk.severity);
    match pane {
        Pane::Flows => store
            .flows()
            .map(|flow| {
                let finding = &flow.finding;
                let tuple = &finding.tuple;
                let worst = worst(finding.risks.keys(), severity);
                let rate = flow.rate(now);
                let what: Vec<&str> = [finding.app_proto, finding.role]
                    .into_iter()
                    .flatten()
                    .collect();
                let transport = tuple.transport.name().to_lowercase();
                // Most are TCP, and there is little room.
                let to = match tuple.transport {
                    Transport::Tcp => tuple.server.to_string(),
                    Transport::Udp => format!("{}/{transport}", tuple.server),
                };
                let (client, server) = (tuple.client, tuple.server);
                let cells = vec![
                    figure(finding.flow_id.to_string(), finding.flow_id),
                    address(client.ip, client.port, client.to_string()),
                    address(server.ip, server.port, to),
                    word(finding.service.as_ref().map_or("-", service_title)),
                    word(names(&finding.accounts)),
                    bad(worst),
                    figure(text::bytes(rate), rate),
                    figure(text::bytes(finding.counts.bytes), finding.counts.bytes),
                    word(what.join(" ")),
                    figure(
                        finding.confidence.map_or("-", Confidence::name),
                        finding.confidence.map_or(0, |it| 1 + it as u64),
                    ),
                    seen(finding.last_seen),
                ];
                let features: Vec<&str> = finding.features.iter().map(String::as_str).collect();
                let more = format!(
                    "{} {transport} {} {} {}",
                    names(&finding.peers),
                    features.join(" "),
                    finding.risks.keys().copied().collect::<Vec<_>>().join(" "),
                    if flow.over { "over" } else { "open" }
                );
                Row {
                    over: flow.over,
                    ..Row::new(Id::Flow(finding.flow_id), cells, &more, worst)
                }
            })
            .collect(),
        Pane::Users => {
            let mut rates: BTreeMap<&UserKey, u64> = BTreeMap::new();
            for flow in store.flows() {
                *rates.entry(&flow.owner).or_default() += flow.rate(now);
            }
            let row = |(key, user): (&Arc<UserKey>, &std::borrow::Cow<'_, super::store::User>)| {
                let worst = worst(user.risks.keys(), severity);
                let rate = rates.get(&**key).copied().unwrap_or(0);
                let messenger = match user.confidence {
                    Confidence::Confirmed => service_title(&key.service).to_owned(),
                    _ => format!("{}?", service_title(&key.service)),
                };
                let cells = vec![
                    address(key.host, 0, key.host.to_string()),
                    word(messenger),
                    word(names(&key.accounts)),
                    word(used_for(&user.features)),
                    bad(worst),
                    figure(text::bytes(user.counts.bytes), user.counts.bytes),
                    seen(user.last_seen),
                    figure(user.flows.to_string(), user.flows),
                    figure(text::bytes(rate), rate),
                ];
                let more = format!("{} {}", names(&user.contacts), names(&user.clients));
                Row::new(Id::User(Arc::clone(key)), cells, &more, worst)
            };
            store.users().iter().map(row).collect()
        }
        Pane::Risks => {
            let users = store.users();
            let of_user = users.iter().flat_map(|(key, user)| {
                user.risks.iter().map(move |(id, exposed)| {
                    let risk = risk(id);
                    let severity = risk.map(|risk| risk.severity);
                    // Of two that are as bad, the one that was seen later comes first.
                    let (name, _) = bad(severity);
                    let rank = severity.map_or(0, |it| 1 + it as u64) << 60
                        | exposed.last_seen.as_nanos().max(0).cast_unsigned() >> 4;
                    let cells = vec![
                        figure(name, rank),
                        word(clean(risk.map_or(*id, |risk| risk.title.as_str()))),
                        address(key.host, 0, key.host.to_string()),
                        word(names(&key.accounts)),
                        figure(exposed.count.to_string(), exposed.count),
                        word(service_title(&key.service)),
                        seen(exposed.last_seen),
                    ];
                    Row::new(Id::Risk(Arc::clone(key), id), cells, id, severity)
                })
            });
            of_user.collect()
        }
    }
}

/// Space between two columns.
pub const GAP: usize = 1;

/// Which columns are shown, and how wide, where there is so much room: those that matter most, whole if possible.
/// The one that is sorted by is always among them.
pub fn layout(
    columns: &[Column],
    rows: &[&Row],
    sorted: usize,
    room: usize,
) -> Vec<(usize, usize)> {
    // With room for the arrow of the column that is sorted by.
    let head = |at: usize, column: &Column| column.name.len() + usize::from(at == sorted);
    let natural: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().filter_map(|row| row.cells.get(at));
            let widest = cells.map(|(text, _)| width(text)).max().unwrap_or(0);
            widest.max(head(at, column))
        })
        .collect();
    let least = |at: usize| {
        let column = columns.get(at)?;
        let natural = *natural.get(at)?;
        Some(
            column
                .least
                .map_or(natural, |least| natural.min(least.max(head(at, column)))),
        )
    };
    let mut shown: Vec<(usize, usize)> = (0..columns.len())
        .filter_map(|at| Some((at, least(at)?)))
        .collect();
    let used = |shown: &[(usize, usize)]| {
        shown.iter().map(|(_, width)| width).sum::<usize>() + GAP * shown.len().saturating_sub(1)
    };
    while used(&shown) > room {
        let spare = |(at, _): &(usize, usize)| {
            let column = columns.get(*at).filter(|_| *at != sorted);
            column.map_or(0, |column| column.spare)
        };
        let Some(most) = shown.iter().map(spare).max().filter(|most| *most > 0) else {
            break;
        };
        shown.retain(|entry| spare(entry) != most);
    }
    // What is left goes to those that may be cut, in turn.
    let mut left = room.saturating_sub(used(&shown));
    while left > 0 {
        let before = left;
        for (at, width) in &mut shown {
            let wish = natural.get(*at).copied().unwrap_or(0);
            if left > 0 && *width < wish {
                *width += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    // Still too wide: the widest give way, cut or not.
    while used(&shown) > room {
        match shown.iter_mut().max_by_key(|(_, width)| *width) {
            Some((_, width)) if *width > 1 => *width -= 1,
            _ => break,
        }
    }
    shown
}
