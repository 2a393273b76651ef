//! Completion scripts and the manual page, both made from the same definitions as `--help`.

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

/// Writes the manual page: the program, then each command.
pub fn man(out: &mut dyn Write) -> io::Result<()> {
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::Man::new(command.clone()).render(out)?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("imwarden {}", sub.get_name());
        let page = clap_mangen::Man::new(sub.clone().bin_name(&name));
        writeln!(out, ".SH \"{}\"", name.to_uppercase())?;
        page.render_synopsis_section(out)?;
        page.render_description_section(out)?;
        page.render_options_section(out)?;
    }
    Ok(())
}
