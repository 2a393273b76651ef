//! Finds instant messengers on a network and hands over the firewall rules that block them.
pub mod classify;
pub mod flow;
pub mod model;
pub mod report;
pub mod ruleset;
