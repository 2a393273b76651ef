//! Files that users offer and send: what they are called, what they are, and what they hash to.

use super::Events;
use crate::model::{Activity, Event, Party, feature, risk};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Longest name kept.
const MAX_NAME: usize = 255;

/// What a name says about the content. Windows and Unix programs, what Office runs, and what the messengers' worms of
/// their time came as.
const PROGRAMS: &[&str] = &[
    "apk", "app", "appimage", "bat", "bin", "cmd", "com", "cpl", "dll", "dmg", "docm", "exe",
    "hta", "iso", "jar", "js", "jse", "lnk", "msc", "msi", "msp", "ocx", "pif", "pptm", "ps1",
    "py", "reg", "scr", "sh", "sys", "url", "vb", "vbe", "vbs", "wsf", "wsh", "xlsm",
];
const ARCHIVES: &[&str] = &[
    "7z", "ace", "arj", "bz2", "cab", "gz", "lha", "lzh", "rar", "sit", "sitx", "tar", "tgz",
    "txz", "xz", "z", "zip", "zst",
];
const MEDIA: &[&str] = &[
    "aac", "aif", "asf", "avi", "bmp", "flac", "flv", "gif", "jpeg", "jpg", "m3u", "m4a", "m4v",
    "mid", "mkv", "mov", "mp3", "mp4", "mpeg", "mpg", "ogg", "png", "psd", "ra", "ram", "rm",
    "svg", "swf", "tif", "tiff", "wav", "webm", "webp", "wma", "wmv",
];

/// The risk of a file by its name.
fn risk_of(name: &str) -> Option<(&'static str, &'static str)> {
    let (_, extension) = name.trim_end_matches([' ', '.']).rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let known = |list: &[&str]| list.contains(&extension.as_str());
    if known(PROGRAMS) {
        Some((risk::EXECUTABLE_FILE, "program"))
    } else if known(ARCHIVES) {
        Some((risk::ARCHIVE_FILE, "archive"))
    } else if known(MEDIA) {
        Some((risk::MEDIA_FILE, "media"))
    } else {
        None
    }
}

/// A file as the wire tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// Its name, without folders; `None` when it was not said.
    pub name: Option<String>,
    /// Its length.
    pub size: Option<u64>,
    /// How many files there are, if it is more than one.
    pub count: Option<u64>,
    /// What it hashes to, when all of it was seen.
    pub sha256: Option<String>,
}

impl File {
    /// A file of this name, as bytes of an unknown charset, and length.
    pub fn new(name: &[u8], size: Option<u64>) -> Self {
        Self {
            name: file_name(&String::from_utf8_lossy(name)),
            size,
            ..Self::default()
        }
    }

    /// Tells that it was offered, accepted or sent, and what that exposes.
    pub fn tell(&self, activity: Activity, out: &mut Events) {
        let kind = self.name.as_deref().and_then(risk_of);
        out.push(Event::Feature(feature::FILE_TRANSFER));
        out.push(match self.name.clone() {
            Some(name) => Event::Exposed(risk::FILE_TRANSFER, name),
            None => Event::Risk(risk::FILE_TRANSFER),
        });
        if let (Some((risk, _)), Some(name)) = (kind, self.name.clone()) {
            out.push(Event::Exposed(risk, name));
        }
        out.done(
            activity
                .maybe("file", self.name.clone())
                .maybe("size", self.size)
                .maybe("files", self.count)
                .maybe("kind", kind.map(|(_, kind)| kind))
                .maybe("sha256", self.sha256.clone()),
        );
    }

    /// Tells the same of a file between the client's user and another.
    pub fn between(
        &self,
        what: &'static str,
        by_client: bool,
        other: Option<String>,
        out: &mut Events,
    ) {
        let mut activity = Activity::between(what, by_client, other);
        for party in [&mut activity.from, &mut activity.to] {
            party.get_or_insert(Party::Other);
        }
        self.tell(activity, out);
    }
}

/// The last part of a path, without what steers terminals; `None` if nothing is left.
pub fn file_name(path: &str) -> Option<String> {
    let last = path.rsplit(['/', '\\']).next().unwrap_or(path);
    let name: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_NAME)
        .collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Hashes the content of one file as it passes. Nothing of it is kept.
#[derive(Clone, Debug)]
pub struct Passing {
    hash: Sha256,
    /// Bytes still to come.
    left: u64,
    /// Some bytes were not seen.
    holed: bool,
}

impl Passing {
    /// A file of this length, from its first byte on.
    pub fn new(size: u64) -> Self {
        Self {
            hash: Sha256::new(),
            left: size,
            holed: false,
        }
    }

    /// The next bytes; those behind the file's end are not its own.
    pub fn take(&mut self, bytes: &[u8]) {
        let mine = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if !self.holed {
            self.hash.update(bytes.get(..mine).unwrap_or(bytes));
        }
        self.left = self.left.saturating_sub(mine as u64);
    }

    /// Bytes were lost.
    pub const fn skip(&mut self, bytes: u64) {
        self.left = self.left.saturating_sub(bytes);
        self.holed = true;
    }

    /// Bytes that were there but were not kept to be looked at; none is fine.
    pub const fn left_out(&mut self, bytes: u64) {
        if bytes > 0 {
            self.skip(bytes);
        }
    }

    /// The hash, once all of it has passed and been seen.
    pub fn sha256(&self) -> Option<String> {
        (self.left == 0 && !self.holed).then(|| {
            self.hash
                .clone()
                .finalize()
                .iter()
                .fold(String::with_capacity(64), |mut text, byte| {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{byte:02x}");
                    text
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{File, Passing, file_name, risk_of};
    use crate::classify::Events;
    use crate::model::{Event, risk, what};

    #[test]
    fn names_lose_their_folders_and_controls() {
        assert_eq!(
            file_name("C:\\Documents\\report.doc").as_deref(),
            Some("report.doc")
        );
        assert_eq!(file_name("a/b/c.txt").as_deref(), Some("c.txt"));
        assert_eq!(
            file_name("ev\u{1b}[2Jil.exe\0").as_deref(),
            Some("ev[2Jil.exe")
        );
        assert_eq!(file_name("/").as_deref(), None);
    }

    #[test]
    fn the_last_ending_counts_as_it_does_for_windows() {
        let kind = |name| risk_of(name).map(|(_, kind)| kind);
        assert_eq!(kind("holiday.jpg.EXE"), Some("program"));
        assert_eq!(kind("holiday.scr . "), Some("program"));
        assert_eq!(kind("backup.tar.gz"), Some("archive"));
        assert_eq!(kind("song.mp3"), Some("media"));
        assert_eq!(kind("notes.txt"), None);
        assert_eq!(kind("exe"), None);
    }

    #[test]
    fn a_program_is_two_risks() {
        let mut out = Events::default();
        File::new(b"game.exe", Some(10)).between(what::FILE_OFFER, true, None, &mut out);
        let told: Vec<Event> = out.drain().collect();
        let name = || "game.exe".to_owned();
        assert!(told.contains(&Event::Exposed(risk::FILE_TRANSFER, name())));
        assert!(told.contains(&Event::Exposed(risk::EXECUTABLE_FILE, name())));
    }

    #[test]
    fn a_hash_needs_every_byte() {
        // The hash of "abc" as FIPS 180-2 prints it.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut whole = Passing::new(3);
        whole.take(b"ab");
        assert_eq!(whole.sha256(), None, "not all of it yet");
        whole.take(b"cd");
        assert_eq!(whole.sha256().as_deref(), Some(abc), "d is not its own");
        let mut holed = Passing::new(3);
        holed.take(b"a");
        holed.skip(1);
        holed.take(b"c");
        assert_eq!(holed.sha256(), None);
    }
}
