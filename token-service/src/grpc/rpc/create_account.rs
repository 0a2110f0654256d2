use access::{AdministratorPermit, Handle};
use proto::token::v1::rpc::CreateAccount;
use proto::token::v1::{CreateAccountRequest, CreateAccountResponse};
use proto::{ErrorKind, Failure};

use crate::domain::{Login, Role};
use crate::grpc::Authority;
use crate::grpc::authority::storage_failure;
use crate::store::CreateAccountError;

impl From<CreateAccountError> for Failure {
    fn from(error: CreateAccountError) -> Self {
        match error {
            CreateAccountError::LoginTaken => {
                Self::new(ErrorKind::AlreadyExists, "an account of this `login` exists already")
                    .with("parameter", "login")
            }
            CreateAccountError::Storage(error) => storage_failure(error),
        }
    }
}

impl Handle<CreateAccount> for Authority {
    async fn handle(
        &self,
        permit: &AdministratorPermit,
        request: CreateAccountRequest,
    ) -> Result<CreateAccountResponse, Failure> {
        let login: Login = request.login.parse().map_err(|error| Failure::invalid("login", error))?;
        let name = match request.name.as_deref() {
            None => login.as_str().to_owned(),
            Some(name)
                if name.trim().is_empty() || name.chars().count() > 255 || name.chars().any(char::is_control) =>
            {
                return Err(Failure::invalid(
                    "name",
                    "must have 1 to 255 characters, none of them a control character",
                ));
            }
            Some(name) => name.to_owned(),
        };
        let role = if request.administrator.unwrap_or(false) { Role::Administrator } else { Role::Member };
        let password = self.accept(request.account_password, "accountPassword", login.as_str())?;
        let session = self.confirmed(permit.session(), request.password).await?;

        let hash = self.passwords.hash(password).await?;
        let account = self.store.create_account(&login, &name, &hash, role, Some(&session), self.clock.now()).await?;
        tracing::info!(account.id = account.0, by = permit.session().account().0, "an account was created");
        Ok(CreateAccountResponse { uid: account.0 })
    }
}
