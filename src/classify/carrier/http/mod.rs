//! HTTP/1: what messengers hide in, and how they pass a proxy.
//!
//! `start` finds where a message begins, `framer` cuts a direction into heads and bodies, `dissector`
//! hands the messages to the messengers of `contract`, and what runs inside CONNECT to a stream of its own.
//! Messengers that poll spread one session over many connections: `sessions` knows them all, `spread` is one
//! connection's share.

mod contract;
mod detector;
mod dissector;
mod framer;
mod sessions;
mod spread;
mod start;
#[cfg(test)]
mod tests;

pub use contract::{
    HttpDissector, HttpMessenger, Inside, Part, RequestHead, ResponseHead, header, percent_decoded,
};
pub use detector::Http;
pub use sessions::{Known, Place, Sessions};
pub use spread::Spread;

/// Header fields of one message that are read.
const MAX_FIELDS: usize = 96;
