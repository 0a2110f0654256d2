//! The way of a call: through a gateway, with the authority's introspection or a cached one, to the executing service.

use access::Revision;

use crate::rules::Rule;
use crate::setting::Setting;
use crate::world::{Call, Grant, Read, World};

impl World {
    /// A call arrives at a gateway, or somebody asks without one. What the gateway decides, it decides at once: later, it knows no less.
    pub(crate) fn arrive(&mut self, call: usize, gateway: Option<usize>, setting: &Setting) {
        let since = self.confirmed();
        let asking = Call::Asking { gateway, since, read: Read::Nothing };
        let Some(at) = gateway else {
            self.calls[call] = asking;
            return;
        };
        let member = &self.members[at];
        if let Some(grant) = member.cached.filter(|grant| member.serves(grant, self.now, setting)) {
            self.pass_on(call, since, grant, setting);
            return;
        }
        let may_join = !setting.keeps(Rule::JoinUnderLease) || member.holder.is_leased(setting.holder_time(self.now));
        let other = self.calls.iter().position(|other| match other {
            Call::Asking { gateway, .. } | Call::Answered { gateway, .. } => *gateway == Some(at),
            _ => false,
        });
        self.calls[call] = match other.filter(|_| may_join) {
            Some(with) => Call::Joined { gateway: at, since, with },
            None => asking,
        };
    }

    /// The authority reads what an introspection says: first how new it is, then the credential.
    pub(crate) fn read(&mut self, call: usize, setting: &Setting) -> Option<()> {
        let Call::Asking { gateway, since, read } = self.calls[call] else { return None };
        let now = if setting.grant.is_some() { self.now } else { 0 };
        let (newest, content) = (self.database.newest(), self.database.content());
        let in_order = setting.keeps(Rule::AsOfBeforeCredential);
        self.calls[call] = match read {
            Read::Nothing => {
                let as_of = Read::AsOf { as_of: newest, issued: now };
                let read = if in_order { as_of } else { Read::Content { content } };
                Call::Asking { gateway, since, read }
            }
            Read::AsOf { as_of, issued } => Call::Answered { gateway, since, grant: Grant { as_of, content, issued } },
            Read::Content { content } => {
                Call::Answered { gateway, since, grant: Grant { as_of: newest, content, issued: now } }
            }
        };
        Some(())
    }

    /// The answer arrives: it is used once, for those that joined if they may, and cached if it may be.
    pub(crate) fn answer(&mut self, call: usize, setting: &Setting) -> Option<()> {
        let Call::Answered { gateway, since, grant } = self.calls[call] else { return None };
        self.pass_on(call, since, grant, setting);
        let Some(at) = gateway else { return Some(()) };
        if self.members[at].caches(&grant, self.now, setting) {
            self.member(at).cached = Some(grant);
        }
        let is_allowed =
            !setting.keeps(Rule::JoinUnderCheck) || self.members[at].admits_joined(&grant, self.now, setting);
        for joined in 0..self.calls.len() {
            let Call::Joined { since, with, .. } = self.calls[joined] else { continue };
            if with != call {
                continue;
            }
            if is_allowed {
                self.pass_on(joined, since, grant, setting);
            } else {
                self.calls[joined] = Call::Asking { gateway, since, read: Read::Nothing };
            }
        }
        Some(())
    }

    fn pass_on(&mut self, call: usize, since: Revision, grant: Grant, setting: &Setting) {
        self.harm.passed_on |= grant.content < since;
        let under_way = Call::PassedOn { since, grant };
        self.calls[call] = if setting.executors == 0 { Call::Done { grant: None } } else { under_way };
    }

    /// The executing service has got a call, and begins to execute it if it may. That it refuses is no step: the call may as well
    /// be still under way.
    pub(crate) fn execute(&mut self, call: usize, at: usize, setting: &Setting) -> Option<()> {
        let Call::PassedOn { since, grant } = self.calls[call] else { return None };
        self.begin(call, since, grant, at, setting)
    }

    /// A call comes to the executing service directly, with the grant of another.
    pub(crate) fn execute_again(&mut self, call: usize, other: usize, at: usize, setting: &Setting) -> Option<()> {
        let grant = self.calls[other].grant()?;
        self.begin(call, self.confirmed(), grant, at, setting)
    }

    fn begin(&mut self, call: usize, since: Revision, grant: Grant, at: usize, setting: &Setting) -> Option<()> {
        if !self.members[at].executes(&grant, self.now, setting) {
            return None;
        }
        self.harm.executed |= grant.content < since;
        self.harm.begun_late |= grant.content < self.confirmed();
        self.calls[call] = Call::Done { grant: Some(grant) };
        // Nobody is left who could use the grants again.
        if !self.calls.contains(&Call::Idle) {
            for call in &mut self.calls {
                if let Call::Done { grant } = call {
                    *grant = None;
                }
            }
        }
        Some(())
    }
}
