// SPDX-License-Identifier: GPL-2.0-or-later
//! The door to the live kernel.
//!
//! [`Live`] loads an object through libbpf and is the [`rota_object::World`] of a running system.
//! [`Host`] reads what the kernel says about itself. This is the only crate that knows libbpf,
//! and one of the few with `unsafe`; each such block says what it relies on.

mod bpf_lines;
mod bpf_objects;
mod bpf_pins;
mod bpf_values;
mod calls;
mod capabilities;
mod counters;
mod holders;
mod host;
mod live;
mod log;
mod memory;
mod plan;
mod probe;
mod record;
mod refusal;
mod rings;
mod threads;
mod verify;
mod verify_load;

pub use bpf_lines::{BpfCode, BpfLine, bpf_code};
pub use bpf_objects::{
    BpfLink, BpfMap, BpfProgram, BpfTypes, bpf_links, bpf_maps, bpf_programs, bpf_types,
};
pub use bpf_pins::{BpfPins, bpf_pinned};
pub use bpf_values::{BpfEntry, BpfValue, bpf_map_entries, bpf_run_stats, bpf_type_bytes};
pub use calls::{
    AboutCall, CALL_ARGS, CallObjects, CallOptions, CallRecord, CallTarget, CallText, Calls,
    Missing, Returns,
};
pub use capabilities::{Capabilities, Capability};
pub use counters::Counters;
pub use holders::{BpfHolders, BpfKind, Holder, Holders, maps_of_kernel_type};
pub use host::{Host, SchedExt, boot_ns, now_ns};
pub use live::Live;
pub use log::{Verbosity, set_verbosity};
pub use plan::Plan;
pub use probe::{BpfProbe, probe_bpf};
pub use record::{Attach, Recorded, Recorder, RecorderObjects, RecorderOptions, Wanted};
pub use threads::{ThreadPolicy, ThreadSwitches, set_thread_policy, thread_switches};
pub use verify::{Verification, VerifiedProgram, verify};
