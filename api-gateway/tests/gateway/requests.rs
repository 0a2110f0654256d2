//! Requests in the forms in which they are sent, and those that are none.

use reqwest::Method;
use reqwest::multipart::{Form, Part};

use crate::stage::{CREATE, STOP, Stage};

fn post(stage: &Stage, query: &str) -> reqwest::RequestBuilder {
    stage.client.request(Method::POST, &format!("{STOP}?{query}"))
}

#[tokio::test]
async fn bodies_that_are_not_ours_are_ignored() {
    let stage = Stage::start().await;
    let query = format!("envName=a&session={}", stage.stopper());
    for (content_type, body) in [
        ("application/json", r#"{"envName":"b","session":"x"}"#),
        ("application/json", "{"),
        ("text/plain", "envName=b"),
        ("application/octet-stream", "\u{0}\u{1}"),
        ("nonsense", "envName=b"),
        ("application/x-www-form-urlencoded", ""),
        ("application/x-www-form-urlencoded; charset=UTF-8", "appid=1"),
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=x", ""),
    ] {
        let request = post(&stage, &query).header("content-type", content_type).body(body);
        stage.client.send(request).await.assert_done();
    }
    assert!(stage.upstream.reached().iter().all(|(_, name)| name == "a"), "{:?}", stage.upstream.reached());
}

#[tokio::test]
async fn multipart_is_a_form_of_any_allowed_size() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let form = || Form::new().text("envName", "a").text("session", token.clone());
    let send = async |form: Form| stage.client.send(post(&stage, "").multipart(form)).await;
    send(form()).await.assert_done();
    // Larger than what is usual where nobody says otherwise, and within our limit.
    send(form().text("unknown", "x".repeat(3 << 20))).await.assert_done();
    send(form().text("unknown", "x".repeat(5 << 20))).await.assert_refused(9107, "4194304 bytes");
    let file = |bytes: usize| Part::bytes(vec![b'x'; bytes]).file_name("x.war");
    for name in ["envName", "ENVNAME"] {
        send(form().part(name, file(1))).await.assert_refused(3, "`envName` must not be a file");
    }
    send(form().part("token", file(1))).await.assert_refused(3, "`session` must not be a file");
    // Nobody asked for it, so it is as any parameter that nobody knows.
    send(Form::new().part("upload", file(3 << 20)).text("envName", "a").text("session", token.clone()))
        .await
        .assert_done();
    send(form().part("upload", file(5 << 20))).await.assert_refused(9107, "4194304 bytes");
    send(form().text("ENVNAME", "b")).await.assert_refused(3, "`envName`");
    send(Form::new().text("session", token.clone()).part("envName", Part::bytes(b"\xff".as_slice())))
        .await
        .assert_refused(3, "`envName`");
    let broken = post(&stage, "").header("content-type", "multipart/form-data; boundary=x").body("--x\r\nnonsense");
    stage.client.send(broken).await.assert_refused(3, "multipart/form-data");
    let nameless = post(&stage, "").header("content-type", "multipart/form-data").body("--x\r\n");
    stage.client.send(nameless).await.assert_refused(3, "multipart/form-data");
}

#[tokio::test]
async fn what_is_too_large_or_too_much_is_told_so() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let large = "x".repeat(1 << 20);
    let answer = stage.client.post(STOP, &[("session", &token), ("envName", &large)]).await;
    answer.assert_refused(3, "`envName` has 1048576 bytes, of at most 65536");
    stage.client.post(STOP, &[("session", &large)]).await.assert_refused(3, "`session`");
    let unknown = [("session", token.as_str()), ("envName", "a"), ("unknown", &large)];
    stage.client.post(STOP, &unknown).await.assert_done();

    let many = "a&".repeat(1_000_000);
    let request = post(&stage, &format!("session={token}&envName=a"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(many);
    stage.client.send(request).await.assert_refused(9107, "parameters");
    let form = (0..2000).fold(Form::new(), |form, _| form.text("a", "b"));
    stage.client.send(post(&stage, "").multipart(form)).await.assert_refused(9107, "parameters");
}

#[tokio::test]
async fn text_that_no_database_holds_is_refused() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    stage.client.get(&format!("{STOP}?session={token}&envName=a%00b")).await.assert_refused(3, "`envName`");
    let session = stage.authority.session();
    let form = [("session", session.as_str()), ("env", r#"{"shortdomain":"a\u0000b"}"#), ("nodes", "[{}]")];
    stage.client.post(CREATE, &form).await.assert_refused(3, "`env`");
    assert_eq!(stage.upstream.reached(), []);
}

#[tokio::test]
async fn structures_name_the_member_that_does_not_fit() {
    let stage = Stage::start().await;
    let session = stage.authority.session();
    let create = async |env: &str, nodes: &str| {
        stage.client.post(CREATE, &[("session", session.as_str()), ("env", env), ("nodes", nodes)]).await
    };
    let env = r#"{"shortdomain":"a"}"#;
    for (env, nodes, parameter, member) in [
        (r#"{"shortdomain":7}"#, "[{}]", "`env`", "shortdomain"),
        (env, r#"[{"nodeType":"a"},{"nodeType":"b","count":"many"}]"#, "`nodes`", "[1].count"),
        (env, r#"[{"count":2147483648}]"#, "`nodes`", "[0].count"),
        (env, r#"[7]"#, "`nodes`", "[0]"),
    ] {
        let answer = create(env, nodes).await;
        answer.assert_refused(3, parameter);
        answer.assert_refused(3, member);
    }
    // As Python writes what it has.
    let answer =
        create("{'shortdomain': 'a', 'sslstate': True, 'region': None}", "[{'nodeType': \"it's True\"}]").await;
    assert_eq!(answer.json()["response"]["result"], 0, "{answer:?}");
    let created = &stage.upstream.created()[0];
    assert_eq!(created.env.as_ref().unwrap().sslstate, Some(true));
    assert_eq!(created.nodes[0].node_type, "it's True");
}

#[tokio::test]
async fn a_path_is_told_without_what_it_may_hide() {
    let stage = Stage::start().await;
    let token = stage.stopper();
    let escaped = token.replace('_', "%5F");
    let answer = stage.client.get("/1.0/environment/control/rest/stopeny").await;
    answer.assert_refused(9103, "/1.0/environment/control/rest/stopeny");
    for path in [format!("/1.0/x/{token}"), format!("/1.0/x/{escaped}"), format!("/1.0/x/{}", token.to_uppercase())] {
        let answer = stage.client.get(&path).await;
        answer.assert_refused(9103, "no method");
        assert!(!answer.body.to_lowercase().contains(&token[12..].to_lowercase()), "{answer:?}");
    }
}
