//! The table, live: a line for each messenger as it is seen, and the users when it ends.

use super::people::{Roll, User};
use super::table::{event_line, names, print, service_title, short_title, time, user_table};
use super::{Report, Verbosity, clean, losses, totals};
use crate::model::{
    Confidence, Detection, Finding, News, Occurrence, Risk, Service, Severity, Summary,
};
use std::io::{self, Write};

/// Writes lines as they come.
#[derive(Debug)]
pub struct Lines<'r> {
    risks: &'r [Risk],
    verbosity: Verbosity,
    roll: Roll,
}

impl<'r> Lines<'r> {
    /// Describes risks by these words.
    pub fn new(risks: &'r [Risk], verbosity: Verbosity) -> Self {
        Self {
            risks,
            verbosity,
            roll: Roll::default(),
        }
    }

    /// `03:04:05  AIM  alice77  10.0.0.5:50211 -> 205.188.7.9:5190 tcp  oscar bos  flow 3`
    fn flow_line(finding: &Finding, mark: &str) -> String {
        let tuple = &finding.tuple;
        let mut line = format!(
            "{}  {mark}{}  {}  {} -> {} {}",
            time(finding.last_seen, true),
            finding.service.as_ref().map_or("-", service_title),
            names(&finding.accounts),
            tuple.client,
            tuple.server,
            tuple.transport.name().to_lowercase(),
        );
        let words = [finding.app_proto, finding.role];
        for word in words.into_iter().flatten() {
            line.push(' ');
            line.push_str(word);
        }
        if let Some(less @ (Confidence::Probable | Confidence::Possible)) = finding.confidence {
            line = format!("{line} ({less})");
        }
        format!("{line}  flow {}", finding.flow_id)
    }

    fn risk_line(finding: &Finding, risk: &Risk) -> String {
        let details = finding.risks.get(risk.id.as_str()).into_iter();
        let mut details = details.flat_map(|exposure| &exposure.sightings);
        let detail = details.find_map(|it| it.detail.as_deref());
        let service = finding.service.as_ref().map_or("-", Service::id);
        let mut line = format!(
            "{}  ! {} risk: {}  {} {} {}",
            time(finding.last_seen, true),
            risk.severity,
            risk.title,
            short_title(service),
            names(&finding.accounts),
            finding.tuple.client.ip,
        );
        if let Some(detail) = detail {
            line.push_str(": ");
            line.push_str(&clean(detail));
        }
        format!("{line}  flow {}", finding.flow_id)
    }
}

impl Report for Lines<'_> {
    fn wants_occurrences(&self) -> bool {
        self.verbosity > Verbosity::Users
    }

    fn occurrence(&mut self, occurrence: &Occurrence, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", event_line(occurrence))
    }

    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        let finding = &detection.finding;
        let mut all: Vec<&str> = Vec::new();
        let new = match &detection.news {
            News::New => {
                writeln!(out, "{}", Self::flow_line(finding, ""))?;
                all.extend(finding.risks.keys());
                &all
            }
            News::More { identity, risks } => {
                if *identity {
                    writeln!(out, "{}", Self::flow_line(finding, "= "))?;
                }
                risks
            }
            News::Interval => return Ok(()),
        };
        let worth = self
            .risks
            .iter()
            .filter(|risk| risk.severity >= Severity::High && new.contains(&risk.id.as_str()));
        for risk in worth {
            writeln!(out, "{}", Self::risk_line(finding, risk))?;
        }
        Ok(())
    }

    fn finding(&mut self, finding: Finding, _: &mut dyn Write) -> io::Result<()> {
        self.roll.add(&finding);
        Ok(())
    }

    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let (users, forgotten) = std::mem::take(&mut self.roll).finish();
        let users: Vec<User> = users;
        if users.is_empty() {
            writeln!(out, "No messenger found.")?;
        } else {
            writeln!(out, "\nTimes in UTC\n")?;
            print(&user_table(&users, false), out)?;
        }
        if forgotten > 0 {
            writeln!(out, "... and {forgotten} users that were seen longer ago")?;
        }
        writeln!(out, "\n{}", totals(summary))?;
        match &summary.listening {
            Some(listening) => writeln!(out, "{}", losses(listening)),
            None => Ok(()),
        }
    }
}
