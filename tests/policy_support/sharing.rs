//! A messenger with hosts that others use below its own.

use std::path::Path;

/// One name that others use, and a domain, in which there is a host of the messenger's own again; and a domain whose own name is
/// somebody else's.
const HOSTS: [(&str, &str, &str); 6] = [
    ("chat.example.com", "suffix", "exclusive"),
    ("www.chat.example.com", "exact", "shared"),
    ("cdn.chat.example.com", "suffix", "shared"),
    ("bot.cdn.chat.example.com", "exact", "exclusive"),
    ("talk.example.net", "suffix", "exclusive"),
    ("talk.example.net", "exact", "shared"),
];

/// Its rule file, in this folder.
pub fn write(folder: &Path) {
    let head = "id = \"chat\"\nname = \"Chat\"\nabout = \"made up\"\nupdated = \"2026-11-28\"\n";
    let hosts = HOSTS.map(|(name, matching, usage)| {
        format!(
            "[[host]]\nname = \"{name}\"\nmatch = \"{matching}\"\nuse = \"{usage}\"\nfeature = \"everything\"\n\
             source = \"site\"\nreference = \"made up\"\n"
        )
    });
    let text = [head, &hosts.concat()].concat();
    std::fs::write(folder.join("chat.toml"), text).unwrap();
}
