//! Who may call what: every method of the contract under every kind of credential and for services of every role, held against a golden file.

use access::{
    AccountId, Claims, Confinement, CredentialId, Denied, GrantedKind, PermissionSet, Revision, decide, decide_service,
};
use jiff::{SignedDuration, Timestamp};
use proto::catalog::{PermissionId, ServiceRole};
use proto::{ErrorKind, Method, catalog};

fn claims(kind: GrantedKind, administrator: bool, permissions: PermissionSet) -> Claims {
    let now = Timestamp::UNIX_EPOCH;
    Claims {
        credential: CredentialId { kind, number: 1 },
        account: AccountId(1),
        administrator,
        permissions,
        confinement: Confinement::NONE,
        audience: "test".to_owned(),
        issued_at: now,
        expires_at: now + SignedDuration::from_secs(60),
        as_of: Revision(0),
        credential_expires_at: None,
        superseded: false,
    }
}

/// A token with every permission but the method's own.
fn all_but(method: &Method) -> PermissionSet {
    let others = catalog().permissions().into_iter().filter_map(Method::permission);
    others.filter(|id| Some(*id) != method.permission()).collect()
}

fn outcome(method: &Method, decided: Result<(), Denied>) -> String {
    match decided {
        Ok(()) => "allowed".to_owned(),
        Err(denied) => format!("{}", denied.failure(method).kind().result()),
    }
}

#[test]
fn the_access_matrix_is_as_it_was_reviewed() {
    let everything: PermissionSet = (0..64).map(PermissionId).collect();
    let rows: Vec<String> = catalog()
        .methods()
        .iter()
        .map(|method| {
            let holder = |claims: Option<&Claims>| outcome(method, decide(method, claims.map(Claims::rights)));
            let service = |role| outcome(method, decide_service(method, role));
            let columns = [
                holder(None),
                holder(Some(&claims(GrantedKind::Session, false, PermissionSet::default()))),
                holder(Some(&claims(GrantedKind::Session, true, PermissionSet::default()))),
                holder(Some(&claims(GrantedKind::Token, false, everything.clone()))),
                holder(Some(&claims(GrantedKind::Token, false, all_but(method)))),
            ];
            let columns = columns.into_iter().chain(ServiceRole::ALL.map(service));
            let columns: String = columns.map(|outcome| format!("{outcome:>9}")).collect();
            format!("{:<52}{columns}", method.name())
        })
        .collect();
    let columns = ["nobody", "session", "admin", "with", "without"].into_iter();
    let columns: String =
        columns.chain(ServiceRole::ALL.map(ServiceRole::name)).map(|column| format!("{column:>9}")).collect();
    let head = format!("{:<52}{columns}", "method");
    insta::assert_snapshot!(format!("{head}\n{}", rows.join("\n")));
}

#[test]
fn a_refusal_for_want_of_a_permission_names_it() {
    let method = catalog().by_name("environment.control.StopEnv").unwrap();
    let denied = decide(method, Some(claims(GrantedKind::Token, false, all_but(method)).rights())).unwrap_err();
    let failure = denied.failure(method);
    assert_eq!(failure.kind(), ErrorKind::MissingPermission);
    assert_eq!(failure.detail("permission"), Some("environment.control.StopEnv"));
    assert!(failure.message().contains("environment.control.StopEnv"));
}

#[test]
fn no_token_administers_whatever_its_claims_say() {
    let method = catalog().by_name("users.account.CreateAccount").unwrap();
    let token = claims(GrantedKind::Token, true, (0..64).map(PermissionId).collect());
    assert_eq!(decide(method, Some(token.rights())), Err(Denied::SessionRequired));
}

/// A contract that forgets to say who may call its methods.
#[test]
fn a_method_without_a_rule_is_denied_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let text = "syntax = \"proto3\"; package test; import \"portcullis/api/v1/options.proto\"; message Empty {} \
                service Test { option (portcullis.api.v1.service) = {group: \"test\", audience: \"test\"}; \
                rpc Open(Empty) returns (Empty); \
                rpc Ask(Empty) returns (Empty) { option (portcullis.api.v1.method) = {service: {}}; } }";
    std::fs::write(folder.path().join("test.proto"), text).unwrap();
    let options = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([folder.path(), &options]).unwrap();
    compiler.include_imports(true).open_file("test.proto").unwrap();
    let encoded = compiler.encode_file_descriptor_set();
    let pool = prost_reflect::DescriptorPool::decode(encoded.as_slice()).unwrap();
    let catalog = proto::Catalog::read(&pool).unwrap();
    let ask = catalog.by_grpc_path("/test.Test/Ask").unwrap();
    for role in ServiceRole::ALL {
        assert_eq!(decide_service(ask, role), Err(Denied::OtherRole(role)), "for services, and for none of them");
    }
    let method = catalog.by_grpc_path("/test.Test/Open").unwrap();

    let everything: PermissionSet = (0..64).map(PermissionId).collect();
    let callers = [
        None,
        Some(claims(GrantedKind::Session, true, PermissionSet::default())),
        Some(claims(GrantedKind::Token, false, everything)),
    ];
    for role in ServiceRole::ALL {
        assert_eq!(decide_service(method, role), Err(Denied::NoRule));
    }
    for caller in callers {
        assert_eq!(decide(method, caller.as_ref().map(Claims::rights)), Err(Denied::NoRule));
    }
}
