//! The webhook, a real HTTP server here, is told of tokens that expire soon.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use jiff::Timestamp;
use lifecycle::Clock;
use proto::token::v1::{CreateTokenRequest, DeleteTokensRequest, RegenerateTokenRequest, ReportLeakedTokenRequest};
use serde_json::Value;
use standardwebhooks::Webhook;
use token_service::WebhookConfig;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::stage::{PASSWORD, Stage, after, stop_request};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

type Message = (HeaderMap, Bytes);

#[derive(Clone)]
struct Receiver {
    seen: mpsc::UnboundedSender<Message>,
    /// How many messages are still refused.
    refusals: Arc<AtomicUsize>,
}

async fn receive(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.seen.send((headers, body)).unwrap();
    let refused = receiver.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if refused.is_ok() { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}

/// A webhook that refuses so many messages, and then takes them.
async fn webhook(refusals: usize, folder: &Path) -> (WebhookConfig, mpsc::UnboundedReceiver<Message>) {
    let (seen, messages) = mpsc::unbounded_channel();
    let receiver = Receiver { seen, refusals: Arc::new(AtomicUsize::new(refusals)) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().route("/hook", post(receive)).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let secret_file = folder.join("webhook.secret");
    std::fs::write(&secret_file, SECRET).unwrap();
    (WebhookConfig { url, secret_file }, messages)
}

fn verified((headers, body): &Message) -> Value {
    Webhook::new(SECRET).unwrap().verify(body, headers).expect("the signature is good");
    assert!(Webhook::new("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap().verify(body, headers).is_err());
    serde_json::from_slice(body).unwrap()
}

async fn next(messages: &mut mpsc::UnboundedReceiver<Message>) -> Message {
    tokio::time::timeout(Duration::from_secs(30), messages.recv()).await.expect("a message comes").unwrap()
}

#[tokio::test]
async fn the_webhook_is_told_of_an_expiry_until_it_takes_it_and_once_for_each_expiry() {
    let each = testkit::databases().into_iter().map(|database| async {
        let folder = tempfile::tempdir().unwrap();
        let (config, mut messages) = webhook(1, folder.path()).await;
        let stage = Stage::start(database, |known| known.webhook = Some(config)).await;
        let session = stage.session().await;
        let create = |description: &str, seconds| CreateTokenRequest {
            description: Some(description.into()),
            expires_at: after(seconds),
            ..stop_request()
        };
        stage.create_token(&session, create("far", 60 * 60 * 24 * 30)).await.unwrap();
        let soon = stage.create_token(&session, create("soon", 3600)).await.unwrap();
        assert!(soon.expires_soon);

        let refused = next(&mut messages).await;
        let taken = next(&mut messages).await;
        assert_eq!(refused.0["webhook-id"], taken.0["webhook-id"], "{}: it is the same message", stage.engine);
        let body = verified(&taken);
        assert_eq!(body["type"], "token.expiring");
        assert_eq!(body["data"]["token"]["id"], soon.id);
        assert_eq!(body["data"]["token"]["description"], "soon");
        assert_eq!(body["data"]["account"]["login"], crate::stage::LOGIN);
        let text = String::from_utf8_lossy(&taken.1).into_owned();
        assert!(!text.contains("pcl_pat_") && !text.contains(PASSWORD));

        // What comes next is about another token: the first is never told of again.
        let other = stage.create_token(&session, create("other", 7200)).await.unwrap();
        let body = verified(&next(&mut messages).await);
        assert_eq!(body["data"]["token"]["id"], other.id, "{}", stage.engine);
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn the_webhook_is_told_of_a_leak_although_the_token_is_deleted_meanwhile() {
    let each = testkit::databases().into_iter().map(|database| async {
        let folder = tempfile::tempdir().unwrap();
        let (config, mut messages) = webhook(1, folder.path()).await;
        let stage = Stage::start(database, |known| known.webhook = Some(config)).await;
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let report = ReportLeakedTokenRequest { token_value: token.key.unwrap() };
        stage.authority.clone().report_leaked_token(report).await.unwrap();
        let refused = next(&mut messages).await;
        let delete = DeleteTokensRequest { ids: vec![token.id], password: PASSWORD.into(), all: None };
        stage.authority.clone().delete_tokens(stage.granted(&session, delete).await).await.unwrap();
        let taken = next(&mut messages).await;
        assert_eq!(refused.0["webhook-id"], taken.0["webhook-id"], "{}", stage.engine);
        let body = verified(&taken);
        assert_eq!(
            (body["type"].as_str(), body["data"]["token"]["id"].as_i64()),
            (Some("token.leaked"), Some(token.id))
        );
    });
    futures::future::join_all(each).await;
}

/// A stage whose time the test moves, with a webhook that refuses the first message.
async fn timed_stage(database: testkit::TestDatabase, folder: &Path) -> (Stage, mpsc::UnboundedReceiver<Message>) {
    let (config, messages) = webhook(1, folder).await;
    let (clock, time) = Clock::manual(Timestamp::now());
    let stage = Stage::start_with_clock(database, clock, Some(time), |known| known.webhook = Some(config)).await;
    (stage, messages)
}

fn told(message: &Message) -> (i64, Timestamp) {
    let body = verified(message);
    let token = &body["data"]["token"];
    (token["id"].as_i64().unwrap(), token["expiresAt"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn an_expiry_that_was_changed_or_is_over_is_told_no_more() {
    let each = testkit::databases().into_iter().map(|database| async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, mut messages) = timed_stage(database, folder.path()).await;
        let session = stage.session().await;
        let create = async |seconds| {
            let request = CreateTokenRequest { expires_at: after(seconds), ..stop_request() };
            let token = stage.create_token(&session, request).await.unwrap();
            (token.id, proto::time::from_wire(&token.expires_at.unwrap()).unwrap())
        };
        let first = create(600).await;
        assert_eq!(told(&next(&mut messages).await), first, "{}: it is refused", stage.engine);
        let request = RegenerateTokenRequest {
            id: first.0,
            password: PASSWORD.into(),
            expires_at: after(60 * 60),
            ..RegenerateTokenRequest::default()
        };
        let answer = stage.authority.clone().regenerate_token(stage.granted(&session, request).await).await.unwrap();
        let later = answer.into_inner().token.unwrap().expires_at.unwrap();
        let changed = (first.0, proto::time::from_wire(&later).unwrap());
        assert_eq!(told(&next(&mut messages).await), changed, "{}", stage.engine);
        // The one that was refused is due again before the one that is made here.
        stage.advance(Duration::from_secs(10));
        let other = create(1200).await;
        assert_eq!(told(&next(&mut messages).await), other, "{}: the old expiry is no news", stage.engine);
    });
    futures::future::join_all(each).await;

    let each = testkit::databases().into_iter().map(|database| async {
        let folder = tempfile::tempdir().unwrap();
        let (stage, mut messages) = timed_stage(database, folder.path()).await;
        let session = stage.session().await;
        let create = |seconds| CreateTokenRequest { expires_at: after(seconds), ..stop_request() };
        let soon = stage.create_token(&session, create(30)).await.unwrap();
        assert_eq!(told(&next(&mut messages).await).0, soon.id, "{}: it is refused", stage.engine);
        stage.advance(Duration::from_secs(40));
        let other = stage.create_token(&session, create(600)).await.unwrap();
        assert_eq!(told(&next(&mut messages).await).0, other.id, "{}: the expiry is over", stage.engine);
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn the_webhook_is_told_of_a_leaked_session_and_of_a_value_of_before_a_regeneration() {
    let each = testkit::databases().into_iter().map(|database| async {
        let folder = tempfile::tempdir().unwrap();
        let (config, mut messages) = webhook(0, folder.path()).await;
        let stage = Stage::start(database, |known| known.webhook = Some(config)).await;
        let (session, leaked) = (stage.session().await, stage.session().await);
        let report = async |value: String| {
            let request = ReportLeakedTokenRequest { token_value: value };
            stage.authority.clone().report_leaked_token(request).await.unwrap();
        };
        report(leaked).await;
        let body = verified(&next(&mut messages).await);
        assert_eq!(body["type"], "session.leaked", "{}", stage.engine);
        assert_eq!(body["data"]["session"]["id"], 2);
        assert!(body["data"]["session"]["leakedAt"].is_string(), "{body}");
        assert!(body["data"].get("token").is_none() && body["data"]["session"].get("description").is_none(), "{body}");
        assert_eq!(body["data"]["account"]["login"], crate::stage::LOGIN);

        let token = stage.stop_token(&session).await;
        let request = RegenerateTokenRequest {
            id: token.id,
            password: PASSWORD.into(),
            overlap_seconds: Some(3600),
            ..RegenerateTokenRequest::default()
        };
        stage.authority.clone().regenerate_token(stage.granted(&session, request).await).await.unwrap();
        report(token.key.unwrap()).await;
        let body = verified(&next(&mut messages).await);
        assert_eq!(
            (body["type"].as_str(), body["data"]["token"]["id"].as_i64()),
            (Some("token.leaked"), Some(token.id))
        );
        assert!(body["data"]["token"]["previousLeakedAt"].is_string(), "{body}");
        assert!(body["data"]["token"].get("leakedAt").is_none(), "{}: the present value is good", stage.engine);
    });
    futures::future::join_all(each).await;
}
