//! See [`basalt_fuzz::osv_archive`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::osv_archive(data));
