//! OSCAR, the protocol of AIM and of ICQ since 2000, and what AOL built beside it: TOC for other people's
//! clients, OFT and ODC between two users, ARS for users who cannot reach each other.
//!
//! `detector` recognises FLAP by walking frames (`chain`); `dissector` follows them (`flap`) and
//! hands SNACs (`snac`, `generic`, `signon`, `icbm`, `rendezvous`, `icq`) and lines of TOC
//! (`toc`) to those who know what they say. `http` is for FLAP in the bodies of HTTP messages.

mod ars;
mod bytes;
mod chain;
mod detector;
mod dissector;
mod flap;
mod generic;
mod http;
mod hunt;
mod icbm;
mod icq;
mod names;
mod odc;
mod oft;
mod rendezvous;
mod signon;
mod snac;
mod tell;
#[cfg(test)]
mod tests;
mod tlv;
mod toc;

use crate::classify::Detector;
use crate::classify::carrier::http::HttpMessenger;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Flap, &oft::Oft, &odc::Odc, &ars::Ars];

/// Messengers of this family inside HTTP.
pub const HTTP: &[&dyn HttpMessenger] = &[&http::OscarHttp];
