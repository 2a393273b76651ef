//! Asks once whether libpcap can be linked, and says so to the code as `cfg(have_libpcap)`.
//!
//! `IMWARDEN_LIBPCAP` overrides: `auto` (the default) uses it when pkg-config finds it, `require` fails
//! without it, `off` leaves it out. The `pcap` crate is a plain dependency; a crate that no code names is
//! not linked, so the binary has no libpcap in its NEEDED list when the answer is no.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a build script talks to cargo by printing"
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    println!("cargo:rerun-if-env-changed=IMWARDEN_LIBPCAP");
    println!("cargo:rerun-if-changed=build.rs");
    let wish = std::env::var("IMWARDEN_LIBPCAP").unwrap_or_else(|_| "auto".into());
    let found = || {
        pkg_config::Config::new()
            .cargo_metadata(false)
            .probe("libpcap")
    };
    match wish.as_str() {
        "off" => {}
        "auto" | "" => {
            if found().is_ok() {
                println!("cargo:rustc-cfg=have_libpcap");
            }
        }
        "require" => match found() {
            Ok(_) => println!("cargo:rustc-cfg=have_libpcap"),
            Err(error) => {
                eprintln!(
                    "IMWARDEN_LIBPCAP=require, but libpcap was not found (Debian: apt install libpcap-dev pkg-config)\n{error}"
                );
                return ExitCode::FAILURE;
            }
        },
        other => {
            eprintln!("IMWARDEN_LIBPCAP={other}: use auto, require or off");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
