//! Puts what somebody did into words of its own.

use crate::classify::facts::{At, Facts};
use crate::flow::FlowInfo;
use crate::model::{Activity, Direction, Event, Occurrence, Party, what};

/// What somebody did, where a fact about the stream is just that.
pub(super) fn activity(event: &Event) -> Option<Activity> {
    match event {
        Event::Done(activity) => Some(Activity::clone(activity)),
        Event::SignOn(method) => Some(
            Activity::new(what::SIGN_ON)
                .by(Party::Own)
                .with("method", *method),
        ),
        Event::Redirect {
            target,
            format,
            opener,
            with,
            ..
        } => {
            let role = format.role.unwrap_or(format.app_proto);
            let activity = match (opener, with) {
                // Between users: one of them listens there.
                (Some(opener), Some(with)) => Activity::new(what::ADDRESS)
                    .by(with.clone())
                    .to(opener.clone()),
                (Some(opener), None) => Activity::new(what::ADDRESS)
                    .by(Party::Own)
                    .maybe_to((!opener.is_empty()).then(|| opener.clone())),
                (None, Some(with)) => Activity::new(what::ADDRESS).by(with.clone()).to(Party::Own),
                (None, None) => Activity::new(what::REDIRECT).to(Party::Own),
            };
            Some(
                activity
                    .with("address", target.to_string())
                    .with("format", format.app_proto)
                    .with("role", role),
            )
        }
        _ => None,
    }
}

pub(super) fn occurrence(
    info: &FlowInfo,
    facts: &Facts,
    direction: Direction,
    at: At,
    mut activity: Activity,
) -> Occurrence {
    for party in [&mut activity.from, &mut activity.to] {
        let name = match party {
            Some(Party::Own) => facts.own_name(),
            Some(Party::Other) => facts.other_name(),
            _ => None,
        };
        if let Some(name) = name {
            *party = Some(Party::Account(name.to_owned()));
        }
        if *party == Some(Party::Other) {
            *party = None;
        }
    }
    Occurrence {
        flow_id: info.id,
        tuple: facts.tuple(info),
        service: facts.service(),
        app_proto: facts.app_proto(),
        timestamp: at.time,
        packet: at.packet,
        offset: at.offset,
        direction: facts.way(direction),
        activity,
    }
}
