//! NDJSON (one record a line) and JSON (one document).

use super::{
    ActionRecord, EventRecord, FlowRecord, People, PeopleRecord, Report, RiskRecord, SummaryRecord,
};
use crate::model::{Action, Detection, Finding, News, Occurrence, Risk, Summary};
use serde::Serialize;
use std::io::{self, Write};

/// One record a line, as soon as it is known: events, flows with their risks, then sessions, users and totals.
#[derive(Debug)]
pub struct Ndjson<'r> {
    risks: &'r [Risk],
    /// Not live: a sum over months has no end.
    people: Option<People>,
}

impl<'r> Ndjson<'r> {
    /// Describes risks by these words.
    pub fn new(risks: &'r [Risk]) -> Self {
        Self {
            risks,
            people: Some(People::default()),
        }
    }

    /// The same, of interfaces: with what is known of flows before they end, and without sessions and users.
    pub const fn live(risks: &'r [Risk]) -> Self {
        Self {
            risks,
            people: None,
        }
    }
}

impl Report for Ndjson<'_> {
    fn wants_occurrences(&self) -> bool {
        true
    }

    fn occurrence(&mut self, occurrence: &Occurrence, out: &mut dyn Write) -> io::Result<()> {
        write_line(&EventRecord::from(occurrence), out)
    }

    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        let event_type = match detection.news {
            News::New => "detection",
            News::More { .. } | News::Interval => "update",
        };
        let record = FlowRecord {
            event_type,
            ..FlowRecord::from(&detection.finding)
        };
        write_line(&record, out)
    }

    fn action(&mut self, action: &Action, out: &mut dyn Write) -> io::Result<()> {
        write_line(&ActionRecord::from(action), out)
    }

    fn statistics(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        write_line(&SummaryRecord::statistics(summary), out)
    }

    fn finding(&mut self, finding: Finding, out: &mut dyn Write) -> io::Result<()> {
        write_line(&FlowRecord::from(&finding), out)?;
        for risk in RiskRecord::of(&finding, self.risks) {
            write_line(&risk, out)?;
        }
        if let Some(people) = &mut self.people {
            people.add(&finding);
        }
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let (sessions, users) = self.people.take().unwrap_or_default().finish();
        for session in &sessions {
            write_line(&PeopleRecord::session(session), out)?;
        }
        for user in &users {
            write_line(&PeopleRecord::user(user), out)?;
        }
        write_line(&SummaryRecord::new(summary), out)
    }
}

/// Room for most lines, so that they need not move while they grow.
const LINE: usize = 1024;

/// Writes a record and ends its line.
pub(super) fn write_line(record: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    // In one piece: a record is written in many small ones, and each would go through the output's layers.
    let mut line = Vec::with_capacity(LINE);
    serde_json::to_writer(&mut line, record)?;
    line.push(b'\n');
    out.write_all(&line)
}

/// One document: `{"schema":..., "flows":[...], "events":[...], "risks":[...], "sessions":[...], "users":[...],
/// "summary":{...}}`.
#[derive(Debug)]
pub struct Json<'r> {
    risks: &'r [Risk],
    findings: Vec<Finding>,
    occurrences: Vec<Occurrence>,
}

impl<'r> Json<'r> {
    /// Describes risks by these words.
    pub const fn new(risks: &'r [Risk]) -> Self {
        Self {
            risks,
            findings: Vec::new(),
            occurrences: Vec::new(),
        }
    }
}

impl Report for Json<'_> {
    fn wants_occurrences(&self) -> bool {
        true
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
        #[derive(Serialize)]
        struct Document<'a> {
            schema: &'static str,
            flows: Vec<FlowRecord<'a>>,
            events: Vec<EventRecord<'a>>,
            risks: Vec<RiskRecord<'a>>,
            sessions: Vec<PeopleRecord<'a>>,
            users: Vec<PeopleRecord<'a>>,
            summary: SummaryRecord<'a>,
        }
        self.findings.sort_by_key(|finding| finding.flow_id);
        let mut people = People::default();
        for finding in &self.findings {
            people.add(finding);
        }
        let (sessions, users) = people.finish();
        let risks = self
            .findings
            .iter()
            .flat_map(|finding| RiskRecord::of(finding, self.risks));
        let document = Document {
            schema: super::SCHEMA,
            flows: self.findings.iter().map(FlowRecord::from).collect(),
            events: self.occurrences.iter().map(EventRecord::from).collect(),
            risks: risks.collect(),
            sessions: sessions.iter().map(PeopleRecord::session).collect(),
            users: users.iter().map(PeopleRecord::user).collect(),
            summary: SummaryRecord::new(summary),
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        out.write_all(b"\n")
    }
}
