//! Tries the decoder of parameters with random calls.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::parameters(input);
});
