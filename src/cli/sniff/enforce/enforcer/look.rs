//! Whether all is still as the enforcer made it, and what it must know of the machine.

use super::{Enforcer, LOOK};
use crate::cli::policy::guard::of_this_machine;
use crate::policy::live::Place;
use nix::ifaddrs::getifaddrs;
use std::net::IpAddr;
use std::time::Instant;

impl Enforcer {
    /// Looks, now and then, what this machine is to be reached by, and whether the rules are still there.
    pub(super) fn look(&mut self) {
        if !self.begun || self.looked.elapsed() < LOOK {
            return;
        }
        let ssh = self.limits.guard.ssh;
        self.limits.guard = of_this_machine();
        self.limits.guard.ssh = ssh;
        self.limits.own = own_addresses();
        self.look_at_rules();
    }

    /// If they are not, they are loaded again.
    pub(super) fn look_at_rules(&mut self) {
        self.looked = Instant::now();
        match self.live.is_whole() {
            Ok(true) => {}
            Ok(false) => self.mend(self.looked),
            Err(error) => self.words.push(format!("cannot see the rules: {error}")),
        }
    }

    fn mend(&mut self, now: Instant) {
        let timeout = self.settings.timeout;
        self.places
            .retain(|_, at| now.duration_since(*at) < timeout);
        let places: Vec<Place> = self.places.keys().copied().collect();
        let mended = self.live.load().and_then(|()| {
            if places.is_empty() {
                return Ok(());
            }
            self.live.add(&places)
        });
        self.words.push(match mended {
            Ok(()) => format!(
                "somebody took the rules away, or put others before them: loaded again, with {} places",
                places.len()
            ),
            Err(error) => {
                format!("somebody took the rules away, and they cannot be loaded again: {error}")
            }
        });
    }
}

/// The machine's own addresses.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    let Ok(all) = getifaddrs() else {
        return Vec::new();
    };
    all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
    })
    .collect()
}
