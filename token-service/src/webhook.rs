//! Tells the operator's webhook of tokens that expire soon, and of values that were reported to be known to others: signed
//! as Standard Webhooks says, at least once each, and again with growing pauses until it is taken or not true any more.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use lifecycle::{Clock, Lifecycle};
use reqwest::redirect::Policy;
use standardwebhooks::Webhook as Signer;
use storage::StorageError;
use url::Url;

use crate::domain::Notice;
use crate::store::Store;

/// How often it is looked whether there is something to tell.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the webhook may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The webhook, and what it is told of.
#[derive(Clone)]
pub(crate) struct Webhook {
    url: Url,
    signer: Arc<Signer>,
    client: reqwest::Client,
    /// How long before a token's expiry it is told.
    notice: SignedDuration,
}

/// Why there is no webhook, or why it was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebhookError {
    #[error("the secret is no `whsec_` and base64")]
    Secret(#[from] standardwebhooks::WebhookError),
    #[error("the webhook was not reached")]
    Reach(#[from] reqwest::Error),
    #[error("the webhook answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("the database did not answer")]
    Storage(#[from] StorageError),
}

impl Webhook {
    pub(crate) fn new(url: Url, secret: &str, notice: SignedDuration) -> Result<Self, WebhookError> {
        let signer = Arc::new(Signer::new(secret)?);
        // Where another part of the process has chosen already, its choice stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Whatever the answer, nothing but the configured address is ever called.
        let client = reqwest::Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()?;
        Ok(Self { url, signer, client, notice })
    }

    /// Tells what there is to tell, until the drain.
    pub(crate) async fn run(self, store: Store, clock: Clock, lifecycle: Lifecycle) {
        let mut tick = tokio::time::interval(INTERVAL);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = lifecycle.draining() => return,
                _ = tick.tick() => {}
            }
            let round = self.round(&store, &clock);
            let told = tokio::select! {
                () = lifecycle.draining() => return,
                told = round => told,
            };
            if let Err(error) = told {
                tracing::warn!(%error, "notices wait for the database");
            }
        }
    }

    async fn round(&self, store: &Store, clock: &Clock) -> Result<(), StorageError> {
        let now = clock.now();
        while store.notice_expiries(now, now + self.notice).await? {}
        store.drop_overtaken_notices(now).await?;
        for notice in store.notices_due(now).await? {
            self.tell(store, clock, &notice).await?;
        }
        Ok(())
    }

    /// One attempt. The notice is due again before the attempt is made, so that nothing that happens meanwhile loses it.
    async fn tell(&self, store: &Store, clock: &Clock, notice: &Notice) -> Result<(), StorageError> {
        let now = clock.now();
        if !store.claim_notice(notice, now, notice.again_at(now)).await? {
            return Ok(());
        }
        match self.send(notice, clock).await {
            Ok(()) => {
                store.notice_delivered(notice, clock.now()).await?;
                tracing::info!(notice.id, notice.credential, "the webhook was told");
            }
            Err(error) => {
                tracing::warn!(notice.id, notice.attempts, %error, "the webhook was not told, and will be again");
            }
        }
        Ok(())
    }

    async fn send(&self, notice: &Notice, clock: &Clock) -> Result<(), WebhookError> {
        let now = clock.now();
        let body = notice.body(now).to_string();
        let signature = self.signer.sign(&notice.id, now.as_second(), body.as_bytes())?;
        let request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/json")
            .header(standardwebhooks::HEADER_WEBHOOK_ID, &notice.id)
            .header(standardwebhooks::HEADER_WEBHOOK_TIMESTAMP, now.as_second())
            .header(standardwebhooks::HEADER_WEBHOOK_SIGNATURE, signature)
            .body(body);
        // The address may hold a secret: no error shows it.
        let answer = request.send().await.map_err(reqwest::Error::without_url)?;
        if answer.status().is_success() { Ok(()) } else { Err(WebhookError::Refused(answer.status())) }
    }
}
