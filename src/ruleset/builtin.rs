//! The rule files that come with the program.

use super::error::SourceFile;

/// Name and text of files in `rules/`.
macro_rules! texts {
    ($($name:literal)*) => {
        [$((concat!("rules/", $name), include_str!(concat!("../../rules/", $name)))),*]
    };
}

const RISKS: [(&str, &str); 1] = texts!["risks.toml"];

const MESSENGERS: &[(&str, &str)] = &texts![
    "aim.toml"
    "icq.toml"
    "msn.toml"
    "yahoo.toml"
    "modern/discord.toml"
    "modern/fbmessenger.toml"
    "modern/gadugadu.toml"
    "modern/googlechat.toml"
    "modern/imessage.toml"
    "modern/instagram.toml"
    "modern/irc.toml"
    "modern/kakaotalk.toml"
    "modern/line.toml"
    "modern/matrix.toml"
    "modern/mumble.toml"
    "modern/qq.toml"
    "modern/session.toml"
    "modern/signal.toml"
    "modern/sip.toml"
    "modern/skype.toml"
    "modern/slack.toml"
    "modern/snapchat.toml"
    "modern/teams.toml"
    "modern/teamspeak.toml"
    "modern/telegram.toml"
    "modern/threema.toml"
    "modern/viber.toml"
    "modern/wechat.toml"
    "modern/whatsapp.toml"
    "modern/wire.toml"
    "modern/xmpp.toml"
    "modern/zoom.toml"
];

fn source(&(name, text): &(&str, &str)) -> SourceFile {
    SourceFile {
        name: name.into(),
        text: text.into(),
    }
}

/// The messengers.
pub(super) fn files() -> impl Iterator<Item = SourceFile> {
    MESSENGERS.iter().map(source)
}

/// What is said of risks.
pub(super) fn risks() -> SourceFile {
    source(&RISKS[0])
}
