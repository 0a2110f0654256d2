//! A private authority, and the certificates of the services.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tls::{Certificates, MutualConfig};

use crate::home::Home;

fn identity(folder: &Path, name: &str) -> MutualConfig {
    let file = |name: &str, ending: &str| folder.join(format!("{name}.{ending}"));
    MutualConfig {
        certificate_file: file(name, "pem"),
        key_file: file(name, "key"),
        ca_file: file("ca", "pem"),
        clients: None,
    }
}

#[tokio::test]
async fn an_authority_and_what_it_issues_can_be_used_at_once() {
    let home = Home::new();
    let folder = home.folder.path().join("certs");
    let path = folder.to_str().unwrap();
    let made = Home::succeeded(home.run(&["certs", "init", path], "", None).await);
    assert_eq!(made.lines().collect::<Vec<_>>(), [format!("{path}/ca.key"), format!("{path}/ca.pem")]);
    let issue = ["certs", "issue", path, "api-gateway", "--host", "127.0.0.1", "--host", "api.example.org"];
    Home::succeeded(home.run(&issue, "", None).await);
    assert!(Certificates::mutual(&identity(&folder, "api-gateway")).is_ok());

    let mode = |file: &str| std::fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode("ca.key"), mode("api-gateway.key")], [0o600, 0o600]);
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let left = std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut left: Vec<String> = left.collect();
    left.sort();
    assert_eq!(left, ["api-gateway.key", "api-gateway.pem", "ca.key", "ca.pem"]);
}

#[tokio::test]
async fn nothing_is_replaced_unless_that_is_said() {
    let home = Home::new();
    let folder = home.folder.path().join("certs");
    let path = folder.to_str().unwrap();
    let issue = ["certs", "issue", path, "api-gateway"];
    let said = home.run(&issue, "", None).await;
    assert!(String::from_utf8_lossy(&said.stderr).contains("certs init"), "{said:?}");
    Home::succeeded(home.run(&["certs", "init", path], "", None).await);
    Home::succeeded(home.run(&issue, "", None).await);

    let files = ["ca.key", "ca.pem", "api-gateway.key", "api-gateway.pem"];
    let read = || files.map(|file| std::fs::read_to_string(folder.join(file)).unwrap());
    let before = read();
    for line in [&["certs", "init", path][..], &issue] {
        let refused = home.run(line, "", None).await;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!((refused.status.code(), said.contains("--force")), (Some(1), true), "{said}");
    }
    assert_eq!(read(), before);

    Home::succeeded(home.run(&[&issue[..], &["--force", "--days", "1"]].concat(), "", None).await);
    let after = read();
    assert_eq!((&before[..2], &after[..2]), (&after[..2], &before[..2]), "the authority is the same");
    assert!(before[2] != after[2] && before[3] != after[3]);
    assert!(KeyPair::from_pem(&after[2]).is_ok() && CertificateDer::from_pem_slice(after[3].as_bytes()).is_ok());
    assert!(Certificates::mutual(&identity(&folder, "api-gateway")).is_ok());

    let elsewhere = home.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let line = [&issue[..], &["--out", elsewhere.to_str().unwrap()]].concat();
    Home::succeeded(home.run(&line, "", None).await);
    assert!(elsewhere.join("api-gateway.key").is_file() && !elsewhere.join("ca.key").exists());
    assert_eq!(read(), after);
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let home = Home::new();
    let path = home.folder.path().join("certs").to_str().unwrap().to_owned();
    Home::succeeded(home.run(&["certs", "init", &path], "", None).await);
    for line in [&["ca"][..], &["../gateway"], &["Gateway"], &["a.b"], &["gateway", "--days", "0"]] {
        let refused = home.run(&[&["certs", "issue", path.as_str()], line].concat(), "", None).await;
        assert_eq!(refused.status.code(), Some(2), "{line:?}");
    }
}
