//! What messengers hide in, and what is no messenger: HTTP and its proxies, TLS, DNS, ordinary protocols.

mod dns;
pub mod http;
mod ordinary;
mod tls;

use super::Detector;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&http::Http, &tls::Tls, &dns::Dns, &ordinary::Ordinary];
