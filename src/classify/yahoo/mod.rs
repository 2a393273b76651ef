//! placeholder
use crate::classify::Detector;
/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[];
/// Messengers of this family inside HTTP.
pub const HTTP: &[&dyn crate::classify::carrier::http::HttpMessenger] = &[];
