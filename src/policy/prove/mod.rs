//! Proof: a capture's packets, replayed through a real kernel's firewall in a network of their own.
//!
//! * [`lab`] is a router between two cables, in the network namespace that this process was started in;
//! * [`wire`] puts packets on a cable's end and takes off what comes out of the other;
//! * [`firewall`] loads rules and reads their counters;
//! * [`replay`] sends a capture's packets in their order and keeps the books of each flow.
//!
//! A packet that answers what was never delivered is not sent: nobody would have sent it.

mod firewall;
mod lab;
mod replay;
mod segment;
mod wire;

pub use firewall::{Backend, Firewall, Rules};
pub use lab::Lab;
pub use replay::{Fate, Replay};
pub use segment::of as packet;
pub use wire::Refusal;

/// Why nothing can be proven here.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// A program is missing, or failed.
    #[error(transparent)]
    Program(#[from] super::tool::ToolError),
    /// A setting of the network could not be made.
    #[error("cannot set {path}: {error}")]
    Setting {
        /// Which.
        path: String,
        /// Why not.
        error: std::io::Error,
    },
    /// A cable's end cannot be used.
    #[error("cannot use the test network's {end}: {what}")]
    Wire {
        /// Which.
        end: &'static str,
        /// Why not.
        what: String,
    },
}
