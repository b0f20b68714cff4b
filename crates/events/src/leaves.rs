// SPDX-License-Identifier: GPL-2.0-or-later
//! How a task leaves its CPU.

/// How a task leaves the CPU at a switch, by the letters that `ps` and perf have for it.
///
/// Simulations know the first two only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Leaves {
    /// `S`: it sleeps, and a signal wakes it up.
    Sleeping,
    /// `R`: it still wants to run.
    Runnable,
    /// `D`: it sleeps, and no signal wakes it up.
    Uninterruptible,
    /// `R+`: it still wants to run, and was preempted.
    Preempted,
    /// `T`: it is stopped.
    Stopped,
    /// `t`: it is stopped by a tracer.
    Traced,
    /// `X`: it has ended, and nobody is told.
    Dead,
    /// `Z`: it has ended.
    Zombie,
    /// `P`: it is a thread of the kernel, parked.
    Parked,
    /// `I`: it is a thread of the kernel that waits for work.
    Idle,
    /// `?`: some other way.
    Other,
}

impl Leaves {
    /// All of them, by the numbers that stand in files.
    const ALL: [Self; 11] = [
        Self::Sleeping,
        Self::Runnable,
        Self::Uninterruptible,
        Self::Preempted,
        Self::Stopped,
        Self::Traced,
        Self::Dead,
        Self::Zombie,
        Self::Parked,
        Self::Idle,
        Self::Other,
    ];
    /// The letters, in the same order.
    const LETTERS: [&str; 11] = ["S", "R", "D", "R+", "T", "t", "X", "Z", "P", "I", "?"];

    /// `R` or `S`.
    pub fn plain(runnable: bool) -> Self {
        if runnable { Self::Runnable } else { Self::Sleeping }
    }

    /// Whether the task still wants to run.
    pub fn is_runnable(self) -> bool {
        matches!(self, Self::Runnable | Self::Preempted)
    }

    /// Its letter, or `R+`.
    pub fn letter(self) -> &'static str {
        Self::LETTERS[self as usize]
    }

    /// What a letter, or `R+`, stands for.
    pub fn from_letter(letter: &str) -> Self {
        let number = Self::LETTERS.iter().position(|each| *each == letter);
        number.map_or(Self::Other, |number| Self::ALL[number])
    }

    /// As flags of an event.
    pub(crate) fn pack(self) -> u16 {
        self as u16
    }

    /// From the flags of an event.
    pub(crate) fn unpack(flags: u16) -> Self {
        Self::ALL.get(usize::from(flags & 0xff)).copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_numbers_belong_together() {
        for leaves in Leaves::ALL {
            assert_eq!(Leaves::from_letter(leaves.letter()), leaves);
            assert_eq!(Leaves::unpack(leaves.pack()), leaves);
            assert_eq!(leaves.is_runnable(), leaves.letter().starts_with('R'));
        }
        assert_eq!(Leaves::from_letter("W"), Leaves::Other);
        assert_eq!(Leaves::unpack(0xff), Leaves::Other);
        // Files have these.
        assert_eq!([Leaves::Sleeping.pack(), Leaves::Runnable.pack()], [0, 1]);
    }
}
