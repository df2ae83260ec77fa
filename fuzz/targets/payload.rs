//! See [`basalt_fuzz::payload`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::payload(data));
