// SPDX-License-Identifier: GPL-2.0-or-later
//! What nice values weigh.

/// Weights by nice value, from -20 on: each is about 1.25 of the next (kernel:
/// `sched_prio_to_weight`).
const WEIGHTS: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906, 3121, 2501, 1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87,
    70, 56, 45, 36, 29, 23, 18, 15,
];

/// What a task of the policy `SCHED_IDLE` weighs, whatever its nice value (kernel: `WEIGHT_IDLEPRIO`).
pub const IDLE_LOAD: u32 = 3;

/// The weight of a nice value for the kernel's own scheduler: 1024 for nice 0.
pub fn nice_load(nice: i32) -> u32 {
    let at = (nice.clamp(-20, 19) + 20) as usize;
    WEIGHTS[at]
}

/// A weight of the kernel's own scheduler as one of sched_ext, and of cgroups: 100 for nice 0.
pub fn load_weight(load: u32) -> u32 {
    ((load.saturating_mul(100).saturating_add(512)) / 1024).clamp(1, 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_kernels() {
        // Seen on real kernels.
        let weights = [0, 5, -5, 19, -20].map(|nice| load_weight(nice_load(nice)));
        assert_eq!(weights, [100, 33, 305, 1, 8668]);
        assert_eq!(load_weight(IDLE_LOAD), 1);
    }
}
