//! The one-screen answer: who uses which messenger and what that exposes, then what may be one, then totals.

use super::people::{People, User};
use super::vendor::vendor;
use super::{Report, RiskRecord, clean};
use crate::model::{
    Confidence, Detail as Fact, Finding, Listening, Occurrence, Party, Risk, Service, Summary,
    Timestamp, feature,
};
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Width};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// What a terminal of these days shows, and a page of paper.
const WIDTH: u16 = 100;
/// Possible flows listed one by one; more are counted.
const MAX_POSSIBLE: usize = 20;
/// Users listed under one risk; more are counted.
const MAX_EXPOSED: usize = 10;

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Users and risks.
    #[default]
    Users,
    /// Their flows as well.
    Flows,
    /// And what they did in them.
    Events,
}

/// Gathers everything and writes it at the end.
#[derive(Debug)]
pub struct Table<'r> {
    risks: &'r [Risk],
    verbosity: Verbosity,
    findings: Vec<Finding>,
    occurrences: Vec<Occurrence>,
}

impl<'r> Table<'r> {
    /// Describes risks by these words.
    pub const fn new(risks: &'r [Risk], verbosity: Verbosity) -> Self {
        Self {
            risks,
            verbosity,
            findings: Vec::new(),
            occurrences: Vec::new(),
        }
    }
}

impl Report for Table<'_> {
    fn wants_occurrences(&self) -> bool {
        self.verbosity >= Verbosity::Events
    }

    fn occurrence(&mut self, occurrence: &Occurrence, _: &mut dyn Write) -> io::Result<()> {
        self.occurrences.push(occurrence.clone());
        Ok(())
    }

    fn finding(&mut self, finding: Finding, _: &mut dyn Write) -> io::Result<()> {
        self.findings.push(finding);
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.findings.sort_by_key(|finding| finding.flow_id);
        let mut people = People::default();
        for finding in &self.findings {
            people.add(finding);
        }
        let (_, users) = people.finish();
        if users.is_empty() {
            writeln!(out, "No messenger found.")?;
        } else {
            let day = only_day(&users);
            match &day {
                Some(day) => writeln!(out, "{day}, times in UTC\n")?,
                None => writeln!(out, "Times in UTC\n")?,
            }
            print(&user_table(&users, day.is_some()), out)?;
            write_risks(&self.findings, self.risks, out)?;
        }
        let found: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|it| it.is_detection())
            .collect();
        if self.verbosity >= Verbosity::Flows && !found.is_empty() {
            writeln!(out, "\nFlows:")?;
            print(&flow_table(&found), out)?;
        }
        if self.verbosity >= Verbosity::Events && !self.occurrences.is_empty() {
            writeln!(out, "\nEvents:")?;
            self.occurrences
                .iter()
                .try_for_each(|occurrence| writeln!(out, "{}", event_line(occurrence)))?;
        }
        let possible: Vec<&Finding> = self.findings.iter().filter(|it| it.is_possible()).collect();
        if !possible.is_empty() {
            write_possible(&possible, out)?;
        }
        writeln!(out, "\n{}", totals(summary))
    }
}

pub(super) fn print(table: &comfy_table::Table, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", table.trim_fmt())
}

pub(super) fn user_table(users: &[User], same_day: bool) -> comfy_table::Table {
    let mut table = plain_table(&["host", "messenger", "account", "used for", "seen", "bytes"]);
    for user in users {
        let all = &user.all;
        // What goes without saying is confirmed.
        let messenger = match all.confidence {
            Confidence::Confirmed => service_title(&user.service).to_owned(),
            less => format!("{} ({less})", service_title(&user.service)),
        };
        let mut host = user.host.to_string();
        if let Some(vendor) = all.card().and_then(vendor) {
            host = format!("{host}\n{}", shortened(vendor));
        }
        table.add_row([
            host,
            messenger,
            names(&all.accounts),
            used_for(&all.features),
            span(all.first_seen, all.last_seen, same_day),
            all.counts.bytes.to_string(),
        ]);
    }
    whole(&mut table, &[0, 1, 4, 5]);
    right(&mut table, &[5]);
    table
}

/// As wide as an IPv4 address can be, and a little more.
fn shortened(vendor: &str) -> String {
    const WIDTH: usize = 18;
    if vendor.chars().count() <= WIDTH {
        return clean(vendor).into_owned();
    }
    let kept: String = vendor.chars().take(WIDTH - 1).collect();
    format!("{}…", clean(kept.trim_end()))
}

/// Each risk with the users it concerns, the worst first.
fn write_risks(findings: &[Finding], risks: &[Risk], out: &mut dyn Write) -> io::Result<()> {
    let mut sorted: Vec<&Risk> = risks.iter().collect();
    sorted.sort_by_key(|risk| std::cmp::Reverse(risk.severity));
    let records: Vec<RiskRecord<'_>> = findings
        .iter()
        .filter(|finding| finding.is_detection())
        .flat_map(|finding| RiskRecord::of(finding, risks))
        .collect();
    let mut table = plain_table(&["risk", "what, whose and where", "times"]);
    let mut any = false;
    for risk in sorted {
        let mine: Vec<&RiskRecord<'_>> = records.iter().filter(|it| it.risk == risk.id).collect();
        if mine.is_empty() {
            continue;
        }
        any = true;
        let mut exposed: BTreeMap<String, (u64, BTreeSet<String>)> = BTreeMap::new();
        for record in &mine {
            let service = record.service.map_or("-", short_title);
            let who = if record.accounts.is_empty() {
                format!("{} ({service})", record.ends.src_ip)
            } else {
                format!(
                    "{} {} ({service})",
                    record.ends.src_ip,
                    names(record.accounts)
                )
            };
            let (count, places) = exposed.entry(who).or_default();
            *count += record.count;
            let details = record.evidence.iter().filter_map(|it| it.detail.as_deref());
            places.extend(details.map(|detail| clean(detail).into_owned()));
            if places.is_empty()
                && let Some(first) = record.evidence.first()
            {
                places.insert(format!("flow {}, packet {}", record.flow_id, first.packet));
            }
        }
        let times: u64 = mine.iter().map(|record| record.count).sum();
        table.add_row([
            risk.severity.to_string(),
            risk.title.clone(),
            times.to_string(),
        ]);
        for (who, (count, places)) in exposed.iter().take(MAX_EXPOSED) {
            let mut shown: Vec<&str> = places.iter().take(3).map(String::as_str).collect();
            if places.len() > shown.len() {
                shown.push("...");
            }
            let line = format!("  {who}: {}", shown.join("; "));
            table.add_row([String::new(), line, count.to_string()]);
        }
        if let more @ 1.. = exposed.len().saturating_sub(MAX_EXPOSED) {
            table.add_row([String::new(), format!("  and {more} more"), String::new()]);
        }
        table.add_row([String::new(), format!("> {}", risk.advice), String::new()]);
    }
    if !any {
        return Ok(());
    }
    writeln!(out)?;
    whole(&mut table, &[0, 2]);
    right(&mut table, &[2]);
    print(&table, out)
}

fn flow_table(findings: &[&Finding]) -> comfy_table::Table {
    let mut table = plain_table(&[
        "flow",
        "from",
        "to",
        "what",
        "account",
        "bytes",
        "led to by",
    ]);
    for finding in findings {
        let tuple = &finding.tuple;
        let what = [finding.app_proto, finding.role]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ");
        table.add_row([
            finding.flow_id.to_string(),
            tuple.client.to_string(),
            format!("{} {}", tuple.server, tuple.transport.name().to_lowercase()),
            what,
            names(&finding.accounts),
            finding.counts.bytes.to_string(),
            finding
                .learned_from
                .map_or_else(|| "-".to_owned(), |teacher| format!("flow {teacher}")),
        ]);
    }
    whole(&mut table, &[0, 1, 2, 5, 6]);
    right(&mut table, &[0, 5]);
    table
}

/// `03:04:05.000006  flow 3  alice77 -> bob42  message  length 12`
pub fn event_line(occurrence: &Occurrence) -> String {
    let activity = &occurrence.activity;
    let name = |party: &Option<Party>| match party {
        Some(Party::Account(name)) => clean(name).into_owned(),
        Some(Party::Own) => occurrence.tuple.client.ip.to_string(),
        Some(Party::Other) | None => "-".to_owned(),
    };
    let who = match (&activity.from, &activity.to) {
        (None, None) => "-".to_owned(),
        (from, None) => name(from),
        (from, to) => format!("{} -> {}", name(from), name(to)),
    };
    let details: Vec<String> = activity
        .details
        .iter()
        .map(|(key, fact)| match fact {
            Fact::Word(word) => format!("{key} {word}"),
            Fact::Text(text) => format!("{key} {}", clean(text)),
            Fact::Number(number) => format!("{key} {number}"),
        })
        .collect();
    let line = format!(
        "{}  flow {}  packet {}  {who}  {}  {}",
        time(occurrence.timestamp, true),
        occurrence.flow_id,
        occurrence.packet,
        activity.what,
        details.join(", ")
    );
    line.trim_end().to_owned()
}

/// Names in a line, safe to print.
pub fn names(names: &BTreeSet<String>) -> String {
    if names.is_empty() {
        return "-".to_owned();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    clean(&names.join(", ")).into_owned()
}

fn span(first: Timestamp, last: Timestamp, same_day: bool) -> String {
    format!("{}-{}", time(first, same_day), time(last, same_day))
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
                .map(service_title)
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
    parts.extend(counted(&losses));
    parts.join("; ")
}

/// What was lost while listening, by place.
pub fn losses(listening: &Listening) -> String {
    let lost = [
        (
            listening.drops_ring,
            "packets by imwarden's own buffer (-B makes it larger)",
        ),
        (listening.drops_kernel.unwrap_or(0), "by the kernel's queue"),
        (listening.drops_interface.unwrap_or(0), "by the interface"),
        (listening.lost_packets, "packets not saved"),
        (listening.lost_records, "records not written"),
    ];
    match &counted(&lost)[..] {
        [] => "nothing lost".to_owned(),
        lost => format!("lost: {}", lost.join(", ")),
    }
}

fn counted(numbers: &[(u64, &str)]) -> Vec<String> {
    let some = numbers.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}"))
        .collect()
}

fn plain_table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .set_header(header.iter().map(|name| name.to_uppercase()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// These columns are not wrapped.
fn whole(table: &mut comfy_table::Table, columns: &[usize]) {
    let widths = table.column_max_content_widths();
    for number in columns {
        if let (Some(column), Some(width)) = (table.column_mut(*number), widths.get(*number)) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(
                width.saturating_add(2),
            )));
        }
    }
}

fn right(table: &mut comfy_table::Table, columns: &[usize]) {
    for number in columns {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// What every session has goes without saying, unless there is nothing else.
const ROUTINE: [&str; 3] = [feature::SIGN_ON, feature::PRESENCE, feature::CONTACT_LIST];

/// What a messenger was used for, in a few words.
pub fn used_for(features: &BTreeSet<String>) -> String {
    let telling: Vec<&str> = features
        .iter()
        .map(String::as_str)
        .filter(|feature| !ROUTINE.contains(feature))
        .collect();
    match (telling.is_empty(), features.is_empty()) {
        (false, _) => telling.join(", "),
        (true, false) => feature::SIGN_ON.to_owned(),
        (true, true) => "-".to_owned(),
    }
}

/// How people write the messenger's name.
pub fn service_title(service: &Service) -> &str {
    short_title(service.id())
}

/// The same, of a messenger's id.
pub(super) fn short_title(id: &str) -> &str {
    match id {
        "aim" => "AIM",
        "icq" => "ICQ",
        "oscar" => "AIM or ICQ",
        "msn" => "MSN",
        "yahoo" => "Yahoo!",
        other => other,
    }
}

/// `2026-01-02 03:04:05`, or without the day when the heading says it.
pub fn time(time: Timestamp, same_day: bool) -> String {
    let text = time.to_string();
    let part = if same_day {
        text.get(11..19)
    } else {
        text.get(..19)
    };
    part.unwrap_or(&text).replace('T', " ")
}

/// The day on which everything happened, if it was one.
fn only_day(users: &[User]) -> Option<String> {
    let days: BTreeSet<String> = users
        .iter()
        .flat_map(|user| [user.all.first_seen, user.all.last_seen])
        .map(|time| time.to_string().chars().take(10).collect())
        .collect();
    match days.len() {
        1 => days.into_iter().next(),
        _ => None,
    }
}
