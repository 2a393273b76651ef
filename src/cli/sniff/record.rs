//! What is on its way to the writer.

use crate::model::{Action, Detection, Finding, Occurrence, Summary};
use crate::report::Redactor;

/// One thing to write.
#[derive(Clone)]
pub enum Record {
    /// A flow that goes on.
    Detection(Box<Detection>),
    /// A flow that is over.
    Flow(Box<Finding>),
    /// Somebody did something.
    Event(Box<Occurrence>),
    /// Something was done about it.
    Action(Box<Action>),
    /// How it goes.
    Statistics(Box<Summary>),
    /// All in all; the last one.
    End(Box<Summary>),
}

impl Record {
    /// Hides names.
    pub fn redact(&mut self, redactor: &Redactor) {
        match self {
            Self::Detection(detection) => redactor.finding(&mut detection.finding),
            Self::Flow(finding) => redactor.finding(finding),
            Self::Event(occurrence) => redactor.occurrence(occurrence),
            Self::Action(action) => redactor.action(action),
            Self::Statistics(_) | Self::End(_) => {}
        }
    }
}
