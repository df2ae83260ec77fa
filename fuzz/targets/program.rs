//! See [`basalt_fuzz::program`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::program(data));
