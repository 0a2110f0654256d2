//! What a certificate says of itself.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is told of a certificate: nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its number, in hexadecimal.
    pub(crate) serial: String,
    /// The names of its subject: of services and hosts.
    pub(crate) names: Vec<String>,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Told {
    /// Reads it; none where it cannot be read.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, read) = X509Certificate::from_der(certificate).ok()?;
        let names = read.subject_alternative_name().ok()?.map(|names| &names.value.general_names);
        let names = names.into_iter().flatten().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        let moment = |seconds| Timestamp::from_second(seconds).ok();
        Some(Self {
            serial: read.raw_serial().iter().map(|byte| format!("{byte:02x}")).collect(),
            names: names.collect(),
            not_before: moment(read.validity().not_before.timestamp())?,
            not_after: moment(read.validity().not_after.timestamp())?,
        })
    }
}
