use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::{AuthorityClient, PASSWORD, with_grant};
use jiff::Timestamp;
use proto::token::v1::{ApiToken, CreateTokenRequest, DeleteTokensRequest, EditTokenRequest, RegenerateTokenRequest};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use tonic::{Code, Status};

use crate::history::{Account, Answer, Change, Fields, Outcome, TokenId, Value, Work};

/// How many tokens a writer keeps at most.
const MOST_TOKENS: usize = 6;

/// What tokens can be given.
const METHODS: [&str; 3] =
    ["environment.control.StartEnv", "environment.control.StopEnv", "environment.control.GetEnvInfo"];

/// How long an answer may take, when nobody is left to give it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The client of one account: one change after the other.
pub(crate) struct Writer {
    pub(crate) account_id: i64,
    pub(crate) session: String,
    pub(crate) client: AuthorityClient,
    /// What must be there.
    pub(crate) account: Account,
    rng: StdRng,
    made: u64,
}

impl Writer {
    pub(crate) fn new(account_id: i64, session: String, client: AuthorityClient, rng: StdRng) -> Self {
        Self { account_id, session, client, account: Account::default(), rng, made: 0 }
    }

    /// Changes tokens until a change is not acknowledged or it is enough, and says what it did.
    pub(crate) async fn work(&mut self, enough: &AtomicBool) -> Work {
        let mut work = Work::new();
        let mut account = self.account.clone();
        while !enough.load(Ordering::Relaxed) {
            // Without a grant nothing is asked for.
            let Ok(grant) = self.client.grant(&self.session).await else { return work };
            let change = self.choose(&account.tokens());
            let outcome = match tokio::time::timeout(PATIENCE, self.ask(&grant, &change)).await {
                Ok(Ok(answer)) => Outcome::Acknowledged(answer),
                Ok(Err(status)) if is_refusal(&status) => Outcome::Refused(status.to_string()),
                Ok(Err(_)) | Err(_) => Outcome::Unanswered,
            };
            if let Outcome::Acknowledged(answer) = &outcome {
                account.apply(&change, answer);
            }
            let ended = !matches!(outcome, Outcome::Acknowledged(_));
            work.push((change, outcome));
            if ended {
                break;
            }
        }
        work
    }

    fn choose(&mut self, tokens: &[TokenId]) -> Change {
        let Some(id) = tokens.choose(&mut self.rng).copied() else { return Change::Create(self.fields()) };
        match self.rng.random_range(0..4) {
            0 if tokens.len() < MOST_TOKENS => Change::Create(self.fields()),
            0 | 1 if tokens.len() > 2 => Change::Delete(tokens.sample(&mut self.rng, 2).copied().collect()),
            2 => Change::Edit(id, self.fields()),
            _ => Change::Regenerate(id, self.fields().expires_at),
        }
    }

    /// Fields that no token had before.
    fn fields(&mut self) -> Fields {
        self.made += 1;
        let methods = METHODS.sample(&mut self.rng, 2).map(|method| (*method).to_owned()).collect();
        let seconds = 4_000_000_000 + i64::from(self.rng.next_u32());
        let expires_at = Timestamp::from_second(seconds).ok();
        Fields { description: format!("token {} of {}", self.made, self.account_id), methods, expires_at }
    }

    async fn ask(&mut self, grant: &[u8], change: &Change) -> Result<Answer, Status> {
        let password = PASSWORD.to_owned();
        let tokens = &mut self.client.tokens;
        match change.clone() {
            Change::Create(fields) => {
                let request = CreateTokenRequest {
                    description: Some(fields.description),
                    password,
                    api_list: fields.methods.into_iter().collect(),
                    expires_at: fields.expires_at.map(proto::time::to_wire),
                    ..CreateTokenRequest::default()
                };
                let answer = tokens.create_token(with_grant(grant, request)).await?.into_inner();
                let (id, value) = told(answer.token)?;
                Ok(Answer::Created(id, value))
            }
            Change::Edit(id, fields) => {
                let request = EditTokenRequest {
                    id,
                    password,
                    description: Some(fields.description),
                    api_list: fields.methods.into_iter().collect(),
                    expires_at: fields.expires_at.map(proto::time::to_wire),
                    ..EditTokenRequest::default()
                };
                tokens.edit_token(with_grant(grant, request)).await?;
                Ok(Answer::Edited)
            }
            Change::Regenerate(id, expires_at) => {
                let expires_at = expires_at.map(proto::time::to_wire);
                let request = RegenerateTokenRequest { id, password, expires_at, ..RegenerateTokenRequest::default() };
                let answer = tokens.regenerate_token(with_grant(grant, request)).await?.into_inner();
                Ok(Answer::Regenerated(told(answer.token)?.1))
            }
            Change::Delete(ids) => {
                let request = DeleteTokensRequest { ids: ids.into_iter().collect(), password, all: None };
                tokens.delete_tokens(with_grant(grant, request)).await?;
                Ok(Answer::Deleted)
            }
        }
    }
}

fn told(token: Option<ApiToken>) -> Result<(TokenId, Value), Status> {
    let token = token.and_then(|token| Some((token.id, Value(token.key?))));
    token.ok_or_else(|| Status::invalid_argument("the answer has no token or no value"))
}

/// What a healthy authority says of a change that it does not make; what a dying one says is anything else.
fn is_refusal(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::OutOfRange
    )
}
