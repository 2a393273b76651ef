//! Scenarios: who says what to whom, and what that is.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a mistake in a scenario must stop the maker"
)]

mod aim;
mod aim_peer;
mod baits;
pub mod bytes;
mod calls;
mod certificates;
mod chat;
pub mod icq;
mod icq_udp;
mod msn;
mod msn_http;
mod msn_peer;
mod named;
mod office;
pub mod ordinary;
mod oscar;
mod oscar_http;
mod oscar_session;
mod own;
mod peer;
mod png;
mod qq;
pub mod quic;
mod risks;
mod sessions;
pub mod socks;
pub mod talk;
mod today;
pub mod wire;
mod yahoo;
mod yahoo_peer;
mod ymsg;

use std::io;
use std::path::Path;
use talk::Scenario;

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let mut all = Vec::new();
    all.extend(aim::scenarios());
    all.extend(aim_peer::scenarios());
    all.extend(icq::scenarios());
    all.extend(icq_udp::scenarios());
    all.extend(msn::scenarios());
    all.extend(msn_peer::scenarios());
    all.extend(msn_http::scenarios());
    all.extend(yahoo::scenarios());
    all.extend(yahoo_peer::scenarios());
    all.extend(oscar_http::scenarios());
    all.extend(socks::scenarios());
    all.extend(named::scenarios());
    all.extend(risks::scenarios());
    all.extend(baits::scenarios());
    all.extend(office::scenarios());
    all.extend(today::scenarios());
    all.extend(calls::scenarios());
    all.extend(chat::scenarios());
    all.extend(own::scenarios());
    all.extend(certificates::scenarios());
    all.extend(qq::scenarios());
    all.extend(sessions::scenarios());
    all
}

/// Writes every scenario as a capture and a truth file; says how many.
pub fn write_all(folder: &Path) -> io::Result<usize> {
    std::fs::create_dir_all(folder)?;
    let scenarios = all();
    for scenario in &scenarios {
        std::fs::write(
            folder.join(format!("{}.pcap", scenario.name)),
            wire::capture(scenario),
        )?;
        std::fs::write(
            folder.join(format!("{}.toml", scenario.name)),
            scenario.truth(),
        )?;
    }
    Ok(scenarios.len())
}
