//! l7-filter's regular expressions (V8's syntax, with `\xHH`), taken apart into beginnings.
//!
//! l7-filter looks at what was said so far in small letters and without NUL bytes. So a letter stands for itself in any case,
//! and NUL bytes may stand between any two others; here they may, but for those that stand at fixed places at the beginning.

use super::item::Masked;
use super::set::Set;

/// Alternatives that a pattern is taken apart into.
const MAX_ALTERNATIVES: usize = 32;
/// Parentheses in each other.
const MAX_DEPTH: usize = 40;
/// So much known of a beginning tells enough; what follows is left to the regex, and from less on where it goes several ways.
const ENOUGH_BITS: u32 = 32;
const ENOUGH_BEFORE_A_FORK: u32 = 24;
const MAX_PREFIX: usize = 64;

/// What is wrong, and the byte of the pattern where.
pub(super) type Wrong = (usize, String);

#[derive(Clone, Debug)]
enum Node {
    Set(Set),
    Concat(Vec<Node>),
    Alt(Vec<Node>),
    /// Any number of times, `at_least` 0 or 1; once at most, unless `many`.
    Repeat {
        node: Box<Node>,
        at_least: u8,
        many: bool,
    },
    Start,
    End,
}

impl Node {
    fn any(&self, is: &dyn Fn(&Self) -> bool) -> bool {
        is(self)
            || match self {
                Self::Concat(all) | Self::Alt(all) => all.iter().any(|node| node.any(is)),
                Self::Repeat { node, .. } => node.any(is),
                Self::Set(_) | Self::Start | Self::End => false,
            }
    }

    /// Whether it may stand for nothing.
    fn is_nullable(&self) -> bool {
        match self {
            Self::Set(_) => false,
            Self::Concat(all) => all.iter().all(Self::is_nullable),
            Self::Alt(all) => all.iter().any(Self::is_nullable),
            Self::Repeat { node, at_least, .. } => *at_least == 0 || node.is_nullable(),
            Self::Start | Self::End => true,
        }
    }

    fn print(&self, out: &mut String) {
        match self {
            Self::Set(set) => {
                out.push_str("\\x00*");
                set.print(out);
            }
            Self::Concat(all) => all.iter().for_each(|node| node.print(out)),
            Self::Alt(all) => {
                out.push_str("(?:");
                for (at, node) in all.iter().enumerate() {
                    if at > 0 {
                        out.push('|');
                    }
                    node.print(out);
                }
                out.push(')');
            }
            Self::Repeat {
                node,
                at_least,
                many,
            } => {
                out.push_str("(?:");
                node.print(out);
                out.push_str(match (at_least, many) {
                    (0, false) => ")?",
                    (0, true) => ")*",
                    _ => ")+",
                });
            }
            Self::Start | Self::End => {}
        }
    }
}

/// One way in which a pattern may begin.
#[derive(Debug)]
pub(super) struct Beginning {
    /// Unknown bytes in front.
    pub(super) offset: usize,
    pub(super) bytes: Vec<Masked>,
    /// What the bytes do not say.
    pub(super) regex: Option<String>,
}

/// Takes a pattern apart: what can be said of each alternative, or why it cannot.
pub(super) fn beginnings(pattern: &[u8]) -> Result<Vec<Result<Beginning, String>>, Wrong> {
    let tokens = tokens(pattern)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: pattern.len(),
    };
    let node = parser.alternatives(0)?;
    if let Some((place, _)) = parser.tokens.get(parser.at) {
        return Err((*place, "a `)` without its `(`".to_owned()));
    }
    let mut found = Vec::new();
    let ways = Way {
        anchored: false,
        prefix: Vec::new(),
        rest: vec![node],
    };
    if !ways.walk(&mut found) {
        let reason = format!("it may begin in more than {MAX_ALTERNATIVES} ways");
        return Err((0, reason));
    }
    Ok(found.into_iter().map(Way::say).collect())
}

/// A way through the beginning of a pattern.
#[derive(Clone)]
struct Way {
    anchored: bool,
    prefix: Vec<Set>,
    /// What follows, the last first.
    rest: Vec<Node>,
}

impl Way {
    fn bits(&self) -> u32 {
        let known = self.prefix.iter().map(|set| set.masked().1.count_ones());
        known.sum()
    }

    /// Follows it until enough is known; `false` when there are too many.
    fn walk(mut self, found: &mut Vec<Self>) -> bool {
        while self.bits() < ENOUGH_BITS && self.prefix.len() < MAX_PREFIX {
            let Some(node) = self.rest.pop() else {
                break;
            };
            match node {
                Node::Start if self.prefix.is_empty() => self.anchored = true,
                Node::Set(set) => self.prefix.push(set),
                Node::Concat(all) => self.rest.extend(all.into_iter().rev()),
                fork @ (Node::Alt(_) | Node::Repeat { many: false, .. })
                    if self.bits() >= ENOUGH_BEFORE_A_FORK =>
                {
                    self.rest.push(fork);
                    break;
                }
                Node::Alt(all) => {
                    return all.into_iter().all(|node| {
                        let mut way = self.clone();
                        way.rest.push(node);
                        way.walk(found)
                    });
                }
                Node::Repeat {
                    node,
                    at_least: 0,
                    many: false,
                } => {
                    let without = self.clone();
                    self.rest.push(*node);
                    return self.walk(found) && without.walk(found);
                }
                Node::Repeat {
                    node,
                    at_least: 1,
                    many: true,
                } => {
                    self.rest.push(Node::Repeat {
                        node: node.clone(),
                        at_least: 0,
                        many: true,
                    });
                    self.rest.push(*node);
                }
                other => {
                    self.rest.push(other);
                    break;
                }
            }
        }
        found.push(self);
        found.len() <= MAX_ALTERNATIVES
    }

    fn say(mut self) -> Result<Beginning, String> {
        if !self.anchored {
            return Err(
                "it is not anchored by `^`: what may stand anywhere is no beginning".to_owned(),
            );
        }
        let has = |is: &dyn Fn(&Node) -> bool| self.rest.iter().any(|node| node.any(is));
        if has(&|node| matches!(node, Node::End)) {
            return Err("`$`: where the bytes end depends on how they were cut".to_owned());
        }
        if has(&|node| matches!(node, Node::Start)) {
            return Err("`^` behind a byte: this never matches".to_owned());
        }
        // The last stands first: what may be nothing at the end asks for nothing.
        while self.rest.first().is_some_and(Node::is_nullable) {
            self.rest.remove(0);
        }
        let mut bytes: Vec<Masked> = self.prefix.iter().map(|set| set.masked()).collect();
        let exact = self.rest.is_empty() && self.prefix.iter().all(|set| set.is_masked());
        while bytes.last().is_some_and(|(_, mask)| *mask == 0) {
            bytes.pop();
        }
        let offset = bytes.iter().take_while(|(_, mask)| *mask == 0).count();
        let bytes = bytes.split_off(offset);
        if bytes.is_empty() {
            return Err("no byte at its beginning is fixed".to_owned());
        }
        let regex = (!exact).then(|| {
            let mut text = String::from("^");
            self.prefix.iter().for_each(|set| set.print(&mut text));
            self.rest
                .iter()
                .rev()
                .for_each(|node| node.print(&mut text));
            text
        });
        Ok(Beginning {
            offset,
            bytes,
            regex,
        })
    }
}

/// A byte that means itself, or a sign of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Byte(u8),
    Sign(u8),
}

fn tokens(pattern: &[u8]) -> Result<Vec<(usize, Token)>, Wrong> {
    const SIGNS: &[u8] = b"^$.[]()|*+?";
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        let (token, taken) = match (byte, &pattern[at + 1..]) {
            (b'\\', [b'x', high, low, ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).unwrap_or(0) as u8;
                let byte = digit(high) << 4 | digit(low);
                if SIGNS.contains(&byte) || byte == b'\\' {
                    let reason =
                        "a sign of the language in hexadecimal: l7-filter takes it for the sign";
                    return Err((at, reason.to_owned()));
                }
                (Token::Byte(byte), 4)
            }
            (b'\\', [quoted, ..]) => (Token::Byte(*quoted), 2),
            (b'\\', []) => return Err((at, "a `\\` with nothing behind it".to_owned())),
            (sign, _) if SIGNS.contains(sign) => (Token::Sign(*sign), 1),
            (byte, _) => (Token::Byte(*byte), 1),
        };
        tokens.push((at, token));
        at += taken;
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    end: usize,
}

impl Parser<'_> {
    fn sign(&self) -> Option<u8> {
        match self.tokens.get(self.at)? {
            (_, Token::Sign(sign)) => Some(*sign),
            (_, Token::Byte(_)) => None,
        }
    }

    fn place(&self) -> usize {
        self.tokens
            .get(self.at)
            .map_or(self.end, |(place, _)| *place)
    }

    fn wrong<T>(&self, reason: &str) -> Result<T, Wrong> {
        Err((self.place(), reason.to_owned()))
    }

    fn alternatives(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut all = vec![self.sequence(depth)?];
        while self.sign() == Some(b'|') {
            self.at += 1;
            all.push(self.sequence(depth)?);
        }
        Ok(match all.pop() {
            Some(only) if all.is_empty() => only,
            last => {
                all.extend(last);
                Node::Alt(all)
            }
        })
    }

    fn sequence(&mut self, depth: usize) -> Result<Node, Wrong> {
        let mut all = Vec::new();
        while self.at < self.tokens.len() && !matches!(self.sign(), Some(b'|' | b')')) {
            let atom = self.atom(depth)?;
            all.push(self.repeated(atom)?);
        }
        Ok(Node::Concat(all))
    }

    fn repeated(&mut self, node: Node) -> Result<Node, Wrong> {
        let (at_least, many) = match self.sign() {
            Some(b'*') => (0, true),
            Some(b'+') => (1, true),
            Some(b'?') => (0, false),
            _ => return Ok(node),
        };
        if matches!(node, Node::Start | Node::End) {
            return self.wrong("nothing is there to be repeated");
        }
        self.at += 1;
        if matches!(self.sign(), Some(b'*' | b'+' | b'?')) {
            return self.wrong("a repetition of a repetition");
        }
        Ok(Node::Repeat {
            node: Box::new(node),
            at_least,
            many,
        })
    }

    fn atom(&mut self, depth: usize) -> Result<Node, Wrong> {
        let Some((_, token)) = self.tokens.get(self.at) else {
            return self.wrong("the pattern ends too early");
        };
        let node = match token {
            Token::Byte(byte) => {
                let mut set = Set::NONE;
                set.add(*byte);
                return self.seen(set);
            }
            Token::Sign(b'.') => return self.seen(Set::NONE.not()),
            Token::Sign(b'[') => return self.class(),
            Token::Sign(b'^') => Node::Start,
            Token::Sign(b'$') => Node::End,
            Token::Sign(b'(') if depth >= MAX_DEPTH => {
                return self.wrong("too many parentheses in each other");
            }
            Token::Sign(b'(') => {
                self.at += 1;
                let inside = self.alternatives(depth + 1)?;
                if self.sign() != Some(b')') {
                    return self.wrong("a `(` without its `)`");
                }
                inside
            }
            Token::Sign(b']') => {
                let mut set = Set::NONE;
                set.add(b']');
                return self.seen(set);
            }
            Token::Sign(_) => return self.wrong("nothing is there to be repeated"),
        };
        self.at += 1;
        Ok(node)
    }

    /// A set as it can be met: in any case, and never NUL.
    fn seen(&mut self, set: Set) -> Result<Node, Wrong> {
        let set = set.caseless().without_nul();
        if set == Set::NONE {
            return self.wrong("NUL alone: l7-filter takes it out of what it looks at");
        }
        self.at += 1;
        Ok(Node::Set(set))
    }

    /// `[a-z]`, `[^\x00]`. The parser stands at the bracket.
    fn class(&mut self) -> Result<Node, Wrong> {
        let begin = self.at;
        self.at += 1;
        let negated = self.sign() == Some(b'^');
        self.at += usize::from(negated);
        let mut set = Set::NONE;
        let mut first = true;
        loop {
            let Some((_, token)) = self.tokens.get(self.at) else {
                self.at = begin;
                return self.wrong("a `[` without its `]`");
            };
            let low = match token {
                Token::Sign(b']') if !first => break,
                Token::Byte(byte) | Token::Sign(byte) => *byte,
            };
            first = false;
            self.at += 1;
            let dash = self.tokens.get(self.at).map(|(_, token)| token);
            let high = match self.tokens.get(self.at + 1) {
                Some((_, Token::Byte(high))) if dash == Some(&Token::Byte(b'-')) => *high,
                Some((_, Token::Sign(high)))
                    if dash == Some(&Token::Byte(b'-')) && *high != b']' =>
                {
                    *high
                }
                _ => {
                    set.add(low);
                    continue;
                }
            };
            if high < low {
                return self.wrong("a range that is reversed");
            }
            (low..=high).for_each(|byte| set.add(byte));
            self.at += 2;
        }
        let set = set.caseless();
        let set = if negated { set.not() } else { set };
        self.seen(set)
    }
}
