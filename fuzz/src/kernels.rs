// SPDX-License-Identifier: GPL-2.0-or-later
//! The types of the supported kernels, read once.

use rota_object::KernelTypes;
use std::sync::LazyLock;

/// All of them, the oldest first.
pub(crate) static KERNELS: LazyLock<Vec<KernelTypes>> = LazyLock::new(|| {
    let names = KernelTypes::builtin_names().into_iter();
    names.map(|name| KernelTypes::builtin(name).expect("it is built in")).collect()
});
