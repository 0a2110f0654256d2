//! The contract: the `.proto` files, the code generated from them, and everything that is derived from them — the API
//! catalog, the error table. It knows no service, no storage and no transport beyond gRPC's own types.

pub mod catalog;
mod error;
mod redacted;
mod rpc;
pub mod time;

pub use catalog::{Catalog, Method, catalog};
pub use error::{ErrorKind, Failure};
pub use redacted::Redacted;
pub use rpc::{AnswerStream, AnswersHandler, Handler, Rpc, StreamHandler, rule};

/// The descriptors of every `.proto` file, with options and comments, as `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor_set.bin"));

/// Options and errors: what the rest of the contract is written in.
pub mod api {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/portcullis.api.v1.rs"));
    }
}

/// Environments.
pub mod environment {
    /// Version 1.
    #[expect(clippy::large_enum_variant, reason = "prost boxes no variant by itself; events are made one at a time")]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/portcullis.environment.v1.rs"));
    }
}

/// Accounts, sessions and tokens.
pub mod token {
    /// Version 1.
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/portcullis.token.v1.rs"));
    }
}
