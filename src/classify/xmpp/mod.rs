//! XMPP (RFC 6120, RFC 6121): XML streams over TCP, until TLS hides them.

mod detector;
mod dissector;
mod tags;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Streams];

/// The id of `rules/modern/xmpp.toml`.
const ID: &str = "xmpp";

fn format(role: Option<&'static str>) -> Format {
    Format {
        service: Some(Service::named(ID)),
        app_proto: ID,
        role,
    }
}
