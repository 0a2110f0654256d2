//! Compiles the `.proto` files: messages, clients and servers, and for each RPC a marker type that carries its types and
//! its access rule, so that a handler which does not fit the contract does not compile.

use std::collections::HashMap;
use std::path::PathBuf;

use heck::ToUpperCamelCase;
use prost_build::{Config, Method, Service, ServiceGenerator};
use prost_reflect::{
    DescriptorPool, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

/// The option of fields.
const FIELD: &str = "portcullis.api.v1.field";

const FILES: [&str; 11] = [
    "portcullis/api/v1/error.proto",
    "portcullis/api/v1/options.proto",
    "portcullis/environment/v1/control.proto",
    "portcullis/environment/v1/file.proto",
    "portcullis/environment/v1/group.proto",
    "portcullis/token/v1/account.proto",
    "portcullis/token/v1/account_administration.proto",
    "portcullis/token/v1/introspection.proto",
    "portcullis/token/v1/lease.proto",
    "portcullis/token/v1/second_factor.proto",
    "portcullis/token/v1/token_authority.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=portcullis");
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;

    // The custom options survive only in the encoded set; the typed one has lost them.
    let encoded = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(encoded.as_slice())?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptor_set.bin"), &encoded)?;

    let with_secrets = messages_with_secrets(&pool);
    let mut config = Config::new();
    config
        .skip_debug(with_secrets.iter().map(|message| message.full_name().to_owned()))
        .bytes([".portcullis.token.v1"])
        .service_generator(Box::new(Generator {
            tonic: tonic_prost_build::configure().service_generator(),
            pool,
            markers: HashMap::new(),
        }));
    config.compile_fds(compiler.file_descriptor_set())?;
    std::fs::write(out.join("redacted.rs"), with_secrets.iter().map(redacted_debug).collect::<String>())?;
    Ok(())
}

fn extension(pool: &DescriptorPool, name: &str) -> ExtensionDescriptor {
    pool.get_extension_by_name(name).unwrap_or_else(|| panic!("options.proto declares {name}"))
}

fn messages_with_secrets(pool: &DescriptorPool) -> Vec<MessageDescriptor> {
    let rule = extension(pool, FIELD);
    pool.all_messages().filter(|message| message.fields().any(|field| is_secret(&field, &rule))).collect()
}

fn is_secret(field: &FieldDescriptor, rule: &ExtensionDescriptor) -> bool {
    says(field, rule, "secret")
}

/// Whether a field's option is set.
fn says(field: &FieldDescriptor, rule: &ExtensionDescriptor, option: &str) -> bool {
    let options = field.options();
    let Value::Message(rule) = options.get_extension(rule).into_owned() else { return false };
    rule.get_field_by_name(option).is_some_and(|set| set.as_bool() == Some(true))
}

/// What tells the environments that a request names, where it can name any.
fn environments(request: &MessageDescriptor, rule: &ExtensionDescriptor) -> String {
    let statements = named_environments(request, "request", rule, 0);
    if statements.is_empty() {
        return statements;
    }
    format!(
        "fn environments(request: &Self::Request) -> Vec<&str> {{ let mut named = Vec::new(); {statements} named }}"
    )
}

/// Statements that put the environments named in a message, and in the messages in it, into `named`.
fn named_environments(message: &MessageDescriptor, place: &str, rule: &ExtensionDescriptor, depth: u32) -> String {
    assert!(depth < 8, "{}: too deep to look for environments", message.full_name());
    let statement = |field: FieldDescriptor| {
        let at = format!("{place}.{}", field.name());
        match (says(&field, rule, "environment"), field.kind()) {
            (true, Kind::String) if field.is_list() => format!("named.extend({at}.iter().map(String::as_str));"),
            (true, Kind::String) if field.field_descriptor_proto().proto3_optional() => {
                format!("named.extend({at}.as_deref());")
            }
            (true, Kind::String) => format!("named.extend([{at}.as_str()]);"),
            (true, kind) => panic!("{}: an environment is named by text, not {kind:?}", field.full_name()),
            (false, Kind::Message(inner)) if inner.full_name().starts_with("portcullis.") && !field.is_map() => {
                let statements = named_environments(&inner, "inner", rule, depth + 1);
                match (statements.is_empty(), field.is_list()) {
                    (true, _) => statements,
                    (false, true) => format!("for inner in &{at} {{ {statements} }}"),
                    (false, false) => format!("if let Some(inner) = &{at} {{ {statements} }}"),
                }
            }
            (false, _) => String::new(),
        }
    };
    message.fields().map(statement).collect()
}

/// A `Debug` that shows which secrets are there, and none of them.
fn redacted_debug(message: &MessageDescriptor) -> String {
    let rule = extension(message.parent_pool(), FIELD);
    let path = rust_path(message.full_name());
    let fields: String = message
        .fields()
        .map(|field| {
            let (name, secret) = (field.name(), is_secret(&field, &rule));
            let absent = if field.supports_presence() { "is_none" } else { "is_empty" };
            match (secret, field.kind()) {
                (true, _) if field.is_map() => {
                    format!(".field(\"{name}\", &crate::Redacted {{ absent: self.{name}.is_empty() }})")
                }
                (true, Kind::String | Kind::Bytes) => {
                    format!(".field(\"{name}\", &crate::Redacted {{ absent: self.{name}.{absent}() }})")
                }
                (true, kind) => panic!("{}: a secret of type {kind:?} is not thought of", field.full_name()),
                (false, _) => format!(".field(\"{name}\", &self.{name})"),
            }
        })
        .collect();
    format!(
        "impl std::fmt::Debug for {path} {{ fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{ \
         f.debug_struct(\"{}\"){fields}.finish() }} }}\n",
        message.name()
    )
}

/// `portcullis.token.v1.Enable2FARequest` is `crate::token::v1::Enable2FaRequest`: types have the names that prost gives them.
fn rust_path(full_name: &str) -> String {
    let (package, name) = full_name.rsplit_once('.').unwrap_or_default();
    let module = package.trim_start_matches("portcullis.").replace('.', "::");
    format!("crate::{module}::{}", name.to_upper_camel_case())
}

struct Generator {
    tonic: Box<dyn ServiceGenerator>,
    pool: DescriptorPool,
    /// The markers of each package's services.
    markers: HashMap<String, String>,
}

impl Generator {
    /// The name in `crate::rule` of the access rule that the RPC declares.
    fn rule(&self, method: &MethodDescriptor) -> &'static str {
        let options = method.options();
        let rule = options.get_extension(&extension(&self.pool, "portcullis.api.v1.method")).into_owned();
        let Value::Message(rule) = rule else { return "Undeclared" };
        let names = [
            ("public", "Public"),
            ("authenticated", "Authenticated"),
            ("session", "Session"),
            ("session_with_password", "SessionWithPassword"),
            ("permission", "Permission"),
            ("administrator", "Administrator"),
            ("administrator_with_password", "AdministratorWithPassword"),
            ("service", "Service"),
        ];
        names.iter().find(|(field, _)| rule.has_field_by_name(field)).map_or("Undeclared", |(_, name)| name)
    }

    fn add_markers(&mut self, service: &Service) {
        let full_name = format!("{}.{}", service.package, service.proto_name);
        let descriptor = self.pool.get_service_by_name(&full_name).expect("the pool holds what is compiled");
        for method in descriptor.methods() {
            assert!(
                method.is_server_streaming() || !method.is_client_streaming(),
                "{}: a stream of requests alone has no handler yet",
                method.full_name()
            );
            let name = method.name();
            let marker = format!(
                "/// The RPC `{full_name}/{name}`.\npub struct {name};\n\
                 impl crate::Rpc for {name} {{ type Request = {}; type Response = {}; type Access = crate::rule::{}; \
                 const PATH: &'static str = \"/{full_name}/{name}\"; {} }}\n",
                rust_path(method.input().full_name()),
                rust_path(method.output().full_name()),
                self.rule(&method),
                environments(&method.input(), &extension(&self.pool, FIELD)),
            );
            self.markers.entry(service.package.clone()).or_default().push_str(&marker);
        }
    }
}

/// Makes whatever handles each RPC of a service serve the service.
fn delegation(service: &Service) -> String {
    let server = snake(&service.name);
    let bound = |method: &Method| format!("crate::{}<rpc::{}>", handler(method), method.proto_name);
    let bounds: Vec<String> = service.methods.iter().map(bound).collect();
    let methods: String = service
        .methods
        .iter()
        .map(|method| {
            let Method { name, proto_name, input_type, output_type, .. } = method;
            let (answered, associated) = if method.server_streaming {
                let answered = format!("{proto_name}Stream");
                let associated = format!("type {answered} = crate::AnswerStream<{output_type}>;\n");
                (format!("Self::{answered}"), associated)
            } else {
                (output_type.clone(), String::new())
            };
            let asked =
                if method.client_streaming { format!("tonic::Streaming<{input_type}>") } else { input_type.clone() };
            format!(
                "{associated}async fn {name}(&self, request: tonic::Request<{asked}>) \
                 -> Result<tonic::Response<{answered}>, tonic::Status> {{ \
                 crate::{}::<rpc::{proto_name}>::call(self, request).await }}\n",
                handler(method)
            )
        })
        .collect();
    format!(
        "#[tonic::async_trait] impl<H> {server}_server::{} for H where H: {} {{ {methods} }}\n",
        service.name,
        bounds.join(" + ")
    )
}

/// The trait of what handles the RPC.
fn handler(method: &Method) -> &'static str {
    match (method.client_streaming, method.server_streaming) {
        (true, _) => "StreamHandler",
        (false, true) => "AnswersHandler",
        (false, false) => "Handler",
    }
}

fn snake(camel: &str) -> String {
    camel.char_indices().fold(String::new(), |mut name, (at, letter)| {
        if letter.is_uppercase() && at > 0 {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        name
    })
}

impl ServiceGenerator for Generator {
    fn generate(&mut self, service: Service, buf: &mut String) {
        self.add_markers(&service);
        buf.push_str(&delegation(&service));
        self.tonic.generate(service, buf);
    }

    fn finalize(&mut self, buf: &mut String) {
        self.tonic.finalize(buf);
    }

    fn finalize_package(&mut self, package: &str, buf: &mut String) {
        self.tonic.finalize_package(package, buf);
        if let Some(markers) = self.markers.remove(package) {
            buf.push_str(&format!(
                "/// A marker for each RPC, with its types and its access rule.\npub mod rpc {{ {markers} }}\n"
            ));
        }
    }
}
