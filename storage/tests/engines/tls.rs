//! A server that is reached by TLS, and is who it says.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sqlx::{Executor, Row};
use storage::{Database, DatabaseOptions, Notifications};
use testkit::Postgres;

/// Lets the server speak TLS, under a certificate for `localhost`. Answers its authority's.
async fn speak_tls(server: &Postgres, url: &str) -> String {
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority_key = KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let data = server.folder().join("data");
    let owner = std::fs::metadata(&data).unwrap();
    for (file, pem) in [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())] {
        let file = data.join(file);
        std::fs::write(&file, pem).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    sqlx::any::install_default_drivers();
    let mut plain = <sqlx::AnyConnection as sqlx::Connection>::connect(url).await.unwrap();
    plain.execute("alter system set ssl = on").await.unwrap();
    plain.execute("select pg_reload_conf()").await.unwrap();
    authority_pem
}

#[tokio::test]
async fn a_server_is_reached_by_tls_and_has_to_be_who_it_says() {
    let server = Postgres::start();
    let url = server.new_database();
    let folder = tempfile::tempdir().unwrap();
    let (good, other) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    std::fs::write(&good, speak_tls(&server, &url).await).unwrap();
    let foreign = CertificateParams::new([]).unwrap().self_signed(&KeyPair::generate().unwrap()).unwrap();
    std::fs::write(&other, foreign.pem()).unwrap();
    let localhost = url.replace("127.0.0.1", "localhost");
    let with = |url: &str, authority: &std::path::Path| {
        format!("{url}?sslmode=verify-full&sslrootcert={}", authority.display())
    };

    let trusted = with(&localhost, &good).parse().unwrap();
    let database =
        testkit::eventually("the server takes its certificate", std::time::Duration::from_secs(30), async || {
            Database::open(&trusted, &DatabaseOptions::default()).await.ok()
        })
        .await;
    let used = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
    let row = sqlx::query(used).fetch_one(database.reader()).await.unwrap();
    assert!(row.try_get::<bool, _>("ssl").unwrap(), "it is TLS");
    Notifications::listen(&trusted, "test").await.expect("notifications come by TLS as well");
    database.close().await;

    for (what, url) in [("another authority", with(&localhost, &other)), ("another name", with(&url, &good))] {
        assert!(Database::open(&url.parse().unwrap(), &DatabaseOptions::default()).await.is_err(), "{what}");
    }
}
