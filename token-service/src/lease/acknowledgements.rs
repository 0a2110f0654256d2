use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use access::Revision;
use access::lease::{Confirmation, HolderId};
use tokio::sync::{Notify, watch};

use super::Leases;

/// How long to wait before what could not be noted is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// What holders have acknowledged, as far as they are connected to this replica.
pub(super) struct Acknowledgements {
    known: Mutex<Known>,
    /// Goes up with each acknowledgement.
    count: watch::Sender<u64>,
    /// Goes up when another replica has hinted that it noted some.
    hints: watch::Sender<u64>,
    /// There is something that other replicas wait for.
    to_note: Notify,
}

#[derive(Default)]
struct Known {
    by_holder: HashMap<HolderId, Acknowledged>,
    streams: u64,
    /// Whose holders were here. There are no more than service keys.
    services: BTreeSet<String>,
}

struct Acknowledged {
    stream: u64,
    service: String,
    /// Whether it was given a lease on its stream.
    leased: bool,
    revision: Revision,
    /// What of it is in the database, for other replicas.
    noted: Revision,
}

impl Default for Acknowledgements {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            count: watch::Sender::new(0),
            hints: watch::Sender::new(0),
            to_note: Notify::new(),
        }
    }
}

impl Acknowledgements {
    /// A stream begins: its holder, which has this service's key, has applied what it says, and no more, whatever an earlier stream of it said. Answers the
    /// stream's number.
    pub(super) fn begin(&self, holder: HolderId, service: &str, revision: Revision) -> u64 {
        let stream = {
            let mut known = self.known();
            known.streams += 1;
            let (stream, noted) = (known.streams, Revision(0));
            known.services.insert(service.to_owned());
            let (service, leased) = (service.to_owned(), false);
            known.by_holder.insert(holder, Acknowledged { stream, service, leased, revision, noted });
            stream
        };
        self.count.send_modify(|count| *count += 1);
        stream
    }

    /// A holder has acknowledged every change up to a revision. `foreign` is the newest change that another replica may wait for.
    pub(super) fn add(&self, holder: HolderId, revision: Revision, foreign: Revision) {
        let to_note = {
            let mut known = self.known();
            let Some(acknowledged) = known.by_holder.get_mut(&holder) else { return };
            acknowledged.revision = acknowledged.revision.max(revision);
            acknowledged.noted < foreign && foreign <= revision
        };
        self.count.send_modify(|count| *count += 1);
        if to_note {
            self.to_note.notify_one();
        }
    }

    /// A holder's lease has been written down with what it had acknowledged.
    pub(super) fn leased(&self, holder: HolderId, revision: Revision) {
        if let Some(acknowledged) = self.known().by_holder.get_mut(&holder) {
            acknowledged.leased = true;
        }
        self.noted(holder, revision);
    }

    /// What a holder had acknowledged has been written down.
    fn noted(&self, holder: HolderId, revision: Revision) {
        if let Some(acknowledged) = self.known().by_holder.get_mut(&holder) {
            acknowledged.noted = acknowledged.noted.max(revision);
        }
    }

    /// What a holder has acknowledged.
    pub(super) fn of(&self, holder: HolderId) -> Option<Revision> {
        self.known().by_holder.get(&holder).map(|acknowledged| acknowledged.revision)
    }

    /// A stream has ended. What its holder acknowledged stays true, but it may be connected to another replica now.
    pub(super) fn end(&self, holder: HolderId, stream: u64) {
        let mut known = self.known();
        if known.by_holder.get(&holder).is_some_and(|acknowledged| acknowledged.stream == stream) {
            known.by_holder.remove(&holder);
        }
    }

    /// What each holder has acknowledged that was given a lease on its stream, by its service: by each whose holders were here.
    pub(super) fn by_service(&self) -> BTreeMap<String, Vec<Revision>> {
        let known = self.known();
        let mut services: BTreeMap<_, _> = known.services.iter().map(|service| (service.clone(), Vec::new())).collect();
        for holder in known.by_holder.values().filter(|holder| holder.leased) {
            services.entry(holder.service.clone()).or_default().push(holder.revision);
        }
        services
    }

    /// Tells a confirmation what is known here.
    pub(super) fn tell(&self, confirmation: &mut Confirmation) {
        let awaited: Vec<HolderId> = confirmation.awaited().collect();
        let known = self.known();
        for holder in awaited {
            if let Some(acknowledged) = known.by_holder.get(&holder) {
                confirmation.acknowledged(holder, acknowledged.revision);
            }
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }

    pub(super) fn hints(&self) -> watch::Receiver<u64> {
        self.hints.subscribe()
    }

    pub(super) fn hint(&self) {
        self.hints.send_modify(|hints| *hints += 1);
    }

    fn to_note(&self, foreign: Revision) -> Vec<(HolderId, Revision)> {
        let known = self.known();
        let behind = known.by_holder.iter().filter(|(_, of)| of.noted < foreign && foreign <= of.revision);
        behind.map(|(holder, of)| (*holder, of.revision)).collect()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leases {
    /// Notes for the other replicas what they wait for, many holders at once, until the service ends.
    pub(super) async fn note(self) {
        loop {
            tokio::select! {
                () = self.ended.cancelled() => return,
                () = self.acknowledgements.to_note.notified() => {}
            }
            let to_note = self.acknowledgements.to_note(self.feed.foreign());
            if to_note.is_empty() {
                continue;
            }
            match self.store.note_acknowledged(&to_note).await {
                Ok(()) => to_note.iter().for_each(|(holder, revision)| self.acknowledgements.noted(*holder, *revision)),
                Err(error) => {
                    tracing::warn!(%error, "what holders acknowledged was not noted yet");
                    tokio::time::sleep(PAUSE).await;
                    self.acknowledgements.to_note.notify_one();
                }
            }
        }
    }
}
