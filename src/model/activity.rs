//! What people did with a messenger, as the report tells it: sign-ons, messages, files, addresses.

use super::{Direction, Endpoint, FiveTuple, Service, Timestamp};

/// Who did something, or to whom it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// The user of the flow's client, whose account the flow need not repeat.
    Own,
    /// The user at the other end of a connection between users, where the flow that announced it said who that is.
    Other,
    /// Somebody by name.
    Account(String),
}

impl Party {
    /// The account, where it is known.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Account(name) => Some(name),
            Self::Own | Self::Other => None,
        }
    }
}

impl From<String> for Party {
    fn from(name: String) -> Self {
        Self::Account(name)
    }
}

/// One more fact about an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A word of ours.
    Word(&'static str),
    /// Text from the wire: a file's name, a client's name. Never what people wrote.
    Text(String),
    /// A number: bytes, files, members.
    Number(u64),
}

impl From<&'static str> for Detail {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<String> for Detail {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Detail {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Detail {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<Endpoint> for Detail {
    fn from(endpoint: Endpoint) -> Self {
        Self::Text(endpoint.to_string())
    }
}

/// One thing that somebody did. Message text, passwords, cookies and file content never enter it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// What was done, from [`what`].
    pub what: &'static str,
    /// Who did it, if that is known.
    pub from: Option<Party>,
    /// To whom, if to anybody.
    pub to: Option<Party>,
    /// The rest, in the order in which it is shown. Keys are those of the event record.
    pub details: Vec<(&'static str, Detail)>,
}

impl Activity {
    /// Nothing but what it is.
    pub const fn new(what: &'static str) -> Self {
        Self {
            what,
            from: None,
            to: None,
            details: Vec::new(),
        }
    }

    /// Done by the client's user to somebody, or the other way round.
    pub fn between(what: &'static str, by_client: bool, other: Option<String>) -> Self {
        let (own, other) = (Some(Party::Own), other.map(Party::Account));
        let (from, to) = if by_client {
            (own, other)
        } else {
            (other, own)
        };
        Self {
            from,
            to,
            ..Self::new(what)
        }
    }

    /// Done by one user to the other over a connection between them.
    pub fn between_peers(what: &'static str, by_client: bool) -> Self {
        let (from, to) = if by_client {
            (Party::Own, Party::Other)
        } else {
            (Party::Other, Party::Own)
        };
        Self {
            from: Some(from),
            to: Some(to),
            ..Self::new(what)
        }
    }

    /// Done by this one.
    #[must_use]
    pub fn by(mut self, who: impl Into<Party>) -> Self {
        self.from = Some(who.into());
        self
    }

    /// Done to this one.
    #[must_use]
    pub fn to(mut self, whom: impl Into<Party>) -> Self {
        self.to = Some(whom.into());
        self
    }

    /// Done to this one, if that is known.
    #[must_use]
    pub fn maybe_to(mut self, whom: Option<String>) -> Self {
        self.to = whom.map(Party::Account);
        self
    }

    /// With one more fact.
    #[must_use]
    pub fn with(mut self, key: &'static str, detail: impl Into<Detail>) -> Self {
        self.details.push((key, detail.into()));
        self
    }

    /// With one more fact, if it is known.
    #[must_use]
    pub fn maybe(self, key: &'static str, detail: Option<impl Into<Detail>>) -> Self {
        match detail {
            Some(detail) => self.with(key, detail),
            None => self,
        }
    }

    /// The fact of that name.
    pub fn detail(&self, key: &str) -> Option<&Detail> {
        self.details
            .iter()
            .find_map(|(known, detail)| (*known == key).then_some(detail))
    }
}

/// Names of activities.
#[allow(missing_docs, reason = "described in docs/schema")]
pub mod what {
    pub const SIGN_ON: &str = "sign-on";
    pub const SIGN_ON_FAILED: &str = "sign-on-failed";
    pub const SIGN_OFF: &str = "sign-off";
    pub const PASSWORD_CHANGE: &str = "password-change";
    pub const REDIRECT: &str = "redirect";
    pub const STATUS: &str = "status";
    pub const CONTACT: &str = "contact";
    pub const MESSAGE: &str = "message";
    pub const TYPING: &str = "typing";
    pub const SIGNAL: &str = "signal";
    pub const SMS: &str = "sms";
    pub const CHAT_JOIN: &str = "chat-join";
    pub const CHAT_LEAVE: &str = "chat-leave";
    pub const CHAT_MESSAGE: &str = "chat-message";
    pub const INVITATION: &str = "invitation";
    pub const ACCEPTED: &str = "accepted";
    pub const REFUSED: &str = "refused";
    pub const CANCELLED: &str = "cancelled";
    pub const FILE_OFFER: &str = "file-offer";
    pub const FILE_SENT: &str = "file-sent";
    pub const ADDRESS: &str = "address";
    /// A picture or sound stream between users begins.
    pub const STREAM: &str = "stream";
    /// Somebody asks a relay to be connected with another.
    pub const RELAY: &str = "relay";
    pub const QUERY: &str = "query";
    pub const MALFORMED: &str = "malformed";
}

/// An activity with its place in the capture: an event of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// The flow it happened in.
    pub flow_id: u64,
    /// Client and server of that flow, as far as known then.
    pub tuple: FiveTuple,
    /// The messenger, as far as known then.
    pub service: Option<Service>,
    /// The wire format.
    pub app_proto: Option<&'static str>,
    /// When.
    pub timestamp: Timestamp,
    /// The packet that completed it.
    pub packet: u64,
    /// Where in the bytes of its direction it begins.
    pub offset: u64,
    /// Which way it went.
    pub direction: Direction,
    /// What. Parties are names here: [`Party::Own`] is left only where nobody named the user so far.
    pub activity: Activity,
}
