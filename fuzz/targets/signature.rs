//! See [`basalt_fuzz::signature`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::signature(data));
