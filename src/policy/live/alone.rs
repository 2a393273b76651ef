//! Only one enforces in a network: two would take away each other's rules.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How often somebody who was there a moment ago is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// Held by the one. Such a socket belongs to the network namespace, and goes with the process.
pub fn only_one(patience: Duration) -> Option<UnixListener> {
    let begun = Instant::now();
    let address = SocketAddr::from_abstract_name("imwarden-enforce").ok()?;
    loop {
        match UnixListener::bind_addr(&address) {
            Ok(held) => return Some(held),
            Err(_) if begun.elapsed() < patience => sleep(LOOK),
            Err(_) => return None,
        }
    }
}
