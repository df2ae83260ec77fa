//! See [`basalt_fuzz::repodata`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::repodata(data));
