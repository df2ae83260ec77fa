//! See [`basalt_fuzz::image_archive`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| basalt_fuzz::image_archive(data));
