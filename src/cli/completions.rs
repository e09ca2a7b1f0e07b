//! `stoa completions`: a script by which a shell completes verbs and flags.

use anyhow::Result;
use clap::Command;
use clap_complete::Shell;

use super::output::say;

#[derive(clap::Args)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints it.
pub fn run(args: &Args, mut command: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "stoa", &mut script);
    say(String::from_utf8(script)?.trim_end())
}
