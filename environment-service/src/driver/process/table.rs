//! The machine's processes at one moment.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::time::Duration;

use lifecycle::Clock;
use procfs::ProcError;
use procfs::process::{Process, Stat, StatFlags, all_processes};
use uuid::Uuid;

use super::MARK;
use super::identity::{Key, is_not_ours, is_over};
use crate::domain::LaunchId;
use crate::driver::ScanError;

/// A process that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) group: i32,
    pub(super) session: i32,
    /// Whether it has ended and only waits to be collected.
    pub(super) over: bool,
    /// Whether it was forked just now and runs no program of its own yet.
    pub(super) starting: bool,
    /// The launch that its variables say it belongs to.
    pub(super) mark: Option<LaunchId>,
}

impl Entry {
    /// Whether it is in the session or in the process group of this leader.
    fn is_led_by(&self, leader: i32) -> bool {
        self.session == leader || self.group == leader
    }
}

/// How long a process that was forked may take until it runs a program of its own, or has made itself at home in its
/// parent's.
const START: Duration = Duration::from_secs(1);

/// The processes of the machine, without this one.
#[derive(Debug)]
pub(super) struct Table(Vec<Entry>);

impl Table {
    /// Reads it anew. It takes some milliseconds.
    pub(super) async fn read() -> Result<Self, ScanError> {
        tokio::task::spawn_blocking(|| read(mark)).await.map_err(ScanError::Torn)?
    }

    /// Reads it without marks, which takes a fraction of the time.
    pub(super) async fn read_unmarked() -> Result<Self, ScanError> {
        tokio::task::spawn_blocking(|| read(|_| Ok(None))).await.map_err(ScanError::Torn)?
    }

    /// The processes of a session or of a process group, which both have the id of their leader. A process can leave the
    /// group and stay in the session.
    pub(super) fn led_by(&self, leader: i32) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.is_led_by(leader))
    }

    /// All that belongs to a launch: what is known to, what bears its mark, and all that its first process leads if that is
    /// still the same. The id of a session or a group is not given to another while one process is in it, so that one
    /// process that is known to belong to it speaks for all.
    pub(super) fn members(&self, launch: LaunchId, leader: Option<i32>, known: &HashSet<Key>) -> Vec<Entry> {
        let belongs = |entry: &Entry| entry.mark == Some(launch) || known.contains(&entry.key);
        let leader = leader.filter(|leader| self.led_by(*leader).any(belongs));
        let is_led = |entry: &Entry| leader.is_some_and(|leader| entry.is_led_by(leader));
        self.0.iter().filter(|entry| is_led(entry) || belongs(entry)).copied().collect()
    }

    /// Those that have one of these numbers.
    pub(super) fn of_pids<'a>(&'a self, pids: &'a BTreeSet<i32>) -> impl Iterator<Item = &'a Entry> {
        self.0.iter().filter(|entry| pids.contains(&entry.key.pid))
    }

    #[cfg(test)]
    pub(super) fn read_now() -> Self {
        read(mark).unwrap()
    }

    /// What bears the mark of a launch.
    pub(super) fn marked(&self, launch: LaunchId) -> impl Iterator<Item = &Entry> {
        self.0.iter().filter(move |entry| entry.mark == Some(launch))
    }
}

fn read(mark: fn(&Process) -> Result<Option<LaunchId>, ProcError>) -> Result<Table, ScanError> {
    let own = i32::try_from(std::process::id()).ok();
    let processes = all_processes().map_err(ScanError::Table)?;
    let mut entries = Vec::new();
    for process in processes {
        match process.and_then(|process| entry(&process, mark)) {
            Ok(entry) if Some(entry.key.pid) != own => entries.push(entry),
            Ok(_) => {}
            // A process that ends while it is being looked at, or that is another user's, is none of ours.
            Err(error) if is_not_ours(&error) => {}
            // A table with holes would say of some that they have ended.
            Err(error) => return Err(ScanError::Table(error)),
        }
    }
    Ok(Table(entries))
}

fn entry(process: &Process, mark: fn(&Process) -> Result<Option<LaunchId>, ProcError>) -> Result<Entry, ProcError> {
    let stat = process.stat()?;
    let key = Key { pid: stat.pid, started: stat.starttime };
    let (over, starting) = (is_over(&stat), is_starting(&stat));
    Ok(Entry { key, group: stat.pgrp, session: stat.session, over, starting, mark: mark(process)? })
}

fn is_starting(stat: &Stat) -> bool {
    let forked = StatFlags::from_bits_truncate(stat.flags).contains(StatFlags::PF_FORKNOEXEC);
    let started = Duration::from_millis(stat.starttime.saturating_mul(1000) / procfs::ticks_per_second());
    forked && Clock::system().monotonic().saturating_sub(started) < START
}

/// The mark among a process's variables.
fn mark(process: &Process) -> Result<Option<LaunchId>, ProcError> {
    let variables = match process.environ() {
        // It is there, and shows them to nobody.
        Err(error) if is_not_ours(&error) => return Ok(None),
        variables => variables?,
    };
    let mark = variables.get(OsStr::new(MARK)).and_then(|mark| mark.to_str());
    Ok(mark.and_then(|mark| Uuid::try_parse(mark).ok()).map(LaunchId))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pid: i32, group: i32, mark: Option<u128>) -> Entry {
        let mark = mark.map(|mark| LaunchId(Uuid::from_u128(mark)));
        Entry { key: Key { pid, started: 100 }, group, session: 1, over: false, starting: false, mark }
    }

    fn in_session(session: i32, entry: Entry) -> Entry {
        Entry { session, ..entry }
    }

    fn members(table: &Table, known: &[Key]) -> Vec<i32> {
        let known = known.iter().copied().collect();
        let members = table.members(LaunchId(Uuid::from_u128(7)), Some(10), &known);
        members.iter().map(|entry| entry.key.pid).collect()
    }

    #[test]
    fn a_group_belongs_to_a_launch_while_one_of_it_is_known() {
        let table = Table(vec![entry(10, 10, None), entry(11, 10, None), entry(12, 12, None)]);
        assert_eq!(members(&table, &[Key { pid: 10, started: 100 }]), [10, 11]);
        assert_eq!(members(&table, &[Key { pid: 11, started: 100 }]), [10, 11]);
    }

    #[test]
    fn a_group_whose_id_was_given_again_is_left_alone() {
        let table = Table(vec![entry(10, 10, None), entry(11, 10, Some(8))]);
        assert_eq!(members(&table, &[Key { pid: 10, started: 99 }]), [] as [i32; 0]);
        assert_eq!(members(&table, &[]), [] as [i32; 0]);
    }

    #[test]
    fn a_session_holds_what_left_the_group() {
        let table = Table(vec![
            in_session(10, entry(10, 10, None)),
            in_session(10, entry(20, 20, None)),
            in_session(30, entry(30, 30, None)),
        ]);
        assert_eq!(members(&table, &[Key { pid: 10, started: 100 }]), [10, 20]);
        assert_eq!(members(&table, &[Key { pid: 20, started: 100 }]), [10, 20], "the leader of the group may be gone");
        assert_eq!(members(&table, &[Key { pid: 10, started: 99 }]), [] as [i32; 0]);
    }

    #[test]
    fn the_mark_tells_who_left_the_group() {
        let table = Table(vec![entry(10, 10, Some(7)), entry(20, 20, Some(7)), entry(21, 20, None)]);
        assert_eq!(members(&table, &[]), [10, 20]);
    }
}
