//! How people and machines read the findings.
//!
//! Each format is a [`Report`]: it is told of events and flows as they come and writes at once what it can;
//! [`FlowRecord`], [`EventRecord`], [`RiskRecord`], [`PeopleRecord`] and [`SummaryRecord`] are the machine's view, the
//! same fields in every format. The table is the one-screen answer for people.

mod act;
mod clean;
mod csv;
mod eve;
mod html;
mod journal;
mod json;
mod lines;
mod notice;
mod people;
mod record;
mod redact;
mod syslog;
mod table;
mod vendor;
mod zeek;

pub use act::ActionRecord;
pub use clean::clean;
pub use csv::Csv;
pub use eve::Eve;
pub use html::{Html, Proposal};
pub use journal::Journal;
pub use json::{Json, Ndjson};
pub use lines::Lines;
pub use people::{People, Session, User};
pub use record::{
    EventRecord, FlowRecord, PeopleRecord, RiskRecord, SCHEMA, SummaryRecord, community_id,
};
pub use redact::Redactor;
pub use syslog::Syslog;
pub use table::{
    Table, Verbosity, event_line, losses, names, service_title, time, totals, used_for,
};
pub use vendor::vendor;
pub use zeek::Zeek;

use crate::model::{Action, Detection, Finding, Occurrence, Summary};
use std::io::{self, Write};

/// A way to write what was found.
pub trait Report {
    /// Whether it wants to hear of what people did. Asked before reading begins.
    fn wants_occurrences(&self) -> bool {
        false
    }

    /// Somebody did something.
    fn occurrence(&mut self, occurrence: &Occurrence, out: &mut dyn Write) -> io::Result<()> {
        let _ = (occurrence, out);
        Ok(())
    }

    /// A flow that goes on is a messenger's, or more is known of it (live).
    fn detection(&mut self, detection: &Detection, out: &mut dyn Write) -> io::Result<()> {
        let _ = (detection, out);
        Ok(())
    }

    /// Something was done about what was found (live).
    fn action(&mut self, action: &Action, out: &mut dyn Write) -> io::Result<()> {
        let _ = (action, out);
        Ok(())
    }

    /// How it goes (live).
    fn statistics(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
        let _ = (summary, out);
        Ok(())
    }

    /// A flow is over.
    fn finding(&mut self, finding: Finding, out: &mut dyn Write) -> io::Result<()>;

    /// All was read.
    fn finish(&mut self, summary: &Summary, out: &mut dyn Write) -> io::Result<()>;
}
