//! CSV: a line a flow, for spreadsheets.

use super::{FlowRecord, Report};
use crate::model::{Finding, Summary};
use std::borrow::Cow;
use std::io::{self, Write};

const HEADER: [&str; 22] = [
    "flow_id",
    "timestamp",
    "end",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "proto",
    "community_id",
    "service",
    "app_proto",
    "role",
    "confidence",
    "path",
    "accounts",
    "peers",
    "client",
    "features",
    "risks",
    "packets",
    "bytes",
    "learned_from",
];

/// Flows in the order in which they come.
#[derive(Debug, Default)]
pub struct Csv {
    begun: bool,
}

impl Csv {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            write(HEADER, out)?;
        }
        Ok(())
    }
}

/// A spreadsheet takes what begins so for a formula and runs it; an apostrophe in front makes it text.
fn safe(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}").into()
    } else {
        text
    }
}

fn write<'a>(
    cells: impl IntoIterator<Item = impl Into<Cow<'a, str>>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(out);
    writer.write_record(cells.into_iter().map(|cell| safe(cell.into()).into_owned()))?;
    writer.flush()
}

fn text(value: Option<&str>) -> Cow<'_, str> {
    value.unwrap_or_default().into()
}

fn list<'a>(values: impl IntoIterator<Item = &'a (impl AsRef<str> + 'a)>) -> Cow<'static, str> {
    let values: Vec<&str> = values.into_iter().map(AsRef::as_ref).collect();
    values.join("; ").into()
}

impl Report for Csv {
    fn finding(&mut self, finding: Finding, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        let flow = FlowRecord::from(&finding);
        let cells: [Cow<'_, str>; HEADER.len()] = [
            flow.flow_id.to_string().into(),
            flow.timestamp.as_str().into(),
            flow.end.as_str().into(),
            flow.ends.src_ip.to_string().into(),
            flow.ends.src_port.to_string().into(),
            flow.ends.dest_ip.to_string().into(),
            flow.ends.dest_port.to_string().into(),
            flow.ends.proto.into(),
            text(flow.community_id.as_deref()),
            text(flow.service),
            text(flow.app_proto),
            text(flow.role),
            text(flow.confidence.map(crate::model::Confidence::name)),
            list(&flow.path),
            list(flow.accounts),
            list(flow.peers),
            text(flow.client),
            list(flow.features),
            list(&flow.risks),
            flow.packets.to_string().into(),
            flow.bytes.to_string().into(),
            flow.learned_from
                .map(|id| id.to_string())
                .unwrap_or_default()
                .into(),
        ];
        write(cells, out)
    }

    fn finish(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{safe, write};

    #[test]
    fn formulas_become_text_and_separators_are_quoted() {
        assert_eq!(safe("=cmd|' /C calc'!A0".into()), "'=cmd|' /C calc'!A0");
        assert_eq!(safe("-1+2".into()), "'-1+2");
        assert_eq!(safe("alice".into()), "alice");
        let mut out = Vec::new();
        assert!(write(["@bob", "a,b", "say \"hi\""], &mut out).is_ok());
        assert_eq!(out, b"'@bob,\"a,b\",\"say \"\"hi\"\"\"\r\n");
    }
}
