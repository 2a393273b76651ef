//! NDJSON (one record a line) and JSON (one document).

use super::{FlowRecord, SummaryRecord};
use crate::model::{Finding, Summary};
use serde::Serialize;
use std::io::{self, Write};

/// One flow record, on a line.
pub fn write_flow(finding: &Finding, out: &mut dyn Write) -> io::Result<()> {
    write_line(&FlowRecord::from(finding), out)
}

/// The summary record, on the last line.
pub fn write_summary(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    write_line(&SummaryRecord::new(summary), out)
}

fn write_line(record: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, record)?;
    out.write_all(b"\n")
}

/// One document: `{"schema":..., "flows":[...], "summary":{...}}`.
pub fn write_json(findings: &[Finding], summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'static str,
        flows: Vec<FlowRecord<'a>>,
        summary: SummaryRecord<'a>,
    }
    let document = Document {
        schema: super::SCHEMA,
        flows: findings.iter().map(FlowRecord::from).collect(),
        summary: SummaryRecord::new(summary),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}
