//! The rules of the protocol, one name each, so that a test can take one away.

/// What the model does only as long as the rule is kept. Without it, it does what a plausible mistake would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Holder 1: a gateway serves from its cache only under a lease.
    ServeUnderLease,
    /// Holder 1: an executing service executes only under a lease.
    ExecuteUnderLease,
    /// Holder 1: a lease counts from its question, not from the answer's arrival.
    LeaseFromQuestion,
    /// Holder 1: a lease is used for less than it was given for, by what clocks may run apart.
    LeaseLessDrift,
    /// Holder 2: a change is applied before it is acknowledged.
    ApplyBeforeAcknowledging,
    /// Holder 2: a gateway holds what it has cached against the changes that it remembers, at each call.
    CompareAtGateway,
    /// Holder 2: an executing service holds a grant against the changes that it remembers.
    CompareAtExecutor,
    /// Holder 2: a change drops what is cached of its credential.
    DropFromCache,
    /// Holder 3: an answer is cached only under a lease, and if no known change is newer.
    Admission,
    /// Holder 3: a call that joined another's question uses its answer only if the holder allows it then.
    JoinUnderCheck,
    /// Holder 3: a call joins another's question only under a lease.
    JoinUnderLease,
    /// Holder 4: a holder that knows nothing is told of recent changes before it has a lease.
    Replay,
    /// Holder 4: what is older than the stream's beginning is refused.
    FloorOfBeginning,
    /// Holder 4: what is older than a forgotten change is refused.
    FloorOfForgotten,
    /// Holder 5: what gives its lease back serves no more.
    ReleaseEndsUse,
    /// Authority: a change is confirmed after the wait.
    Wait,
    /// Authority: the leases are read after the change is committed.
    LeasesAfterCommit,
    /// Authority: the leases at other replicas count as well.
    LeasesOfAllReplicas,
    /// Authority: what waits is acknowledged by the holder, not when it is sent.
    AcknowledgedByHolder,
    /// Authority: a change that was made before, but not confirmed, is waited for by whoever asks again.
    WaitOfRepeated,
    /// Authority: the newest revision and the changes are read after the lease is written down.
    LeaseBeforeRevision,
    /// Authority: a lease follows the changes that it counts on.
    ChangesBeforeLease,
    /// Authority: a lease says truly which change it counts on.
    LeaseNamesRevision,
    /// Authority: a lease lasts as long as it was given for, whatever becomes of its stream.
    LeaseOutlivesStream,
    /// Authority: a lease is given back on the stream on which it was asked for last, or on a newer one.
    ReleaseOfItsStream,
    /// Authority: `as_of` is read before the credential.
    AsOfBeforeCredential,
    /// Authority: revisions become visible in their order.
    CommitOrder,
}
