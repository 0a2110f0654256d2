use std::collections::BTreeSet;

use access::Origin;
use proto::token::v1::{
    AuditEntry, DeleteTokensRequest, EditTokenRequest, GetAuditLogRequest, GetAuditLogResponse, RegenerateTokenRequest,
    SigninRequest,
};
use storage::{Database, DatabaseOptions, Engine};
use token_service::{AuditHead, AuditLogError, export_audit, verify_audit};

use crate::stage::{LOGIN, PASSWORD, Stage, after, assert_invalid, failure, stages, stop_request};

async fn log(stage: &Stage, session: &str, request: GetAuditLogRequest) -> GetAuditLogResponse {
    let request = stage.granted(session, request).await;
    stage.account.clone().get_audit_log(request).await.unwrap().into_inner()
}

fn shown(entries: &[AuditEntry]) -> Vec<String> {
    entries.iter().map(|e| format!("{} {} {} {}", e.actor, e.action, e.object, e.outcome)).collect()
}

/// A session with a token that was made, edited, regenerated and deleted, and a wrong password in between.
async fn affairs(stage: &Stage) -> (String, Vec<String>) {
    let origin = Origin::new("203.0.113.9".parse().ok(), "curl/8", "request-1");
    let signin = |password: &str| {
        let request = SigninRequest { login: LOGIN.into(), password: password.into() };
        stage.from(&origin, tonic::Request::new(request))
    };
    failure(stage.authority.clone().signin(signin("not the password")).await);
    let session = stage.authority.clone().signin(signin(PASSWORD)).await.unwrap().into_inner().session;
    let token = stage.stop_token(&session).await;
    let edit = EditTokenRequest { id: token.id, password: "wrong".into(), ..EditTokenRequest::default() };
    failure(stage.authority.clone().edit_token(stage.granted(&session, edit).await).await);
    let edit = EditTokenRequest { id: token.id, password: PASSWORD.into(), ..EditTokenRequest::default() };
    stage.authority.clone().edit_token(stage.granted(&session, edit).await).await.unwrap();
    let renew = RegenerateTokenRequest { id: token.id, password: PASSWORD.into(), ..RegenerateTokenRequest::default() };
    let renewed = stage.authority.clone().regenerate_token(stage.granted(&session, renew).await).await.unwrap();
    let delete = DeleteTokensRequest { ids: vec![token.id], password: PASSWORD.into(), all: None };
    stage.authority.clone().delete_tokens(stage.granted(&session, delete).await).await.unwrap();
    let values = vec![token.key.unwrap(), renewed.into_inner().token.unwrap().key.unwrap(), session.clone()];
    (session, values)
}

#[tokio::test]
async fn the_owner_reads_what_was_done_and_tried_by_whom_and_from_where() {
    for stage in stages().await {
        let (session, _) = affairs(&stage).await;
        let entries = log(&stage, &session, GetAuditLogRequest::default()).await.entries;
        let expected = [
            "session 1 token.delete token 1 SUCCESS",
            "session 1 token.regenerate token 1 SUCCESS",
            "session 1 token.edit token 1 SUCCESS",
            "session 1 password.confirm account 1 WRONG_PASSWORD",
            "session 1 token.create token 1 SUCCESS",
            "session 1 session.open session 1 SUCCESS",
            "anonymous session.open  WRONG_LOGIN",
            "operator account.create account 1 SUCCESS",
        ];
        assert_eq!(shown(&entries), expected, "{}", stage.engine);
        let signin = &entries[5];
        assert_eq!(
            (signin.address.as_str(), signin.user_agent.as_str(), signin.request_id.as_str()),
            ("203.0.113.9", "curl/8", "request-1")
        );

        let bob = crate::accounts::another_account(&stage, "bob").await;
        let entries = log(&stage, &bob, GetAuditLogRequest::default()).await.entries;
        assert_eq!(entries.len(), 2, "{}: his own account's only: {entries:?}", stage.engine);
    }
}

#[tokio::test]
async fn the_log_is_read_in_pages() {
    for stage in stages().await {
        let (session, _) = affairs(&stage).await;
        let (mut all, mut before) = (Vec::new(), None);
        loop {
            let page = log(&stage, &session, GetAuditLogRequest { before, limit: Some(3) }).await;
            assert!(page.entries.len() <= 3);
            all.extend(page.entries);
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        let whole = log(&stage, &session, GetAuditLogRequest { before: None, limit: Some(8) }).await;
        assert_eq!((all, None), (whole.entries, whole.next), "{}", stage.engine);
        for (before, limit, parameter) in
            [(None, Some(0), "limit"), (None, Some(1001), "limit"), (Some(0), None, "before")]
        {
            let request = stage.granted(&session, GetAuditLogRequest { before, limit }).await;
            assert_invalid(stage.account.clone().get_audit_log(request).await, parameter);
        }
    }
}

/// A database whose schema lets everybody change the log, as whoever may change the schema can have it.
async fn unguarded(stage: &Stage) -> Database {
    let database = Database::open(&stage.config.database_url, &DatabaseOptions::default()).await.unwrap();
    let guards = match database.engine() {
        Engine::Sqlite => "drop trigger audit_is_not_updated; drop trigger audit_is_not_deleted",
        Engine::Postgres => "drop trigger audit_is_appended on audit",
    };
    let mut tx = database.begin("test").await.unwrap();
    sqlx::raw_sql(guards).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    database
}

async fn change(database: &Database, statement: &'static str) {
    let mut tx = database.begin("test").await.unwrap();
    assert!(sqlx::query(statement).execute(&mut *tx).await.unwrap().rows_affected() > 0);
    tx.commit().await.unwrap();
}

async fn verdict(stage: &Stage, kept: Option<AuditHead>) -> String {
    match verify_audit(&stage.config.database_url, kept).await.unwrap_err() {
        AuditLogError::Changed(what) => what,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_log_that_was_changed_is_found_out_and_no_secret_is_in_it() {
    for stage in stages().await {
        let (_, values) = affairs(&stage).await;
        let url = &stage.config.database_url;
        let head = verify_audit(url, None).await.unwrap();
        assert_eq!(head.entries(), 8, "{}", stage.engine);
        let mut exported = Vec::new();
        assert_eq!(export_audit(url, &mut exported).await.unwrap(), head);
        let exported = String::from_utf8(exported).unwrap();
        assert_eq!(exported.lines().count(), 8);
        assert!(exported.lines().last().unwrap().contains(&head.hash()));
        for secret in values.iter().map(String::as_str).chain([PASSWORD, "not the password", "wrong\""]) {
            assert!(!exported.contains(secret), "{}", stage.engine);
        }

        let database = unguarded(&stage).await;
        change(&database, "update audit set outcome = 'SUCCESS' where number = 2").await;
        assert!(verdict(&stage, None).await.contains("row 2 is not what was written"), "{}", stage.engine);
        change(&database, "update audit set outcome = 'WRONG_LOGIN' where number = 2").await;
        verify_audit(url, None).await.unwrap();
        change(&database, "update audit set changes = 'description' where number = 2").await;
        assert!(verdict(&stage, None).await.contains("row 2 is not what was written"), "{}", stage.engine);
        change(&database, "update audit set changes = '' where number = 2").await;
        change(&database, "delete from audit where number = 8").await;
        assert!(verdict(&stage, None).await.contains("after 7"), "{}", stage.engine);
        change(&database, "delete from audit where number = 4").await;
        assert!(verdict(&stage, None).await.contains("row 4 is missing"), "{}", stage.engine);
    }
}

#[tokio::test]
async fn a_log_and_its_counter_are_one_and_a_head_that_was_kept_shows_a_log_that_was_cut_or_made_anew() {
    for stage in stages().await {
        affairs(&stage).await;
        let url = &stage.config.database_url;
        let head = verify_audit(url, None).await.unwrap();
        assert_eq!(head.to_string().parse(), Ok(head));
        assert_eq!(verify_audit(url, Some(head)).await.unwrap(), head, "{}", stage.engine);
        stage.session().await;
        assert_eq!(verify_audit(url, Some(head)).await.unwrap().entries(), 9, "{}: it has grown since", stage.engine);
        let forged: AuditHead = format!("8:{}", "0".repeat(64)).parse().unwrap();
        assert!(verdict(&stage, Some(forged)).await.contains("row 8 does not have the hash"), "{}", stage.engine);

        let database = unguarded(&stage).await;
        change(&database, "update counter set value = 10 where name = 'audit'").await;
        assert!(verdict(&stage, None).await.contains("after 9"), "{}", stage.engine);
        change(&database, "update counter set value = 8 where name = 'audit'").await;
        assert!(verdict(&stage, None).await.contains("9 rows, but only 8 were counted"), "{}", stage.engine);

        // Both are made to fit: only what was kept elsewhere tells.
        change(&database, "update counter set value = 7 where name = 'audit'").await;
        change(&database, "delete from audit where number > 7").await;
        assert_eq!(verify_audit(url, None).await.unwrap().entries(), 7, "{}", stage.engine);
        assert!(verdict(&stage, Some(head)).await.contains("7 rows, and the one that was kept"), "{}", stage.engine);
        change(&database, "update counter set value = 0 where name = 'audit'").await;
        change(&database, "delete from audit").await;
        assert_eq!(verify_audit(url, None).await.unwrap().entries(), 0, "{}", stage.engine);
        assert!(verdict(&stage, Some(head)).await.contains("0 rows, and the one"), "{}", stage.engine);
    }
}

#[tokio::test]
async fn the_schema_refuses_to_change_the_log() {
    for stage in stages().await {
        affairs(&stage).await;
        let database = Database::open(&stage.config.database_url, &DatabaseOptions::default()).await.unwrap();
        let mut statements =
            vec!["update audit set outcome = 'SUCCESS' where number = 2", "delete from audit where number = 8"];
        if database.engine() == Engine::Postgres {
            statements.push("truncate audit");
        }
        for statement in statements {
            let mut tx = database.begin("test").await.unwrap();
            let refused = sqlx::query(statement).execute(&mut *tx).await.unwrap_err().to_string();
            assert!(refused.contains("appended to, never changed"), "{}: {statement}: {refused}", stage.engine);
        }
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}

#[tokio::test]
async fn an_edit_says_what_was_changed() {
    for stage in stages().await {
        let session = stage.session().await;
        let id = stage.stop_token(&session).await.id;
        let edit = async |request: EditTokenRequest| {
            let request = EditTokenRequest { id, password: PASSWORD.into(), ..request };
            stage.authority.clone().edit_token(stage.granted(&session, request).await).await.unwrap();
            log(&stage, &session, GetAuditLogRequest::default()).await.entries.remove(0).changes
        };
        let changes = edit(EditTokenRequest {
            description: Some("another".into()),
            api_list: vec!["environment.control.GetEnvs".into()],
            source_networks: vec!["10.0.0.0/8".into()],
            expires_at: after(3600),
            ..EditTokenRequest::default()
        });
        assert_eq!(
            changes.await,
            "description, apiList (+environment.control.GetEnvs -environment.control.StopEnv), expiresAt, sourceNetworks",
            "{}",
            stage.engine
        );
        let never = edit(EditTokenRequest { never_expires: Some(true), ..EditTokenRequest::default() });
        assert_eq!(never.await, "neverExpires", "{}", stage.engine);
        assert_eq!(edit(EditTokenRequest::default()).await, "", "{}: nothing was", stage.engine);
        verify_audit(&stage.config.database_url, None).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_tried_at_once_stands_in_one_chain() {
    for stage in stages().await {
        let session = stage.session().await;
        let tried = (0..12).map(|_| stage.create_token(&session, stop_request()));
        let done = futures::future::join_all(tried).await;
        assert!(done.iter().all(Result::is_ok), "{}", stage.engine);
        let head = verify_audit(&stage.config.database_url, None).await.unwrap();
        assert_eq!(head.entries(), 14, "{}", stage.engine);
    }
}

#[tokio::test]
async fn the_export_has_the_names_that_the_owner_reads() {
    for stage in stages().await {
        let (session, _) = affairs(&stage).await;
        let mut exported = Vec::new();
        export_audit(&stage.config.database_url, &mut exported).await.unwrap();
        let line = std::str::from_utf8(&exported).unwrap().lines().last().unwrap();
        let last: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let names: BTreeSet<&str> = last.keys().map(String::as_str).collect();
        let entry = proto::catalog().by_name("users.account.GetAuditLog").unwrap().output();
        let entry = entry.get_field_by_name("entries").unwrap().kind().as_message().unwrap().clone();
        let read: Vec<String> = entry.fields().map(|field| field.json_name().to_owned()).collect();
        let expected = read.iter().map(String::as_str).chain(["account", "hash"]).collect();
        assert_eq!(names, expected, "{}", stage.engine);

        let shown = log(&stage, &session, GetAuditLogRequest::default()).await.entries.remove(0);
        assert_eq!((last["id"].as_i64(), last["account"].as_i64()), (Some(shown.id), Some(1)));
        let at: jiff::Timestamp = last["at"].as_str().unwrap().parse().unwrap();
        assert_eq!(proto::time::to_wire(at), shown.at.unwrap(), "{}", stage.engine);
    }
}
