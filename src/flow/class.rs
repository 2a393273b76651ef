//! How much a flow is worth, and in which order they go when memory runs short.

use super::Timeouts;

/// Classes of flows. A class has one timeout and one list in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// TCP without payload.
    HalfOpen,
    /// Nothing more is expected of it.
    GivenUp,
    UndecidedUdp,
    UndecidedTcp,
    Possible,
    /// TCP that was closed by both sides or reset.
    Finished,
    /// A messenger that was idle for long and may wake.
    Asleep,
    DecidedUdp,
    DecidedTcp,
}

/// All of them.
pub const CLASSES: [Class; 9] = [
    Class::HalfOpen,
    Class::GivenUp,
    Class::UndecidedUdp,
    Class::UndecidedTcp,
    Class::Possible,
    Class::Finished,
    Class::Asleep,
    Class::DecidedUdp,
    Class::DecidedTcp,
];

/// What goes first when memory runs short; of one row, what was idle longest. What nobody looks at is no dearer than what
/// has said nothing yet: else a table full of the one would throw out each connection that just begins.
pub const TIERS: [&[Class]; 8] = [
    &[Class::HalfOpen, Class::GivenUp],
    &[Class::UndecidedUdp],
    &[Class::UndecidedTcp],
    &[Class::Possible],
    &[Class::Finished],
    &[Class::Asleep],
    &[Class::DecidedUdp],
    &[Class::DecidedTcp],
];

/// Classes that hold bytes and are no messengers: these go when bytes run short. (The others hold none.)
pub const HOLDERS: [&[Class]; 3] = [
    &[Class::UndecidedTcp],
    &[Class::Possible],
    &[Class::Finished],
];

impl Class {
    /// Idle time after which a flow is over (a decided one: asleep), in seconds.
    pub const fn timeout(self, timeouts: &Timeouts) -> u64 {
        match self {
            Self::HalfOpen => timeouts.half_open,
            Self::UndecidedUdp => timeouts.udp,
            Self::GivenUp | Self::UndecidedTcp | Self::Possible | Self::DecidedTcp => {
                timeouts.tcp_idle
            }
            // Long enough for stragglers and the other side's last ACK.
            Self::Finished => 10,
            Self::DecidedUdp => timeouts.asleep_udp(),
            Self::Asleep => timeouts.asleep(),
        }
    }
}
