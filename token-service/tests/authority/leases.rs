//! Holders of leases: who has one is waited for, and who has lost it is not.

mod metrics;

use std::time::Duration;

use access::lease::wire::{Introduction, from_authority};
use access::lease::{Holder, HolderId, LeaseHandle, LeaseKeeper, ToAuthority, ToHolder};
use access::{Credential, Replicas, Revision};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use lifecycle::Clock;
use proto::ErrorKind;
use proto::token::v1::leases_client::LeasesClient;
use proto::token::v1::{
    DeleteTokensRequest, EditTokenRequest, GetHoldersRequest, HolderInfo, ReportLeakedTokenRequest,
    RevokeCredentialRequest, SignoutRequest, WatchRequest, WatchResponse,
};
use testkit::{TestDatabase, databases, eventually};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Streaming};

use crate::stage::{LOGIN, PASSWORD, Stage, failure};

const LONG: Duration = Duration::from_secs(30);
const LEASE: SignedDuration = SignedDuration::from_secs(1);

async fn stage(database: TestDatabase) -> Stage {
    Stage::start(database, |config| config.lease_duration = LEASE).await
}

/// A process that keeps a lease.
struct Process {
    lease: LeaseHandle,
    released: CancellationToken,
    kept: JoinHandle<()>,
}

impl Process {
    async fn start(stage: &Stage, replicas: &[&Stage]) -> Self {
        let lease = LeaseHandle::new(Clock::system());
        let endpoints = replicas.iter().map(|stage| stage.url.parse::<Endpoint>().unwrap()).collect();
        let key = Credential::parse(&stage.service_key).unwrap().bearer();
        let released = CancellationToken::new();
        let (replicas, place) = (Replicas::new(endpoints, tls::Connector::default()), "a test".to_owned());
        let keeper = LeaseKeeper::new(lease.clone(), replicas, key, place, released.clone());
        let kept = tokio::spawn(keeper.keep());
        tokio::time::timeout(LONG, lease.leased()).await.expect("a lease");
        Self { lease, released, kept }
    }

    fn applied(&self) -> Revision {
        self.lease.status().applied.unwrap()
    }

    async fn release(self) {
        self.released.cancel();
        self.kept.await.unwrap();
    }
}

/// A holder that says only what the test makes it say.
struct Silent {
    holder: Holder,
    stream: u64,
    clock: Clock,
    outgoing: mpsc::Sender<WatchRequest>,
    incoming: Streaming<WatchResponse>,
}

impl Silent {
    /// One with a lease.
    async fn start(stage: &Stage) -> Self {
        Self::connect(stage, Holder::new(100)).await
    }

    /// The same, of a holder that may have had one before.
    async fn connect(stage: &Stage, mut holder: Holder) -> Self {
        let clock = Clock::system();
        let resume = holder.connect();
        let (outgoing, messages) = mpsc::channel(8);
        let id = HolderId(uuid::Uuid::new_v4());
        outgoing.send(Introduction::of(id, "silent", resume).to_wire()).await.unwrap();
        let request = stage.by_service(ReceiverStream::new(messages));
        let incoming = leases(stage).await.watch(request).await.unwrap().into_inner();
        let mut silent = Self { holder, stream: resume.stream, clock, outgoing, incoming };
        silent.take().await;
        let question = silent.holder.ask(silent.clock.monotonic());
        silent.outgoing.send(question.into()).await.unwrap();
        while !silent.is_leased() {
            silent.take().await;
        }
        silent
    }

    /// Takes the next message, and tells nobody.
    async fn take(&mut self) -> (ToHolder, Option<ToAuthority>) {
        let message = self.incoming.next().await.unwrap().unwrap();
        let (message, _) = from_authority(message).unwrap();
        let answer = self.holder.take(self.stream, &message, self.clock.monotonic()).unwrap();
        (message, answer)
    }

    fn is_leased(&self) -> bool {
        self.holder.is_leased(self.clock.monotonic())
    }
}

async fn leases(stage: &Stage) -> LeasesClient<Channel> {
    LeasesClient::connect(stage.url.clone()).await.unwrap()
}

async fn holders(stage: &Stage, session: &str) -> Vec<HolderInfo> {
    let request = stage.granted(session, GetHoldersRequest {}).await;
    stage.leases.clone().get_holders(request).await.unwrap().into_inner().holders
}

/// Deletes a token, and says what it says of the confirmation.
async fn delete(stage: &Stage, session: &str, id: i64) -> (bool, u64) {
    let request = DeleteTokensRequest { ids: vec![id], password: PASSWORD.into(), all: None };
    let request = stage.granted(session, request).await;
    let answer = stage.authority.clone().delete_tokens(request).await.unwrap().into_inner();
    (answer.confirmed, answer.confirmation_micros)
}

#[tokio::test]
async fn who_had_a_lease_before_the_database_was_put_back_goes_on_with_nothing() {
    for database in databases() {
        let stage = stage(database).await;
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let mut silent = Silent::start(&stage).await;
        let begun = silent.holder.applied();
        delete(&stage, &session, token.id).await;
        while silent.holder.applied() == begun {
            silent.take().await;
        }
        let before = (silent.holder.applied().unwrap(), silent.holder.generation());
        let put_back_at = Timestamp::now().as_microsecond();
        stage.drain();
        token_service::restored(&stage.config).await.unwrap();

        let restored = stage.replica().await;
        let silent = Silent::connect(&restored, silent.holder).await;
        assert!(
            before.0.0 < 1_000 && silent.holder.floor().0 >= put_back_at,
            "{}: no number is given twice",
            stage.engine
        );
        assert_ne!(silent.holder.generation(), before.1, "{}: what was remembered is forgotten", stage.engine);
        let next = restored.stop_token(&restored.session().await).await;
        assert!(next.id > token.id + 1_000, "{}: numbers are not given twice", stage.engine);
    }
}

#[tokio::test]
async fn who_has_a_lease_knows_of_a_change_before_it_is_confirmed() {
    for database in databases() {
        let stage = stage(database).await;
        let session = stage.session().await;
        let process = Process::start(&stage, &[&stage]).await;
        for _ in 0..20 {
            let token = stage.stop_token(&session).await;
            let before = process.applied();
            let (confirmed, micros) = delete(&stage, &session, token.id).await;
            assert!(confirmed && micros > 0, "{}", stage.engine);
            assert_eq!(process.applied(), Revision(before.0 + 1), "{}", stage.engine);
        }
        let before = process.applied();
        let request = stage.granted(&session, SignoutRequest {}).await;
        let answer = stage.authority.clone().signout(request).await.unwrap().into_inner();
        assert_eq!(answer.confirmed, Some(true));
        assert!(process.applied() > before);
        process.release().await;
    }
}

#[tokio::test]
async fn who_does_not_acknowledge_is_waited_for_until_the_lease_has_run_out() {
    for database in databases() {
        let stage = stage(database).await;
        let session = stage.session().await;
        let token = stage.stop_token(&session).await;
        let value = token.key.clone().unwrap();
        let mut silent = Silent::start(&stage).await;
        let as_of = silent.holder.applied().unwrap();
        delete(&stage, &session, token.id).await;
        assert!(!silent.is_leased(), "{}: confirmed while somebody could have executed", stage.engine);
        // It has been told, all the same.
        let (message, answer) = silent.take().await;
        assert!(matches!(message, ToHolder::Changes(changes) if changes.len() == 1));
        assert_eq!(answer, Some(ToAuthority::Acknowledge { revision: Revision(as_of.0 + 1) }));
        assert!(!stage.introspect(&value).await.active);
    }
}

#[tokio::test]
async fn who_finds_nothing_left_to_revoke_waits_as_well() {
    let stage = stage(TestDatabase::sqlite()).await;
    let session = stage.session().await;
    let value = stage.stop_token(&session).await.key.unwrap();
    let silent = Silent::start(&stage).await;
    let revoke = async || {
        let request = RevokeCredentialRequest { credential: value.clone(), client_id: String::new() };
        let mut client = stage.introspection.clone();
        client.revoke_credential(stage.by_service(request)).await.unwrap();
        silent.is_leased()
    };
    // One of them makes the change, the other finds nothing: neither may be told before the lease has run out.
    assert_eq!(tokio::join!(revoke(), revoke()), (false, false));
}

#[tokio::test]
async fn who_deletes_what_another_deletes_waits_as_well() {
    let stage = stage(TestDatabase::sqlite()).await;
    let session = stage.session().await;
    stage.stop_token(&session).await;
    let silent = Silent::start(&stage).await;
    let delete = async || {
        let request = DeleteTokensRequest { ids: Vec::new(), password: PASSWORD.into(), all: Some(true) };
        let request = stage.granted(&session, request).await;
        assert!(stage.authority.clone().delete_tokens(request).await.unwrap().into_inner().confirmed);
        silent.is_leased()
    };
    assert_eq!(tokio::join!(delete(), delete()), (false, false));
}

#[tokio::test]
async fn a_report_is_answered_no_later_where_somebody_does_not_acknowledge() {
    let adjust = |config: &mut token_service::Config| config.lease_duration = SignedDuration::from_secs(20);
    let stage = Stage::start(TestDatabase::sqlite(), adjust).await;
    let value = stage.stop_token(&stage.session().await).await.key.unwrap();
    let silent = Silent::start(&stage).await;
    let request = ReportLeakedTokenRequest { token_value: value.clone() };
    stage.authority.clone().report_leaked_token(request).await.unwrap();
    assert!(silent.is_leased(), "it did not wait for the end of the lease");
    assert!(!stage.introspect(&value).await.active);
}

#[tokio::test]
async fn what_the_operator_changes_is_confirmed_as_well() {
    for database in databases() {
        let stage = stage(database).await;
        let process = Process::start(&stage, &[&stage]).await;
        let silent = Silent::start(&stage).await;
        let before = process.applied();
        let password = "another horse battery".to_owned().into();
        token_service::set_password(&stage.config, &LOGIN.parse().unwrap(), password).await.unwrap();
        assert!(!silent.is_leased(), "{}", stage.engine);
        assert_eq!(process.applied(), Revision(before.0 + 1), "{}", stage.engine);
        process.release().await;
    }
}

#[tokio::test]
async fn a_session_that_gives_way_to_another_has_ended_when_that_one_is_told() {
    let adjust = |config: &mut token_service::Config| {
        config.lease_duration = LEASE;
        config.sessions_per_account = 2;
    };
    let stage = Stage::start(TestDatabase::sqlite(), adjust).await;
    let process = Process::start(&stage, &[&stage]).await;
    stage.session().await;
    stage.session().await;
    let before = process.applied();
    stage.session().await;
    assert_eq!(process.applied(), Revision(before.0 + 1));
    process.release().await;
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_nobodys() {
    for database in databases() {
        let stage = stage(database).await;
        let session = stage.session().await;
        let process = Process::start(&stage, &[&stage]).await;
        let id = process.lease.id().to_string();
        let found = holders(&stage, &session).await;
        let found = found.iter().find(|holder| holder.id == id).expect("it is listed");
        assert_eq!((found.name.as_str(), found.place.as_str()), ("test", "a test"), "{}", stage.engine);
        assert!(found.lease_left_millis > 0 && format!("http://{}", found.replica) == stage.url);
        let lease = process.lease.clone();
        process.release().await;
        assert!(!lease.is_leased());
        assert!(holders(&stage, &session).await.iter().all(|holder| holder.id != id), "{}", stage.engine);
    }
}

#[tokio::test]
async fn a_change_by_one_replica_waits_for_the_holders_of_the_other() {
    let one = stage(TestDatabase::postgres()).await;
    let other = one.replica().await;
    let session = one.session().await;
    let process = Process::start(&one, &[&other]).await;
    for _ in 0..20 {
        let token = one.stop_token(&session).await;
        let before = process.applied();
        delete(&one, &session, token.id).await;
        assert_eq!(process.applied(), Revision(before.0 + 1));
        // What the replicas themselves remember is no exception.
        assert!(!other.introspect(&token.key.unwrap()).await.active);
    }
    let token = one.stop_token(&session).await;
    let value = token.key.clone().unwrap();
    assert!(other.introspect(&value).await.claims.unwrap().environments.is_empty());
    let patterns = vec!["staging-*".to_owned()];
    let edit = EditTokenRequest {
        id: token.id,
        password: PASSWORD.into(),
        environments: patterns.clone(),
        ..EditTokenRequest::default()
    };
    let edit = one.granted(&session, edit).await;
    assert!(one.authority.clone().edit_token(edit).await.unwrap().into_inner().confirmed);
    assert_eq!(other.introspect(&value).await.claims.unwrap().environments, patterns);
    process.release().await;
}

#[tokio::test]
async fn a_holder_goes_on_with_another_replica_and_keeps_its_lease() {
    let one =
        Stage::start(TestDatabase::postgres(), |config| config.lease_duration = SignedDuration::from_secs(10)).await;
    let other = one.replica().await;
    let session = one.session().await;
    let process = Process::start(&one, &[&one, &other]).await;
    for (gone, left) in [(&one, &other), (&other, &one)] {
        let id = process.lease.id().to_string();
        let by = async || {
            let found = holders(left, &session).await;
            found.iter().find(|holder| holder.id == id).map(|holder| format!("http://{}", holder.replica))
        };
        if by().await.as_deref() != Some(gone.url.as_str()) {
            continue;
        }
        gone.drain();
        eventually("the lease by the other replica", LONG, async || {
            assert!(process.lease.is_leased(), "there was a lease all the time");
            (by().await.as_deref() == Some(left.url.as_str())).then_some(())
        })
        .await;
        let token = left.stop_token(&session).await;
        let before = process.applied();
        delete(left, &session, token.id).await;
        assert_eq!(process.applied(), Revision(before.0 + 1));
        break;
    }
    process.release().await;
}

#[tokio::test]
async fn a_stream_begins_with_who_the_holder_is() {
    let stage = stage(TestDatabase::sqlite()).await;
    let no_uuid = proto::token::v1::Introduction { holder: "me".into(), place: String::new(), applied: None };
    let no_uuid = proto::token::v1::watch_request::Message::Introduction(no_uuid);
    for first in [ToAuthority::Release.into(), WatchRequest { message: None }, WatchRequest { message: Some(no_uuid) }]
    {
        let request = stage.by_service(tokio_stream::iter([first]));
        let refused = failure(leases(&stage).await.watch(request).await);
        assert_eq!(refused.kind(), ErrorKind::InvalidParameter);
    }
    let request = Request::new(tokio_stream::iter([WatchRequest { message: None }]));
    let refused = failure(leases(&stage).await.watch(request).await);
    assert_eq!(refused.kind(), ErrorKind::NotAuthenticated, "a stream is for services");
}
