use std::collections::BTreeMap;

use super::{ImageName, NodeType, Tag};

/// The most variables of a node.
const MAX_VARIABLES: usize = 512;
/// The most bytes that a node's variables take, names and values.
const MAX_VARIABLE_BYTES: usize = 64 * 1024;
/// The most bytes of a variable's name.
const MAX_VARIABLE_NAME: usize = 128;
/// The type of a node that runs an image which its owner chose.
const IMAGE_NODE_TYPE: &str = "docker";

/// What a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// The template of the operator's; `docker` for an image.
    pub(crate) node_type: NodeType,
    /// The image, where it is one that the owner chose.
    pub(crate) image: Option<ImageName>,
    /// The version of the image, or of what the template runs.
    pub(crate) tag: Tag,
    /// The owner's variables, over those of the template.
    pub(crate) variables: Variables,
}

impl Workload {
    /// What a template runs.
    #[must_use]
    pub(crate) fn template(node_type: NodeType) -> Self {
        Self { node_type, image: None, tag: Tag::latest(), variables: Variables::default() }
    }

    /// An image in some version.
    #[must_use]
    pub(crate) fn image(image: ImageName, tag: Tag) -> Self {
        Self { node_type: NodeType::of_images(), image: Some(image), tag, variables: Variables::default() }
    }
}

impl NodeType {
    /// The type of a node that runs an image which its owner chose.
    #[must_use]
    pub(crate) fn of_images() -> Self {
        IMAGE_NODE_TYPE.parse().expect("it is a name")
    }
}

/// An owner's variables: names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// Why a text cannot be a variable, or one more cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum VariableError {
    /// The name is none.
    #[error(
        "must have names of 1 to {MAX_VARIABLE_NAME} letters, digits, underscores, dots and dashes that do not begin with a digit"
    )]
    Name,
    /// The service sets it itself.
    #[error("must not hold `{0}`: PORT and all that begins with PORTCULLIS_ is set by the service")]
    Reserved(String),
    /// The value holds what no variable can.
    #[error("must not hold a zero byte in the value of `{0}`")]
    Value(String),
    /// There are too many.
    #[error("must not make more than {MAX_VARIABLES} variables")]
    TooMany,
    /// They are too large.
    #[error("must not make more than {MAX_VARIABLE_BYTES} bytes of names and values")]
    TooLarge,
}

impl Variables {
    /// These variables.
    ///
    /// # Errors
    /// Where one cannot be, or they are too many.
    pub(crate) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, VariableError> {
        let mut all = BTreeMap::new();
        for (name, value) in variables {
            check(&name, &value)?;
            all.insert(name, value);
            if all.len() > MAX_VARIABLES {
                return Err(VariableError::TooMany);
            }
        }
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > MAX_VARIABLE_BYTES { Err(VariableError::TooLarge) } else { Ok(Self(all)) }
    }

    /// These and others, of which each takes the place of one of the same name.
    ///
    /// # Errors
    /// Where they are too many together.
    pub(crate) fn with(&self, others: &Self) -> Result<Self, VariableError> {
        Self::new(self.0.clone().into_iter().chain(others.0.clone()))
    }

    /// Whether each of these texts can be a variable's name.
    ///
    /// # Errors
    /// Where one cannot.
    pub(crate) fn check_names(names: &[String]) -> Result<(), VariableError> {
        if names.iter().all(|name| is_name(name)) { Ok(()) } else { Err(VariableError::Name) }
    }

    /// Those that are not among these names.
    #[must_use]
    pub(crate) fn without(&self, names: &[String]) -> Self {
        Self(self.iter().filter(|(name, _)| !names.iter().any(|gone| gone == name)).map(owned).collect())
    }

    /// Each name and value, in the order of the names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Variables that the service sets itself.
pub(crate) fn is_reserved(variable: &str) -> bool {
    variable.starts_with("PORTCULLIS_") || variable == "PORT"
}

/// Whether a text can be a variable's name.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let first = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    first && name.len() <= MAX_VARIABLE_NAME && name.bytes().all(fits)
}

fn check(name: &str, value: &str) -> Result<(), VariableError> {
    if !is_name(name) {
        return Err(VariableError::Name);
    }
    if is_reserved(name) {
        return Err(VariableError::Reserved(name.to_owned()));
    }
    if value.contains('\0') { Err(VariableError::Value(name.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Result<Variables, VariableError> {
        Variables::new(pairs.iter().copied().map(owned))
    }

    #[test]
    fn what_cannot_be_a_variable_is_told() {
        for name in ["", "1A", "A B", "A=B", "Ä", "A\0", &"a".repeat(129)] {
            assert_eq!(variables(&[(name, "x")]), Err(VariableError::Name), "{name:?}");
            assert_eq!(
                Variables::check_names(&["A".to_owned(), name.to_owned()]),
                Err(VariableError::Name),
                "{name:?}"
            );
        }
        for name in ["PORT", "PORTCULLIS_INSTANCE"] {
            assert_eq!(variables(&[(name, "x")]), Err(VariableError::Reserved(name.to_owned())));
        }
        assert_eq!(variables(&[("A", "x\0")]), Err(VariableError::Value("A".to_owned())));
        assert!(variables(&[("java.opts", "-Xmx1g"), ("_x-1", "ä\n")]).is_ok());
    }

    #[test]
    fn there_is_a_bound_on_their_number_and_on_their_size() {
        let many = |count: usize, value: usize| {
            Variables::new((0..count).map(|number| (format!("V{number:05}"), "x".repeat(value))))
        };
        assert!(many(512, 100).is_ok());
        assert_eq!(many(513, 0), Err(VariableError::TooMany));
        assert_eq!(many(10_000, 1), Err(VariableError::TooMany));
        assert_eq!(many(512, 123), Err(VariableError::TooLarge));
        let full = many(512, 1).unwrap();
        assert_eq!(full.with(&variables(&[("X", "")]).unwrap()), Err(VariableError::TooMany));
        assert!(full.with(&variables(&[("V00001", "other")]).unwrap()).is_ok());
    }

    #[test]
    fn others_take_the_place_of_those_of_the_same_name() {
        let some = variables(&[("A", "1"), ("B", "2")]).unwrap();
        let with = some.with(&variables(&[("B", "3"), ("C", "4")]).unwrap()).unwrap();
        assert_eq!(with.iter().collect::<Vec<_>>(), [("A", "1"), ("B", "3"), ("C", "4")]);
        assert_eq!(with.without(&["B".to_owned(), "Z".to_owned()]), variables(&[("A", "1"), ("C", "4")]).unwrap());
    }
}
