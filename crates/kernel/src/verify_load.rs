// SPDX-License-Identifier: GPL-2.0-or-later
//! Loading with a log for each program, for which libbpf-rs has no call.
//!
//! libbpf writes a program's log into memory that the caller lends it. All of that memory is owned
//! by one function here, and outlives the object that knows its address.

#![expect(unsafe_code, reason = "libbpf-rs can't lend a program memory for its log")]

use libbpf_rs::{AsRawLibbpf, OpenObject};
use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

/// The verifier's figures, and no more: what veristat asks for too.
pub(crate) const STATS: Amount = Amount { level: 4, bytes: 256 << 10 };
/// The figures, and before them the steps on the path that led to a rejection.
pub(crate) const STEPS: Amount = Amount { level: 4 | 1, bytes: 16 << 20 };

/// How much the verifier shall say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount {
    level: u32,
    /// Memory for the log of one program; of a longer one the kernel keeps the end.
    bytes: usize,
}

/// A program after an attempt to load its object.
#[derive(Debug, Clone)]
pub(crate) struct Attempted {
    pub(crate) name: String,
    /// Whether it belongs to what is loaded.
    pub(crate) wanted: bool,
    pub(crate) loaded: bool,
    /// Instructions, functions that it calls included.
    pub(crate) insns: usize,
    /// Machine code; 0 if it isn't loaded.
    pub(crate) jited_bytes: u64,
    pub(crate) program_type: String,
    pub(crate) attach_type: String,
    pub(crate) log: String,
}

/// Loads an object, says whether that went well and what became of each program, and unloads it.
pub(crate) fn load(open: OpenObject, amount: Amount) -> (bool, Vec<Attempted>) {
    let programs: Vec<_> = open.progs().map(|p| (p.as_libbpf_object(), p.autoload())).collect();
    let memory = |autoload| if autoload { vec![0u8; amount.bytes] } else { Vec::new() };
    let mut logs: Vec<Vec<u8>> = programs.iter().map(|&(_, autoload)| memory(autoload)).collect();
    for (&(program, _), log) in programs.iter().zip(&mut logs).filter(|(_, log)| !log.is_empty()) {
        // SAFETY: the program belongs to `open`, which lives and is not loaded; the memory is as
        // long as is said, and is freed after `open`.
        unsafe {
            libbpf_sys::bpf_program__set_log_level(program.as_ptr(), amount.level);
            libbpf_sys::bpf_program__set_log_buf(
                program.as_ptr(),
                log.as_mut_ptr().cast::<c_char>(),
                log.len() as libbpf_sys::size_t,
            );
        }
    }
    // SAFETY: `open` is an object that has not been loaded yet. It is not used as an open object
    // afterwards: its programs are only looked at, and then it is closed.
    let status = unsafe { libbpf_sys::bpf_object__load(open.as_libbpf_object().as_ptr()) };
    let attempted = programs.iter().zip(&logs).map(|(&(program, _), log)| look(program, log));
    let attempted = attempted.collect();
    drop(open);
    (status == 0, attempted)
}

/// What libbpf and the kernel know about a program of an object that still exists.
fn look(program: NonNull<libbpf_sys::bpf_program>, log: &[u8]) -> Attempted {
    let program = program.as_ptr();
    // SAFETY: the program belongs to an object that has not been closed. These calls only read it;
    // the names that they return are constants, or live as long as the object.
    unsafe {
        let fd = libbpf_sys::bpf_program__fd(program);
        let program_type = libbpf_sys::bpf_program__type(program);
        let attach_type = libbpf_sys::bpf_program__expected_attach_type(program);
        Attempted {
            name: text(libbpf_sys::bpf_program__name(program)),
            wanted: libbpf_sys::bpf_program__autoload(program),
            loaded: fd >= 0,
            insns: usize::try_from(libbpf_sys::bpf_program__insn_cnt(program)).unwrap_or(0),
            jited_bytes: if fd >= 0 { jited_bytes(fd) } else { 0 },
            program_type: text(libbpf_sys::libbpf_bpf_prog_type_str(program_type)),
            attach_type: text(libbpf_sys::libbpf_bpf_attach_type_str(attach_type)),
            log: until_nul(log),
        }
    }
}

/// A name of libbpf's.
///
/// # Safety
/// `name` is null, or a text that ends in a zero byte.
unsafe fn text(name: *const c_char) -> String {
    if name.is_null() {
        return String::new();
    }
    // SAFETY: not null, and the caller says that it is a text.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

fn jited_bytes(fd: i32) -> u64 {
    let mut info = libbpf_sys::bpf_prog_info::default();
    let mut len = u32::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes. All pointers in `info` are null, so it writes
    // nowhere else.
    let status = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut len) };
    if status == 0 { u64::from(info.jited_prog_len) } else { 0 }
}

fn until_nul(log: &[u8]) -> String {
    let end = log.iter().position(|&b| b == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}
