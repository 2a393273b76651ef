//! How long a flow may be silent.

/// Idle times after which a flow is over, in seconds of capture time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP without payload: half-open, or opened and never used.
    pub half_open: u64,
    /// UDP.
    pub udp: u64,
    /// TCP with payload. A messenger is kept for longer, see [`Self::asleep`].
    pub tcp_idle: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            half_open: 30,
            udp: 60,
            tcp_idle: 300,
        }
    }
}

impl Timeouts {
    /// How long a recognised messenger may sleep and still be the same flow when it wakes: at least the 2 h 4 min
    /// that a middlebox has to grant an idle connection (RFC 5382, REQ-5).
    pub const fn asleep(&self) -> u64 {
        const ESTABLISHED: u64 = 2 * 3600 + 4 * 60;
        if self.tcp_idle > ESTABLISHED {
            self.tcp_idle
        } else {
            ESTABLISHED
        }
    }

    /// How long a recognised messenger over UDP may be silent: clients send keep-alives every two minutes.
    pub const fn asleep_udp(&self) -> u64 {
        const KEEP_ALIVES: u64 = 5 * 120;
        if self.udp > KEEP_ALIVES {
            self.udp
        } else {
            KEEP_ALIVES
        }
    }
}
