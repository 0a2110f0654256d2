//! Where launches are: by their records, or by their marks.

use std::collections::HashMap;

use super::cluster::Fault;
use super::place::{Home, Place, Scope};
use super::{KubernetesDriver, unseen, workload};
use crate::domain::{Launch, LaunchId};

/// What was found of marks.
#[derive(Default)]
pub(super) struct Marked {
    pub(super) places: HashMap<LaunchId, Place>,
    /// Whether what is made here could not be looked at.
    own_refused: bool,
}

/// Where a launch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Located {
    At(Place),
    /// There is nothing of it.
    Nowhere,
    /// It may be where nobody may look.
    Unseen,
}

impl KubernetesDriver {
    /// The places of launches, each by itself. One that was never recorded is looked for by its mark.
    pub(super) async fn places(&self, launches: &[Launch]) -> Result<Vec<Located>, Fault> {
        let unrecorded: Vec<LaunchId> =
            launches.iter().filter(|launch| launch.instance.is_none()).map(|launch| launch.id).collect();
        let found = if unrecorded.is_empty() { Marked::default() } else { self.marked(&unrecorded).await? };
        let place = |launch: &Launch| match &launch.instance {
            Some(instance) => {
                let place = instance.0.parse();
                let place =
                    place.inspect_err(|error| tracing::error!(launch.id = %launch.id, %error, "a record is malformed"));
                place.map_or(Located::Nowhere, Located::At)
            }
            None => match found.places.get(&launch.id) {
                Some(place) => Located::At(place.clone()),
                None if found.own_refused => Located::Unseen,
                None => Located::Nowhere,
            },
        };
        Ok(launches.iter().map(place).collect())
    }

    /// Workloads that have these marks, as far as they may be looked at. What was there before is found again by its key as well, so
    /// that a namespace of it that refuses is no reason to know nothing of the others.
    pub(super) async fn marked(&self, launches: &[LaunchId]) -> Result<Marked, Fault> {
        let homes = self.settings.environments.iter();
        let homes = homes.map(|environment| (Home::Adopted(environment.name.clone()), Scope::adopted(environment)));
        let own = self.own_scope().map(|scope| (Home::Own(scope.namespace.clone()), scope));
        let mut marked = Marked::default();
        for (home, scope) in homes.chain(own) {
            let seen = match workload::all(&self.client, &scope).await {
                Err(fault @ Fault::Unreachable(_)) => return Err(fault),
                Err(fault) => {
                    unseen(&fault);
                    marked.own_refused |= matches!(home, Home::Own(_));
                    continue;
                }
                Ok(seen) => seen,
            };
            for seen in seen {
                let Some(launch) = launches.iter().find(|launch| seen.has_mark(**launch)) else { continue };
                marked.places.insert(*launch, Place { home: home.clone(), kind: seen.kind, name: seen.name });
            }
        }
        Ok(marked)
    }
}
