//! What the authority's replicas do: changes and their confirmation, and their end of the streams.

use std::collections::VecDeque;

use access::Revision;
use access::lease::{Confirmation, HolderId, Line, Log, ToAuthority, ToHolder};

use crate::rules::Rule;
use crate::setting::{Kind, Setting};
use crate::world::{Course, Database, Lingering, Row, Step, Stream, World};

impl World {
    /// A replica makes a change: the number, the log and the credential in one commit.
    pub(crate) fn commit(&mut self, kind: Kind, replica: u8, setting: &Setting) {
        let revision = Revision(self.database.newest().0 + 1);
        self.publish(kind, revision, setting);
        self.courses.push(Course::Committed { revision, replica });
    }

    fn publish(&mut self, kind: Kind, revision: Revision, setting: &Setting) {
        let at = if setting.is_timeless() { 0 } else { self.now };
        self.database().log.insert(revision, (kind.change(revision), at));
    }

    /// Without commit order: a change takes its number and is not committed yet.
    pub(crate) fn number(&mut self, kind: Kind) {
        let numbered = self.courses.iter().map(|course| match course {
            Course::Numbered { revision, .. } => *revision,
            _ => Revision(0),
        });
        let newest = numbered.max().unwrap_or(Revision(0)).max(self.database.newest());
        self.courses.push(Course::Numbered { kind, revision: Revision(newest.0 + 1) });
    }

    /// With the leases read too early.
    pub(crate) fn prepare(&mut self, kind: Kind, replica: u8) {
        let leases = self.database.live(self.now, |_| true);
        self.courses.push(Course::Prepared { kind, replica, leases, at: self.now });
    }

    /// The next step of a change.
    pub(crate) fn advance(&mut self, course: usize, replica: u8, setting: &Setting) -> Option<()> {
        let now = Setting::authority_time(self.now);
        self.courses[course] = match self.courses[course].clone() {
            Course::Numbered { kind, revision } => {
                self.publish(kind, revision, setting);
                Course::Committed { revision, replica }
            }
            Course::Prepared { kind, replica, leases, at } => {
                let revision = Revision(self.database.newest().0 + 1);
                self.publish(kind, revision, setting);
                let confirmation = Confirmation::new(revision, leases, Setting::authority_time(at));
                Course::Waiting { replica, confirmation }
            }
            Course::Committed { revision, .. } if !setting.keeps(Rule::Wait) => Course::Confirmed { revision },
            Course::Committed { revision, replica } => {
                let all = setting.keeps(Rule::LeasesOfAllReplicas);
                let leases = self.database.live(self.now, |row| all || row.replica == replica);
                Course::Waiting { replica, confirmation: Confirmation::new(revision, leases, now) }
            }
            Course::Waiting { confirmation, .. } => {
                Course::Confirmed { revision: confirmed(&self.database, confirmation, now)? }
            }
            Course::Unanswered { revision } if !setting.keeps(Rule::WaitOfRepeated) => Course::Confirmed { revision },
            Course::Unanswered { revision } => Course::Committed { revision, replica },
            Course::Confirmed { .. } => return None,
        };
        Some(())
    }

    /// A replica takes the next message of a holder's stream.
    pub(crate) fn handle(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let holder = self.members[member].id();
        let newest = self.database.newest();
        let stream = self.member(member).stream.as_mut().filter(|stream| stream.step == Step::Idle)?;
        let (replica, number_of_stream) = (stream.replica, stream.number);
        let message = stream.up.pop_front()?;
        match message {
            ToAuthority::Ask { number } if setting.keeps(Rule::LeaseBeforeRevision) => {
                stream.step = Step::Written { number };
            }
            ToAuthority::Ask { number } => {
                stream.step = Step::Read { number, revision: newest };
                return Some(());
            }
            _ => {}
        }
        self.note(message, holder, number_of_stream, replica, setting);
        Some(())
    }

    /// A replica takes a message of a stream that has ended at its holder.
    pub(crate) fn handle_lingering(&mut self, index: usize, setting: &Setting) -> Option<()> {
        let Lingering { holder, stream, replica, messages } = self.lingering.get_mut(index)?;
        let (holder, stream, replica) = (*holder, *stream, *replica);
        let message = messages.pop_front()?;
        if messages.is_empty() {
            self.lingering.remove(index);
        }
        self.note(message, holder, stream, replica, setting);
        Some(())
    }

    /// What a message leaves in the database.
    fn note(&mut self, message: ToAuthority, holder: HolderId, stream: u64, replica: u8, setting: &Setting) {
        let expires = self.now + setting.lease;
        let is_its_own = |row: &Row| row.stream <= stream || !setting.keeps(Rule::ReleaseOfItsStream);
        match message {
            ToAuthority::Ask { .. } => {
                let newest = self.database.leases.get(&holder).map_or(stream, |row| row.stream.max(stream));
                self.database().leases.insert(holder, Row { expires, replica, stream: newest });
            }
            ToAuthority::Acknowledge { revision } => self.database().acknowledge(holder, revision),
            ToAuthority::Release if self.database.leases.get(&holder).is_some_and(is_its_own) => {
                self.database().leases.remove(&holder);
            }
            ToAuthority::Release => {}
        }
    }

    /// The lease is written down: the newest revision is read, and the lease is owed.
    pub(crate) fn owe(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let holder = self.members[member].id();
        let newest = self.database.newest();
        let stream = self.member(member).stream.as_mut()?;
        let (replica, of) = (stream.replica, stream.number);
        let duration = Setting::authority_time(setting.lease);
        match std::mem::replace(&mut stream.step, Step::Idle) {
            Step::Idle => return None,
            Step::Written { number } if setting.keeps(Rule::ChangesBeforeLease) => {
                stream.line.owe(number, duration, newest);
            }
            Step::Written { number } => {
                let revision = if setting.keeps(Rule::LeaseNamesRevision) { newest } else { stream.line.sent() };
                stream.down.push_back(ToHolder::Lease { number, duration, revision });
            }
            Step::Read { number, revision } => {
                stream.line.owe(number, duration, revision);
                self.note(ToAuthority::Ask { number }, holder, of, replica, setting);
            }
        }
        Some(())
    }

    /// A replica reads the log, up to some change, and sends what follows.
    pub(crate) fn send(&mut self, member: usize, up_to: Revision, setting: &Setting) -> Option<()> {
        let changes: Vec<_> = self.database.log.range(..=up_to).map(|(_, (change, _))| *change).collect();
        let holder = self.members[member].id();
        let stream = self.member(member).stream.as_mut()?;
        let messages = stream.line.send(&changes);
        if messages.is_empty() {
            return None;
        }
        stream.down.extend(messages);
        if !setting.keeps(Rule::AcknowledgedByHolder) {
            let sent = stream.line.sent();
            self.database().acknowledge(holder, sent);
        }
        Some(())
    }

    /// A holder opens a stream to a replica.
    pub(crate) fn connect(&mut self, member: usize, replica: u8, setting: &Setting) {
        let newest = self.database.newest();
        let is_old = |at: u8| !setting.is_timeless() && at + setting.remember <= self.now;
        let old = self.database.log.values().rev().find(|(_, at)| is_old(*at));
        let recent_after = old.map_or(Revision(0), |(change, _)| change.revision);
        let recent_after = if setting.keeps(Rule::Replay) { recent_after } else { newest };
        let after = if setting.short_log { recent_after } else { Revision(0) };
        let resume = self.member(member).holder.connect();
        let line = Line::begin(resume.applied, Log { after, recent_after, newest });
        let remember_for = Setting::authority_time(setting.remember);
        let begin = ToHolder::Begin { after: line.sent(), remember_for };
        self.member(member).stream = Some(Stream {
            replica,
            number: resume.stream,
            line,
            step: Step::Idle,
            up: VecDeque::new(),
            down: VecDeque::from([begin]),
        });
    }

    /// A replica crashes: its streams end, and nobody is answered who waits for it. It is back at once; that it is not, is
    /// nothing but that it takes no step.
    pub(crate) fn crash_replica(&mut self, replica: u8, setting: &Setting) {
        for member in 0..self.members.len() {
            if self.members[member].stream.as_ref().is_some_and(|stream| stream.replica == replica) {
                self.cut(member, setting);
            }
        }
        for course in &mut self.courses {
            match course {
                Course::Committed { revision, replica: by } if *by == replica => {
                    *course = Course::Unanswered { revision: *revision };
                }
                Course::Waiting { replica: by, confirmation } if *by == replica => {
                    *course = Course::Unanswered { revision: confirmation.revision() };
                }
                _ => {}
            }
        }
    }
}

/// The change's revision, if it is confirmed by now: by what the leases' rows say, and by the time.
fn confirmed(database: &Database, mut confirmation: Confirmation, now: std::time::Duration) -> Option<Revision> {
    confirmation.passed(now);
    for holder in confirmation.awaited().collect::<Vec<_>>() {
        // A lease that was given back is waited for no more.
        let is_released = !database.leases.contains_key(&holder);
        let acknowledged = if is_released { confirmation.revision() } else { database.acknowledged(holder) };
        confirmation.acknowledged(holder, acknowledged);
    }
    confirmation.is_complete().then(|| confirmation.revision())
}
