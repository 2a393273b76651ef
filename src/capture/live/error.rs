//! Why an interface cannot be listened on, and what to do about it.

use thiserror::Error;

/// What went wrong before the first packet.
#[derive(Debug, Error)]
pub enum LiveError {
    /// The system does not let us.
    #[error(
        "no permission to listen on {name}: packet sockets need the capability CAP_NET_RAW
  give it to this program, once:  sudo setcap cap_net_raw,cap_net_admin=eip {program}
  or run it as root (it drops all rights once the interface is open); in a container: --cap-add NET_RAW --cap-add NET_ADMIN"
    )]
    Permission {
        /// The interface.
        name: String,
        /// This program's file.
        program: String,
    },
    /// There is none of that name.
    #[error("there is no interface {name}; there are: {}", known.join(", "))]
    NoSuchInterface {
        /// The name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// It is switched off.
    #[error("{name} is down, and nothing comes from it:  sudo ip link set {name} up")]
    Down {
        /// The interface.
        name: String,
    },
    /// This build has no libpcap.
    #[error(
        "{what} needs libpcap, and this imwarden was built without it: install libpcap (Debian: apt install libpcap-dev pkg-config) and build again"
    )]
    NeedsLibpcap {
        /// What was asked for.
        what: &'static str,
    },
    /// The filter is none.
    #[error("-f '{filter}': {reason} (the language is tcpdump's: man pcap-filter)")]
    Filter {
        /// The filter.
        filter: String,
        /// libpcap's words.
        reason: String,
    },
    /// The system has another reason.
    #[error("cannot listen on {name}: {reason}")]
    Open {
        /// The interface.
        name: String,
        /// Its reason.
        reason: String,
    },
}

impl LiveError {
    /// The user asked for something that does not exist, whatever the system.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::NeedsLibpcap { .. } | Self::Filter { .. })
    }

    /// No permission for this interface.
    pub(super) fn permission(name: &str) -> Self {
        let program = std::env::current_exe()
            .ok()
            .and_then(|path| path.to_str().map(str::to_owned))
            .unwrap_or_else(|| "\"$(command -v imwarden)\"".to_owned());
        Self::Permission {
            name: name.to_owned(),
            program,
        }
    }
}
