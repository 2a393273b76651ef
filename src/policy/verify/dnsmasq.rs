//! Every dnsmasq that runs in this network: what it was told about sets of ours, and whether it may fill them.

use std::path::{Path, PathBuf};

/// Files that name files, deeper than anybody's.
const DEEPEST: usize = 4;
/// No configuration is longer.
const MAX_CONFIGURATION: u64 = 4 << 20;
/// The capability that it takes to add to a set: `CAP_NET_ADMIN` of linux/capability.h.
const NET_ADMIN: u32 = 12;

/// A dnsmasq that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnsmasq {
    /// Its process.
    pub pid: u32,
    /// Whether it may change a set.
    pub may: bool,
    /// What it was told: names, and the sets of ours that are for them.
    pub feeds: Vec<Feed>,
}

/// One name and one set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The name, and all below it.
    pub name: String,
    /// The set.
    pub set: String,
    /// In nftables, or of ipset.
    pub nftables: bool,
}

/// Every dnsmasq of this network.
pub(super) fn running() -> Vec<Dnsmasq> {
    let Ok(here) = std::fs::read_link("/proc/self/ns/net") else {
        return Vec::new();
    };
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for process in processes.flatten() {
        let path = process.path();
        let Some(pid) = process.file_name().to_str().and_then(|it| it.parse().ok()) else {
            continue;
        };
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        let same = std::fs::read_link(path.join("ns/net")).is_ok_and(|net| net == here);
        if name.trim_end() == "dnsmasq" && same {
            all.push(Dnsmasq {
                pid,
                may: may(&path),
                feeds: feeds(&configuration(&path)),
            });
        }
    }
    all.sort_by_key(|it| it.pid);
    all
}

fn may(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let all = line.and_then(|words| u64::from_str_radix(words.trim(), 16).ok());
    all.is_some_and(|all| all >> NET_ADMIN & 1 == 1)
}

/// Everything that it was told: its arguments, then the files that they and other files name.
fn configuration(process: &Path) -> Vec<String> {
    let arguments = std::fs::read(process.join("cmdline")).unwrap_or_default();
    let words: Vec<String> = arguments
        .split(|byte| *byte == 0)
        .skip(1)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    let mut lines = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        if let Some(line) = word.strip_prefix("--") {
            lines.push(line.to_owned());
            continue;
        }
        // `-C FILE` or `-CFILE`.
        for (letter, name) in [("-C", "conf-file"), ("-7", "conf-dir")] {
            if let Some(rest) = word.strip_prefix(letter) {
                let value = if rest.is_empty() {
                    at += 1;
                    words.get(at - 1).cloned().unwrap_or_default()
                } else {
                    rest.to_owned()
                };
                lines.push(format!("{name}={value}"));
            }
        }
    }
    if !lines.iter().any(|line| line.starts_with("conf-file=")) {
        lines.push("conf-file=/etc/dnsmasq.conf".to_owned());
    }
    let mut all = Vec::new();
    take_in(process, lines, DEEPEST, &mut all);
    all
}

fn take_in(process: &Path, lines: Vec<String>, depth: usize, all: &mut Vec<String>) {
    for line in lines {
        if depth > 0 {
            for file in named_files(process, &line) {
                let text = read(&file).unwrap_or_default();
                let inner = text
                    .lines()
                    // `nftset=` has # in its values: a remark begins a line, or stands behind a blank.
                    .map(|line| line.split(" #").next().unwrap_or_default().trim())
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .map(|line| line.replace(" = ", "="));
                take_in(process, inner.collect(), depth - 1, all);
            }
        }
        all.push(line);
    }
}

/// Files as that process sees them.
fn named_files(process: &Path, line: &str) -> Vec<PathBuf> {
    let inside = |name: &str| {
        let whole = if name.starts_with('/') {
            PathBuf::from(name)
        } else {
            std::fs::read_link(process.join("cwd"))
                .unwrap_or_default()
                .join(name)
        };
        let below = whole.strip_prefix("/").unwrap_or(&whole).to_owned();
        process.join("root").join(below)
    };
    if let Some(name) = line.strip_prefix("conf-file=") {
        return vec![inside(name)];
    }
    let Some(value) = line.strip_prefix("conf-dir=") else {
        return Vec::new();
    };
    let mut words = value.split(',');
    let dir = inside(words.next().unwrap_or_default());
    // `*.conf` takes only these, `.bak` leaves these out.
    let endings: Vec<&str> = words.collect();
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.retain(|file| {
        let name = file.file_name().map(|it| it.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let wanted: Vec<&str> = endings
            .iter()
            .filter_map(|it| it.strip_prefix('*'))
            .collect();
        let chosen = wanted.is_empty() || wanted.iter().any(|end| name.ends_with(end));
        let unwanted = endings
            .iter()
            .any(|end| !end.starts_with('*') && name.ends_with(end));
        chosen && !unwanted && !name.ends_with('~') && !name.starts_with(['.', '#'])
    });
    files
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(file)?
        .take(MAX_CONFIGURATION)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// `nftset=/a/b/4#inet#imwarden#x4,6#inet#imwarden#x6` and `ipset=/a/b/imw-x4,imw-x6`: sets of ours only.
fn feeds(lines: &[String]) -> Vec<Feed> {
    let mut all = Vec::new();
    for line in lines {
        let (value, nftables) = match line.split_once('=') {
            Some(("nftset", value)) => (value, true),
            Some(("ipset", value)) => (value, false),
            _ => continue,
        };
        let Some((names, sets)) = value.rsplit_once('/') else {
            continue;
        };
        for set in sets.split(',') {
            let set = if nftables {
                let words: Vec<&str> = set.split('#').collect();
                match words.as_slice() {
                    [.., "inet", "imwarden", name] => *name,
                    _ => continue,
                }
            } else {
                set
            };
            if !nftables && !set.starts_with("imw-") {
                continue;
            }
            let names = names.split('/').filter(|name| !name.is_empty());
            all.extend(names.map(|name| Feed {
                name: name.to_owned(),
                set: set.to_owned(),
                nftables,
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsmasq_was_told_about_our_sets() {
        let lines = [
            "nftset=/msg.example.com/im.example.net/4#inet#imwarden#a4,6#inet#imwarden#a6",
            "nftset=/other.example/4#inet#others#a4",
            "ipset=/msg.example.com/imw-a4,blocked",
            "address=/x/192.0.2.1",
        ];
        let told = feeds(&lines.map(str::to_owned));
        let short: Vec<String> = told
            .iter()
            .map(|feed| format!("{} {} {}", feed.name, feed.set, feed.nftables))
            .collect();
        assert_eq!(
            short,
            [
                "msg.example.com a4 true",
                "im.example.net a4 true",
                "msg.example.com a6 true",
                "im.example.net a6 true",
                "msg.example.com imw-a4 false"
            ]
        );
    }
}
