//! Live: single endpoints and connections, refused as they are found (`imwarden sniff --enforce`).
//!
//! * [`judge`] says what may be done about a connection, and what must be left alone;
//! * [`nftables`] and [`xtables`] keep the endpoints in sets whose elements come to an end, in a table and in chains of their
//!   own: policies that `imwarden apply` loads know nothing of them, and are not touched;
//! * [`connection`] marks one running connection in the kernel's table, which the rules refuse from then on;
//! * [`hold`] and [`queue`] hold the first packets of connections until somebody has looked at them (`--inline`).
//!
//! A connection is marked and not forgotten: an entry that is deleted comes back with the next packet of whoever speaks first.

#[cfg(target_os = "linux")]
mod alone;
#[cfg(target_os = "linux")]
mod connection;
mod hold;
mod judge;
#[cfg(target_os = "linux")]
mod netlink;
mod nftables;
#[cfg(target_os = "linux")]
mod queue;
mod xtables;

#[cfg(target_os = "linux")]
pub use alone::only_one;
#[cfg(target_os = "linux")]
pub use connection::Connections;
pub use hold::{Hold, PACKETS, QUEUE};
pub use judge::{Limits, Narrow, Order, Spared};
#[cfg(target_os = "linux")]
pub use queue::Queue;

use super::Mark;
use super::apply::{is_here, usual_iptables};
use super::prove::Backend;
use super::tool::{ToolError, is_installed};
use crate::model::{Endpoint, Transport};
use std::time::Duration;

/// Endpoints that are refused at a time.
pub const ROOM: usize = 8192;

/// A place that is refused to everybody: a port of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// TCP or UDP.
    pub transport: Transport,
    /// Where.
    pub server: Endpoint,
}

/// How the rules are to be.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where.
    pub backend: Backend,
    /// What connections that are cut are marked with.
    pub mark: Mark,
    /// For how long a place is refused after the last attempt to get there.
    pub timeout: Duration,
}

/// The firewall that is taken if nobody says otherwise.
pub fn usual_backend() -> Result<Backend, ToolError> {
    if is_installed("nft") || !is_installed("iptables") {
        return Ok(Backend::Nftables);
    }
    usual_iptables().map_err(|error| ToolError {
        program: "iptables".to_owned(),
        what: error.to_string(),
    })
}

/// The iptables that holds packets for this firewall (`--inline`).
pub fn holder(backend: Backend) -> Result<Backend, ToolError> {
    match backend {
        Backend::Nftables => usual_iptables().map_err(|error| ToolError {
            program: "iptables".to_owned(),
            what: format!(
                "--inline holds packets by iptables' NFQUEUE, whatever refuses them: {error}"
            ),
        }),
        Backend::IptablesNft | Backend::IptablesLegacy => Ok(backend),
    }
}

/// Our rules, in the kernel.
#[derive(Clone, Debug)]
pub struct Live {
    settings: Settings,
    hold: Option<Hold>,
}

impl Live {
    /// For these settings; nothing is changed yet.
    pub const fn new(settings: Settings, hold: Option<Hold>) -> Self {
        Self { settings, hold }
    }

    /// Loads them. Places that an earlier run left behind (`--keep`) stay refused.
    pub fn load(&self) -> Result<(), ToolError> {
        match self.settings.backend {
            Backend::Nftables => nftables::load(&self.settings),
            Backend::IptablesNft | Backend::IptablesLegacy => xtables::load(&self.settings),
        }?;
        // What holds packets comes last, and goes first.
        if let Some(hold) = &self.hold {
            hold::load(&self.settings, hold)?;
        }
        Ok(())
    }

    /// Nothing is held any more.
    pub fn let_go(&self) -> Result<(), ToolError> {
        self.hold
            .as_ref()
            .map_or(Ok(()), |hold| hold::remove(hold.by))
    }

    /// What [`Live::load`] loads, in words that an administrator could load.
    pub fn text(&self) -> String {
        let text = match self.settings.backend {
            Backend::Nftables => nftables::table(&self.settings),
            Backend::IptablesNft | Backend::IptablesLegacy => xtables::text(&self.settings),
        };
        let held = self.hold.as_ref().map(|it| hold::text(&self.settings, it));
        text + &held.unwrap_or_default()
    }

    /// Refuses these places from now on, or for longer if they are refused already. All of them or none.
    pub fn add(&self, places: &[Place]) -> Result<(), ToolError> {
        match self.settings.backend {
            Backend::Nftables => nftables::add(places, self.settings.timeout),
            Backend::IptablesNft | Backend::IptablesLegacy => {
                xtables::add(places, self.settings.timeout)
            }
        }
    }

    /// What [`Live::add`] does, as a command.
    pub fn add_words(&self, place: &Place) -> String {
        match self.settings.backend {
            Backend::Nftables => format!(
                "nft '{}'",
                nftables::element(place, self.settings.timeout).trim_end()
            ),
            Backend::IptablesNft | Backend::IptablesLegacy => format!(
                "ipset -exist {}",
                xtables::element(place, self.settings.timeout).trim_end()
            ),
        }
    }

    /// Whether all of it is there and stands before the rules of others. Somebody may have flushed everything.
    pub fn is_whole(&self) -> Result<bool, ToolError> {
        let whole = match self.settings.backend {
            Backend::Nftables => nftables::is_there(),
            Backend::IptablesNft | Backend::IptablesLegacy => xtables::is_whole(&self.settings),
        }?;
        Ok(whole && self.hold.as_ref().map_or(Ok(true), hold::is_whole)?)
    }

    /// Takes all of it away.
    pub fn remove(&self) -> Result<(), ToolError> {
        let let_go = self.let_go();
        refuse_nothing(self.settings.backend)?;
        let_go
    }
}

/// Takes away what is there of it, and what may be there to hold packets.
pub fn remove(backend: Backend) -> Result<(), ToolError> {
    if let Ok(by) = holder(backend) {
        hold::remove(by)?;
    }
    refuse_nothing(backend)
}

fn refuse_nothing(backend: Backend) -> Result<(), ToolError> {
    match backend {
        Backend::Nftables => nftables::remove(),
        Backend::IptablesNft | Backend::IptablesLegacy => xtables::remove(backend),
    }
}

/// The firewalls of this machine in which there is something of it, and how many places each refuses.
pub fn in_force() -> Result<Vec<(Backend, usize)>, ToolError> {
    let mut all = Vec::new();
    for backend in Backend::ALL {
        if is_here(backend)
            && let Some(places) = refused(backend)?
        {
            all.push((backend, places));
        }
    }
    Ok(all)
}

/// Whether `imwarden sniff --enforce` is at it in this network.
pub fn is_running() -> bool {
    #[cfg(target_os = "linux")]
    return only_one(Duration::ZERO).is_none();
    #[cfg(not(target_os = "linux"))]
    false
}

/// How many places are refused at the moment; `None` if nothing of it is loaded.
fn refused(backend: Backend) -> Result<Option<usize>, ToolError> {
    match backend {
        Backend::Nftables => nftables::refused(),
        Backend::IptablesNft | Backend::IptablesLegacy => xtables::refused(backend),
    }
}

/// Whether a line of a listing of all of nftables begins our table.
pub(in crate::policy) fn begins_our_table(line: &str) -> bool {
    line.strip_prefix("table inet ")
        .and_then(|rest| rest.strip_suffix(" {"))
        == Some(nftables::TABLE)
}

/// Whether a chain of iptables is one of these.
pub(in crate::policy) fn is_our_chain(chain: &str) -> bool {
    xtables::CHAINS.contains(&chain) || chain == hold::CHAIN
}

/// As the programs have it.
const fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    }
}
