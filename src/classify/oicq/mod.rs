//! QQ's own protocol, OICQ, in datagrams and over TCP, of the clients of 2000 to 2008 and of those after them.
//!
//! Headers, versions, commands: Wireshark `packet-oicq.c`; libpurple `protocols/qq` and its successor pidgin-libqq; `LumaQQ`
//! `QQ.java`; nDPI `qq.c`. What later clients put behind the number: mirai `TIMProtocol.kt`, pcqq, Tangent-PC `packet.go`,
//! `QQRobot` `TXProtocol.java`. What a packet carries is encrypted, and nobody reads it here.

mod detector;
mod names;
mod packet;
mod session;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Datagrams, &detector::Stream];

/// The id of `rules/modern/qq.toml`.
const ID: &str = "qq";
/// The wire format.
const FORMAT: &str = "oicq";

fn format() -> Format {
    Format::messenger(Service::named(ID), FORMAT, "session")
}
