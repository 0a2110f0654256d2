//! Tries the way from a call to a message, and from a message to an answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz::transcoder(input);
});
