//! The vocabulary every other room speaks: no I/O, and nothing of ours is imported here.

mod action;
mod activity;
mod confidence;
mod detection;
mod event;
mod exposure;
mod finding;
mod flow;
mod link;
mod names;
mod packet;
mod service;
mod session;
mod summary;
mod time;

pub use action::{Action, Concerned, Deed};
pub use activity::{Activity, Detail, Occurrence, Party, what};
pub use confidence::{Confidence, Evidence, EvidenceKind};
pub use detection::{Detection, News};
pub use event::{Event, ServiceHint, Target, Token, Unit};
pub use exposure::{Exposure, Risk, Severity, Sighting, id as risk};
pub use finding::{Counts, Finding};
pub use flow::{Brief, Direction, Endpoint, FiveTuple, FlowKey, Transport};
pub use link::LinkType;
pub use names::Names;
pub use packet::{
    Headline, Layer, LayerPath, MAX_LAYERS, Mac, Packet, TcpFlags, TcpHeader, TransportHeader,
};
pub use service::{Format, Service, feature};
pub use session::{SessionId, SessionKey};
pub use summary::{Enforcement, InlineCounts, Listening, Summary};
pub use time::Timestamp;
