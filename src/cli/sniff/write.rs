//! The thread that writes: records -> report -> stdout or a file.

use super::board::Board;
use super::log::Log;
use super::pieces::Pieces;
use super::record::Record;
use super::save::Trouble;
use crate::cli::mailbox::Mailbox;
use crate::report::{Redactor, Report};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Records that may wait for whoever reads.
pub const ROOM: usize = 16_384;
const TICK: Duration = Duration::from_millis(25);

/// Where records go.
pub enum Output {
    /// stdout, past the buffer of the standard library: what is written is out.
    Stdout(File),
    /// A file.
    File(Pieces),
    /// The system's log, or the journal.
    Log(Log),
}

impl Output {
    /// stdout.
    pub fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::Stdout(File::from(stdout)))
    }
}

/// How records are put into words.
struct Voice<'r> {
    report: Box<dyn Report + 'r>,
    redactor: Option<Redactor>,
}

impl Voice<'_> {
    fn say(&mut self, mut record: Record, board: &Board, out: &mut dyn Write) -> io::Result<()> {
        if let Some(redactor) = &self.redactor {
            record.redact(redactor);
        }
        let report = self.report.as_mut();
        match record {
            Record::Detection(detection) => report.detection(&detection, out),
            Record::Flow(finding) => report.finding(*finding, out),
            Record::Event(occurrence) => report.occurrence(&occurrence, out),
            Record::Action(action) => report.action(&action, out),
            Record::Statistics(mut summary) => {
                if let Some(listening) = &mut summary.listening {
                    board.losses(listening);
                }
                report.statistics(&summary, out)
            }
            Record::End(mut summary) => {
                if let Some(listening) = &mut summary.listening {
                    board.losses(listening);
                }
                report.finish(&summary, out)
            }
        }
    }
}

/// Writes records.
pub struct Scribe<'r> {
    voice: Voice<'r>,
    output: Output,
    trouble: Trouble,
    /// stdout has half a record.
    torn: bool,
}

impl<'r> Scribe<'r> {
    /// Writes this report there.
    pub fn new(report: Box<dyn Report + 'r>, redactor: Option<Redactor>, output: Output) -> Self {
        Self {
            voice: Voice { report, redactor },
            output,
            trouble: Trouble::default(),
            torn: false,
        }
    }

    /// Writes what comes until there is no more, or nobody reads.
    pub fn write(mut self, records: &Mailbox<Record>, board: &Board) {
        while let Some(waiting) = records.take(TICK) {
            for record in waiting {
                let rest = matches!(record, Record::End(_) | Record::Statistics(_));
                match self.put(record, board) {
                    Ok(false) => continue,
                    Ok(true) => {
                        board.written.fetch_add(1, Ordering::Relaxed);
                        let next = self.next_file();
                        self.worked(&next, board);
                    }
                    Err(error) if self.is_unread(&error) => {
                        // Whoever read has seen enough.
                        records.abandon();
                        board.unread.store(true, Ordering::Relaxed);
                        board.stop.store(true, Ordering::Relaxed);
                        return;
                    }
                    Err(error) => {
                        board.lost_records.fetch_add(1, Ordering::Relaxed);
                        self.worked(&Err(error), board);
                    }
                }
                if let (true, Output::File(file)) = (rest, &self.output)
                    && let Err(error) = file.sync()
                {
                    self.worked(&Err(error), board);
                }
            }
        }
    }

    fn is_unread(&self, error: &io::Error) -> bool {
        matches!(self.output, Output::Stdout(_)) && error.kind() == io::ErrorKind::BrokenPipe
    }

    /// Writes a record; whether there was anything to write.
    fn put(&mut self, record: Record, board: &Board) -> io::Result<bool> {
        if let Output::Log(log) = &mut self.output {
            let before = log.sent();
            self.voice.say(record, board, log)?;
            return Ok(log.sent() > before);
        }
        let mut text = Vec::new();
        self.voice.say(record, board, &mut text)?;
        match &mut self.output {
            _ if text.is_empty() => return Ok(false),
            Output::File(file) => file.append(&text)?,
            Output::Stdout(stdout) => write_out(stdout, &text, &mut self.torn)?,
            Output::Log(_) => {}
        }
        Ok(true)
    }

    /// Begins the next file, if it is time.
    fn next_file(&mut self) -> io::Result<()> {
        match &mut self.output {
            Output::File(file) if file.is_due() => file.rotate(),
            _ => Ok(()),
        }
    }

    fn worked(&mut self, written: &io::Result<()>, board: &Board) {
        match &self.output {
            Output::File(file) => self.trouble.note(written, file.path(), board),
            Output::Stdout(_) => self.trouble.note(written, Path::new("to stdout"), board),
            Output::Log(log) => self.trouble.note(written, log.path(), board),
        }
    }
}

/// Writes all of it, however long that takes; half a record is remembered.
fn write_out(stdout: &mut File, text: &[u8], torn: &mut bool) -> io::Result<()> {
    if *torn {
        stdout.write_all(b"\n")?;
        *torn = false;
    }
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match stdout.write(rest) {
            Ok(more) => written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Somebody made it so that it does not wait; we can.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(TICK);
            }
            Err(error) => {
                *torn = written > 0;
                return Err(error);
            }
        }
    }
    Ok(())
}
