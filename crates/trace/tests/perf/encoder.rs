// SPDX-License-Identifier: GPL-2.0-or-later
//! What perf.data begins with, and its records, in either byte order.

/// Writes numbers in a byte order.
#[derive(Clone)]
pub(crate) struct Bytes {
    big: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Bytes {
    /// Nothing yet.
    pub(crate) fn new(big: bool) -> Self {
        Self { big, bytes: Vec::new() }
    }

    /// A number of so many bytes.
    pub(crate) fn number(mut self, value: u64, size: usize) -> Self {
        let bytes = value.to_be_bytes();
        let bytes = bytes[8 - size..].iter();
        match self.big {
            true => self.bytes.extend(bytes),
            false => self.bytes.extend(bytes.rev()),
        }
        self
    }

    /// Two bytes.
    pub(crate) fn u16(self, value: u64) -> Self {
        self.number(value, 2)
    }

    /// Four bytes.
    pub(crate) fn u32(self, value: u64) -> Self {
        self.number(value, 4)
    }

    /// Eight bytes.
    pub(crate) fn u64(self, value: u64) -> Self {
        self.number(value, 8)
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    /// A text with zeroes behind it.
    pub(crate) fn padded(self, text: &str, size: usize) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(size, 0);
        self.raw(&bytes)
    }
}

/// A tracepoint's description, with fields from byte 8 on.
fn format(name: &str, id: u32, fields: &[(&str, usize)], print: &str) -> String {
    let mut text = format!(
        "name: {name}\nID: {id}\nformat:\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
         \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
         \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
    );
    let mut offset = 8;
    for (field, size) in fields {
        text += &format!("\tfield:{field};\toffset:{offset};\tsize:{size};\tsigned:1;\n");
        offset += size;
    }
    text + &format!("\nprint fmt: {print}\n")
}

/// The number of sched_switch.
pub(crate) const SWITCH: u64 = 300;
/// The number of sched_waking.
pub(crate) const WAKING: u64 = 301;
const STATES: &str = "REC->prev_state & 255 ? __print_flags(REC->prev_state & 255, \"|\", { 1, \"S\" }, { 2, \"D\" }) : \"R\", \
                      REC->prev_state & 256 ? \"+\" : \"\"";

/// The descriptions as perf keeps them.
pub(crate) fn tracing(big: bool) -> Vec<u8> {
    let switch = [
        ("char prev_comm[16]", 16),
        ("pid_t prev_pid", 4),
        ("int prev_prio", 4),
        ("long prev_state", 8),
        ("char next_comm[16]", 16),
        ("pid_t next_pid", 4),
    ];
    let waking = [("char comm[16]", 16), ("pid_t pid", 4), ("int prio", 4), ("int target_cpu", 4)];
    let switch = format("sched_switch", SWITCH as u32, &switch, STATES);
    let waking = format("sched_waking", WAKING as u32, &waking, "\"comm=%s\", REC->comm");
    let page = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n";
    let sized = |bytes: Bytes, text: &str| bytes.u64(text.len() as u64).raw(text.as_bytes());
    let bytes = Bytes::new(big).raw(b"\x17\x08\x44tracing0.6\0").raw(&[big.into(), 8]).u32(4096);
    let bytes = sized(bytes.raw(b"header_page\0"), page);
    let bytes = sized(bytes.raw(b"header_event\0"), "nothing");
    let bytes = bytes.u32(0).u32(1).raw(b"sched\0").u32(2);
    let bytes = sized(sized(bytes, &switch), &waking);
    bytes.u32(0).u32(0).bytes
}

const TID: u64 = 1 << 1;
const TIME: u64 = 1 << 2;
const CPU: u64 = 1 << 7;
const RAW: u64 = 1 << 10;

/// What an event was asked to record.
pub(crate) fn attribute(big: bool, id: u64) -> Bytes {
    // Bit 18 of a bit field that begins at the other end where the highest byte comes first.
    let sample_id_all = if big { 1 << 45 } else { 1 << 18 };
    let bytes = Bytes::new(big).u32(2).u32(64).u64(id).u64(1);
    bytes.u64(TID | TIME | CPU | RAW).u64(0).u64(sample_id_all).u64(0).u64(0)
}

/// A record with its head.
pub(crate) fn record(big: bool, kind: u64, payload: &Bytes) -> Vec<u8> {
    let size = payload.bytes.len() as u64 + 8;
    Bytes::new(big).u32(kind).u16(0).u16(size).raw(&payload.bytes).bytes
}

/// What perf says of tasks that are there at the start.
pub(crate) fn names(big: bool) -> Vec<u8> {
    let name = |pid: u64| {
        let bytes = Bytes::new(big).u32(pid).u32(pid).padded(&format!("task {pid}"), 16);
        record(big, 3, &bytes.u32(pid).u32(pid).u64(0).u32(0).u32(0))
    };
    (1..5).flat_map(name).collect()
}

/// A pipe up to where events begin.
pub(crate) fn head_of_pipe(big: bool) -> Vec<u8> {
    let magic: &[u8] = if big { b"2ELIFREP" } else { b"PERFILE2" };
    let mut bytes = Bytes::new(big).raw(magic).u64(16);
    for id in [SWITCH, WAKING] {
        bytes = bytes.raw(&record(big, 64, &attribute(big, id)));
    }
    let formats = tracing(big);
    bytes = bytes.raw(&record(big, 66, &Bytes::new(big).u32(formats.len() as u64))).raw(&formats);
    bytes.raw(&names(big)).bytes
}
