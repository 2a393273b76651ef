//! Yahoo! Messenger: YMSG over TCP and within HTTP, its webcam, and the old YPNS pager.
//!
//! [`ymsg`] is the header, [`body`] the keys and values, [`stream`] cuts bytes into packets, [`session`] says
//! what packets mean. [`detector`] and [`dissector`] put them behind the contract for TCP, [`http`] for HTTP.

mod activity;
mod address;
mod body;
mod detector;
mod dissector;
mod http;
mod http_dissector;
mod session;
#[cfg(test)]
mod session_tests;
mod stream;
#[cfg(test)]
mod testing;
mod webcam;
mod ymsg;
mod ypns;

use crate::classify::Detector;
use crate::classify::carrier::http::HttpMessenger;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Ymsg, &webcam::Webcam, &ypns::Ypns];
/// Messengers of this family inside HTTP.
pub const HTTP: &[&dyn HttpMessenger] = &[&http::YahooHttp];
