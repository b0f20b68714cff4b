// SPDX-License-Identifier: GPL-2.0-or-later
//! A newtype for each kind of index: all of them are small integers, and mixing two up would
//! compile otherwise.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// The number as an index into an array.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

index!(
    /// A logical CPU (a hardware thread), by the kernel's number. May have holes.
    CpuId
);
index!(
    /// A core: dense, in the order of the lowest CPU, unique in the machine.
    CoreId
);
index!(
    /// A cluster (cores that share more than the LLC, usually an L2): dense, in the order of the
    /// lowest CPU.
    ClusterId
);
index!(
    /// A last-level cache: dense, in the order of the lowest CPU.
    LlcId
);
index!(
    /// A package (socket): dense, in the order of the lowest CPU.
    PackageId
);
index!(
    /// A NUMA node, by the kernel's number. May have holes.
    NodeId
);
