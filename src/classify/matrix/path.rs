//! What a request asks for, by its path.

use crate::classify::carrier::http::{RequestHead, percent_decoded};

/// Versions of the interfaces, from the first one on.
const VERSIONS: [&str; 6] = ["r0", "v1", "v2", "v3", "unstable", "api"];

/// A path below `/_matrix/`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    path: &'a str,
}

impl<'a> Path<'a> {
    /// `None` for any other.
    pub fn of(head: &RequestHead<'a>) -> Option<Self> {
        let path = head.path().split('?').next()?;
        let path = path.strip_prefix("/_matrix/")?;
        Some(Self { path })
    }

    fn parts(self) -> impl Iterator<Item = &'a str> {
        self.path.split('/')
    }

    /// Who speaks to a server with it; `None` for media, which web pages show as well, and for keys.
    pub fn role(self) -> Option<&'static str> {
        match self.parts().next()? {
            "client" => Some("client"),
            "federation" => Some("server"),
            _ => None,
        }
    }

    /// Whether it has the version that all but one have.
    pub fn is_versioned(self) -> bool {
        self.parts()
            .nth(1)
            .is_some_and(|part| VERSIONS.contains(&part))
    }

    /// What is asked, behind the version.
    pub fn call(self) -> Vec<&'a str> {
        let skipped = match self.parts().nth(1) {
            // The first version of all was "api/v1".
            Some("api") => 3,
            _ => 2,
        };
        self.parts().skip(skipped).take(8).collect()
    }
}

/// Whether a request carries an access token: in a field, or as it once was, in the path.
pub(super) fn token(head: &RequestHead<'_>) -> bool {
    let field = head.header("authorization").is_some_and(|value| {
        let scheme = value.split(|byte| *byte == b' ').next();
        scheme.is_some_and(|it| {
            it.eq_ignore_ascii_case(b"bearer") || it.eq_ignore_ascii_case(b"x-matrix")
        })
    });
    let query = head.path().split_once('?').map_or("", |(_, query)| query);
    field
        || query
            .split('&')
            .any(|pair| pair.starts_with("access_token="))
}

/// A user's name in a path: `%40alice%3Aexample.com`.
pub(super) fn user_in(part: &str) -> Option<String> {
    user(&percent_decoded(part)?)
}

/// A user's name: `@alice:example.com`.
pub(super) fn user(name: &str) -> Option<String> {
    let (local, server) = name.strip_prefix('@')?.split_once(':')?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || "\"<>&'".contains(c);
    let fits = name.len() <= 255 && !local.is_empty() && !server.is_empty() && !name.contains(odd);
    fits.then(|| name.to_owned())
}
