//! The model: which steps there are, and what must hold.

use access::Revision;
use stateright::{Model, Property};

use crate::rules::Rule;
use crate::setting::{Kind, Setting};
use crate::world::{Call, Course, Step, World, concerns};

/// One step of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Tick,
    Commit { kind: Kind, replica: u8 },
    TakeNumber { kind: Kind },
    ReadLeasesEarly { kind: Kind, replica: u8 },
    Advance { course: usize, replica: u8 },
    Connect { member: usize, replica: u8 },
    Ask { member: usize },
    Handle { member: usize },
    HandleLingering { index: usize },
    Owe { member: usize },
    Send { member: usize, up_to: Revision },
    AcknowledgeEarly { member: usize },
    Take { member: usize },
    Forget { member: usize },
    Release { member: usize },
    Cut { member: usize },
    Restart { member: usize },
    CrashReplica { replica: u8 },
    SetClockForward,
    Arrive { call: usize, gateway: Option<usize> },
    Read { call: usize },
    Answer { call: usize },
    Execute { call: usize, at: usize },
    ExecuteAgain { call: usize, other: usize, at: usize },
}

impl Model for Setting {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        // Everybody is connected and knows that there is nothing yet. How that comes about, restarts go through.
        let mut world = World::new(self);
        for (member, replica) in (0..world.members.len()).zip((0..self.replicas).cycle()) {
            world.connect(member, replica, self);
            world.take(member, self).expect("the beginning is under way");
        }
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < self.horizon {
            actions.push(Action::Tick);
        }
        self.changes(world, actions);
        for member in 0..world.members.len() {
            self.streams(world, member, actions);
        }
        actions.extend((0..world.lingering.len()).map(|index| Action::HandleLingering { index }));
        if world.left.crashes > 0 {
            actions.extend((0..self.replicas).map(|replica| Action::CrashReplica { replica }));
        }
        if world.left.jumps > 0 {
            actions.push(Action::SetClockForward);
        }
        self.calls(world, actions);
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        let mut world = before.clone();
        let setting = self;
        match action {
            Action::Tick => world.tick(),
            Action::Commit { kind, replica } => world.commit(kind, replica, setting),
            Action::TakeNumber { kind } => world.number(kind),
            Action::ReadLeasesEarly { kind, replica } => world.prepare(kind, replica),
            Action::Advance { course, replica } => world.advance(course, replica, setting)?,
            Action::Connect { member, replica } => world.connect(member, replica, setting),
            Action::Ask { member } => world.ask(member, setting)?,
            Action::Handle { member } => world.handle(member, setting)?,
            Action::HandleLingering { index } => world.handle_lingering(index, setting)?,
            Action::Owe { member } => world.owe(member, setting)?,
            Action::Send { member, up_to } => world.send(member, up_to, setting)?,
            Action::AcknowledgeEarly { member } => world.acknowledge_early(member)?,
            Action::Take { member } => world.take(member, setting)?,
            Action::Forget { member } => world.forget(member, setting)?,
            Action::Release { member } => {
                world.left.releases -= 1;
                world.release(member, setting)?;
            }
            Action::Cut { member } => {
                world.left.cuts -= 1;
                world.cut(member, setting);
            }
            Action::Restart { member } => {
                world.left.restarts -= 1;
                world.restart(member, setting);
            }
            Action::CrashReplica { replica } => {
                world.left.crashes -= 1;
                world.crash_replica(replica, setting);
            }
            Action::SetClockForward => {
                world.left.jumps -= 1;
                world.database().leases.values_mut().for_each(|row| row.expires = row.expires.saturating_sub(1));
            }
            Action::Arrive { call, gateway } => world.arrive(call, gateway, setting),
            Action::Read { call } => world.read(call, setting)?,
            Action::Answer { call } => world.answer(call, setting)?,
            Action::Execute { call, at } => world.execute(call, at, setting)?,
            Action::ExecuteAgain { call, other, at } => world.execute_again(call, other, at, setting)?,
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always(I1, |_, world: &World| !world.harm.executed),
            Property::always(FENCE, |_, world: &World| !world.harm.passed_on),
            Property::always(NOT_LATE, |_, world: &World| !world.harm.begun_late),
            Property::sometimes("a change of the token is confirmed", |_, world: &World| {
                world.confirmed() > Revision(0)
            }),
        ];
        if self.gateways > 0 {
            properties.push(Property::always(TRUE, cached_is_true));
            properties.push(Property::sometimes("cached, through another change", serves_through_another_change));
            properties.push(Property::sometimes(
                "cached anew, after a confirmed change",
                |setting: &Setting, world: &World| {
                    world.members[..setting.gateways].iter().any(|member| {
                        let confirmed = world.confirmed();
                        confirmed > Revision(0) && member.cached.is_some_and(|grant| grant.content == confirmed)
                    })
                },
            ));
        }
        if self.executors > 0 {
            properties.push(Property::sometimes(
                "executable under a new grant, after a confirmed change",
                |setting: &Setting, world: &World| {
                    executable(setting, world, |_, content| content == world.confirmed() && content > Revision(0))
                },
            ));
        }
        if self.executors > 0 && self.restarts > 0 {
            properties.push(Property::sometimes(
                "executable after a restart, under a grant of before",
                |setting: &Setting, world: &World| {
                    executable(setting, world, |life, content| life > 0 && content < world.database.newest())
                },
            ));
        }
        properties
    }
}

/// The promise.
pub(crate) const I1: &str = "I1: what arrives after a confirmation is not executed under what was taken away";
/// The gateway keeps the promise even before a service that takes every grant.
pub(crate) const FENCE: &str = "the gateway alone: what arrives after a confirmation is not passed on";
/// More than was promised.
pub(crate) const NOT_LATE: &str = "nothing begins to be executed after a confirmation under what was taken away";

/// So whoever answers from a cache may say that the answer is as new as all that it has applied.
pub(crate) const TRUE: &str = "what is served from a cache is true as of every change that the holder has applied";

fn cached_is_true(setting: &Setting, world: &World) -> bool {
    world.members[..setting.gateways].iter().all(|member| {
        let applied = member.holder.applied().unwrap_or(Revision(0));
        let mut concerning = world.database.log.range(..=applied).filter(|(_, (change, _))| concerns(change));
        let newest = concerning.next_back().map_or(Revision(0), |(revision, _)| *revision);
        member.cached.is_none_or(|grant| grant.content >= newest || !member.serves(&grant, world.now, setting))
    })
}

fn serves_through_another_change(setting: &Setting, world: &World) -> bool {
    world.members[..setting.gateways].iter().any(|member| {
        member.cached.is_some_and(|grant| {
            member.holder.applied() > Some(grant.as_of) && member.serves(&grant, world.now, setting)
        })
    })
}

fn executable(setting: &Setting, world: &World, counts: impl Fn(u8, Revision) -> bool) -> bool {
    let executors = &world.members[setting.gateways..];
    let grants = world.calls.iter().filter_map(Call::grant);
    grants.into_iter().any(|grant| {
        executors.iter().any(|member| counts(member.life, grant.content) && member.executes(&grant, world.now, setting))
    })
}

impl Setting {
    fn changes(&self, world: &World, actions: &mut Vec<Action>) {
        if world.courses.len() < self.changes {
            for &kind in self.kinds {
                if !self.keeps(Rule::CommitOrder) {
                    actions.push(Action::TakeNumber { kind });
                    continue;
                }
                for replica in 0..self.replicas {
                    actions.push(if self.keeps(Rule::LeasesAfterCommit) {
                        Action::Commit { kind, replica }
                    } else {
                        Action::ReadLeasesEarly { kind, replica }
                    });
                }
            }
        }
        for (course, at) in world.courses.iter().enumerate() {
            let any = matches!(at, Course::Numbered { .. } | Course::Unanswered { .. });
            let replicas = if any { self.replicas } else { 1 };
            actions.extend((0..replicas).map(|replica| Action::Advance { course, replica }));
        }
    }

    fn streams(&self, world: &World, member: usize, actions: &mut Vec<Action>) {
        let Some(stream) = &world.members[member].stream else {
            actions.extend((0..self.replicas).map(|replica| Action::Connect { member, replica }));
            if world.left.restarts > 0 && world.members[member].holder.applied().is_some() {
                actions.push(Action::Restart { member });
            }
            return;
        };
        let steps = [
            (world.members[member].questions > 0, Action::Ask { member }),
            (stream.step == Step::Idle && !stream.up.is_empty(), Action::Handle { member }),
            (stream.step != Step::Idle, Action::Owe { member }),
            (!stream.down.is_empty(), Action::Take { member }),
            (!self.is_timeless(), Action::Forget { member }),
        ];
        actions.extend(steps.into_iter().filter_map(|(can, action)| can.then_some(action)));
        let newest = world.database.newest();
        let first = if self.lagging_log { stream.line.sent() } else { newest };
        actions.extend((first.0..=newest.0).map(|up_to| Action::Send { member, up_to: Revision(up_to) }));
        if !self.keeps(Rule::ApplyBeforeAcknowledging) {
            actions.push(Action::AcknowledgeEarly { member });
        }
        if world.left.releases > 0 {
            actions.push(Action::Release { member });
        }
        if world.left.cuts > 0 {
            actions.push(Action::Cut { member });
        }
        if world.left.restarts > 0 {
            actions.push(Action::Restart { member });
        }
    }

    fn calls(&self, world: &World, actions: &mut Vec<Action>) {
        let executors = self.gateways..self.gateways + self.executors;
        for (call, at) in world.calls.iter().enumerate() {
            match at {
                // One call is like another: they arrive in their order.
                Call::Idle if world.calls[..call].contains(&Call::Idle) => {}
                Call::Idle => {
                    if self.gateways == 0 {
                        actions.push(Action::Arrive { call, gateway: None });
                    }
                    actions.extend((0..self.gateways).map(|at| Action::Arrive { call, gateway: Some(at) }));
                    for at in executors.clone() {
                        actions.extend((0..call).map(|other| Action::ExecuteAgain { call, other, at }));
                    }
                }
                Call::Asking { .. } => actions.push(Action::Read { call }),
                Call::Answered { .. } => actions.push(Action::Answer { call }),
                Call::PassedOn { .. } => actions.extend(executors.clone().map(|at| Action::Execute { call, at })),
                Call::Joined { .. } | Call::Done { .. } => {}
            }
        }
    }
}

impl World {
    /// Time goes on, for the database and for everybody. Whoever is frozen just takes no step meanwhile.
    fn tick(&mut self) {
        self.now += 1;
        let now = self.now;
        for member in 0..self.members.len() {
            self.member(member).has_asked = false;
        }
        let alive: Vec<_> = self.members.iter().map(|member| member.id()).collect();
        // What has run out of a holder that is no more is nobody's.
        self.database().leases.retain(|holder, row| row.expires > now || alive.contains(holder));
    }
}
