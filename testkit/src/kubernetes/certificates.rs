use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// What a server needs to be believed, all in PEM.
pub(super) struct Certificates {
    pub(super) authority: String,
    pub(super) server: String,
    pub(super) server_key: String,
    /// The keys that the tokens of service accounts are signed with, and checked.
    pub(super) accounts_key: String,
    pub(super) accounts_public_key: String,
}

impl Certificates {
    /// New ones, for a server on the loopback.
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::new([])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "test authority");
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;
        let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        server.distinguished_name.push(DnType::CommonName, "test server");
        let server_key = KeyPair::generate()?;
        let server = server.signed_by(&server_key, &Issuer::new(authority, authority_key))?;
        let accounts = KeyPair::generate()?;
        Ok(Self {
            authority: authority_certificate.pem(),
            server: server.pem(),
            server_key: server_key.serialize_pem(),
            accounts_key: accounts.serialize_pem(),
            accounts_public_key: accounts.public_key_pem(),
        })
    }
}
