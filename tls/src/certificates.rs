use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lifecycle::Lifecycle;
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig};

use crate::certificate::Told;
use crate::{ListenerConfig, MutualConfig, TlsError};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// From when on, and how often, it is told that a certificate expires soon.
const SOON: SignedDuration = SignedDuration::from_hours(7 * 24);
const REMINDER: Duration = Duration::from_secs(24 * 60 * 60);

/// What HTTP is spoken by what is in front of everybody, the preferred one first, and between services.
const HTTP: [&[u8]; 2] = [b"h2", b"http/1.1"];
const GRPC: [&[u8]; 1] = [b"h2"];

/// What a process is known by, as its files say at this moment: a connection takes what is there when it begins. Cheap to clone; every
/// clone sees a change.
#[derive(Clone)]
pub struct Certificates(Arc<Shared>);

struct Shared {
    files: Files,
    clients: Option<Vec<String>>,
    current: RwLock<Arc<Current>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    authorities: Option<PathBuf>,
}

/// What the files held, to be compared with what they hold. The key is in here as it is in the file; it is never shown.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

struct Current {
    contents: Contents,
    told: Told,
    server: Arc<ServerConfig>,
    client: Option<Arc<ClientConfig>>,
}

impl Certificates {
    /// Those of a listener for everybody.
    ///
    /// # Errors
    /// Where the files cannot be read, do not go together, or hold a certificate that is not valid now.
    pub fn of_listener(config: &ListenerConfig) -> Result<Self, TlsError> {
        let ListenerConfig { certificate_file, key_file } = config.clone();
        Self::open(Files { certificate: certificate_file, key: key_file, authorities: None }, None)
    }

    /// Those of a service, which shows its own and asks for that of the other side, whoever of both connects.
    ///
    /// # Errors
    /// Where the files cannot be read, do not go together, or hold a certificate that is not valid now.
    pub fn mutual(config: &MutualConfig) -> Result<Self, TlsError> {
        let MutualConfig { certificate_file, key_file, ca_file, clients } = config.clone();
        Self::open(Files { certificate: certificate_file, key: key_file, authorities: Some(ca_file) }, clients)
    }

    fn open(files: Files, clients: Option<Vec<String>>) -> Result<Self, TlsError> {
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(files.current(contents)?));
        Ok(Self(Arc::new(Shared { files, clients, current })))
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current().server)
    }

    /// None for a listener for everybody, which connects to nobody.
    pub(crate) fn client(&self) -> Option<Arc<ClientConfig>> {
        self.current().client.clone()
    }

    /// Whether a service of one of these names may connect.
    pub(crate) fn lets_in(&self, names: &[String]) -> bool {
        self.0.clients.as_ref().is_none_or(|clients| names.iter().any(|name| clients.contains(name)))
    }

    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks at the files from time to time, and takes what they hold in place of what they held. What cannot be used is told, and
    /// changes nothing.
    pub async fn follow(self, lifecycle: Lifecycle) {
        let mut tick = tokio::time::interval(LOOK);
        let mut bad: Option<(String, bool)> = None;
        let mut reminded: Option<tokio::time::Instant> = None;
        self.tell("certificates are in use");
        loop {
            tokio::select! {
                () = lifecycle.draining() => return,
                _ = tick.tick() => {}
            }
            match self.look() {
                Ok(true) => {
                    (bad, reminded) = (None, None);
                    self.tell("new certificates are in use");
                }
                Ok(false) => bad = None,
                Err(error) => bad = Some(self.doubt(&error, bad)),
            }
            let left = self.current().told.not_after.duration_since(Timestamp::now());
            if left < SOON && reminded.is_none_or(|then| then.elapsed() >= REMINDER) {
                reminded = Some(tokio::time::Instant::now());
                let file = self.0.files.certificate.display();
                tracing::warn!(tls.file = %file, tls.left_seconds = left.as_secs(), "a certificate expires soon");
            }
        }
    }

    /// Looks at the files once. True where they hold something else, which is in use from now on.
    fn look(&self) -> Result<bool, TlsError> {
        let contents = self.0.files.read()?;
        if contents == self.current().contents {
            return Ok(false);
        }
        let current = Arc::new(self.0.files.current(contents)?);
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = current;
        Ok(true)
    }

    /// Tells once of what cannot be used, and only if it is the same at the second look: whoever replaces the certificate and then the
    /// key is between the two for a moment.
    fn doubt(&self, error: &TlsError, before: Option<(String, bool)>) -> (String, bool) {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        let text = format!("{error} {cause}");
        let same = before.filter(|(before, _)| *before == text);
        let was_told = same.as_ref().is_some_and(|(_, told)| *told);
        if same.is_some() && !was_told {
            let file = self.0.files.certificate.display();
            tracing::warn!(tls.file = %file, %error, cause, "new certificates cannot be used, and the former stay");
        }
        (text, was_told || same.is_some())
    }

    fn tell(&self, what: &str) {
        let current = self.current();
        let Told { serial, names, not_after, .. } = &current.told;
        let file = self.0.files.certificate.display();
        tracing::info!(tls.file = %file, tls.serial = serial, tls.names = ?names, tls.not_after = %not_after, "{what}");
    }
}

impl Files {
    fn read(&self) -> Result<Contents, TlsError> {
        Ok(Contents {
            certificate: read("certificate_file", &self.certificate)?,
            key: read("key_file", &self.key)?,
            authorities: self.authorities.as_ref().map(|file| read("ca_file", file)).transpose()?,
        })
    }

    fn current(&self, contents: Contents) -> Result<Current, TlsError> {
        let malformed = |key, file: &Path, expected| TlsError::Malformed { key, file: file.to_owned(), expected };
        let none = || malformed("certificate_file", &self.certificate, "certificate");
        let chain = certificates(&contents.certificate).ok_or_else(none)?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key);
        let key = key.map_err(|_| malformed("key_file", &self.key, "private key"))?;
        let told = Told::of(&chain[0]).ok_or_else(none)?;
        let now = Timestamp::now();
        if now >= told.not_after {
            return Err(TlsError::Certificate(format!("over since {}", told.not_after)));
        }
        if now < told.not_before {
            return Err(TlsError::Certificate(format!("not valid before {}", told.not_before)));
        }
        let provider = Arc::new(ring::default_provider());
        let (server, client) = match (&self.authorities, &contents.authorities) {
            (Some(file), Some(authorities)) => {
                let authorities = certificates(authorities).ok_or_else(|| malformed("ca_file", file, "certificate"))?;
                let (server, client) = mutual(&provider, chain, key, authorities)?;
                (server, Some(Arc::new(client)))
            }
            _ => (for_everybody(&provider, chain, key)?, None),
        };
        Ok(Current { contents, told, server: Arc::new(server), client })
    }
}

fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|source| TlsError::Unreadable { key, file: file.to_owned(), source })
}

/// The certificates of a file: one at least, and nothing that is none.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    read.ok().filter(|read| !read.is_empty())
}

fn for_everybody(
    provider: &Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(DEFAULT_VERSIONS).map_err(TlsError::rejected)?;
    let mut server = builder.with_no_client_auth().with_single_cert(chain, key).map_err(TlsError::rejected)?;
    server.alpn_protocols = HTTP.map(<[u8]>::to_vec).to_vec();
    Ok(server)
}

/// Both sides show a certificate, at every connection: a session that is taken up again would be one whose certificates nobody looks
/// at any more.
fn mutual(
    provider: &Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
) -> Result<(ServerConfig, ClientConfig), TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority).map_err(TlsError::rejected)?;
    }
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(provider)).build();
    let verifier = verifier.map_err(TlsError::rejected)?;
    // What the others would say to it.
    let verified = verifier.verify_client_cert(&chain[0], &chain[1..], UnixTime::now());
    verified.map_err(|error| TlsError::Certificate(format!("not one that its ca_file vouches for: {error}")))?;

    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::rejected)?;
    let builder = builder.with_client_cert_verifier(verifier);
    let mut server = builder.with_single_cert(chain.clone(), key.clone_key()).map_err(TlsError::rejected)?;
    server.alpn_protocols = GRPC.map(<[u8]>::to_vec).to_vec();
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;

    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::rejected)?;
    let builder = builder.with_root_certificates(roots);
    let mut client = builder.with_client_auth_cert(chain, key).map_err(TlsError::rejected)?;
    client.alpn_protocols = GRPC.map(<[u8]>::to_vec).to_vec();
    client.resumption = Resumption::disabled();
    Ok((server, client))
}
