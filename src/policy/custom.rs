//! Rules of a site's own, exceptions with a reason, and when either ends.

use crate::model::Transport;
use crate::ruleset::PortRange;
use ipnet::IpNet;
use jiff::civil::Date;
use std::fmt;

/// Where a rule of one's own refuses connections to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// An address or a network.
    Net(IpNet),
    /// A host name, and all names below it or not.
    Name {
        /// The name, in lower case, without a final dot.
        name: String,
        /// All names below it as well.
        below: bool,
    },
    /// Any server that a TLS client asks for by a name (SNI), and all names below it or not.
    Hello {
        /// The name, in lower case, without a final dot.
        name: String,
        /// All names below it as well.
        below: bool,
    },
    /// Anywhere: a port alone.
    Anywhere,
}

impl Place {
    /// The host name that it is about, `*.` before it if all below are meant.
    pub fn host(&self) -> Option<String> {
        match self {
            Self::Name { name, below } | Self::Hello { name, below } => {
                Some(format!("{}{name}", if *below { "*." } else { "" }))
            }
            Self::Net(_) | Self::Anywhere => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => {
                f.pad(&net.addr().to_string())
            }
            Self::Net(net) => f.pad(&net.to_string()),
            Self::Name { .. } => f.pad(&self.host().unwrap_or_default()),
            Self::Hello { .. } => f.pad(&format!(
                "a TLS hello for {}",
                self.host().unwrap_or_default()
            )),
            Self::Anywhere => f.pad("anywhere"),
        }
    }
}

/// A rule of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRule {
    /// Its name: lower-case letters, digits and '-'.
    pub id: String,
    /// Where to.
    pub place: Place,
    /// Only these ports; all of TCP and UDP, if `None`.
    pub ports: Option<(Transport, PortRange)>,
    /// Why.
    pub reason: String,
    /// Its last day.
    pub until: Option<Date>,
}

impl CustomRule {
    /// `TCP 7000 at 192.0.2.9`.
    pub fn words(&self) -> String {
        let ports = match &self.ports {
            Some((transport, range)) => format!("{} {range}", transport.name()),
            None => "everything".to_owned(),
        };
        match &self.place {
            Place::Anywhere => format!("{ports} anywhere"),
            Place::Hello { .. } if self.ports.is_none() => self.place.to_string(),
            Place::Hello { .. } => format!("{ports} with {}", self.place),
            place => format!("{ports} at {place}"),
        }
    }

    /// Whether the ports of a connection are meant.
    pub fn takes(&self, transport: Transport, port: u16) -> bool {
        self.ports
            .is_none_or(|(its, range)| its == transport && range.contains(port))
    }

    /// The narrower one stands first: a host and a port, a host, a port; small networks before large ones.
    pub(super) fn width(&self) -> (u8, u8, &str) {
        let kind = match (&self.place, &self.ports) {
            (Place::Anywhere, _) => 2,
            (_, Some(_)) => 0,
            (_, None) => 1,
        };
        let open = match &self.place {
            Place::Net(net) => net.max_prefix_len() - net.prefix_len(),
            Place::Name { .. } | Place::Hello { .. } | Place::Anywhere => 0,
        };
        (kind, open, &self.id)
    }
}

/// Somebody who is left alone, whichever end of a connection that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Who.
    pub net: IpNet,
    /// Why.
    pub why: String,
    /// The last day.
    pub until: Option<Date>,
}
