//! Long files: looked at through windows while nobody else writes to them, read like any other as soon as somebody does.

use super::build::{BOTH, Order};
use super::{drain, read};
use imwarden::capture::{FrameSource, open};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

const RECORDS: usize = 6144;
/// With its header.
const RECORD: usize = 4096;

/// A capture of 24 MiB that nobody has open.
fn long_capture() -> tempfile::TempPath {
    let order = Order::Little;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&order.pcap_header(0xa1b2_c3d4, 1)).unwrap();
    let record = order.pcap_record(1, 2, &[1; RECORD - 16]);
    file.write_all(&record.repeat(RECORDS)).unwrap();
    file.into_temp_path()
}

/// How much of a file was read.
#[derive(Debug, Default, PartialEq, Eq)]
struct Progress {
    frames: usize,
    /// At the end; whether that was an error.
    end: Option<bool>,
}

impl Progress {
    fn read(&mut self, source: &mut dyn FrameSource, most: usize) {
        for _ in 0..most {
            self.end = self.end.or_else(|| match source.next_frame() {
                Ok(Some(frame)) => {
                    self.frames += usize::from(frame.data == [1; RECORD - 16]);
                    None
                }
                Ok(None) => Some(false),
                Err(error) => Some(error.is_truncated()),
            });
        }
    }
}

/// Reads slowly while `change` is loose on the file, then the rest.
fn change_while_read(change: impl FnOnce(&Path) + Send) -> Progress {
    /// More than a window.
    const SOME: usize = 300;
    let path = long_capture();
    let mut source = open(&path).unwrap();
    let mut progress = Progress::default();
    progress.read(source.as_mut(), SOME);
    let path = &*path;
    thread::scope(|scope| {
        let began = Instant::now();
        let changing = scope.spawn(move || change(path));
        while !changing.is_finished() {
            thread::sleep(Duration::from_millis(50));
            progress.read(source.as_mut(), SOME);
        }
        // Else it was not let in, but had enough of waiting.
        assert!(began.elapsed() < Duration::from_secs(20));
    });
    progress.read(source.as_mut(), 2 * RECORDS);
    progress
}

#[test]
fn a_long_file_says_the_same_through_windows_and_through_a_pipe() {
    for (order, magic) in BOTH.into_iter().zip([0xa1b2_c3d4, 0xa1b2_3c4d]) {
        let mut bytes = order.pcap_header(magic, 1);
        for number in 0..4000_u32 {
            let data = vec![number as u8; number as usize * 37 % 1500];
            bytes.extend(order.pcap_record(0x6543_2100 + number, number, &data));
        }
        // And one that breaks off.
        bytes.truncate(bytes.len() - 1);
        let outcome = read(&bytes);
        assert_eq!(outcome.frames.len(), 3999);
        assert!(outcome.truncated().is_some());
        assert_eq!(outcome.stats.position, bytes.len() as u64);
    }
}

#[test]
fn a_file_that_is_left_alone_is_read_to_its_end() {
    let path = long_capture();
    let outcome = drain(open(&path), RECORDS);
    assert!(outcome.error.is_none());
    assert_eq!(outcome.frames.len(), RECORDS);
}

#[test]
fn whoever_cuts_a_file_off_waits_until_nobody_looks() {
    let progress = change_while_read(|path| {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(18 << 20).unwrap();
    });
    // (18 MiB - 24) / 4096
    let (frames, end) = (4607, Some(true));
    assert_eq!(progress, Progress { frames, end });
}

#[test]
fn a_file_that_is_begun_anew_is_no_end_of_the_program() {
    let progress = change_while_read(|path| drop(File::create(path).unwrap()));
    let some = 300..RECORDS;
    assert!(some.contains(&progress.frames), "{progress:?}");
    assert!(progress.end.is_some());
}

#[test]
fn what_is_appended_meanwhile_is_read_too() {
    let progress = change_while_read(|path| {
        let mut file = File::options().append(true).open(path).unwrap();
        let record = Order::Little.pcap_record(1, 2, &[1; RECORD - 16]);
        file.write_all(&record).unwrap();
    });
    let (frames, end) = (RECORDS + 1, Some(false));
    assert_eq!(progress, Progress { frames, end });
}
