use access::{AccountId, Confinement, EnvironmentPattern, Handle, SessionPermit};
use ipnet::IpNet;
use jiff::Timestamp;
use proto::token::v1::rpc::CreateToken;
use proto::token::v1::{CreateTokenRequest, CreateTokenResponse};
use proto::{ErrorKind, Failure};

use crate::domain::{ApiSet, Description, Expiry, NewToken, Token};
use crate::grpc::authority::storage_failure;
use crate::grpc::{Authority, answer};

impl Handle<CreateToken> for Authority {
    async fn handle(
        &self,
        permit: &SessionPermit,
        request: CreateTokenRequest,
    ) -> Result<CreateTokenResponse, Failure> {
        let now = self.clock.now();
        let chosen = Chosen {
            description: answer::description(request.description)?,
            api_set: answer::api_set(self.catalog, request.token_template.as_deref(), &request.api_list)?,
            environments: answer::environments(&request.environments)?,
            networks: answer::networks(&request.source_networks)?,
            expires_at: answer::expiry(request.expires_at, now)?,
        };
        if request.copy_from.is_none() {
            chosen.complete()?;
        }
        let session = self.confirmed(permit, request.password).await?;
        let chosen = match request.copy_from {
            Some(id) => chosen.or(source(self, session.account, id).await?, now)?,
            None => chosen,
        };

        let (description, api_set) = chosen.complete()?;
        let (value, hash) = answer::new_value();
        let confinement = Confinement {
            environments: chosen.environments.unwrap_or_default(),
            networks: chosen.networks.unwrap_or_default(),
        };
        let token =
            NewToken { description, hash, api_set, confinement, expires_at: chosen.expires_at, created_at: now };
        let created = self.store.create_token(&session, &token, self.policy.tokens_per_account).await?;
        tracing::info!(token.id = created.id, account.id = session.account.0, "a token was created");
        Ok(CreateTokenResponse { token: Some(self.shown(created, Some(&value), now)) })
    }
}

/// What a request says of the token to be made.
struct Chosen {
    description: Option<Description>,
    api_set: Option<ApiSet>,
    environments: Option<Vec<EnvironmentPattern>>,
    networks: Option<Vec<IpNet>>,
    expires_at: Option<Expiry>,
}

impl Chosen {
    /// What a token can't be without.
    fn complete(&self) -> Result<(Description, ApiSet), Failure> {
        let description = self.description.clone().ok_or_else(|| Failure::invalid("description", "is missing"))?;
        let api_set = self.api_set.clone();
        let api_set = api_set
            .ok_or_else(|| Failure::invalid("apiList", "or `tokenTemplate` must be given: what the token may call"))?;
        Ok((description, api_set))
    }

    /// What is not chosen is as the other token has it.
    fn or(self, source: Token, now: Timestamp) -> Result<Self, Failure> {
        let description = match self.description {
            Some(description) => description,
            None => Description::try_from(source.description)?,
        };
        let expires_at = match (self.expires_at, source.expires_at) {
            (None, Some(end)) => Some(Expiry::chosen(end, now).map_err(|_| {
                Failure::invalid(
                    "expiresAt",
                    "must be given, in the future, since the token that is copied has expired",
                )
            })?),
            (chosen, _) => chosen,
        };
        let api_set = self.api_set.unwrap_or(source.api_set);
        Ok(Self {
            description: Some(description),
            api_set: Some(api_set),
            environments: self.environments.or(Some(source.confinement.environments)),
            networks: self.networks.or(Some(source.confinement.networks)),
            expires_at,
        })
    }
}

async fn source(authority: &Authority, account: AccountId, id: i64) -> Result<Token, Failure> {
    let tokens = authority.store.tokens(account).await.map_err(storage_failure)?;
    tokens.into_iter().find(|token| token.id == id).ok_or_else(|| {
        Failure::new(ErrorKind::ObjectNotFound, format!("there is no token {id} to copy")).with("parameter", "copyFrom")
    })
}
