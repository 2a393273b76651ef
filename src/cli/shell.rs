//! Completion scripts, made from the same definitions as `--help`.

use super::Cli;
use clap::CommandFactory;
use std::io::{self, Write};

/// Arguments of `imwarden completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Writes a completion script.
pub fn completions(args: &CompletionArgs, out: &mut dyn Write) -> io::Result<()> {
    // clap_complete panics when its writer fails; a Vec does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "imwarden", &mut script);
    out.write_all(&script)
}
