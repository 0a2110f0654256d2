use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::tools::Tools;

/// One of the things that a command does, in their order.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Tools) -> anyhow::Result<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Done,
    Failed,
}

/// Runs the steps until one fails, and says in the end how each went and what time it took.
pub(crate) fn run(steps: &[Step], tools: &Tools) -> anyhow::Result<()> {
    let mut outcomes = Vec::new();
    let mut result = Ok(());
    for step in steps {
        eprintln!("\n==> {}", step.name);
        let begun = Instant::now();
        result = (step.run)(tools).with_context(|| format!("step `{}`", step.name));
        let outcome = if result.is_ok() { Outcome::Done } else { Outcome::Failed };
        let how = if result.is_ok() { "done" } else { "failed" };
        eprintln!("    {how} after {:.1} s", begun.elapsed().as_secs_f64());
        outcomes.push((outcome, begun.elapsed()));
        if result.is_err() {
            break;
        }
    }
    eprintln!("\n{}", summary(steps, &outcomes));
    result
}

fn summary(steps: &[Step], outcomes: &[(Outcome, Duration)]) -> String {
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (n, Step { name, .. }) in steps.iter().enumerate() {
        let _ = match outcomes.get(n) {
            Some((Outcome::Done, time)) => writeln!(text, "  ok      {name:width$}  {:8.1} s", time.as_secs_f64()),
            Some((Outcome::Failed, time)) => writeln!(text, "  FAILED  {name:width$}  {:8.1} s", time.as_secs_f64()),
            None => writeln!(text, "  -       {name:width$}     not run"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const GOOD: Step = Step { name: "good", run: |_| Ok(()) };
    const BAD: Step = Step { name: "much worse", run: |_| anyhow::bail!("no") };
    const NEVER: Step = Step { name: "never", run: |_| panic!("a step before it failed") };

    #[test]
    fn the_first_failure_ends_it() {
        let tools = Tools::at(Path::new("/"));
        run(&[GOOD, GOOD], &tools).unwrap();
        let error = run(&[GOOD, BAD, NEVER], &tools).unwrap_err();
        assert_eq!(format!("{error:#}"), "step `much worse`: no");
    }

    #[test]
    fn the_summary_tells_of_every_step() {
        let outcomes = [(Outcome::Done, Duration::from_millis(1234)), (Outcome::Failed, Duration::from_secs(75))];
        let text =
            "  ok      good             1.2 s\n  FAILED  much worse      75.0 s\n  -       never          not run\n";
        assert_eq!(summary(&[GOOD, BAD, NEVER], &outcomes), text);
    }
}
