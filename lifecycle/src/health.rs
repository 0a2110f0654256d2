use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Whether a process can serve, by its parts.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, State>>>);

#[derive(Clone, Debug)]
enum State {
    Ready,
    NotReady(String),
}

/// A part that cannot serve, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReady {
    /// The part.
    pub component: &'static str,
    /// Why.
    pub reason: String,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.component, self.reason)
    }
}

impl Health {
    /// A part that is not ready until it says so. One whose handle is gone is not ready any more.
    #[must_use]
    pub fn component(&self, name: &'static str) -> HealthHandle {
        let handle = HealthHandle { health: self.clone(), name };
        handle.set(State::NotReady("starting".to_owned()));
        handle
    }

    /// Whether every part is ready.
    ///
    /// # Errors
    /// Names the parts that are not.
    pub fn ready(&self) -> Result<(), Vec<NotReady>> {
        let states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = states.iter().filter_map(|(component, state)| match state {
            State::Ready => None,
            State::NotReady(reason) => Some(NotReady { component, reason: reason.clone() }),
        });
        let waiting: Vec<NotReady> = waiting.collect();
        if waiting.is_empty() { Ok(()) } else { Err(waiting) }
    }
}

/// By which a part says whether it can serve.
#[derive(Debug)]
pub struct HealthHandle {
    health: Health,
    name: &'static str,
}

impl HealthHandle {
    /// It can serve.
    pub fn set_ready(&self) {
        self.set(State::Ready);
    }

    /// It cannot.
    pub fn set_not_ready(&self, reason: impl Into<String>) {
        self.set(State::NotReady(reason.into()));
    }

    fn set(&self, state: State) {
        self.health.0.lock().unwrap_or_else(PoisonError::into_inner).insert(self.name, state);
    }
}

impl Drop for HealthHandle {
    fn drop(&mut self) {
        self.set_not_ready("stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_every_part_is() {
        let health = Health::default();
        assert!(health.ready().is_ok());
        let (database, upstream) = (health.component("database"), health.component("upstream"));
        assert_eq!(health.ready().unwrap_err().len(), 2);
        database.set_ready();
        upstream.set_ready();
        assert!(health.ready().is_ok());
        upstream.set_not_ready("refused");
        let waiting = health.ready().unwrap_err();
        assert_eq!(waiting[0].to_string(), "upstream: refused");
        upstream.set_ready();
        drop(database);
        assert_eq!(health.ready().unwrap_err()[0].to_string(), "database: stopped");
    }
}
