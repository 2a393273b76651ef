//! All detectors. A new family adds its line here and nowhere else.

use super::carrier::http::HttpMessenger;
use super::{Detector, call, carrier, gadugadu, icq, irc, matrix, msn, oscar, sip, xmpp, yahoo};

/// The detectors of each protocol family, asked in this order.
pub const FAMILIES: &[&[&dyn Detector]] = &[
    oscar::DETECTORS,
    icq::DETECTORS,
    msn::DETECTORS,
    yahoo::DETECTORS,
    xmpp::DETECTORS,
    irc::DETECTORS,
    gadugadu::DETECTORS,
    sip::DETECTORS,
    call::DETECTORS,
    carrier::DETECTORS,
];

/// The messengers that hide in HTTP.
pub const HTTP: &[&[&dyn HttpMessenger]] = &[oscar::HTTP, msn::HTTP, yahoo::HTTP, matrix::HTTP];
