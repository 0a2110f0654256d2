use std::collections::HashSet;
use std::hash::Hash;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use quick_cache::{UnitWeighter, Weighter};

use super::{Holder, LeaseHandle, Statement};
use crate::Revision;

/// What can be remembered of a credential.
pub trait Memorable: Send + Sync + 'static {
    /// What is said of the credential, as far as a change can make it untrue.
    fn statement(&self) -> Statement;

    /// From when on it is to be asked for anew, ahead of time, by the holder's clock.
    fn aging_at(&self) -> Duration;

    /// Until when it can be used, by the holder's clock.
    fn usable_until(&self) -> Duration;

    /// About how many bytes it takes.
    fn size(&self) -> usize;
}

/// How much is remembered, and for how long a refusal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many credentials at most.
    pub entries: usize,
    /// How many bytes at most, all in all.
    pub bytes: u64,
    /// For how long it is remembered that a credential is not alive. A change ends it earlier.
    pub refusal: Duration,
}

/// How many refusals are remembered, beside the credentials that are alive: inventing values takes no room from those.
const REFUSALS: usize = 4096;

/// Remembers introspections, as long as there is a lease and no change makes them untrue. Without a lease each call asks for
/// itself, and nothing is remembered.
pub struct Memory<K, V> {
    lease: LeaseHandle,
    known: Cache<K, Slot<V>, Sizes>,
    refused: Cache<K, Refused>,
    /// What somebody is asking for anew, ahead of time.
    renewing: Mutex<HashSet<K>>,
    refusal: Duration,
    counts: Counts,
}

/// How often a call found what it asked for, since the start.
#[derive(Debug, Default)]
pub struct Counts {
    hits: std::sync::atomic::AtomicU64,
    refused: std::sync::atomic::AtomicU64,
    misses: std::sync::atomic::AtomicU64,
    unleased: std::sync::atomic::AtomicU64,
}

struct Slot<V> {
    generation: u64,
    value: Arc<V>,
}

impl<V> Clone for Slot<V> {
    fn clone(&self) -> Self {
        Self { generation: self.generation, value: Arc::clone(&self.value) }
    }
}

#[derive(Clone, Copy)]
struct Refused {
    applied: Option<Revision>,
    until: Duration,
}

#[derive(Clone)]
struct Sizes {
    /// What the smallest entry counts for, so that the bound on bytes is one on entries as well.
    least: u64,
}

/// About what an entry takes besides its value: its place in the map, the key, a count of references.
const OVERHEAD: usize = 110;

impl<K, V: Memorable> Weighter<K, Slot<V>> for Sizes {
    fn weight(&self, _: &K, slot: &Slot<V>) -> u64 {
        u64::try_from(slot.value.size() + OVERHEAD).unwrap_or(u64::MAX).max(self.least)
    }
}

/// What is found in memory.
pub enum Recalled<V> {
    /// It can be used. `aging`: whoever is told so is to ask for it anew, beside the call.
    Known {
        /// What was said.
        value: Arc<V>,
        /// Whether it is to be asked for anew.
        aging: bool,
    },
    /// The credential is not alive.
    Refused,
    /// Nothing that counts.
    Nothing,
}

impl<K, V> Memory<K, V>
where
    K: Hash + Eq + Clone,
    V: Memorable,
{
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(lease: LeaseHandle, bounds: Bounds) -> Self {
        let entries = u64::try_from(bounds.entries.max(1)).unwrap_or(u64::MAX);
        let sizes = Sizes { least: (bounds.bytes / entries).max(1) };
        Self {
            lease,
            // The estimate is what is set aside at once.
            known: Cache::with_weighter(bounds.entries.min(1024), bounds.bytes.max(1), sizes),
            refused: Cache::with_weighter(64, REFUSALS as u64, UnitWeighter),
            renewing: Mutex::default(),
            refusal: bounds.refusal,
            counts: Counts::default(),
        }
    }

    /// Looks up what is remembered, if there is a lease.
    pub fn recall(&self, key: &K) -> Recalled<V> {
        let Some(slot) = self.known.get(key) else { return self.refusal(key) };
        let now = self.lease.now();
        let allowed = now < slot.value.usable_until()
            && self.lease.read(|holder| {
                holder.generation() == slot.generation && holder.allow(&slot.value.statement(), now).is_ok()
            });
        if !allowed {
            return Recalled::Nothing;
        }
        self.counts.hits.fetch_add(1, Ordering::Relaxed);
        let aging = now >= slot.value.aging_at() && self.renewing().insert(key.clone());
        Recalled::Known { value: slot.value, aging }
    }

    fn refusal(&self, key: &K) -> Recalled<V> {
        let Some(refused) = self.refused.get(key) else { return Recalled::Nothing };
        let now = self.lease.now();
        let counts = now < refused.until
            && self.lease.read(|holder| holder.is_leased(now) && holder.applied() == refused.applied);
        if !counts {
            return Recalled::Nothing;
        }
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        Recalled::Refused
    }

    /// Asks, and remembers the answer if it may be. Of calls that want to know the same at the same time, one asks and the
    /// others wait for it; whether the answer counts for them is looked at anew.
    ///
    /// # Errors
    /// As the question fails.
    pub async fn ask<E>(
        &self,
        key: &K,
        question: impl Future<Output = Result<Option<V>, E>>,
    ) -> Result<Option<Arc<V>>, E> {
        // One that has no lease does not know which changes an answer is older than that others wait for.
        if !self.lease.is_leased() {
            self.counts.unleased.fetch_add(1, Ordering::Relaxed);
            return Ok(question.await?.map(Arc::new));
        }
        self.forget_unusable(key);
        let guard = match self.known.get_value_or_guard_async(key).await {
            Err(guard) => Some(guard),
            Ok(_) => match self.recall(key) {
                Recalled::Known { value, .. } => return Ok(Some(value)),
                Recalled::Refused => return Ok(None),
                Recalled::Nothing => None,
            },
        };
        // Who has waited for one that was refused need not ask again.
        if let Recalled::Refused = self.refusal(key) {
            return Ok(None);
        }
        self.counts.misses.fetch_add(1, Ordering::Relaxed);
        let applied = self.lease.read(Holder::applied);
        let Some(value) = question.await?.map(Arc::new) else {
            let until = self.lease.now() + self.refusal;
            self.refused.insert(key.clone(), Refused { applied, until });
            return Ok(None);
        };
        if let Some(slot) = self.slot(&value) {
            match guard {
                Some(guard) => drop(guard.insert(slot)),
                None => self.known.insert(key.clone(), slot),
            }
        }
        // It may be used once in any case: the call was there before the question.
        Ok(Some(value))
    }

    /// Asks anew for what is remembered, beside the calls that use it.
    ///
    /// # Errors
    /// As the question fails.
    pub async fn renew<E>(&self, key: &K, question: impl Future<Output = Result<Option<V>, E>>) -> Result<(), E> {
        // Whoever asks in vain, or is gone before there is an answer, leaves it to the next.
        let _renewal = Renewal { memory: self, key };
        match question.await?.map(Arc::new) {
            Some(value) => {
                if let Some(slot) = self.slot(&value) {
                    self.known.insert(key.clone(), slot);
                }
            }
            None => self.forget(key),
        }
        Ok(())
    }

    fn renewing(&self) -> MutexGuard<'_, HashSet<K>> {
        self.renewing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is remembered of a credential.
    pub fn forget(&self, key: &K) {
        self.known.remove(key);
    }

    fn forget_unusable(&self, key: &K) {
        let Some(slot) = self.known.peek(key) else { return };
        let now = self.lease.now();
        let usable = now < slot.value.usable_until()
            && self
                .lease
                .read(|holder| holder.generation() == slot.generation && holder.admits(&slot.value.statement()));
        if !usable {
            self.known.remove_if(key, |present| Arc::ptr_eq(&present.value, &slot.value));
        }
    }

    /// What may be remembered of an answer that has come just now: not one that a known change makes untrue.
    fn slot(&self, value: &Arc<V>) -> Option<Slot<V>> {
        let now = self.lease.now();
        let generation =
            self.lease.read(|holder| holder.allow(&value.statement(), now).is_ok().then(|| holder.generation()))?;
        Some(Slot { generation, value: Arc::clone(value) })
    }

    /// How many credentials are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How often a call found what it asked for.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// One asks anew, as long as this is there.
struct Renewal<'a, K: Hash + Eq + Clone, V: Memorable> {
    memory: &'a Memory<K, V>,
    key: &'a K,
}

impl<K: Hash + Eq + Clone, V: Memorable> Drop for Renewal<'_, K, V> {
    fn drop(&mut self) {
        self.memory.renewing().remove(self.key);
    }
}

impl Counts {
    /// Calls that were answered from memory.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Calls whose credential was known not to be alive.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Calls that had to ask.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.misses.load(Ordering::Relaxed)
    }

    /// Calls that had to ask because there was no lease.
    #[must_use]
    pub fn unleased(&self) -> u64 {
        self.unleased.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
