use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use e2e::{CLIENT_NAME, PASSWORD, stacks};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;

use crate::two_factor::second_factor;

/// A text as it is, in a URL, in a form, and within anything that is written as base64 (RFC 4648).
pub(crate) fn forms(secret: &str) -> Vec<String> {
    let escaped = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
    // A blank is escaped always, and what RFC 3986 calls unreserved most often not.
    let usual = secret.replace(' ', "%20");
    let mut forms = vec![secret.to_owned(), secret.replace(' ', "+"), usual, escaped.to_lowercase(), escaped];
    for before in 0..3 {
        let bytes = [&b"\0\0"[..before], secret.as_bytes()].concat();
        // Without the letters that hold bits of what is before it and behind it.
        let letters = (before * 8).div_ceil(6)..bytes.len() / 3 * 4;
        forms.extend([STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)].map(|text| text[letters.clone()].to_owned()));
    }
    forms
}

/// The line of a log in which a secret stands in any form.
pub(crate) fn line_with<'a>(log: &'a str, secret: &str) -> Option<&'a str> {
    let forms = forms(secret);
    log.lines().find(|line| forms.iter().any(|form| line.contains(form)))
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "pcl_pat_a b?c>d_e";
    for before in ["", "a", "user:", "x=", "xy"] {
        for behind in ["", "&", " and more"] {
            let text = format!("{before}{secret}{behind}");
            let escaped = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
            let encoded = [STANDARD.encode(&text), URL_SAFE.encode(&text), escaped.to_lowercase(), escaped];
            for line in encoded.into_iter().chain([text.replace(' ', "+"), text.replace(' ', "%20"), text.clone()]) {
                assert!(line_with(&format!("first\n{line}\n"), secret).is_some(), "{line}");
            }
        }
    }
    assert_eq!(line_with("pcl_pat_a b?c>d_", secret), None);
}

/// Every way in which a secret comes in or goes out, and then a look into all that was logged, at the finest level.
#[tokio::test]
async fn no_secret_is_in_any_log() {
    for stack in stacks().await {
        let session = stack.session().await;
        stack.create_environment(&session, "my-project", "worker", 1).await;
        let (id, token) = stack.token(&session, "environment.control.StopEnv").await;
        let stop = "/1.0/environment/control/rest/stopenv";
        stack.client.get(&format!("{stop}?envName=my-project&session={token}")).await.success();
        stack.client.get(&format!("{stop}?envName=nowhere&token={token}")).await;
        stack.client.get(&format!("/1.0/environment/control/rest/getenvs/{token}")).await;
        stack.client.get(&format!("/{token}?x={token}")).await;
        let bearer = stack.client.request(Method::POST, stop).bearer_auth(&token).form(&[("envName", "my-project")]);
        stack.client.send(bearer).await.success();
        let escaped = utf8_percent_encode(&token, NON_ALPHANUMERIC);
        stack.client.get(&format!("{stop}?envName=my-project&session={escaped}")).await.success();
        let basic = stack.client.request(Method::POST, stop).basic_auth(&token, Some(PASSWORD));
        stack.client.send(basic).await;
        // The HTTP server itself refuses this one.
        let long = stack.client.request(Method::GET, &format!("{stop}?session={token}")).bearer_auth(&token);
        let long = stack.client.send(long.header("x", token.repeat(2000))).await;
        assert_eq!(long.result(), 9107, "{long:?}");
        let form = [("session", session.as_str()), ("password", "wrong password indeed"), ("id", &id.to_string())];
        stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await;
        let form = [("session", session.as_str()), ("password", PASSWORD), ("id", &id.to_string())];
        let answer = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await.success();
        let new = answer["token"]["key"].as_str().unwrap().to_owned();
        let dead = stack.client.get(&format!("{stop}?envName=my-project&session={token}")).await;
        assert!(!dead.body.contains(&token), "its value is not echoed");
        let key = stack.service_key(CLIENT_NAME);
        let introspect = stack.client.request(Method::POST, "/oauth2/introspect").form(&[("token", &new)]);
        let introspect = introspect.basic_auth(CLIENT_NAME, Some(&key));
        assert_eq!(stack.client.send(introspect).await.json()["active"], true);
        let report = "/1.0/users/authentication/rest/reportleakedtoken";
        stack.client.post(report, &[("tokenValue", &new)]).await.success();

        let (secret, codes) = second_factor(&stack, &session).await;

        let logs = stack.logs();
        assert!(logs.contains("StopEnv"), "the calls are logged");
        for (what, secret) in [
            ("the session", session.as_str()),
            ("the token", &token),
            ("the new token", &new),
            ("a service's key", &key),
            ("the password", PASSWORD),
            ("a wrong password", "wrong password indeed"),
            ("the second factor's secret", &secret),
            ("a recovery code that was used", &codes[0]),
            ("a recovery code", &codes[1]),
        ] {
            assert_eq!(line_with(&logs, secret), None, "{}: {what}", stack.engine);
        }
    }
}
