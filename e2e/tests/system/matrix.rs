//! Every method of the contract, called through the gateway under every kind of credential. What happens must be what the
//! golden matrix of `access` says; here it is shown of the running system.

use access::{AccountId, Claims, Confinement, CredentialId, GrantedKind, PermissionSet, Revision, decide};
use e2e::{Events, PASSWORD, Stack};
use proto::catalog::{Access, Parameter};
use proto::{Method, catalog};

/// What a caller shows, and what it is worth.
struct Caller {
    what: &'static str,
    credential: Option<String>,
    claims: Option<Claims>,
}

fn claims(kind: GrantedKind, administrator: bool, permissions: PermissionSet) -> Claims {
    Claims {
        credential: CredentialId { kind, number: 1 },
        account: AccountId(1),
        administrator,
        permissions,
        confinement: Confinement::NONE,
        audience: String::new(),
        issued_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: jiff::Timestamp::UNIX_EPOCH,
        as_of: Revision(0),
        credential_expires_at: None,
        superseded: false,
    }
}

async fn account(stack: &Stack, administrator: &str) -> String {
    stack.create_account(administrator, "bob").await;
    stack.signin("bob").await
}

/// Tokens with the method's permission and with every other one, where it has one; else with all there are.
async fn callers(stack: &Stack, method: &Method, administrator: &str, member: &str) -> Vec<Caller> {
    let all: Vec<&Method> = catalog().permissions();
    let others = all.iter().copied().filter(|other| other.permission() != method.permission());
    let others: Vec<&Method> = others.collect();
    let with = if method.permission().is_some() { vec![method] } else { all };
    let mut callers = vec![
        Caller { what: "nobody", credential: None, claims: None },
        Caller {
            what: "session",
            credential: Some(member.to_owned()),
            claims: Some(claims(GrantedKind::Session, false, PermissionSet::default())),
        },
        Caller {
            what: "administrator",
            credential: Some(administrator.to_owned()),
            claims: Some(claims(GrantedKind::Session, true, PermissionSet::default())),
        },
    ];
    for (what, methods) in [("token with", with), ("token without", others)] {
        let list: Vec<&str> = methods.iter().map(|method| method.name()).collect();
        let (_, value) = stack.token(member, &list.join(",")).await;
        let permissions = methods.iter().filter_map(|method| method.permission()).collect();
        callers.push(Caller {
            what,
            credential: Some(value),
            claims: Some(claims(GrantedKind::Token, false, permissions)),
        });
    }
    callers
}

#[tokio::test]
async fn every_method_under_every_credential_is_decided_as_the_contract_says() {
    let stack = Stack::sqlite().await;
    let administrator = stack.session().await;
    let member = account(&stack, &administrator).await;
    for method in catalog().methods().iter().filter(|method| method.rest_path().is_some()) {
        // They end what the other calls need, or leave it to each other; the stories of sessions and tokens show it.
        let ends_its_session = ["Signout", "RevokeCurrentToken"].contains(&method.short_name());
        for caller in callers(&stack, method, &administrator, &member).await {
            if ends_its_session && caller.claims.as_ref().is_some_and(|c| c.credential.kind == GrantedKind::Session) {
                continue;
            }
            // No parameter but the credential: an allowed call gets past the decision and stumbles over what is missing.
            let form: Vec<(&str, &str)> = caller.credential.iter().map(|value| ("session", value.as_str())).collect();
            let decided = decide(method, caller.claims.as_ref().map(Claims::rights));
            if method.is_streaming() && decided.is_ok() {
                // It goes on for as long as somebody listens.
                let request = stack.client.request(reqwest::Method::POST, &method.rest_path().unwrap()).form(&form);
                let first = Events::open(request).await.next().await;
                assert!(first.is_some_and(|(name, _)| name != "end"), "{} as {}", method.name(), caller.what);
                continue;
            }
            let answer = stack.client.post(&method.rest_path().unwrap(), &form).await;
            let case = format!("{} as {}: {answer:?}", method.name(), caller.what);
            match decided {
                Err(denied) => {
                    let expected = denied.failure(method);
                    assert_eq!(answer.result(), i64::from(expected.kind().result()), "{case}");
                    assert_eq!(answer.error(), expected.message(), "{case}");
                }
                Ok(()) => {
                    let needs_parameters = method.parameters().iter().any(Parameter::is_required);
                    assert_eq!(answer.result(), if needs_parameters { 3 } else { 0 }, "{case}");
                }
            }
        }
        let form = [("session", member.as_str()), ("password", PASSWORD), ("ids", "*")];
        stack.client.post("/1.0/users/authentication/rest/deletetokens", &form).await.success();
    }
}

/// "Session with password" is a promise about each such method, so each is tried with a wrong one.
#[tokio::test]
async fn every_change_that_needs_the_password_is_refused_without_it() {
    let stack = Stack::sqlite().await;
    let session = stack.session().await;
    let (id, _) = stack.token(&session, "environment.control.StopEnv").await;
    let id = id.to_string();
    let values = [
        ("id", id.as_str()),
        ("ids", &id),
        ("description", "x"),
        ("apiList", "environment.control.GetEnvs"),
        ("newPassword", "another horse battery"),
        ("code", "000000"),
    ];
    let methods: Vec<&Method> = catalog().with_access(|access| *access == Access::SessionWithPassword).collect();
    assert!(methods.len() >= 4);
    for method in methods {
        let known = values.iter().filter(|(name, _)| method.parameters().iter().any(|p| p.name() == *name));
        let mut form: Vec<(&str, &str)> = known.copied().collect();
        form.push(("session", &session));
        let path = method.rest_path().unwrap();
        assert_eq!(stack.client.post(&path, &form).await.result(), 3, "{} without a password", method.name());
        form.push(("password", "wrong"));
        assert_eq!(stack.client.post(&path, &form).await.result(), 801, "{} with a wrong password", method.name());
    }
    let form = [("session", session.as_str())];
    let list = stack.client.post("/1.0/users/authentication/rest/gettokens", &form).await.success();
    assert_eq!(list["apiTokens"].as_array().map(Vec::len), Some(1), "nothing was changed");
}
