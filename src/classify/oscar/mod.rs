//! placeholder
use crate::classify::Detector;
/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[];
