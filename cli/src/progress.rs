//! What is told of an action that takes its time, on standard error: a bar on a terminal, lines elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value};

use crate::api::{Api, ApiError};
use crate::output::{object, objects, status};

/// How often the environment is looked at while the call goes on.
const PAUSE: Duration = Duration::from_secs(1);
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// Something that is done to an environment.
pub(crate) struct Action {
    /// `starting`.
    doing: &'static str,
    /// The environment's name.
    name: String,
    /// The environment that comes of it.
    result: String,
    /// `is running`.
    done: &'static str,
}

impl Action {
    pub(crate) fn new(doing: &'static str, name: &str, done: &'static str) -> Self {
        Self { doing, name: name.to_owned(), result: name.to_owned(), done }
    }

    /// Makes another environment than the one that it is done to.
    pub(crate) fn into(self, result: &str) -> Self {
        Self { result: result.to_owned(), ..self }
    }

    /// Waits for the call that does it, and tells meanwhile how it goes.
    pub(crate) async fn follow(
        self,
        api: &Api,
        call: impl Future<Output = Result<Map<String, Value>, ApiError>>,
    ) -> Result<Map<String, Value>, ApiError> {
        let mut teller = Teller::new(format!("{} {}", self.doing, self.name));
        let mut call = std::pin::pin!(call);
        let answer = {
            let look = async {
                loop {
                    tokio::time::sleep(PAUSE).await;
                    let parameters = vec![("envName", self.result.clone())];
                    match api.call("environment.control.GetEnvInfo", parameters).await {
                        Ok(info) => teller.tell(&self.result, &info),
                        // Whoever may do it need not be allowed to look: it is done all the same.
                        Err(error) if error.is_denial() => break,
                        // It may not be there yet, or nobody may answer for a moment.
                        Err(_) => (),
                    }
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                answer = &mut call => answer,
                () = look => unreachable!("it waits for ever"),
            }
        };
        teller.end();
        if answer.is_ok() {
            eprintln!("{} {}", self.result, self.done);
        }
        answer
    }
}

/// Tells how an action goes.
enum Teller {
    /// On a terminal, in one line that goes at the end.
    Bar { doing: String, bar: ProgressBar },
    /// Elsewhere, a line for each status.
    Lines { last: String },
}

impl Teller {
    fn new(doing: String) -> Self {
        if !std::io::stderr().is_terminal() {
            eprintln!("{doing} …");
            return Self::Lines { last: String::new() };
        }
        let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})").expect("it is a template");
        let bar = ProgressBar::new_spinner().with_style(style).with_message(format!("{doing} …"));
        bar.enable_steady_tick(TICK);
        Self::Bar { doing, bar }
    }

    fn tell(&mut self, name: &str, info: &Map<String, Value>) {
        let now = describe(info);
        match self {
            Self::Bar { doing, bar } => bar.set_message(format!("{doing}: {now}")),
            Self::Lines { last } if *last == now => {}
            Self::Lines { last } => {
                eprintln!("{name} is {now}");
                *last = now;
            }
        }
    }

    fn end(self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

/// `launching, 2 of 5 nodes run`.
fn describe(info: &Map<String, Value>) -> String {
    let nodes = objects(info, "nodes");
    let running = nodes.iter().filter(|node| node.get("status").and_then(Value::as_i64) == Some(1)).count();
    format!("{}, {running} of {} nodes run", status(&object(info, "env")), nodes.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_told_how_many_nodes_run() {
        let info = json!({ "env": { "status": 3 }, "nodes": [{ "status": 1 }, { "status": 3 }] });
        assert_eq!(describe(info.as_object().expect("an object")), "launching, 1 of 2 nodes run");
    }
}
