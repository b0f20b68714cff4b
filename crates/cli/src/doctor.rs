// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota doctor`.

use crate::exit::Exit;
use crate::file;
use crate::output::{self, Format};
use anyhow::Result;
use rota_inspect::{Facts, KernelConfig, examine};
use rota_kernel::Host;
use rota_object::Refusal;
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
        let text = file::read_text(path)?;
        anyhow::Ok(KernelConfig::parse(path.display().to_string(), &text))
    });
    let diagnosis = examine(&Facts::collect(&Host::default(), config.transpose()?));
    let text = match args.format {
        Format::Table => diagnosis.to_table(WIDTH),
        Format::Json => serde_json::to_string_pretty(&diagnosis)? + "\n",
    };
    output::if_anyone_reads(output::text(&text).map_err(Into::into))?;
    Ok(if diagnosis.can_run { Exit::Done } else { Exit::Negative })
}

/// Why the machine refuses a scheduler, what works all the same, and what to do about it, on one line,
/// for other commands.
pub(crate) fn explained(host: &Host, refusal: &Refusal, works: Option<&str>) -> Option<String> {
    let kernel = host.proc_text("sys/kernel/osrelease").filter(|_| of_kernel(refusal));
    let kernel = kernel.map_or_else(String::new, |release| format!("Linux {}: ", release.trim()));
    let works = works.filter(|_| of_kernel(refusal));
    let works = works.map_or_else(String::new, |command| {
        format!("What works here, on a simulated machine: {command}. ")
    });
    let short = rota_inspect::why_not(host)
        .map(|(sentence, hint)| format!("{kernel}{sentence}. {works}{hint}"));
    match refusal {
        Refusal::NoSchedExt | Refusal::NoBtf | Refusal::Permission => short,
        // What stands in the way of all schedulers may stand in the way of this one.
        Refusal::Other(words) => short.map(|short| format!("{words}; {short}")),
        Refusal::Busy(_) | Refusal::Verifier { .. } | Refusal::Exit(_) => None,
    }
}

/// Whether it is the kernel that can do nothing, whoever asks.
fn of_kernel(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NoSchedExt | Refusal::NoBtf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_kernel_that_can_not_is_named_with_what_works_there() {
        let folder = tempfile::tempdir().unwrap();
        let (sys, proc) = (folder.path().join("sys"), folder.path().join("proc"));
        fs::create_dir_all(sys.join("kernel")).unwrap();
        fs::create_dir_all(proc.join("sys/kernel")).unwrap();
        fs::write(proc.join("sys/kernel/osrelease"), "6.1.0-9-amd64\n").unwrap();
        let host = Host::new(&sys, &proc);
        let said = explained(&host, &Refusal::NoSchedExt, Some("rota sim simple")).unwrap();
        assert!(said.starts_with("Linux 6.1.0-9-amd64: "), "{said}");
        assert!(
            said.contains("What works here, on a simulated machine: rota sim simple. "),
            "{said}"
        );
        // Who lacks a permission has a kernel that works.
        let said = explained(&host, &Refusal::Permission, Some("rota sim simple")).unwrap();
        assert!(!said.contains("rota sim") && !said.contains("6.1.0"), "{said}");
    }
}
