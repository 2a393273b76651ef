//! Replays the corpus of the fuzz targets (`fuzz/corpus/`) on a stable compiler: each input once made a difference, or once
//! made a target fail.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

#[path = "../fuzz/targets/mod.rs"]
#[allow(unreachable_pub, dead_code, clippy::pedantic, clippy::expect_used)]
mod targets;

use std::path::{Path, PathBuf};

/// What the corpus may weigh, in bytes and in inputs a target.
const MOST_BYTES: u64 = 1_500_000;
const MOST_INPUTS: usize = 60;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = std::fs::read_dir(folder.join(target));
    let mut files: Vec<_> = entries
        .unwrap_or_else(|error| panic!("the corpus of {target}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn every_input_of_the_corpus_holds() {
    let threads: Vec<_> = targets::ALL
        .into_iter()
        .map(|(name, run)| {
            let replay = move || {
                for file in corpus(name) {
                    let bytes = std::fs::read(&file).unwrap();
                    // Named first, so that the last line before a failure says which input it was.
                    println!("{name}: {}", file.display());
                    run(&bytes);
                }
            };
            std::thread::spawn(replay)
        })
        .collect();
    let failed = threads
        .into_iter()
        .zip(targets::ALL)
        .filter_map(|(thread, (name, _))| thread.join().err().map(|_| name))
        .collect::<Vec<_>>();
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

#[test]
fn every_target_has_a_corpus_of_reasonable_size() {
    let mut weight = 0;
    for (name, _) in targets::ALL {
        let files = corpus(name);
        assert!(
            (5..=MOST_INPUTS).contains(&files.len()),
            "{name} has {} inputs",
            files.len()
        );
        let sizes = files.iter().map(|file| file.metadata().unwrap().len());
        weight += sizes.sum::<u64>();
    }
    assert!(weight <= MOST_BYTES, "{weight} bytes");
}

/// `fuzz/` builds on its own: what it says of its targets must be the same as what is here.
#[test]
fn every_target_has_its_binary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        let shim = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(shim.contains(&format!("::{name}(data)")), "{name}");
    }
    assert_eq!(
        manifest.matches("[[bin]]").count(),
        targets::ALL.len(),
        "a binary without a target"
    );
}
