//! Tries what reads credentials with random texts.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::credentials(input);
});
