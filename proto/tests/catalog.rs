//! The contract as data: a golden file of every decision in it, and the rules that each declaration has to keep.

use std::fmt::Write;

use prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor, Value};
use proto::catalog::{Access, Catalog, CatalogError, POOL, ServiceRole, TokenTemplate};
use proto::{Method, catalog};

fn access(method: &Method) -> String {
    match method.access() {
        None => "NONE".to_owned(),
        Some(Access::Permission { id, templates }) => {
            let sets: Vec<&str> = templates.iter().map(|template| catalog().template_name(*template)).collect();
            format!("permission {id} [{}]", sets.join(", "))
        }
        Some(Access::Service { roles }) => {
            let roles: Vec<&str> = roles.iter().map(|role| role.name()).collect();
            format!("service [{}]", roles.join(", "))
        }
        Some(access) => access.name().to_owned(),
    }
}

fn line(method: &Method) -> String {
    let flags = [
        ("safe", method.is_safe()),
        ("post only", method.is_post_only()),
        ("wrapped", method.is_wrapped()),
        ("streams", method.is_streaming()),
        ("opens a session", method.session().is_some()),
        ("ends its session", method.ends_session()),
    ];
    let flags: Vec<&str> = flags.iter().filter(|(_, set)| *set).map(|(flag, _)| *flag).collect();
    let mut text =
        format!("{}\n  {} -> {}\n  access: {}", method.name(), method.grpc_path(), method.audience(), access(method));
    for path in method.rest_path().iter().chain(method.bindings()) {
        write!(text, "\n  path: {path}").unwrap();
    }
    if !flags.is_empty() {
        write!(text, "\n  {}", flags.join(", ")).unwrap();
    }
    for parameter in method.parameters() {
        let marks = [
            ("required", parameter.is_required()),
            ("secret", parameter.is_secret()),
            ("environment", parameter.is_environment()),
        ];
        let marks: Vec<&str> = marks.iter().filter(|(_, set)| *set).map(|(mark, _)| *mark).collect();
        write!(text, "\n  - {}: {} {}", parameter.name(), parameter.type_name(), marks.join(" ")).unwrap();
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_catalog_is_as_it_was_reviewed() {
    let text: Vec<String> = catalog().methods().iter().map(line).collect();
    insta::assert_snapshot!(text.join("\n\n"));
}

#[test]
fn every_method_declares_who_may_call_it() {
    let open: Vec<&str> = catalog().without_access_rule().iter().map(|method| method.name()).collect();
    assert!(open.is_empty(), "no access rule: {open:?}");
}

#[test]
fn every_method_for_services_says_for_which() {
    for method in catalog().methods() {
        if let Some(Access::Service { roles }) = method.access() {
            assert!(!roles.is_empty(), "{} is open to no service", method.name());
        }
    }
}

/// The secret fields of a message, and of the messages in it.
fn secrets(message: &MessageDescriptor) -> Vec<String> {
    let rule = POOL.get_extension_by_name("portcullis.api.v1.field").unwrap();
    let is_secret = |field: &FieldDescriptor| {
        let options = field.options();
        let Value::Message(rule) = options.get_extension(&rule).into_owned() else { return false };
        rule.get_field_by_name("secret").is_some_and(|set| set.as_bool() == Some(true))
    };
    let within = |field: FieldDescriptor| match field.kind() {
        _ if is_secret(&field) => vec![field.full_name().to_owned()],
        Kind::Message(inner) if inner.full_name().starts_with("portcullis.") => secrets(&inner),
        _ => Vec::new(),
    };
    message.fields().flat_map(within).collect()
}

#[test]
fn a_client_is_answered_no_grant_and_no_other_secret() {
    let introspect = catalog().by_grpc_path("/portcullis.token.v1.Introspection/Introspect").unwrap();
    assert_eq!(secrets(&introspect.descriptor().output()), ["portcullis.token.v1.IntrospectResponse.grant"]);
    for method in catalog().methods() {
        if matches!(method.access(), Some(Access::Service { roles }) if roles.contains(&ServiceRole::Client)) {
            let secrets = secrets(&method.descriptor().output());
            assert!(secrets.is_empty(), "{} answers a client with {secrets:?}", method.name());
        }
    }
}

#[test]
fn everything_is_commented() {
    for method in catalog().methods() {
        assert!(!method.documentation().is_empty(), "{} has no comment", method.name());
        for parameter in method.parameters() {
            assert!(!parameter.documentation().is_empty(), "{}.{} has no comment", method.name(), parameter.name());
        }
    }
    let ours = |message: &MessageDescriptor| message.full_name().starts_with("portcullis.") && !message.is_map_entry();
    for message in proto::catalog::POOL.all_messages().filter(ours) {
        let file = message.parent_file();
        let locations = &file.file_descriptor_proto().source_code_info.as_ref().unwrap().location;
        let commented =
            |path: &[i32]| locations.iter().any(|l| l.path == path && !l.leading_comments().trim().is_empty());
        assert!(commented(message.path()), "{} has no comment", message.full_name());
        for field in message.fields() {
            assert!(commented(field.path()), "{} has no comment", field.full_name());
        }
    }
}

#[test]
fn what_manages_credentials_is_closed_to_tokens() {
    let manages = |method: &&Method| method.group().starts_with("users.") && !method.is_safe();
    for method in catalog().methods().iter().filter(manages) {
        assert!(method.permission().is_none(), "{} could be given to a token", method.name());
    }
}

#[test]
fn methods_are_found_in_every_way_that_clients_write_them() {
    let stop = "environment.control.StopEnv";
    for path in [
        "/1.0/environment/control/rest/stopenv",
        "/1.0/environment/control/REST/StopEnv",
        "/1.0/env/control/rest/stopenv",
        "/JElastic/environment/control/rest/stopenv",
        "/jelastic/env/control/rest/STOPENV",
    ] {
        assert_eq!(catalog().by_rest_path(path).map(Method::name), Some(stop), "{path}");
    }
    for name in ["environment.control.StopEnv", "env.control.stopenv", " ENVIRONMENT.CONTROL.STOPENV "] {
        assert_eq!(catalog().by_name(name).map(Method::name), Some(stop), "{name}");
    }
    let signout = catalog().by_rest_path("/users/authentication/rest/signout").unwrap();
    assert_eq!(signout.name(), "users.authentication.Signout");
}

#[test]
fn what_is_for_services_has_no_rest_path() {
    assert!(catalog().by_rest_path("/1.0/portcullis/token/v1/introspection/rest/introspect").is_none());
    for method in catalog().with_access(|access| matches!(access, Access::Service { .. })) {
        assert_eq!(method.rest_path(), None, "{}", method.name());
    }
}

#[test]
fn sets_hold_methods_and_custom_none() {
    for (template, name) in catalog().templates() {
        let empty = catalog().template_methods(*template).is_empty();
        assert_eq!(empty, *template == TokenTemplate::Custom, "{name}");
    }
}

/// Compiles a contract of one service beside our own options.
fn contract(service: &str) -> Result<Catalog, CatalogError> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "syntax = \"proto3\"; package test; import \"portcullis/api/v1/options.proto\"; \
         message Empty {{}} message Confirmed {{ string password = 1; }} \
         message Told {{ oneof event {{ Empty one = 1; Empty two = 2; }} }} \
         message Beside {{ oneof event {{ Empty one = 1; }} string beside = 2; }} \
         message Plain {{ oneof event {{ string one = 1; }} }} message Ended {{ oneof event {{ Empty end = 1; }} }} {service}"
    );
    std::fs::write(folder.path().join("test.proto"), text).unwrap();
    let mut compiler = protox::Compiler::new([folder.path(), env!("CARGO_MANIFEST_DIR").as_ref()]).unwrap();
    compiler.include_imports(true).open_file("test.proto").unwrap();
    let encoded = compiler.encode_file_descriptor_set();
    Catalog::read(&DescriptorPool::decode(encoded.as_slice()).unwrap())
}

fn service(rpcs: &str) -> String {
    let option = "option (portcullis.api.v1.service) = {group: \"test.group\", audience: \"test\"};";
    format!("service Test {{ {option} {rpcs} }}")
}

#[test]
fn a_method_without_a_rule_is_in_the_catalog_and_has_no_path() {
    let catalog = contract(&service("rpc Open(Empty) returns (Empty);")).unwrap();
    assert_eq!(catalog.without_access_rule().len(), 1);
    assert_eq!(catalog.methods()[0].rest_path(), None);
    assert!(catalog.permissions().is_empty());
}

#[test]
fn contradictory_declarations_are_refused() {
    let rule = |rule: &str| format!("{{ option (portcullis.api.v1.method) = {{{rule}}}; }}");
    for (rpcs, problem) in [
        (
            format!(
                "rpc A(Empty) returns (Empty) {} rpc B(Empty) returns (Empty) {}",
                rule("permission: {id: 1}"),
                rule("permission: {id: 1}")
            ),
            "permission 1 is claimed twice",
        ),
        (
            format!(
                "rpc A(Empty) returns (Empty) {} rpc a(Empty) returns (Empty) {}",
                rule("public: {}"),
                rule("public: {}")
            ),
            "is claimed twice",
        ),
        (format!("rpc A(Empty) returns (Empty) {}", rule("permission: {}")), "has no number"),
        (
            format!("rpc A(Empty) returns (Empty) {}", rule("service: {roles: [SERVICE_ROLE_UNSPECIFIED]}")),
            "a role that no service has",
        ),
        (format!("rpc A(Empty) returns (Empty) {}", rule("session_with_password: {}")), "has no parameter `password`"),
        (format!("rpc A(Empty) returns (stream Empty) {}", rule("public: {}")), "not one `oneof`"),
        (format!("rpc A(Empty) returns (stream Beside) {}", rule("public: {}")), "not one `oneof`"),
        (format!("rpc A(Empty) returns (stream Plain) {}", rule("public: {}")), "not one `oneof`"),
        (format!("rpc A(Empty) returns (stream Ended) {}", rule("public: {}")), "called `end`"),
        (format!("rpc A(stream Empty) returns (stream Told) {}", rule("public: {}")), "streams its requests"),
        (format!("rpc A(stream Empty) returns (Told) {}", rule("public: {}")), "streams its requests"),
    ] {
        let error = contract(&service(&rpcs)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let told = format!("rpc A(Empty) returns (stream Told) {}", rule("public: {}"));
    assert!(contract(&service(&told)).unwrap().methods()[0].is_streaming());
    let confirmed = format!("rpc A(Confirmed) returns (Empty) {}", rule("session_with_password: {}"));
    assert!(contract(&service(&confirmed)).is_ok());
    assert!(contract("service Test { rpc A(Empty) returns (Empty); }").unwrap_err().to_string().contains("audience"));
}

#[test]
fn every_session_in_an_answer_is_told_to_be_one() {
    for method in catalog().methods().iter().filter(|method| method.rest_path().is_some()) {
        let named = method.descriptor().output().get_field_by_name("session");
        assert_eq!(method.session(), named.as_ref(), "{}: a page would see it", method.name());
    }
}
