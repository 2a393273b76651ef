//! What messengers hide in, and what is no messenger: HTTP and its proxies, SOCKS, TLS, DNS, ordinary protocols.

mod dns;
pub mod http;
mod ordinary;
mod socks;
mod tls;
mod tunnel;

use super::Detector;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[
    &socks::Socks,
    &socks::Datagrams,
    &http::Http,
    &tls::Tls,
    &dns::Dns,
    &ordinary::Ordinary,
];
