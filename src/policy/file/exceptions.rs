//! `[[exception]]`: who is left alone.

use super::{Check, Exception};
use crate::policy::{User, Who};
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawException {
    net: Option<Spanned<String>>,
    name: Option<Spanned<String>>,
    user: Option<Spanned<toml::Value>>,
    why: Spanned<String>,
    until: Option<Spanned<toml::Value>>,
}

impl Check<'_> {
    pub(super) fn exception(&mut self, raw: &RawException) -> Option<Exception> {
        let who = match (&raw.net, &raw.name, &raw.user) {
            (Some(net), None, None) => self.net(net).map(Who::Net),
            (None, Some(name), None) => self.named(name),
            (None, None, Some(user)) => self.user(user).map(Who::User),
            _ => {
                self.read.wrong(
                    raw.why.span(),
                    "an exception is about one of `net`, `name` and `user`",
                    "write another exception for another",
                );
                None
            }
        };
        let why = self.read.text(&raw.why);
        let until = self.until(raw.until.as_ref());
        Some(Exception {
            who: who?,
            why: why?,
            until: until?,
        })
    }

    fn named(&mut self, name: &Spanned<String>) -> Option<Who> {
        if name.get_ref().starts_with("*.") {
            self.read.wrong(
                name.span(),
                "names below a name cannot be left alone",
                "nobody can be asked for the addresses of all of them: write each",
            );
            return None;
        }
        let name = self.read.host_name(name)?;
        Some(Who::Name {
            name,
            addresses: Vec::new(),
            asked: None,
        })
    }

    fn user(&mut self, user: &Spanned<toml::Value>) -> Option<User> {
        let text = match user.get_ref() {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            _ => String::new(),
        };
        let parsed = text.parse();
        if let Err(problem) = parsed {
            self.read.wrong(user.span(), "not a user", problem);
        }
        parsed.ok()
    }
}
