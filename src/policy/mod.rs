//! What to do about it: from the rule files and a request to firewall rules.
//!
//! [`Plan::new`] decides everything (which ports, which hosts, what is left out and why); [`render()`] only
//! writes it down for one firewall.

pub mod apply;
mod capability;
mod decide;
mod observed;
mod plan;
pub mod prove;
mod render;
mod request;
mod safety;
#[cfg(test)]
mod tests;
mod tool;
pub mod verify;

pub use capability::{Can, Capability, capabilities, closes_nothing};
pub use decide::{Attempt, Collateral, Decision, Reason};
pub use observed::{Opening, Seen, SeenGroup, Sighting, Sightings, Unseen, feature_of};
pub use plan::{Group, HostDeny, LeftOut, Owner, Plan, Ports};
pub use render::{Target, render};
pub use request::{Action, FeatureChoice, Hook, PlanError, Profile, Request};
pub use safety::Refusal;
pub use tool::ToolError;
