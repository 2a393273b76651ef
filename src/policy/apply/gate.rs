//! What an nftables file may be about: our table, and nothing else.
//!
//! A file that begins with `flush ruleset` takes away everybody's rules, and loads without a complaint. So each
//! statement must name our table before nft sees any of it.

use super::ApplyError;

/// What can be done to our table, and what can be done to something in it.
const VERBS: [&str; 7] = [
    "add", "create", "delete", "destroy", "flush", "insert", "replace",
];

/// Checks a file.
pub fn check(text: &str) -> Result<(), ApplyError> {
    for statement in statements(text) {
        if !is_ours(&statement.words) {
            return Err(ApplyError::NotOurs {
                line: statement.line,
                words: statement.words.join(" ").chars().take(60).collect(),
            });
        }
    }
    Ok(())
}

fn is_ours(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["table", "inet", "imwarden"] => true,
        [verb, kind, "inet", "imwarden", ..] => {
            VERBS.contains(verb)
                && kind.chars().all(|c| c.is_ascii_lowercase())
                // Refused by nft as well, and in no file of ours.
                && *kind != "ruleset"
        }
        _ => false,
    }
}

/// A statement outside of all braces.
struct Statement {
    line: usize,
    words: Vec<String>,
}

/// Comments and what is between braces are left out, but for `include`, which nft obeys anywhere.
fn statements(text: &str) -> Vec<Statement> {
    let mut all = Vec::new();
    let mut now = Statement {
        line: 1,
        words: Vec::new(),
    };
    let mut depth = 0_usize;
    let mut word = String::new();
    let mut line = 1;
    let mut characters = text.chars().peekable();
    let mut quoted = false;
    let end_word =
        |word: &mut String, now: &mut Statement, all: &mut Vec<Statement>, depth, line| {
            let word = std::mem::take(word);
            if word == "include" {
                all.push(Statement {
                    line,
                    words: vec![word],
                });
            } else if depth == 0 && !word.is_empty() {
                if now.words.is_empty() {
                    now.line = line;
                }
                now.words.push(word);
            }
        };
    while let Some(character) = characters.next() {
        if quoted {
            quoted = character != '"';
            word.push(character);
            line += usize::from(character == '\n');
            continue;
        }
        match character {
            '"' => {
                quoted = true;
                word.push(character);
            }
            '#' => while characters.next_if(|next| *next != '\n').is_some() {},
            // A line that goes on with the next.
            '\\' if characters.next_if_eq(&'\n').is_some() => line += 1,
            '{' => {
                end_word(&mut word, &mut now, &mut all, depth, line);
                depth += 1;
            }
            '}' => {
                end_word(&mut word, &mut now, &mut all, depth, line);
                depth = depth.saturating_sub(1);
            }
            '\n' | ';' => {
                end_word(&mut word, &mut now, &mut all, depth, line);
                if depth == 0 && !now.words.is_empty() {
                    all.push(std::mem::replace(
                        &mut now,
                        Statement {
                            line,
                            words: Vec::new(),
                        },
                    ));
                }
                line += usize::from(character == '\n');
            }
            space if space.is_whitespace() => {
                end_word(&mut word, &mut now, &mut all, depth, line);
            }
            other => word.push(other),
        }
    }
    end_word(&mut word, &mut now, &mut all, depth, line);
    if !now.words.is_empty() {
        all.push(now);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_is_about_our_table_may_be_loaded() {
        for text in [
            "",
            "#!/usr/sbin/nft -f\n# flush ruleset\ntable inet imwarden\ndelete table inet imwarden\n\ntable inet imwarden {\n\tchain x {\n\t\taccept; drop;\n\t}\n}\n",
            "table inet imwarden { comment \"flush ruleset\"; }",
            "add element inet imwarden names4 { 192.0.2.1 }; flush chain inet imwarden judge",
            "table inet imwarden {\n}\nadd rule inet imwarden judge \\\n  tcp dport 5190 drop\n",
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_about_anything_else_may_not() {
        for (text, line) in [
            ("flush ruleset\ntable inet imwarden {\n}\n", 1),
            ("table inet imwarden {\n}\nflush ruleset", 3),
            ("table inet imwarden {\n}; flush ruleset inet", 2),
            ("table inet filter {\n}\n", 1),
            ("table ip imwarden {\n}\n", 1),
            ("table imwarden {\n}\n", 1),
            ("\n\ndelete table ip nat", 3),
            ("destroy table inet imwarden2", 1),
            ("add table inet filter; delete table inet filter", 1),
            ("include \"/etc/other.nft\"", 1),
            ("table inet imwarden {\n\tinclude \"x\"\n}\n", 2),
            ("define t = filter\ndelete table inet $t", 1),
            ("table inet imwarden\ndelete \\\n table ip nat", 2),
            (
                "# a\ntable inet imwarden { chain x { } } delete table ip nat",
                2,
            ),
            ("flush ruleset inet imwarden", 1),
        ] {
            match check(text) {
                Err(crate::policy::apply::ApplyError::NotOurs { line: found, .. }) => {
                    assert_eq!(found, line, "{text}");
                }
                other => assert!(other.is_err(), "{text} was taken"),
            }
        }
    }
}
