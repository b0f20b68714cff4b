// SPDX-License-Identifier: GPL-2.0-or-later
//! Error numbers, as programs get them (kernel: `include/uapi/asm-generic/errno-base.h`).

/// What a kernel function refuses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Errno {
    /// Not permitted.
    NotPermitted = 1,
    /// No such entry.
    NoEntry = 2,
    /// The argument list is too long: here, a map is full.
    TooBig = 7,
    /// Try again.
    Again = 11,
    /// No memory.
    NoMemory = 12,
    /// Access denied.
    Access = 13,
    /// A bad address.
    Fault = 14,
    /// It is in use.
    Busy = 16,
    /// It exists already.
    Exists = 17,
    /// There is no such device: here, no scheduler is attached.
    NoDevice = 19,
    /// An invalid argument.
    Invalid = 22,
    /// No space left.
    NoSpace = 28,
    /// Out of range.
    Range = 34,
    /// It would wait for ever.
    Deadlock = 35,
    /// Not supported.
    NotSupported = 95,
}

impl Errno {
    /// What it means, for people.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::NotPermitted => "not permitted",
            Self::NoEntry => "no such entry",
            Self::TooBig => "it is full, or the key is too large",
            Self::Again => "try again",
            Self::NoDevice => "no scheduler is attached",
            Self::NoMemory => "no memory",
            Self::Access => "access denied",
            Self::Fault => "a bad address",
            Self::Busy => "it is in use",
            Self::Exists => "it exists already",
            Self::Invalid => "it can't be used so",
            Self::NoSpace => "it is full",
            Self::Range => "out of range",
            Self::NotSupported => "it is not supported",
            Self::Deadlock => "it would wait for ever",
        }
    }

    /// The number as a function returns it.
    pub(crate) fn value(self) -> u64 {
        i64::from(-(self as i32)).cast_unsigned()
    }
}

/// What a program gets for a result: 0, or the number of an error.
pub(crate) fn status(result: Result<(), Errno>) -> u64 {
    result.map_or_else(Errno::value, |()| 0)
}
