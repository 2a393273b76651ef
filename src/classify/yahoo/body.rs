//! The body of a YMSG packet: keys and values, read as they stream by.

use super::ymsg::SEPARATOR;
use memchr::memchr;

/// How many fields of one packet are remembered.
const MAX_FIELDS: usize = 64;

/// One remembered field.
#[derive(Debug)]
struct Field {
    key: u16,
    /// Length of the value on the wire.
    len: usize,
    /// As much of it as may be kept, see [`keep`].
    value: Vec<u8>,
}

/// How many bytes of a value may be kept: none for unknown keys, secrets and message text.
const fn keep(key: u16) -> usize {
    match key {
        // Accounts, roles, counters, client version, peers, transfer modes.
        0 | 1 | 3..=5 | 7 | 10 | 13 | 49 | 50 | 52..=54 | 56 | 89 | 109 | 135 | 222 | 249 => 128,
        // A file's length, how many files.
        28 | 266 => 20,
        // An address, a URL, a file's name; the id of a transfer and a relay's token, which are hashed and go no further.
        12 | 20 | 27 | 250 | 251 | 265 => 512,
        // Errors of a sign-on.
        66 => 8,
        // "Y<tab>...": the first letter says which cookie it is; the cookie itself is never kept.
        59 => 1,
        _ => 0,
    }
}

/// Whether the mere presence of the field is worth remembering.
const fn noted(key: u16) -> bool {
    // 6, 96: responses to the challenge 94. 277, 278, 307: token sign-on. 14: text. 63: its environment. 65: a group.
    keep(key) > 0 || matches!(key, 6 | 14 | 61 | 63 | 65 | 94 | 96 | 277 | 278 | 307)
}

/// What a body said.
#[derive(Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
    /// Complete pairs: a key, a separator and a value that ended in a separator or with the body.
    pub pairs: usize,
    /// Something stood where a key should be.
    pub malformed: bool,
    /// A response (key 6 or 96) held `=`: the `p=..;I=..,` form of the arithmetic challenge. The alphabet of
    /// the older MD5 responses has no such character.
    pub formula: bool,
}

impl Fields {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        let values: usize = self.list.iter().map(|field| field.value.capacity()).sum();
        self.list.capacity() * size_of::<Field>() + values
    }

    /// Whether the field is there and not empty.
    pub fn has(&self, key: u16) -> bool {
        self.list
            .iter()
            .any(|field| field.key == key && field.len > 0)
    }

    /// The values of all fields with this key that were kept whole and are clean text.
    pub fn all(&self, key: u16) -> impl Iterator<Item = &str> {
        self.list
            .iter()
            .filter(move |field| {
                field.key == key && field.len == field.value.len() && field.len > 0
            })
            .filter_map(|field| std::str::from_utf8(&field.value).ok())
            .filter(|text| !text.chars().any(char::is_control))
    }

    /// The first of them.
    pub fn get(&self, key: u16) -> Option<&str> {
        self.all(key).next()
    }

    /// Length of the first field with this key, on the wire.
    pub fn length(&self, key: u16) -> Option<usize> {
        self.list
            .iter()
            .find_map(|field| (field.key == key).then_some(field.len))
    }

    /// Whether one of the cookies (key 59) is the session's: `Y` or `T`. `B` and `C` are harmless.
    pub fn session_cookie(&self) -> bool {
        self.list.iter().any(|field| {
            field.key == 59 && field.len > 1 && matches!(field.value.first(), Some(b'Y' | b'T'))
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first byte of a key.
    Start,
    /// Within a key.
    Key,
    /// Within a value; `None`: of no known key.
    Value(Option<u16>),
    /// Behind a NUL where a key should be: some servers end a body so.
    Over,
}

/// Reads a body in pieces of any size.
#[derive(Debug)]
pub struct Body {
    remaining: usize,
    holed: bool,
    state: State,
    /// The last byte was the first of a separator.
    half: bool,
    key: u16,
    len: usize,
    value: Vec<u8>,
    fields: Fields,
}

impl Body {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.value.capacity() + self.fields.memory()
    }

    /// A body of this length.
    pub fn new(length: u16) -> Self {
        Self {
            remaining: usize::from(length),
            holed: false,
            state: State::Start,
            half: false,
            key: 0,
            len: 0,
            value: Vec::new(),
            fields: Fields::default(),
        }
    }

    /// How many bytes are still to come.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// Whether bytes of it are missing.
    pub const fn is_holed(&self) -> bool {
        self.holed
    }

    /// Reads on, and returns the bytes behind the body.
    pub fn feed<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (mine, rest) = bytes.split_at(bytes.len().min(self.remaining));
        self.remaining -= mine.len();
        self.read(mine);
        rest
    }

    /// Passes over bytes that were not captured; at most [`Body::remaining`].
    pub fn skip(&mut self, missing: usize) {
        self.remaining = self.remaining.saturating_sub(missing);
        self.holed = true;
        self.half = false;
        self.state = State::Value(None);
    }

    /// All that was said. The last value may lack its separator; a key without a value is dropped.
    pub fn finish(mut self) -> Fields {
        if matches!(self.state, State::Value(Some(_))) {
            self.end_value();
        }
        self.fields
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            match self.state {
                State::Over => return,
                State::Start => match byte {
                    0 => self.state = State::Over,
                    // Mail notices carry a stray 0x01 between two pairs.
                    1 => {}
                    _ => {
                        self.key = 0;
                        self.state = State::Key;
                        continue;
                    }
                },
                State::Key => {
                    if self.half {
                        self.half = false;
                        if byte == SEPARATOR[1] {
                            self.begin_value(Some(self.key));
                        } else {
                            self.no_key();
                        }
                    } else if byte == SEPARATOR[0] {
                        self.half = true;
                    } else if let Some(key) = push_digit(self.key, byte) {
                        self.key = key;
                    } else {
                        self.no_key();
                        continue;
                    }
                }
                State::Value(_) => {
                    bytes = self.read_value(bytes);
                    continue;
                }
            }
            bytes = rest;
        }
    }

    /// GBK text can hold the separator as one of its characters: what follows is the rest of the value
    /// before, and the next separator ends it.
    fn no_key(&mut self) {
        self.fields.malformed = true;
        self.begin_value(None);
    }

    fn begin_value(&mut self, key: Option<u16>) {
        self.state = State::Value(key);
        self.len = 0;
        self.value.clear();
    }

    fn read_value<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if self.half {
            self.half = false;
            if let Some((&0x80, rest)) = bytes.split_first() {
                self.end_value();
                return rest;
            }
            self.keep(&SEPARATOR[..1]);
        }
        let Some(at) = memchr(SEPARATOR[0], bytes) else {
            self.keep(bytes);
            return &[];
        };
        let (value, rest) = bytes.split_at(at);
        self.keep(value);
        self.half = true;
        rest.get(1..).unwrap_or_default()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let State::Value(Some(key)) = self.state else {
            return;
        };
        self.len += bytes.len();
        let room = keep(key).saturating_sub(self.value.len());
        self.value.extend(bytes.iter().take(room));
        if matches!(key, 6 | 96) && memchr(b'=', bytes).is_some() {
            self.fields.formula = true;
        }
    }

    fn end_value(&mut self) {
        if let State::Value(Some(key)) = self.state {
            self.fields.pairs += 1;
            if noted(key) && self.fields.list.len() < MAX_FIELDS {
                let value = std::mem::take(&mut self.value);
                self.fields.list.push(Field {
                    key,
                    len: self.len,
                    value,
                });
            }
        }
        self.state = State::Start;
    }
}

/// Appends a decimal digit; `None` if it is none, or the key grows beyond four digits.
pub fn push_digit(key: u16, byte: u8) -> Option<u16> {
    let digit = byte.checked_sub(b'0').filter(|digit| *digit <= 9)?;
    (key < 1000).then_some(())?;
    Some(key * 10 + u16::from(digit))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Fields {
        let mut body = Body::new(bytes.len() as u16);
        assert!(body.feed(bytes).is_empty());
        body.finish()
    }

    #[test]
    fn pairs_however_they_are_cut() {
        let bytes = b"1\xC0\x80alice\xC0\x80135\xC0\x806,0,0,1710\xC0\x8088\xC0\x80\xC0\x80";
        for step in [1, 3, bytes.len()] {
            let mut body = Body::new(bytes.len() as u16);
            for piece in bytes.chunks(step) {
                body.feed(piece);
            }
            let fields = body.finish();
            assert_eq!(fields.get(1), Some("alice"));
            assert_eq!(fields.get(135), Some("6,0,0,1710"));
            assert_eq!((fields.pairs, fields.malformed), (3, false));
        }
    }

    #[test]
    fn lenient_ends() {
        // Key 8 with neither separator nor value; a NUL behind the last separator; a stray 0x01; a value
        // that the body's end cuts off.
        assert_eq!(
            read(b"0\xC0\x80alice\xC0\x801\xC0\x80alice\xC0\x808").pairs,
            2
        );
        let nul = read(b"9\xC0\x800\xC0\x80\0");
        assert_eq!((nul.pairs, nul.malformed), (1, false));
        assert_eq!(
            read(b"9\xC0\x800\xC0\x80\x011\xC0\x80alice\xC0\x80").get(1),
            Some("alice")
        );
        assert_eq!(read(b"1\xC0\x80alice").get(1), Some("alice"));
    }

    #[test]
    fn a_separator_within_text_costs_no_later_field() {
        let fields = read(b"14\xC0\x80one\xC0\x80two\xC0\x805\xC0\x80bob\xC0\x80");
        assert_eq!(fields.get(5), Some("bob"));
        assert!(fields.malformed);
    }

    #[test]
    fn secrets_and_text_are_noted_not_kept() {
        let fields =
            read(b"6\xC0\x80p=BF;I=5l,\xC0\x8059\xC0\x80Y\tv=1\xC0\x8014\xC0\x80hello\xC0\x80");
        assert!(fields.formula && fields.has(6) && fields.has(14) && fields.session_cookie());
        assert!(fields.list.iter().all(|field| field.value.len() <= 1));
        assert_eq!(fields.get(14), None);
    }

    #[test]
    fn long_or_dirty_text_is_not_an_account() {
        let mut body = b"1\xC0\x80".to_vec();
        body.extend([b'a'; 300]);
        assert_eq!(read(&body).get(1), None);
        assert_eq!(read(b"1\xC0\x80al\x1bice\xC0\x80").get(1), None);
        assert_eq!(read(b"1\xC0\x80al\xFFice\xC0\x80").get(1), None);
    }

    #[test]
    fn a_gap_loses_the_pair_it_cut() {
        let mut body = Body::new(40);
        body.feed(b"1\xC0\x80ali");
        body.skip(10);
        body.feed(b"ce\xC0\x805\xC0\x80bob\xC0\x80");
        let fields = body.finish();
        assert_eq!((fields.get(1), fields.get(5)), (None, Some("bob")));
    }

    #[test]
    fn fields_are_bounded() {
        let body = b"5\xC0\x80b\xC0\x80".repeat(1000);
        assert_eq!(read(&body).list.len(), MAX_FIELDS);
    }
}
