use e2e::Stack;
use serde_json::json;

use crate::client::OPENAPI_SPEC_VALIDATOR;
use crate::place::KEYS;

#[tokio::test]
async fn what_is_answered_is_what_the_document_says() {
    let stack = Stack::sqlite_with(KEYS).await;
    let session = stack.session().await;
    stack.create_environment(&session, "shop", "container", 2).await;
    let told = OPENAPI_SPEC_VALIDATOR.tells("openapi_answers.py", &stack.url, &session).await;
    for (method, results) in [
        ("environment.control.GetEnvInfo", json!([0, 0, 0])),
        ("environment.control.CreateEnvironment", json!([0, 9108])),
        ("environment.control.RedeployContainersByGroup", json!([0])),
        ("environment.control.ExecCmdByGroup", json!([0])),
        ("environment.control.RestartNodes", json!([2212])),
        ("environment.control.DeleteEnv", json!([0, 11])),
        ("users.account.GetUserInfo", json!([0, 0])),
    ] {
        assert_eq!(told[method], results, "{method}");
    }
    let safe = proto::catalog().methods().iter().filter(|method| method.rest_path().is_some() && method.is_safe());
    for method in safe.filter(|method| !method.is_streaming()) {
        assert!(told.get(method.name()).is_some(), "{} was not asked", method.name());
    }
}
