use std::fmt;
use std::str::FromStr;

use procfs::ProcError;
use procfs::process::{Process, Stat};
use rustix::io::Errno;
use uuid::Uuid;

/// What tells a process from any other of the same boot: its id, and its start in ticks since the boot (field 22 of
/// `/proc/PID/stat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) pid: i32,
    pub(super) started: u64,
}

/// What tells a process from any other there ever was on this machine, so that a reused process id is never taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) key: Key,
    pub(super) boot: Uuid,
}

/// A recorded text that is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no identity of a process")]
pub(super) struct MalformedIdentity;

/// What has become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It runs.
    Alive,
    /// It has ended, or another process has its id.
    Gone,
    /// The machine has been started anew since.
    OtherBoot,
    /// It cannot be said: the machine does not let it be looked at, for want of file descriptors or memory.
    Unseen,
}

impl Identity {
    /// What has become of it, by what `/proc` says now.
    pub(super) fn fate(self, boot: Uuid) -> Fate {
        if self.boot != boot {
            return Fate::OtherBoot;
        }
        let stat = Process::new(self.key.pid).and_then(|process| process.stat());
        match stat {
            Ok(stat) if stat.starttime == self.key.started && !is_over(&stat) => Fate::Alive,
            Err(error) if !is_not_ours(&error) => Fate::Unseen,
            _ => Fate::Gone,
        }
    }
}

/// Whether a process cannot be looked at because there is none of that id any more, or because it is another user's.
pub(super) fn is_not_ours(error: &ProcError) -> bool {
    match error {
        ProcError::NotFound(_) | ProcError::PermissionDenied(_) | ProcError::Incomplete(_) => true,
        // It has ended while its file was being read.
        ProcError::Io(error, _) => error.raw_os_error() == Some(Errno::SRCH.raw_os_error()),
        ProcError::Other(_) | ProcError::InternalError(_) => false,
    }
}

/// Whether the process has ended and only waits to be collected. A process whose first thread alone has ended looks like
/// it, but has other threads.
pub(super) fn is_over(stat: &Stat) -> bool {
    matches!(stat.state, 'Z' | 'X' | 'x') && stat.num_threads <= 1
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.key.pid, self.key.started, self.boot.simple())
    }
}

impl FromStr for Identity {
    type Err = MalformedIdentity;

    fn from_str(text: &str) -> Result<Self, MalformedIdentity> {
        let mut parts = text.split(':');
        let (Some(pid), Some(started), Some(boot), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(MalformedIdentity);
        };
        // Process 1 is nothing that was launched here, and zero or less would name groups.
        let pid = pid.parse().ok().filter(|pid| *pid > 1).ok_or(MalformedIdentity)?;
        let started = started.parse().map_err(|_| MalformedIdentity)?;
        let boot = boot.parse().map_err(|_| MalformedIdentity)?;
        Ok(Self { key: Key { pid, started }, boot })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_process_is_alive_only_as_itself() {
        let boot = Uuid::from_u128(1);
        let stat = Process::myself().unwrap().stat().unwrap();
        let own = Identity { key: Key { pid: stat.pid, started: stat.starttime }, boot };
        assert_eq!(own.fate(boot), Fate::Alive);
        let other = Key { started: stat.starttime + 1, ..own.key };
        assert_eq!(Identity { key: other, ..own }.fate(boot), Fate::Gone);
        assert_eq!(own.fate(Uuid::from_u128(2)), Fate::OtherBoot);
    }

    #[test]
    fn what_cannot_be_looked_at_has_not_ended() {
        let io = |errno: Errno| ProcError::Io(errno.into(), None);
        assert!(is_not_ours(&io(Errno::SRCH)) && is_not_ours(&ProcError::NotFound(None)));
        for error in [io(Errno::MFILE), io(Errno::NFILE), io(Errno::NOMEM)] {
            assert!(!is_not_ours(&error), "{error}");
        }
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for text in
            ["", "1:2", "0:2:00000000000000000000000000000001", "-5:2:00000000000000000000000000000001", "7:2:x"]
        {
            assert_eq!(text.parse::<Identity>(), Err(MalformedIdentity), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_identity_survives_its_text(pid in 2..i32::MAX, started: u64, boot: u128) {
            let identity = Identity { key: Key { pid, started }, boot: Uuid::from_u128(boot) };
            prop_assert_eq!(identity.to_string().parse(), Ok(identity));
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<Identity>();
        }
    }
}
