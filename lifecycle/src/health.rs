use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whether a process can serve, by its parts.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Component>>>);

#[derive(Debug)]
struct Component {
    /// Which handle speaks for it: the one that was made last. An older one is not heard any more.
    handle: usize,
    state: State,
}

#[derive(Debug)]
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
    ///
    /// A second handle for the same name replaces the first.
    #[must_use = "a part without its handle is not ready"]
    pub fn component(&self, name: &'static str) -> HealthHandle {
        let mut components = self.components();
        let handle = components.get(name).map_or(0, |component| component.handle + 1);
        components.insert(name, Component { handle, state: State::NotReady("starting".to_owned()) });
        drop(components);
        HealthHandle { health: self.clone(), name, handle }
    }

    /// Whether every part is ready.
    ///
    /// # Errors
    /// Names the parts that are not.
    pub fn ready(&self) -> Result<(), Vec<NotReady>> {
        let components = self.components();
        let waiting = components.iter().filter_map(|(name, component)| match &component.state {
            State::Ready => None,
            State::NotReady(reason) => Some(NotReady { component: name, reason: reason.clone() }),
        });
        let waiting: Vec<NotReady> = waiting.collect();
        if waiting.is_empty() { Ok(()) } else { Err(waiting) }
    }

    fn components(&self) -> MutexGuard<'_, BTreeMap<&'static str, Component>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// By which a part says whether it can serve.
#[derive(Debug)]
pub struct HealthHandle {
    health: Health,
    name: &'static str,
    handle: usize,
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
        if let Some(component) = self.health.components().get_mut(self.name)
            && component.handle == self.handle
        {
            component.state = state;
        }
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

    #[test]
    fn a_handle_that_was_replaced_is_not_heard() {
        let health = Health::default();
        let first = health.component("database");
        let second = health.component("database");
        first.set_ready();
        assert!(health.ready().is_err());
        second.set_ready();
        drop(first);
        assert!(health.ready().is_ok());
    }
}
