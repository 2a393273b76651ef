//! Packets that were lost, and where.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Packets lost since listening began, by place. Those of the kernel and of the interface may well have been nothing for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops {
    /// They did not fit into the buffer that the kernel keeps for us: we were too slow.
    pub ring: u64,
    /// They did not fit into the kernel's queue between drivers and everybody else (all interfaces); where it tells.
    pub kernel: Option<u64>,
    /// The interface or its driver dropped them; where it tells.
    pub interface: Option<u64>,
}

/// Reads the kernel's own counts. The files are opened once: later nothing may be opened any more.
#[derive(Debug)]
pub struct Counters {
    softnet: Option<(File, u64)>,
    dev: Option<File>,
    /// Interfaces with what was counted when we came, and what was counted since.
    interfaces: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    name: String,
    last: Option<u64>,
    total: u64,
}

impl Counters {
    /// Begins to count for these interfaces.
    pub fn new(names: &[String]) -> Self {
        let softnet = File::open("/proc/net/softnet_stat").ok().and_then(|file| {
            let first = backlog_drops(&text(&file).ok()?)?;
            Some((file, first))
        });
        let mut counters = Self {
            softnet,
            dev: File::open("/proc/net/dev").ok(),
            interfaces: names
                .iter()
                .map(|name| Counted {
                    name: name.clone(),
                    last: None,
                    total: 0,
                })
                .collect(),
        };
        counters.interface_drops();
        counters
    }

    /// Lost in the kernel's queue.
    pub fn kernel_drops(&self) -> Option<u64> {
        let (file, first) = self.softnet.as_ref()?;
        backlog_drops(&text(file).ok()?).map(|now| now.saturating_sub(*first))
    }

    /// Lost by the interfaces.
    pub fn interface_drops(&mut self) -> Option<u64> {
        let table = text(self.dev.as_ref()?).ok()?;
        for counted in &mut self.interfaces {
            let Some(now) = received_drops(&table, &counted.name) else {
                // Gone: whatever comes back under this name counts from nothing.
                counted.last = counted.last.map(|_| 0);
                continue;
            };
            let last = counted.last.replace(now).unwrap_or(now);
            // A new interface of the old name.
            counted.total += now.checked_sub(last).unwrap_or(now);
        }
        Some(self.interfaces.iter().map(|counted| counted.total).sum())
    }
}

/// The whole file, from its beginning.
fn text(file: &File) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match file.read_at(&mut piece, bytes.len() as u64)? {
            0 => break,
            read => bytes.extend_from_slice(piece.get(..read).unwrap_or_default()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The second column of each processor's line.
fn backlog_drops(table: &str) -> Option<u64> {
    let dropped = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    table.lines().map(dropped).sum()
}

/// `drop` and `fifo` on the receiving side of an interface; of all for `any`.
fn received_drops(table: &str, name: &str) -> Option<u64> {
    let mut total = None;
    for line in table.lines() {
        let Some((interface, numbers)) = line.split_once(':') else {
            continue;
        };
        if interface.trim() != name && name != "any" {
            continue;
        }
        let numbers: Vec<u64> = numbers
            .split_whitespace()
            .filter_map(|number| number.parse().ok())
            .collect();
        if let [_bytes, _packets, _errors, drop, fifo, ..] = numbers[..] {
            total = Some(total.unwrap_or(0) + drop + fifo);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::{backlog_drops, received_drops};

    const DEV: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000 10 0 0 0 0 0 0 1000 10 0 7 0 0 0 0
  eth0: 5000 50 1 3 2 0 0 0 1000 10 0 9 9 0 0 0
";

    #[test]
    fn an_interface_is_asked_by_its_whole_name() {
        assert_eq!(received_drops(DEV, "eth0"), Some(5));
        assert_eq!(received_drops(DEV, "lo"), Some(0));
        assert_eq!(received_drops(DEV, "eth"), None);
        assert_eq!(received_drops(DEV, "any"), Some(5));
    }

    #[test]
    fn all_processors_drop() {
        let table = "0000a 00000002 0 0\n0000b 00000010 0 0\n";
        assert_eq!(backlog_drops(table), Some(18));
        assert_eq!(backlog_drops("what\n"), None);
    }
}
