//! What the authority has said of credentials, remembered under this gateway's lease.

use std::sync::Arc;
use std::time::Duration;

use access::lease::{Bounds, Freshness, LeaseHandle, Memorable, Memory, Recalled, Refusal};
use access::{Credential, CredentialHash};
use lifecycle::Lifecycle;
use opentelemetry::metrics::Meter;
use proto::{Failure, Method};

use crate::authority::Authority;
use crate::known::Known;

/// For so long it is remembered that a credential is not alive.
const REFUSAL: Duration = Duration::from_secs(1);

/// Introspections: of a credential, for a service.
#[derive(Clone)]
pub(crate) struct Introspections {
    authority: Authority,
    memory: Arc<Memory<Key, Known>>,
    lease: LeaseHandle,
    lifecycle: Lifecycle,
}

/// A credential, and the place of the service in the catalog.
type Key = (CredentialHash, u8);

impl Introspections {
    pub(crate) fn new(
        authority: Authority,
        lease: LeaseHandle,
        (entries, bytes): (usize, u64),
        lifecycle: Lifecycle,
    ) -> Self {
        let bounds = Bounds { entries, bytes, refusal: REFUSAL };
        Self { authority, memory: Arc::new(Memory::new(lease.clone(), bounds)), lease, lifecycle }
    }

    /// Shows how much is remembered, and how often that was of use.
    pub(crate) fn show(&self, meter: &Meter) {
        self.memory.show(meter);
    }

    /// What a credential may do at the service that executes a method; nothing where it is not alive. `unknown` decides whether
    /// somebody may go on whose credential is not remembered as alive.
    pub(crate) async fn of(
        &self,
        credential: &Credential,
        method: &Method,
        unknown: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<Option<Arc<Known>>, Failure> {
        let key = (credential.hash(), method.audience_place());
        match self.memory.recall(&key) {
            Recalled::Known { value, aging } => {
                if aging {
                    self.renew(key, credential, method.audience());
                }
                Ok(Some(value))
            }
            Recalled::Refused => unknown().map(|()| None),
            Recalled::Nothing => {
                unknown()?;
                // Apart, so that no other call carries what a question needs.
                Box::pin(self.memory.ask(&key, self.ask(credential, method.audience()))).await
            }
        }
    }

    /// Whether what was said of a credential may still be used at this moment, as for a call that comes now.
    pub(crate) fn still(&self, known: &Known) -> Result<(), Refusal> {
        self.lease.allow(&known.statement())
    }

    /// The same, after the service has refused a grant as stale: what is remembered does not count.
    pub(crate) async fn anew(&self, credential: &Credential, method: &Method) -> Result<Option<Arc<Known>>, Failure> {
        self.memory.forget(&(credential.hash(), method.audience_place()));
        let asked = Box::pin(self.ask_for(credential, method.audience(), Freshness::Now));
        Ok(asked.await?.map(Arc::new))
    }

    async fn ask(&self, credential: &Credential, audience: &str) -> Result<Option<Known>, Failure> {
        let floor = self.lease.floor();
        self.ask_for(credential, audience, Freshness::NotBefore(floor)).await
    }

    async fn ask_for(
        &self,
        credential: &Credential,
        audience: &str,
        freshness: Freshness,
    ) -> Result<Option<Known>, Failure> {
        let asked_at = self.lease.now();
        let answer = self.authority.introspect(credential, audience, freshness).await?;
        answer.map(|introspected| Known::new(introspected, asked_at)).transpose()
    }

    /// Asks ahead of time, beside the call that found it aging.
    fn renew(&self, key: Key, credential: &Credential, audience: &str) {
        let Ok(credential) = Credential::parse(credential.expose()) else { return };
        let (this, audience) = (self.clone(), audience.to_owned());
        let renewal = async move {
            let renewed = this.memory.renew(&key, this.ask(&credential, &audience)).await;
            if let Err(failure) = renewed {
                tracing::debug!(%failure, "an introspection was not renewed ahead of time");
            }
        };
        drop(self.lifecycle.spawn("api-gateway.renewal", renewal));
    }
}
