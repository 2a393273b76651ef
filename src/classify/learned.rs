//! What one flow says about another: redirects, offers and DNS answers.

use super::expiring::Expiring;
use crate::model::{Endpoint, Format, Service, Target, Timestamp, Token};
use std::net::IpAddr;

/// A redirect is followed at once; a file offer waits for a person to click.
const EXPECTATION_SECONDS: u64 = 300;
/// Clients keep using an address that they resolved long ago.
const NAME_SECONDS: u64 = 24 * 3600;

/// A flow that another flow announced.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// What it will be.
    pub format: Format,
    /// The flow that said so.
    pub from_flow: u64,
    /// The only host that will open it; `None` when anybody may.
    pub client: Option<IpAddr>,
    /// Whose it will be: the user of its client.
    pub account: Option<String>,
    /// A connection between users: the other one.
    pub peer: Option<String>,
    /// What it will show to prove that it is the one.
    pub token: Option<Token>,
}

impl Expectation {
    fn heap(&self) -> usize {
        [&self.account, &self.peer]
            .into_iter()
            .flatten()
            .map(String::len)
            .sum()
    }
}

/// What DNS said about an address.
#[derive(Clone, Debug)]
pub struct Names {
    /// A host name that only this messenger uses.
    pub messenger: Option<(Service, String)>,
    /// The flow that carried the answer.
    pub from_flow: u64,
    /// The packet that carried it.
    pub packet: u64,
    /// Some other name has the same address, so the address alone proves nothing.
    pub shared: bool,
}

/// Everything learned so far.
pub struct Learned {
    endpoints: Expiring<Endpoint, Expectation>,
    /// What flows gave out for others to show.
    tokens: Expiring<Token, Expectation>,
    /// Redirects to a host name that is not resolved yet, with their port.
    awaited: Expiring<String, (u16, Expectation)>,
    names: Expiring<IpAddr, Names>,
    /// Hosts that were seen to ask DNS, and since when.
    askers: Expiring<IpAddr, Timestamp>,
    /// Addresses of a messenger's host name, for a redirect that comes after the answer.
    addresses: Expiring<String, Vec<IpAddr>>,
}

impl Learned {
    /// Knows nothing yet, and will hold at most `memory` bytes.
    pub fn new(memory: usize) -> Self {
        let share = memory / 8;
        Self {
            endpoints: Expiring::new(EXPECTATION_SECONDS, share),
            tokens: Expiring::new(EXPECTATION_SECONDS, share),
            awaited: Expiring::new(EXPECTATION_SECONDS, share),
            // Every answer is remembered, whoever's name it is: most of what is learned.
            names: Expiring::new(NAME_SECONDS, 7 * share / 2),
            askers: Expiring::new(NAME_SECONDS, share / 2),
            addresses: Expiring::new(NAME_SECONDS, share),
        }
    }

    /// A redirect or an offer. `default_port` is used when the target names none.
    pub fn expect(
        &mut self,
        target: &Target,
        default_port: u16,
        expectation: &Expectation,
        now: Timestamp,
    ) {
        if let Some(token) = expectation.token {
            self.tokens
                .insert(token, expectation.clone(), expectation.heap(), now);
        }
        match target {
            Target::Address(ip, port) => {
                self.expect_at(*ip, port.unwrap_or(default_port), expectation, now);
            }
            Target::Host(name, port) => {
                let port = port.unwrap_or(default_port);
                for ip in self.addresses.get(name, now).cloned().unwrap_or_default() {
                    self.expect_at(ip, port, expectation, now);
                }
                let awaited = (port, expectation.clone());
                let heap = name.len() + expectation.heap();
                self.awaited.insert(name.clone(), awaited, heap, now);
            }
        }
    }

    fn expect_at(&mut self, ip: IpAddr, port: u16, expectation: &Expectation, now: Timestamp) {
        // Port 0 and "any" addresses are placeholders of clients that do not know theirs.
        if port != 0 && !ip.is_unspecified() && !ip.is_multicast() && !ip.is_loopback() {
            let heap = expectation.heap();
            self.endpoints
                .insert(Endpoint::new(ip, port), expectation.clone(), heap, now);
        }
    }

    /// A DNS answer, with the flow and the packet that carried it. `service` is set when the name is one that only
    /// that messenger uses.
    pub fn resolved(
        &mut self,
        name: &str,
        addresses: &[IpAddr],
        service: Option<&Service>,
        (asker, from_flow, packet): (IpAddr, u64, u64),
        now: Timestamp,
    ) {
        if self.askers.get(&asker, now).is_none() {
            self.askers.insert(asker, now, 0, now);
        }
        let awaited = self.awaited.get(name, now).cloned();
        if service.is_some() || awaited.is_some() {
            let heap = name.len() + size_of_val(addresses);
            self.addresses
                .insert(name.to_owned(), addresses.to_vec(), heap, now);
        }
        for ip in addresses {
            if let Some((port, expectation)) = &awaited {
                self.expect_at(*ip, *port, expectation, now);
            }
            let known = self.names.get(ip, now).cloned();
            let mut names = known.unwrap_or(Names {
                messenger: None,
                from_flow,
                packet,
                shared: false,
            });
            match service {
                Some(service) => {
                    // Two messengers at one address: neither can be named by it.
                    names.shared |= names
                        .messenger
                        .as_ref()
                        .is_some_and(|(known, _)| known != service);
                    names
                        .messenger
                        .get_or_insert_with(|| (service.clone(), name.to_owned()));
                    (names.from_flow, names.packet) = (from_flow, packet);
                }
                None => names.shared = true,
            }
            let heap = names.messenger.as_ref().map_or(0, |(_, name)| name.len());
            self.names.insert(*ip, names, heap, now);
        }
    }

    /// Was a flow from `client` to `server` announced?
    pub fn expected(
        &self,
        client: IpAddr,
        server: Endpoint,
        now: Timestamp,
    ) -> Option<&Expectation> {
        self.endpoints
            .get(&server, now)
            .filter(|known| known.client.is_none_or(|only| only == client))
    }

    /// Was this given out for a flow to show?
    pub fn given_out(&self, token: Token, now: Timestamp) -> Option<&Expectation> {
        self.tokens.get(&token, now)
    }

    /// Was a connection from `client` announced that a proxy is asked for?
    pub fn expected_through(
        &self,
        client: IpAddr,
        target: &Target,
        now: Timestamp,
    ) -> Option<&Expectation> {
        match target {
            Target::Address(ip, port) => self.expected(client, Endpoint::new(*ip, (*port)?), now),
            // Whoever has a proxy need not ask DNS.
            Target::Host(name, port) => self
                .awaited
                .get(name, now)
                .filter(|(awaited, known)| {
                    Some(*awaited) == *port && known.client.is_none_or(|only| only == client)
                })
                .map(|(_, known)| known),
        }
    }

    /// Whether this host asked DNS before that time, where the capture shows it.
    pub fn asked_before(&self, host: IpAddr, time: Timestamp) -> bool {
        self.askers
            .get(&host, time)
            .is_some_and(|since| since.nanos_since(time) == 0 && time.nanos_since(*since) > 0)
    }

    /// What DNS said about an address.
    pub fn names(&self, ip: IpAddr, now: Timestamp) -> Option<&Names> {
        self.names.get(&ip, now)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Expectation, Learned};
    use crate::model::{Endpoint, Format, Service, Target, Timestamp};
    use std::net::IpAddr;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    fn bos(client: Option<IpAddr>) -> Expectation {
        Expectation {
            format: Format::messenger(Service::AIM, "oscar", "bos"),
            from_flow: 7,
            client,
            account: None,
            peer: None,
            token: None,
        }
    }

    #[test]
    fn a_redirect_is_for_its_client_and_for_a_while() {
        let mut learned = Learned::new(1 << 20);
        learned.expect(
            &Target::parse("198.51.100.9").unwrap(),
            5190,
            &bos(Some(ip(1))),
            at(100),
        );
        let server = Endpoint::new(ip(9), 5190);
        assert_eq!(
            learned.expected(ip(1), server, at(110)).unwrap().from_flow,
            7
        );
        assert!(learned.expected(ip(2), server, at(110)).is_none());
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(9), 80), at(110))
                .is_none()
        );
        assert!(learned.expected(ip(1), server, at(1000)).is_none());
    }

    #[test]
    fn a_redirect_to_a_name_waits_for_its_address_in_either_order() {
        let target = Target::parse("bos.example.net:443").unwrap();
        let mut learned = Learned::new(1 << 20);
        learned.expect(&target, 5190, &bos(None), at(1));
        learned.resolved("bos.example.net", &[ip(5)], None, (ip(1), 3, 0), at(2));
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(5), 443), at(3))
                .is_some()
        );

        let mut learned = Learned::new(1 << 20);
        learned.resolved(
            "bos.example.net",
            &[ip(6)],
            Some(&Service::AIM),
            (ip(1), 3, 0),
            at(1),
        );
        learned.expect(&target, 5190, &bos(None), at(2));
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(6), 443), at(3))
                .is_some()
        );
    }

    #[test]
    fn an_address_that_two_kinds_of_names_share_is_marked() {
        let mut learned = Learned::new(1 << 20);
        learned.resolved(
            "scs.msg.yahoo.com",
            &[ip(1), ip(2)],
            Some(&Service::YAHOO),
            (ip(1), 1, 0),
            at(0),
        );
        learned.resolved("www.example.com", &[ip(2)], None, (ip(1), 2, 0), at(0));
        assert!(!learned.names(ip(1), at(1)).unwrap().shared);
        assert!(learned.names(ip(2), at(1)).unwrap().shared);
        assert!(learned.names(ip(3), at(1)).is_none());
    }
}
