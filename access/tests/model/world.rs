//! The state of the modelled world. It holds the protocol's own state machines as they are.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use access::lease::{Change, Confirmation, Holder, HolderId, Line, Live, Statement, ToAuthority, ToHolder};
use access::{AccountId, CredentialId, GrantedKind, Revision};
use uuid::Uuid;

use crate::setting::{Kind, Setting};

const TOKEN: CredentialId = CredentialId { kind: GrantedKind::Token, number: 1 };
const ACCOUNT: AccountId = AccountId(1);

impl Kind {
    pub(crate) fn change(self, revision: Revision) -> Change {
        match self {
            Self::Token => Change { revision, account: ACCOUNT, credential: Some(TOKEN) },
            Self::Account => Change { revision, account: ACCOUNT, credential: None },
            Self::Other => {
                let other = CredentialId { number: 2, ..TOKEN };
                Change { revision, account: AccountId(2), credential: Some(other) }
            }
        }
    }
}

/// Whether a change is about the token of the calls.
pub(crate) fn concerns(change: &Change) -> bool {
    change.account == ACCOUNT
}

/// Its larger parts are shared by the states in which they are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    /// The tick that it is.
    pub(crate) now: u8,
    pub(crate) database: Arc<Database>,
    pub(crate) courses: Vec<Course>,
    /// The gateways, then the executing services.
    pub(crate) members: Vec<Arc<Member>>,
    pub(crate) calls: Vec<Call>,
    /// What is still said on streams that have ended at their holder.
    pub(crate) lingering: Vec<Lingering>,
    pub(crate) left: Faults,
    pub(crate) harm: Harm,
}

/// What may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    pub(crate) cuts: u8,
    pub(crate) restarts: u8,
    pub(crate) crashes: u8,
    pub(crate) releases: u8,
    pub(crate) jumps: u8,
}

/// What was said on a stream that has ended at its holder, and may still reach its replica.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lingering {
    pub(crate) holder: HolderId,
    pub(crate) stream: u64,
    pub(crate) replica: u8,
    pub(crate) messages: VecDeque<ToAuthority>,
}

/// What must not have happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Harm {
    /// A gateway passed on a call that arrived after the confirmation, under what was taken away.
    pub(crate) passed_on: bool,
    /// Such a call was executed.
    pub(crate) executed: bool,
    /// The execution of a call, whenever it arrived, began after the confirmation under what was taken away.
    pub(crate) begun_late: bool,
}

/// The one database. What is read of it is what is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Database {
    /// The changes and the ticks of their commits, by revision.
    pub(crate) log: BTreeMap<Revision, (Change, u8)>,
    pub(crate) leases: BTreeMap<HolderId, Row>,
    /// What each holder has acknowledged.
    pub(crate) acknowledged: BTreeMap<HolderId, Revision>,
}

/// A lease, as it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) expires: u8,
    /// The replica that wrote it.
    pub(crate) replica: u8,
    /// The newest of the holder's streams on which it was asked for.
    pub(crate) stream: u64,
}

impl Database {
    pub(crate) fn newest(&self) -> Revision {
        self.log.keys().next_back().copied().unwrap_or(Revision(0))
    }

    /// What the token may do is what its newest change left of it: it is named by that change.
    pub(crate) fn content(&self) -> Revision {
        let newest = self.log.values().rev().find(|(change, _)| concerns(change));
        newest.map_or(Revision(0), |(change, _)| change.revision)
    }

    pub(crate) fn live(&self, now: u8, counts: impl Fn(&Row) -> bool) -> Vec<Live> {
        let live = self.leases.iter().filter(|(_, row)| row.expires > now && counts(row));
        live.map(|(holder, row)| {
            let left = Setting::authority_time(row.expires - now);
            Live { holder: *holder, left, acknowledged: self.acknowledged(*holder) }
        })
        .collect()
    }

    pub(crate) fn acknowledge(&mut self, holder: HolderId, revision: Revision) {
        let before = self.acknowledged.entry(holder).or_insert(Revision(0));
        *before = revision.max(*before);
    }

    pub(crate) fn acknowledged(&self, holder: HolderId) -> Revision {
        self.acknowledged.get(&holder).copied().unwrap_or(Revision(0))
    }
}

/// How far a change is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Course {
    /// Only where revisions are not in commit order: it has its number and is not committed.
    Numbered { kind: Kind, revision: Revision },
    /// Only where the leases are read too early: it is not committed.
    Prepared { kind: Kind, replica: u8, leases: Vec<Live>, at: u8 },
    /// It is committed, and its replica has not read the leases.
    Committed { revision: Revision, replica: u8 },
    /// Its replica waits.
    Waiting { replica: u8, confirmation: Confirmation },
    /// Its replica crashed: whoever asked got no answer.
    Unanswered { revision: Revision },
    /// Whoever asked was told that it is confirmed.
    Confirmed { revision: Revision },
}

/// A holder and its stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    pub(crate) place: u8,
    /// How often it was restarted.
    pub(crate) life: u8,
    pub(crate) holder: Holder,
    /// Where the changes began that it knows.
    pub(crate) began_after: Revision,
    pub(crate) stream: Option<Stream>,
    /// Whether it has asked for a lease in this tick.
    pub(crate) has_asked: bool,
    pub(crate) questions: u8,
    /// What a gateway has cached of the token.
    pub(crate) cached: Option<Grant>,
}

impl Member {
    pub(crate) fn new(place: u8, life: u8, setting: &Setting) -> Self {
        Self {
            place,
            life,
            holder: Holder::new(setting.capacity),
            began_after: Revision(0),
            stream: None,
            has_asked: false,
            questions: setting.questions,
            cached: None,
        }
    }

    /// Each life is a holder of its own.
    pub(crate) fn id(&self) -> HolderId {
        HolderId(Uuid::from_u128(16 * u128::from(self.place) + u128::from(self.life) + 1))
    }
}

/// A stream: what each end knows of it, and what is under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) replica: u8,
    pub(crate) number: u64,
    pub(crate) line: Line,
    pub(crate) step: Step,
    pub(crate) up: VecDeque<ToAuthority>,
    pub(crate) down: VecDeque<ToHolder>,
}

/// How far a replica is with a question for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Idle,
    /// The lease is written down.
    Written {
        number: u64,
    },
    /// Only where the revision is read too early: the lease is not written down.
    Read {
        number: u64,
        revision: Revision,
    },
}

/// What an introspection said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Grant {
    pub(crate) as_of: Revision,
    /// What the token may do: named by the change that left it so.
    pub(crate) content: Revision,
    pub(crate) issued: u8,
}

impl Grant {
    pub(crate) fn statement(&self) -> Statement {
        Statement { credential: TOKEN, account: ACCOUNT, as_of: self.as_of }
    }
}

/// A call, or an introspection. `since` is the newest confirmed change of the token when it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    Idle,
    /// It has asked the authority; the gateway, if it came through one.
    Asking {
        gateway: Option<usize>,
        since: Revision,
        read: Read,
    },
    /// The answer is under way.
    Answered {
        gateway: Option<usize>,
        since: Revision,
        grant: Grant,
    },
    /// It waits for what another call has asked.
    Joined {
        gateway: usize,
        since: Revision,
        with: usize,
    },
    /// It is under way to the executing service.
    PassedOn {
        since: Revision,
        grant: Grant,
    },
    /// It has ended. Its grant can be used again, by whoever has it.
    Done {
        grant: Option<Grant>,
    },
}

/// What of an introspection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Read {
    Nothing,
    AsOf {
        as_of: Revision,
        issued: u8,
    },
    /// Only where the credential is read first.
    Content {
        content: Revision,
    },
}

impl Call {
    pub(crate) fn grant(&self) -> Option<Grant> {
        match self {
            Self::Answered { grant, .. } | Self::PassedOn { grant, .. } => Some(*grant),
            Self::Done { grant } => *grant,
            Self::Idle | Self::Asking { .. } | Self::Joined { .. } => None,
        }
    }
}

impl World {
    pub(crate) fn new(setting: &Setting) -> Self {
        let places = 0_u8..;
        let members = places.take(setting.gateways + setting.executors);
        Self {
            now: 0,
            database: Arc::default(),
            courses: Vec::new(),
            members: members.map(|place| Arc::new(Member::new(place, 0, setting))).collect(),
            calls: vec![Call::Idle; setting.calls],
            lingering: Vec::new(),
            left: Faults {
                cuts: setting.cuts,
                restarts: setting.restarts,
                crashes: setting.crashes,
                releases: setting.releases,
                jumps: setting.jumps,
            },
            harm: Harm::default(),
        }
    }

    pub(crate) fn member(&mut self, member: usize) -> &mut Member {
        Arc::make_mut(&mut self.members[member])
    }

    pub(crate) fn database(&mut self) -> &mut Database {
        Arc::make_mut(&mut self.database)
    }

    /// The newest change of the token that somebody was told is confirmed.
    pub(crate) fn confirmed(&self) -> Revision {
        let confirmed = self.courses.iter().filter_map(|course| match course {
            Course::Confirmed { revision } => self.database.log.get(revision),
            _ => None,
        });
        let revisions = confirmed.filter(|(change, _)| concerns(change)).map(|(change, _)| change.revision);
        revisions.max().unwrap_or(Revision(0))
    }
}
