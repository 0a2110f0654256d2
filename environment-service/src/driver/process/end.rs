//! The end of launches: SIGTERM for the whole group and for what has left it, in its session or by its mark, a grace, then SIGKILL, until nothing is left.

use std::collections::HashSet;
use std::process::Child;
use std::time::Duration;

use cgroup::Group;
use futures::future::select_all;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::time::{Instant, sleep_until};

use super::bounds;
use super::hold::Hold;
use super::identity::Key;
use super::table::{Entry, Table};
use crate::domain::LaunchId;
use crate::driver::EndError;

/// How long what was killed may take to be gone. Only the kernel can hold it up.
const KILL_WAIT: Duration = Duration::from_secs(10);
/// After this time the table is read anew even if nothing was seen to end, in case something could not be watched.
const RECHECK: Duration = Duration::from_secs(1);
/// The same where something was forked while the table was read.
const RECHECK_NEWER: Duration = Duration::from_millis(10);

/// A launch to be ended.
#[derive(Debug)]
pub(super) struct Target {
    launch: LaunchId,
    /// The first process, where it is known. Its id is the session's and the group's.
    leader: Option<Key>,
    /// Every process that is known to belong to the launch.
    known: HashSet<Key>,
    /// Those that have been asked to end.
    asked: HashSet<Key>,
    /// Those of them that may not have heard it: until a forked process runs its own program it answers in the way of its
    /// parent, and a shell's child drops what it has heard.
    unheard: HashSet<Key>,
    /// The control group that all of it is in, where it has one.
    bounds: Option<Group>,
}

impl Target {
    pub(super) fn new(launch: LaunchId, leader: Option<Key>, left: HashSet<Key>) -> Self {
        let known = leader.into_iter().chain(left).collect();
        Self { launch, leader, known, asked: HashSet::new(), unheard: HashSet::new(), bounds: None }
    }

    /// The same, all of which is in a control group.
    pub(super) fn in_group(self, bounds: Option<Group>) -> Self {
        Self { bounds, ..self }
    }

    fn group(&self) -> Option<i32> {
        self.leader.map(|leader| leader.pid)
    }

    /// What of it runs, and whether something does that the table does not hold yet.
    fn alive(&mut self, table: &Table) -> Result<(Vec<Entry>, bool), EndError> {
        let mut newer = false;
        if let Some(group) = &self.bounds {
            let (inside, pids) = bounds::members(group, table).map_err(EndError::Group)?;
            newer = pids.len() > inside.len();
            self.known.extend(inside.iter().map(|entry| entry.key));
        }
        let mut members = table.members(self.launch, self.group(), &self.known);
        self.known.extend(members.iter().map(|entry| entry.key));
        members.retain(|entry| !entry.over);
        Ok((members, newer))
    }

    /// Asks it to end.
    fn ask(&mut self, alive: &[Entry]) {
        let first = self.asked.is_empty();
        let due = self.due(alive);
        self.signal(&due, Signal::TERM, first);
        // One that is halted hears nothing until it goes on.
        self.signal(&due, Signal::CONT, first);
    }

    /// Those that are to be asked now: all at first; then those that may not have heard it. As long as its first process
    /// runs, what that starts while it ends is its own affair; later there is nobody else to end it.
    fn due(&mut self, alive: &[Entry]) -> Vec<Entry> {
        let first = self.asked.is_empty();
        let orphaned = !alive.iter().any(|entry| Some(entry.key) == self.leader);
        let is_due = |entry: &Entry| match self.asked.contains(&entry.key) {
            true => self.unheard.contains(&entry.key),
            false => first || orphaned,
        };
        let due: Vec<Entry> = alive.iter().filter(|entry| is_due(entry)).copied().collect();
        self.asked.extend(due.iter().map(|entry| entry.key));
        self.unheard = due.iter().filter(|entry| entry.starting).map(|entry| entry.key).collect();
        due
    }

    fn kill(&self, alive: &[Entry]) {
        if let Some(Err(error)) = self.bounds.as_ref().map(Group::kill) {
            tracing::warn!(launch.id = %self.launch, %error, "a control group is not killed as a whole");
        }
        self.signal(alive, Signal::KILL, true);
    }

    /// Signals the group at once, so that nothing that is being forked escapes, and singly what is not in it.
    /// The group has just been seen to be the launch's; its id can be another's only after all of it has ended.
    fn signal(&self, entries: &[Entry], signal: Signal, whole_group: bool) {
        let group = self.group().filter(|_| whole_group);
        if let Some(group) = group.filter(|group| entries.iter().any(|entry| entry.group == *group))
            && let Some(group) = Pid::from_raw(group)
            && let Err(error) = kill_process_group(group, signal)
        {
            tracing::debug!(launch.id = %self.launch, ?signal, %error, "a group could not be signalled");
        }
        for entry in entries.iter().filter(|entry| Some(entry.group) != group) {
            if let Ok(Some(hold)) = Hold::take(entry.key) {
                hold.signal(signal);
            }
        }
    }
}

/// Kills the group of a child that has not been collected, so that its id is certainly its own.
pub(super) fn kill_child_group(child: &Child) {
    kill_group(child.id());
}

/// The same by the number of the child, which has not been collected.
pub(super) fn kill_group(child: u32) {
    let group = i32::try_from(child).ok().and_then(Pid::from_raw);
    if let Some(Err(error)) = group.map(|group| kill_process_group(group, Signal::KILL)) {
        tracing::debug!(process.id = child, %error, "a group could not be killed");
    }
}

/// Ends all of these at the same time.
pub(super) async fn end(mut targets: Vec<Target>, grace: Duration) -> Result<(), EndError> {
    let deadline = Instant::now() + grace;
    loop {
        let table = Table::read().await?;
        let seen: Vec<_> = targets.iter_mut().map(|target| target.alive(&table)).collect::<Result<_, _>>()?;
        if seen.iter().all(|(alive, newer)| alive.is_empty() && !newer) {
            return Ok(());
        }
        let newer = seen.iter().any(|(_, newer)| *newer);
        let alive: Vec<Vec<Entry>> = seen.into_iter().map(|(alive, _)| alive).collect();
        let now = Instant::now();
        if now >= deadline + KILL_WAIT {
            return Err(EndError::Survivors(alive.iter().flatten().map(|entry| entry.key.pid).collect()));
        }
        let killing = now >= deadline;
        for (target, alive) in targets.iter_mut().zip(&alive).filter(|(_, alive)| !alive.is_empty()) {
            if killing { target.kill(alive) } else { target.ask(alive) }
        }
        let until = if killing { deadline + KILL_WAIT } else { deadline };
        let recheck = if newer { RECHECK_NEWER } else { RECHECK };
        one_ended(alive.iter().flatten().map(|entry| entry.key), until.min(now + recheck)).await;
    }
}

/// Waits until one of these has ended, or the time has come.
async fn one_ended(keys: impl Iterator<Item = Key>, until: Instant) {
    let mut holds = Vec::new();
    for key in keys {
        match Hold::take(key) {
            Ok(Some(hold)) => holds.push(hold),
            // It is gone since it was seen.
            Ok(None) => return,
            Err(error) => tracing::warn!(process.id = key.pid, %error, "a process cannot be watched"),
        }
    }
    if holds.is_empty() {
        return sleep_until(until).await;
    }
    let ended = select_all(holds.iter().map(|hold| Box::pin(hold.ended())));
    tokio::select! {
        _ = ended => (),
        () = sleep_until(until) => (),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(pid: i32, starting: bool) -> Entry {
        Entry { key: Key { pid, started: 1 }, group: 10, session: 10, over: false, starting, mark: None }
    }

    fn due(target: &mut Target, alive: &[(i32, bool)]) -> Vec<i32> {
        let alive: Vec<Entry> = alive.iter().map(|(pid, starting)| entry(*pid, *starting)).collect();
        target.due(&alive).iter().map(|entry| entry.key.pid).collect()
    }

    fn target() -> Target {
        Target::new(LaunchId(Uuid::nil()), Some(Key { pid: 10, started: 1 }), HashSet::new())
    }

    #[test]
    fn each_is_asked_once() {
        let mut target = target();
        assert_eq!(due(&mut target, &[(10, false), (11, false)]), [10, 11]);
        assert_eq!(due(&mut target, &[(10, false), (11, false)]), [] as [i32; 0]);
        assert_eq!(due(&mut target, &[(11, false)]), [] as [i32; 0], "it heard it the first time");
    }

    #[test]
    fn one_that_was_starting_is_asked_until_it_has_started() {
        let mut target = target();
        assert_eq!(due(&mut target, &[(10, false), (11, true)]), [10, 11]);
        assert_eq!(due(&mut target, &[(10, false), (11, true)]), [11]);
        assert_eq!(due(&mut target, &[(10, false), (11, false)]), [11]);
        assert_eq!(due(&mut target, &[(10, false), (11, false)]), [] as [i32; 0]);
    }

    #[test]
    fn what_the_first_process_starts_while_it_ends_is_left_to_it_as_long_as_it_runs() {
        let mut target = target();
        assert_eq!(due(&mut target, &[(10, false)]), [10]);
        assert_eq!(due(&mut target, &[(10, false), (12, true)]), [] as [i32; 0]);
        assert_eq!(due(&mut target, &[(12, false)]), [12]);
        assert_eq!(due(&mut target, &[(12, false)]), [] as [i32; 0]);
    }
}
