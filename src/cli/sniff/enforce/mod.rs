//! `--enforce`: what is found is refused, by a small process of its own.
//!
//! The one that listens reads what strangers send, and is locked in. It can only name connections, in messages of a fixed size
//! ([`wire`]); the enforcer ([`enforcer`]), started before the sandbox shuts, decides by itself what may be done about them, and
//! is the only one with the right to change the firewall. It ends with the one that listens, however that ends.
//!
//! `--inline`: the first packets of connections wait in the kernel's queue, which the enforcer has ([`gate`]); it shows them to the
//! one that listens ([`inline`]), over a socket of their own ([`slip`]), and lets them go.

mod confine;
mod enforcer;
mod gate;
mod handle;
mod inline;
mod rate;
mod slip;
mod start;
mod tell;
mod wire;

pub use enforcer::{EnforcerArgs, enforce};
pub use handle::Handle;
pub use inline::Inline;
pub use start::{EnforceArgs, Enforcer, Surroundings};
pub use tell::Teller;

use crate::model::{Enforcement, InlineCounts};
use slip::Numbers;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
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
    /// Whoever holds packets says nothing any more.
    pub silent: AtomicBool,
    /// What became of packets that waited; `None` without `--inline`.
    pub inline: Mutex<Option<Numbers>>,
}

impl Enforced {
    fn count(of: &AtomicU64) {
        of.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, numbers: Numbers) {
        *self.inline.lock().unwrap_or_else(PoisonError::into_inner) = Some(numbers);
    }

    /// The same as a part of a summary; `None` without `--enforce`.
    pub fn numbers(&self) -> Option<Enforcement> {
        let number = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let inline = *self.inline.lock().unwrap_or_else(PoisonError::into_inner);
        self.on.load(Ordering::Relaxed).then(|| Enforcement {
            cut: number(&self.cut),
            refused: number(&self.added),
            spared: number(&self.spared),
            rate_limited: number(&self.too_many),
            failed: number(&self.failed),
            inline: inline.map(|it| InlineCounts {
                asked: it.asked,
                held: it.held,
                late: it.late,
                given_up: it.given_up,
                unheld: it.unheld,
            }),
        })
    }

    /// In words; empty without `--enforce`.
    pub fn words(&self) -> String {
        let Some(it) = self.numbers() else {
            return String::new();
        };
        let mut words = format!(
            "; enforced: {} cut, {} places refused, {} left alone, {} too many at a time, {} failed",
            it.cut, it.refused, it.spared, it.rate_limited, it.failed
        );
        if let Some(it) = it.inline {
            let _ = write!(
                words,
                "; inline: {} packets looked at before they went on, {} of them held, {} let go undecided ({} connections given \
                 up), {} passed unheld",
                it.asked, it.held, it.late, it.given_up, it.unheld
            );
        }
        words
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
