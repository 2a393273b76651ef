//! What is on its way to the writer.

use crate::model::{Detection, Finding, Occurrence, Summary};

/// One thing to write.
pub enum Record {
    /// A flow that goes on.
    Detection(Box<Detection>),
    /// A flow that is over.
    Flow(Box<Finding>),
    /// Somebody did something.
    Event(Box<Occurrence>),
    /// How it goes.
    Statistics(Box<Summary>),
    /// All in all; the last one.
    End(Box<Summary>),
}
