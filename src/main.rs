//! imwarden
use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "imwarden", version)]
enum Cli {
    Policy(imwarden::cli::policy::PolicyArgs),
    Rules(imwarden::cli::rules::RulesArgs),
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    let result = match Cli::parse() {
        Cli::Policy(args) => {
            imwarden::cli::policy::run(&args, &mut out).map_err(|error| error.to_string())
        }
        Cli::Rules(args) => {
            imwarden::cli::rules::run(&args, &mut out).map_err(|error| error.to_string())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}
