//! Recognises MSRP.

use super::chunk::{Look, has_path, look};
use super::dissector::Session;
use crate::classify::{Claim, Detector, Dissector, Probe, ProbeInput, Start};
use crate::model::{Evidence, Transport};

/// MSRP over TCP.
pub(super) struct Stream;

fn claim() -> Claim {
    Claim {
        format: super::format(),
        offset: 0,
        sender_is_client: None,
        evidence: Evidence::payload(super::FORMAT, "start line and To-Path"),
    }
}

impl Detector for Stream {
    fn name(&self) -> &'static str {
        "msrp"
    }

    fn transport(&self) -> Transport {
        Transport::Tcp
    }

    fn probe(&self, input: &ProbeInput<'_>) -> Probe {
        if input.start == Start::Later {
            return Probe::No;
        }
        let more = Probe::NeedMore {
            from: 0,
            total: input.bytes.len() + 1,
        };
        let line = match look(input.bytes) {
            Look::Msrp(line) => line,
            Look::Unclear => return more,
            Look::Neither => return Probe::No,
        };
        match has_path(&input.bytes[line.length..]) {
            Some(true) => Probe::Certain(claim()),
            // A start line alone is something that anybody may write about.
            None => more,
            Some(false) => Probe::No,
        }
    }

    fn dissector(&self, _: &Claim) -> Box<dyn Dissector> {
        Box::new(Session::default())
    }
}
