//! What was seen, out of the records of an earlier run.

use super::{Sends, TUNNELS, named_by};
use crate::cli::CliError;
use crate::model::{Confidence, Endpoint, Service, Transport};
use crate::policy::{Other, OtherSource, Sighting, Sightings, feature_of};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::net::IpAddr;
use std::path::Path;

/// Flow records of `--format ndjson`.
pub(super) fn read(path: &Path, least: Confidence, all: &mut Sightings) -> Result<(), CliError> {
    let wrong =
        |line: usize, what: &str| CliError::Findings(format!("{}:{line}: {what}", path.display()));
    let file = std::fs::File::open(path)
        .map_err(|error| CliError::Findings(format!("cannot read {}: {error}", path.display())))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // What flows said whose own record comes later: it says what they are.
    let mut said: BTreeMap<u64, BTreeSet<Sends>> = BTreeMap::new();
    for (number, line) in std::io::BufReader::new(file).lines().enumerate() {
        let number = number + 1;
        let line = line.map_err(|error| wrong(number, &error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let record: Value =
            serde_json::from_str(&line).map_err(|error| wrong(number, &error.to_string()))?;
        if record["schema"] != "imwarden/1" {
            return Err(wrong(
                number,
                "this is no record of `analyze --format ndjson`",
            ));
        }
        if record["event_type"] == "event" {
            if let (Some(flow), Some(sends)) = (record["flow_id"].as_u64(), sends(&record)) {
                said.entry(flow).or_default().insert(sends);
            }
            continue;
        }
        if record["event_type"] != "flow" {
            continue;
        }
        let flow = flow_of(&record).ok_or_else(|| wrong(number, "a flow without its addresses"))?;
        let id = record["flow_id"].as_u64().unwrap_or_default();
        let said = said.remove(&id).unwrap_or_default();
        match (record["service"].as_str(), confidence(&record)) {
            (Some(service), Some(sure)) if sure >= least => {
                let service = Service::named(service.to_owned());
                let by = named_by(&name, id);
                let said = said.into_iter();
                all.named
                    .extend(said.map(|it| it.named(&service, by.clone())));
                all.flows.push(Sighting {
                    service,
                    feature: feature_of(record["app_proto"].as_str().unwrap_or_default()),
                    proxied: record["path"].as_array().is_some_and(|path| {
                        path.iter()
                            .filter_map(Value::as_str)
                            .any(|layer| TUNNELS.contains(&layer))
                    }),
                    opening: None,
                    place: format!("{name}, flow {id}"),
                    transport: flow.0,
                    client: flow.1,
                    server: flow.2,
                });
            }
            (Some(_), _) => {}
            (None, _) => {
                let other = Other::new(flow.0, flow.1.ip, flow.2);
                all.others.add(other, OtherSource::Record);
            }
        }
    }
    Ok(())
}

/// Where an event's flow sends others.
fn sends(record: &Value) -> Option<Sends> {
    let port = u16::try_from(record["dest_port"].as_u64()?).ok()?;
    Sends::of(record["event"].as_str()?, port, |key| record[key].as_str())
}

fn flow_of(record: &Value) -> Option<(Transport, Endpoint, Endpoint)> {
    let end = |ip: &str, port: &str| -> Option<Endpoint> {
        let ip: IpAddr = record[ip].as_str()?.parse().ok()?;
        let port = u16::try_from(record[port].as_u64()?).ok()?;
        Some(Endpoint::new(ip, port))
    };
    let transport = match record["proto"].as_str()? {
        "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        _ => return None,
    };
    Some((
        transport,
        end("src_ip", "src_port")?,
        end("dest_ip", "dest_port")?,
    ))
}

fn confidence(record: &Value) -> Option<Confidence> {
    let all = [
        Confidence::Possible,
        Confidence::Probable,
        Confidence::Confirmed,
    ];
    let word = record["confidence"].as_str()?;
    all.into_iter().find(|it| it.name() == word)
}
