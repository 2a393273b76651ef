//! What was applied, what was there before, and until when somebody must confirm: one file in a folder of our own.

use super::ApplyError;
use super::ours::Ours;
use crate::policy::prove::Backend;
use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many policies can be taken back one after another.
const REMEMBERED: usize = 8;
/// More than this is no state of ours.
const MAX_STATE: u64 = 256 << 20;
const SCHEMA: &str = "imwarden-state/1";
const RETRY: Duration = Duration::from_millis(50);

/// All that is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    schema: String,
    /// What was applied and not taken back, the oldest first.
    pub generations: Vec<Generation>,
    /// What was done last.
    pub last: Option<Note>,
    /// The number of the next one.
    next: u64,
}

/// A policy that was applied.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Generation {
    /// Counted from 1.
    pub number: u64,
    /// Where.
    pub backend: Backend,
    /// Seconds since 1970.
    pub applied_at: i64,
    /// What for, in words: a file's name or the arguments.
    pub what: String,
    /// What was loaded.
    pub text: String,
    /// What the kernel shows of it.
    pub wanted: Ours,
    /// What was in force until then.
    pub before: Ours,
    /// When it will be taken back, in seconds since 1970, unless it is confirmed.
    pub until: Option<i64>,
}

/// Something that was done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Seconds since 1970.
    pub at: i64,
    /// In words.
    pub what: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            generations: Vec::new(),
            last: None,
            next: 1,
        }
    }
}

impl State {
    /// What is in force, if it was applied by us.
    pub fn current(&self) -> Option<&Generation> {
        self.generations.last()
    }

    /// Remembers one more. Of the oldest only what was in force before it is kept: the last step back leads there.
    pub fn push(&mut self, mut generation: Generation) -> u64 {
        generation.number = self.next;
        self.next += 1;
        self.generations.push(generation);
        if self.generations.len() > REMEMBERED {
            let oldest = self.generations.remove(0);
            if let Some(next) = self.generations.first_mut()
                && next.backend == oldest.backend
            {
                next.before = oldest.before;
            }
        }
        self.next - 1
    }

    /// Says what was done.
    pub fn note(&mut self, what: String) {
        self.last = Some(Note {
            at: jiff::Timestamp::now().as_second(),
            what,
        });
    }
}

/// The folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

/// Nobody else changes rules as long as it is held. Whoever dies lets go of it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Folder {
    /// Opens the folder, or makes it. What others can write to is not trusted: it says which rules are loaded.
    pub fn open(path: &Path) -> Result<Self, ApplyError> {
        let failed = |what: String| ApplyError::Folder {
            path: path.to_owned(),
            what,
        };
        let made = std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
            .recursive(true)
            .create(path);
        made.map_err(|error| failed(error.to_string()))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| failed(std::io::Error::from(error).to_string()))?;
        let stat = rustix::fs::fstat(&handle)
            .map_err(|error| failed(std::io::Error::from(error).to_string()))?;
        let own = rustix::process::geteuid().as_raw();
        if stat.st_uid != own {
            return Err(failed(format!(
                "it belongs to user {}, and not to user {own} who is at it",
                stat.st_uid
            )));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(failed(
                "others can write to it: `chmod 700` it, if what is in it can be trusted"
                    .to_owned(),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            handle,
        })
    }

    /// Opens it if it is there.
    pub fn find(path: &Path) -> Result<Option<Self>, ApplyError> {
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => Self::open(path).map(Some),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn failed(&self, error: &dyn ToString) -> ApplyError {
        ApplyError::Folder {
            path: self.path.clone(),
            what: error.to_string(),
        }
    }

    fn file(&self, name: &str, flags: OFlags) -> Result<File, std::io::Error> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(rustix::fs::openat(&self.handle, name, flags, mode)?.into())
    }

    /// Takes the lock, waiting for this long.
    pub fn lock(&self, patience: Duration) -> Result<Lock, ApplyError> {
        self.take("lock", patience)?.ok_or(ApplyError::Busy)
    }

    /// Held for as long as somebody watches over this policy's time of trial.
    pub fn guard(&self, number: u64) -> Result<Lock, ApplyError> {
        self.take(&format!("guard-{number}"), Duration::from_secs(1))?
            .ok_or(ApplyError::Busy)
    }

    /// Whether somebody does.
    pub fn is_guarded(&self, number: u64) -> bool {
        let name = format!("guard-{number}");
        let Ok(file) = self.file(&name, OFlags::RDWR) else {
            return false;
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
    }

    fn take(&self, name: &str, patience: Duration) -> Result<Option<Lock>, ApplyError> {
        let file = self
            .file(name, OFlags::RDWR | OFlags::CREATE)
            .map_err(|error| self.failed(&error))?;
        let start = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(rustix::io::Errno::WOULDBLOCK) if start.elapsed() < patience => {
                    std::thread::sleep(RETRY);
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
                Err(error) => return Err(self.failed(&std::io::Error::from(error))),
            }
        }
    }

    /// Reads what is remembered.
    pub fn load(&self) -> Result<State, ApplyError> {
        let file = match self.file("state.json", OFlags::RDONLY) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(self.failed(&error)),
        };
        let mut text = String::new();
        let mut file = file.take(MAX_STATE);
        file.read_to_string(&mut text)
            .map_err(|error| self.failed(&error))?;
        let state: State = serde_json::from_str(&text)
            .map_err(|error| self.failed(&format!("state.json is damaged: {error}; when it is removed, `imwarden undo --all` still takes our rules away")))?;
        if state.schema == SCHEMA {
            Ok(state)
        } else {
            Err(self.failed(&"state.json is of another version of imwarden"))
        }
    }

    /// Changes whenever something else is remembered.
    pub fn stamp(&self) -> Option<(u64, i64, u64)> {
        let none = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(&self.handle, "state.json", none).ok()?;
        Some((stat.st_ino, stat.st_mtime, stat.st_mtime_nsec))
    }

    /// Writes it, as a whole or not at all.
    pub fn store(&self, state: &State) -> Result<(), ApplyError> {
        let text = serde_json::to_string(state).map_err(|error| self.failed(&error))?;
        let write = || -> std::io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            let mut file = self.file("state.new", flags)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            rustix::fs::renameat(&self.handle, "state.new", &self.handle, "state.json")?;
            Ok(())
        };
        write().map_err(|error| self.failed(&error))
    }

    /// A policy that nobody watches over any more leaves no lock file.
    pub fn forget_guard(&self, number: u64) {
        let name = format!("guard-{number}");
        let _ = rustix::fs::unlinkat(&self.handle, name, rustix::fs::AtFlags::empty());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn generation() -> Generation {
        Generation {
            number: 0,
            backend: Backend::Nftables,
            applied_at: 1,
            what: "a test".into(),
            text: String::new(),
            wanted: Ours::Nftables(String::new()),
            before: Ours::Nftables(String::new()),
            until: None,
        }
    }

    #[test]
    fn what_is_stored_is_there_again_and_only_the_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        assert!(Folder::find(&path).unwrap().is_none());
        let folder = Folder::open(&path).unwrap();
        let mut state = folder.load().unwrap();
        assert!(state.current().is_none());
        for number in 1..=10 {
            let before = Ours::Nftables(format!("before {number}"));
            let generation = Generation {
                before,
                ..generation()
            };
            assert_eq!(state.push(generation), number);
        }
        folder.store(&state).unwrap();
        let again = Folder::open(&path).unwrap().load().unwrap();
        assert_eq!(again.generations.len(), REMEMBERED);
        assert_eq!(again.current().unwrap().number, 10);
        // Step by step back, and the last one to where all began.
        let before = |at: usize| again.generations[at].before.clone();
        assert_eq!(before(7), Ours::Nftables("before 10".into()));
        assert_eq!(before(1), Ours::Nftables("before 4".into()));
        assert_eq!(before(0), Ours::Nftables("before 1".into()));
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("state.json")), 0o600);
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
        assert!(Folder::open(&open).is_err());
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert!(Folder::open(&link).is_err());
        // Nor is a file in it followed elsewhere.
        let elsewhere = dir.path().join("elsewhere");
        std::fs::write(&elsewhere, "{}").unwrap();
        std::fs::set_permissions(&real, PermissionsExt::from_mode(0o700)).unwrap();
        symlink(&elsewhere, real.join("state.json")).unwrap();
        assert!(Folder::open(&real).unwrap().load().is_err());
        symlink(&elsewhere, real.join("state.new")).unwrap();
        assert!(
            Folder::open(&real)
                .unwrap()
                .store(&State::default())
                .is_err()
        );
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "{}");
    }

    #[test]
    fn two_do_not_hold_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(&dir.path().join("x")).unwrap();
        let held = folder.lock(Duration::ZERO).unwrap();
        assert!(matches!(folder.lock(Duration::ZERO), Err(ApplyError::Busy)));
        drop(held);
        assert!(folder.lock(Duration::ZERO).is_ok());
    }

    #[test]
    fn damage_is_said_and_nothing_is_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let folder = Folder::open(&path).unwrap();
        for text in [
            "",
            "{",
            "{\"schema\":\"imwarden-state/9\",\"generations\":[],\"last\":null,\"next\":1}",
        ] {
            std::fs::write(path.join("state.json"), text).unwrap();
            assert!(folder.load().is_err(), "{text}");
        }
    }
}
