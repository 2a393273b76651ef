//! `--enforce`: what is found is refused, by a small process of its own.
//!
//! The one that listens reads what strangers send, and is locked in. It can only name connections, in messages of a fixed size
//! ([`wire`]); the enforcer ([`enforcer`]), started before the sandbox shuts, decides by itself what may be done about them, and
//! is the only one with the right to change the firewall. It ends with the one that listens, however that ends.

mod confine;
mod enforcer;
mod start;
mod tell;
mod wire;

pub use enforcer::{EnforcerArgs, enforce};
pub use start::{EnforceArgs, Enforcer, Surroundings};
pub use tell::Handle;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// What was done, for statistics.
#[derive(Debug, Default)]
pub struct Enforced {
    /// Somebody is there who does it.
    pub on: AtomicBool,
    /// Connections that were cut.
    pub cut: AtomicU64,
    /// Places that are refused to everybody since.
    pub added: AtomicU64,
    /// Connections that are to be left alone.
    pub spared: AtomicU64,
    /// More than may be done in a minute.
    pub too_many: AtomicU64,
    /// What did not work: the kernel does not know the connection, the firewall refused.
    pub failed: AtomicU64,
}

impl Enforced {
    fn count(of: &AtomicU64) {
        of.fetch_add(1, Ordering::Relaxed);
    }

    /// Name, what it is, and the number; nothing without `--enforce`.
    pub fn numbers(&self) -> Vec<(&'static str, &'static str, u64)> {
        if !self.on.load(Ordering::Relaxed) {
            return Vec::new();
        }
        [
            ("enforce_cut_total", "Connections that were cut.", &self.cut),
            (
                "enforce_additions_total",
                "Places that were refused to everybody.",
                &self.added,
            ),
            (
                "enforce_spared_total",
                "Connections that were left alone.",
                &self.spared,
            ),
            (
                "enforce_rate_limited_total",
                "Connections that were too many for --enforce-rate.",
                &self.too_many,
            ),
            (
                "enforce_failed_total",
                "What could not be done.",
                &self.failed,
            ),
        ]
        .map(|(name, about, number)| (name, about, number.load(Ordering::Relaxed)))
        .to_vec()
    }

    /// In words; empty without `--enforce`.
    pub fn words(&self) -> String {
        let numbers = self.numbers();
        let [cut, added, spared, too_many, failed] = numbers.as_slice() else {
            return String::new();
        };
        format!(
            "; enforced: {} cut, {} places refused, {} left alone, {} too many at a time, {} failed",
            cut.2, added.2, spared.2, too_many.2, failed.2
        )
    }
}

/// `1h`, `90s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds % 3600, seconds % 60) {
        (0, _) => format!("{}h", seconds / 3600),
        (_, 0) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}
