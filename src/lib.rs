//! Finds instant messengers on a network and hands over the firewall rules that block them.
pub mod capture;
pub mod classify;
pub mod model;
pub mod packet;
