use serde_json::{Map, Value};

use super::{Caller, password, secret};
use crate::api::{Parameters, text};
use crate::arguments::{Confinement, Password, Token};
use crate::credentials;
use crate::exit::Usage;
use crate::output::{self, cell, object, objects};

pub(super) async fn run(caller: &Caller, command: Token) -> anyhow::Result<()> {
    match command {
        Token::List => {
            let answer = caller.api.call("users.authentication.GetTokens", Vec::new()).await?;
            output::answer(caller.output, &answer, list)
        }
        Token::Create { description, methods, set, expires_at, confinement, password: from } => {
            let mut parameters = vec![("description", description)];
            parameters.extend(set.map(|set| ("tokenTemplate", set)));
            parameters.extend((!methods.is_empty()).then(|| ("apiList", methods.join(","))));
            parameters.extend(expires_at.map(|end| ("expiresAt", end)));
            parameters.extend(confined(&confinement));
            value(caller, "users.authentication.CreateToken", parameters, &from).await
        }
        Token::Copy { id, description, expires_at, confinement, password: from } => {
            let mut parameters = vec![("copyFrom", id.to_string())];
            parameters.extend(description.map(|text| ("description", text)));
            parameters.extend(expires_at.map(|end| ("expiresAt", end)));
            parameters.extend(confined(&confinement));
            value(caller, "users.authentication.CreateToken", parameters, &from).await
        }
        Token::Edit {
            id,
            description,
            methods,
            set,
            expires_at,
            never_expires,
            end_overlap,
            confinement,
            password: from,
        } => {
            let mut parameters = vec![("id", id.to_string())];
            parameters.extend(description.map(|text| ("description", text)));
            parameters.extend(set.map(|set| ("tokenTemplate", set)));
            parameters.extend((!methods.is_empty()).then(|| ("apiList", methods.join(","))));
            parameters.extend(expires_at.map(|end| ("expiresAt", end)));
            parameters.extend(never_expires.then(|| ("neverExpires", "true".to_owned())));
            parameters.extend(end_overlap.then(|| ("endOverlap", "true".to_owned())));
            parameters.extend(confined(&confinement));
            let parameters = confirmed(parameters, &from)?;
            let answer = caller.api.call("users.authentication.EditToken", parameters).await?;
            output::answer(caller.output, &answer, |_| String::new())
        }
        Token::Regenerate { id, expires_at, overlap, password: from } => {
            let mut parameters = vec![("id", id.to_string())];
            parameters.extend(overlap.map(|seconds| ("overlapSeconds", seconds.to_string())));
            parameters.extend(expires_at.map(|end| ("expiresAt", end)));
            value(caller, "users.authentication.RegenerateToken", parameters, &from).await
        }
        Token::Delete { ids, all, password: from } => delete(caller, &ids, all, &from).await,
        Token::RevokeCurrent => revoke_current(caller).await,
        Token::ReportLeak => report_leak(caller).await,
    }
}

async fn delete(caller: &Caller, ids: &[i64], all: bool, from: &Password) -> anyhow::Result<()> {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let ids = if all { "*".to_owned() } else { ids.join(",") };
    let parameters = confirmed(vec![("ids", ids)], from)?;
    let answer = caller.api.call("users.authentication.DeleteTokens", parameters).await?;
    output::answer(caller.output, &answer, |_| String::new())
}

async fn revoke_current(caller: &Caller) -> anyhow::Result<()> {
    // Not the kept session: that is ended by signing out.
    if !credentials::is_given() {
        return Err(Usage("set PORTCULLIS_TOKEN to the token that is to end").into());
    }
    let answer = caller.api.call("users.authentication.RevokeCurrentToken", Vec::new()).await?;
    output::answer(caller.output, &answer, |_| String::new())
}

async fn report_leak(caller: &Caller) -> anyhow::Result<()> {
    let parameters = vec![("tokenValue", secret("Value: ")?.to_string())];
    let answer = caller.api.call_public("users.authentication.ReportLeakedToken", parameters).await?;
    output::answer(caller.output, &answer, |_| String::new())
}

/// What a token is to be confined to, as the API takes it.
fn confined(confinement: &Confinement) -> Parameters {
    let lists = [("environments", &confinement.environments), ("sourceNetworks", &confinement.networks)];
    lists.into_iter().filter(|(_, values)| !values.is_empty()).map(|(name, values)| (name, values.join(","))).collect()
}

fn confirmed(mut parameters: Parameters, from: &Password) -> anyhow::Result<Parameters> {
    parameters.push(("password", password(from, "Password: ")?.to_string()));
    Ok(parameters)
}

/// A call that answers a token's new value: the value alone goes to standard output, so that a script can take it.
async fn value(caller: &Caller, method: &str, parameters: Parameters, from: &Password) -> anyhow::Result<()> {
    let answer = caller.api.call(method, confirmed(parameters, from)?).await?;
    eprintln!("this value is shown only once: keep it in a safe place");
    output::answer(caller.output, &answer, |answer| text(&object(answer, "token"), "key").to_owned())
}

fn list(answer: &Map<String, Value>) -> String {
    let rows = objects(answer, "apiTokens").into_iter().map(|token| {
        let set = object(token, "tokenTemplate");
        let methods = objects(token, "apiListItems").len();
        let calls = if text(&set, "name") == "Custom" { format!("{methods} methods") } else { cell(&set, "name") };
        [cell(token, "id"), cell(token, "description"), calls, cell(token, "expiresAt"), cell(token, "lastUsed")]
    });
    output::table(["id", "description", "may call", "expires at", "last used"], rows)
}
