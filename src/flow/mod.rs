//! What belongs together: the flow table, TCP reassembly, timeouts and the memory budget.
//!
//! [`Tracker`] takes one packet after the other and calls a [`FlowHandler`] with each flow's bytes in order.
//! Every buffer here has an owner and counts against one [`Budget`].

mod budget;
mod chosen;
mod class;
mod entry;
mod handler;
mod reassembly;
mod table;
mod timeouts;
mod tracker;
#[cfg(test)]
mod tracker_tests;

pub use budget::Budget;
pub use chosen::Chosen;
pub use handler::{FlowHandler, FlowInfo, Interest};
pub use reassembly::{Chunk, Reassembler};
pub use timeouts::Timeouts;
pub use tracker::{Place, Tracker, TrackerStats};
