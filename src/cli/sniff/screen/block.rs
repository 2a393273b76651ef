//! `b`: what would close the endpoints of the flows that were chosen, by the planner and renderer of `imwarden policy`.

use crate::cli::{observe, policy};
use crate::model::{Finding, Transport};
use crate::policy::{
    Guard, Hook, Other, OtherSource, Plan, Profile, Request, Sighting, Sightings, Target, render,
};
use crate::report::service_title;
use crate::ruleset::{Feature, RuleSet};
use std::sync::Arc;

/// Ports that many serve at one address: an endpoint there is not the messenger's alone.
const SHARED: [u16; 4] = [22, 53, 80, 443];
/// Flows whose rules are kept until the screen is closed.
const MAX_KEPT: usize = 1000;

/// Has a flow cut and its server refused right away, where somebody can; whether that is asked for now. It waits for nothing:
/// what came of it is told as a message.
pub type Blocker = Box<dyn FnMut(&Finding) -> bool + Send>;

/// What blocking some flows comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The file that `nft -f` loads; nothing where nothing can be closed.
    pub rules: Option<String>,
    /// What it closes, in words.
    pub endpoints: Vec<String>,
    /// What has no rule, and why.
    pub without: Vec<String>,
}

/// Plans rules.
pub struct Planner {
    rules: Arc<RuleSet>,
    guard: Guard,
    /// Addresses on the screen are not those of the network.
    redacted: bool,
    /// Of flows that were confirmed, until somebody can use the rules.
    kept: Vec<Sighting>,
}

impl Planner {
    /// Does not cut off what the guard knows.
    pub const fn new(rules: Arc<RuleSet>, guard: Guard, redacted: bool) -> Self {
        Self {
            rules,
            guard,
            redacted,
            kept: Vec::new(),
        }
    }

    /// What blocking these flows would be.
    pub fn propose(&self, flows: &[&Finding]) -> Result<Proposal, String> {
        if self.redacted {
            return Err("--redact hides the addresses: no rule can be made of them".to_owned());
        }
        self.plan(flows.iter().filter_map(|flow| sighting(flow)).collect())
    }

    fn plan(&self, flows: Vec<Sighting>) -> Result<Proposal, String> {
        let mut sightings = Sightings::default();
        for flow in &flows {
            let web = flow.feature == Feature::Http || SHARED.contains(&flow.server.port);
            if web && flow.transport == Transport::Tcp {
                let other = Other::new(flow.transport, flow.client.ip, flow.server);
                sightings.others.add(other, OtherSource::Record);
            }
        }
        let services = flows.iter().map(|flow| flow.service.clone()).collect();
        sightings.flows = flows;
        let request = Request {
            services: policy::known(&self.rules, &services),
            profile: Profile::None,
            hooks: vec![Hook::Forward, Hook::Output],
            guard: self.guard.clone(),
            ..Request::default()
        };
        let plan = Plan::observing(&self.rules, &request, &sightings)
            .map_err(|error| error.to_string())?;
        let endpoints = plan.seen.iter().flat_map(|group| {
            group.seen.iter().map(|seen| {
                let transport = seen.transport.name().to_lowercase();
                let whose = format!("{} {}", service_title(&group.service), group.feature.name());
                format!("{transport} {}  {whose}, {}", seen.server, seen.words())
            })
        });
        let without = plan
            .unseen
            .iter()
            .map(|flow| format!("{} to {}: {}", flow.place, flow.server, flow.reason));
        Ok(Proposal {
            rules: (!plan.is_empty()).then(|| render(&plan, Target::Nftables)),
            endpoints: endpoints.collect(),
            without: without.collect(),
        })
    }

    /// These are wanted: their rules are printed when the screen is closed. How many flows that are by now.
    pub fn keep(&mut self, flows: &[&Finding]) -> usize {
        for sighting in flows.iter().filter_map(|flow| sighting(flow)) {
            let known = self.kept.iter().any(|it| it.place == sighting.place);
            if !known && self.kept.len() < MAX_KEPT {
                self.kept.push(sighting);
            }
        }
        self.kept.len()
    }

    /// The rules for all that were kept.
    pub fn kept(&mut self) -> Option<String> {
        let flows = std::mem::take(&mut self.kept);
        if flows.is_empty() {
            return None;
        }
        self.plan(flows).ok()?.rules
    }
}

fn sighting(finding: &Finding) -> Option<Sighting> {
    let place = format!("flow {}", finding.flow_id);
    let mut sighting = observe::sighting(finding, place)?;
    // Whatever carries it is used by others as well.
    sighting.proxied |= !finding.carriers.is_empty();
    Some(sighting)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests_support::finding;
    use super::*;
    use crate::model::Service;

    fn planner(guard: Guard) -> Planner {
        Planner::new(Arc::new(RuleSet::builtin().unwrap()), guard, false)
    }

    #[test]
    fn the_rule_is_the_policys_for_the_endpoint_that_was_seen() {
        let planner = planner(Guard::default());
        let aim = finding(3, Service::AIM, "alice77", "192.0.2.9:5190");
        let proposal = planner.propose(&[&aim]).unwrap();
        let rules = proposal.rules.unwrap();
        assert_eq!(
            (proposal.endpoints, proposal.without),
            (
                vec!["tcp 192.0.2.9:5190  AIM session, seen in 1 flow, flow 3".to_owned()],
                Vec::new()
            )
        );
        assert!(rules.contains("192.0.2.9 . tcp . 5190"), "{rules}");
        assert!(rules.contains("seen in 1 flow, flow 3"), "{rules}");
        // Nothing else is closed, and no other messenger spoken of.
        assert!(
            !rules.contains("1863") && !rules.contains("Yahoo"),
            "{rules}"
        );
    }

    #[test]
    fn what_others_share_has_no_rule() {
        let planner = planner(Guard::default());
        let web = finding(4, Service::MSN, "bob", "192.0.2.80:80");
        let mut proxied = finding(5, Service::MSN, "bob", "192.0.2.81:3128");
        proxied.carriers.push("http-connect");
        for flow in [&web, &proxied] {
            let proposal = planner.propose(&[flow]).unwrap();
            assert_eq!((proposal.rules, proposal.without.len()), (None, 1));
        }
        let gateway = Guard {
            gateways: vec![[192, 0, 2, 1].into()],
            ..Guard::default()
        };
        let planner = Planner::new(Arc::clone(&planner.rules), gateway, false);
        let at_gateway = finding(6, Service::AIM, "alice77", "192.0.2.1:5190");
        let proposal = planner.propose(&[&at_gateway]).unwrap();
        assert!(proposal.rules.is_none(), "{proposal:?}");
        let redacted = Planner {
            redacted: true,
            ..planner
        };
        assert!(redacted.propose(&[&at_gateway]).is_err());
    }

    #[test]
    fn all_that_was_kept_comes_in_one_file() {
        let mut planner = planner(Guard::default());
        assert_eq!(planner.kept(), None);
        let one = finding(1, Service::AIM, "alice77", "192.0.2.9:5190");
        let two = finding(2, Service::YAHOO, "carol_y", "192.0.2.10:5050");
        assert_eq!(planner.keep(&[&one]), 1);
        assert_eq!(planner.keep(&[&one, &two]), 2);
        let rules = planner.kept().unwrap();
        assert!(
            rules.contains("192.0.2.9 . tcp . 5190") && rules.contains("192.0.2.10 . tcp . 5050"),
            "{rules}"
        );
    }
}
