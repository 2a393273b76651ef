//! The vocabulary every other room speaks: no I/O, and nothing of ours is imported here.

mod confidence;
mod event;
mod finding;
mod flow;
mod link;
mod packet;
mod service;
mod session;
mod summary;
mod time;

pub use confidence::{Confidence, Evidence, EvidenceKind};
pub use event::{Event, ServiceHint, Target};
pub use finding::{Counts, Finding};
pub use flow::{Direction, Endpoint, FiveTuple, FlowKey, Transport};
pub use link::LinkType;
pub use packet::{Layer, LayerPath, MAX_LAYERS, Packet, TcpFlags, TcpHeader, TransportHeader};
pub use service::{Format, Service, feature, risk};
pub use session::{SessionId, SessionKey};
pub use summary::Summary;
pub use time::Timestamp;
