// SPDX-License-Identifier: GPL-2.0-or-later
//! The fuzzer of [`rota_fuzz::reader`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rota_fuzz::reader(data));
