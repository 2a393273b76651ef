//! What the tests of the families share.

use crate::model::Event;

/// The facts told of a stream, without what people did, units, and the particulars of risks and redirects: those have
/// tests of their own.
pub fn facts(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let bare = |event| match event {
        Event::Done(_) | Event::Unit(_) | Event::Shows(_) => None,
        Event::Exposed(risk, _) => Some(Event::Risk(risk)),
        Event::Redirect {
            target,
            format,
            opener,
            ..
        } => Some(Event::Redirect {
            target,
            format,
            opener,
            with: None,
            token: None,
        }),
        other => Some(other),
    };
    let mut facts: Vec<Event> = Vec::new();
    for event in events.into_iter().filter_map(bare) {
        // Risks are told each time they are met.
        let again = matches!(event, Event::Risk(_) | Event::Feature(_)) && facts.contains(&event);
        if !again {
            facts.push(event);
        }
    }
    facts
}
