//! XML as it streams by: start tags with their attributes, and the text behind the one that matters.

/// Longest tag that is read; what is longer is passed over.
const MAX_TAG: usize = 4096;
/// Longest text that is kept: an address has at most 3,071 bytes, nobody's has.
const MAX_TEXT: usize = 512;

/// One tag: `<name attributes>` or `</name>`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    text: &'a str,
}

impl<'a> Tag<'a> {
    /// `None` for what is no start tag: an end tag, a declaration, a comment.
    pub fn parse(inside: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(inside).ok()?;
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        starts.then_some(Self { text })
    }

    /// Its name, with its prefix.
    pub fn name(self) -> &'a str {
        let end = self
            .text
            .find(|c: char| c.is_ascii_whitespace() || c == '/');
        self.text
            .get(..end.unwrap_or(self.text.len()))
            .unwrap_or_default()
    }

    /// The value of an attribute, as it stands there.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        let mut rest = self.text.get(self.name().len()..)?;
        loop {
            rest = rest.trim_start();
            let (key, behind) = rest.split_once('=')?;
            let behind = behind.trim_start();
            let quote = behind.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let (value, behind) = behind.get(1..)?.split_once(quote)?;
            if key.trim_end() == name {
                return Some(value);
            }
            rest = behind;
        }
    }
}

/// Where a tag ends: the place of its `>`, outside of quotes.
pub(super) fn end_of(tag: &[u8]) -> Option<usize> {
    let mut quote = None;
    tag.iter().position(|byte| {
        match (quote, byte) {
            (None, b'\'' | b'"') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
        quote.is_none() && *byte == b'>'
    })
}

/// Cuts one direction into tags.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// A tag that is not complete, without its `<`; or the text wanted.
    held: Vec<u8>,
    state: State,
    /// Where the quotes of the held tag stand.
    quote: Option<u8>,
    /// How often text was dropped, for lengths: bytes of text since the last tag.
    text: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Between tags.
    #[default]
    Text,
    /// Between tags, and the text is wanted.
    Wanted,
    Tag,
    /// In a tag that is too long.
    Skipped,
}

/// What a reader found.
pub(super) enum Found<'a> {
    /// The inside of a tag; `text` bytes stood before it.
    Tag { inside: &'a [u8], text: usize },
    /// The text that was wanted.
    Text(&'a [u8]),
}

impl Reader {
    /// The next bytes. `tell` says whether the text behind a tag is wanted.
    pub fn feed(&mut self, bytes: &[u8], mut tell: impl FnMut(Found<'_>) -> bool) {
        for byte in bytes {
            match self.state {
                State::Text | State::Wanted if *byte == b'<' => {
                    if self.state == State::Wanted {
                        tell(Found::Text(&self.held));
                    }
                    self.held.clear();
                    self.state = State::Tag;
                    self.quote = None;
                }
                State::Text => self.text += 1,
                State::Wanted => {
                    self.text += 1;
                    if self.held.len() < MAX_TEXT {
                        self.held.push(*byte);
                    }
                }
                State::Tag | State::Skipped => {
                    match (self.quote, byte) {
                        (None, b'\'' | b'"') => self.quote = Some(*byte),
                        (Some(open), byte) if open == *byte => self.quote = None,
                        (None, b'>') => {
                            let text = std::mem::take(&mut self.text);
                            let whole = self.state == State::Tag;
                            let inside = &self.held;
                            let wanted = whole && tell(Found::Tag { inside, text });
                            self.held.clear();
                            self.state = if wanted { State::Wanted } else { State::Text };
                            continue;
                        }
                        _ => {}
                    }
                    if self.state == State::Tag {
                        self.held.push(*byte);
                        if self.held.len() > MAX_TAG {
                            self.held.clear();
                            self.state = State::Skipped;
                        }
                    }
                }
            }
        }
    }

    /// Bytes are missing: go on at the next tag.
    pub fn gap(&mut self) {
        *self = Self::default();
    }

    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.held.capacity()
    }
}
