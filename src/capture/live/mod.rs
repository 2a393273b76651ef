//! Network interfaces. Listening on one is still to come; naming them is not.

use std::net::IpAddr;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name, as `-i` will take it.
    pub name: String,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// What the system says about it.
    pub description: String,
}

/// All interfaces, as libpcap lists them: with "any" and the like.
#[cfg(have_libpcap)]
pub fn devices() -> Result<Vec<Device>, String> {
    let list = pcap::Device::list().map_err(|error| error.to_string())?;
    let device = |device: pcap::Device| Device {
        name: device.name,
        addresses: device
            .addresses
            .iter()
            .map(|address| address.addr)
            .collect(),
        description: device.desc.unwrap_or_default(),
    };
    Ok(list.into_iter().map(device).collect())
}

/// All interfaces, as the system lists them.
#[cfg(not(have_libpcap))]
pub fn devices() -> Result<Vec<Device>, String> {
    let device = |interface: pnet::datalink::NetworkInterface| Device {
        addresses: interface
            .ips
            .iter()
            .map(pnet::ipnetwork::IpNetwork::ip)
            .collect(),
        description: interface.description,
        name: interface.name,
    };
    Ok(pnet::datalink::interfaces()
        .into_iter()
        .map(device)
        .collect())
}
