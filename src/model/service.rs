//! The messengers, and the names shared by detectors, rule files and reports.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt;

/// A messenger: the id of a rule file, such as `aim`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Service(Cow<'static, str>);

impl Service {
    /// AOL Instant Messenger.
    pub const AIM: Self = Self(Cow::Borrowed("aim"));
    /// ICQ.
    pub const ICQ: Self = Self(Cow::Borrowed("icq"));
    /// OSCAR, the protocol AIM and ICQ share, when nothing tells them apart.
    pub const OSCAR: Self = Self(Cow::Borrowed("oscar"));
    /// MSN, .NET and Windows Live Messenger.
    pub const MSN: Self = Self(Cow::Borrowed("msn"));
    /// Yahoo! Messenger.
    pub const YAHOO: Self = Self(Cow::Borrowed("yahoo"));

    /// A messenger that a rule file names.
    pub fn named(id: impl Into<String>) -> Self {
        Self(Cow::Owned(id.into()))
    }

    /// The id, such as `aim`.
    pub fn id(&self) -> &str {
        &self.0
    }

    /// Whether this is AIM, ICQ or "one of the two".
    pub fn is_oscar_family(&self) -> bool {
        matches!(self.id(), "aim" | "icq" | "oscar")
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a stream is: the messenger, the wire format and the part that this connection plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The messenger; `None` for a carrier such as HTTP or TLS, which is no finding by itself.
    pub service: Option<Service>,
    /// Wire format: `oscar`, `toc`, `oft`, `odc`, `icq-udp`, `icq-direct`, `msnp`, `msn-http`, `msnftp`,
    /// `msn-p2p`, `msn-webcam`, `ymsg`, `ymsg-http`, `yahoo-webcam`, ... or `http`, `tls`, `dns`.
    pub app_proto: &'static str,
    /// Part played: `authoriser`, `bos`, `service`, `peer`, `notification`, `switchboard`, ...
    pub role: Option<&'static str>,
}

impl Format {
    /// A messenger's format.
    pub const fn messenger(service: Service, app_proto: &'static str, role: &'static str) -> Self {
        Self {
            service: Some(service),
            app_proto,
            role: Some(role),
        }
    }

    /// Nothing that could be told yet: whoever claims a stream as that looks on, and speaks when it is sure.
    pub const UNTOLD: Self = Self::other("");

    /// A format that is no messenger.
    pub const fn other(app_proto: &'static str) -> Self {
        Self {
            service: None,
            app_proto,
            role: None,
        }
    }
}

/// Names of what a messenger was used for. The names that a firewall can act on are the same in `rules/*.toml`.
#[allow(missing_docs)]
pub mod feature {
    pub const SIGN_ON: &str = "sign-on";
    pub const MESSAGE: &str = "message";
    pub const PRESENCE: &str = "presence";
    pub const CONTACT_LIST: &str = "contact-list";
    pub const CHAT_ROOM: &str = "chat-room";
    pub const FILE_TRANSFER: &str = "file-transfer";
    pub const FILE_SHARE: &str = "file-share";
    pub const IMAGES: &str = "images";
    pub const DIRECT_CONNECTION: &str = "direct-connection";
    pub const VOICE: &str = "voice";
    pub const VIDEO: &str = "video";
    pub const GAMES: &str = "games";
    pub const APPLICATION_SHARING: &str = "application-sharing";
    pub const REMOTE_ASSISTANCE: &str = "remote-assistance";
    pub const HTTP: &str = "http";
}
