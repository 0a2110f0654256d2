use std::fmt;

use http::uri::PathAndQuery;
use prost_reflect::{DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor};

use super::environment_fields::EnvironmentFields;
use super::{CatalogError, Parameter, ServiceRole, TokenTemplate, decode_option, documentation};
use crate::api::v1::{FieldRule, MethodRule, ServiceRule, method_rule};

/// A permission's number: unique within the installation, and never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PermissionId(pub u32);

impl fmt::Display for PermissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who may call a method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anyone.
    Public,
    /// Any live credential.
    Authenticated,
    /// A session.
    Session,
    /// A session, and the account's password in the request.
    SessionWithPassword,
    /// A session, or a token that lists the method.
    Permission {
        /// The permission's number.
        id: PermissionId,
        /// The predefined sets that hold it, besides Extended Access.
        templates: Vec<TokenTemplate>,
    },
    /// A session of an administrator.
    Administrator,
    /// A session of an administrator, and the administrator's password in the request.
    AdministratorWithPassword,
    /// Another service of the installation.
    Service {
        /// What it has to be. None: nobody may call the method.
        roles: Vec<ServiceRole>,
    },
}

impl Access {
    /// The rule's name in `options.proto`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Authenticated => "authenticated",
            Self::Session => "session",
            Self::SessionWithPassword => "session with password",
            Self::Permission { .. } => "permission",
            Self::Administrator => "administrator",
            Self::AdministratorWithPassword => "administrator with password",
            Self::Service { .. } => "service",
        }
    }
}

/// A method of the API.
#[derive(Debug)]
pub struct Method {
    name: String,
    group: String,
    audience: String,
    pub(super) audience_place: u8,
    grpc_path: PathAndQuery,
    access: Option<Access>,
    safe: bool,
    post_only: bool,
    wrapped: bool,
    bindings: Vec<String>,
    plain_bindings: bool,
    ends_session: bool,
    session: Option<FieldDescriptor>,
    parameters: Vec<Parameter>,
    environments: EnvironmentFields,
    documentation: String,
    descriptor: MethodDescriptor,
}

impl Method {
    pub(super) fn read(
        descriptor: &MethodDescriptor,
        service: &ServiceRule,
        declared: MethodRule,
        field_option: &ExtensionDescriptor,
    ) -> Result<Self, CatalogError> {
        let parent = descriptor.parent_service();
        let group = if service.group.is_empty() { parent.full_name() } else { &service.group };
        let name = format!("{group}.{}", descriptor.name());
        let error = |problem: &str| CatalogError::Declaration { method: name.clone(), problem: problem.to_owned() };
        let grpc_path = format!("/{}/{}", parent.full_name(), descriptor.name());
        let access = declared.access.map(read_access).transpose().map_err(error)?;
        let method = Self {
            group: service.group.clone(),
            audience: service.audience.clone(),
            audience_place: 0,
            grpc_path: grpc_path.parse().map_err(|_| error("has no valid path"))?,
            access,
            safe: declared.safe,
            post_only: declared.post_only,
            wrapped: declared.wrapped,
            bindings: declared.bindings,
            plain_bindings: declared.plain_bindings,
            ends_session: declared.ends_session,
            session: session(&descriptor.output(), field_option),
            environments: EnvironmentFields::of(&descriptor.input(), field_option),
            parameters: Parameter::of(&descriptor.input(), field_option),
            documentation: documentation(&descriptor.parent_file(), descriptor.path()),
            descriptor: descriptor.clone(),
            name: name.clone(),
        };
        if method.audience.is_empty() {
            return Err(error("its service names no audience"));
        }
        let confirmed = matches!(method.access, Some(Access::SessionWithPassword | Access::AdministratorWithPassword));
        if confirmed && method.parameter("password").is_none() {
            return Err(error("is to be confirmed by password and has no parameter `password`"));
        }
        if method.rest_path().is_some() {
            if descriptor.is_client_streaming() {
                return Err(error("is called by REST and streams its requests"));
            }
            if method.is_streaming() && !are_events(&descriptor.output()) {
                return Err(error("streams answers that are not one `oneof` of messages, none of them called `end`"));
            }
        }
        if let Some(id) = method.permission()
            && id.0 == 0
        {
            return Err(error("its permission has no number"));
        }
        Ok(method)
    }

    /// The public name: `environment.control.StopEnv`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public group, `environment.control`; empty for what only services call.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// What the contract says of its group.
    #[must_use]
    pub fn group_documentation(&self) -> String {
        let service = self.descriptor.parent_service();
        documentation(&service.parent_file(), service.path())
    }

    /// The name within its group: `StopEnv`.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.descriptor.name()
    }

    /// The service that executes it.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The place of that service among those that execute methods ([`Catalog::audience_place`](super::Catalog::audience_place)).
    #[must_use]
    pub fn audience_place(&self) -> u8 {
        self.audience_place
    }

    /// The path of gRPC: `/portcullis.environment.v1.Control/StopEnv`.
    #[must_use]
    pub fn grpc_path(&self) -> &PathAndQuery {
        &self.grpc_path
    }

    /// The REST path that is documented, `/1.0/environment/control/rest/stopenv`; none for what only services call.
    #[must_use]
    pub fn rest_path(&self) -> Option<String> {
        if self.group.is_empty() || matches!(self.access, None | Some(Access::Service { .. })) {
            return None;
        }
        let group = self.group.replace('.', "/");
        Some(format!("/1.0/{group}/rest/{}", self.short_name().to_lowercase()))
    }

    /// Further REST paths that clients use.
    #[must_use]
    pub fn bindings(&self) -> &[String] {
        &self.bindings
    }

    /// Whether an answer under this REST path has no members of its own.
    #[must_use]
    pub fn is_plain_under(&self, path: &str) -> bool {
        self.plain_bindings && self.bindings.iter().any(|binding| binding.eq_ignore_ascii_case(path))
    }

    /// Whether the session that the call is made with is over where it succeeds.
    #[must_use]
    pub fn ends_session(&self) -> bool {
        self.ends_session
    }

    /// The answer's field that holds the session that the call has opened.
    #[must_use]
    pub fn session(&self) -> Option<&FieldDescriptor> {
        self.session.as_ref()
    }

    /// Who may call it. `None`: nothing is declared, so nobody may.
    #[must_use]
    pub fn access(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    /// The number of the permission that opens it to tokens.
    #[must_use]
    pub fn permission(&self) -> Option<PermissionId> {
        match self.access {
            Some(Access::Permission { id, .. }) => Some(id),
            _ => None,
        }
    }

    /// Whether a predefined set holds it.
    #[must_use]
    pub fn is_in(&self, template: TokenTemplate) -> bool {
        match &self.access {
            Some(Access::Permission { templates, .. }) => {
                template == TokenTemplate::ExtendedAccess || templates.contains(&template)
            }
            _ => false,
        }
    }

    /// Whether it only reads.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        self.safe
    }

    /// The environments that a request names.
    #[must_use]
    pub fn environments(&self, request: &DynamicMessage) -> Vec<String> {
        self.environments.named(request)
    }

    /// Whether it is answered by a stream, as server-sent events where it is called by REST. What is set of the answer's one
    /// `oneof` is an event of that name; an answer in which nothing is set says that the stream lives.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        self.descriptor.is_server_streaming()
    }

    /// Whether GET is refused.
    #[must_use]
    pub fn is_post_only(&self) -> bool {
        self.post_only
    }

    /// Whether the answer stands in a member `response`.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// The parameters, in the order of the `.proto`.
    #[must_use]
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// A parameter by its name, or by another name that clients send, without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.is_called(name))
    }

    /// What the contract says of it.
    #[must_use]
    pub fn documentation(&self) -> &str {
        &self.documentation
    }

    /// The types of its messages.
    #[must_use]
    pub fn descriptor(&self) -> &MethodDescriptor {
        &self.descriptor
    }
}

fn session(answer: &MessageDescriptor, option: &ExtensionDescriptor) -> Option<FieldDescriptor> {
    answer.fields().find(|field| {
        let rule: FieldRule = decode_option(field.options().get_extension(option).as_ref());
        rule.session && field.kind() == Kind::String
    })
}

/// The event that a gateway ends each stream with.
const END: &str = "end";

/// Whether each answer of a stream can be an event: a name, and an object.
fn are_events(answer: &MessageDescriptor) -> bool {
    let mut choices = answer.oneofs();
    let (Some(choice), None) = (choices.next(), choices.next()) else { return false };
    choice.fields().len() == answer.fields().len()
        && choice.fields().all(|field| matches!(field.kind(), Kind::Message(_)) && field.name() != END)
}

/// The rule, or what is wrong with it.
fn read_access(declared: method_rule::Access) -> Result<Access, &'static str> {
    Ok(match declared {
        method_rule::Access::Public(_) => Access::Public,
        method_rule::Access::Authenticated(_) => Access::Authenticated,
        method_rule::Access::Session(_) => Access::Session,
        method_rule::Access::SessionWithPassword(_) => Access::SessionWithPassword,
        method_rule::Access::Permission(permission) => {
            Access::Permission { id: PermissionId(permission.id), templates: permission.sets().collect() }
        }
        method_rule::Access::Administrator(_) => Access::Administrator,
        method_rule::Access::AdministratorWithPassword(_) => Access::AdministratorWithPassword,
        method_rule::Access::Service(service) => {
            let roles = service.roles.iter().map(|role| ServiceRole::from_wire(*role));
            Access::Service { roles: roles.collect::<Option<_>>().ok_or("it is for a role that no service has")? }
        }
    })
}
