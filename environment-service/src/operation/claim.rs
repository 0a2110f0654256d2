use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::{EnvironmentId, Operation};

/// Who works on which environment in this process. The record of an operation outlives the process; a claim does not, so
/// that a recorded operation without a claim is one that was torn off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims(Arc<Mutex<HashMap<EnvironmentId, Operation>>>);

/// The right to work on an environment, until it is dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Claims,
    environment: EnvironmentId,
}

impl Claims {
    /// Claims an environment, unless somebody works on it; then it answers on what.
    pub(crate) fn claim(&self, environment: EnvironmentId, operation: Operation) -> Result<Claim, Operation> {
        match self.lock().entry(environment) {
            Entry::Occupied(other) => Err(*other.get()),
            Entry::Vacant(free) => {
                free.insert(operation);
                Ok(Claim { claims: self.clone(), environment })
            }
        }
    }

    /// What is worked on at an environment, if anything is.
    pub(crate) fn operation(&self, environment: EnvironmentId) -> Option<Operation> {
        self.lock().get(&environment).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EnvironmentId, Operation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.environment);
    }
}
