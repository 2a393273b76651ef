//! ICQ before and beside OSCAR: the UDP protocol of 1996 to 1999, and direct connections between peers.
//!
//! [`v5`] undoes the scrambling of version 5, [`datagram`] takes datagrams apart, [`udp`] recognises them,
//! [`session`] follows them; [`direct`] does both for peers. ICQ over OSCAR is in `classify::oscar`.

mod datagram;
mod direct;
mod session;
#[cfg(test)]
mod testing;
mod udp;
mod v5;

use crate::classify::Detector;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&udp::IcqUdp, &direct::IcqDirect];
