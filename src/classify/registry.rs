//! All detectors. A new family adds its line here and nowhere else.

use super::carrier::http::HttpMessenger;
use super::{Detector, icq, msn, oscar, yahoo};

/// The detectors of each protocol family, asked in this order.
pub const FAMILIES: &[&[&dyn Detector]] = &[
    oscar::DETECTORS,
    icq::DETECTORS,
    msn::DETECTORS,
    yahoo::DETECTORS,
];

/// The messengers that hide in HTTP.
pub const HTTP: &[&[&dyn HttpMessenger]] = &[msn::HTTP, yahoo::HTTP];
