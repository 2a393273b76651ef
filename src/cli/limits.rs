//! Limits on what is held, for whatever analyses.

use super::size::Size;
use crate::flow::Timeouts;

/// Memory and timeouts.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Limits {
    /// Hold at most so much for the flows of a capture (64M, 1G); the least interesting go first
    #[arg(long, default_value = "256M", value_name = "SIZE")]
    max_memory: Size,

    /// End a TCP connection after so many idle seconds; a recognised messenger keeps its name for two hours
    #[arg(long, default_value_t = Timeouts::default().tcp_idle, value_name = "SECONDS", value_parser = seconds())]
    tcp_timeout: u64,

    /// End a TCP connection that carried nothing after so many idle seconds
    #[arg(long, default_value_t = Timeouts::default().half_open, value_name = "SECONDS", value_parser = seconds())]
    half_open_timeout: u64,

    /// End a UDP flow after so many idle seconds
    #[arg(long, default_value_t = Timeouts::default().udp, value_name = "SECONDS", value_parser = seconds())]
    udp_timeout: u64,
}

impl Limits {
    /// Bytes.
    pub fn memory(&self) -> usize {
        self.max_memory.bytes()
    }

    /// Idle times.
    pub const fn timeouts(&self) -> Timeouts {
        Timeouts {
            half_open: self.half_open_timeout,
            udp: self.udp_timeout,
            tcp_idle: self.tcp_timeout,
        }
    }
}

/// From one second to a year.
pub fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(1..=31_536_000)
}
