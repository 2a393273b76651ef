//! SIP (RFC 3261), and what makes a messenger of it: MESSAGE (RFC 3428), presence (RFC 3856, RFC 3903) and sessions of
//! messages (RFC 4975).
//!
//! A telephone call is no messenger, so that SIP by itself names nobody. Cameras, alarms and exchanges send MESSAGE as
//! well: what it carries must be meant for people.

mod detector;
mod dissector;
mod message;
#[cfg(test)]
mod tests;

pub(super) use dissector::inside;
pub(super) use message::user;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Datagrams, &detector::Stream];

/// The id of `rules/modern/sip.toml`, and the wire format.
const ID: &str = "sip";

fn format() -> Format {
    Format {
        service: Some(Service::named(ID)),
        app_proto: ID,
        role: Some("simple"),
    }
}
