use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use token_service::Login;

/// The authority: accounts, sessions, tokens, introspection.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    /// The configuration file.
    #[arg(long, env = "PORTCULLIS_TOKEN_SERVICE_CONFIG")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Brings the database to this version, and ends.
    Migrate,
    /// Copies the database into a new file, and ends. The service may run meanwhile. Of SQLite only: PostgreSQL has `pg_dump`.
    Backup {
        /// The file.
        file: PathBuf,
    },
    /// To be given after the database was put back to an earlier state, and before any replica is started: nothing that was given out
    /// since that state is given out again or counts for anything. Ends when the leases of before have run out.
    Restored,
    /// Makes an account, and ends. The password is read from standard input, one line.
    CreateAccount(CreateAccount),
    /// Gives an account another password, ends its sessions, and ends. The password is read from standard input, one line.
    SetPassword {
        /// What the account signs in with.
        #[arg(long)]
        login: Login,
    },
    /// Makes a new key for grants, which replaces the one that signs them, and ends. No call fails, and no replica is started anew.
    RotateSigningKey {
        /// After how many seconds it signs: until then whoever verifies grants is told of it. 15 at least.
        #[arg(long, default_value_t = token_service::SHORTEST_LEAD.as_secs())]
        lead: u64,
    },
    /// Deletes the keys of the database, so that grants are signed with `signing_key_file` alone, and ends. For a file that was replaced:
    /// no replica may run.
    ResetSigningKeys,
    /// Takes the second factor from an account whose owner has lost it, ends its sessions, and ends.
    ResetSecondFactor {
        /// What the account signs in with.
        #[arg(long)]
        login: Login,
    },
}

#[derive(Args)]
pub(crate) struct CreateAccount {
    /// What the account signs in with.
    #[arg(long)]
    pub(crate) login: Login,
    /// May make accounts.
    #[arg(long)]
    pub(crate) administrator: bool,
}
