//! What one flow says about another: redirects, offers and DNS answers.

use super::expiring::Expiring;
use crate::model::{Endpoint, Format, Service, Target, Timestamp, Token};
use std::net::IpAddr;

/// A redirect is followed at once; a file offer waits for a person to click.
const EXPECTATION_SECONDS: u64 = 300;
/// What is known of an address is kept that long, so that another name for it counts, however long ago it was told.
const NAME_SECONDS: u64 = 24 * 3600;
/// No client asks again sooner, whatever the answer says: browsers keep an address for a minute at least.
const LEAST_LIFETIME: u64 = 60;
/// Clients use an address for a while after its time to live: a connection is tried, fails and is tried again, and resolvers
/// between the client and the listener count on their own. Before the first answer that was seen it may have been given in one
/// that was not.
const SLACK: u64 = 300;

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
    /// From when to when DNS gave it for the messenger's name, as far as is known.
    given: (Timestamp, Timestamp),
}

impl Names {
    /// Whether a connection opened then may have been opened because of it.
    pub fn held(&self, opened: Timestamp) -> bool {
        let (since, until) = self.given;
        self.messenger.is_some() && since.seconds_since(opened) <= SLACK && opened <= until
    }

    /// It was given once more.
    fn give(&mut self, now: Timestamp, until: Timestamp) {
        let (since, before) = self.given;
        if now > before {
            self.given = (now, until);
        } else {
            self.given = (since.min(now), before.max(until));
        }
    }
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
    addresses: Expiring<String, (Timestamp, Vec<IpAddr>)>,
}

/// A DNS answer.
pub struct Resolved<'a> {
    /// The name that was asked for.
    pub name: &'a str,
    /// Its addresses.
    pub addresses: &'a [IpAddr],
    /// How long that holds, in seconds.
    pub lifetime: u32,
    /// The messenger that alone uses a name on the way to them.
    pub service: Option<&'a Service>,
    /// Who asked.
    pub asker: IpAddr,
    /// The flow that carried the answer.
    pub from_flow: u64,
    /// The packet that carried it.
    pub packet: u64,
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
                let known = self.addresses.get(name, now).cloned();
                let known = known.filter(|(until, _)| now <= *until);
                for ip in known.map(|(_, addresses)| addresses).unwrap_or_default() {
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

    /// A DNS answer. It names flows that open while it holds; that somebody else has the address as well is remembered longer.
    pub fn resolved(&mut self, answer: &Resolved<'_>, now: Timestamp) {
        let Resolved { name, asker, .. } = *answer;
        let (from_flow, packet) = (answer.from_flow, answer.packet);
        let lifetime = u64::from(answer.lifetime).max(LEAST_LIFETIME) + SLACK;
        let until = now.after_seconds(lifetime.min(NAME_SECONDS));
        if self.askers.get(&asker, now).is_none() {
            self.askers.insert(asker, now, 0, now);
        }
        let awaited = self.awaited.get(name, now).cloned();
        if answer.service.is_some() || awaited.is_some() {
            let heap = name.len() + size_of_val(answer.addresses);
            let addresses = (until, answer.addresses.to_vec());
            self.addresses.insert(name.to_owned(), addresses, heap, now);
        }
        for ip in answer.addresses {
            if let Some((port, expectation)) = &awaited {
                self.expect_at(*ip, *port, expectation, now);
            }
            let known = self.names.get(ip, now).cloned();
            let mut names = known.unwrap_or(Names {
                messenger: None,
                from_flow,
                packet,
                shared: false,
                given: (now, until),
            });
            match answer.service {
                Some(service) => {
                    // Two messengers at one address: neither can be named by it.
                    names.shared |= names
                        .messenger
                        .as_ref()
                        .is_some_and(|(known, _)| known != service);
                    if names.messenger.is_none() {
                        names.messenger = Some((service.clone(), name.to_owned()));
                        names.given = (now, until);
                    }
                    names.give(now, until);
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
    use super::{Expectation, Learned, Resolved};
    use crate::model::{Endpoint, Format, Service, Target, Timestamp};
    use std::net::IpAddr;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    fn answer<'a>(
        name: &'a str,
        addresses: &'a [IpAddr],
        service: Option<&'a Service>,
        lifetime: u32,
    ) -> Resolved<'a> {
        Resolved {
            name,
            addresses,
            lifetime,
            service,
            asker: ip(1),
            from_flow: 3,
            packet: 0,
        }
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
        let addresses = [ip(5)];
        learned.resolved(&answer("bos.example.net", &addresses, None, 60), at(2));
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(5), 443), at(3))
                .is_some()
        );

        let mut learned = Learned::new(1 << 20);
        let addresses = [ip(6)];
        let named = answer("bos.example.net", &addresses, Some(&Service::AIM), 60);
        learned.resolved(&named, at(1));
        learned.expect(&target, 5190, &bos(None), at(2));
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(6), 443), at(3))
                .is_some()
        );
        // Long after its time to live, the address is not the name's any more.
        let mut learned = Learned::new(1 << 20);
        learned.resolved(&named, at(1));
        learned.expect(&target, 5190, &bos(None), at(1000));
        assert!(
            learned
                .expected(ip(1), Endpoint::new(ip(6), 443), at(1001))
                .is_none()
        );
    }

    #[test]
    fn an_address_that_two_kinds_of_names_share_is_marked() {
        let mut learned = Learned::new(1 << 20);
        let both = [ip(1), ip(2)];
        let yahoo = answer("scs.msg.yahoo.com", &both, Some(&Service::YAHOO), 60);
        learned.resolved(&yahoo, at(0));
        let other = [ip(2)];
        learned.resolved(&answer("www.example.com", &other, None, 60), at(0));
        assert!(!learned.names(ip(1), at(1)).unwrap().shared);
        assert!(learned.names(ip(2), at(1)).unwrap().shared);
        assert!(learned.names(ip(3), at(1)).is_none());
        // Also long after the answer.
        learned.resolved(&yahoo, at(40_000));
        assert!(learned.names(ip(2), at(40_001)).unwrap().shared);
    }

    #[test]
    fn a_name_holds_for_its_time_to_live_and_a_while() {
        let mut learned = Learned::new(1 << 20);
        let addresses = [ip(1)];
        let yahoo = |lifetime| {
            answer(
                "scs.msg.yahoo.com",
                &addresses,
                Some(&Service::YAHOO),
                lifetime,
            )
        };
        learned.resolved(&yahoo(600), at(1000));
        let held = |learned: &Learned, then| {
            let names = learned.names(ip(1), at(20_000)).unwrap();
            names.held(at(then))
        };
        for (opened, named) in [
            (600, false),
            (700, true),
            (1000, true),
            (1600, true),
            (1900, true),
            (1901, false),
            (9000, false),
        ] {
            assert_eq!(held(&learned, opened), named, "opened at {opened}");
        }
        // Given again before that: one time.
        learned.resolved(&yahoo(10), at(1800));
        assert!(held(&learned, 1100) && held(&learned, 2160) && !held(&learned, 2161));
        // And long after: another one, and nothing between them.
        learned.resolved(&yahoo(0), at(10_000));
        assert!(!held(&learned, 5000) && held(&learned, 10_360) && !held(&learned, 10_361));
        // No time is so long that it would be kept for more than a day.
        learned.resolved(&yahoo(u32::MAX), at(10_000));
        assert!(held(&learned, 90_000) && !held(&learned, 100_000));
    }
}
