//! The socket of a log: the system log's, or the journal's. What is written at once is one message.

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, send, sendmsg};
use std::fs::File;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long whoever keeps the log may take for a message.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Lines (RFC 5424); a datagram ends where its line does.
    Syslog,
    /// Entries of fields; one that is too large for a datagram goes in a file that has no name.
    Journal,
}

/// A log that is connected to.
#[derive(Debug)]
pub struct Log {
    socket: UnixDatagram,
    path: PathBuf,
    protocol: Protocol,
    sent: u64,
}

impl Log {
    /// Connects to it. It is waited for later, but not for long.
    pub fn open(path: &Path, protocol: Protocol) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.connect(path)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
            protocol,
            sent: 0,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Messages that it took.
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    fn send(&self, message: &[u8]) -> io::Result<()> {
        match send(&self.socket, message, SendFlags::NOSIGNAL).map_err(io::Error::from) {
            Err(error) if self.protocol == Protocol::Journal && is_too_large(&error) => {
                self.send_file(message)
            }
            other => other.map(drop),
        }
    }

    /// Sealed, so that the journal need not fear that it changes while it is read.
    fn send_file(&self, message: &[u8]) -> io::Result<()> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let mut file = File::from(memfd_create("imwarden", flags)?);
        file.write_all(message)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        let handles = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        ancillary.push(SendAncillaryMessage::ScmRights(&handles));
        sendmsg(&self.socket, &[], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Too large for a datagram, or for what may wait in the socket.
fn is_too_large(error: &io::Error) -> bool {
    [libc::EMSGSIZE, libc::ENOBUFS]
        .map(Some)
        .contains(&error.raw_os_error())
}

impl Write for Log {
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        let bytes = match self.protocol {
            Protocol::Syslog => message.strip_suffix(b"\n").unwrap_or(message),
            Protocol::Journal => message,
        };
        let sent = match self.send(bytes) {
            // Whoever keeps the log may have begun anew. One that is busy has not.
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self
                .socket
                .connect(&self.path)
                .and_then(|()| self.send(bytes)),
            other => other,
        };
        sent?;
        self.sent += 1;
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::{Log, Protocol};
    use rustix::fs::{SealFlags, fcntl_get_seals};
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    use std::fs::File;
    use std::io::{IoSliceMut, Read, Seek, Write};
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixDatagram;
    use std::time::Duration;

    #[test]
    fn what_is_too_large_for_a_datagram_comes_in_a_sealed_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        let mut log = Log::open(&path, Protocol::Journal).unwrap();
        let small = b"MESSAGE=small\n".to_vec();
        let mut large = b"MESSAGE=large\nREST=".to_vec();
        large.resize(4 << 20, b'x');
        large.push(b'\n');
        log.write_all(&small).unwrap();
        log.write_all(&large).unwrap();
        assert_eq!(log.sent(), 2);

        let mut bytes = [0; 64];
        let length = journal.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], small);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut received = RecvAncillaryBuffer::new(&mut space);
        let message = recvmsg(
            &journal,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut received,
            RecvFlags::CMSG_CLOEXEC,
        );
        assert_eq!(message.unwrap().bytes, 0);
        let Some(RecvAncillaryMessage::ScmRights(mut handles)) = received.drain().next() else {
            panic!("no file came");
        };
        let mut file = File::from(handles.next().unwrap());
        let seals = fcntl_get_seals(&file).unwrap();
        assert!(
            seals
                .contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
        );
        let mut content = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut content).unwrap();
        assert!(content == large);
    }

    #[test]
    fn a_log_that_begins_anew_is_connected_to_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let first = UnixDatagram::bind(&path).unwrap();
        let mut log = Log::open(&path, Protocol::Syslog).unwrap();
        log.write_all(b"one\n").unwrap();
        drop(first);
        assert!(log.write_all(b"two\n").is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(log.write_all(b"three\n").is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        second
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        log.write_all(b"four\n").unwrap();
        let mut bytes = [0; 64];
        let length = second.recv(&mut bytes).unwrap();
        assert_eq!((&bytes[..length], log.sent()), (&b"four"[..], 2));
    }

    #[test]
    fn a_log_that_takes_nothing_holds_nobody_up_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _busy = UnixDatagram::bind(&path).unwrap();
        let mut log = Log::open(&path, Protocol::Journal).unwrap();
        log.socket
            .set_write_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        let refused = (0..100_000).find_map(|_| log.write_all(&[b'x'; 512]).err());
        assert_eq!(refused.unwrap().kind(), std::io::ErrorKind::WouldBlock);
    }
}
