//! The API catalog: every method of the contract, read once from the descriptor set. Routes, access decisions, permission
//! lists, the API reference and the command line all follow from it.

mod environment_fields;
mod lookup;
mod method;
mod parameter;
mod role;

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, FieldDescriptor, FileDescriptor, ReflectMessage, Value};

pub use crate::api::v1::TokenTemplate;
pub use method::{Access, Method, PermissionId};
pub use parameter::Parameter;
pub use role::{ServiceRole, ServiceRoleError};

use crate::DESCRIPTOR_SET;
use crate::api::v1::{MethodRule, ServiceRule, TemplateRule};

/// The descriptors of the whole contract.
pub static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR_SET).expect("the build has read the same descriptors"));

/// The catalog of this build's contract.
#[must_use]
pub fn catalog() -> &'static Catalog {
    static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::read(&POOL).expect("a test reads the same catalog"));
    &CATALOG
}

/// Why a set of descriptors makes no catalog.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The descriptors lack the options that the catalog is read from.
    #[error("the descriptors do not declare the option {0}")]
    MissingOption(&'static str),
    /// Two methods claim one name, path or number.
    #[error("{what} is claimed twice, by {first} and by {second}")]
    Collision {
        /// What is claimed.
        what: String,
        /// The method that claimed it first.
        first: String,
        /// The method that claims it too.
        second: String,
    },
    /// A declaration contradicts itself.
    #[error("{method}: {problem}")]
    Declaration {
        /// The method.
        method: String,
        /// What is wrong.
        problem: String,
    },
    /// More services than a small number can tell apart.
    #[error("there are more than 256 services that execute methods")]
    Audiences,
}

/// Every method of a contract.
#[derive(Debug)]
pub struct Catalog {
    methods: Vec<Method>,
    by_rest_path: HashMap<String, usize>,
    by_grpc_path: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
    /// Methods that a token can hold a permission for, by the permission's number.
    by_permission: HashMap<PermissionId, usize>,
    templates: Vec<(TokenTemplate, String)>,
    /// The services that execute methods, in the order of their names.
    audiences: Vec<String>,
}

impl Catalog {
    /// Reads the catalog of whatever contract is written with our options.
    ///
    /// # Errors
    /// Where two methods claim one name, path or number, or a declaration contradicts itself. A method without an
    /// access rule is no error here: it is in the catalog, and denied.
    pub fn read(pool: &DescriptorPool) -> Result<Self, CatalogError> {
        let option = |name: &'static str| pool.get_extension_by_name(name).ok_or(CatalogError::MissingOption(name));
        let service_option = option("portcullis.api.v1.service")?;
        let method_option = option("portcullis.api.v1.method")?;
        let field_option = option("portcullis.api.v1.field")?;

        let mut catalog = Self {
            methods: Vec::new(),
            by_rest_path: HashMap::new(),
            by_grpc_path: HashMap::new(),
            by_name: HashMap::new(),
            by_permission: HashMap::new(),
            templates: read_templates(pool)?,
            audiences: Vec::new(),
        };
        for service in pool.services() {
            let rule: ServiceRule = decode_option(service.options().get_extension(&service_option).as_ref());
            for method in service.methods() {
                let options = method.options();
                let declared: MethodRule = decode_option(options.get_extension(&method_option).as_ref());
                catalog.add(Method::read(&method, &rule, declared, &field_option)?)?;
            }
        }
        for method in &mut catalog.methods {
            let place = catalog.audiences.iter().position(|known| known == method.audience());
            method.audience_place = place.and_then(|place| u8::try_from(place).ok()).ok_or(CatalogError::Audiences)?;
        }
        Ok(catalog)
    }

    fn add(&mut self, method: Method) -> Result<(), CatalogError> {
        let index = self.methods.len();
        let methods = &self.methods;
        let claim = |what: String, earlier: Option<usize>| match earlier {
            Some(earlier) => Err(CatalogError::Collision {
                what,
                first: methods[earlier].name().to_owned(),
                second: method.name().to_owned(),
            }),
            None => Ok(()),
        };
        for path in lookup::rest_paths(&method) {
            claim(path.clone(), self.by_rest_path.insert(path, index))?;
        }
        for name in lookup::names(&method) {
            claim(name.clone(), self.by_name.insert(name, index))?;
        }
        if let Some(id) = method.permission() {
            claim(format!("permission {id}"), self.by_permission.insert(id, index))?;
        }
        self.by_grpc_path.insert(method.grpc_path().as_str().to_owned(), index);
        if let Err(place) = self.audiences.binary_search_by(|known| known.as_str().cmp(method.audience())) {
            self.audiences.insert(place, method.audience().to_owned());
        }
        self.methods.push(method);
        Ok(())
    }

    /// Every method, in the order of the `.proto` files.
    #[must_use]
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// The methods that a token can hold a permission for, by name.
    #[must_use]
    pub fn permissions(&self) -> Vec<&Method> {
        let mut methods: Vec<&Method> = self.methods.iter().filter(|m| m.permission().is_some()).collect();
        methods.sort_by_key(|method| method.name());
        methods
    }

    /// The predefined sets and `Custom`, with their names for people.
    #[must_use]
    pub fn templates(&self) -> &[(TokenTemplate, String)] {
        &self.templates
    }

    /// The name of a predefined set.
    #[must_use]
    pub fn template_name(&self, template: TokenTemplate) -> &str {
        self.templates.iter().find(|(known, _)| *known == template).map_or("", |(_, name)| name)
    }

    /// The methods that a predefined set holds, by name. `Custom` holds none of its own.
    #[must_use]
    pub fn template_methods(&self, template: TokenTemplate) -> Vec<&Method> {
        let mut methods = self.permissions();
        methods.retain(|method| method.is_in(template));
        methods
    }

    /// Whether a service of this name executes methods.
    #[must_use]
    pub fn has_audience(&self, name: &str) -> bool {
        self.audience_place(name).is_some()
    }

    /// The services that execute the methods.
    #[must_use]
    pub fn audiences(&self) -> BTreeSet<&str> {
        self.audiences.iter().map(String::as_str).collect()
    }

    /// A service's place among those that execute methods: a small number, the same as long as the process runs.
    #[must_use]
    pub fn audience_place(&self, audience: &str) -> Option<usize> {
        self.audiences.iter().position(|known| known == audience)
    }
}

fn read_templates(pool: &DescriptorPool) -> Result<Vec<(TokenTemplate, String)>, CatalogError> {
    let name = "portcullis.api.v1.template";
    let option = pool.get_extension_by_name(name).ok_or(CatalogError::MissingOption(name))?;
    let kinds = pool
        .get_enum_by_name("portcullis.api.v1.TokenTemplate")
        .ok_or(CatalogError::MissingOption("portcullis.api.v1.TokenTemplate"))?;
    Ok(kinds
        .values()
        .filter_map(|value| {
            let template = TokenTemplate::try_from(value.number()).ok()?;
            let rule: TemplateRule = decode_option(value.options().get_extension(&option).as_ref());
            (template != TokenTemplate::Unspecified).then_some((template, rule.name))
        })
        .collect())
}

/// An option's message in its generated type; the default where it is not given.
fn decode_option<M: prost::Message + Default>(option: &Value) -> M {
    let Value::Message(message) = option else { return M::default() };
    debug_assert!(!message.descriptor().full_name().is_empty());
    message.transcode_to().unwrap_or_default()
}

/// What the contract says of a field.
#[must_use]
pub fn field_documentation(field: &FieldDescriptor) -> String {
    documentation(&field.parent_file(), field.path())
}

/// The comment above a declaration, as one paragraph a line.
pub(crate) fn documentation(file: &FileDescriptor, path: &[i32]) -> String {
    let comment = file
        .file_descriptor_proto()
        .source_code_info
        .iter()
        .flat_map(|info| &info.location)
        .find(|location| location.path == path)
        .map_or("", |location| location.leading_comments());
    comment.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}
