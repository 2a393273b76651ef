//! What whoever finds something has of the enforcer.

use super::Enforced;
use super::slip::Numbers;
use crate::cli::observe::is_proxied;
use crate::cli::sniff::board::Board;
use crate::model::{Concerned, Confidence, Finding, FlowKey};
use crate::policy::feature_of;
use crate::policy::live::Order;
use crate::ruleset::Feature;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What strangers call themselves is not repeated at any length.
const LONGEST_NAME: usize = 64;
/// The rules are taken away in less, unless somebody is in the way.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// A connection, and what is said of it.
pub struct Ask {
    pub order: Order,
    pub words: String,
    pub about: Concerned,
}

/// For whoever finds something: asks for an end of it, and waits for nothing.
#[derive(Clone)]
pub struct Handle {
    pub(super) asks: SyncSender<Ask>,
    pub(super) board: Arc<Board>,
    /// Nothing more will be found, and nothing more will be done.
    pub(super) ended: Arc<AtomicBool>,
    pub(super) done: Arc<AtomicBool>,
    pub(super) least: Confidence,
    /// Names may be said.
    pub(super) names: bool,
    /// With `--inline`: connections whose end was asked for, for whoever holds their packets.
    pub(super) asked: Option<Arc<Mutex<Vec<FlowKey>>>>,
}

impl Handle {
    /// A finding: acted on if it is sure enough.
    pub fn found(&self, finding: &Finding) {
        if finding.confidence >= Some(self.least) {
            self.block(finding);
        }
    }

    /// Ends this connection and refuses its server, whatever is known of it. Whether it is asked for.
    pub fn block(&self, finding: &Finding) -> bool {
        let tuple = &finding.tuple;
        let between_users = matches!(
            feature_of(finding.app_proto.unwrap_or_default()),
            Feature::FileTransfer | Feature::PeerToPeer
        );
        let order = Order {
            transport: tuple.transport,
            client: tuple.client,
            server: tuple.server,
            // What is carried inside something else is not the server's only business.
            only_connection: between_users || is_proxied(finding) || !finding.carriers.is_empty(),
        };
        let asked = self.asks.try_send(Ask {
            order,
            words: self.words(finding),
            about: Concerned {
                flow_id: finding.flow_id,
                tuple: *tuple,
                service: finding.service.clone(),
                app_proto: finding.app_proto,
                confidence: finding.confidence,
                account: finding.accounts.first().cloned(),
            },
        });
        if let Err(TrySendError::Full(_)) = asked {
            Enforced::count(&self.board.enforced.too_many);
        }
        if let (Ok(()), Some(keys)) = (&asked, &self.asked) {
            let key = FlowKey::new(order.transport, order.client, order.server);
            keys.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(key);
        }
        asked.is_ok()
    }

    /// Connections whose end was asked for since last time.
    pub fn take_asked(&self) -> Vec<FlowKey> {
        let take = |keys: &Arc<Mutex<Vec<_>>>| {
            std::mem::take(&mut *keys.lock().unwrap_or_else(PoisonError::into_inner))
        };
        self.asked.as_ref().map(take).unwrap_or_default()
    }

    /// What became of packets that waited, so far. It is a sign of life.
    pub fn count(&self, numbers: Numbers) {
        self.board.enforced.note(numbers);
        if self.board.enforced.silent.swap(false, Ordering::Relaxed) {
            self.board
                .say("inline: whoever holds packets does it again".to_owned());
        }
    }

    /// There was none for a while.
    pub fn hears_nothing(&self) {
        if !self.board.enforced.silent.swap(true, Ordering::Relaxed) {
            self.board.say(
                "inline: NOTHING IS HEARD of the process that holds packets. If it was stopped, new connections wait: let it go on \
                 (kill -CONT) or end it (kill -KILL), then they pass"
                    .to_owned(),
            );
        }
    }

    /// Nothing more will be found: waits, for a while, until all was done and the rules are gone.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        let begun = Instant::now();
        while !self.done.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE {
            thread::sleep(TICK);
        }
    }

    /// `192.0.2.1 (alice), aim oscar bos, confirmed`
    fn words(&self, finding: &Finding) -> String {
        let mut words = finding.tuple.client.ip.to_string();
        if self.names
            && let Some(account) = finding.accounts.first()
        {
            let account: String = account.chars().take(LONGEST_NAME).collect();
            let _ = write!(words, " ({})", account.escape_debug());
        }
        if let Some(verdict) = finding.verdict() {
            let _ = write!(words, ", {verdict}");
        }
        words
    }
}
