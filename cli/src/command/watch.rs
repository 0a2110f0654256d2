use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Caller;
use crate::api::text;
use crate::arguments::Output;
use crate::output::{self, object, objects, status};

/// Tells how the environments are, and then what changes.
pub(super) async fn run(caller: &Caller) -> anyhow::Result<()> {
    let mut events = caller.api.stream("environment.control.WatchEnvs", Vec::new()).await?;
    let mut told = Told::default();
    while let Some((event, data)) = events.next().await? {
        match caller.output {
            Output::Json => output::line(&json!({ "event": event, "data": data }).to_string())?,
            Output::Text => told.take(&event, &data).iter().try_for_each(|line| output::line(line))?,
        }
    }
    Ok(())
}

/// What was told of each environment: what is said anew, and is as it was, is not told again.
#[derive(Default)]
struct Told(BTreeMap<String, String>);

impl Told {
    fn take(&mut self, event: &str, data: &Map<String, Value>) -> Vec<String> {
        match event {
            "snapshot" => {
                let infos = objects(data, "infos");
                let there: Vec<String> = infos.iter().map(|info| name(info)).collect();
                let gone: Vec<String> = self.0.keys().filter(|name| !there.contains(name)).cloned().collect();
                let gone: Vec<String> = gone.iter().filter_map(|name| self.gone(name)).collect();
                gone.into_iter().chain(infos.into_iter().filter_map(|info| self.is(info))).collect()
            }
            "changed" => self.is(data).into_iter().collect(),
            "removed" => self.gone(text(data, "envName")).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    fn is(&mut self, info: &Map<String, Value>) -> Option<String> {
        let (name, status) = (name(info), status(&object(info, "env")));
        let before = self.0.insert(name.clone(), status.clone());
        (before.as_ref() != Some(&status)).then(|| format!("{name} is {status}"))
    }

    fn gone(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).map(|_| format!("{name} is gone"))
    }
}

fn name(info: &Map<String, Value>) -> String {
    text(&object(info, "env"), "envName").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, status: i64) -> Value {
        json!({ "env": { "envName": name, "status": status }, "nodes": [] })
    }

    #[test]
    fn only_what_is_news_is_told() {
        let mut told = Told::default();
        let mut take = |event: &str, data: Value| told.take(event, data.as_object().unwrap());
        assert_eq!(
            take("snapshot", json!({ "infos": [info("a", 1), info("b", 2)] })),
            ["a is running", "b is stopped"]
        );
        assert_eq!(take("changed", info("a", 1)), [] as [String; 0]);
        assert_eq!(take("changed", info("a", 11)), ["a is broken"]);
        assert_eq!(take("snapshot", json!({ "infos": [info("a", 11), info("c", 1)] })), ["b is gone", "c is running"]);
        assert_eq!(take("removed", json!({ "envName": "a" })), ["a is gone"]);
        assert_eq!(take("later", json!({})), [] as [String; 0]);
    }
}
