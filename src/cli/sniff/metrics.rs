//! `--metrics`: the counts as text for Prometheus, on this host only.

use super::board::Board;
use super::enforce::Enforced;
use crate::model::{Enforcement, Summary};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// How long one who asks may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest question.
const MAX_REQUEST: usize = 8192;

/// Where they are asked for.
#[derive(Clone, Debug)]
pub enum Address {
    /// A loopback address and port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(path.into()));
        }
        let address: SocketAddr = text.parse().map_err(|_| {
            "write 127.0.0.1:9477, [::1]:9477 or unix:/run/imwarden.sock".to_owned()
        })?;
        if address.ip().is_loopback() {
            Ok(Self::Tcp(address))
        } else {
            Err("only a loopback address: who may read this is to be decided by a web server before it".to_owned())
        }
    }
}

/// A socket that is listened on.
pub enum Listener {
    /// Loopback.
    Tcp(TcpListener),
    /// In the file system.
    Unix(UnixListener),
}

trait Asking: Read + Write {}
impl<T: Read + Write> Asking for T {}

impl Listener {
    /// Opens it. A socket that an earlier run left behind is replaced.
    pub fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => TcpListener::bind(address).map(Self::Tcp),
            Address::Unix(path) => {
                remove_socket(path);
                UnixListener::bind(path).map(Self::Unix)
            }
        }
    }

    /// Answers one after the other, for ever.
    pub fn answer(&self, board: &Board) {
        loop {
            let asking = self.accept();
            match asking {
                Ok(mut asking) => {
                    // Whoever hangs up or asks nonsense gets nothing.
                    let _ = serve(asking.as_mut(), board);
                }
                // No more handles, say: it will not be better at once.
                Err(_) => std::thread::sleep(PATIENCE / 10),
            }
        }
    }

    fn accept(&self) -> io::Result<Box<dyn Asking>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Box::new(stream))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Box::new(stream))
            }
        }
    }
}

fn remove_socket(path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket()) {
        let _ = fs::remove_file(path);
    }
}

fn serve(asking: &mut dyn Asking, board: &Board) -> io::Result<()> {
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    let wanted = loop {
        let read = asking.read(&mut piece)?;
        request.extend_from_slice(piece.get(..read).unwrap_or_default());
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut headers);
        match head.parse(&request) {
            Ok(httparse::Status::Complete(_)) => {
                break head.method == Some("GET") && head.path == Some("/metrics");
            }
            Ok(httparse::Status::Partial) if read > 0 && request.len() < MAX_REQUEST => {}
            _ => return Ok(()),
        }
    };
    let (status, body) = if wanted {
        ("200 OK", text(&board.latest(), &board.enforced))
    } else {
        ("404 Not Found", "GET /metrics\n".to_owned())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    asking.write_all(head.as_bytes())?;
    asking.write_all(body.as_bytes())
}

/// Name, kind, what it is, and the number.
type Metric<'a> = (&'a str, &'a str, &'a str, u64);

fn text(summary: &Summary, enforced: &Enforced) -> String {
    let listening = summary.listening.unwrap_or_default();
    let counted: [Metric<'_>; 13] = [
        ("packets_total", "counter", "Packets seen.", summary.packets),
        (
            "bytes_total",
            "counter",
            "Bytes in them, on the wire.",
            summary.bytes,
        ),
        (
            "flows_total",
            "counter",
            "TCP and UDP flows.",
            summary.flows,
        ),
        (
            "detections_total",
            "counter",
            "Flows of a messenger.",
            summary.detected,
        ),
        (
            "possible_total",
            "counter",
            "Flows that only have a messenger's port.",
            summary.possible,
        ),
        (
            "evictions_total",
            "counter",
            "Flows dropped early to stay within memory.",
            summary.evictions,
        ),
        (
            "ring_drops_total",
            "counter",
            "Packets that did not fit into imwarden's buffer in the kernel.",
            listening.drops_ring,
        ),
        (
            "kernel_drops_total",
            "counter",
            "Packets that did not fit into the kernel's queue behind the drivers, of all interfaces.",
            listening.drops_kernel.unwrap_or(0),
        ),
        (
            "interface_drops_total",
            "counter",
            "Packets that the interfaces or their drivers dropped.",
            listening.drops_interface.unwrap_or(0),
        ),
        (
            "lost_records_total",
            "counter",
            "Records that were not written.",
            listening.lost_records,
        ),
        (
            "lost_packets_total",
            "counter",
            "Packets that were not saved.",
            listening.lost_packets,
        ),
        (
            "open_flows",
            "gauge",
            "Flows that are open.",
            listening.open_flows,
        ),
        (
            "flow_memory_bytes",
            "gauge",
            "Bytes held for flows.",
            listening.memory,
        ),
    ];
    let mut text = String::new();
    let enforced = enforced.numbers().map(|it| done(&it)).unwrap_or_default();
    for (name, kind, about, number) in counted.into_iter().chain(enforced) {
        let _ = write!(
            text,
            "# HELP imwarden_{name} {about}\n# TYPE imwarden_{name} {kind}\nimwarden_{name} {number}\n"
        );
    }
    text
}

/// What was done about what was found.
fn done(it: &Enforcement) -> Vec<Metric<'static>> {
    let mut all = vec![
        ("enforce_cut_total", "Connections that were cut.", it.cut),
        (
            "enforce_additions_total",
            "Places that were refused to everybody.",
            it.refused,
        ),
        (
            "enforce_spared_total",
            "Connections that were left alone.",
            it.spared,
        ),
        (
            "enforce_rate_limited_total",
            "Connections that were too many for --enforce-rate.",
            it.rate_limited,
        ),
        ("enforce_failed_total", "What could not be done.", it.failed),
    ];
    if let Some(it) = it.inline {
        all.extend([
            (
                "inline_asked_total",
                "Packets that were looked at before they went on.",
                it.asked,
            ),
            (
                "inline_held_total",
                "Packets that had to wait, for more or for an end of their connection.",
                it.held,
            ),
            (
                "inline_late_total",
                "Packets that were let go undecided, since they had waited for long enough.",
                it.late,
            ),
            (
                "inline_given_up_total",
                "Connections of which no more packets were held, since enough had waited.",
                it.given_up,
            ),
            (
                "inline_unheld_total",
                "Packets that passed without having been looked at.",
                it.unheld,
            ),
        ]);
    }
    let all = all.into_iter();
    all.map(|(name, about, number)| (name, "counter", about, number))
        .collect()
}
