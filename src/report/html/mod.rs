//! One HTML file that needs nothing else: for the manager, the printer and the archive.

mod charts;

use super::people::{People, User};
use super::record::{FlowRecord, RiskRecord};
use super::vendor::vendor;
use super::{Report, clean};
use crate::model::{Finding, Risk, Service, Severity, Summary, Timestamp};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use charts::Span;
use minijinja::{AutoEscape, Environment, Value, context};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

const TEMPLATE: &str = include_str!("report.html");
const SCRIPT: &str = include_str!("report.js");
const STYLE: &str = include_str!("report.css");

/// What is proposed against these messengers, as text.
pub type Proposal<'r> = Box<dyn Fn(&BTreeSet<Service>) -> Option<String> + 'r>;

/// Gathers everything and writes the page at the end.
pub struct Html<'r> {
    risks: &'r [Risk],
    proposal: Proposal<'r>,
    findings: Vec<Finding>,
}

impl<'r> Html<'r> {
    /// Describes risks by these words, and proposes that policy.
    pub fn new(risks: &'r [Risk], proposal: Proposal<'r>) -> Self {
        Self {
            risks,
            proposal,
            findings: Vec::new(),
        }
    }

    fn page(&self, summary: &Summary) -> Result<String, minijinja::Error> {
        let found: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|it| it.is_detection())
            .collect();
        let possible = self.findings.iter().filter(|it| it.is_possible()).count();
        let mut people = People::default();
        for finding in &found {
            people.add(finding);
        }
        let (_, users) = people.finish();
        let services: BTreeSet<Service> =
            found.iter().filter_map(|it| it.service.clone()).collect();
        let records: Vec<RiskRecord<'_>> = found
            .iter()
            .flat_map(|finding| RiskRecord::of(finding, self.risks))
            .collect();
        let mut environment = Environment::new();
        // Everything from the wire goes through this, whatever the template forgets.
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("report.html", TEMPLATE)?;
        let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
        environment.get_template("report.html")?.render(context! {
            style => Value::from_safe_string(STYLE.to_owned()),
            script => Value::from_safe_string(SCRIPT.to_owned()),
            script_hash => hash,
            version => env!("CARGO_PKG_VERSION"),
            from => summary.first.map(|time| time.to_string()),
            to => summary.last.map(|time| time.to_string()),
            packets => summary.packets,
            bytes => bytes(summary.bytes),
            flows => found.len(),
            all_flows => summary.flows,
            possible,
            services => services.iter().map(|service| title(service.id())).collect::<Vec<_>>(),
            severities => severities(&records),
            users => users.iter().map(user).collect::<Vec<_>>(),
            risks => risks(self.risks, &records),
            rows => found.iter().map(|finding| flow(finding)).collect::<Vec<_>>(),
            charts => pictures(&found, &users),
            policy => (self.proposal)(&services),
            totals => super::totals(summary),
        })
    }
}

impl Report for Html<'_> {
    fn finding(&mut self, finding: Finding, _: &mut dyn Write) -> io::Result<()> {
        self.findings.push(finding);
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.findings.sort_by_key(|finding| finding.flow_id);
        let page = self.page(summary).map_err(io::Error::other)?;
        out.write_all(page.as_bytes())
    }
}

/// How people write the messenger's name.
fn title(service: &str) -> &str {
    super::table::short_title(service)
}

/// `12.3 kB`
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn bytes(count: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    clean(&names.join(", ")).into_owned()
}

/// The day above the time of day, so that a column need not be wide.
fn time(time: Timestamp) -> String {
    let text = time.to_string();
    text.get(..19).unwrap_or(&text).replace('T', "\n")
}

fn user(user: &User) -> Value {
    let all = &user.all;
    context! {
        host => user.host.to_string(),
        mac => all.card().map(|card| card.to_string()),
        vendor => all.card().and_then(vendor),
        service => title(user.service.id()),
        accounts => list(&all.accounts),
        clients => list(&all.clients),
        features => list(&all.features),
        contacts => list(&all.contacts),
        first => time(all.first_seen),
        last => time(all.last_seen),
        bytes => bytes(all.counts.bytes),
        number => all.counts.bytes,
        confidence => all.confidence.name(),
        risks => all.risks.len(),
    }
}

fn flow(finding: &Finding) -> Value {
    let record = FlowRecord::from(finding);
    context! {
        id => finding.flow_id,
        first => time(finding.first_seen),
        from => finding.tuple.client.to_string(),
        to => finding.tuple.server.to_string(),
        proto => record.ends.proto,
        service => record.service.map(title),
        what => [record.app_proto, record.role].into_iter().flatten().collect::<Vec<_>>().join(" "),
        path => record.path.join(" > "),
        accounts => list(record.accounts),
        peers => list(record.peers),
        bytes => bytes(record.bytes),
        number => record.bytes,
        confidence => record.confidence.map(crate::model::Confidence::name),
        learned_from => record.learned_from,
        evidence => record.evidence.iter().map(|it| {
            format!("packet {}: {} ({})", it.packet, clean(&it.detail), it.what)
        }).collect::<Vec<_>>(),
    }
}

/// How many of each severity, the worst first.
fn severities(records: &[RiskRecord<'_>]) -> Vec<Value> {
    Severity::ALL
        .into_iter()
        .map(|severity| {
            let of = records.iter().filter(|record| record.severity == severity);
            let ids: BTreeSet<&str> = of.map(|record| record.risk).collect();
            context! { name => severity.name(), count => ids.len() }
        })
        .collect()
}

fn risks(risks: &[Risk], records: &[RiskRecord<'_>]) -> Vec<Value> {
    let mut sorted: Vec<&Risk> = risks.iter().collect();
    sorted.sort_by_key(|risk| std::cmp::Reverse(risk.severity));
    sorted
        .into_iter()
        .filter_map(|risk| {
            let mine: Vec<&RiskRecord<'_>> =
                records.iter().filter(|it| it.risk == risk.id).collect();
            if mine.is_empty() {
                return None;
            }
            let places: Vec<Value> = mine
                .iter()
                .map(|record| {
                    let evidence = record.evidence.iter().map(|it| match &it.detail {
                        Some(detail) => format!("{} (packet {})", clean(detail), it.packet),
                        None => format!("packet {}, byte {}", it.packet, it.offset),
                    });
                    context! {
                        flow => record.flow_id,
                        host => record.ends.src_ip.to_string(),
                        service => record.service.map(title),
                        accounts => list(record.accounts),
                        peers => list(record.peers),
                        count => record.count,
                        evidence => evidence.collect::<Vec<_>>(),
                    }
                })
                .collect();
            Some(context! {
                id => risk.id,
                title => risk.title,
                severity => risk.severity.name(),
                about => risk.about,
                advice => risk.advice,
                count => mine.iter().map(|record| record.count).sum::<u64>(),
                places,
            })
        })
        .collect()
}

/// The charts, each with what it shows in words.
fn pictures(found: &[&Finding], users: &[User]) -> Vec<Value> {
    let mut by_messenger: BTreeMap<String, u64> = BTreeMap::new();
    let mut pairs: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut spans: BTreeMap<u64, Span> = BTreeMap::new();
    for finding in found {
        let Some(service) = &finding.service else {
            continue;
        };
        *by_messenger.entry(service.id().to_owned()).or_default() += finding.counts.bytes;
        let span = Span {
            service: service.id().to_owned(),
            first: finding.first_seen,
            last: finding.last_seen,
            bytes: finding.counts.bytes,
        };
        spans.insert(finding.flow_id, span);
        for (one, other) in finding
            .accounts
            .iter()
            .flat_map(|one| finding.peers.iter().map(move |other| (one, other)))
        {
            let (one, other) = (clean(one).into_owned(), clean(other).into_owned());
            let pair = if one <= other {
                (one, other)
            } else {
                (other, one)
            };
            *pairs.entry(pair).or_default() += 1;
        }
    }
    let rows: Vec<(String, Vec<Span>)> = users
        .iter()
        .map(|user| {
            let who = list(&user.all.accounts);
            let flows = user
                .all
                .flows
                .iter()
                .filter_map(|id| spans.get(id).cloned());
            (format!("{} {who}", user.host), flows.collect())
        })
        .collect();
    let flows: Vec<Span> = spans.into_values().collect();
    let mut pictures = Vec::new();
    let mut add = |id: &str, title: &str, words: String, svg: Option<String>| {
        if let Some(svg) = svg {
            let svg = Value::from_safe_string(svg);
            pictures.push(context! { id, title, words, svg });
        }
    };
    let words = by_messenger
        .iter()
        .map(|(service, count)| format!("{} {}", title(service), bytes(*count)))
        .collect::<Vec<_>>();
    add(
        "by-messenger",
        "Traffic by messenger",
        words.join(", "),
        charts::by_messenger(&by_messenger),
    );
    if let Some((svg, step)) = charts::by_time(&flows) {
        let unit = match step {
            86_400 => "a day".to_owned(),
            86_401.. => format!("{} days", step / 86_400),
            3600 => "an hour".to_owned(),
            3601.. => format!("{} hours", step / 3600),
            60 => "a minute".to_owned(),
            61.. => format!("{} minutes", step / 60),
            1 => "a second".to_owned(),
            _ => format!("{step} seconds"),
        };
        let words = format!("Bytes of the flows that began within each column of {unit}.");
        add("by-time", "Traffic over time", words, Some(svg));
    }
    let words = match rows.len().saturating_sub(charts::MOST) {
        0 => "Each bar is a flow.".to_owned(),
        more => format!("Each bar is a flow. {more} more users are in the table below."),
    };
    add("timeline", "When", words, charts::timeline(&rows));
    let words: Vec<String> = pairs
        .keys()
        .take(200)
        .map(|(one, other)| format!("{one} and {other}"))
        .collect();
    add(
        "contacts",
        "Who talks to whom",
        words.join("; "),
        charts::contacts(&pairs),
    );
    pictures
}
