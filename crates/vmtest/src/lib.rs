// SPDX-License-Identifier: GPL-2.0-or-later
//! Boots real Linux kernels with sched_ext in QEMU, without KVM, and runs commands there.
//!
//! A machine needs no disk image: the guest's root file system is the host's, read-only, over
//! virtiofs, so whatever is installed on the host can run in the guest. Kernels are Debian's
//! ([`Pins`]), fetched through a private apt and kept in a [`Cache`], or any file
//! ([`Kernel::from_file`]). [`boot()`] is for one command; [`Vm`] stays up and takes one command after
//! the other, each in some hundredths of a second, against several seconds for a boot.
//!
//! ```no_run
//! use std::time::Duration;
//! use rota_vmtest::{Cache, Kernel, Machine, Options, Vm};
//!
//! # fn main() -> rota_vmtest::Result<()> {
//! let cache = Cache::from_env()?;
//! let kernel = Kernel::select("7.3", &cache, &mut |_| ())?;
//! let machine = Machine::shaped("2s:2c:2t")?;
//! let mut vm = Vm::start(&cache, &machine, &kernel, &Options::default(), &mut |_| ())?;
//! let output = vm.run("cat /sys/kernel/sched_ext/state", Duration::from_secs(10))?;
//! assert_eq!((output.status, output.stdout.as_str()), (0, "disabled\n"));
//! # Ok(())
//! # }
//! ```

mod apt;
mod boot;
mod bzimage;
mod cache;
mod command;
mod console;
mod error;
mod guest;
mod host;
mod kernels;
mod machine;
mod pins;
mod process;
mod smp;
mod source;
mod tools;
mod version;
mod vm;

pub use boot::{Outcome, Request, boot};
pub use cache::{Cache, Progress};
pub use command::shell_quote;
pub use error::{Cause, Error, Failure, Result};
pub use guest::{GUEST_SHARE, Options};
pub use kernels::{Kernel, newest_pins};
pub use machine::{Machine, Threads};
pub use pins::{Pin, Pins, Role, rewrite};
pub use smp::Smp;
pub use source::{ExampleSource, example_schedulers};
pub use tools::{bpftool, veristat};
pub use version::Version;
pub use vm::{Output, Sink, Stream, Vm};
