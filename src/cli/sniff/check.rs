//! `--sandbox-check`: from inside the sandbox, tries what must not be possible.

use std::fs::File;
use std::io::{self, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Tries, and says how each went. Where running a program is possible, that one speaks the last word.
pub fn check(out: &mut dyn Write) -> io::Result<()> {
    let say = |what: &str, went: io::Result<()>, out: &mut dyn Write| match went {
        Ok(()) => writeln!(out, "{what}: POSSIBLE"),
        Err(error) => writeln!(out, "{what}: refused ({error})"),
    };
    say("open /etc/shadow", File::open("/etc/shadow").map(drop), out)?;
    say("open /etc/passwd", File::open("/etc/passwd").map(drop), out)?;
    say("make a file in /tmp", file_in_tmp(), out)?;
    let socket = UdpSocket::bind("127.0.0.1:0").map(drop);
    say("make a UDP socket", socket, out)?;
    let port = TcpStream::connect("127.0.0.1:9");
    // Nobody listens there: that answer comes from the network, so the socket was to be had.
    let port = match port {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        other => other.map(drop),
    };
    say("connect with TCP", port, out)?;
    let started = Command::new("/bin/true").status();
    say("start a program", started.map(drop), out)?;
    out.flush()?;
    // Comes back only if it was refused.
    let error = Command::new("/bin/echo")
        .arg("become a program: POSSIBLE")
        .exec();
    writeln!(out, "become a program: refused ({error})")?;
    out.flush()
}

fn file_in_tmp() -> io::Result<()> {
    let path = format!("/tmp/imwarden-sandbox-check-{}", std::process::id());
    File::create_new(&path)?;
    std::fs::remove_file(path)
}
