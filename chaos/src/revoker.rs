//! Takes credentials away, a few at once, after the callers have put them into every cache.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::PASSWORD;
use futures::stream::{self, StreamExt, TryStreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::board::Doomed;
use crate::caller::Shared;
use crate::history::{Kind, Method, Revocation, Taken, Way};
use crate::population::{ACCOUNTS, Target};
use crate::request::{Ending, Request, Requester};

/// How long the callers may take to call with all that is to be revoked.
const WARMING: Duration = Duration::from_secs(1);

/// For how long they go on with it after the confirmation, unless they have called often enough before.
const AFTERMATH: Duration = Duration::from_millis(1_200);

/// How often each is called through each gateway after its confirmation.
const CALLS_AFTER: u32 = 2;

/// How many requests of one batch are under way at once.
const AT_ONCE: usize = 4;

/// What the revokers share.
pub(crate) struct Work {
    pub(crate) shared: Arc<Shared>,
    /// By account: the session that makes the changes.
    pub(crate) sessions: Vec<String>,
    /// Accounts whose password is still to be changed.
    pub(crate) passwords: Mutex<Vec<usize>>,
    pub(crate) wanted: usize,
    pub(crate) confirmed: AtomicUsize,
}

impl Work {
    pub(crate) fn confirmed(&self) -> usize {
        self.confirmed.load(Ordering::Relaxed)
    }

    fn is_done(&self) -> bool {
        self.confirmed() >= self.wanted || self.shared.enough.load(Ordering::Relaxed)
    }
}

/// Revokes until it is enough, and answers what came of it.
///
/// # Errors
/// Where a revocation is refused although nothing is wrong with it, or nothing is left to revoke.
pub(crate) async fn revoke(work: Arc<Work>, requester: Requester, mut rng: StdRng) -> anyhow::Result<Vec<Revocation>> {
    let mut revocations = Vec::new();
    let board = &work.shared.board;
    while !work.is_done() {
        let way = way(&mut rng);
        let batch = batch(&work, way, &mut rng);
        if batch.is_empty() {
            anyhow::ensure!(way != Way::DeleteTokens, "there are no more tokens");
            continue;
        }
        board.doom(&batch);
        board.called(&batch, 1, WARMING).await;
        let together = matches!(way, Way::DeleteTokens | Way::ChangePassword);
        let requests = batch.chunks(if together { batch.len() } else { 1 });
        let requests: Vec<_> = requests.map(|doomed| (doomed, StdRng::seed_from_u64(rng.random()))).collect();
        let ended: Vec<Vec<Revocation>> = stream::iter(requests)
            .map(|(doomed, rng)| take_away(&work, &requester, way, doomed, rng))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        revocations.extend(ended.into_iter().flatten());
        board.called(&batch, CALLS_AFTER, AFTERMATH).await;
        board.is_over(&batch);
        for doomed in batch.iter().filter(|doomed| doomed.is_confirmed() && doomed.taken != Taken::Credential) {
            board.give_back(Arc::clone(&doomed.target));
        }
    }
    Ok(revocations)
}

/// Most of them the way that most are revoked; some of them every other way.
fn way(rng: &mut StdRng) -> Way {
    match rng.random_range(0..100) {
        0..50 => Way::DeleteTokens,
        50..66 => Way::RevokeCredential,
        66..79 => Way::EditToken,
        79..92 => Way::RegenerateToken,
        92..98 => Way::Signout,
        _ => Way::ChangePassword,
    }
}

/// What is taken away next, from one account. Empty where that has no more.
fn batch(work: &Work, way: Way, rng: &mut StdRng) -> Vec<Arc<Doomed>> {
    let board = &work.shared.board;
    let (most, account) = (rng.random_range(5..=20), rng.random_range(0..ACCOUNTS));
    let targets = match way {
        Way::ChangePassword => {
            let account = work.passwords.lock().expect("nobody panics with it").pop();
            account.map(|account| board.take(Kind::Session, account, usize::MAX)).unwrap_or_default()
        }
        Way::Signout => board.take(Kind::Session, account, most),
        Way::EditToken => {
            let taken = board.take(Kind::Token, account, most);
            let (wide, narrow): (Vec<_>, Vec<_>) =
                taken.into_iter().partition(|target| target.may_call(Method::GetEnvInfo));
            narrow.into_iter().for_each(|target| board.give_back(target));
            wide
        }
        _ => board.take(Kind::Token, account, most),
    };
    let taken = |target: &Target| match way {
        Way::EditToken => Taken::Method(Method::GetEnvInfo),
        Way::RegenerateToken => Taken::Value(target.newest()),
        _ => Taken::Credential,
    };
    targets.into_iter().map(|target| Doomed::new(taken(&target), target)).collect()
}

/// Makes one request, for one credential or several, and notes what came of it for each.
async fn take_away(
    work: &Work,
    requester: &Requester,
    way: Way,
    doomed: &[Arc<Doomed>],
    mut rng: StdRng,
) -> anyhow::Result<Vec<Revocation>> {
    let request = request(work, way, doomed);
    let ending = requester.insist(&request, &mut rng).await?;
    let revocations: Vec<Revocation> = doomed.iter().map(|doomed| revocation(way, doomed, &ending)).collect();
    if revocations.first().is_some_and(|revocation| revocation.confirmed().is_some()) {
        for doomed in doomed {
            match doomed.taken {
                Taken::Value(_) => doomed.target.regenerated(new_value(&ending)?),
                Taken::Method(_) => doomed.target.narrow(),
                Taken::Credential => {}
            }
            doomed.confirm();
        }
        work.confirmed.fetch_add(doomed.len(), Ordering::Relaxed);
    }
    Ok(revocations)
}

fn new_value(ending: &Ending) -> anyhow::Result<String> {
    let value = ending.answer["token"]["key"].as_str().map(str::to_owned);
    value.ok_or_else(|| anyhow::anyhow!("a regeneration answered no value"))
}

fn request(work: &Work, way: Way, doomed: &[Arc<Doomed>]) -> Request {
    let target = &doomed[0].target;
    let value = || target.value(target.newest());
    let by_account = |path, form: &[(&'static str, String)]| {
        let form = [form, &[("password", PASSWORD.to_owned())]].concat();
        Request::Rest { path, credential: work.sessions[target.account].clone(), form }
    };
    let ids = || doomed.iter().map(|doomed| doomed.target.credential.number.to_string()).collect::<Vec<_>>().join(",");
    match way {
        Way::DeleteTokens => by_account("users/authentication/rest/deletetokens", &[("ids", ids())]),
        Way::EditToken => {
            let left = ("apiList", Method::GetEnvs.name().to_owned());
            by_account("users/authentication/rest/edittoken", &[("id", ids()), left])
        }
        Way::RegenerateToken => by_account("users/authentication/rest/regeneratetoken", &[("id", ids())]),
        Way::ChangePassword => {
            let another = ("newPassword", format!("{PASSWORD} staple"));
            by_account("users/account/rest/changepassword", &[another])
        }
        Way::Signout => {
            Request::Rest { path: "users/authentication/rest/signout", credential: value(), form: Vec::new() }
        }
        Way::RevokeCredential => Request::ByKey { credential: value() },
    }
}

fn revocation(way: Way, doomed: &Doomed, ending: &Ending) -> Revocation {
    Revocation {
        credential: doomed.target.credential,
        taken: doomed.taken,
        way,
        began: ending.began,
        began_wall: ending.began_wall,
        last_attempt: ending.last_attempt,
        attempts: ending.attempts,
        gateway: ending.gateway,
        verdict: ending.verdict,
    }
}
