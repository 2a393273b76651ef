//! stdout for the data asked for, stderr for the rest.

use std::io::{self, BufWriter, Write};

/// Buffered stdout. Whoever uses it flushes it, so that an error is not lost.
pub fn stdout() -> BufWriter<io::Stdout> {
    BufWriter::with_capacity(64 * 1024, io::stdout())
}

/// One message on stderr. There is nobody to tell when stderr is gone.
pub fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "imwarden: {}", message.trim_end());
}
