//! Names in TLS hellos (SNI), as far as a firewall can know them that only searches bytes: iptables' `string`.
//!
//! A segment must begin as a client's hello does. A whole name stands behind its lengths, which are known, so that nothing
//! longer or shorter is taken for it. Of names below one only the end is known: there the next extension must follow.

use super::{CustomRule, HostDeny, NameGroup, Opening, Place, Plan, Request, Shadowed};
use crate::model::{Service, Transport};
use crate::ruleset::{HostUse, RuleSet, Source};

/// What no rule about names in hellos sees.
pub(super) const LIMIT: &str = "A server's name that is not in a TLS hello in clear: QUIC (HTTP/3) encrypts its hello, and ECH \
     hides the name in one. Whoever wants to be sure closes UDP 443 and has the names refused by a resolver as well.";

/// The kernel's limit for what is searched (`XT_STRING_MAX_PATTERN_SIZE`).
const LONGEST: usize = 128;

/// No extension begins before this place: record, handshake, version, random, then the shortest session id, suites and
/// compression that there are.
pub(super) const FIRST_EXTENSION: usize = 52;

/// How the extension begins that follows the name. Most numbers are small; the others are renegotiation, ECH, ALPS (old and
/// new) and what GREASE makes up, less those that are another one in capitals.
const FOLLOWERS: [&[u8]; 17] = [
    &[0x00],
    &[0xFF, 0x01],
    &[0xFE, 0x0D],
    &[0x44, 0x69],
    &[0x44, 0xCD],
    &[0x0A, 0x0A],
    &[0x1A, 0x1A],
    &[0x2A, 0x2A],
    &[0x3A, 0x3A],
    &[0x4A, 0x4A],
    &[0x5A, 0x5A],
    &[0x8A, 0x8A],
    &[0x9A, 0x9A],
    &[0xAA, 0xAA],
    &[0xBA, 0xBA],
    &[0xCA, 0xCA],
    &[0xDA, 0xDA],
];

/// A TLS record with a client's hello in it.
pub(super) fn opening() -> Opening {
    Opening {
        pieces: vec![(0, vec![0x16, 0x03]), (5, vec![0x01])],
    }
}

/// The name, and whether all below it are meant too.
pub(super) fn parts(host: &HostDeny) -> (&str, bool) {
    split(&host.name)
}

/// The same of a name by itself.
pub(super) fn split(name: &str) -> (&str, bool) {
    name.strip_prefix("*.")
        .map_or((name, false), |name| (name, true))
}

/// Whether it can be searched for.
pub(super) fn fits(host: &HostDeny) -> bool {
    whole(host).is_some()
}

/// The extension with this name and no other.
pub(super) fn whole(host: &HostDeny) -> Option<Vec<u8>> {
    extension(parts(host).0)
}

/// Type, lengths, kind, length, name.
pub(super) fn extension(name: &str) -> Option<Vec<u8>> {
    let length = |more: usize| u16::try_from(name.len() + more).ok().map(u16::to_be_bytes);
    let mut bytes = vec![0, 0];
    bytes.extend(length(5)?);
    bytes.extend(length(3)?);
    bytes.push(0);
    bytes.extend(length(0)?);
    bytes.extend(name.as_bytes());
    (bytes.len() <= LONGEST).then_some(bytes)
}

/// Hosts that serve others too, below names that are a messenger's otherwise.
pub(super) fn shared_below(hosts: &[HostDeny], rules: &RuleSet) -> Vec<String> {
    let known = rules.messengers().iter().flat_map(|it| &it.hosts);
    let shared = known.filter(|it| it.usage == HostUse::Shared);
    let mut all: Vec<String> = shared
        .map(ToString::to_string)
        .filter(|name| hosts.iter().any(|host| takes_in(&host.name, name)))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a name, with `*.` before it, takes in another one.
pub(super) fn takes_in(wide: &str, name: &str) -> bool {
    let Some(own) = wide.strip_prefix("*.") else {
        return false;
    };
    let name = name.strip_prefix("*.").unwrap_or(name);
    let rest = name.strip_suffix(own);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Names in hellos that are let pass: they serve others too, and no rule of one's own is about them.
pub(super) fn spared(plan: &Plan) -> Vec<(&str, Vec<u8>)> {
    let by = |name: &str, custom: bool| {
        let groups = plan.sni.iter().filter(|group| group.custom == custom);
        let mut hosts = groups.flat_map(|group| &group.names);
        hosts.any(|host| host.name == name || takes_in(&host.name, name))
    };
    let all = plan.spared.iter().map(String::as_str);
    all.filter(|name| by(name, false) && !by(name, true))
        .filter_map(|name| Some((name, extension(name)?)))
        .collect()
}

/// What every name below it ends with, and the same with each of what may follow; `None` if none is meant.
pub(super) fn below(host: &HostDeny) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let (name, true) = parts(host) else {
        return None;
    };
    let end = [b".", name.as_bytes()].concat();
    let followed = FOLLOWERS.iter().map(|next| [&end, *next].concat());
    let followed = followed.collect();
    Some((end, followed))
}

/// A letter's capital as the kernel has it: Latin-1.
const fn capital(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | 0xDF..=0xF6 | 0xF8..=0xFF => byte - 0x20,
        byte => byte,
    }
}

/// Whether these bytes are found, from the first extension on, in letters of either case.
fn is_in(bytes: &[u8], said: &[u8]) -> bool {
    let alike = |window: &[u8]| {
        let pairs = window.iter().zip(bytes);
        pairs.into_iter().all(|(a, b)| capital(*a) == capital(*b))
    };
    said.get(FIRST_EXTENSION..)
        .is_some_and(|rest| rest.windows(bytes.len()).any(alike))
}

/// How the part of a plan is called that is about one name.
pub(super) fn what(group: &NameGroup, host: &HostDeny) -> String {
    let ports = group.ports.map(|(_, range)| format!(" on TCP {range}"));
    let ports = ports.unwrap_or_default();
    format!("TLS to {}{ports} ({})", host.name, group.id)
}

/// Which of the plan's names a hello asks for, at this port: in the order in which the rules stand.
pub(super) fn asked<'a>(plan: &'a Plan, said: &[u8], port: u16) -> Option<(usize, &'a HostDeny)> {
    if spared(plan).iter().any(|(_, bytes)| is_in(bytes, said)) {
        return None;
    }
    asked_of(&plan.sni, said, port)
}

fn asked_of<'a>(groups: &'a [NameGroup], said: &[u8], port: u16) -> Option<(usize, &'a HostDeny)> {
    let here = || {
        let takes = move |group: &NameGroup| {
            let ports = group.ports.as_ref();
            ports.is_none_or(|(_, range)| range.contains(port))
        };
        let groups = groups.iter().enumerate();
        groups
            .filter(move |(_, group)| takes(group))
            .flat_map(|(at, group)| group.names.iter().map(move |host| (at, host)))
            .filter(|(_, host)| fits(host))
    };
    let wholly = |host: &HostDeny| whole(host).is_some_and(|bytes| is_in(&bytes, said));
    let under = |host: &HostDeny| {
        below(host).is_some_and(|(_, all)| all.iter().any(|bytes| is_in(bytes, said)))
    };
    here()
        .find(|(_, host)| wholly(host))
        .or_else(|| here().find(|(_, host)| under(host)))
}

/// The names to look for: those of rules of one's own first, then each messenger's, whose hosts serve nothing else.
pub(super) fn groups(
    request: &Request,
    own: &[CustomRule],
    of_messengers: Vec<NameGroup>,
) -> Vec<NameGroup> {
    let mut all: Vec<NameGroup> = own
        .iter()
        .filter_map(|rule| of_ones_own(rule, request))
        .collect();
    if request.matching.sni {
        all.extend(of_messengers);
    }
    all
}

/// A rule about hellos; or about a name, if names are known by hellos here.
fn of_ones_own(rule: &CustomRule, request: &Request) -> Option<NameGroup> {
    match (&rule.place, &rule.ports) {
        (Place::Hello { .. }, _) => {}
        (Place::Name { .. }, Some((Transport::Udp, _))) => return None,
        (Place::Name { .. }, _) if request.matching.sni => {}
        _ => return None,
    }
    Some(NameGroup {
        id: rule.id.clone(),
        names: vec![HostDeny {
            service: Service::named(rule.id.clone()),
            name: rule.place.host().unwrap_or_default(),
            source: Source::Site,
            note: Some(rule.reason.clone()),
        }],
        ports: rule.ports,
        custom: true,
    })
}

/// Takes out names that another one takes in at all their ports, so that a hello is one rule's affair; says so where that
/// is not the same messenger's.
pub(super) fn settle(plan: &mut Plan) -> Vec<Shadowed> {
    let all = plan.sni.clone();
    let mut shadowed = Vec::new();
    for (at, group) in plan.sni.iter_mut().enumerate() {
        let ports = group.ports;
        let id = group.id.clone();
        group.names.retain(|host| {
            let wider = all.iter().enumerate().find_map(|(other, wide)| {
                let first = other < at || wide.ports.is_none() && ports.is_some();
                let takes = |it: &&HostDeny| covers(it, host) && (it.name != host.name || first);
                let by = wide.names.iter().find(takes)?;
                (wide.ports.is_none() || wide.ports == ports).then_some((other, by))
            });
            let Some((other, by)) = wider else {
                return true;
            };
            if other != at {
                shadowed.push(Shadowed {
                    rule: format!("{id} (a hello for {})", host.name),
                    by: format!("{} (a hello for {})", by.service, by.name),
                });
            }
            false
        });
    }
    plan.sni.retain(|group| !group.names.is_empty());
    shadowed
}

/// Takes out names below which whole domains serve others: what is below one has no end of its own that could be let pass.
/// Says so.
pub(super) fn keep_shared(plan: &mut Plan) {
    let Plan {
        sni, spared, notes, ..
    } = plan;
    let unsure = |name: &&String| name.starts_with("*.") || extension(name).is_none();
    for group in sni.iter_mut().filter(|group| !group.custom) {
        let id = group.id.clone();
        group.names.retain(|host| {
            let other = spared
                .iter()
                .filter(unsure)
                .find(|it| takes_in(&host.name, it));
            if let Some(other) = other {
                notes.push(format!(
                    "{id}: TLS hellos for {} are let pass, because {other} serves others as well",
                    host.name
                ));
            }
            other.is_none()
        });
    }
}

/// Whether all that `host` means is meant by `wide`.
fn covers(wide: &HostDeny, host: &HostDeny) -> bool {
    wide.name == host.name || takes_in(&wide.name, &host.name)
}

impl Plan {
    /// Names in hellos that are let pass, below others that are refused.
    pub fn lets_pass(&self) -> Vec<&str> {
        spared(self).into_iter().map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> HostDeny {
        HostDeny {
            service: Service::named("chat".to_owned()),
            name: name.to_owned(),
            source: Source::Site,
            note: None,
        }
    }

    fn group(name: &str) -> Vec<NameGroup> {
        vec![NameGroup {
            id: "chat".to_owned(),
            names: vec![host(name)],
            ports: None,
            custom: true,
        }]
    }

    /// Extensions behind a hello's beginning; not a whole one, which nobody here asks for.
    fn hello(name: &str, next: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x16, 3, 1, 0, 200, 1];
        bytes.resize(FIRST_EXTENSION, 7);
        bytes.extend(whole(&host(name)).unwrap_or_default());
        bytes.extend(next);
        bytes
    }

    #[test]
    fn a_name_is_found_whole_and_by_its_labels() {
        let is = |rule: &str, name: &str, next: &[u8]| {
            asked_of(&group(rule), &hello(name, next), 443).is_some()
        };
        assert!(is("chat.example.com", "chat.example.com", b""));
        assert!(is("chat.example.com", "Chat.EXAMPLE.com", b"\x77"));
        assert!(is("*.example.com", "example.com", b""));
        for next in FOLLOWERS
            .iter()
            .copied()
            .chain([&[0xEA, 0xEA][..], &[0x7A, 0x7A]])
        {
            assert!(is("*.example.com", "a.b.example.com", next), "{next:02x?}");
        }
        for (rule, name) in [
            ("chat.example.com", "my.chat.example.com"),
            ("chat.example.com", "notchat.example.com"),
            ("chat.example.com", "chat.example.com.example.net"),
            ("*.example.com", "notexample.com"),
            ("*.example.com", "a.example.com.example.net"),
            ("*.example.com", "a.example.community"),
            ("*.example.com", "example.community"),
        ] {
            assert!(!is(rule, name, &[0]), "{rule} {name}");
        }
        // What follows is nothing that is known, or nothing.
        assert!(!is("*.example.com", "a.example.com", b""));
        assert!(!is("*.example.com", "a.example.com", &[0x77, 0x77]));
    }

    #[test]
    fn long_names_are_not_looked_for_and_short_ones_are_not_in_the_random() {
        let name = |length: usize| {
            let labels = "a.".repeat(length / 2);
            format!("{labels}{}", "b".repeat(length - labels.len()))
        };
        assert!(fits(&host(&name(119))));
        assert!(!fits(&host(&name(120))));
        let mut early = hello("www.example.net", &[0]);
        let bytes = whole(&host("a.example")).unwrap_or_default();
        early.splice(11..11 + bytes.len(), bytes);
        assert!(asked_of(&group("a.example"), &early, 443).is_none());
    }

    #[test]
    fn capitals_are_the_kernels() {
        assert_eq!(
            [0x61, 0xE0, 0xF7, 0xFF, 0x7B].map(capital),
            [0x41, 0xC0, 0xF7, 0xDF, 0x7B]
        );
    }
}
