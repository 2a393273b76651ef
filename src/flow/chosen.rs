//! Flows that were chosen, to find their packets when a capture is read once more.

use crate::model::{FiveTuple, FlowKey, Packet, Timestamp};
use std::collections::HashMap;
use std::net::IpAddr;

/// Chosen flows, each with what is to be known of it.
#[derive(Debug)]
pub struct Chosen<T> {
    flows: HashMap<FlowKey, Vec<(Timestamp, Timestamp, T)>>,
    /// Hosts that talk to each other, and a flow between them: fragments do not name ports.
    hosts: HashMap<(IpAddr, IpAddr), T>,
}

impl<T> Default for Chosen<T> {
    fn default() -> Self {
        Self {
            flows: HashMap::new(),
            hosts: HashMap::new(),
        }
    }
}

impl<T: Clone> Chosen<T> {
    /// Chooses the flow between these endpoints that lasted from `first` to `last`.
    pub fn add(&mut self, tuple: &FiveTuple, first: Timestamp, last: Timestamp, what: T) {
        let (client, server) = (tuple.client.ip, tuple.server.ip);
        for hosts in [(client, server), (server, client)] {
            self.hosts.entry(hosts).or_insert_with(|| what.clone());
        }
        let flows = self.flows.entry(tuple.key()).or_default();
        flows.push((first, last, what));
    }

    /// The chosen flow that a packet is part of.
    pub fn flow_of(&self, packet: &Packet<'_>) -> Option<&T> {
        let (key, _) = FlowKey::of_packet(packet.transport(), packet.src, packet.dst);
        let (_, _, what) = self
            .flows
            .get(&key)?
            .iter()
            .find(|(first, last, _)| (*first..=*last).contains(&packet.timestamp))?;
        Some(what)
    }

    /// A chosen flow between two hosts.
    pub fn between(&self, src: IpAddr, dst: IpAddr) -> Option<&T> {
        self.hosts.get(&(src, dst))
    }
}
