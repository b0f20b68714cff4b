// SPDX-License-Identifier: GPL-2.0-or-later
//! Small attempts that show what bpf(2) allows here.

use crate::log;
use libbpf_rs::MapType;

/// What bpf(2) let this process do. Each is tried with a map that is gone at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfProbe {
    /// Whether the plainest map can be made: else the call is missing, or forbidden by a
    /// security module, a seccomp filter or a user namespace.
    pub works: bool,
    /// Whether there are ring buffers.
    pub ring_buffer: bool,
}

/// Tries bpf(2). The answer means something only with the capabilities to use it.
pub fn probe_bpf() -> BpfProbe {
    let try_map = |kind: MapType| log::capture(|| kind.is_supported().unwrap_or(false)).0;
    BpfProbe { works: try_map(MapType::Array), ring_buffer: try_map(MapType::RingBuf) }
}
