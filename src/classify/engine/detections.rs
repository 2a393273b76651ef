//! What is told of a flow that goes on (live only).

use super::{Engine, FlowState};
use crate::flow::FlowInfo;
use crate::model::{Detection, Finding, News, Timestamp};

impl Engine<'_> {
    /// A detection that goes on and was used since it was last told of.
    pub fn update(&mut self, info: &FlowInfo, state: &mut FlowState) -> Option<Detection> {
        let facts = state.facts.as_deref()?;
        let told = facts.told().filter(|told| told.is_detected())?;
        if told.at >= info.last_seen {
            return None;
        }
        let finding = self.as_of_now(info, state)?;
        let told = state.facts.as_deref_mut()?.told_mut();
        let news = match told.tell(&finding) {
            News::More {
                identity: false,
                risks,
            } if risks.is_empty() => News::Interval,
            news => news,
        };
        Some(Detection { finding, news })
    }

    /// How a detection goes on that had a packet since then; it stays untold.
    pub fn look(
        &mut self,
        info: &FlowInfo,
        state: &mut FlowState,
        since: Timestamp,
    ) -> Option<Detection> {
        if !state.facts.as_deref()?.is_told() || info.last_seen < since {
            return None;
        }
        let finding = self.as_of_now(info, state)?;
        let news = News::Interval;
        Some(Detection { finding, news })
    }

    /// What the finding would be if the flow ended now.
    fn as_of_now(&mut self, info: &FlowInfo, state: &mut FlowState) -> Option<Finding> {
        let before = state.facts.clone();
        self.conclude(info, state);
        let concluded = std::mem::replace(&mut state.facts, before);
        let mut finding = concluded?.finding(info);
        self.outbox.settle(&mut finding);
        Some(finding)
    }

    /// Tells of a messenger as soon as it is one, and when more is known that matters.
    pub(super) fn announce(&mut self, info: &FlowInfo, state: &mut FlowState) {
        let Some(facts) = state.facts.as_deref() else {
            return;
        };
        let outline = facts.outline();
        let known = facts.told().and_then(|told| told.outline.as_ref());
        if known == Some(&outline) {
            return;
        }
        let finding = self.as_of_now(info, state).filter(Finding::is_detection);
        if let Some(facts) = state.facts.as_deref_mut() {
            let told = facts.told_mut();
            told.outline = Some(outline);
            if let Some(finding) = finding {
                let news = told.tell(&finding);
                self.open_detections += u64::from(news == News::New);
                self.detections.push_back(Detection { finding, news });
            }
        }
    }
}
