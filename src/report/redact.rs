//! Names made unrecognisable, the same name always in the same way: for reports that leave the house.

use crate::model::{
    Action, Activity, Deed, Detail, Endpoint, Finding, FiveTuple, Occurrence, Party, Target, risk,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

/// Replaces accounts, hosts and names of files by keyed hashes. Whoever has the key can check a guess, nobody else can.
#[derive(Clone)]
pub struct Redactor {
    keyed: Hmac<Sha256>,
}

impl Redactor {
    /// With this key; `None` for an empty one.
    pub fn new(key: &[u8]) -> Option<Self> {
        let keyed = Hmac::new_from_slice(key).ok()?;
        (!key.is_empty()).then_some(Self { keyed })
    }

    fn hash(&self, kind: &str, name: &[u8]) -> [u8; 32] {
        let mut keyed = self.keyed.clone();
        keyed.update(kind.as_bytes());
        keyed.update(&[0]);
        keyed.update(name);
        keyed.finalize().into_bytes().into()
    }

    fn name(&self, kind: &'static str, name: &str) -> String {
        let hash = self.hash(kind, name.as_bytes());
        let number = hash
            .iter()
            .take(6)
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        format!("{kind}-{number:012x}")
    }

    /// An address of the range that is kept for examples.
    fn host(&self, ip: IpAddr) -> IpAddr {
        let hash = self.hash("host", ip.to_string().as_bytes());
        let mut octets = [0; 16];
        octets[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        octets[4..].copy_from_slice(&hash[..12]);
        Ipv6Addr::from(octets).into()
    }

    fn endpoint(&self, endpoint: Endpoint) -> Endpoint {
        Endpoint::new(self.host(endpoint.ip), endpoint.port)
    }

    fn tuple(&self, tuple: &mut FiveTuple) {
        tuple.client = self.endpoint(tuple.client);
        tuple.server = self.endpoint(tuple.server);
    }

    fn accounts(&self, names: &mut BTreeSet<String>) {
        *names = names
            .iter()
            .map(|name| self.name("account", name))
            .collect();
    }

    /// An address with or without a port; a host's name is one of the messenger's and stays.
    fn place(&self, text: &str) -> String {
        match Target::parse(text) {
            Some(Target::Address(ip, port)) => Target::Address(self.host(ip), port).to_string(),
            _ => self.name("place", text),
        }
    }

    /// A flow.
    pub fn finding(&self, finding: &mut Finding) {
        self.tuple(&mut finding.tuple);
        finding.card = None;
        self.accounts(&mut finding.accounts);
        self.accounts(&mut finding.peers);
        for (id, exposure) in &mut finding.risks {
            for sighting in &mut exposure.sightings {
                let Some(detail) = &mut sighting.detail else {
                    continue;
                };
                match *id {
                    risk::ADDRESS_REVEALED | risk::UNEXPECTED_SERVER => {
                        *detail = self.place(detail);
                    }
                    risk::FILE_TRANSFER
                    | risk::EXECUTABLE_FILE
                    | risk::ARCHIVE_FILE
                    | risk::MEDIA_FILE => *detail = self.file(detail),
                    // What was seen in our own words.
                    _ => {}
                }
            }
        }
    }

    /// Something that was done. What a tool said when it did not work may name anybody.
    pub fn action(&self, action: &mut Action) {
        if let Some(about) = &mut action.about {
            self.tuple(&mut about.tuple);
            if let Some(account) = &mut about.account {
                *account = self.name("account", account);
            }
        }
        if action.deed == Deed::Failed {
            action.reason = None;
        }
    }

    /// The ending says what the file is, and is what the report is about.
    fn file(&self, name: &str) -> String {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        let ending =
            ending.filter(|it| it.len() <= 5 && it.bytes().all(|b| b.is_ascii_alphanumeric()));
        let hidden = self.name("file", name);
        ending.map_or(hidden.clone(), |ending| format!("{hidden}.{ending}"))
    }

    /// An event.
    pub fn occurrence(&self, occurrence: &mut Occurrence) {
        self.tuple(&mut occurrence.tuple);
        let Activity {
            from, to, details, ..
        } = &mut occurrence.activity;
        for party in [from, to].into_iter().flatten() {
            if let Party::Account(name) = party {
                *name = self.name("account", name);
            }
        }
        for (key, detail) in details {
            if let Detail::Text(text) = detail {
                *text = match *key {
                    "address" => self.place(text),
                    "file" => self.file(text),
                    // A hash finds the file again for whoever has it.
                    "sha256" => self.name("content", text),
                    _ => self.name("text", text),
                };
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Redactor;

    #[test]
    fn the_same_name_is_hidden_in_the_same_way_and_by_another_key_in_another() {
        let one = Redactor::new(b"one").unwrap();
        let other = Redactor::new(b"other").unwrap();
        assert_eq!(one.name("account", "alice"), one.name("account", "alice"));
        assert_ne!(one.name("account", "alice"), one.name("account", "bob"));
        assert_ne!(one.name("account", "alice"), other.name("account", "alice"));
        let hidden = one.place("192.0.2.7:5190");
        assert!(
            hidden.starts_with("[2001:db8:") && hidden.ends_with(":5190"),
            "{hidden}"
        );
        let file = one.file("secret plan.exe");
        assert_eq!(file.rsplit_once('.').map(|(_, ending)| ending), Some("exe"));
        assert!(Redactor::new(b"").is_none());
    }
}
