//! What holds for the rule files that come with the program.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::RuleSet;

#[test]
fn every_builtin_fact_has_a_source_and_every_file_samples() {
    let rules = RuleSet::builtin().unwrap();
    let modern = |messenger: &&super::Messenger| !messenger.by_default;
    let mut seen = 0;
    for messenger in rules.messengers().iter().filter(modern) {
        seen += 1;
        assert!(messenger.updated.is_some(), "{}", messenger.service);
        assert!(!messenger.limits.is_empty(), "{}", messenger.service);
        let facts = messenger
            .ports
            .iter()
            .map(|rule| (&rule.reference, &rule.origin))
            .chain(
                messenger
                    .hosts
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .alpns
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .networks
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .beginnings
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            )
            .chain(
                messenger
                    .stuns
                    .iter()
                    .map(|rule| (&rule.reference, &rule.origin)),
            );
        for (reference, origin) in facts {
            assert!(reference.is_some(), "{origin}");
        }
    }
    assert_eq!(seen, 28);
    let written = rules
        .messengers()
        .iter()
        .filter_map(|it| it.updated)
        .max()
        .unwrap();
    assert_eq!(rules.warnings(written), [], "each has samples for both");
}

#[test]
fn everybody_has_a_file() {
    let rules = RuleSet::builtin().unwrap();
    let ids = "whatsapp telegram signal discord slack teams skype viber line wechat kakaotalk threema matrix xmpp irc \
               fbmessenger instagram snapchat zoom googlechat imessage session wire qq gadugadu mumble teamspeak";
    for id in ids.split_whitespace() {
        assert!(rules.messenger(id).is_some(), "{id}");
    }
}

#[test]
fn what_others_use_as_well_names_nobody() {
    let rules = RuleSet::builtin().unwrap();
    for name in [
        "www.facebook.com",
        "edge-mqtt.facebook.com",
        "static.xx.fbcdn.net",
        "scontent.cdninstagram.com",
        "www.googleapis.com",
        "mtalk.google.com",
        "www.google.com",
        "courier.push.apple.com",
        "cvws.icloud-content.com",
        "login.microsoftonline.com",
        "www.microsoft.com",
        "cdn.discordapp.com",
        "a.slack-edge.com",
        "static.line-scdn.net",
        "mp.weixin.qq.com",
        "servicewechat.com",
        "mail.qq.com",
        "www.kakao.com",
        "cf-st.sc-cdn.net",
        "www.zoom.us",
        "www.zoom.com",
        "t.me",
        "wa.me",
        "m.me",
        "d1234.cloudfront.net",
        "storage.googleapis.com",
        "s3.amazonaws.com",
    ] {
        let hit = rules.host(name).map(|hit| hit.service.id());
        assert_eq!(hit, None, "{name}");
    }
}
