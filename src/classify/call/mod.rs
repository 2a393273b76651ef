//! Calls: STUN and TURN (RFC 8489, RFC 8656), and the shape of RTP (RFC 3550).
//!
//! All of it is everybody's: browsers, phones, games. A call is a messenger's where a rule file says what that one alone
//! shows in STUN; voice and video are then told by their shape. RTP alone names nobody.

mod connection;
mod detector;
mod rtp;
mod stun;
#[cfg(test)]
mod tests;

use super::Detector;
use crate::model::{Format, Service};
use crate::ruleset::{RuleSet, StunRule};
use std::sync::Arc;

pub use rtp::Watch;

/// Detectors of this family.
pub const DETECTORS: &[&dyn Detector] = &[&detector::Datagrams, &detector::Stream];

/// The wire format. Others speak it as much.
const FORMAT: &str = "stun";

fn format(service: Service) -> Format {
    Format::messenger(service, FORMAT, "call")
}

/// What rule files say of calls.
#[derive(Clone, Debug)]
pub struct Calls(Arc<[(Service, StunRule)]>);

impl Calls {
    /// What these rules say.
    pub fn of(rules: &RuleSet) -> Self {
        let messengers = rules.messengers().iter();
        let known = messengers.flat_map(|messenger| {
            let stuns = messenger.stuns.iter();
            stuns.map(|rule| (messenger.service.clone(), rule.clone()))
        });
        Self(known.collect())
    }

    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that a message shows.
    fn shown_by<'a>(
        &'a self,
        message: &stun::Message<'_>,
    ) -> impl Iterator<Item = &'a (Service, StunRule)> {
        self.0.iter().filter(|(_, rule)| rule.matches(message))
    }
}
