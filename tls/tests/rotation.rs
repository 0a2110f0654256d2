//! Certificates between two sides, over real sockets: who is let in, and what a connection is under when files change.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use lifecycle::Lifecycle;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use testkit::eventually;
use tls::{Certificates, Connector, Incoming, Listener, ListenerConfig, MutualConfig, Peer, TlsError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;
use tonic::transport::server::Connected;
use tower::ServiceExt;

const LONG: Duration = Duration::from_secs(30);

/// An authority that issues certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, folder: &Path, file: &str, names: &[&str], days: i64) -> MutualConfig {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        let now = std::time::SystemTime::now();
        let day = |days: i64| Duration::from_secs(days.unsigned_abs() * 24 * 60 * 60);
        params.not_before = (now - day(30)).into();
        params.not_after = if days < 0 { (now - day(days)).into() } else { (now + day(days)).into() };
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |ending: &str| folder.join(format!("{file}.{ending}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        let ca_file = path("ca");
        std::fs::write(&ca_file, &self.pem).unwrap();
        MutualConfig { certificate_file: path("pem"), key_file: path("key"), ca_file, clients: None }
    }
}

async fn listening(config: &MutualConfig, lifecycle: &Lifecycle) -> (String, Incoming) {
    let certificates = Certificates::mutual(config).unwrap();
    drop(lifecycle.spawn("certificates", certificates.clone().follow(lifecycle.clone())));
    let listener = Listener::bind(([127, 0, 0, 1], 0).into(), Some(certificates)).await.unwrap();
    (format!("https://{}", listener.local_addr().unwrap()), listener.incoming())
}

/// Whether each side lets the other in; and what the one that listens knows of the other.
async fn meet(connector: &Connector, url: &str, incoming: &mut Incoming) -> Option<Peer> {
    let ask = async {
        let stream = connector.clone().oneshot(url.parse().unwrap()).await.ok()?;
        let mut stream = stream.into_inner();
        stream.write_all(b"?").await.ok()?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await.ok()?;
        // Who cannot read it gets an alert in place of it.
        (answer == *b"!").then_some(())
    };
    let answer = async {
        while let Some(Ok(mut stream)) = incoming.next().await {
            let mut question = [0];
            if stream.read_exact(&mut question).await.is_ok() {
                stream.write_all(b"!").await.unwrap();
                return stream.connect_info();
            }
        }
        unreachable!("a listener does not end")
    };
    tokio::pin!(ask, answer);
    tokio::select! {
        biased;
        peer = &mut answer => ask.await.map(|_| peer),
        asked = &mut ask => { assert!(asked.is_none(), "nobody answered"); None }
    }
}

fn connector(config: &MutualConfig) -> Connector {
    Connector::new(Some(Certificates::mutual(config).unwrap()))
}

#[tokio::test]
async fn each_side_lets_in_who_its_authorities_vouch_for() {
    let (folder, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
    let (authority, other) = (Authority::new(), Authority::new());
    let issue = |name: &str| authority.issue(folder.path(), name, &[name, "127.0.0.1"], 1);
    let (url, mut incoming) = listening(&issue("server"), &lifecycle).await;
    let peer = meet(&connector(&issue("gateway")), &url, &mut incoming).await.expect("it is let in");
    assert!(peer.may_be("gateway") && !peer.may_be("server") && !peer.may_be("gate") && peer.address().is_some());
    assert!(Peer::default().may_be("anybody"), "who has shown none is known by something else");

    let foreign = other.issue(folder.path(), "foreign", &["gateway"], 1);
    assert!(meet(&connector(&foreign), &url, &mut incoming).await.is_none(), "neither knows the other");
    let believing = MutualConfig { ca_file: issue("gateway").ca_file, ..foreign.clone() };
    assert!(Certificates::mutual(&believing).is_err(), "what the others would refuse is not used");
    // One that believes the server, and that the server does not.
    std::fs::write(&foreign.ca_file, [authority.pem.clone(), other.pem.clone()].concat()).unwrap();
    assert!(meet(&connector(&foreign), &url, &mut incoming).await.is_none(), "the server does not know it");
    assert!(meet(&connector(&issue("gateway")), &url, &mut incoming).await.is_some(), "the others are still let in");

    let certificates = || Some(Certificates::mutual(&issue("gateway")).unwrap());
    assert!(meet(&Connector::to(certificates(), "server"), &url, &mut incoming).await.is_some(), "it is who is meant");
    let meant = Connector::to(certificates(), "another");
    assert!(meet(&meant, &url, &mut incoming).await.is_none(), "another service is at this host");

    let elsewhere = url.replace("127.0.0.1", "localhost");
    assert!(meet(&connector(&issue("gateway")), &elsewhere, &mut incoming).await.is_none(), "the host is another");
    assert!(meet(&Connector::default(), &url, &mut incoming).await.is_none(), "it has nothing to show");
    let plain = url.replace("https://", "http://");
    assert!(meet(&Connector::default(), &plain, &mut incoming).await.is_none(), "plain text");
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    const SILENT: usize = 400;
    let (folder, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
    let authority = Authority::new();
    let issue = |name: &str| authority.issue(folder.path(), name, &[name, "127.0.0.1"], 1);
    let (url, mut incoming) = listening(&issue("server"), &lifecycle).await;
    let mut silent = Vec::new();
    for _ in 0..SILENT {
        silent.push(tokio::net::TcpStream::connect(url.trim_start_matches("https://")).await.unwrap());
    }
    assert!(meet(&connector(&issue("gateway")), &url, &mut incoming).await.is_some());
    // Those that have said nothing for longest have given way; the others are still waited for.
    let (first, last) = (silent.remove(0), silent.pop().unwrap());
    assert_eq!(eventually("its end", LONG, async || first.try_read(&mut [0]).ok()).await, 0);
    assert_eq!(last.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn only_the_clients_that_are_named_are_let_in() {
    let (folder, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
    let authority = Authority::new();
    let issue = |name: &str| authority.issue(folder.path(), name, &[name, "127.0.0.1"], 1);
    let config = MutualConfig { clients: Some(vec!["gateway".to_owned()]), ..issue("server") };
    let (url, mut incoming) = listening(&config, &lifecycle).await;
    assert!(meet(&connector(&issue("gateway")), &url, &mut incoming).await.is_some());
    assert!(meet(&connector(&issue("reporting")), &url, &mut incoming).await.is_none());
}

#[tokio::test]
async fn a_new_connection_is_under_what_the_files_say() {
    let (folder, lifecycle) = (tempfile::tempdir().unwrap(), Lifecycle::new());
    let (first, second) = (Authority::new(), Authority::new());
    let server = first.issue(folder.path(), "server", &["server", "127.0.0.1"], 1);
    let (url, mut incoming) = listening(&server, &lifecycle).await;
    let old = first.issue(folder.path(), "old", &["gateway"], 1);
    let certificates = Certificates::mutual(&first.issue(folder.path(), "client", &["before"], 1)).unwrap();
    drop(lifecycle.spawn("certificates", certificates.clone().follow(lifecycle.clone())));
    let client = Connector::new(Some(certificates));
    let opened = client.clone().oneshot(url.parse().unwrap());
    let (opened, accepted) = tokio::join!(opened, incoming.next());
    let (mut open, mut accepted) = (opened.unwrap().into_inner(), accepted.unwrap().unwrap());
    let incoming = Mutex::new(incoming);

    first.issue(folder.path(), "client", &["behind"], 1);
    eventually("the client's new name", LONG, async || {
        let peer = meet(&client, &url, &mut *incoming.lock().await).await.expect("no connection fails meanwhile");
        peer.may_be("behind").then_some(())
    })
    .await;

    // Both authorities, then the second one's certificate, then the second one alone.
    std::fs::write(folder.path().join("client.ca"), [first.pem.clone(), second.pem.clone()].concat()).unwrap();
    second.issue(folder.path(), "server", &["server", "127.0.0.1"], 1);
    let newer = second.issue(folder.path(), "newer", &["gateway"], 1);
    let newer = connector(&newer);
    eventually("the second authority's", LONG, async || {
        meet(&newer, &url, &mut *incoming.lock().await).await.map(drop)
    })
    .await;
    assert!(
        meet(&connector(&old), &url, &mut *incoming.lock().await).await.is_none(),
        "the first one's are not let in any more"
    );

    let (mut word, said) = ([0], b"x");
    open.write_all(said).await.unwrap();
    accepted.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, said, "a connection that is open stays");
}

#[test]
fn what_cannot_be_used_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.issue(folder.path(), "good", &["good"], 1);
    let expired = authority.issue(folder.path(), "expired", &["expired"], -1);
    let said = |config: &MutualConfig| {
        let error = Certificates::mutual(config).map(drop).unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    };
    let nowhere = folder.path().join("nowhere.pem");
    let with = |change: fn(&mut MutualConfig, &Path), path: &Path| {
        let mut config = good.clone();
        change(&mut config, path);
        said(&config)
    };
    let (key, certificate) = (good.key_file.clone(), good.certificate_file.clone());
    for (said, part) in [
        (said(&expired), "over since"),
        (with(|config, path| config.certificate_file = path.to_owned(), &nowhere), "certificate_file"),
        (with(|config, path| config.key_file = path.to_owned(), &nowhere), "key_file"),
        (with(|config, path| config.ca_file = path.to_owned(), &nowhere), "ca_file"),
        (with(|config, path| config.certificate_file = path.to_owned(), &key), "holds no certificate"),
        (with(|config, path| config.key_file = path.to_owned(), &certificate), "holds no private key"),
        (with(|config, path| config.ca_file = path.to_owned(), &key), "holds no certificate"),
        (with(|config, path| config.key_file = path.to_owned(), &expired.key_file), "do not go together"),
        (with(|config, path| config.ca_file = path.to_owned(), &certificate), "ca_file vouches"),
    ] {
        assert!(said.contains(part), "{part}: {said}");
        assert!(!said.contains("PRIVATE"), "{said}");
    }
    let config = ListenerConfig { certificate_file: expired.certificate_file, key_file: expired.key_file };
    assert!(matches!(Certificates::of_listener(&config).map(drop), Err(TlsError::Certificate(_))));
    let config = ListenerConfig { certificate_file: good.certificate_file, key_file: good.key_file };
    assert!(Certificates::of_listener(&config).is_ok());
}
