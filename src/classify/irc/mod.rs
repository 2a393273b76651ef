//! IRC (RFC 1459, RFC 2812): registration, numeric replies, messages, direct connections (DCC).

mod detector;
mod dissector;
mod line;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Irc];

/// The id of `rules/modern/irc.toml`.
const ID: &str = "irc";

fn format(role: &'static str) -> Format {
    Format {
        service: Some(Service::named(ID)),
        app_proto: ID,
        role: Some(role),
    }
}
