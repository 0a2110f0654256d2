use proto::Method;
use proto::catalog::Access;
use serde_json::json;

use crate::arguments::{Api, Output};
use crate::output;

/// Lists what the contract of this build declares; nothing is asked of a server.
pub(super) fn run(output: Output, command: &Api) -> anyhow::Result<()> {
    let Api::List { search } = command;
    let search = search.as_deref().unwrap_or_default().to_lowercase();
    let mut methods: Vec<&Method> = proto::catalog()
        .methods()
        .iter()
        .filter(|method| method.rest_path().is_some() && method.name().to_lowercase().contains(&search))
        .collect();
    methods.sort_by_key(|method| method.name());
    let text = match output {
        Output::Json => serde_json::to_string(&methods.iter().map(|method| entry(method)).collect::<Vec<_>>())?,
        Output::Text => output::table(["method", "access", "parameters"], methods.iter().map(|method| row(method))),
    };
    Ok(output::line(&text)?)
}

fn row(method: &Method) -> [String; 3] {
    let parameters = method.parameters().iter().map(|parameter| {
        let mark = if parameter.is_required() { "" } else { "?" };
        format!("{mark}{}", parameter.name())
    });
    let access = method.access().map_or("none", Access::name);
    [method.name().to_owned(), access.to_owned(), parameters.collect::<Vec<_>>().join(" ")]
}

fn entry(method: &Method) -> serde_json::Value {
    let parameters = method.parameters().iter().map(|parameter| {
        json!({
            "name": parameter.name(),
            "type": parameter.type_name(),
            "required": parameter.is_required(),
            "description": parameter.documentation(),
        })
    });
    json!({
        "method": method.name(),
        "path": method.rest_path(),
        "access": method.access().map_or("none", Access::name),
        "safe": method.is_safe(),
        "description": method.documentation(),
        "parameters": parameters.collect::<Vec<_>>(),
    })
}
