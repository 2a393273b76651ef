//! What messengers hide in, and what is no messenger: HTTP and its proxies, SOCKS, TLS, QUIC, DNS, ordinary protocols.

mod certificate;
mod dns;
mod hello;
pub mod http;
mod ja4;
mod ordinary;
mod quic;
mod socks;
mod tls;
mod tunnel;

pub use ja4::Fingerprints;
pub use ordinary::Nothing;

use super::Detector;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[
    &socks::Socks,
    &socks::Datagrams,
    &http::Http,
    &tls::Tls,
    &dns::Dns,
    &quic::Quic,
    &ordinary::Ordinary,
];
