//! A file that is written in whole records, and begins anew when it is large or old enough.
//!
//! What is finished is put on the disk and renamed, so that whoever looks for finished files never meets half of one. A
//! record that does not fit on the disk leaves no half behind either.

use jiff::{Timestamp, tz::TimeZone};
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Time before a file that could not be finished is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// When a file begins anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// At so many bytes.
    pub size: Option<u64>,
    /// After so long.
    pub every: Option<Duration>,
    /// How many finished files are kept.
    pub keep: Option<usize>,
}

impl Rotation {
    /// Whether it ever does.
    pub const fn is_on(&self) -> bool {
        self.size.is_some() || self.every.is_some()
    }
}

/// What becomes of a file that is there already, where it does not begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Goes on behind its last whole line.
    Lines,
    /// Is emptied.
    Replaced,
}

/// The file.
#[derive(Debug)]
pub struct Pieces {
    path: PathBuf,
    folder: PathBuf,
    /// To put renames on the disk; where the system lets us.
    folder_handle: Option<File>,
    rotation: Rotation,
    file: File,
    /// Bytes of whole records.
    length: u64,
    since: Instant,
    /// It could not be finished: not to be tried before.
    not_before: Option<Instant>,
    /// Finished files, the oldest first.
    finished: VecDeque<PathBuf>,
    number: u64,
}

impl Pieces {
    /// Opens it. A file of an earlier run is finished first, if there are to be several.
    pub fn open(path: &Path, rotation: Rotation, existing: Existing) -> io::Result<Self> {
        let folder = super::wishes::folder(path);
        let mut pieces = Self {
            path: path.to_owned(),
            folder_handle: File::open(&folder).ok(),
            folder,
            rotation,
            file: begin(path)?,
            length: 0,
            since: Instant::now(),
            not_before: None,
            finished: VecDeque::new(),
            number: 0,
        };
        pieces.length = pieces.file.metadata()?.len();
        if rotation.is_on() {
            pieces.finished = pieces.earlier();
            // Names go on where the last run ended: several of one second stay in order.
            let numbers = pieces.finished.iter().filter_map(|path| {
                let stem = path.file_stem()?.to_str()?;
                stem.rsplit('-').next()?.parse().ok()
            });
            pieces.number = numbers.max().unwrap_or(0);
            if pieces.length > 0 {
                pieces.rotate()?;
            }
        } else if existing == Existing::Replaced {
            pieces.cut_to(0);
        } else {
            let whole = whole_lines(path, pieces.length)?;
            pieces.cut_to(whole);
        }
        Ok(pieces)
    }

    /// The folder that finished files are put into.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there will be further files.
    pub const fn rotates(&self) -> bool {
        self.rotation.is_on()
    }

    /// Whether nothing was written since it began.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Writes a record, or nothing of it.
    pub fn append(&mut self, record: &[u8]) -> io::Result<()> {
        match self.file.write_all(record) {
            Ok(()) => {
                self.length += record.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.cut_to(self.length);
                Err(error)
            }
        }
    }

    /// Whether it is time for the next file.
    pub fn is_due(&self) -> bool {
        let Rotation { size, every, .. } = self.rotation;
        self.length > 0
            && self.not_before.is_none_or(|when| Instant::now() >= when)
            && (size.is_some_and(|size| self.length >= size)
                || every.is_some_and(|every| self.since.elapsed() >= every))
    }

    /// Finishes this file and begins the next one. If that fails, this one goes on.
    pub fn rotate(&mut self) -> io::Result<()> {
        self.not_before = Some(Instant::now() + RETRY);
        self.file.sync_all()?;
        let finished = self.next_name();
        fs::rename(&self.path, &finished)?;
        match begin(&self.path) {
            Ok(file) => self.file = file,
            Err(error) => {
                // The old handle still works: under its old name again.
                let _ = fs::rename(&finished, &self.path);
                return Err(error);
            }
        }
        if let Some(folder) = &self.folder_handle {
            let _ = folder.sync_all();
        }
        self.length = 0;
        self.since = Instant::now();
        self.not_before = None;
        self.finished.push_back(finished);
        while self
            .rotation
            .keep
            .is_some_and(|keep| self.finished.len() > keep)
        {
            if let Some(oldest) = self.finished.pop_front() {
                let _ = fs::remove_file(oldest);
            }
        }
        Ok(())
    }

    /// Puts what was written on the disk.
    pub fn sync(&self) -> io::Result<()> {
        match self.file.sync_all() {
            // A pipe, a terminal, /dev/null.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    }

    fn cut_to(&mut self, length: u64) {
        // What is no file has no length.
        if self.file.set_len(length).is_ok() {
            self.length = length;
        }
    }

    fn stem_and_extension(&self) -> (String, String) {
        let part = |part: Option<&std::ffi::OsStr>| {
            part.map(|it| it.to_string_lossy().into_owned())
                .unwrap_or_default()
        };
        let extension = part(self.path.extension());
        let dot = if extension.is_empty() { "" } else { "." };
        (part(self.path.file_stem()), format!("{dot}{extension}"))
    }

    /// `NAME-20260102T030405Z-00001.EXT`
    fn next_name(&mut self) -> PathBuf {
        let (stem, extension) = self.stem_and_extension();
        let now = Timestamp::now().to_zoned(TimeZone::UTC);
        let time = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        loop {
            self.number += 1;
            let name = format!("{stem}-{time}-{:05}{extension}", self.number);
            let path = self.folder.join(name);
            if !path.exists() {
                return path;
            }
        }
    }

    /// Finished files of earlier runs, the oldest first.
    fn earlier(&self) -> VecDeque<PathBuf> {
        let (stem, extension) = self.stem_and_extension();
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy());
            let middle = name.as_deref().and_then(|name| {
                let rest = name.strip_prefix(&stem)?.strip_prefix('-')?;
                rest.strip_suffix(extension.as_str()).map(str::to_owned)
            });
            middle.is_some_and(|middle| {
                middle.len() >= 22
                    && middle
                        .bytes()
                        .all(|b| b.is_ascii_digit() || matches!(b, b'T' | b'Z' | b'-'))
            })
        };
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut found: Vec<PathBuf> = entries.map(|it| it.path()).filter(is_ours).collect();
        found.sort();
        found.into()
    }
}

fn begin(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Bytes up to the end of the last whole line: a run that was killed may have left half a line behind.
fn whole_lines(path: &Path, length: u64) -> io::Result<u64> {
    const LONGEST: u64 = 1 << 20;
    if length == 0 {
        return Ok(0);
    }
    let mut file = File::open(path)?;
    let from = length.saturating_sub(LONGEST);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(LONGEST).read_to_end(&mut end)?;
    let last = end.iter().rposition(|byte| *byte == b'\n');
    Ok(last.map_or(from, |last| from + last as u64 + 1))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Existing, Pieces, Rotation};
    use std::fs;
    use std::path::Path;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_full_file_is_renamed_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("im.ndjson");
        let rotation = Rotation {
            size: Some(10),
            every: None,
            keep: Some(2),
        };
        let mut pieces = Pieces::open(&path, rotation, Existing::Lines).unwrap();
        for number in 0..5 {
            pieces
                .append(format!("record {number}\n\n").as_bytes())
                .unwrap();
            assert!(pieces.is_due());
            pieces.rotate().unwrap();
        }
        drop(pieces);
        let found = names(folder.path());
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(fs::read(&path).unwrap(), b"");
        let kept = |name: &String| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(kept(&found[0]), "record 3\n\n");
        assert_eq!(kept(&found[1]), "record 4\n\n");

        // The next run counts them as well, and what was left over is not lost.
        fs::write(&path, "left over\n").unwrap();
        let pieces = Pieces::open(&path, rotation, Existing::Lines).unwrap();
        assert!(pieces.is_empty());
        let found = names(folder.path());
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(kept(&found[1]), "left over\n");
    }

    #[test]
    fn half_a_line_of_a_run_that_was_killed_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("im.ndjson");
        fs::write(&path, "whole\nhal").unwrap();
        let mut pieces = Pieces::open(&path, Rotation::default(), Existing::Lines).unwrap();
        pieces.append(b"next\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole\nnext\n");
        Pieces::open(&path, Rotation::default(), Existing::Replaced).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
    }
}
