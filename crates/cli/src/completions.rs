// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota completions SHELL`.

use crate::exit::Exit;
use crate::{args, output};
use anyhow::Result;
use clap_complete::Shell;

/// Arguments of `rota completions`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell to write for, as in `rota completions bash > /etc/bash_completion.d/rota`
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "rota", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
