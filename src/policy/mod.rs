//! What to do about it: from the rule files and a request to firewall rules.
//!
//! [`Plan::new`] decides everything (which ports, which hosts, what is left out and why); [`render()`] only
//! writes it down for one firewall.

pub mod apply;
mod capability;
mod collateral;
mod conflict;
mod custom;
mod decide;
mod diff;
mod file;
mod groups;
mod hello;
pub mod live;
mod named;
mod observed;
mod others;
mod plan;
pub mod prove;
mod render;
mod request;
mod safety;
mod scope;
mod signature;
#[cfg(test)]
mod tests;
mod tool;
pub mod verify;

pub use capability::{Can, Capability, capabilities, closes_nothing};
pub use collateral::{Collateral, Weigher};
pub use conflict::Shadowed;
pub use custom::{CustomRule, Exception, Place, User, Who};
pub use decide::{Attempt, Decision, Reason, Surroundings};
pub use diff::{Change, contents, contents_of, difference};
pub use file::{PolicyFile, PolicyFileError, net};
pub use named::{Address, Named, openings_of};
pub use observed::{Opening, Seen, SeenGroup, Sighting, Sightings, Unseen, feature_of};
pub use others::{ByContent, Other, Others, Source as OtherSource, Touched};
pub use plan::{Group, HostDeny, LeftOut, NameGroup, Owner, Plan, Ports};
pub use render::{Target, outgrown_sets, render};
pub use request::{Action, FeatureChoice, Hook, PlanError, Profile, Request};
pub use safety::{Guard, Refusal};
pub use scope::{Interface, Interfaces, Mark, Matching};
pub use signature::{Signature, SignatureGroup};
pub use tool::ToolError;
