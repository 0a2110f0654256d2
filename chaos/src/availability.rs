//! Whether calls under valid tokens ever fail while nothing is broken, and while services are renewed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::api::{Api, Reply};
use crate::history::Method;
use crate::population::{ACCOUNTS, Size, Target, populate};
use crate::run::make_environments;
use crate::stack::{GATEWAYS, Service, Shape, Stack};

/// How many clients call through each gateway.
const CALLERS: usize = 8;

/// How many tokens they call with.
const TOKENS: usize = 400;

/// One of so many calls changes something.
const EACH: usize = 10;

/// How many failures are described.
const DESCRIBED: usize = 5;

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long all is left in peace between one renewal and the next, so that every holder has found its way back.
const PEACE: Duration = Duration::from_secs(2);

/// What is asked to end and started again meanwhile, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Nothing.
    Nothing,
    /// The authority's replicas.
    Authorities,
    /// Every service.
    Everything,
}

impl Renewal {
    fn services(self) -> Vec<Service> {
        let is_meant = |service: &Service| match self {
            Self::Nothing => false,
            Self::Authorities => matches!(service, Service::Authority(_)),
            Self::Everything => true,
        };
        Service::ALL.into_iter().filter(is_meant).collect()
    }
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    /// How many calls are made, at least.
    pub calls: usize,
    /// What is renewed in the middle.
    pub renewal: Renewal,
    /// Decides what is called.
    pub seed: u64,
    /// What the services are told.
    pub shape: Shape,
    /// How long it may take.
    pub at_most: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Availability {
    /// How many calls were made.
    pub calls: usize,
    /// How many failed.
    pub failed: usize,
    /// The first of these by what was answered.
    pub failures: BTreeMap<String, usize>,
    /// What the gateways have logged of it.
    pub errors: Vec<String>,
    /// How many services were renewed meanwhile.
    pub renewed: usize,
    /// How many of the calls were made while they were.
    pub calls_meanwhile: usize,
}

impl fmt::Display for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "calls                        {}", self.calls)?;
        let renewed = match self.renewed {
            0 => "none".to_owned(),
            renewed => format!("{renewed}, under {} of the calls", self.calls_meanwhile),
        };
        writeln!(f, "services renewed             {renewed}")?;
        writeln!(f, "failed                       {}", self.failed)?;
        self.failures.iter().try_for_each(|(what, count)| writeln!(f, "  {count} × {what}"))?;
        self.errors.iter().try_for_each(|error| writeln!(f, "  {error}"))
    }
}

/// What the clients share.
struct Shared {
    api: Api,
    targets: Vec<Arc<Target>>,
    environments: Vec<String>,
    wanted: usize,
    begun: AtomicUsize,
    /// Half of the calls that are wanted have begun.
    half: Notify,
    /// Whether all has been renewed that is to be: until then there are never enough calls.
    renewed: AtomicBool,
    /// Which service is being renewed.
    renewing: Mutex<Option<Service>>,
}

impl Shared {
    /// What failed, and what was done meanwhile.
    fn describe(&self, what: &str) -> String {
        match *self.renewing.lock().expect("nobody panics with it") {
            Some(service) => format!("{what} (while {service} was renewed)"),
            None => what.to_owned(),
        }
    }

    fn is_enough(&self) -> bool {
        self.renewed.load(Ordering::Relaxed) && self.begun.load(Ordering::Relaxed) >= self.wanted
    }
}

/// Starts everything, calls as often as it is told, and renews services in the middle.
///
/// # Errors
/// Where the system does not work at all, or it takes too long.
pub async fn steady(run: &Steady) -> anyhow::Result<Availability> {
    sqlx::any::install_default_drivers();
    let mut rng = StdRng::seed_from_u64(run.seed);
    let stack = Arc::new(Stack::prepare(run.shape).await?);
    let size = Size { tokens: TOKENS, sessions: 0, passwords: 0 };
    let accounts = populate(&stack.database_url, size, &mut rng).await?;
    stack.start_all().await;
    let api = Api::new(&stack, PATIENCE);
    make_environments(&api, &accounts).await?;
    let shared = Arc::new(Shared {
        api,
        targets: accounts.iter().flat_map(|account| account.tokens.iter().cloned()).collect(),
        environments: accounts[..ACCOUNTS].iter().map(|account| account.environment.clone()).collect(),
        wanted: run.calls,
        begun: AtomicUsize::new(0),
        half: Notify::new(),
        renewed: AtomicBool::new(run.renewal == Renewal::Nothing),
        renewing: Mutex::new(None),
    });
    let mut callers = JoinSet::new();
    for number in 0..CALLERS * GATEWAYS {
        callers.spawn(call(number % GATEWAYS, Arc::clone(&shared), StdRng::seed_from_u64(rng.random())));
    }
    let done = async {
        let renewed = renew(&stack, &shared, &run.renewal.services()).await?;
        Ok::<_, anyhow::Error>((renewed, callers.join_all().await))
    };
    let looked = tokio::time::timeout(run.at_most, async {
        tokio::select! {
            done = done => done,
            () = shared.api.look() => unreachable!("it never ends"),
        }
    });
    let (renewed, failures) = looked.await??;
    let mut errors = Vec::new();
    for gateway in 0..GATEWAYS {
        errors.extend(stack.errors(Service::Gateway(gateway), DESCRIBED).await);
    }
    stack.end_all().await?;
    let mut availability =
        Availability { calls: shared.begun.load(Ordering::Relaxed), errors, ..Availability::default() };
    (availability.renewed, availability.calls_meanwhile) = renewed;
    for what in failures.into_iter().flatten() {
        availability.failed += 1;
        if availability.failures.len() < DESCRIBED || availability.failures.contains_key(&what) {
            *availability.failures.entry(what).or_default() += 1;
        }
    }
    Ok(availability)
}

/// Calls until there are enough calls, and says what failed.
async fn call(gateway: usize, shared: Arc<Shared>, mut rng: StdRng) -> Vec<String> {
    let mut failures = Vec::new();
    while !shared.is_enough() {
        if shared.begun.fetch_add(1, Ordering::Relaxed) == shared.wanted / 2 {
            shared.half.notify_one();
        }
        let target = &shared.targets[rng.random_range(0..shared.targets.len())];
        let environment = &shared.environments[target.account];
        let token = target.value(target.newest());
        let reply = match rng.random_range(0..EACH) {
            0 => shared.api.rename_any(gateway, &token, environment, &format!("by {gateway}")).await,
            number => {
                let method = if number % 2 == 0 { Method::GetEnvs } else { Method::GetEnvInfo };
                shared.api.call_any(gateway, method, &token, environment).await
            }
        };
        match reply {
            Reply::Done(_) => {}
            Reply::Refused(result, answer) => {
                failures.push(shared.describe(&format!("{result}: {}", answer["error"])));
            }
            Reply::Unknown => failures.push(shared.describe("no answer")),
        }
    }
    failures
}

/// Asks one service after the other to end, once half of the calls are made, and starts each again. Answers how many, and how
/// many calls were made meanwhile.
async fn renew(stack: &Stack, shared: &Shared, services: &[Service]) -> anyhow::Result<(usize, usize)> {
    let made = || shared.begun.load(Ordering::Relaxed);
    if services.is_empty() {
        return Ok((0, 0));
    }
    shared.half.notified().await;
    let before = made();
    for service in services {
        *shared.renewing.lock().expect("nobody panics with it") = Some(*service);
        stack.terminate(*service).await?;
        stack.start(*service).await;
        stack.ready().await;
        tokio::time::sleep(PEACE).await;
        *shared.renewing.lock().expect("nobody panics with it") = None;
    }
    shared.renewed.store(true, Ordering::Relaxed);
    Ok((services.len(), made() - before))
}
