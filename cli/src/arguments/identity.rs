use std::path::PathBuf;

use clap::Args;
use tls::MutualConfig;

/// Who asks, and whom it believes.
#[derive(Args)]
pub(crate) struct Identity {
    /// For a service behind TLS: a certificate that it lets in, in PEM.
    #[arg(long, value_name = "FILE", requires_all = ["key_file", "ca_file"])]
    certificate_file: Option<PathBuf>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// The certificates of the authorities that are believed, in PEM. Not given: the machine's.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Identity {
    /// By what it is known to a service, where that was given.
    pub(crate) fn mutual(&self) -> Option<MutualConfig> {
        Some(MutualConfig {
            certificate_file: self.certificate_file.clone()?,
            key_file: self.key_file.clone()?,
            ca_file: self.ca_file.clone()?,
            clients: None,
        })
    }
}
