//! `imwarden sniff --tui` in a real terminal: tmux in a private network with a cable, keys pressed, the screen read.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test may fail"
)]

#[path = "../policy_support/mod.rs"]
mod policy_support;
#[cfg(feature = "tui")]
mod terminal;

/// Built without it, it says so before it opens anything.
#[cfg(not(feature = "tui"))]
#[test]
fn a_program_without_the_screen_says_so() {
    let imwarden = env!("CARGO_BIN_EXE_imwarden");
    let output = std::process::Command::new(imwarden)
        .args(["sniff", "-i", "lo", "--tui"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("built without the screen of --tui"), "{said}");
}
