//! Network interfaces: naming them, and listening on some.
//!
//! [`Live`] is a source like a file, only that it goes on when nothing comes. Everything that needs a right is done by
//! [`Live::open`]; what comes later (an interface that was taken away and is there again) is done with the sockets that
//! are open by then, so that the process can lock itself in after it.

mod device;

pub use device::{Device, devices, names};

#[cfg(target_os = "linux")]
mod batch;
#[cfg(target_os = "linux")]
mod counters;
#[cfg(target_os = "linux")]
mod error;
#[cfg(target_os = "linux")]
mod interface;
#[cfg(target_os = "linux")]
mod link;
#[cfg(target_os = "linux")]
mod source;
#[cfg(target_os = "linux")]
#[cfg_attr(have_libpcap, path = "libpcap.rs")]
#[cfg_attr(not(have_libpcap), path = "packet_socket.rs")]
mod tap;

#[cfg(target_os = "linux")]
pub use {
    counters::Drops,
    error::LiveError,
    source::{Live, now},
};

/// What listens.
pub const BACKEND: &str = if cfg!(have_libpcap) {
    "libpcap"
} else {
    "pnet, without libpcap"
};

/// How to listen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only packets that this expression lets through (libpcap's language).
    pub filter: Option<String>,
    /// Bytes kept of each packet.
    pub snap_len: u32,
    /// Also packets that are not for this host.
    pub promiscuous: bool,
    /// Bytes that the kernel may keep for us.
    pub buffer: usize,
    /// Each packet at once, not a few at a time.
    pub immediate: bool,
}
