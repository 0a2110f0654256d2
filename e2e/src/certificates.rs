use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tls::MutualConfig;

use crate::stack::run;

/// The services that have a certificate.
pub const SERVICES: [&str; 3] = ["token-service", "environment-service", "api-gateway"];

/// A private authority and the certificates of the services, as `portcullis certs` makes them.
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// An authority, and a certificate for each service on the loopback.
    pub async fn new(folder: PathBuf) -> Self {
        let certificates = Self { folder };
        run("portcullis", &["certs", "init", certificates.path()], "").await;
        certificates.issue_all(&[]).await;
        certificates
    }

    /// Makes a certificate for each service on the loopback.
    pub async fn issue_all(&self, more: &[&str]) {
        for service in SERVICES {
            self.issue(service, more).await;
        }
    }

    /// Makes a certificate for a name on the loopback.
    pub async fn issue(&self, name: &str, more: &[&str]) {
        let line = ["certs", "issue", self.path(), name, "--host", "127.0.0.1", "--host", "localhost"];
        run("portcullis", &[&line[..], more].concat(), "").await;
    }

    /// The certificate that a service is to show.
    ///
    /// # Panics
    /// Where there is none.
    #[must_use]
    pub fn certificate(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.file(name, "pem")).expect("it was written as PEM")
    }

    /// What everybody may have of the authority.
    ///
    /// # Panics
    /// Where it is not there.
    #[must_use]
    pub fn authority(&self) -> Vec<u8> {
        std::fs::read(self.file("ca", "pem")).expect("it was written")
    }

    /// By what a service is known to others.
    #[must_use]
    pub fn identity(&self, name: &str) -> MutualConfig {
        MutualConfig {
            certificate_file: self.file(name, "pem"),
            key_file: self.file(name, "key"),
            ca_file: self.file("ca", "pem"),
            clients: None,
        }
    }

    /// A file of the folder.
    #[must_use]
    pub fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }

    /// The secret lines of every key in the folder.
    ///
    /// # Panics
    /// Where the folder cannot be read.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.folder).expect("it is readable").map(|file| file.expect("a file").path());
        let keys = files.filter(|file| file.extension().is_some_and(|ending| ending == "key"));
        let lines = keys.flat_map(|key| {
            let text = std::fs::read_to_string(key).expect("it is text");
            text.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect::<Vec<_>>()
        });
        lines.collect()
    }

    /// The section of a configuration that names a service's own.
    pub(crate) fn section(&self, section: &str, name: &str, more: &str) -> String {
        let MutualConfig { certificate_file, key_file, ca_file, .. } = self.identity(name);
        format!(
            "[{section}]\ncertificate_file = {certificate_file:?}\nkey_file = {key_file:?}\nca_file = {ca_file:?}\n{more}\n"
        )
    }

    /// The section of a listener for everybody.
    pub(crate) fn listener(&self, name: &str) -> String {
        let (certificate, key) = (self.file(name, "pem"), self.file(name, "key"));
        format!("[tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}\n")
    }

    fn path(&self) -> &str {
        Path::to_str(&self.folder).expect("temporary folders have printable names")
    }
}
