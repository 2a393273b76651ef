//! A plain file, mapped into memory: the fast way.
//!
//! This is the one file with `unsafe`, for the two calls that map and unmap pages. The danger that remains
//! is not memory corruption but the file itself: if another process makes it *shorter* while we read, the
//! kernel answers an access behind the new end with SIGBUS, which ends the program. No check can rule that
//! out (the file can shrink right after it), but the length is asked for again every [`STEP`] bytes, so that
//! the usual case, a capture file being rotated or rewritten, becomes an ordinary "breaks off" error.
//! Who expects worse can pipe the file in: `imwarden analyze - <FILE`.

use super::magic;
use super::window::{Shortage, Window};
use memmap2::Mmap;
use std::fs::File;

/// How often the pages already read are given back to the kernel and the length is looked at.
const STEP: usize = 8 << 20;
/// A multiple of every page size in use, so that a page is never given back in part.
const PAGE: usize = 64 << 10;

pub(super) struct Map {
    pages: Mmap,
    file: File,
    /// Length of the file, as last seen; never more than is mapped.
    len: usize,
    at: usize,
    /// Everything before was given back.
    released: usize,
}

impl Map {
    /// Maps the file, or hands it back unread when it cannot be mapped.
    #[allow(unsafe_code)]
    pub fn new(file: File) -> Result<Self, File> {
        // SAFETY: the map is read-only and is only handed out as bytes that are checked, never as a type with
        // invariants. Another process that changes the file changes what we read, as it would with read(2);
        // what a shrinking file does is said at the top of this module.
        let Ok(pages) = (unsafe { Mmap::map(&file) }) else {
            return Err(file);
        };
        #[cfg(unix)]
        // Only a hint: read ahead boldly. Nothing depends on it.
        let _ = pages.advise(memmap2::Advice::Sequential);
        Ok(Self {
            len: pages.len(),
            pages,
            file,
            at: 0,
            released: 0,
        })
    }

    /// The first bytes of the file, to see what it is.
    pub fn head(&self) -> &[u8] {
        self.pages
            .get(..self.len.min(magic::HEAD))
            .unwrap_or_default()
    }

    /// The file, whose own position is still its start.
    pub fn into_file(self) -> File {
        self.file
    }

    fn left(&self) -> usize {
        self.len.saturating_sub(self.at)
    }

    /// Gives back what lies before `keep`, so that a large file does not count as our memory, and notices a
    /// file that has become shorter.
    #[cold]
    #[allow(unsafe_code)]
    fn release(&mut self, keep: usize) {
        let keep = keep - keep % PAGE;
        #[cfg(unix)]
        if let Some(len) = keep.checked_sub(self.released) {
            // SAFETY: DontNeed is unsafe because it throws away what was written to a private map. This one is
            // shared and read-only: an access to such a page reads the file again.
            let _ = unsafe {
                self.pages.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    self.released,
                    len,
                )
            };
        }
        self.released = keep;
        if let Ok(metadata) = self.file.metadata() {
            self.len = self
                .len
                .min(usize::try_from(metadata.len()).unwrap_or(usize::MAX));
        }
    }
}

/// Has the processor fetch what will be looked at next, a record's header and the headers behind it, while the record
/// before it is still worked on. Only a hint: a quarter of the time went into waiting for these bytes.
#[allow(unsafe_code)]
#[inline]
fn prefetch(next: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in next.chunks(64).take(2) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: any address may be prefetched, and this one is even mapped.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = next;
}

impl Window for Map {
    fn peek(&mut self, n: usize) -> Result<&[u8], Shortage> {
        if n > self.left() {
            return Err(Shortage::End {
                have: self.left(),
                cut: false,
            });
        }
        Ok(self.pages.get(self.at..self.at + n).unwrap_or_default())
    }

    fn take(&mut self, n: usize) -> &[u8] {
        let start = self.at;
        if start.saturating_sub(self.released) >= STEP {
            self.release(start);
        }
        self.at = start + n.min(self.left());
        if let Some(next) = self.pages.get(self.at..) {
            prefetch(next);
        }
        self.pages.get(start..self.at).unwrap_or_default()
    }

    fn offset(&self) -> u64 {
        self.at as u64
    }

    fn position(&self) -> u64 {
        self.at as u64
    }

    fn total(&self) -> Option<u64> {
        Some(self.len as u64)
    }
}
