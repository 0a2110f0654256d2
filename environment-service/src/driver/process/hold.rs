use std::io;
use std::os::fd::OwnedFd;

use procfs::process::Process;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::identity::Key;

/// A hold on one process (pidfd): however its id is reused, this stays the process that it was.
#[derive(Debug)]
pub(super) struct Hold {
    key: Key,
    fd: AsyncFd<OwnedFd>,
}

impl Hold {
    /// Takes hold of a process; `None` where it has been collected, or its id is another's now.
    pub(super) fn take(key: Key) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(key.pid) else { return Ok(None) };
        let fd = match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            Ok(fd) => fd,
            Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // The start is compared after the hold is taken: what is held then is what was meant.
        let same = Process::new(key.pid).and_then(|process| process.stat());
        if !same.is_ok_and(|stat| stat.starttime == key.started) {
            return Ok(None);
        }
        #[expect(
            deprecated,
            reason = "an OwnedFd is one descriptor until it is dropped, so this is sound; the successor is unsafe"
        )]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Some(Self { key, fd }))
    }

    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Sends it a signal. To one that has ended, or may not be signalled, nothing happens; whether it is gone is seen later.
    pub(super) fn signal(&self, signal: Signal) {
        if let Err(error) = pidfd_send_signal(self.fd.get_ref(), signal) {
            tracing::debug!(process.id = self.key.pid, ?signal, %error, "a signal was not delivered");
        }
    }

    /// Waits for its end. It may still wait to be collected then.
    pub(super) async fn ended(&self) -> io::Result<()> {
        self.fd.readable().await.map(|_| ())
    }
}
