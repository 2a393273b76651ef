//! Short words for what tests expect.

use super::streams::data;
use crate::classify::oscar::dissector::FlapDissector;
use crate::classify::{Dissector, Events};
use crate::model::{Confidence, Direction, Event, Format, Service, ServiceHint, Target};

pub fn account(name: &str) -> Event {
    Event::Account(name.to_owned())
}
pub fn peer(name: &str) -> Event {
    Event::Peer(name.to_owned())
}
pub fn redirect(target: &str, role: &'static str) -> Event {
    Event::Redirect {
        target: Target::parse(target).unwrap(),
        format: Format::messenger(Service::OSCAR, "oscar", role),
        opener: None,
        with: None,
        token: None,
    }
}
pub fn redirects(events: &[Event]) -> Vec<&Event> {
    events
        .iter()
        .filter(|event| matches!(event, Event::Redirect { .. }))
        .collect()
}
pub fn hints(events: &[Event]) -> Vec<(&Service, ServiceHint)> {
    let hint = |event| match event {
        &Event::ServiceHint(ref service, hint) => Some((service, hint)),
        _ => None,
    };
    events.iter().filter_map(hint).collect()
}
pub fn roles(events: &[Event]) -> Vec<(&'static str, Option<&'static str>, Confidence)> {
    let role = |event: &Event| match event {
        Event::Identified {
            format, confidence, ..
        } => Some((format.app_proto, format.role, *confidence)),
        _ => None,
    };
    events.iter().filter_map(role).collect()
}
#[track_caller]
pub fn has(events: &[Event], wanted: &[Event]) {
    for event in wanted {
        assert!(events.contains(event), "missing {event:?} in {events:#?}");
    }
}
/// Of one session that is already known, what this unit adds.
pub fn unit(direction: Direction, family: u16, subtype: u16, body: &[u8]) -> Vec<Event> {
    let mut dissector = FlapDissector::default();
    let mut out = Events::default();
    dissector.feed(direction, &data(1, family, subtype, body), &mut out);
    crate::classify::testing::facts(out.drain())
}
