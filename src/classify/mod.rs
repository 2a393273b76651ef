//! What a flow is.
//!
//! [`detector`] is the contract: a [`Detector`] looks at the first bytes of an undecided stream and says
//! yes, no or "more"; the [`Dissector`] it starts then follows the stream and tells [`crate::model::Event`]s.
//! One folder a protocol family holds both; [`registry`] lists them all. [`stream`] runs the detectors
//! over one stream, [`engine`] gathers what they tell into findings.

mod call;
pub mod carrier;
pub mod detector;
pub mod engine;
mod expiring;
mod exploit;
mod facts;
mod file;
mod gadugadu;
pub mod icq;
pub mod irc;
mod learned;
mod matrix;
pub mod msn;
mod msrp;
mod oicq;
mod opening;
pub mod oscar;
mod outbox;
pub mod registry;
mod settle;
pub mod signature;
mod sip;
pub mod stream;
#[cfg(test)]
mod testing;
mod undecided;
mod units;
mod wechat;
pub mod xmpp;
pub mod yahoo;

pub use detector::{Claim, Detector, Dissector, Events, Probe, ProbeInput, Start, Unit};
