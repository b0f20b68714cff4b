// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a scheduler ended, as the kernel tells its `exit` callback.

use crate::btf::Btf;
use crate::btf_decl::Type;
use crate::elf::{Global, Object};

/// Bits of the exit code that the kernel sets (kernel: `enum scx_exit_code`).
const REASON_HOTPLUG: u64 = 1 << 32;
const ACTION_RESTART: u64 = 1 << 48;

/// What ended a scheduler (kernel: `enum scx_exit_kind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// Its owner took it off.
    Detached,
    /// It ended itself, through `scx_bpf_exit`.
    Bpf,
    /// The kernel ended it without an error.
    Kernel,
    /// A CPU came or went, and the kernel asks for a restart.
    Hotplug,
    /// Somebody pressed SysRq-S.
    Sysrq,
    /// The scheduler above it ended, or ended it.
    Parent,
    /// It broke a rule of the kernel.
    Error,
    /// It gave up, through `scx_bpf_error`.
    BpfError,
    /// A task was ready to run for longer than the watchdog allows.
    Stall,
    /// A task was sent back to it again and again without running.
    Reenqueue,
    /// Other tasks had to be rescued from it for too long.
    Rescue,
    /// A kind that this version of Rota doesn't know.
    Unknown,
}

/// What the kernel said when it ended a scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitInfo {
    /// Number of the kind, as the kernel gave it.
    pub kind: u64,
    /// The exit code: of the scheduler in the low 32 bits, of the kernel above.
    pub code: i64,
    /// The CPU it happened on, where the kernel tells.
    pub cpu: Option<u32>,
    /// The kernel's word for the kind.
    pub reason: String,
    /// What exactly happened, in the kernel's or the scheduler's words.
    pub msg: String,
    /// The debug dump; empty unless it was an error.
    pub dump: String,
}

impl ExitInfo {
    /// What ended the scheduler.
    pub fn cause(&self) -> ExitCause {
        match self.kind {
            1 | 64 => ExitCause::Detached,
            65 | 66 if self.has(REASON_HOTPLUG) => ExitCause::Hotplug,
            65 => ExitCause::Bpf,
            66 => ExitCause::Kernel,
            67 => ExitCause::Sysrq,
            68 | 69 => ExitCause::Parent,
            1024 => ExitCause::Error,
            1025 => ExitCause::BpfError,
            1026 => ExitCause::Stall,
            1027 => ExitCause::Reenqueue,
            1028 => ExitCause::Rescue,
            _ => ExitCause::Unknown,
        }
    }

    /// Whether the kernel asks user space to load the scheduler again.
    pub fn wants_restart(&self) -> bool {
        matches!(self.kind, 65 | 66) && self.has(ACTION_RESTART)
    }

    fn has(&self, bit: u64) -> bool {
        self.code.cast_unsigned() & bit != 0
    }

    /// The task named in the message, as `(comm, pid)`: the kernel writes `comm[pid]`.
    pub fn task(&self) -> Option<(&str, u32)> {
        let open = self.msg.find('[')?;
        let close = open + self.msg[open..].find(']')?;
        let pid = self.msg[open + 1..close].parse().ok()?;
        // The watchdog's message starts with the task, whose name may hold spaces.
        let before = &self.msg[..open];
        let comm =
            if self.cause() == ExitCause::Stall { before } else { before.rsplit(' ').next()? };
        (!comm.is_empty()).then_some((comm, pid))
    }
}

/// Where an object keeps what its `exit` callback was told.
///
/// It is the first global whose structure has the members `kind`, `reason` and `msg`; that is
/// true of objects made with `rota/exit.h` and of those made with the example headers of the
/// kernel tree. The dump is a second global, called like the first with `_dump` added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitLayout {
    /// The variable.
    pub variable: String,
    /// The variable of the dump, if there is one.
    pub dump: Option<String>,
    kind: Field,
    code: Option<Field>,
    cpu: Option<Field>,
    reason: Field,
    msg: Field,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Field {
    offset: usize,
    size: usize,
}

impl ExitLayout {
    /// Decodes the bytes of the variable and of the dump. `None` while the scheduler runs.
    pub fn decode(&self, bytes: &[u8], dump: &[u8]) -> Option<ExitInfo> {
        let kind = self.kind.number(bytes)?;
        if kind == 0 {
            return None;
        }
        Some(ExitInfo {
            kind: kind.cast_unsigned(),
            code: self.code.and_then(|f| f.number(bytes)).unwrap_or(0),
            cpu: self.cpu.and_then(|f| f.number(bytes)).and_then(|n| u32::try_from(n).ok()),
            reason: self.reason.text(bytes),
            msg: self.msg.text(bytes),
            dump: text(dump),
        })
    }
}

impl Field {
    fn bytes(self, all: &[u8]) -> &[u8] {
        all.get(self.offset..self.offset.saturating_add(self.size)).unwrap_or(&[])
    }

    fn number(self, all: &[u8]) -> Option<i64> {
        match *self.bytes(all) {
            [a, b, c, d] => Some(i64::from(i32::from_le_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Some(i64::from_le_bytes([a, b, c, d, e, f, g, h])),
            _ => None,
        }
    }

    fn text(self, all: &[u8]) -> String {
        text(self.bytes(all))
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

impl Object {
    /// Where the object keeps its exit information.
    pub fn exit_layout(&self) -> Option<ExitLayout> {
        self.globals().find_map(|g| self.layout_in(g))
    }

    fn layout_in(&self, global: &Global) -> Option<ExitLayout> {
        let btf = self.btf();
        let Type::Struct { members, .. } = btf.resolve(global.ty).1 else { return None };
        let field = |name: &str| {
            let member = members.iter().find(|m| btf.text(m.name) == name)?;
            field_of(btf, member.ty, member.offset_bits)
        };
        let dump = format!("{}_dump", global.name);
        Some(ExitLayout {
            kind: field("kind")?,
            reason: field("reason")?,
            msg: field("msg")?,
            code: field("exit_code").or_else(|| field("code")),
            cpu: field("exit_cpu").or_else(|| field("cpu")),
            dump: self.global(&dump).map(|g| g.name.clone()),
            variable: global.name.clone(),
        })
    }
}

fn field_of(btf: &Btf, ty: crate::TypeId, offset_bits: u32) -> Option<Field> {
    let size = usize::try_from(btf.size_of(ty)?).ok()?;
    Some(Field { offset: (offset_bits / 8) as usize, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(kind: u64, code: i64, msg: &str) -> ExitInfo {
        ExitInfo {
            kind,
            code,
            cpu: None,
            reason: String::new(),
            msg: msg.into(),
            dump: String::new(),
        }
    }

    #[test]
    fn causes() {
        let restart = (ACTION_RESTART | REASON_HOTPLUG).cast_signed();
        assert_eq!(info(66, restart, "").cause(), ExitCause::Hotplug);
        assert_eq!(info(65, restart, "").cause(), ExitCause::Hotplug, "by its own cpu_offline");
        assert!(info(65, restart, "").wants_restart() && info(66, restart, "").wants_restart());
        let other = info(66, ACTION_RESTART.cast_signed(), "");
        assert!(other.wants_restart() && other.cause() == ExitCause::Kernel);
        assert!(!info(66, REASON_HOTPLUG.cast_signed(), "").wants_restart());
        assert!(!info(1024, restart, "").wants_restart());
        assert_eq!(info(66, 0, "").cause(), ExitCause::Kernel);
        assert_eq!(info(1026, 0, "").cause(), ExitCause::Stall);
        assert_eq!(info(4711, 0, "").cause(), ExitCause::Unknown);
    }

    #[test]
    fn the_task_in_the_message() {
        let stall = info(1026, 0, "Web Content[4711] failed to run for 2.003s");
        assert_eq!(stall.task(), Some(("Web Content", 4711)));
        let pinned = info(1024, 0, "cannot move migration disabled kworker/0:1[9] from CPU 1");
        assert_eq!(pinned.task(), Some(("kworker/0:1", 9)));
        assert_eq!(info(1024, 0, "invalid DSQ ID 0x7").task(), None);
        assert_eq!(info(1024, 0, "a[b] c[12]").task(), None);
        assert_eq!(info(1024, 0, "[1]").task(), None);
    }
}
