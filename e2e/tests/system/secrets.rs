use e2e::{PASSWORD, stacks};
use reqwest::Method;

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
        let form = [("session", session.as_str()), ("password", "wrong password indeed"), ("id", &id.to_string())];
        stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await;
        let form = [("session", session.as_str()), ("password", PASSWORD), ("id", &id.to_string())];
        let answer = stack.client.post("/1.0/users/authentication/rest/regeneratetoken", &form).await.success();
        let new = answer["token"]["key"].as_str().unwrap().to_owned();
        let dead = stack.client.get(&format!("{stop}?envName=my-project&session={token}")).await;
        assert!(!dead.body.contains(&token), "its value is not echoed");
        let key = stack.service_key("environment-service");
        let introspect = stack.client.request(Method::POST, "/oauth2/introspect").form(&[("token", &new)]);
        let introspect = introspect.basic_auth("environment-service", Some(&key));
        assert_eq!(stack.client.send(introspect).await.json()["active"], true);
        let report = "/1.0/users/authentication/rest/reportleakedtoken";
        stack.client.post(report, &[("tokenValue", &new)]).await.success();

        let logs = stack.logs();
        assert!(logs.contains("StopEnv"), "the calls are logged");
        for (what, secret) in [
            ("the session", session.as_str()),
            ("the token", &token),
            ("the new token", &new),
            ("a service's key", &key),
            ("the password", PASSWORD),
            ("a wrong password", "wrong password indeed"),
        ] {
            let line = logs.lines().find(|line| line.contains(secret) || line.contains(&secret.replace(' ', "+")));
            assert_eq!(line, None, "{}: {what}", stack.engine);
        }
    }
}
