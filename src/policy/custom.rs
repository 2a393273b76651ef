//! Rules of a site's own, exceptions with a reason, and when either ends.

use crate::model::Transport;
use crate::ruleset::PortRange;
use ipnet::IpNet;
use jiff::civil::Date;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

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

/// A user of the machine that the rules are loaded on: a name or a number, and nothing that could break out of a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct User(String);

impl User {
    /// As it was written.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

impl FromStr for User {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const LONGEST: usize = 32;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let named = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.len() <= LONGEST
            && text.chars().all(plain);
        // The last number stands for nobody.
        let numbered = text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|it| it < u32::MAX);
        if named || numbered {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "the name or the number of a user of the machine that the rules are for, such as backup or 1001",
        )
    }
}

/// Who is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A host or a network, whichever end of a connection that is.
    Net(IpNet),
    /// The same, by name: the addresses that it had on a day.
    Name {
        /// The name.
        name: String,
        /// Its addresses; none until somebody has asked for them.
        addresses: Vec<IpAddr>,
        /// When that was.
        asked: Option<Date>,
    },
    /// What a user of this machine opens.
    User(User),
}

impl Who {
    /// The networks that are meant.
    pub fn nets(&self) -> Vec<IpNet> {
        match self {
            Self::Net(net) => vec![*net],
            Self::Name { addresses, .. } => addresses.iter().copied().map(IpNet::from).collect(),
            Self::User(_) => Vec::new(),
        }
    }
}

/// `10.0.0.7`, `printer.example.com (192.0.2.9 on 2026-11-28)`, `what user backup opens here`.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => Place::Net(*net).fmt(f),
            Self::Name {
                name,
                addresses,
                asked,
            } => {
                f.write_str(name)?;
                let Some(day) = asked else { return Ok(()) };
                let all: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                write!(f, " ({} on {day})", all.join(", "))
            }
            Self::User(user) => write!(f, "what user {} opens here", user.name()),
        }
    }
}

/// Somebody who is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Who.
    pub who: Who,
    /// Why.
    pub why: String,
    /// The last day.
    pub until: Option<Date>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::User;

    #[test]
    fn a_user_is_a_name_or_a_number_and_nothing_else() {
        for (text, number) in [
            ("backup", false),
            ("_apt", false),
            ("1001", true),
            ("0", true),
        ] {
            assert_eq!(text.parse::<User>().unwrap().is_number(), number, "{text}");
        }
        for wrong in [
            "",
            "a b",
            "a\"",
            "-j",
            "4294967295",
            "99999999999",
            "10a",
            "x;y",
            "a\n",
        ] {
            assert!(wrong.parse::<User>().is_err(), "{wrong}");
        }
    }
}
