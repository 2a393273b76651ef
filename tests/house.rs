//! Holds the import table of ARCHITECTURE.md: data walks one road, and no room reaches back.

#![allow(clippy::expect_used)]

use std::path::{Path, PathBuf};

/// Room, and the rooms it may import. `pipeline` and `cli` wire all.
const TABLE: [(&str, &[&str]); 9] = [
    ("model", &[]),
    ("ruleset", &["model"]),
    ("capture", &["model"]),
    ("packet", &["model"]),
    ("flow", &["model"]),
    ("report", &["model"]),
    ("classify", &["model", "flow", "ruleset"]),
    ("policy", &["model", "ruleset"]),
    (
        "scrub",
        &[
            "model", "capture", "packet", "flow", "classify", "ruleset", "pipeline",
        ],
    ),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.expect("a readable source tree").into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Rooms named as `crate::room` in a line of code.
fn rooms_named(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or_default()
        })
        .filter(|room| !room.is_empty())
        .collect()
}

#[test]
fn no_room_imports_what_the_table_does_not_allow() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for (room, allowed) in TABLE {
        for file in rust_files(&src.join(room)) {
            let text = std::fs::read_to_string(&file).expect("a readable source file");
            for (number, line) in text.lines().enumerate() {
                for named in rooms_named(line) {
                    seen += 1;
                    if named != room && !allowed.contains(&named) {
                        wrong.push(format!(
                            "{}:{}: {room} imports {named}",
                            file.display(),
                            number + 1
                        ));
                    }
                }
            }
        }
    }
    assert!(
        seen > 50,
        "the reader of imports finds nothing any more ({seen})"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Where other programs are started. Everybody else asks these; the last one tries whether the sandbox lets it.
const STARTERS: [&str; 5] = [
    "policy/tool.rs",
    "cli/namespace.rs",
    "cli/apply/guard.rs",
    "cli/sniff/check.rs",
    "cli/sniff/enforce/start.rs",
];

#[test]
fn other_programs_are_started_in_few_places() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let starters: Vec<String> = rust_files(&src)
        .into_iter()
        .filter(|file| {
            let text = std::fs::read_to_string(file).expect("a readable source file");
            text.contains("process::{Command") || text.contains("process::Command")
        })
        .map(|file| {
            let name = file.strip_prefix(&src).expect("a file below src");
            name.display().to_string()
        })
        .collect();
    let strangers: Vec<_> = starters
        .iter()
        .filter(|name| !STARTERS.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(starters.len(), STARTERS.len(), "{starters:?}");
}

#[test]
fn unsafe_code_is_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let allowed = "allow(unsafe_code)";
    let files = rust_files(&root.join("src")).into_iter().filter(|file| {
        let text = std::fs::read_to_string(file).expect("a readable source file");
        text.contains(allowed)
    });
    let files: Vec<PathBuf> = files.collect();
    assert_eq!(files, [root.join("src/capture/file/map.rs")]);
}

#[test]
fn the_reader_of_imports_sees_grouped_and_inline_paths() {
    assert_eq!(rooms_named("use crate::model::{Packet, Event};"), ["model"]);
    assert_eq!(
        rooms_named("fn f(x: &crate::flow::Budget, y: crate::cli::Y) {} // crate::report"),
        ["flow", "cli"]
    );
    assert!(rooms_named("//! see [`crate::classify`]").is_empty());
}
