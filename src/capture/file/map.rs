//! A large file in view, one window after the other, instead of a copy of it.
//!
//! The one place with `unsafe` code, because a map is shared with whoever writes to the file: bytes would change while they are looked at, and
//! where a file is cut off, looking ends the program (SIGBUS). So a file is only mapped under a lease (fcntl(2), `F_SETLEASE`): the kernel gives
//! it while nobody has the file open for writing, lets whoever wants to write or to cut it wait, and says so. That is
//! asked before each window, a fraction of a millisecond after the last; then the map is given up and the file is read the
//! ordinary way, which is also the way where there is no lease (somebody else's file, a file that is still being written,
//! some network's file systems). The pages of a window are fetched at once by a call that says when that fails, and its error too is
//! left to reading.
//!
//! Nobody is kept waiting for more than 45 seconds (`/proc/sys/fs/lease-break-time`). Who stops this program for longer in the middle of
//! a window and cuts the file meanwhile ends it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};

/// Length of a window. The headers in it, and no more of it, are to fit into the second cache of a processor core.
const WINDOW: usize = 1 << 20;

/// A part of a file.
pub(super) type Window = memmap2::Mmap;

/// A file that can be looked at through windows.
pub(super) struct Windows {
    file: File,
    leased: bool,
}

impl Windows {
    /// Of this file. Nothing is mapped yet.
    pub const fn new(file: File) -> Self {
        Self {
            file,
            leased: false,
        }
    }

    /// The window from `offset` on; `None` where the file has no whole window there or may not be mapped. Earlier windows are
    /// to be gone by now: from then on the file may change.
    pub fn at(&mut self, offset: u64) -> Option<Window> {
        let window = self.open(offset);
        if window.is_none() {
            self.let_go();
        }
        window
    }

    /// Whoever reads from the file reads on from there, without windows.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.let_go();
        self.file.seek(SeekFrom::Start(offset)).map(|_| ())
    }

    fn open(&mut self, offset: u64) -> Option<Window> {
        let left = self.file.metadata().ok()?.len().checked_sub(offset)?;
        if left < WINDOW as u64 {
            return None;
        }
        let file = &self.file;
        if self.leased {
            // Somebody waits, perhaps: `at` lets go then.
            kernel::holds_lease(file).then(|| kernel::map(file, offset, WINDOW))?
        } else {
            self.leased = kernel::take_lease(file);
            self.leased.then(|| kernel::map(file, offset, WINDOW))?
        }
    }

    fn let_go(&mut self) {
        if std::mem::take(&mut self.leased) {
            kernel::end_lease(&self.file);
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.let_go();
    }
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod kernel {
    use super::{File, Window};
    use memmap2::{Advice, MmapOptions};
    use std::os::fd::AsRawFd;

    /// <linux/fcntl.h>; not in libc.
    const F_SETSIG: i32 = 10;

    fn fcntl(file: &File, command: i32, argument: i32) -> i32 {
        // SAFETY: an open file, and a command whose argument is a number.
        unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }
    }

    pub fn take_lease(file: &File) -> bool {
        // The news that somebody waits come as a signal: as one that does nothing, since they are asked for.
        fcntl(file, F_SETSIG, libc::SIGURG) == 0
            && fcntl(file, libc::F_SETLEASE, libc::F_RDLCK) == 0
    }

    /// Still, and nobody waits.
    pub fn holds_lease(file: &File) -> bool {
        fcntl(file, libc::F_GETLEASE, 0) == libc::F_RDLCK
    }

    pub fn end_lease(file: &File) {
        fcntl(file, libc::F_SETLEASE, libc::F_UNLCK);
    }

    pub fn map(file: &File, offset: u64, length: usize) -> Option<Window> {
        let mut options = MmapOptions::new();
        // SAFETY: read-only, inside the file, and nobody changes the file: see above.
        let window = unsafe { options.offset(offset).len(length).map(file) }.ok()?;
        window.advise(Advice::Sequential).ok()?;
        window.advise(Advice::PopulateRead).ok()?;
        Some(window)
    }
}

/// Other systems have neither leases nor a call that fetches pages and says when it cannot.
#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{File, Window};

    pub fn take_lease(_: &File) -> bool {
        false
    }

    pub fn holds_lease(_: &File) -> bool {
        false
    }

    pub fn end_lease(_: &File) {}

    pub fn map(_: &File, _: u64, _: usize) -> Option<Window> {
        None
    }
}
