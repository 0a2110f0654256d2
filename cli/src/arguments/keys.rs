use std::path::PathBuf;

use clap::{Args, Subcommand};

/// The keys that the authority signs grants with.
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Makes a new key, which replaces the one that signs. It is told to whoever verifies grants before it signs; the one before it is
    /// good until the last grant of it has expired, and is deleted then. No call fails meanwhile, and nothing is started anew.
    Rotate {
        /// After how many seconds the new key signs: 15 at least.
        #[arg(long, default_value_t = token_service::SHORTEST_LEAD.as_secs(), value_parser = clap::value_parser!(u64).range(15..=86400))]
        lead: u64,
        #[command(flatten)]
        place: AuthorityPlace,
    },
    /// Lists the keys that a grant can be signed with, now and soon.
    List {
        #[command(flatten)]
        place: AuthorityPlace,
    },
}

/// Where the authority is configured.
#[derive(Args)]
pub(crate) struct AuthorityPlace {
    /// The data folder of `portcullis up`.
    #[arg(long, env = "PORTCULLIS_DATA_DIR", default_value = ".portcullis")]
    pub(crate) data_dir: PathBuf,
    /// The configuration of a token-service that runs by itself, in place of the folder.
    #[arg(long, env = "PORTCULLIS_TOKEN_SERVICE_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}
