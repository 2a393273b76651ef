//! Finds instant messengers on a network and hands over the firewall rules that block them.
//!
//! The modules are the stations of one road; data walks it once, forwards:
//!
//! * [`capture`] lends frames from files and streams;
//! * [`packet`] reads their headers;
//! * [`flow`] puts together what belongs together, in order;
//! * [`classify`] says what a flow is, and why;
//! * [`report`] writes findings down;
//! * [`policy`] turns the tables of [`ruleset`] into firewall rules.
//!
//! [`scrub`] walks the road again and again to find out what a verdict rests on.
//!
//! [`pipeline`] is the road itself, [`model`] the vocabulary, [`cli`] the program. Who may import whom is in ARCHITECTURE.md.

pub mod capture;
pub mod classify;
pub mod cli;
pub mod flow;
pub mod model;
pub mod packet;
pub mod pipeline;
pub mod policy;
pub mod report;
pub mod ruleset;
pub mod scrub;
