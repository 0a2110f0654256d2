use std::path::PathBuf;

use clap::{Args, Subcommand};

/// A private certificate authority, and the certificates of the services.
#[derive(Subcommand)]
pub(crate) enum Certs {
    /// Makes an authority: its certificate `ca.pem`, which everybody may have, and its key `ca.key`, which nobody else may.
    Init {
        /// The folder. It is made where it is not there.
        folder: PathBuf,
        /// What the authority is called.
        #[arg(long, default_value = "Portcullis")]
        name: String,
        /// How many days it is good for.
        #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36500))]
        days: u32,
        /// Replaces an authority that is there: no certificate of it is believed by the new one.
        #[arg(long)]
        force: bool,
    },
    /// Makes the certificate of a service, `NAME.pem`, and its key, `NAME.key`. By the name other services know it.
    Issue(Issue),
}

#[derive(Args)]
pub(crate) struct Issue {
    /// The folder of the authority.
    pub(crate) folder: PathBuf,
    /// The service's name, as in the authority's `service_keys`: `api-gateway`.
    #[arg(value_parser = parse_name)]
    pub(crate) name: String,
    /// A host name or address that the service is reached at; again for each.
    #[arg(long = "host", value_name = "HOST")]
    pub(crate) hosts: Vec<String>,
    /// How many days it is good for.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) days: u32,
    /// Where the two files go. Not given: beside the authority's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
    /// Replaces files that are there. A service that uses them takes the new ones within seconds.
    #[arg(long)]
    pub(crate) force: bool,
}

/// A service's name becomes that of a host, and of files.
fn parse_name(text: &str) -> Result<String, &'static str> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits =
        (1..=63).contains(&text.len()) && text.chars().all(letters) && !text.starts_with('-') && !text.ends_with('-');
    if !fits {
        return Err("must be 1 to 63 lower-case letters, digits and hyphens");
    }
    if text == "ca" { Err("is the authority's own") } else { Ok(text.to_owned()) }
}
