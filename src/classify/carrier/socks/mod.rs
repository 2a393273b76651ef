//! SOCKS 4, 4a and 5: proxies that pass any TCP connection on.
//!
//! `opening` reads what each side says before the inner bytes, `detector` recognises it from either side alone,
//! `dissector` hands what runs inside to a stream of its own. `udp` is for datagrams that SOCKS 5 relays.
//! User names and passwords are passed over.

mod detector;
mod dissector;
mod opening;
mod udp;

pub use detector::Socks;
pub use udp::Datagrams;
#[cfg(test)]
mod tests;
