// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs commands in virtual machines with real Linux kernels that have sched_ext.
///
/// The machines run under software emulation, so no KVM is needed, but root is. Their root file
/// system is this computer's, read-only: every program here can be run there.
#[derive(Debug, Parser)]
#[command(version, name = "rota-vm", after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  rota-vm run -- uname -r                        the newest supported kernel
  rota-vm run --kernel 6.16 -- 'lscpu | head'    one argument is a shell script
  rota-vm run --smp 2s:2c:2t -- lscpu -e         2 sockets, 2 cores each, 2 threads each
  rota-vm run --smp 8 --nodes 2 -- numactl -H    2 NUMA nodes of 4 CPUs

Kernels and tools are kept in $ROTA_CACHE, else in ~/.cache/rota.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Boot a machine, run a command there, and pass its output and exit status on
    Run(Run),
    /// List the pinned kernels, and whether they are in the cache
    Kernels,
    /// Download kernels into the cache
    Fetch {
        /// Series or versions, such as 6.16; without any, all supported kernels
        versions: Vec<String>,
    },
    /// Move the pins to the newest kernel of each series on the mirror
    Update {
        /// The pins file [default: crates/vmtest/kernels.txt in this folder or one above]
        #[arg(long, value_name = "FILE")]
        pins: Option<PathBuf>,
    },
}

/// Boots a machine, runs a command there, and passes its output and exit status on.
#[derive(Debug, Args)]
#[command(after_long_help = STATUS)]
pub(crate) struct Run {
    /// A pinned series or version (see `rota-vm kernels`), or the path of any kernel image, with
    /// a slash in it [default: the newest supported kernel]
    #[arg(long, value_name = "VERSION|FILE")]
    pub(crate) kernel: Option<String>,
    /// The CPUs: a number, sockets/LLCs/cores/threads such as 2s:2l:2c:2t (each per the one before
    /// it, what is left out is 1), or QEMU's own words
    #[arg(long, value_name = "SPEC", default_value = "4")]
    pub(crate) smp: rota_vmtest::Smp,
    /// Memory, such as 512M or 2G
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = parse_mib)]
    pub(crate) mem: u32,
    /// NUMA nodes; CPUs and memory are split evenly among them
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) nodes: u32,
    /// Emulate all CPUs in one thread, or each in its own: faster, but the kernel may oops
    #[arg(long, value_enum, default_value = "single")]
    pub(crate) threads: ThreadsArgument,
    /// Count instructions instead of time, 2^SHIFT ns each, so that runs repeat closely
    #[arg(long, value_name = "SHIFT", value_parser = clap::value_parser!(u8).range(0..=10))]
    pub(crate) icount: Option<u8>,
    /// How many seconds the command may take after booting
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// A folder put before the PATH of the command; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Vec<PathBuf>,
    /// A folder that the command may write to; may be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) writable: Vec<PathBuf>,
    /// More words for the kernel's command line
    #[arg(long, value_name = "WORDS", default_value = "")]
    pub(crate) append: String,
    /// Keep the kernel's console in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) console: Option<PathBuf>,
    /// Also print the kernel's whole console and the times
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// The command and its arguments; a single one is a shell script. It starts in the current
    /// folder
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<String>,
}

const STATUS: &str = "\
Exit status: the command's own; 124 if it did not end in time; 125 if the machine was lost
(the kernel panicked, QEMU ended); 2 if the machine could not be prepared.";

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ThreadsArgument {
    Single,
    Multi,
}

fn parse_mib(text: &str) -> Result<u32, String> {
    let (number, factor) = match text.strip_suffix(['G', 'g']) {
        Some(number) => (number, 1024),
        None => (text.strip_suffix(['M', 'm']).unwrap_or(text), 1),
    };
    let mib = number.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
    mib.ok_or_else(|| "a size is a number of megabytes, or one with M or G".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn sizes() {
        let sizes = ["512M", "2G", "300"].map(|text| parse_mib(text).unwrap());
        assert_eq!(sizes, [512, 2048, 300]);
        for bad in ["", "G", "2T", "-1", "9999999G"] {
            assert!(parse_mib(bad).is_err(), "{bad}");
        }
    }
}
