//! What holders do: their end of the streams, and what they serve and execute.

use access::Revision;
use access::lease::{Statement, ToAuthority, ToHolder};
use std::sync::Arc;

use crate::rules::Rule;
use crate::setting::Setting;
use crate::world::{Call, Grant, Lingering, Member, World, concerns};

impl World {
    /// A holder asks for a lease.
    pub(crate) fn ask(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let now = setting.holder_time(self.now);
        let index = member;
        let member = Arc::make_mut(&mut self.members[index]);
        // Once a tick: a second question at the same time knows no more than the first.
        if member.questions == 0 || member.has_asked {
            return None;
        }
        let stream = member.stream.as_mut()?;
        stream.up.push_back(member.holder.ask(now));
        member.has_asked = true;
        member.questions -= 1;
        if setting.prompt { self.handle(index, setting) } else { Some(()) }
    }

    /// A holder takes the next message of its stream. Where it is not in order, the holder ends the stream.
    pub(crate) fn take(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let member = Arc::make_mut(&mut self.members[member]);
        let stream = member.stream.as_mut()?;
        let message = stream.down.pop_front()?;
        let generation = member.holder.generation();
        let is_timeless = setting.is_timeless() && matches!(message, ToHolder::Changes(_));
        let now = setting.holder_time(if is_timeless { 0 } else { self.now });
        let message = hurried(member, message, now, setting);
        let stream = member.stream.as_mut()?;
        let Ok(answer) = member.holder.take(stream.number, &message, now) else {
            member.stream = None;
            return Some(());
        };
        // An acknowledgement that travels is one that counts later. That is as if the confirmation came later.
        if let Some(ToAuthority::Acknowledge { revision }) = answer {
            Arc::make_mut(&mut self.database).acknowledge(member.id(), revision);
        }
        if member.holder.generation() != generation {
            member.cached = None;
            member.began_after = member.holder.applied()?;
        }
        if let ToHolder::Changes(changes) = &message
            && changes.iter().any(concerns)
            && setting.keeps(Rule::DropFromCache)
        {
            member.cached = None;
        }
        Some(())
    }

    /// Without the rule that a change is applied first: its acknowledgement is sent while it waits to be taken.
    pub(crate) fn acknowledge_early(&mut self, member: usize) -> Option<()> {
        let holder = self.members[member].id();
        let ToHolder::Changes(changes) = self.members[member].stream.as_ref()?.down.front()? else { return None };
        let revision = changes.last()?.revision;
        Arc::make_mut(&mut self.database).acknowledge(holder, revision);
        Some(())
    }

    /// A holder forgets changes whose time is over, at some moment from then on.
    pub(crate) fn forget(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let now = setting.holder_time(self.now);
        let holder = &mut self.member(member).holder;
        let before = holder.clone();
        holder.forget(now);
        (*holder != before).then_some(())
    }

    /// A holder gives its lease back.
    pub(crate) fn release(&mut self, member: usize, setting: &Setting) -> Option<()> {
        let member = Arc::make_mut(&mut self.members[member]);
        let stream = member.stream.as_mut()?;
        if !member.holder.is_leased(setting.holder_time(self.now)) {
            return None;
        }
        if setting.keeps(Rule::ReleaseEndsUse) {
            stream.up.push_back(member.holder.release());
        } else {
            stream.up.push_back(ToAuthority::Release);
        }
        Some(())
    }

    /// A stream ends: what is under way on it is lost. Where things linger, what goes up may still arrive.
    pub(crate) fn cut(&mut self, member: usize, setting: &Setting) {
        let member = Arc::make_mut(&mut self.members[member]);
        let Some(stream) = member.stream.take() else { return };
        if setting.lingering && !stream.up.is_empty() {
            let (holder, replica) = (member.id(), stream.replica);
            self.lingering.push(Lingering { holder, stream: stream.number, replica, messages: stream.up });
        }
        if !setting.keeps(Rule::LeaseOutlivesStream) {
            Arc::make_mut(&mut self.database).leases.remove(&member.id());
        }
    }

    /// A holder starts again with nothing in memory. Its calls end with it.
    pub(crate) fn restart(&mut self, member: usize, setting: &Setting) {
        self.cut(member, setting);
        let before = self.member(member);
        *before = Member::new(before.place, before.life + 1, setting);
        for call in &mut self.calls {
            let at = match call {
                Call::Asking { gateway, .. } | Call::Answered { gateway, .. } => *gateway,
                Call::Joined { gateway, .. } => Some(*gateway),
                Call::Idle | Call::PassedOn { .. } | Call::Done { .. } => None,
            };
            if at == Some(member) {
                *call = Call::Done { grant: call.grant() };
            }
        }
    }
}

/// A lease that counts from its answer is one whose question is asked only then.
fn hurried(member: &mut Member, message: ToHolder, now: std::time::Duration, setting: &Setting) -> ToHolder {
    match message {
        ToHolder::Lease { duration, revision, .. } if !setting.keeps(Rule::LeaseFromQuestion) => {
            let ToAuthority::Ask { number } = member.holder.ask(now) else { return message };
            ToHolder::Lease { number, duration, revision }
        }
        // What the holder takes off is put on before: a full lease is left.
        ToHolder::Lease { number, duration, revision } if !setting.keeps(Rule::LeaseLessDrift) => {
            ToHolder::Lease { number, duration: duration * 20 / 19, revision }
        }
        message => message,
    }
}

impl Member {
    pub(crate) fn serves(&self, grant: &Grant, now: u8, setting: &Setting) -> bool {
        let (lease, compare) = (setting.keeps(Rule::ServeUnderLease), setting.keeps(Rule::CompareAtGateway));
        self.allows(grant, now, setting, lease, compare)
    }

    /// Whether a call may use the answer that another has asked for.
    pub(crate) fn admits_joined(&self, grant: &Grant, now: u8, setting: &Setting) -> bool {
        self.allows(grant, now, setting, setting.keeps(Rule::ServeUnderLease), true)
    }

    pub(crate) fn executes(&self, grant: &Grant, now: u8, setting: &Setting) -> bool {
        let by_its_clock = now.saturating_sub(setting.behind);
        if setting.grant.is_some_and(|life| by_its_clock >= grant.issued + life) {
            return false;
        }
        let (lease, compare) = (setting.keeps(Rule::ExecuteUnderLease), setting.keeps(Rule::CompareAtExecutor));
        self.allows(grant, now, setting, lease, compare)
    }

    fn allows(&self, grant: &Grant, now: u8, setting: &Setting, lease: bool, compare: bool) -> bool {
        let now = setting.holder_time(now);
        let statement = self.lifted(grant.statement(), setting);
        match (lease, compare) {
            (true, true) => self.holder.allow(&statement, now).is_ok(),
            (true, false) => self.holder.is_leased(now),
            (false, true) => self.holder.admits(&statement),
            (false, false) => true,
        }
    }

    /// Whether an answer may be cached.
    pub(crate) fn caches(&self, grant: &Grant, now: u8, setting: &Setting) -> bool {
        let statement = self.lifted(grant.statement(), setting);
        !setting.keeps(Rule::Admission)
            || (self.holder.is_leased(setting.holder_time(now)) && self.holder.admits(&statement))
    }

    /// Without a floor, a statement is taken for one that is as new as it.
    fn lifted(&self, statement: Statement, setting: &Setting) -> Statement {
        let mut as_of = statement.as_of;
        if !setting.keeps(Rule::FloorOfBeginning) {
            as_of = as_of.max(self.began_after);
        }
        if !setting.keeps(Rule::FloorOfForgotten) && as_of >= self.began_after {
            as_of = as_of.max(self.floor());
        }
        Statement { as_of, ..statement }
    }

    /// The floor is the oldest statement that is admitted of what no change was ever about.
    fn floor(&self) -> Revision {
        let untouched = |as_of| Statement {
            credential: access::CredentialId { kind: access::GrantedKind::Session, number: 9 },
            account: access::AccountId(9),
            as_of: Revision(as_of),
        };
        (0..).find(|as_of| self.holder.admits(&untouched(*as_of))).map_or(Revision(0), Revision)
    }
}
