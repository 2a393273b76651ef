//! The thread that writes: records -> report -> stdout or a file.

use super::board::Board;
use super::pieces::Pieces;
use super::record::Record;
use super::save::Trouble;
use crate::cli::mailbox::Mailbox;
use crate::report::{Redactor, Report};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Records that may wait for whoever reads.
pub const ROOM: usize = 16_384;
/// How long whoever keeps the log may take for a message.
const LOG_PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(25);

/// Where records go.
pub enum Output {
    /// stdout, past the buffer of the standard library: what is written is out.
    Stdout(File),
    /// A file.
    File(Pieces),
    /// The system's log: its socket, and where that is.
    Log(UnixDatagram, PathBuf),
}

impl Output {
    /// stdout.
    pub fn stdout() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self::Stdout(File::from(stdout)))
    }

    /// The system's log. It is waited for, but not for long.
    pub fn log(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(LOG_PATIENCE))?;
        socket.connect(path)?;
        Ok(Self::Log(socket, path.to_owned()))
    }
}

/// Writes records.
pub struct Scribe<'r> {
    report: Box<dyn Report + 'r>,
    redactor: Option<Redactor>,
    output: Output,
    trouble: Trouble,
    /// stdout has half a record.
    torn: bool,
}

impl<'r> Scribe<'r> {
    /// Writes this report there.
    pub fn new(report: Box<dyn Report + 'r>, redactor: Option<Redactor>, output: Output) -> Self {
        Self {
            report,
            redactor,
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
                let Some(text) = self.render(record, board) else {
                    continue;
                };
                match self.put(&text) {
                    Ok(()) => {
                        board.written.fetch_add(1, Ordering::Relaxed);
                        let next = self.next_file();
                        self.worked(&next, board);
                    }
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
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

    fn render(&mut self, mut record: Record, board: &Board) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        if let Some(redactor) = &self.redactor {
            record.redact(redactor);
        }
        let report = self.report.as_mut();
        // Writing to memory does not fail.
        let rendered = match record {
            Record::Detection(detection) => report.detection(&detection, &mut text),
            Record::Flow(finding) => report.finding(*finding, &mut text),
            Record::Event(occurrence) => report.occurrence(&occurrence, &mut text),
            Record::Statistics(mut summary) => {
                if let Some(listening) = &mut summary.listening {
                    board.losses(listening);
                }
                report.statistics(&summary, &mut text)
            }
            Record::End(mut summary) => {
                if let Some(listening) = &mut summary.listening {
                    board.losses(listening);
                }
                report.finish(&summary, &mut text)
            }
        };
        (rendered.is_ok() && !text.is_empty()).then_some(text)
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        match &mut self.output {
            Output::File(file) => file.append(text),
            Output::Log(socket, path) => {
                for message in text
                    .split(|byte| *byte == b'\n')
                    .filter(|it| !it.is_empty())
                {
                    if let Err(error) = socket.send(message) {
                        // Whoever keeps the log may have begun anew.
                        if error.kind() == io::ErrorKind::WouldBlock {
                            return Err(error);
                        }
                        socket.connect(&*path)?;
                        socket.send(message)?;
                    }
                }
                Ok(())
            }
            Output::Stdout(stdout) => {
                if self.torn {
                    stdout.write_all(b"\n")?;
                    self.torn = false;
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
                            self.torn = written > 0;
                            return Err(error);
                        }
                    }
                }
                Ok(())
            }
        }
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
            Output::Log(_, path) => self.trouble.note(written, path, board),
        }
    }
}
