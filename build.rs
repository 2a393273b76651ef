//! Asks once whether libpcap can be linked, and says so to the code as `cfg(have_libpcap)`.
//!
//! `IMWARDEN_LIBPCAP` overrides: `auto` (the default) uses it when pkg-config finds it, `require` fails
//! without it, `off` leaves it out. The `pcap` crate is a plain dependency whose code nobody names when the
//! answer is no. Its `-lpcap` stands on the linker's command line all the same where the link-time optimiser
//! sees all crates, so an empty archive of that name is put in the linker's way: nothing of it is needed.

#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a build script talks to cargo by printing"
)]

use std::path::PathBuf;
use std::process::ExitCode;

/// An `ar` archive with nothing in it.
const EMPTY_ARCHIVE: &[u8] = b"!<arch>\n";

fn main() -> ExitCode {
    println!("cargo:rerun-if-env-changed=IMWARDEN_LIBPCAP");
    println!("cargo:rerun-if-changed=build.rs");
    let wish = std::env::var("IMWARDEN_LIBPCAP").unwrap_or_else(|_| "auto".into());
    let found = || {
        pkg_config::Config::new()
            .cargo_metadata(false)
            .probe("libpcap")
    };
    let linked = match wish.as_str() {
        "off" => false,
        "auto" | "" => found().is_ok(),
        "require" => match found() {
            Ok(_) => true,
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
    };
    if linked {
        println!("cargo:rustc-cfg=have_libpcap");
    } else if let Err(error) = stand_in() {
        eprintln!("cannot write to OUT_DIR: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Satisfies the `-lpcap` of a crate whose code is not used.
fn stand_in() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    std::fs::write(folder.join("libpcap.a"), EMPTY_ARCHIVE)?;
    println!("cargo:rustc-link-search=native={}", folder.display());
    Ok(())
}
