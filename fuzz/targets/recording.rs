// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzzer of [`rota_fuzz::recording`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rota_fuzz::recording(data));
