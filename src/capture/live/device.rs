//! The interfaces there are.

use std::net::IpAddr;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name, as `-i` takes it.
    pub name: String,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// What the system says about it.
    pub description: String,
    /// `up`, `down` or `up, no link`, where it is an interface of its own.
    pub state: Option<&'static str>,
}

/// Names of those that packets can be had from, as far as they can be listed: all but libpcap's places for other things.
pub fn names() -> Vec<String> {
    let all = devices().unwrap_or_default().into_iter();
    let real = all.filter(|device| device.state.is_some() || device.name == "any");
    real.map(|device| device.name).collect()
}

/// All interfaces, as libpcap lists them: with "any" and the like.
#[cfg(have_libpcap)]
pub fn devices() -> Result<Vec<Device>, String> {
    use pcap::ConnectionStatus;
    let list = pcap::Device::list().map_err(|error| error.to_string())?;
    let device = |device: pcap::Device| Device {
        state: match (device.flags.is_up(), device.flags.connection_status) {
            (_, ConnectionStatus::NotApplicable) if device.addresses.is_empty() => None,
            (false, _) => Some("down"),
            (true, ConnectionStatus::Disconnected) => Some("up, no link"),
            (true, _) => Some("up"),
        },
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
        state: Some(match (interface.is_up(), interface.is_running()) {
            (false, _) => "down",
            (true, false) => "up, no link",
            (true, true) => "up",
        }),
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
