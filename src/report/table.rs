//! The one-screen answer: who uses which messenger, then what may be one, then totals.

use super::clean;
use crate::model::{Confidence, Finding, Service, Summary, Timestamp, feature};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::IpAddr;

/// Longer lists of accounts and of features are wrapped, so that the usual line fits 120 columns.
const MAX_ACCOUNTS: u16 = 40;
const MAX_FEATURES: u16 = 22;
/// Possible flows listed one by one; more are counted.
const MAX_POSSIBLE: usize = 20;

/// One line of the answer: everything one user did with one messenger from one host.
struct UserRow<'a> {
    clients: BTreeSet<&'a str>,
    features: BTreeSet<&'a str>,
    first: Timestamp,
    last: Timestamp,
    packets: u64,
    bytes: u64,
    confidence: Confidence,
}

type UserKey<'a> = (IpAddr, &'a Service, Vec<&'a str>);

/// Writes users, possible flows and totals.
pub fn write_table(findings: &[Finding], summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let users = users(findings);
    if users.is_empty() {
        writeln!(out, "No messenger found.")?;
    } else {
        match only_day(users.values()) {
            Some(day) => writeln!(out, "{day}, times in UTC\n")?,
            None => writeln!(out, "Times in UTC\n")?,
        }
        writeln!(out, "{}", user_table(&users).trim_fmt())?;
    }
    let possible: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.is_possible())
        .collect();
    if !possible.is_empty() {
        write_possible(&possible, out)?;
    }
    writeln!(out, "\n{}", totals(summary))
}

/// Groups detections by client host, messenger and account. A flow that names no account (a file transfer, a
/// second connection) belongs to the host's only account of that messenger, if there is just one.
fn users(findings: &[Finding]) -> BTreeMap<UserKey<'_>, UserRow<'_>> {
    let mut known: BTreeMap<(IpAddr, &Service), BTreeSet<Vec<&str>>> = BTreeMap::new();
    let detections = || {
        findings
            .iter()
            .filter(|finding| finding.is_detection())
            .filter_map(|finding| Some((finding, finding.service.as_ref()?, finding.confidence?)))
    };
    for (finding, service, _) in detections() {
        if !finding.accounts.is_empty() {
            let accounts = finding.accounts.iter().map(String::as_str).collect();
            known
                .entry((finding.tuple.client.ip, service))
                .or_default()
                .insert(accounts);
        }
    }
    let mut users: BTreeMap<UserKey<'_>, UserRow<'_>> = BTreeMap::new();
    for (finding, service, confidence) in detections() {
        let host = finding.tuple.client.ip;
        let mut accounts: Vec<&str> = finding.accounts.iter().map(String::as_str).collect();
        if accounts.is_empty()
            && let Some(only) = known.get(&(host, service)).filter(|all| all.len() == 1)
        {
            accounts = only.first().cloned().unwrap_or_default();
        }
        let row = users.entry((host, service, accounts)).or_insert(UserRow {
            clients: BTreeSet::new(),
            features: BTreeSet::new(),
            first: finding.first_seen,
            last: finding.last_seen,
            packets: 0,
            bytes: 0,
            confidence,
        });
        row.clients.extend(finding.client.as_deref());
        row.features
            .extend(finding.features.iter().map(String::as_str));
        row.first = row.first.min(finding.first_seen);
        row.last = row.last.max(finding.last_seen);
        row.packets += finding.counts.packets;
        row.bytes += finding.counts.bytes;
        row.confidence = row.confidence.max(confidence);
    }
    users
}

fn user_table(users: &BTreeMap<UserKey<'_>, UserRow<'_>>) -> Table {
    let mut table = plain_table(&[
        "host",
        "messenger",
        "account",
        "used for",
        "first seen",
        "last seen",
        "packets",
        "bytes",
        "confidence",
    ]);
    let day = only_day(users.values());
    for ((host, service, accounts), row) in users {
        let account = if accounts.is_empty() {
            "-".to_owned()
        } else {
            clean(&accounts.join(", ")).into_owned()
        };
        table.add_row([
            host.to_string(),
            title(service).into(),
            account,
            used_for(&row.features),
            time(row.first, day.is_some()),
            time(row.last, day.is_some()),
            row.packets.to_string(),
            row.bytes.to_string(),
            row.confidence.to_string(),
        ]);
    }
    for number in [6, 7] {
        if let Some(column) = table.column_mut(number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // A line a user: only what would push the rest off the screen is wrapped.
    for (number, most) in [(2, MAX_ACCOUNTS), (3, MAX_FEATURES)] {
        if let Some(column) = table.column_mut(number) {
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(most)));
        }
    }
    table
}

fn write_possible(possible: &[&Finding], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nPossible, by port only (not counted as found):")?;
    let mut table = plain_table(&[
        "flow",
        "from",
        "to",
        "messenger by port",
        "packets",
        "bytes",
    ]);
    for finding in possible.iter().take(MAX_POSSIBLE) {
        table.add_row([
            finding.flow_id.to_string(),
            finding.tuple.client.to_string(),
            format!(
                "{} {}",
                finding.tuple.server,
                finding.tuple.transport.name().to_lowercase()
            ),
            finding
                .service
                .as_ref()
                .map(title)
                .unwrap_or_default()
                .to_owned(),
            finding.counts.packets.to_string(),
            finding.counts.bytes.to_string(),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    match possible.len().saturating_sub(MAX_POSSIBLE) {
        0 => Ok(()),
        more => writeln!(out, "... and {more} more (--format ndjson lists all)"),
    }
}

/// The closing line: packets, flows, what was not read, what was lost.
pub fn totals(summary: &Summary) -> String {
    let Summary {
        packets,
        bytes,
        flows,
        detected,
        ..
    } = summary;
    let mut parts = vec![
        format!("{packets} packets, {bytes} bytes, {flows} flows"),
        format!("{detected} of a messenger"),
    ];
    let ignored: u64 = summary.ignored.values().sum();
    if ignored > 0 {
        let reasons: Vec<String> = summary
            .ignored
            .iter()
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        parts.push(format!(
            "{ignored} packets not read ({})",
            reasons.join(", ")
        ));
    }
    let losses = [
        (summary.drops, "packets lost by the capture"),
        (summary.evictions, "flows dropped to stay within memory"),
    ];
    parts.extend(
        losses
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}")),
    );
    parts.join("; ")
}

fn plain_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header.iter().map(|name| name.to_uppercase()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// What every session has goes without saying, unless there is nothing else.
const ROUTINE: [&str; 3] = [feature::SIGN_ON, feature::PRESENCE, feature::CONTACT_LIST];

fn used_for(features: &BTreeSet<&str>) -> String {
    let telling: Vec<&str> = features
        .iter()
        .copied()
        .filter(|feature| !ROUTINE.contains(feature))
        .collect();
    match (telling.is_empty(), features.is_empty()) {
        (false, _) => telling.join(", "),
        (true, false) => feature::SIGN_ON.to_owned(),
        (true, true) => "-".to_owned(),
    }
}

/// How people write the messenger's name.
fn title(service: &Service) -> &str {
    match service.id() {
        "aim" => "AIM",
        "icq" => "ICQ",
        "oscar" => "AIM or ICQ",
        "msn" => "MSN",
        "yahoo" => "Yahoo!",
        other => other,
    }
}

/// `2026-01-02 03:04:05`, or without the day when the heading says it.
fn time(time: Timestamp, same_day: bool) -> String {
    let text = time.to_string();
    let part = if same_day {
        text.get(11..19)
    } else {
        text.get(..19)
    };
    part.unwrap_or(&text).replace('T', " ")
}

/// The day on which everything happened, if it was one.
fn only_day<'a>(rows: impl Iterator<Item = &'a UserRow<'a>>) -> Option<String> {
    let mut days: Vec<String> = rows
        .flat_map(|row| [row.first, row.last])
        .map(|time| time.to_string().chars().take(10).collect())
        .collect();
    days.dedup();
    let day = days.pop();
    day.filter(|_| days.is_empty())
}
