//! The uses of a messenger that a firewall can act on.

use crate::model::feature as name;
use std::fmt;

/// What a port or a host serves. The order is the one rules are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Sign-on, presence and messages.
    Session,
    /// Pictures sent or shown.
    Images,
    /// Files.
    FileTransfer,
    /// Audio and video together.
    Conferencing,
    /// Voice alone.
    Voice,
    /// Video alone.
    Video,
    /// One-way pictures from a camera.
    Webcam,
    /// One user's program, seen and used by another.
    ApplicationSharing,
    /// One user's whole machine, seen and used by another.
    RemoteAssistance,
    /// Games.
    Games,
    /// Client to client, whatever for.
    PeerToPeer,
    /// The messenger inside HTTP.
    Http,
    /// All of it: a host that is denied on all ports.
    Everything,
}

impl Feature {
    /// Every feature, in order.
    pub const ALL: [Self; 13] = [
        Self::Session,
        Self::Images,
        Self::FileTransfer,
        Self::Conferencing,
        Self::Voice,
        Self::Video,
        Self::Webcam,
        Self::ApplicationSharing,
        Self::RemoteAssistance,
        Self::Games,
        Self::PeerToPeer,
        Self::Http,
        Self::Everything,
    ];

    /// The name in rule files, reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Images => name::IMAGES,
            Self::FileTransfer => name::FILE_TRANSFER,
            Self::Conferencing => "conferencing",
            Self::Voice => name::VOICE,
            Self::Video => name::VIDEO,
            Self::Webcam => "webcam",
            Self::ApplicationSharing => name::APPLICATION_SHARING,
            Self::RemoteAssistance => name::REMOTE_ASSISTANCE,
            Self::Games => name::GAMES,
            Self::PeerToPeer => "peer-to-peer",
            Self::Http => name::HTTP,
            Self::Everything => "everything",
        }
    }

    /// The feature of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.name() == name)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
