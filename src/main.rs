//! The `imwarden` program: everything is in the library's `cli`.

use std::process::ExitCode;

/// Findings are allocated by the thread that reads and freed by the one that writes, which costs glibc's allocator a sixth of all the
/// work. (musl's programs keep their own: they are built without a C compiler for musl.)
#[cfg(not(target_env = "musl"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    imwarden::cli::main()
}
