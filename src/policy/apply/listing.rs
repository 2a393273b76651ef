//! Our table, as `nft list table` prints it.
//!
//! The listing is kept as text: what `nft -j` prints cannot be loaded again.

use crate::policy::live;

/// One thing in a table: a set, a map, a chain, a counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// `set`, `map`, `chain`, `counter`, ...
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What is between its braces, a line each.
    pub lines: Vec<&'a str>,
}

/// All of them, in order. What stands in the table by itself, its comment, is none.
pub fn blocks(listing: &str) -> Vec<Block<'_>> {
    let mut all = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for line in listing.lines() {
        match &mut open {
            None => {
                let head = line
                    .strip_prefix('\t')
                    .and_then(|line| line.strip_suffix(" {"));
                if let Some((kind, name)) = head.and_then(|head| head.split_once(' ')) {
                    open = Some(Block {
                        kind,
                        name,
                        lines: Vec::new(),
                    });
                }
            }
            Some(block) if line != "\t}" => block.lines.push(line.trim()),
            Some(_) => all.extend(open.take()),
        }
    }
    all
}

impl<'a> Block<'a> {
    /// Whether its elements come and go by themselves: learned by a resolver, or with an end.
    pub fn is_timed(&self) -> bool {
        let collection = matches!(self.kind, "set" | "map");
        collection
            && self.lines.iter().any(|line| {
                let flags = line.strip_prefix("flags ").unwrap_or_default();
                line.starts_with("timeout ")
                    || flags
                        .split(',')
                        .any(|flag| matches!(flag, "timeout" | "dynamic"))
            })
    }

    /// What it takes.
    pub fn of_type(&self) -> Option<&'a str> {
        self.lines
            .iter()
            .find_map(|line| line.strip_prefix("type "))
    }

    /// Its elements, as they were printed.
    pub fn elements(&self) -> Option<String> {
        let start = self
            .lines
            .iter()
            .position(|line| line.starts_with("elements = {"))?;
        let text = self.lines.get(start..)?.join(" ");
        let inner = text.strip_prefix("elements = {")?.strip_suffix('}')?.trim();
        (!inner.is_empty()).then(|| inner.to_owned())
    }
}

impl Block<'_> {
    /// How many elements it has.
    pub fn size(&self) -> usize {
        let elements = self.elements().unwrap_or_default();
        let mut quoted = false;
        let commas = elements.chars().filter(|c| {
            quoted ^= *c == '"';
            *c == ',' && !quoted
        });
        commas.count() + usize::from(!elements.is_empty())
    }
}

/// The same listing without elements that come and go.
pub fn without_learned(listing: &str) -> String {
    let mut text = String::new();
    let mut timed = blocks(listing)
        .into_iter()
        .filter(Block::is_timed)
        .map(|block| format!("\t{} {} {{", block.kind, block.name));
    let mut next = timed.next();
    let (mut inside, mut elements) = (false, false);
    for line in listing.lines() {
        if next.as_deref() == Some(line) {
            inside = true;
            next = timed.next();
        } else if line == "\t}" {
            (inside, elements) = (false, false);
        } else if inside && line.starts_with("\t\telements = {") {
            elements = true;
        }
        if !elements {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// A listing of all tables without ours. What is refused live comes and goes by itself.
pub fn without_our_table(listing: &str) -> String {
    let mut text = String::new();
    let mut ours = false;
    for line in listing.lines() {
        if line == "table inet imwarden {" || live::begins_our_table(line) {
            ours = true;
        }
        if !ours {
            text.push_str(line);
            text.push('\n');
        }
        if line == "}" {
            ours = false;
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LISTING: &str = "\
table inet imwarden {
	comment \"a comment\"
	counter hits {
		packets 3 bytes 180
	}

	set names4 {
		type ipv4_addr
		size 4096
		timeout 1h
		elements = { 192.0.2.1 expires 59m59s, 192.0.2.2 timeout 1m expires 2s,
			     192.0.2.3 comment \"} { \" }
	}

	set fixed {
		type ipv4_addr
		flags interval
		elements = { 10.0.0.0/8 }
	}

	chain forward {
		type filter hook forward priority filter - 5; policy accept;
		ip daddr @names4 drop
	}
}
";

    #[test]
    fn a_listing_is_taken_apart() {
        let all = blocks(LISTING);
        let heads: Vec<_> = all.iter().map(|block| (block.kind, block.name)).collect();
        assert_eq!(
            heads,
            [
                ("counter", "hits"),
                ("set", "names4"),
                ("set", "fixed"),
                ("chain", "forward")
            ]
        );
        let timed: Vec<_> = all.iter().map(Block::is_timed).collect();
        assert_eq!(timed, [false, true, false, false]);
        assert_eq!(all[1].of_type(), Some("ipv4_addr"));
        assert_eq!(
            all[1].elements().unwrap(),
            "192.0.2.1 expires 59m59s, 192.0.2.2 timeout 1m expires 2s, 192.0.2.3 comment \"} { \""
        );
        assert_eq!(all[3].lines.len(), 2);
        assert_eq!(all[3].elements(), None);
        let sizes: Vec<_> = all.iter().map(Block::size).collect();
        assert_eq!(sizes, [0, 3, 1, 0]);
    }

    #[test]
    fn what_is_learned_makes_no_difference_and_what_is_fixed_does() {
        let text = without_learned(LISTING);
        assert!(!text.contains("192.0.2."), "{text}");
        assert!(text.contains("10.0.0.0/8"));
        assert!(text.contains("ip daddr @names4 drop"));
        let emptied = LISTING.replace("10.0.0.0/8", "10.0.0.0/9");
        assert_ne!(without_learned(&emptied), text);
    }

    #[test]
    fn our_table_is_cut_out_of_all() {
        let all = format!(
            "table ip nat {{\n\tchain a {{\n\t}}\n}}\n{LISTING}table inet imwarden_live {{\n\tcounter cut {{\n\t}}\n}}\ntable inet x {{\n}}\n"
        );
        assert_eq!(
            without_our_table(&all),
            "table ip nat {\n\tchain a {\n\t}\n}\ntable inet x {\n}\n"
        );
    }
}
