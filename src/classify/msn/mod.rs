//! MSN, .NET and Windows Live Messenger.
//!
//! One line grammar ([`line`], [`grammar`]) serves the notification server, the switchboard and the HTTP
//! gateway: [`command`] cuts a stream into commands, [`session`] tells what they mean. The streams that two
//! users open between themselves have formats of their own: [`msnftp`], [`p2p`] and [`webcam`].

mod chunk;
mod command;
mod detect;
mod gateway;
mod grammar;
mod invite;
mod line;
mod message;
mod mime;
mod msnftp;
mod notes;
mod p2p;
mod session;
mod slp;
mod transfer;
mod webcam;

#[cfg(test)]
mod tests;

use super::carrier::http::HttpMessenger;
use super::{Claim, Detector, Probe};
use crate::model::{Evidence, Format, Service};
use std::borrow::Cow;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[
    &detect::Msnp,
    &msnftp::MsnFtp,
    &p2p::Direct,
    &webcam::Webcam,
];

/// Messengers of this family inside HTTP.
pub const HTTP: &[&dyn HttpMessenger] = &[&gateway::Gateway];

const NOTIFICATION: Format = Format::messenger(Service::MSN, "msnp", "notification");
const SWITCHBOARD: Format = Format::messenger(Service::MSN, "msnp", "switchboard");
const GATEWAY: Format = Format::messenger(Service::MSN, "msn-http", "gateway");
const FTP: Format = Format::messenger(Service::MSN, "msnftp", "peer");
const P2P: Format = Format::messenger(Service::MSN, "msn-p2p", "peer");
const CAM_PEER: Format = Format::messenger(Service::MSN, "msn-webcam", "peer");
const CAM_REFLECTOR: Format = Format::messenger(Service::MSN, "msn-webcam", "reflector");

/// A claim at the first byte of the input.
fn claim(
    format: Format,
    sender_is_client: Option<bool>,
    what: &'static str,
    detail: impl Into<Cow<'static, str>>,
) -> Claim {
    Claim {
        format,
        offset: 0,
        sender_is_client,
        evidence: Evidence::payload(what, detail),
    }
}

/// Undecided, with every byte still needed.
fn more(have: usize) -> Probe {
    Probe::NeedMore {
        from: 0,
        total: have + 1,
    }
}
