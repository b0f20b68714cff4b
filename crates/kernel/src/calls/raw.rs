// SPDX-License-Identifier: GPL-2.0-or-later
//! Records as `bpf/trace/calls.h` has them.

/// How many arguments are told.
pub const CALL_ARGS: usize = 6;
/// How many bytes of a text are told at most.
const TEXT_MOST: usize = 128;

/// The text that an argument points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallText {
    /// The argument's place.
    pub arg: u32,
    /// The text, or what it begins with.
    pub text: String,
    /// Whether it goes on.
    pub cut: bool,
}

/// Something about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// When, by the monotonic clock, in ns.
    pub time_ns: u64,
    /// The thread; 0 for the idle task of a CPU.
    pub pid: i32,
    /// Its process.
    pub tgid: i32,
    /// The CPU.
    pub cpu: u16,
    /// The function's place in the list that tracing began with.
    pub function: u32,
    /// How many traced functions are around it.
    pub depth: u8,
    /// What it is.
    pub about: AboutCall,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AboutCall {
    /// It begins.
    Enters {
        /// Registers or words of arguments, as many as there may be.
        args: [u64; CALL_ARGS],
        /// The name of the thread.
        comm: String,
    },
    /// It has returned.
    Leaves {
        /// The register of results.
        result: u64,
    },
    /// Addresses of the kernel's functions that are around it, the innermost first: told when a session
    /// begins, and before a call has returned with an error.
    Stack(Vec<u64>),
    /// An argument of the call that begins next.
    Text(CallText),
}

impl CallRecord {
    /// Reads a record; `None` if it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(24)?;
        let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let mut numbers = rest.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let about = match head[22] {
            1 => {
                let args = std::array::from_fn(|_| numbers.next().unwrap_or(0));
                let comm = rest.get(8 * CALL_ARGS..)?;
                let end = comm.iter().position(|byte| *byte == 0).unwrap_or(comm.len());
                let comm = String::from_utf8_lossy(&comm[..end]).into_owned();
                AboutCall::Enters { args, comm }
            }
            2 => AboutCall::Leaves { result: numbers.next()? },
            3 => {
                let count = usize::try_from(numbers.next()?).ok()?;
                AboutCall::Stack(numbers.take(count).take_while(|address| *address != 0).collect())
            }
            4 => {
                let (about, text) = rest.split_at_checked(8)?;
                let number =
                    |at: usize| about[at..].first_chunk().map(|it| u32::from_le_bytes(*it));
                let bytes = usize::try_from(number(4)?.cast_signed()).ok()?.checked_sub(1)?;
                let text = text.get(..bytes)?;
                let told = &text[..bytes.min(TEXT_MOST)];
                let text = String::from_utf8_lossy(told).into_owned();
                AboutCall::Text(CallText { arg: number(0)?, text, cut: bytes > TEXT_MOST })
            }
            _ => return None,
        };
        Some(Self {
            time_ns: u64::from(word(0)?) | u64::from(word(4)?) << 32,
            pid: word(8)?.cast_signed(),
            tgid: word(12)?.cast_signed(),
            function: word(16)?,
            cpu: u16::from_le_bytes([head[20], head[21]]),
            depth: head[23],
            about,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u8) -> Vec<u8> {
        let mut bytes = 7_000_000_000_u64.to_le_bytes().to_vec();
        bytes.extend(12_i32.to_le_bytes());
        bytes.extend(10_i32.to_le_bytes());
        bytes.extend(3_u32.to_le_bytes());
        bytes.extend([1, 0, kind, 2]);
        bytes
    }

    #[test]
    fn records_of_all_kinds() {
        let mut enters = head(1);
        for number in 1..=6_u64 {
            enters.extend(number.to_le_bytes());
        }
        enters.extend(*b"bpftool\0\0\0\0\0\0\0\0\0");
        let record = CallRecord::read(&enters).unwrap();
        let about = AboutCall::Enters { args: [1, 2, 3, 4, 5, 6], comm: "bpftool".into() };
        let (time_ns, pid, tgid) = (7_000_000_000, 12, 10);
        let expected = CallRecord { time_ns, pid, tgid, cpu: 1, function: 3, depth: 2, about };
        assert_eq!(record, expected);
        let mut leaves = head(2);
        leaves.extend((-22_i64).to_le_bytes());
        let result = (-22_i64).cast_unsigned();
        assert_eq!(CallRecord::read(&leaves).unwrap().about, AboutCall::Leaves { result });
        let mut stack = head(3);
        for number in [2_u64, 100, 200, 300] {
            stack.extend(number.to_le_bytes());
        }
        assert_eq!(CallRecord::read(&stack).unwrap().about, AboutCall::Stack(vec![100, 200]));
        for (bytes, told) in
            [(4, Some(("abc", false))), (136, Some(("a", true))), (-14, None), (0, None)]
        {
            let mut text = head(4);
            text.extend(2_u32.to_le_bytes());
            text.extend(i32::to_le_bytes(bytes));
            text.extend(if bytes == 4 { *b"abc" } else { *b"aaa" });
            text.resize(168, b'a');
            let about = CallRecord::read(&text).map(|it| it.about);
            let told = told.map(|(text, cut)| {
                let text = if cut { text.repeat(128) } else { text.to_owned() };
                AboutCall::Text(CallText { arg: 2, text, cut })
            });
            assert_eq!(about, told, "{bytes}");
        }
        assert_eq!(CallRecord::read(&head(4)), None);
        assert_eq!(CallRecord::read(&head(9)), None);
        assert_eq!(CallRecord::read(&head(2)), None);
        assert_eq!(CallRecord::read(&[1, 2, 3]), None);
    }
}
