use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Reads a configuration as its service would, with the environment over it and the files that it names, and says what is wrong with
    /// it. Nothing is started, and nobody asked.
    Check {
        /// Whose it is.
        #[arg(value_enum)]
        service: ServiceName,
        /// The file.
        file: PathBuf,
    },
    /// Lists all that a configuration can hold, as Markdown.
    Reference {
        /// Whose it is.
        #[arg(value_enum)]
        service: ServiceName,
    },
}

/// A service that runs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    /// The authority.
    TokenService,
    /// The one that runs environments.
    EnvironmentService,
    /// REST in, gRPC out.
    ApiGateway,
}

/// A service that has a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigratedService {
    /// The authority.
    TokenService,
    /// The one that runs environments.
    EnvironmentService,
}
