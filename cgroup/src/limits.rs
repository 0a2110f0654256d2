//! What is written to which file for a group to be limited: pure.

use crate::layout::Version;

/// The span that a share of the processors is counted in, in µs.
const PERIOD: u64 = 100_000;

/// What limits something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// The memory.
    Memory,
    /// The time of the processors.
    Cpu,
    /// The number of processes and threads.
    Pids,
}

/// How much the processes of a group may use, all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes, without any beside it on disk.
    pub memory: u64,
    /// Time of the processors, in thousandths of one.
    pub millicpus: u64,
    /// Processes and threads.
    pub pids: u64,
}

/// A line for a file of a group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) file: &'static str,
    pub(crate) text: String,
    pub(crate) need: Need,
}

/// What it means where a line is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// The limit is not in force.
    Must,
    /// Nothing where there is no such file: the kernel lacks it, and with it what it would limit.
    IfThere,
    /// Nothing: a later line says it again.
    Try,
}

impl Controller {
    /// All that are of use here.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    /// The kernel's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// The file without which it limits nothing.
    pub(crate) fn file(self, version: Version) -> &'static str {
        match (self, version) {
            (Self::Memory, Version::One) => "memory.limit_in_bytes",
            (Self::Memory, Version::Two) => "memory.max",
            (Self::Cpu, Version::One) => "cpu.cfs_quota_us",
            (Self::Cpu, Version::Two) => "cpu.max",
            (Self::Pids, _) => "pids.max",
        }
    }
}

/// The lines for one controller, in their order: of a new group, and of one that becomes larger or smaller.
pub(crate) fn lines(controller: Controller, version: Version, limits: Limits) -> Vec<Line> {
    let line = |file, text, need| Line { file, text, need };
    let memory = limits.memory.to_string();
    let quota = limits.millicpus * PERIOD / 1_000;
    match (controller, version) {
        (Controller::Memory, Version::One) => vec![
            // Memory and swap together must never be less than the memory: first when it grows, last when it shrinks.
            line("memory.memsw.limit_in_bytes", memory.clone(), Need::Try),
            line("memory.limit_in_bytes", memory.clone(), Need::Must),
            line("memory.memsw.limit_in_bytes", memory, Need::IfThere),
        ],
        (Controller::Memory, Version::Two) => vec![
            line("memory.swap.max", "0".to_owned(), Need::IfThere),
            // What is left when one process was ended for want of memory seldom works.
            line("memory.oom.group", "1".to_owned(), Need::IfThere),
            line("memory.max", memory, Need::Must),
        ],
        (Controller::Cpu, Version::One) => vec![
            line("cpu.cfs_period_us", PERIOD.to_string(), Need::Must),
            line("cpu.cfs_quota_us", quota.to_string(), Need::Must),
        ],
        (Controller::Cpu, Version::Two) => vec![line("cpu.max", format!("{quota} {PERIOD}"), Need::Must)],
        (Controller::Pids, _) => vec![line("pids.max", limits.pids.to_string(), Need::Must)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { memory: 256 << 20, millicpus: 333, pids: 100 };

    fn written(version: Version) -> Vec<(&'static str, String)> {
        let lines = Controller::ALL.into_iter().flat_map(|controller| lines(controller, version, LIMITS));
        lines.map(|line| (line.file, line.text)).collect()
    }

    #[test]
    fn the_lines_of_version_one() {
        let expected = [
            ("memory.memsw.limit_in_bytes", "268435456"),
            ("memory.limit_in_bytes", "268435456"),
            ("memory.memsw.limit_in_bytes", "268435456"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "33300"),
            ("pids.max", "100"),
        ];
        assert_eq!(written(Version::One), expected.map(|(file, text)| (file, text.to_owned())));
    }

    #[test]
    fn the_lines_of_version_two() {
        let expected = [
            ("memory.swap.max", "0"),
            ("memory.oom.group", "1"),
            ("memory.max", "268435456"),
            ("cpu.max", "33300 100000"),
            ("pids.max", "100"),
        ];
        assert_eq!(written(Version::Two), expected.map(|(file, text)| (file, text.to_owned())));
    }

    #[test]
    fn each_controller_is_known_by_a_file_that_it_writes() {
        for version in [Version::One, Version::Two] {
            for controller in Controller::ALL {
                let lines = lines(controller, version, LIMITS);
                let line = lines.iter().find(|line| line.file == controller.file(version)).unwrap();
                assert_eq!(line.need, Need::Must);
            }
        }
    }
}
