//! `-w`: the packets that were captured, in a ring of files.

use super::board::Board;
use super::pieces::Pieces;
use crate::capture::{Frames, Record, Writer};
use crate::cli::mailbox::Mailbox;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Batches that may wait for the disk, and bytes in them.
const ROOM: usize = 4096;
const MAX_WAITING: usize = 64 << 20;
const TICK: Duration = Duration::from_millis(25);

struct Batch {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// Takes packets, and never waits for the disk.
pub struct Saver {
    waiting: Mailbox<Batch>,
    held: AtomicUsize,
    board: Arc<Board>,
}

impl Saver {
    /// One for which nothing waits.
    pub fn new(board: Arc<Board>) -> Self {
        Self {
            waiting: Mailbox::with_room(ROOM),
            held: AtomicUsize::new(0),
            board,
        }
    }

    /// These are to be saved.
    pub fn save(&self, frames: Frames<'_>) {
        let (bytes, records) = frames.copied();
        let (size, count) = (bytes.len(), records.len() as u64);
        let fits = self.held.load(Ordering::Relaxed) + size <= MAX_WAITING;
        if fits && self.waiting.offer(Batch { bytes, records }, Duration::ZERO) {
            self.held.fetch_add(size, Ordering::Relaxed);
        } else {
            self.board.lost_packets.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// No more will come.
    pub fn close(&self) {
        self.waiting.close();
    }

    /// Writes what comes until there is no more.
    pub fn write(&self, mut file: Pieces) {
        let mut trouble = Trouble::default();
        let mut writer: Option<Writer<Vec<u8>>> = None;
        while let Some(batches) = self.waiting.take(TICK) {
            for batch in batches {
                self.held.fetch_sub(batch.bytes.len(), Ordering::Relaxed);
                let frames = Frames::new(&batch.bytes, &batch.records);
                let written =
                    encode(&mut writer, frames, &file).and_then(|encoded| file.append(&encoded));
                let count = batch.records.len() as u64;
                if written.is_err() {
                    // What the next ones refer to may be missing from the file.
                    writer = None;
                    self.board.lost_packets.fetch_add(count, Ordering::Relaxed);
                }
                trouble.note(&written, file.path(), &self.board);
                if file.is_due() {
                    match file.rotate() {
                        Ok(()) => writer = None,
                        Err(error) => trouble.note(&Err(error), file.path(), &self.board),
                    }
                }
            }
        }
        if let Err(error) = file.sync() {
            trouble.note(&Err(error), file.path(), &self.board);
        }
    }
}

/// The frames' blocks; before them a head, where the file or its writer is new.
fn encode(
    writer: &mut Option<Writer<Vec<u8>>>,
    frames: Frames<'_>,
    file: &Pieces,
) -> io::Result<Vec<u8>> {
    if writer.is_none() || file.is_empty() {
        *writer = Some(Writer::new(Vec::new())?);
    }
    let Some(writer) = writer else {
        return Ok(Vec::new());
    };
    for frame in frames.iter() {
        writer.frame(&frame, None)?;
    }
    Ok(std::mem::take(writer.get_mut()))
}

/// Says once that writing fails, and once that it works again.
#[derive(Debug, Default)]
pub struct Trouble {
    failing: bool,
}

impl Trouble {
    /// Takes note of how it went.
    pub fn note(&mut self, written: &io::Result<()>, path: &Path, board: &Board) {
        let path = path.display();
        match written {
            Err(error) if !self.failing => {
                self.failing = true;
                board.say(format!(
                    "cannot write {path}: {error}; listening goes on, and what is not written is counted"
                ));
            }
            Ok(()) if self.failing => {
                self.failing = false;
                board.say(format!("writing {path} again"));
            }
            _ => {}
        }
    }
}
