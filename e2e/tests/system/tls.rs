//! The system behind TLS: who is let in, and what becomes of it while certificates are replaced.

mod handshake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use access::Credential;
use e2e::{Certificates, Client, SERVICES, Stack};
use proto::token::v1::GetPublicKeysRequest;
use proto::token::v1::introspection_client::IntrospectionClient;
use proto::{ErrorKind, Failure};
use testkit::{binary, eventually};
use tls::{Connector, MutualConfig};
use tokio::process::Command;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::secrets::line_with;
use handshake::{GRPC, HTTP1, HTTP2, Refused, shake, speaks_http2};

const LONG: Duration = Duration::from_secs(30);
const INFO: &str = "/1.0/environment/control/rest/getenvinfo";

/// Where each service listens.
fn ports(stack: &Stack) -> [(&'static str, &str); 3] {
    [
        ("token-service", stack.token_urls[0].as_str()),
        ("environment-service", stack.environment_url.as_str()),
        ("api-gateway", stack.url.as_str()),
    ]
}

#[tokio::test]
async fn a_call_is_served_behind_tls_from_end_to_end() {
    let stack = Stack::secured().await;
    assert!(stack.url.starts_with("https://"));
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let (_, token) = stack.token(&session, "environment.control.StopEnv").await;
    let stop = format!("/1.0/environment/control/rest/stopenv?envName=my-project&session={token}");
    stack.client.get(&stop).await.success();
    assert_eq!(stack.info(&session, "my-project").await["env"]["status"], 2);

    let certificates = stack.certificates.as_ref().unwrap();
    let authority = certificates.authority();
    for (asked, chosen) in [(HTTP2, "h2"), (HTTP1, "http/1.1"), (&[b"h2", b"http/1.1"], "h2")] {
        let shaken = shake(&stack.url, &authority, None, asked).await.unwrap();
        assert_eq!(shaken.protocol.as_deref(), Some(chosen), "{asked:?}");
        assert_eq!(shaken.certificate, certificates.certificate("api-gateway"));
    }
    assert_eq!(handshake::get_by_http2(&stack.url, &authority, "/readyz").await, 200);
    let issuer = stack.client.get("/.well-known/oauth-authorization-server").await.json()["issuer"].clone();
    assert_eq!(issuer, stack.url.as_str(), "what it says of itself is where it is");
}

#[tokio::test]
async fn who_shows_no_certificate_of_this_authority_is_refused() {
    let stack = Stack::secured().await;
    let certificates = stack.certificates.as_ref().unwrap();
    let authority = certificates.authority();
    let folder = tempfile::tempdir().unwrap();
    let foreign = Certificates::new(folder.path().join("certs")).await;
    handshake::write_expired(certificates, "expired");

    for (service, url) in ports(&stack) {
        let plain = url.replace("https://", "http://");
        if service == "api-gateway" {
            assert!(Client::new(&plain).try_get("/readyz").await.is_err(), "plain HTTP");
            continue;
        }
        let plain = Endpoint::from_shared(plain).unwrap().connect().await;
        let channel = plain.unwrap_or_else(|error| panic!("{service}: it is told by the first call: {error}"));
        let answer = IntrospectionClient::new(channel).get_public_keys(Request::new(GetPublicKeysRequest {})).await;
        assert!(answer.is_err(), "{service}: plain text");

        let own = certificates.identity("api-gateway");
        assert!(speaks_http2(url, &authority, Some(&own)).await.is_ok(), "{service}: the gateway is let in");
        assert_eq!(speaks_http2(url, &authority, None).await, Err(Refused), "{service}: no certificate");
        let other = foreign.identity("api-gateway");
        assert_eq!(speaks_http2(url, &authority, Some(&other)).await, Err(Refused), "{service}: another authority's");
        let expired = certificates.identity("expired");
        assert_eq!(speaks_http2(url, &authority, Some(&expired)).await, Err(Refused), "{service}: an expired one");
        let refused = shake(url, &foreign.authority(), Some(&own), GRPC).await;
        assert!(refused.is_err(), "{service}: the client believes another authority");
    }
    certificates.issue("reporting", &[]).await;
    let other = certificates.identity("reporting");
    let refused = speaks_http2(&stack.environment_url, &authority, Some(&other)).await;
    assert_eq!(refused, Err(Refused), "the environment-service is told who its clients are");
}

/// Asks the authority under a service's key, and shows a certificate beside.
async fn public_keys(stack: &Stack, key: &str, identity: &MutualConfig) -> Result<usize, Failure> {
    let connector = Connector::new(Some(tls::Certificates::mutual(identity).unwrap()));
    let endpoint = Endpoint::from_shared(stack.token_urls[0].clone()).unwrap();
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut request = Request::new(GetPublicKeysRequest {});
    request.metadata_mut().insert("authorization", Credential::parse(key).unwrap().bearer());
    let answer = IntrospectionClient::new(channel).get_public_keys(request).await;
    answer.map(|answer| answer.into_inner().keys.len()).map_err(Failure::from)
}

#[tokio::test]
async fn a_service_key_is_good_beside_its_own_certificate_only() {
    let stack = Stack::secured().await;
    let certificates = stack.certificates.as_ref().unwrap();
    for (key, certificate, good) in [
        ("api-gateway", "api-gateway", true),
        ("environment-service", "environment-service", true),
        ("api-gateway", "environment-service", false),
        ("environment-service", "api-gateway", false),
        (e2e::CLIENT_NAME, "api-gateway", false),
    ] {
        let answer = public_keys(&stack, &stack.service_key(key), &certificates.identity(certificate)).await;
        match answer {
            Ok(keys) => assert!(good && keys == 1, "the key of {key} beside the certificate of {certificate}"),
            Err(failure) => {
                assert!(!good, "the key of {key} beside the certificate of {certificate}: {failure:?}");
                assert_eq!(failure.kind(), ErrorKind::NotAuthenticated, "{failure:?}");
            }
        }
    }
    // A gateway passes on no key of a service: whoever has stolen one has not the certificate.
    for service in ["api-gateway", "environment-service"] {
        let stolen = stack.client.request(reqwest::Method::POST, "/oauth2/introspect");
        let stolen = stolen.basic_auth(service, Some(stack.service_key(service)));
        let answer = stack.client.send(stolen.form(&[("token", "pcl_pat_none")])).await;
        assert_eq!((answer.status, answer.json()["error"].as_str()), (401, Some("invalid_client")), "{answer:?}");
    }
    // A client's key is passed on by a gateway, which shows its own certificate and its own key.
    let basic = stack.client.request(reqwest::Method::POST, "/oauth2/introspect");
    let basic = basic.basic_auth(e2e::CLIENT_NAME, Some(stack.service_key(e2e::CLIENT_NAME)));
    let answer = stack.client.send(basic.form(&[("token", "pcl_pat_none")])).await;
    assert_eq!((answer.status, answer.json()["active"].as_bool()), (200, Some(false)), "{answer:?}");
}

/// What `portcullis` prints.
async fn said(arguments: &[&str]) -> String {
    let output = Command::new(binary("portcullis")).args(arguments).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn operators_ask_services_behind_tls() {
    let stack = Stack::secured().await;
    for (service, findings) in [
        ("token-service", &["ok      schema"][..]),
        ("environment-service", &["ok      authority"]),
        ("api-gateway", &["ok      authority", "ok      services"]),
    ] {
        let told = said(&["doctor", service, &stack.config(service)]).await;
        assert!(findings.iter().all(|finding| told.contains(finding)), "{service}: {told}");
    }
    let certificates = stack.certificates.as_ref().unwrap();
    let file = |name, ending| certificates.file(name, ending).display().to_string();
    let authority = file("ca", "pem");
    let (certificate, key) = (file("api-gateway", "pem"), file("api-gateway", "key"));
    let identity = ["--certificate-file", &certificate, "--key-file", &key, "--ca-file", &authority];
    for url in [&stack.token_urls[0], &stack.environment_url] {
        e2e::run("portcullis", &[&["health", url.as_str()][..], &identity].concat(), "").await;
    }
    let ready = format!("{}/readyz", stack.url);
    e2e::run("portcullis", &["health", &ready, "--ca-file", &authority], "").await;
}

/// Calls until it is told to stop. Answers how many calls there were.
async fn call_on(client: Client, path: String, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) {
    while !stop.load(Relaxed) {
        let answer = client.try_get(&path).await;
        let answer = answer.unwrap_or_else(|error| panic!("a call failed: {error:?}"));
        assert_eq!(answer.result(), 0, "{answer:?}");
        calls.fetch_add(1, Relaxed);
    }
}

/// Waits until new connections show the certificates that are in the files now.
async fn shown(stack: &Stack) {
    let certificates = stack.certificates.as_ref().unwrap();
    let (authority, gateway) = (certificates.authority(), certificates.identity("api-gateway"));
    for (service, url) in ports(stack) {
        eventually(&format!("the new certificate of {service}"), LONG, async || {
            let identity = (service != "api-gateway").then_some(&gateway);
            let protocols = if service == "api-gateway" { HTTP1 } else { GRPC };
            let shaken = shake(url, &authority, identity, protocols).await.unwrap();
            (shaken.certificate == certificates.certificate(service)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn certificates_are_replaced_while_calls_go_on_and_none_fails() {
    let mut stack = Stack::secured().await;
    let session = stack.session().await;
    stack.create_environment(&session, "my-project", "worker", 1).await;
    let (_, token) = stack.token(&session, "environment.control.GetEnvInfo").await;
    let path = format!("{INFO}?envName=my-project&session={token}");
    let authority = stack.certificates.as_ref().unwrap().authority();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // Two that keep their connection, and two that make a new one for each call.
    let callers = [usize::MAX, usize::MAX, 0, 0].map(|kept| {
        let client = Client::believing(&stack.url, &authority, kept);
        tokio::spawn(call_on(client, path.clone(), Arc::clone(&stop), Arc::clone(&calls)))
    });
    for _ in 0..3 {
        let before = calls.load(Relaxed);
        let certificates = stack.certificates.as_ref().unwrap();
        let old = SERVICES.map(|service| certificates.certificate(service));
        certificates.issue_all(&["--force"]).await;
        assert_ne!(old, SERVICES.map(|service| certificates.certificate(service)));
        shown(&stack).await;
        eventually("more calls", LONG, async || (calls.load(Relaxed) > before + 20).then_some(())).await;
    }
    // One that cannot be used changes nothing.
    let certificates = stack.certificates.as_ref().unwrap();
    let file = certificates.file("api-gateway", "pem");
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n").unwrap();
    eventually("what is told of it", LONG, async || {
        stack.gateway.as_ref().unwrap().log().contains("new certificates cannot be used").then_some(())
    })
    .await;
    let before = calls.load(Relaxed);
    eventually("more calls", LONG, async || (calls.load(Relaxed) > before + 20).then_some(())).await;
    std::fs::write(&file, good).unwrap();
    shown(&stack).await;
    stop.store(true, Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }

    // The gateway's next connection shows the newest as well.
    stack.environment.take().unwrap().terminate().await;
    stack.start_environment_service().await;
    eventually("a call by a new connection", LONG, async || {
        stack.client.try_get(&path).await.is_ok_and(|answer| answer.result() == 0).then_some(())
    })
    .await;
    let log = stack.logs();
    assert!(log.contains("new certificates are in use"));
    for secret in stack.certificates.as_ref().unwrap().secrets() {
        assert_eq!(line_with(&log, &secret), None, "a line of a private key is in a log");
    }
}
