//! Cuts one direction of an HTTP/1 connection into heads and bodies (RFC 9112).

use super::start::{self, Start};

/// Longest head, and most bytes kept while looking for one.
const MAX_HEAD: usize = 32 * 1024;

/// How the body behind a head ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After so many bytes.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection.
    UntilClose,
    /// No HTTP any more: the bytes behind a CONNECT that was granted.
    Tunnel,
    /// A CONNECT request: a tunnel follows unless the next bytes are another request.
    PerhapsTunnel,
}

/// A piece of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// The next bytes of a body.
    Body(&'a [u8]),
    /// The body is complete.
    End,
    /// Bytes inside a tunnel.
    Inner(&'a [u8]),
}

/// Takes the pieces of a direction.
pub trait Visitor {
    /// A whole head, empty line included; says what follows.
    fn head(&mut self, head: &[u8]) -> Body;
    /// The beginning of a head whose rest is missing.
    fn cut(&mut self, head: &[u8]);
    /// What follows a head.
    fn piece(&mut self, piece: Piece<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    Trailer,
    UntilClose,
    Tunnel,
    PerhapsTunnel,
    /// The place in the protocol is lost: look for the next head.
    Lost,
}

/// One direction.
#[derive(Debug)]
pub struct Framer {
    state: State,
    /// A head or line that is not complete yet.
    kept: Vec<u8>,
}

impl Default for Framer {
    fn default() -> Self {
        Self {
            state: State::Head,
            kept: Vec::new(),
        }
    }
}

impl Framer {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8], visitor: &mut impl Visitor) {
        if self.kept.is_empty() {
            let used = self.run(bytes, visitor);
            self.kept.extend_from_slice(&bytes[used..]);
        } else {
            let mut kept = std::mem::take(&mut self.kept);
            kept.extend_from_slice(bytes);
            let used = self.run(&kept, visitor);
            kept.drain(..used);
            self.kept = kept;
        }
    }

    /// Bytes held on the heap.
    pub const fn memory(&self) -> usize {
        self.kept.capacity()
    }

    /// The other direction granted a CONNECT: what follows here is inside the tunnel.
    pub fn tunnel(&mut self) {
        if self.state == State::PerhapsTunnel || self.state == State::Head {
            self.state = State::Tunnel;
        }
    }

    /// How many of the next bytes are in the middle of a body: with the last one more than the place changes.
    pub const fn inside_body(&self) -> u64 {
        match self.state {
            State::Length(left) | State::Chunk(left) if self.kept.is_empty() => {
                left.saturating_sub(1)
            }
            State::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// So many bytes in the middle of a body were not shown to anybody.
    pub const fn skip(&mut self, bytes: u64) {
        if let State::Length(left) | State::Chunk(left) = &mut self.state {
            *left = left.saturating_sub(bytes);
        }
    }

    /// Bytes are missing. `true` when they were all inside a body or a tunnel.
    pub fn gap(&mut self, missing: u64, visitor: &mut impl Visitor) -> bool {
        if self.state == State::Head && !self.kept.is_empty() {
            visitor.cut(&self.kept);
        }
        self.kept.clear();
        let inside = match &mut self.state {
            State::Length(left) | State::Chunk(left) if *left >= missing => {
                *left -= missing;
                true
            }
            State::UntilClose | State::Tunnel => true,
            _ => false,
        };
        if !inside {
            self.state = State::Lost;
        }
        inside
    }

    /// Handles as much as is complete; returns how many bytes that was.
    fn run(&mut self, bytes: &[u8], visitor: &mut impl Visitor) -> usize {
        let mut used = 0;
        while let Some(n) = self.step(&bytes[used..], visitor) {
            used += n;
        }
        used
    }

    /// One step: the bytes it used, or `None` when it needs more.
    fn step(&mut self, input: &[u8], visitor: &mut impl Visitor) -> Option<usize> {
        let (next, used) = match self.state {
            State::Head => return self.head(input, visitor),
            State::Length(0) => {
                visitor.piece(Piece::End);
                (State::Head, 0)
            }
            State::Length(left) => {
                let bytes = some(input, left)?;
                visitor.piece(Piece::Body(bytes));
                (State::Length(left - bytes.len() as u64), bytes.len())
            }
            State::ChunkSize => {
                let line = line(input)?;
                match httparse::parse_chunk_size(line) {
                    Ok(httparse::Status::Complete((_, 0))) => (State::Trailer, line.len()),
                    Ok(httparse::Status::Complete((_, size))) => (State::Chunk(size), line.len()),
                    _ => (State::Lost, 0),
                }
            }
            State::Chunk(0) => (State::ChunkEnd, 0),
            State::Chunk(left) => {
                let bytes = some(input, left)?;
                visitor.piece(Piece::Body(bytes));
                (State::Chunk(left - bytes.len() as u64), bytes.len())
            }
            State::ChunkEnd => {
                let line = line(input)?;
                (
                    if is_empty(line) {
                        State::ChunkSize
                    } else {
                        State::Lost
                    },
                    line.len(),
                )
            }
            State::Trailer => {
                let line = line(input)?;
                if is_empty(line) {
                    visitor.piece(Piece::End);
                }
                (
                    if is_empty(line) {
                        State::Head
                    } else {
                        State::Trailer
                    },
                    line.len(),
                )
            }
            State::UntilClose => {
                visitor.piece(Piece::Body(some(input, u64::MAX)?));
                (State::UntilClose, input.len())
            }
            State::Tunnel => {
                visitor.piece(Piece::Inner(some(input, u64::MAX)?));
                (State::Tunnel, input.len())
            }
            State::PerhapsTunnel => match start::at(input) {
                Start::Unclear => return None,
                Start::Neither => (State::Tunnel, 0),
                _ => (State::Head, 0),
            },
            State::Lost => match start::search(input) {
                Ok((place, _)) => (State::Head, place),
                Err(0) => return None,
                Err(place) => (State::Lost, place),
            },
        };
        self.state = next;
        Some(used)
    }

    fn head(&mut self, input: &[u8], visitor: &mut impl Visitor) -> Option<usize> {
        // Some clients send an extra line end behind a POST body.
        let skipped = input
            .iter()
            .take_while(|b| matches!(b, b'\r' | b'\n'))
            .count();
        if skipped > 0 {
            return Some(skipped);
        }
        let end = head_end(input);
        let too_long = end.unwrap_or(input.len()) > MAX_HEAD;
        // Asked first: that this is no head does not wait for its end.
        if too_long || start::at(input) == Start::Neither {
            self.state = State::Lost;
            // Not the same place again.
            return Some(input.len().min(1));
        }
        end.inspect(|end| {
            let body = visitor.head(&input[..*end]);
            self.state = match body {
                Body::Length(n) => State::Length(n),
                Body::Chunked => State::ChunkSize,
                Body::UntilClose => State::UntilClose,
                Body::Tunnel => State::Tunnel,
                Body::PerhapsTunnel => State::PerhapsTunnel,
            };
        })
    }
}

/// Up to `most` bytes of the input; `None` when it is empty.
fn some(input: &[u8], most: u64) -> Option<&[u8]> {
    let n = input.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    (n > 0).then(|| &input[..n])
}

/// A whole line with its end. A line longer than a head is cut there: its reader will refuse it.
fn line(input: &[u8]) -> Option<&[u8]> {
    match memchr::memchr(b'\n', input) {
        Some(end) => Some(&input[..=end]),
        None if input.len() > MAX_HEAD => Some(input),
        None => None,
    }
}

fn is_empty(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

/// Where a head ends: behind the first empty line.
fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|end| match bytes.get(end + 1..)? {
        [b'\n', ..] => Some(end + 2),
        [b'\r', b'\n', ..] if bytes[..end].ends_with(b"\r") => Some(end + 3),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Body, Framer, Piece, Visitor};

    /// Writes down what it is shown; the head's first word says which body follows.
    #[derive(Default)]
    struct Log(String);

    impl Visitor for Log {
        fn head(&mut self, head: &[u8]) -> Body {
            let head = String::from_utf8_lossy(head);
            self.0 += "[";
            self.0 += head.lines().next().unwrap_or_default();
            self.0 += "]";
            match head.lines().nth(1).unwrap_or_default() {
                "chunked: 1" => Body::Chunked,
                "close: 1" => Body::UntilClose,
                "connect: 1" => Body::PerhapsTunnel,
                text => Body::Length(text.trim_start_matches("length: ").parse().unwrap_or(0)),
            }
        }

        fn cut(&mut self, head: &[u8]) {
            self.0.extend(["{", &String::from_utf8_lossy(head), "}"]);
        }

        fn piece(&mut self, piece: Piece<'_>) {
            match piece {
                Piece::Body(bytes) => self.0.push_str(&String::from_utf8_lossy(bytes)),
                Piece::End => self.0.push('.'),
                Piece::Inner(bytes) => self.0.extend(["<", &String::from_utf8_lossy(bytes), ">"]),
            }
        }
    }

    fn whole(bytes: &[u8], cut: usize) -> String {
        let (mut framer, mut log) = (Framer::default(), Log::default());
        for piece in bytes.chunks(cut) {
            framer.feed(piece, &mut log);
        }
        log.0.replace("><", "")
    }

    #[test]
    fn keep_alive_chunks_and_trailers_however_they_are_cut() {
        let stream = b"POST /a HTTP/1.1\r\nlength: 5\r\n\r\nhello\r\nGET /b HTTP/1.1\r\n\r\n\
            HTTP/1.1 200 OK\r\nchunked: 1\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n\
            HTTP/1.0 200 OK\r\nclose: 1\r\n\r\nrest GET / HTTP/1.1\r\n\r\n";
        let expected = "[POST /a HTTP/1.1]hello.[GET /b HTTP/1.1].[HTTP/1.1 200 OK]abcde.\
            [HTTP/1.0 200 OK]rest GET / HTTP/1.1\r\n\r\n";
        for cut in [1, 2, 3, 7, stream.len()] {
            assert_eq!(whole(stream, cut), expected, "cut every {cut} bytes");
        }
    }

    #[test]
    fn behind_connect_comes_a_tunnel_or_another_request() {
        let refused = b"CONNECT a:1 HTTP/1.1\r\nconnect: 1\r\n\r\nCONNECT a:1 HTTP/1.1\r\nconnect: 1\r\n\r\nVER 1 X\r\n";
        for cut in [1, 5, refused.len()] {
            assert_eq!(
                whole(refused, cut),
                "[CONNECT a:1 HTTP/1.1][CONNECT a:1 HTTP/1.1]<VER 1 X\r\n>",
                "cut every {cut} bytes"
            );
        }
    }

    #[test]
    fn a_gap_inside_a_body_is_stepped_over_and_a_longer_one_leads_to_the_next_head() {
        let (mut framer, mut log) = (Framer::default(), Log::default());
        framer.feed(b"PUT / HTTP/1.1\r\nlength: 9\r\n\r\nabc", &mut log);
        assert!(framer.gap(4, &mut log));
        framer.feed(b"hiGET /n HTTP/1.1\r\nlength: 4\r\n\r\n", &mut log);
        assert!(!framer.gap(50, &mut log));
        framer.feed(b"xx\0\0HTTP/1.1 204 No\r\n\r\nGET /cu", &mut log);
        assert!(!framer.gap(20, &mut log));
        assert_eq!(
            log.0,
            "[PUT / HTTP/1.1]abchi.[GET /n HTTP/1.1][HTTP/1.1 204 No].{GET /cu}"
        );
    }

    #[test]
    fn endless_lines_and_nonsense_are_not_kept() {
        let (mut framer, mut log) = (Framer::default(), Log::default());
        framer.feed(b"GET / HTTP/1.1\r\nx: ", &mut log);
        for _ in 0..100 {
            framer.feed(&[b'a'; 4096], &mut log);
            assert!(
                framer.kept.len() <= 40 * 1024,
                "{} bytes kept",
                framer.kept.len()
            );
        }
        framer.feed(b"HTTP/1.1 200 OK\r\n\r\n", &mut log);
        assert_eq!(log.0, "[HTTP/1.1 200 OK].");
    }
}
