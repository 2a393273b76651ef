//! Host names that a flow tells of, kept where somebody asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Names that one flow may carry; a connection that is kept alive asks for one host after the other.
const MAX_CARRIED: usize = 16;
/// Names that one flow may give for addresses.
const MAX_GIVEN: usize = 4096;

/// What a flow tells of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// It asks for these hosts: in a TLS hello, in HTTP, of a proxy.
    pub carried: BTreeSet<String>,
    /// It answers, as a DNS server, that these addresses are those of these names.
    pub given: BTreeMap<IpAddr, BTreeSet<String>>,
    /// There were more than are kept.
    pub more: bool,
    kept: usize,
}

impl Names {
    /// It asks for a host; what that costs.
    pub fn carry(&mut self, name: &str) -> usize {
        if name.parse::<IpAddr>().is_ok() || self.carried.contains(name) {
            return 0;
        }
        if self.carried.len() >= MAX_CARRIED {
            self.more = true;
            return 0;
        }
        self.carried.insert(name.to_owned());
        cost(name)
    }

    /// It gives an address for a name; what that costs.
    pub fn give(&mut self, name: &str, ip: IpAddr) -> usize {
        if self.given.get(&ip).is_some_and(|all| all.contains(name)) {
            return 0;
        }
        if self.kept >= MAX_GIVEN {
            self.more = true;
            return 0;
        }
        self.kept += 1;
        self.given.entry(ip).or_default().insert(name.to_owned());
        cost(name) + size_of::<(IpAddr, BTreeSet<String>)>()
    }
}

const fn cost(name: &str) -> usize {
    2 * size_of::<String>() + name.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_keeps_so_many_names_and_says_that_there_were_more() {
        let mut names = Names::default();
        let ip = IpAddr::from([192, 0, 2, 1]);
        assert_eq!(names.carry("192.0.2.1"), 0, "an address is no name");
        for number in 0..MAX_CARRIED {
            assert!(names.carry(&format!("{number}.example.com")) > 0);
        }
        assert_eq!(names.carry("0.example.com"), 0);
        assert!(!names.more);
        assert_eq!(names.carry("www.example.com"), 0);
        assert!(names.more && names.carried.len() == MAX_CARRIED);

        let mut names = Names::default();
        for number in 0..=MAX_GIVEN {
            names.give(&format!("{number}.example.com"), ip);
            names.give("0.example.com", ip);
        }
        assert!(names.more);
        assert_eq!(names.given[&ip].len(), MAX_GIVEN);
    }
}
