//! Makes the captures of `sample-pcaps/`, each with its truth beside it.
//!
//! `cargo run --example make-samples [FOLDER]`: the same bytes every time. Nothing of the library is used here: what a
//! capture holds is known from the scenario that made it, not from the program that will read it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it says what it wrote"
)]

mod scenario;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("sample-pcaps"), PathBuf::from);
    match scenario::write_all(&folder) {
        Ok(count) => {
            println!("{count} captures in {}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}
