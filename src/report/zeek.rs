//! A log in the form of Zeek's `conn.log`: tab-separated, with types in its head, for `zeek-cut` and what loads such logs.

use super::Report;
use super::record::community_id;
use crate::model::{Finding, Summary, Timestamp, Transport};
use std::fmt::Write as _;
use std::io::{self, Write};

/// Names and types of the columns. Bytes are those of frames, which Zeek does not count, so they have a name of their own.
const COLUMNS: [(&str, &str); 24] = [
    ("ts", "time"),
    ("uid", "string"),
    ("id.orig_h", "addr"),
    ("id.orig_p", "port"),
    ("id.resp_h", "addr"),
    ("id.resp_p", "port"),
    ("proto", "enum"),
    ("service", "string"),
    ("duration", "interval"),
    ("orig_pkts", "count"),
    ("orig_frame_bytes", "count"),
    ("resp_pkts", "count"),
    ("resp_frame_bytes", "count"),
    ("community_id", "string"),
    ("im_service", "string"),
    ("im_role", "string"),
    ("im_confidence", "string"),
    ("im_accounts", "set[string]"),
    ("im_peers", "set[string]"),
    ("im_client", "string"),
    ("im_features", "set[string]"),
    ("im_risks", "set[string]"),
    ("im_path", "vector[string]"),
    ("im_flow_id", "count"),
];

/// Flows as they come.
#[derive(Debug, Default)]
pub struct Zeek {
    begun: bool,
}

impl Zeek {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        out.write_all(b"#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\timwarden\n")?;
        let line =
            |word: &str, cells: [&str; COLUMNS.len()]| format!("#{word}\t{}\n", cells.join("\t"));
        out.write_all(line("fields", COLUMNS.map(|(name, _)| name)).as_bytes())?;
        out.write_all(line("types", COLUMNS.map(|(_, kind)| kind)).as_bytes())
    }
}

/// Seconds, with microseconds.
fn seconds(nanos: i128) -> String {
    format!(
        "{}.{:06}",
        nanos / 1_000_000_000,
        nanos % 1_000_000_000 / 1000
    )
}

fn time(time: Timestamp) -> String {
    seconds(time.as_nanos().into())
}

/// What would break the line is written as Zeek does: `\x09`. Inside sets the comma too.
fn escape(text: &str, in_set: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || c == '\\' || (in_set && c == ',') {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{byte:02x}");
            }
        } else {
            out.push(c);
        }
    }
    // A lone dash is "unset", and a line that begins with # is a comment.
    match out.as_str() {
        "-" => "\\x2d".to_owned(),
        "(empty)" => "\\x28empty)".to_owned(),
        _ => out,
    }
}

fn cell(text: Option<&str>) -> String {
    match text {
        Some("") => "(empty)".to_owned(),
        Some(text) => escape(text, false),
        None => "-".to_owned(),
    }
}

fn set(values: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let values: Vec<String> = values
        .into_iter()
        .map(|value| escape(value.as_ref(), true))
        .collect();
    if values.is_empty() {
        "(empty)".to_owned()
    } else {
        values.join(",")
    }
}

impl Report for Zeek {
    fn finding(&mut self, finding: Finding, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        let tuple = &finding.tuple;
        let (all, there) = (finding.counts, finding.to_server);
        let community = community_id(&finding);
        // The same flow has the same uid in every run.
        let uid = format!("I{:017x}", finding.flow_id);
        let layers = finding.path.iter().map(|layer| layer.to_string());
        let carriers = finding.carriers.iter().map(|carrier| (*carrier).to_owned());
        let cells: [String; COLUMNS.len()] = [
            time(finding.first_seen),
            uid,
            tuple.client.ip.to_string(),
            tuple.client.port.to_string(),
            tuple.server.ip.to_string(),
            tuple.server.port.to_string(),
            match tuple.transport {
                Transport::Tcp => "tcp".to_owned(),
                Transport::Udp => "udp".to_owned(),
            },
            cell(finding.app_proto),
            seconds(finding.last_seen.nanos_since(finding.first_seen).into()),
            there.packets.to_string(),
            there.bytes.to_string(),
            (all.packets - there.packets).to_string(),
            (all.bytes - there.bytes).to_string(),
            cell(community.as_deref()),
            cell(finding.service.as_ref().map(crate::model::Service::id)),
            cell(finding.role),
            cell(finding.confidence.map(crate::model::Confidence::name)),
            set(&finding.accounts),
            set(&finding.peers),
            cell(finding.client.as_deref()),
            set(&finding.features),
            set(finding.risks.keys()),
            set(layers.chain(carriers)),
            finding.flow_id.to_string(),
        ];
        out.write_all((cells.join("\t") + "\n").as_bytes())
    }

    fn finish(&mut self, _: &Summary, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)
    }
}

#[cfg(test)]
mod tests {
    use super::{cell, escape, seconds, set};

    #[test]
    fn nothing_breaks_a_line_or_a_set() {
        assert_eq!(escape("a\tb\nc", false), "a\\x09b\\x0ac");
        assert_eq!(set(["a,b", "c"]), "a\\x2cb,c");
        assert_eq!(set(Vec::<String>::new()), "(empty)");
        assert_eq!(cell(None), "-");
        assert_eq!(cell(Some("-")), "\\x2d");
        assert_eq!(seconds(1_500_000_000), "1.500000");
    }
}
