//! MSRP (RFC 4975): the sessions of messages that SIP sets up, each over a connection of its own.

mod chunk;
mod detector;
mod dissector;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Stream];

/// Those who speak it are named as those who set it up: `rules/modern/sip.toml`.
const SERVICE: &str = "sip";
/// The wire format.
const FORMAT: &str = "msrp";

fn format() -> Format {
    Format::messenger(Service::named(SERVICE), FORMAT, "session")
}
