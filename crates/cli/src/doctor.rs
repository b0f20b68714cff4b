// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota doctor`.

use crate::exit::Exit;
use crate::output::{self, Format};
use anyhow::{Context, Result};
use rota_inspect::{Facts, KernelConfig, examine};
use rota_kernel::Host;
use std::fs;
use std::path::PathBuf;

/// Columns of the table.
const WIDTH: usize = 100;

/// Arguments of `rota doctor`.
#[derive(clap::Args)]
#[command(after_long_help = "Exit status: 0 if a scheduler can be loaded, 1 if not. A scheduler \
    that is attached already does not count against it.")]
pub(crate) struct Args {
    /// A table for people, or JSON
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// The options the kernel was built with, uncompressed [default: /boot/config-RELEASE]
    #[arg(long, value_name = "FILE")]
    kernel_config: Option<PathBuf>,
}

/// Looks at this machine and says what it allows.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    let config = args.kernel_config.as_ref().map(|path| {
        let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        anyhow::Ok(KernelConfig::parse(path.display().to_string(), &text))
    });
    let diagnosis = examine(&Facts::collect(&Host::default(), config.transpose()?));
    match args.format {
        Format::Table => output::text(&diagnosis.to_table(WIDTH))?,
        Format::Json => output::line(&serde_json::to_string_pretty(&diagnosis)?)?,
    }
    Ok(if diagnosis.can_run { Exit::Done } else { Exit::Negative })
}

/// Why no scheduler can be loaded here and what to do about it, on one line, for other commands.
pub(crate) fn in_short(host: &Host) -> Option<String> {
    rota_inspect::why_not(host).map(|(sentence, hint)| format!("{sentence}. {hint}"))
}
