// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel has of BPF: programs, maps, links and types, by their ids.
//!
//! Ids come and go while they are walked through: what has gone meanwhile is left out.
#![expect(
    unsafe_code,
    reason = "libbpf-rs leaves out much of what the kernel tells, and the descriptors"
)]

use crate::bpf_values::bpf_type_bytes;
use libbpf_sys::{bpf_btf_info, bpf_func_info, bpf_link_info, bpf_map_info, bpf_prog_info};
use rota_object::{Btf, EngineError, Type};
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfProgram {
    /// Its number.
    pub id: u32,
    /// Its type, as libbpf names it.
    pub kind: String,
    /// Its name: that of its function where its types tell it, else up to 15 letters.
    pub name: String,
    /// A hash of its instructions.
    pub tag: [u8; 8],
    /// Whether it may call functions that only programs under the GPL may.
    pub gpl: bool,
    /// How long it ran and how often, while the kernel measured.
    pub run_time_ns: u64,
    /// See `run_time_ns`.
    pub runs: u64,
    /// How often it did not run since it ran already.
    pub recursion_misses: u64,
    /// When it was loaded, in ns since boot.
    pub loaded_ns: u64,
    /// Who loaded it.
    pub uid: u32,
    /// Size of its instructions, as the verifier left them.
    pub xlated_bytes: u32,
    /// Size of its machine code; 0 if it has none.
    pub jited_bytes: u32,
    /// Memory that it takes.
    pub memory_bytes: u64,
    /// The maps that it uses.
    pub map_ids: Vec<u32>,
    /// Its types; 0 if it has none.
    pub btf_id: u32,
}

/// A map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfMap {
    /// Its number.
    pub id: u32,
    /// Its type, as libbpf names it.
    pub kind: String,
    /// Up to 15 letters.
    pub name: String,
    /// The flags with which it was made.
    pub flags: u32,
    /// Size of a key.
    pub key_bytes: u32,
    /// Size of a value.
    pub value_bytes: u32,
    /// How many entries it may have.
    pub max_entries: u32,
    /// Memory that it takes.
    pub memory_bytes: u64,
    /// Whether user space may not write it any more.
    pub frozen: bool,
    /// Its types; 0 if it has none.
    pub btf_id: u32,
    /// The types of a key and a value among those.
    pub key_type: u32,
    /// See `key_type`.
    pub value_type: u32,
    /// The type of a value among those of the kernel, of tables of callbacks.
    pub kernel_value_type: u32,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfLink {
    /// Its number.
    pub id: u32,
    /// Its type, as libbpf names it.
    pub kind: String,
    /// The program; 0 if it attaches something else.
    pub program_id: u32,
    /// The tracepoint of a raw one.
    pub tracepoint: Option<String>,
    /// The map of a table of callbacks.
    pub map_id: Option<u32>,
    /// Of tracing programs: how (as libbpf names it), and to what type of which object.
    pub target: Option<(String, u32, u32)>,
}

/// Types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfTypes {
    /// Their number.
    pub id: u32,
    /// Their size in bytes.
    pub bytes: u32,
    /// Whether they are the kernel's or of one of its modules.
    pub kernel: bool,
    /// Whose; empty if they are of a program.
    pub name: String,
}

impl BpfProgram {
    /// The tag as hexadecimal digits.
    pub fn tag_text(&self) -> String {
        self.tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

type NextId = unsafe extern "C" fn(u32, *mut u32) -> c_int;
type FdById = unsafe extern "C" fn(u32) -> c_int;

/// Calls for each object that is there, with its number and a descriptor.
pub(crate) fn each(
    what: &str,
    next_id: NextId,
    fd_by_id: FdById,
    mut take: impl FnMut(u32, &OwnedFd),
) -> Result<(), EngineError> {
    let mut id = 0;
    loop {
        // SAFETY: the number is written to a place of ours.
        if unsafe { next_id(id, &raw mut id) } != 0 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(failed(what, &error)),
            };
        }
        // SAFETY: a call with a number, which gives a descriptor or an error.
        let fd = unsafe { fd_by_id(id) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            // It has gone meanwhile.
            if error.kind() == io::ErrorKind::NotFound {
                continue;
            }
            return Err(failed(what, &error));
        }
        // SAFETY: it was just opened, and nobody else has it.
        take(id, &unsafe { OwnedFd::from_raw_fd(fd) });
    }
}

fn failed(what: &str, error: &io::Error) -> EngineError {
    EngineError::System { what: format!("listing {what} of BPF"), error: error.to_string() }
}

/// What the kernel tells of an object, with what of it is filled in already.
///
/// # Safety
/// `T` is what the kernel tells of this kind of object, and pointers in it are to memory of their sizes.
pub(crate) unsafe fn about<T>(fd: &OwnedFd, info: &mut T) -> Option<()> {
    let mut bytes = size_of::<T>() as u32;
    // SAFETY: the memory is ours and of this size; the rest is the caller's promise.
    let status = unsafe {
        libbpf_sys::bpf_obj_get_info_by_fd(
            fd.as_raw_fd(),
            std::ptr::from_mut(info).cast(),
            &raw mut bytes,
        )
    };
    (status == 0).then_some(())
}

/// A name in an array that a zero ends.
fn name(letters: &[c_char]) -> String {
    let bytes: Vec<u8> =
        letters.iter().map(|c| c.cast_unsigned()).take_while(|c| *c != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name of a type, or its number if libbpf does not know it.
///
/// # Safety
/// The text is one that lives for ever, or null.
unsafe fn kind(text: *const c_char, number: u32) -> String {
    match text.is_null() {
        true => format!("type {number}"),
        // SAFETY: the caller's promise.
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}

/// What the kernel tells of an open descriptor.
pub(crate) fn told_by(fd: &OwnedFd) -> Option<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}

/// A number in what the kernel tells of an open descriptor.
fn told(fd: &OwnedFd, wanted: &str) -> Option<u64> {
    let text = told_by(fd)?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| *name == wanted)?.1.trim().parse().ok()
}

/// All programs, by their numbers.
///
/// # Errors
/// [`EngineError::System`], without the permission to list them (`CAP_SYS_ADMIN`).
pub fn bpf_programs() -> Result<Vec<BpfProgram>, EngineError> {
    use libbpf_sys::{bpf_prog_get_fd_by_id, bpf_prog_get_next_id, libbpf_bpf_prog_type_str};
    let mut all = Vec::new();
    let mut names = FunctionNames::default();
    each("programs", bpf_prog_get_next_id, bpf_prog_get_fd_by_id, |_, fd| {
        let mut info = bpf_prog_info::default();
        // SAFETY: these are programs, and nothing is asked for that needs memory.
        if unsafe { about(fd, &mut info) }.is_none() {
            return;
        }
        let (map_ids, function) = lists(fd, &info);
        all.push(BpfProgram {
            id: info.id,
            // SAFETY: libbpf's names live for ever.
            kind: unsafe { kind(libbpf_bpf_prog_type_str(info.type_), info.type_) },
            name: names.of(info.btf_id, function).unwrap_or_else(|| name(&info.name)),
            tag: info.tag,
            gpl: info.gpl_compatible() != 0,
            run_time_ns: info.run_time_ns,
            runs: info.run_cnt,
            recursion_misses: info.recursion_misses,
            loaded_ns: info.load_time,
            uid: info.created_by_uid,
            xlated_bytes: info.xlated_prog_len,
            jited_bytes: info.jited_prog_len,
            memory_bytes: told(fd, "memlock").unwrap_or(0),
            map_ids,
            btf_id: info.btf_id,
        });
    })?;
    Ok(all)
}

/// The maps of a program, and the type of its first function; 0 without types.
fn lists(fd: &OwnedFd, info: &bpf_prog_info) -> (Vec<u32>, u32) {
    let mut map_ids = vec![0_u32; info.nr_map_ids as usize];
    let mut function = bpf_func_info::default();
    let mut with_lists = bpf_prog_info {
        nr_map_ids: info.nr_map_ids,
        map_ids: map_ids.as_mut_ptr() as u64,
        nr_func_info: info.nr_func_info.min(1),
        func_info_rec_size: size_of::<bpf_func_info>() as u32,
        func_info: (&raw mut function) as u64,
        ..bpf_prog_info::default()
    };
    // SAFETY: there is memory for as many numbers of maps, and for one function.
    match unsafe { about(fd, &mut with_lists) } {
        Some(()) => (map_ids, function.type_id),
        None => (Vec::new(), 0),
    }
}

/// Names of functions, by the types of programs.
#[derive(Default)]
struct FunctionNames(BTreeMap<u32, Option<Btf>>);

impl FunctionNames {
    fn of(&mut self, btf_id: u32, function: u32) -> Option<String> {
        if btf_id == 0 || function == 0 {
            return None;
        }
        let read = || Btf::parse(&bpf_type_bytes(btf_id).ok()?).ok();
        let btf = self.0.entry(btf_id).or_insert_with(read).as_ref()?;
        match btf.iter().nth(function as usize) {
            Some((_, Type::Func { name, .. })) => Some(btf.text(*name).to_owned()),
            _ => None,
        }
    }
}

/// All maps, by their numbers.
///
/// # Errors
/// As [`bpf_programs`].
pub fn bpf_maps() -> Result<Vec<BpfMap>, EngineError> {
    use libbpf_sys::{bpf_map_get_fd_by_id, bpf_map_get_next_id, libbpf_bpf_map_type_str};
    let mut all = Vec::new();
    each("maps", bpf_map_get_next_id, bpf_map_get_fd_by_id, |_, fd| {
        let mut info = bpf_map_info::default();
        // SAFETY: these are maps.
        if unsafe { about(fd, &mut info) }.is_none() {
            return;
        }
        all.push(BpfMap {
            id: info.id,
            // SAFETY: libbpf's names live for ever.
            kind: unsafe { kind(libbpf_bpf_map_type_str(info.type_), info.type_) },
            name: name(&info.name),
            flags: info.map_flags,
            key_bytes: info.key_size,
            value_bytes: info.value_size,
            max_entries: info.max_entries,
            memory_bytes: told(fd, "memlock").unwrap_or(0),
            frozen: told(fd, "frozen") == Some(1),
            btf_id: info.btf_id,
            key_type: info.btf_key_type_id,
            value_type: info.btf_value_type_id,
            kernel_value_type: info.btf_vmlinux_value_type_id,
        });
    })?;
    Ok(all)
}

/// All links, by their numbers.
///
/// # Errors
/// As [`bpf_programs`].
pub fn bpf_links() -> Result<Vec<BpfLink>, EngineError> {
    use libbpf_sys::{
        BPF_LINK_TYPE_RAW_TRACEPOINT, BPF_LINK_TYPE_STRUCT_OPS, BPF_LINK_TYPE_TRACING,
        bpf_link_get_fd_by_id, bpf_link_get_next_id, libbpf_bpf_attach_type_str,
        libbpf_bpf_link_type_str,
    };
    let mut all = Vec::new();
    each("links", bpf_link_get_next_id, bpf_link_get_fd_by_id, |_, fd| {
        let mut info = bpf_link_info::default();
        // SAFETY: these are links, and no name is asked for.
        if unsafe { about(fd, &mut info) }.is_none() {
            return;
        }
        let mut link = BpfLink {
            id: info.id,
            // SAFETY: libbpf's names live for ever.
            kind: unsafe { kind(libbpf_bpf_link_type_str(info.type_), info.type_) },
            program_id: info.prog_id,
            tracepoint: None,
            map_id: None,
            target: None,
        };
        match info.type_ {
            BPF_LINK_TYPE_RAW_TRACEPOINT => link.tracepoint = tracepoint(fd),
            BPF_LINK_TYPE_STRUCT_OPS => {
                // SAFETY: links of this type have this part.
                link.map_id = Some(unsafe { info.__bindgen_anon_1.struct_ops.map_id });
            }
            BPF_LINK_TYPE_TRACING => {
                // SAFETY: links of this type have this part.
                let tracing = unsafe { info.__bindgen_anon_1.tracing };
                let number = tracing.attach_type;
                // SAFETY: libbpf's names live for ever.
                let how = unsafe { kind(libbpf_bpf_attach_type_str(number), number) };
                link.target = Some((how, tracing.target_obj_id, tracing.target_btf_id));
            }
            _ => {}
        }
        all.push(link);
    })?;
    Ok(all)
}

/// The name of the tracepoint of a link to a raw one.
fn tracepoint(fd: &OwnedFd) -> Option<String> {
    let mut letters = [0 as c_char; 128];
    let mut info = bpf_link_info::default();
    info.__bindgen_anon_1.raw_tracepoint.tp_name = letters.as_mut_ptr() as u64;
    info.__bindgen_anon_1.raw_tracepoint.tp_name_len = letters.len() as u32;
    // SAFETY: there is memory for a name of this length.
    unsafe { about(fd, &mut info) }?;
    Some(name(&letters))
}

/// All types, by their numbers.
///
/// # Errors
/// As [`bpf_programs`].
pub fn bpf_types() -> Result<Vec<BpfTypes>, EngineError> {
    use libbpf_sys::{bpf_btf_get_fd_by_id, bpf_btf_get_next_id};
    let mut all = Vec::new();
    each("types", bpf_btf_get_next_id, bpf_btf_get_fd_by_id, |_, fd| {
        let mut letters = [0 as c_char; 64];
        let mut info = bpf_btf_info {
            name: letters.as_mut_ptr() as u64,
            name_len: letters.len() as u32,
            ..bpf_btf_info::default()
        };
        // SAFETY: these are types, and there is memory for a name of this length.
        if unsafe { about(fd, &mut info) }.is_some() {
            let name = name(&letters);
            all.push(BpfTypes {
                id: info.id,
                bytes: info.btf_size,
                kernel: info.kernel_btf != 0,
                name,
            });
        }
    })?;
    Ok(all)
}
