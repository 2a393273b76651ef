//! Gadu-Gadu, versions 6 to 11 (libgadu's protocol documentation): packets of a type and a length, little-endian.

mod detector;
mod dissector;
mod eleven;
mod packet;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Sessions];

/// The id of `rules/modern/gadugadu.toml`.
const ID: &str = "gadugadu";

fn format() -> Format {
    Format {
        service: Some(Service::named(ID)),
        app_proto: "gadu-gadu",
        role: Some("session"),
    }
}
