use std::sync::Arc;

use access::Confinement;

use super::{Described, Environments, Event};
use crate::domain::EnvName;

/// What a watcher was told: as much as there is, and no queue beside it.
pub(super) struct Told<T> {
    reach: Confinement,
    /// `None`: nothing yet.
    environments: Option<Environments<T>>,
}

impl<T> Told<T> {
    /// Nothing yet, and never of what is out of reach.
    pub(super) fn new(reach: Confinement) -> Self {
        Self { reach, environments: None }
    }

    /// The next thing to tell of how it is now; nothing where all is told.
    pub(super) fn advance(&mut self, now: &Environments<T>) -> Option<Event<T>> {
        let reach = &self.reach;
        let mut reached = now.iter().filter(|(name, _)| reach.reaches(name.as_str()));
        let Some(told) = &mut self.environments else {
            let all: Environments<T> = reached.map(|(name, found)| (name.clone(), Arc::clone(found))).collect();
            let snapshot = Event::Snapshot(all.values().cloned().collect());
            self.environments = Some(all);
            return Some(snapshot);
        };
        // One whose name another has now is gone too.
        let is_gone = |name: &EnvName, known: &Described<T>| now.get(name).is_none_or(|found| found.id != known.id);
        if let Some(name) = told.iter().find(|(name, known)| is_gone(name, known)).map(|(name, _)| name.clone()) {
            let gone = told.remove(&name)?;
            return Some(Event::Removed(name, gone.id));
        }
        let is_news = |found: &Arc<_>, known: Option<&Arc<_>>| known.is_none_or(|known| !Arc::ptr_eq(known, found));
        let (name, found) = reached.find(|(name, found)| is_news(found, told.get(*name)))?;
        told.insert(name.clone(), Arc::clone(found));
        Some(Event::Changed(Arc::clone(found)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::EnvironmentId;

    fn name(text: &str) -> EnvName {
        text.parse().unwrap()
    }

    fn described(id: u128, description: u32) -> Arc<Described<u32>> {
        Arc::new(Described { id: EnvironmentId(Uuid::from_u128(id)), description })
    }

    #[test]
    fn a_snapshot_comes_first_even_where_there_is_nothing() {
        let mut told = Told::<u32>::new(Confinement::NONE);
        assert_eq!(told.advance(&BTreeMap::new()), Some(Event::Snapshot(Vec::new())));
        assert_eq!(told.advance(&BTreeMap::new()), None);
    }

    #[test]
    fn of_what_is_out_of_reach_nothing_is_told() {
        let reach = Confinement { environments: vec!["shop-*".parse().unwrap()], networks: Vec::new() };
        let mut told = Told::new(reach);
        let mut now = BTreeMap::from([(name("bank"), described(1, 1)), (name("shop-a"), described(2, 1))]);
        assert_eq!(told.advance(&now), Some(Event::Snapshot(vec![described(2, 1)])));
        now.insert(name("bank"), described(1, 2));
        assert_eq!(told.advance(&now), None);
        now.remove(&name("bank"));
        assert_eq!(told.advance(&now), None);
        now.remove(&name("shop-a"));
        assert_eq!(told.advance(&now), Some(Event::Removed(name("shop-a"), EnvironmentId(Uuid::from_u128(2)))));
    }

    #[test]
    fn the_end_of_one_is_told_although_another_has_its_name() {
        let mut told = Told::new(Confinement::NONE);
        let mut now = BTreeMap::from([(name("shop"), described(1, 1))]);
        told.advance(&now);
        now.insert(name("shop"), described(2, 1));
        assert_eq!(told.advance(&now), Some(Event::Removed(name("shop"), EnvironmentId(Uuid::from_u128(1)))));
        assert_eq!(told.advance(&now), Some(Event::Changed(described(2, 1))));
        assert_eq!(told.advance(&now), None);
    }

    proptest! {
        /// However many states are passed over, what is told adds up to the last, with one event for each environment at most.
        #[test]
        fn a_slow_reader_is_told_the_latest(
            states in prop::collection::vec(prop::collection::btree_map("[a-d]", 0_u32..3, 0..4), 1..6),
        ) {
            let mut told = Told::new(Confinement::NONE);
            let mut shown: BTreeMap<EnvName, u32> = BTreeMap::new();
            told.advance(&BTreeMap::new());
            for state in states {
                let now: Environments<u32> =
                    state.iter().map(|(key, value)| (name(key), described(1, *value))).collect();
                let mut events = 0;
                while let Some(event) = told.advance(&now) {
                    events += 1;
                    match event {
                        Event::Snapshot(_) => prop_assert!(false, "a second snapshot"),
                        Event::Removed(name, _) => prop_assert!(shown.remove(&name).is_some()),
                        Event::Changed(found) => {
                            let of = now.iter().find(|(_, known)| Arc::ptr_eq(known, &found)).unwrap().0;
                            shown.insert(of.clone(), found.description);
                        }
                    }
                }
                prop_assert!(events <= 8);
                let expected: BTreeMap<EnvName, u32> = state.iter().map(|(key, value)| (name(key), *value)).collect();
                prop_assert_eq!(&shown, &expected);
            }
        }
    }
}
