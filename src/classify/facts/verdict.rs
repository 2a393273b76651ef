//! What follows from the facts.

use super::{Announced, Facts};
use crate::flow::FlowInfo;
use crate::model::{Confidence, Direction, Finding, Service};

impl Facts {
    /// The verdict.
    pub fn finding(mut self, info: &FlowInfo) -> Finding {
        self.inherit();
        let tuple = self.tuple(info);
        let (service, app_proto, role, confidence) = self.verdict();
        let certificate = self.certificate().map(|(_, evidence)| evidence.clone());
        let mut evidence = self.evidence;
        evidence.extend(certificate);
        let looks = self
            .looks
            .filter(|it| Some(&it.service) == service.as_ref());
        evidence.extend(looks.map(|looks| looks.evidence));
        if confidence == Some(Confidence::Possible) {
            let guesses = [self.network, self.port].into_iter().flatten();
            let same = guesses.filter(|guess| Some(&guess.0) == service.as_ref());
            evidence.extend(same.map(|guess| guess.1));
        }
        Finding {
            flow_id: info.id,
            first_seen: info.first_seen,
            last_seen: info.last_seen,
            tuple,
            card: info
                .card
                .filter(|(direction, _)| (*direction == Direction::ToClient) == self.swapped)
                .map(|(_, card)| card),
            service,
            app_proto,
            role,
            confidence,
            path: info.path,
            carriers: self.carriers,
            accounts: self.accounts,
            peers: self.peers,
            client: self.client,
            features: self.features,
            risks: self.risks,
            units: self.units,
            counts: info.counts(),
            to_server: info.sides[usize::from(self.swapped)],
            evidence,
            learned_from: self.learned_from,
            names: self.names,
        }
    }

    /// Whether the finding has a service.
    pub fn names_a_service(&self) -> bool {
        self.verdict().0.is_some()
    }

    fn verdict(
        &self,
    ) -> (
        Option<Service>,
        Option<&'static str>,
        Option<&'static str>,
        Option<Confidence>,
    ) {
        let app_proto = self.format.as_ref().map(|format| format.app_proto);
        let role = self.format.as_ref().and_then(|format| format.role);
        let by_content = self
            .format
            .as_ref()
            .is_some_and(|format| format.service.is_some());
        // What several may send is worth less than a name.
        let named = self.named().is_some()
            || (self.resolved.is_some() && !self.other_host && self.client_heard);
        let hint = self.confidence == Some(Confidence::Possible) && named;
        if by_content && !hint {
            // A predicted endpoint that behaves is proof.
            let confidence = if self.as_announced().is_some() {
                Some(Confidence::Confirmed)
            } else {
                self.confidence
            };
            return (self.service(), app_proto, role, confidence);
        }
        if let Some(service) = self.named() {
            return (
                Some(service.clone()),
                app_proto,
                role,
                Some(Confidence::Probable),
            );
        }
        // What only others say of this flow holds as long as the flow itself does not speak against it.
        if let Some(Announced { expectation, .. }) = self.announced.as_deref()
            && !self.other_host
            && app_proto.is_none()
        {
            let format = &expectation.format;
            let service = self.hint.as_ref().map(|(_, service)| service.clone());
            let service = service.or_else(|| format.service.clone());
            return (
                service,
                Some(format.app_proto),
                format.role,
                Some(Confidence::Probable),
            );
        }
        // A messenger's host may well speak TLS, where nobody can look inside. Who was not heard from the beginning may
        // have said that it is something else.
        if let Some(service) = &self.resolved
            && !self.other_host
            && app_proto.is_none_or(hides)
        {
            let confidence = if self.client_heard {
                Confidence::Probable
            } else {
                Confidence::Possible
            };
            return (Some(service.clone()), app_proto, role, Some(confidence));
        }
        if let Some((service, _)) = self.network.as_deref()
            && !self.other_host
            && app_proto.is_none_or(hides)
        {
            let service = Some(service.clone());
            return (service, app_proto, role, Some(Confidence::Possible));
        }
        // Programs share libraries: a fingerprint is a guess, and somebody else's name speaks against it.
        if let Some(looks) = self.looks.as_deref()
            && (looks.fits || !self.other_host)
        {
            let service = Some(looks.service.clone());
            return (service, app_proto, role, Some(Confidence::Possible));
        }
        match self.port.as_deref() {
            Some((service, _)) if app_proto.is_none() => (
                Some(service.clone()),
                None,
                None,
                Some(Confidence::Possible),
            ),
            _ => (None, app_proto, role, None),
        }
    }
}

/// Carriers that nobody can look into, or whose words are the same for everybody.
fn hides(app_proto: &str) -> bool {
    matches!(app_proto, "tls" | "quic" | "stun" | "sip")
}

#[cfg(test)]
mod tests {
    use crate::classify::carrier::http::Known;
    use crate::classify::facts::{At, Facts};
    use crate::classify::learned::Expectation;
    use crate::model::{Confidence, Event, Evidence, EvidenceKind, Format, Service, ServiceHint};

    const AIM_BOS: Format = Format::messenger(Service::OSCAR, "oscar", "bos");

    fn announced(facts: &mut Facts) {
        let expectation = Expectation {
            format: AIM_BOS,
            from_flow: 3,
            client: None,
            account: None,
            peer: None,
            token: None,
        };
        facts.announced(&expectation, false, 1);
    }

    fn identified(facts: &mut Facts, format: Format, confidence: Confidence) {
        let evidence = Evidence::payload("test", "test");
        facts.take(
            Event::Identified {
                format,
                confidence,
                evidence,
            },
            At::default(),
        );
    }

    fn verdict(facts: &Facts) -> Option<(String, Confidence)> {
        let (service, _, _, confidence) = facts.verdict();
        service
            .map(|service| service.id().to_owned())
            .zip(confidence)
    }

    #[allow(clippy::unnecessary_wraps, reason = "it stands beside `verdict`")]
    fn is(service: &str, confidence: Confidence) -> Option<(String, Confidence)> {
        Some((service.to_owned(), confidence))
    }

    #[test]
    fn a_port_alone_is_possible_until_the_content_speaks() {
        let evidence = Evidence {
            kind: EvidenceKind::Port,
            ..Evidence::payload("port", "TCP 1863")
        };
        let mut facts = Facts {
            port: Some(Box::new((Service::MSN, evidence))),
            ..Facts::default()
        };
        assert_eq!(verdict(&facts), is("msn", Confidence::Possible));
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), None);
    }

    #[test]
    fn an_announcement_needs_a_flow_that_does_not_speak_against_it() {
        let mut facts = Facts::default();
        announced(&mut facts);
        assert_eq!(verdict(&facts), is("oscar", Confidence::Probable));
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), None);

        let mut facts = Facts::default();
        announced(&mut facts);
        identified(&mut facts, AIM_BOS, Confidence::Probable);
        assert_eq!(
            verdict(&facts),
            is("oscar", Confidence::Confirmed),
            "it behaves as announced"
        );
    }

    #[test]
    fn a_hint_gives_way_to_a_name() {
        let call = |service| Format::messenger(service, "stun", "call");
        let mut facts = Facts::default();
        identified(&mut facts, call(Service::MSN), Confidence::Possible);
        assert_eq!(verdict(&facts), is("msn", Confidence::Possible));
        facts.resolved_host(&Service::YAHOO, "scs.msg.yahoo.com", 1, 1);
        assert_eq!(verdict(&facts), is("msn", Confidence::Possible));
        facts.client_heard = true;
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Probable));
        identified(&mut facts, call(Service::MSN), Confidence::Probable);
        assert_eq!(verdict(&facts), is("msn", Confidence::Probable));
    }

    #[test]
    fn a_resolved_host_may_speak_tls_but_not_for_somebody_else() {
        let mut facts = Facts::default();
        facts.resolved_host(&Service::YAHOO, "scs.msg.yahoo.com", 1, 1);
        identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Possible));
        facts.client_heard = true;
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Probable));
        facts.named_host(None, "192.0.2.5", "http-host", 2);
        assert_eq!(verdict(&facts), is("yahoo", Confidence::Probable));
        facts.named_host(None, "www.example.com", "tls-sni", 2);
        assert_eq!(verdict(&facts), None);
    }

    #[test]
    fn the_sign_on_name_beats_every_other_hint_between_aim_and_icq() {
        let mut facts = Facts::default();
        identified(&mut facts, AIM_BOS, Confidence::Confirmed);
        for (service, hint, expected) in [
            (Service::AIM, ServiceHint::Host, "aim"),
            (Service::ICQ, ServiceHint::OwnUnits, "icq"),
            (Service::AIM, ServiceHint::Teacher, "aim"),
            (Service::ICQ, ServiceHint::SignOnName, "icq"),
            (Service::AIM, ServiceHint::OwnUnits, "icq"),
        ] {
            facts.take(Event::ServiceHint(service, hint), At::default());
            assert_eq!(
                verdict(&facts),
                is(expected, Confidence::Confirmed),
                "after {hint:?}"
            );
        }
        identified(
            &mut facts,
            Format::messenger(Service::MSN, "msnp", "notification"),
            Confidence::Confirmed,
        );
        assert_eq!(
            verdict(&facts),
            is("msn", Confidence::Confirmed),
            "the hint is for OSCAR only"
        );
    }

    #[test]
    fn a_certificate_counts_where_no_word_of_the_clients_names_anybody_whichever_comes_first() {
        let names = ["*.chat.example.com".to_owned()];
        let service = Service::named("chat");
        let certified = || {
            let mut facts = Facts::default();
            identified(&mut facts, Format::other("tls"), Confidence::Confirmed);
            facts.certified(&service, &names, 3);
            facts
        };
        assert_eq!(verdict(&certified()), is("chat", Confidence::Probable));
        assert!(certified().is_messenger());
        for (asked, expected) in [
            (None, None),
            (Some(Service::MSN), is("msn", Confidence::Probable)),
        ] {
            let mut facts = certified();
            facts.named_host(asked.clone(), "www.example.com", "tls-sni", 4);
            assert_eq!(verdict(&facts), expected);
            assert_eq!(facts.is_messenger(), expected.is_some());
            let mut facts = Facts::default();
            facts.named_host(asked, "www.example.com", "tls-sni", 2);
            facts.certified(&service, &names, 3);
            assert_eq!(verdict(&facts), expected);
        }
        // A proxy was asked for an address.
        let mut facts = certified();
        facts.named_host(None, "192.0.2.1", "http-connect", 1);
        assert_eq!(verdict(&facts), is("chat", Confidence::Probable));
    }

    #[test]
    fn a_session_names_its_flows_and_earlier_flows_name_their_user() {
        let known = Known {
            first_flow: 4,
            format: Some((
                Format::messenger(Service::MSN, "msn-http", "gateway"),
                Confidence::Confirmed,
            )),
            accounts: [("alice@example.com".to_owned(), 6)].into(),
            hints: Vec::new(),
        };
        let mut poll = Facts::default();
        identified(&mut poll, Format::other("http"), Confidence::Confirmed);
        poll.part_of(&known, 7, 1);
        poll.session_of(&known, 7);
        assert_eq!(verdict(&poll), is("msn", Confidence::Confirmed));
        assert_eq!((poll.learned_from, poll.accounts.len()), (Some(4), 1));

        let mut first = Facts::default();
        first.part_of(&known, 4, 1);
        first.session_of(&known, 4);
        assert_eq!((first.learned_from, first.accounts.len()), (None, 0));

        // Content of its own counts more.
        let mut other = Facts::default();
        identified(&mut other, AIM_BOS, Confidence::Probable);
        other.part_of(&known, 8, 1);
        assert_eq!(verdict(&other), is("oscar", Confidence::Probable));
    }
}
