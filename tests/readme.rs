//! What README.md shows is what the program prints.
#![allow(clippy::unwrap_used, clippy::panic)]

use assert_cmd::Command;
use std::collections::BTreeSet;
use std::path::Path;

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = Command::cargo_bin("imwarden")
        .unwrap()
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(args)
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    String::from_utf8(output).unwrap()
}

/// A block of the kind ```` ```KIND ```` that holds `within`.
fn block(readme: &str, kind: &str, within: &str) -> String {
    let fence = format!("```{kind}\n");
    let mut blocks = readme.split(&fence).skip(1);
    let found = blocks.find_map(|rest| {
        let block = rest.split("```").next()?;
        block.contains(within).then(|| block.to_owned())
    });
    found.unwrap_or_else(|| panic!("README.md has no {kind} block with {within:?}"))
}

#[test]
fn the_first_commands_output_is_the_one_that_is_shown() {
    let shown = block(&readme(), "text", "HOST");
    let printed = printed(&["analyze", "sample-pcaps/office.pcap"]);
    let mut lines = printed.lines();
    let mut cut = false;
    for shown in shown.lines() {
        if shown == "..." {
            cut = true;
            continue;
        }
        let line = if cut {
            lines.find(|line| *line == shown)
        } else {
            lines.next()
        };
        assert_eq!(line, Some(shown));
        cut = false;
    }
    assert_eq!(lines.next(), None, "README.md leaves out the end");
}

#[test]
fn every_option_that_is_named_is_in_some_commands_help() {
    let mut known = BTreeSet::new();
    collect(&[], &mut known);
    let readme = readme();
    // Other programs' options stand in the blocks and lines that call them.
    let ours = readme
        .split('`')
        .filter(|code| code.starts_with("--") && !code.contains('\n'));
    let mut seen = 0;
    for code in ours {
        let option = code
            .split(|c: char| c != '-' && !c.is_ascii_lowercase())
            .next()
            .unwrap();
        assert!(known.contains(option), "README.md names {option}");
        seen += 1;
    }
    assert!(seen > 20, "only {seen} options were found in README.md");
}

/// The long options of a command and of those below it.
fn collect(command: &[&str], known: &mut BTreeSet<String>) {
    let help = printed(&[command, &["--help"]].concat());
    let words = help.split(|c: char| c != '-' && !c.is_ascii_lowercase());
    known.extend(words.filter(|w| w.starts_with("--")).map(str::to_owned));
    let below = help.split("Commands:\n").nth(1).unwrap_or_default();
    for line in below.lines().take_while(|line| line.starts_with("  ")) {
        let name = line.split_whitespace().next().unwrap();
        if line.starts_with("   ") || name == "help" {
            continue;
        }
        collect(&[command, &[name]].concat(), known);
    }
}
