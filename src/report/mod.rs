//! How people and machines read the findings.
//!
//! [`FlowRecord`] and [`SummaryRecord`] are the machine's view, the same fields in every format; [`write_table`]
//! is the one-screen answer for people.

mod clean;
mod json;
mod record;
mod table;

pub use clean::clean;
pub use json::{write_flow, write_json, write_summary};
pub use record::{FlowRecord, SCHEMA, SummaryRecord};
pub use table::{totals, write_table};
