//! What the authority tells of accounts that are gone.

use std::time::Duration;

use access::{AccountId, Credential, Replicas};
use proto::token::v1::GetDeletedAccountsRequest;
use proto::token::v1::departures_client::DeparturesClient;
use tonic::metadata::AsciiMetadataValue;

/// How long the authority may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the authority, page by page.
pub(crate) struct Departures {
    authority: Replicas,
    service_key: AsciiMetadataValue,
    /// The number of the last deletion that was kept since this service has started.
    after: i64,
}

/// What it has told at once.
pub(crate) struct Page {
    /// Which authority it is.
    pub(crate) authority: String,
    /// Accounts that are gone.
    pub(crate) accounts: Vec<AccountId>,
    /// What is to be asked for after these are kept.
    next: i64,
    /// Whether that is all for now.
    pub(crate) is_last: bool,
}

/// Why it is not known which accounts are gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeparturesError {
    #[error("the authority does not tell it")]
    Authority(#[from] Box<tonic::Status>),
    #[error("the authority does not say which one it is")]
    Nameless,
}

impl Departures {
    pub(crate) fn new(authority: Replicas, service_key: &Credential) -> Self {
        Self { authority, service_key: service_key.bearer(), after: 0 }
    }

    /// The next ones. They are told again until they are [kept](Self::kept).
    pub(crate) async fn ask(&self) -> Result<Page, DeparturesError> {
        let ask = |channel| {
            let mut request = tonic::Request::new(GetDeletedAccountsRequest { after: self.after });
            request.metadata_mut().insert("authorization", self.service_key.clone());
            request.set_timeout(PATIENCE);
            async move { DeparturesClient::new(channel).get_deleted_accounts(request).await }
        };
        let answer = self.authority.ask(ask).await.map_err(Box::new)?.into_inner();
        if answer.authority.is_empty() {
            return Err(DeparturesError::Nameless);
        }
        let newest = answer.accounts.iter().map(|account| account.number).max();
        // Its database was put back to an earlier state, where other deletions can have the same numbers.
        let put_back = newest.is_none() && answer.last < self.after;
        let next = if put_back { 0 } else { newest.unwrap_or(self.after) };
        let accounts = answer.accounts.iter().map(|account| AccountId(account.account_id)).collect();
        let is_last = !put_back && (newest.is_none() || next >= answer.last);
        Ok(Page { authority: answer.authority, accounts, next, is_last })
    }

    /// What was told need not be told again.
    pub(crate) fn kept(&mut self, page: &Page) {
        self.after = page.next;
    }
}
