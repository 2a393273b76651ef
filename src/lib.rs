//! Finds instant messengers on a network and hands over the firewall rules that block them.
pub mod classify;
pub mod cli;
pub mod model;
pub mod policy;
pub mod ruleset;
