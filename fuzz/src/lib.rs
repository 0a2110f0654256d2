//! What is tried with random input, and what has to hold of every input: the parameter decoder, the token parser, the transcoder.
//! Each is a plain function, which panics where something does not hold. `cargo xtask fuzz` has libFuzzer look for such inputs, by
//! the programs in `bin/`; the tests run the inputs that are kept in `corpus/`. It knows no service, and of the gateway only
//! [`api_gateway::rest`].

mod answers;
mod calls;
mod credentials;
mod failures;
mod parameters;
mod parting;
mod same;
mod text;
mod transcoder;

pub use credentials::credentials;
pub use parameters::parameters;
pub use transcoder::transcoder;

/// What became of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was understood.
    Accepted,
    /// It was not, as it was told to.
    Refused,
    /// It is none that could be tried: HTTP itself would not let it through.
    Nothing,
}
