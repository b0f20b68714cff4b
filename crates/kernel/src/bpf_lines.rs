// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the machine code of BPF programs is, and from which lines of source it was made.
#![expect(unsafe_code, reason = "libbpf-rs leaves out what the kernel tells of machine code")]

use crate::bpf_objects::{about, each};
use crate::bpf_values::bpf_type_bytes;
use libbpf_sys::{bpf_line_info, bpf_prog_info};
use rota_object::{Btf, EngineError};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

/// The machine code of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BpfCode {
    /// The number of the program.
    pub program_id: u32,
    /// Its functions, the program's own first: the address and size of each.
    pub functions: Vec<(u64, u32)>,
    /// Where each line of source begins, by addresses; empty if it has no lines.
    pub lines: Vec<BpfLine>,
}

/// From here on, machine code is of this line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfLine {
    /// The address.
    pub address: u64,
    /// The file of source.
    pub file: String,
    /// The number of the line.
    pub line: u32,
}

/// The machine code of all programs. Addresses are 0 if the kernel hides them.
///
/// # Errors
/// [`EngineError::System`], without the permission to list programs (`CAP_SYS_ADMIN`).
pub fn bpf_code() -> Result<Vec<BpfCode>, EngineError> {
    use libbpf_sys::{bpf_prog_get_fd_by_id, bpf_prog_get_next_id};
    let mut all = Vec::new();
    let mut types = BTreeMap::new();
    each("programs", bpf_prog_get_next_id, bpf_prog_get_fd_by_id, |_, fd| {
        all.extend(code(fd, &mut types));
    })?;
    Ok(all)
}

/// Types by their numbers, of programs with lines; `None` if they can't be read.
type Types = BTreeMap<u32, Option<Btf>>;

fn code(fd: &OwnedFd, types: &mut Types) -> Option<BpfCode> {
    let mut info = bpf_prog_info::default();
    // SAFETY: it is a program, and nothing is asked for that needs memory.
    unsafe { about(fd, &mut info) }?;
    let mut addresses = vec![0_u64; info.nr_jited_ksyms as usize];
    let mut sizes = vec![0_u32; info.nr_jited_func_lens as usize];
    let mut lines = vec![bpf_line_info::default(); info.nr_line_info as usize];
    let mut places = vec![0_u64; info.nr_jited_line_info as usize];
    let mut lists = bpf_prog_info {
        nr_jited_ksyms: info.nr_jited_ksyms,
        jited_ksyms: addresses.as_mut_ptr() as u64,
        nr_jited_func_lens: info.nr_jited_func_lens,
        jited_func_lens: sizes.as_mut_ptr() as u64,
        nr_line_info: info.nr_line_info,
        line_info_rec_size: size_of::<bpf_line_info>() as u32,
        line_info: lines.as_mut_ptr() as u64,
        nr_jited_line_info: info.nr_jited_line_info,
        jited_line_info_rec_size: size_of::<u64>() as u32,
        jited_line_info: places.as_mut_ptr() as u64,
        ..bpf_prog_info::default()
    };
    // SAFETY: there is memory for as many of each, of the sizes that are told.
    unsafe { about(fd, &mut lists) }?;
    let read = || Btf::parse(&bpf_type_bytes(info.btf_id).ok()?).ok();
    let btf = match info.btf_id {
        0 => None,
        id => types.entry(id).or_insert_with(read).as_ref(),
    };
    let line = |(address, line): (u64, bpf_line_info)| {
        let file = btf?.text(line.file_name_off).to_owned();
        // The column is in the lower 10 bits.
        Some(BpfLine { address, file, line: line.line_col >> 10 })
    };
    let mut lines: Vec<_> = places.into_iter().zip(lines).filter_map(line).collect();
    lines.retain(|line| line.address != 0);
    lines.sort_by_key(|line| line.address);
    let functions = addresses.into_iter().zip(sizes).filter(|(address, _)| *address != 0);
    Some(BpfCode { program_id: info.id, functions: functions.collect(), lines })
}
