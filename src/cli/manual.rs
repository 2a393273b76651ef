//! The manual, made from the same definitions as `--help`.

use super::{Cli, CliError};
use clap::CommandFactory;
use clap_mangen::Man;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Arguments of `imwarden man`.
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Write into this folder, one page for each command, instead of everything to standard output
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// Writes the manual.
pub fn run(args: &ManArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let program = program();
    match &args.dir {
        Some(folder) => write_pages(&program, &program, folder),
        None => Ok(one_document(&program, out)?),
    }
}

/// The program and its commands, each with its full name.
fn program() -> clap::Command {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    program
}

/// The commands below this one that are for people.
fn commands(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn page(program: &clap::Command, command: &clap::Command) -> Man {
    let version = program.get_version().unwrap_or_default();
    Man::new(command.clone())
        // An empty one would be left out, and what comes behind it be taken for the date.
        .date(" ")
        .source(format!("{} {version}", program.get_name()))
        .manual("User Commands")
}

/// The program's page with what is special about each command behind it.
fn one_document(program: &clap::Command, out: &mut dyn Write) -> io::Result<()> {
    write_page(program, program, out)?;
    let mut waiting: Vec<_> = commands(program).collect();
    waiting.reverse();
    while let Some(command) = waiting.pop() {
        let man = page(program, command);
        let name = full_name(command).to_uppercase();
        writeln!(out, ".SH \"{name}\"")?;
        man.render_synopsis_section(out)?;
        man.render_description_section(out)?;
        man.render_options_section(out)?;
        let at = waiting.len();
        waiting.extend(commands(command));
        waiting[at..].reverse();
    }
    Ok(())
}

/// One file for this command and each below it.
fn write_pages(
    program: &clap::Command,
    command: &clap::Command,
    folder: &Path,
) -> Result<(), CliError> {
    let path = folder.join(page(program, command).get_filename());
    let mut text = Vec::new();
    write_page(program, command, &mut text)?;
    std::fs::write(&path, text).map_err(|source| CliError::Write {
        what: path.display().to_string(),
        source,
    })?;
    commands(command).try_for_each(|sub| write_pages(program, sub, folder))
}

fn write_page(
    program: &clap::Command,
    command: &clap::Command,
    out: &mut dyn Write,
) -> io::Result<()> {
    let man = page(program, command);
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if commands(command).next().is_some() {
        man.render_subcommands_section(out)?;
    }
    writeln!(out, ".SH \"EXIT STATUS\"\n.nf")?;
    for line in super::EXIT_CODES.lines().skip(1) {
        writeln!(out, "{}", line.trim())?;
    }
    writeln!(out, ".fi")?;
    if command.get_name() != program.get_name() {
        writeln!(out, ".SH \"SEE ALSO\"\n.BR {} (1)", program.get_name())?;
    }
    Ok(())
}

fn full_name(command: &clap::Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}
