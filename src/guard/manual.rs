//! `guard man` and `guard completions`: from the same definitions that parse the command line.

use super::{IDLE, Outcome};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use std::ffi::c_int;

/// The command itself, then each of its subcommands as a page of its own, concatenated as man(1) shows them.
pub fn man(command: &Command) -> Outcome {
    let mut page = Vec::new();
    let mut command = command.clone().name("runc-guard-guard");
    command.build();
    Man::new(command.clone()).section("8").render(&mut page)?;
    for subcommand in command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help") {
        let title = format!("runc-guard-guard-{}", subcommand.get_name());
        Man::new(subcommand.clone()).title(title).section("8").render(&mut page)?;
    }
    Ok((String::from_utf8(page)?, IDLE))
}

/// `guard` is a word of the program's own, so the script completes `runc-guard guard …`.
pub fn completions(command: &Command, shell: Shell) -> (String, c_int) {
    let mut program = Command::new("runc-guard").subcommand(command.clone().name("guard").bin_name("runc-guard guard"));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "runc-guard", &mut script);
    (String::from_utf8_lossy(&script).into_owned(), IDLE)
}
