//! Streams of events: each method that answers with a stream, for as long as its caller stays and may call it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use access::Origin;
use access::lease::Refusal;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use lifecycle::Lifecycle;
use prost_reflect::DynamicMessage;
use proto::{ErrorKind, Failure, Method};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use crate::answer::{self, Answer, Form};
use crate::call::{ATTEMPTS, Asked, Calls, allow_verb, allowed, caught, confinement};
use crate::http_request;
use crate::known::Known;
use crate::refusals::{self, Limit};
use crate::request_log::RequestLog;
use crate::upstream::Answers;

/// A service that is silent for so long is gone: one that lives says so every 15 seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// What all streams share.
#[derive(Clone)]
pub(crate) struct Streaming {
    pub(crate) room: Arc<Semaphore>,
    /// After how long without an event a client is told that the stream lives.
    pub(crate) keep_alive: Duration,
    pub(crate) lifecycle: Lifecycle,
}

impl Calls {
    /// Answers a call of a method that streams. What fails before the first event is answered as any call is.
    pub(crate) async fn stream(
        &self,
        method: &'static Method,
        request: Request,
        (form, mut log, origin): (Form, RequestLog, Origin),
    ) -> Response {
        match caught(self.open(method, request, &origin)).await {
            Ok(open) => {
                let id = log.id().to_owned();
                let events = Events { open, method, calls: self.clone(), origin, log, over: false };
                let events = stream::unfold(events, async |mut events| {
                    Some((Ok::<_, Infallible>(events.next().await?), events))
                });
                answer::response(Body::from_stream(events), &id)
            }
            Err(failure) => {
                self.failed(&mut log, &failure);
                let answer = Answer::failure(&failure, form, Some(method)).allow(method);
                log.answered(&answer);
                answer.into_response(log.id())
            }
        }
    }

    async fn open(&self, method: &'static Method, request: Request, origin: &Origin) -> Result<Open, Failure> {
        http_request::allow_fields(request.headers())?;
        allow_verb(method, request.method())?;
        let (parts, parameters) = self.read(method, request, origin).await?;
        // As a call it counts only until it has begun.
        let _call = self.enter()?;
        let asked = self.asked(method, parts, parameters, origin).await?;
        // Not before it is known to be one: whoever shows no credential takes nobody's place.
        let room = Arc::clone(&self.streaming.room).try_acquire_owned();
        let room = room.map_err(|_| refusals::busy("the gateway has too many streams", Limit::Streams))?;
        let (answers, first, asked) = self.begin(method, asked, origin).await?;
        let now = Instant::now();
        let told = Told { begun: false, first: Some(first), answered: now, written: now };
        Ok(Open { asked, answers, told, _room: room })
    }

    /// Begins at the service, up to the first answer.
    async fn begin(
        &self,
        method: &'static Method,
        mut asked: Asked,
        origin: &Origin,
    ) -> Result<(Answers, Option<DynamicMessage>, Asked), Failure> {
        for _ in 0..ATTEMPTS {
            let grant = asked.known.as_ref().map(|known| known.grant());
            let begun = async {
                let mut answers = self.upstreams.stream(method, &asked.message, grant, &asked.told).await?;
                let first = tokio::time::timeout(SILENCE, answers.next()).await;
                let first = first.map_err(|silence| Failure::unavailable(method.audience(), silence))??;
                Ok::<_, Failure>((answers, first))
            };
            match begun.await {
                Ok((answers, first)) => return Ok((answers, first, asked)),
                Err(failure) if failure.kind() == ErrorKind::StaleGrant => {
                    self.renew(method, &mut asked, origin).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::unavailable("the token authority", "each new grant was stale at once"))
    }

    /// Asks the authority anew, and looks at everything again.
    async fn renew(&self, method: &'static Method, asked: &mut Asked, origin: &Origin) -> Result<(), Failure> {
        let Some(credential) = &asked.credential else { return Ok(()) };
        asked.known = Some(allowed(method, self.introspections.anew(credential, method).await?)?);
        confinement(&asked.known).allow_address(origin.address)?;
        confinement(&asked.known).allow_environments(asked.environments.iter().map(String::as_str))
    }
}

/// A stream that has begun.
struct Open {
    asked: Asked,
    answers: Answers,
    told: Told,
    _room: OwnedSemaphorePermit,
}

/// What was told of a stream, and when.
struct Told {
    begun: bool,
    /// The first answer, which came before the response began; nothing where there was none.
    first: Option<Option<DynamicMessage>>,
    /// When the service has answered last.
    answered: Instant,
    /// When something was last written.
    written: Instant,
}

/// What the body of a response is made of. It is asked for more only when its client takes more.
struct Events {
    open: Open,
    method: &'static Method,
    calls: Calls,
    origin: Origin,
    log: RequestLog,
    over: bool,
}

/// What comes next.
enum Next {
    Answer(DynamicMessage),
    /// The method has told all.
    All,
    /// Nothing has come for a while.
    Quiet,
}

impl Events {
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        if !std::mem::replace(&mut self.open.told.begun, true) {
            return Some(answer::begin());
        }
        let draining = self.calls.streaming.lifecycle.draining();
        let step = tokio::select! {
            biased;
            () = draining => Err(Failure::new(ErrorKind::Unavailable, "the gateway is about to end, try again")),
            step = self.step() => step,
        };
        let text = match step {
            Ok(Some(text)) => text,
            Ok(None) => self.end(&Answer::json(http::StatusCode::OK, 0, "{\"result\":0}".to_owned())),
            Err(failure) => {
                self.log.failed(&failure);
                self.end(&Answer::failure(&failure, Form::Platform, Some(self.method)))
            }
        };
        self.open.told.written = Instant::now();
        Some(text)
    }

    fn end(&mut self, answer: &Answer) -> Bytes {
        self.over = true;
        self.log.answered(answer);
        answer::end(answer.body())
    }

    /// The next text; nothing where the method has told all.
    async fn step(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.wait().await {
                Ok(Next::Quiet) => return Ok(Some(answer::keep_alive())),
                Ok(Next::All) => return Ok(None),
                Ok(Next::Answer(answer)) => {
                    let Some(event) = answer::event(&answer) else { continue };
                    if self.may_be_told().await? {
                        return Ok(Some(event));
                    }
                    self.reopen().await?;
                }
                // Its grant is over, by its time or by a change: what the credential is worth now is asked for.
                Err(failure) if failure.kind() == ErrorKind::StaleGrant => self.reopen().await?,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn wait(&mut self) -> Result<Next, Failure> {
        let Open { answers, told, .. } = &mut self.open;
        let next = if let Some(first) = told.first.take() {
            first
        } else {
            let (silent, quiet) = (told.answered + SILENCE, told.written + self.calls.streaming.keep_alive);
            tokio::select! {
                biased;
                answer = answers.next() => answer?,
                () = sleep_until(silent) => return Err(Failure::unavailable(self.method.audience(), "it is silent")),
                () = sleep_until(quiet) => return Ok(Next::Quiet),
            }
        };
        told.answered = Instant::now();
        Ok(next.map_or(Next::All, Next::Answer))
    }

    /// Whether an answer that has come may be passed on: as a call that came now, so that nothing which waited on its way is told
    /// after a change. Where it may not, what the credential is worth now decides.
    async fn may_be_told(&self) -> Result<bool, Failure> {
        let Asked { credential: Some(credential), known: Some(known), .. } = &self.open.asked else { return Ok(true) };
        match self.calls.introspections.still(known) {
            Ok(()) => Ok(true),
            Err(Refusal::Stale) => Ok(false),
            // Without a lease each call is asked about, and so is each event.
            Err(Refusal::NoLease) => {
                let now = self.calls.introspections.anew(credential, self.method).await?;
                Ok(same(known, &*allowed(self.method, now)?))
            }
        }
    }

    /// Goes on with a new grant. The method begins anew by it, and says so.
    async fn reopen(&mut self) -> Result<(), Failure> {
        let Open { asked, answers, told, .. } = &mut self.open;
        self.calls.renew(self.method, asked, &self.origin).await?;
        if let Some(known) = &asked.known {
            self.calls.uses.note(known.credential(), self.origin.address, self.method.name());
        }
        let again = Asked {
            credential: asked.credential.take(),
            cookie: asked.cookie,
            known: asked.known.take(),
            environments: std::mem::take(&mut asked.environments),
            message: asked.message.clone(),
            told: asked.told.clone(),
        };
        let (begun, first, again) = self.calls.begin(self.method, again, &self.origin).await?;
        (*asked, *answers) = (again, begun);
        (told.first, told.answered) = (Some(first), Instant::now());
        Ok(())
    }
}

/// Whether a credential may do now just what it might before.
fn same(before: &Known, now: &Known) -> bool {
    before.credential() == now.credential()
        && before.rights() == now.rights()
        && before.confinement() == now.confinement()
}
