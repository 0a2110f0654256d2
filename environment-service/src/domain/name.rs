use std::fmt;
use std::str::FromStr;

/// The most characters of a name that is also a part of a domain name.
const MAX_LABEL: usize = 32;
/// The most characters of a template's name.
const MAX_NODE_TYPE: usize = 64;
/// The most characters of an image's name.
const MAX_IMAGE: usize = 255;
/// The most characters of a version.
const MAX_TAG: usize = 128;
/// The most characters of an environment group's name.
const MAX_ENV_GROUP: usize = 64;
/// The most characters of a name for people.
const MAX_DISPLAY_NAME: usize = 128;

/// A text that is no name of an environment or of a node group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to {MAX_LABEL} lower-case letters, digits and dashes, beginning with a letter and not ending with a dash"
)]
pub(crate) struct InvalidName;

/// A text that is no name of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_NODE_TYPE} lower-case letters, digits, dots, dashes and underscores")]
pub(crate) struct InvalidNodeType;

/// A text that is no name for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_DISPLAY_NAME} characters, none of them a control character")]
pub(crate) struct InvalidDisplayName;

/// A text that is no name of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the name of an image without its version: 1 to {MAX_IMAGE} lower-case letters, digits, dots, dashes and \
     underscores in parts that slashes divide, the first perhaps a host with a port"
)]
pub(crate) struct InvalidImage;

/// A text that is no version of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_TAG} letters, digits, underscores, dots and dashes, not beginning with a dot or a dash")]
pub(crate) struct InvalidTag;

/// A text that is no name of an environment group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MAX_ENV_GROUP} characters, none of them a control character, a comma or a semicolon")]
pub(crate) struct InvalidEnvGroup;

/// The name of an environment, unique within the installation. It can stand in a domain name and in a file's path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EnvName(String);

/// The name of a group of nodes, unique within its environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeGroupName(String);

/// The name of a template: of what a node runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeType(String);

/// The name of an image, without its version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ImageName(String);

/// The version of an image, or of what a template runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tag(String);

/// The name of a group of environments, unique within its account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct EnvGroup(String);

/// A name for people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DisplayName(String);

impl NodeGroupName {
    /// The group of a node of which none is told: application servers.
    #[must_use]
    pub(crate) fn application() -> Self {
        Self("cp".to_owned())
    }
}

impl NodeGroupName {
    /// The place of the group's nodes in the order in which nodes are started: what keeps data first, what balances last.
    #[must_use]
    pub(crate) fn rank(&self) -> i32 {
        match self.as_str() {
            "storage" | "sqldb" | "nosqldb" | "cache" => 0,
            "bl" => 2,
            _ => 1,
        }
    }
}

impl Tag {
    /// The version of which none was told.
    #[must_use]
    pub(crate) fn latest() -> Self {
        Self("latest".to_owned())
    }
}

fn is_label(text: &str) -> bool {
    text.len() <= MAX_LABEL
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Labels, the first as near to a text as can be, the others with numbers for where it is taken.
pub(crate) fn labels_near(text: &str, otherwise: &str) -> impl Iterator<Item = String> + use<> {
    let letter = |letter: char| match letter.to_ascii_lowercase() {
        letter if letter.is_ascii_lowercase() || letter.is_ascii_digit() => letter,
        _ => '-',
    };
    let name: String = text.chars().map(letter).collect();
    let name = match name.trim_matches('-') {
        "" => otherwise.to_owned(),
        name if name.starts_with(|first: char| first.is_ascii_digit()) => format!("{otherwise}-{name}"),
        name => name.to_owned(),
    };
    std::iter::once(String::new()).chain((2_u64..).map(|number| format!("-{number}"))).map(move |suffix| {
        let kept: String = name.chars().take(MAX_LABEL.saturating_sub(suffix.len())).collect();
        format!("{}{suffix}", kept.trim_end_matches('-'))
    })
}

fn is_node_type(text: &str) -> bool {
    (1..=MAX_NODE_TYPE).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte))
}

fn is_image(text: &str) -> bool {
    let part = |part: &str| {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        edge(part.bytes().next())
            && edge(part.bytes().last())
            && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
    };
    let (host, path) = match text.split_once('/') {
        Some((first, rest)) if first.contains(':') => (Some(first), rest),
        _ => (None, text),
    };
    let is_host = |host: &str| {
        host.split_once(':').is_some_and(|(name, port)| part(name) && port.parse::<u16>().is_ok_and(|port| port > 0))
    };
    text.len() <= MAX_IMAGE && host.is_none_or(is_host) && path.split('/').all(part)
}

fn is_tag(text: &str) -> bool {
    (1..=MAX_TAG).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_env_group(text: &str) -> bool {
    (1..=MAX_ENV_GROUP).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(|letter| letter.is_control() || letter == ',' || letter == ';')
}

fn is_display_name(text: &str) -> bool {
    (1..=MAX_DISPLAY_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

macro_rules! name {
    ($name:ident, $error:ident, $rule:ident) => {
        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                if $rule(text) { Ok(Self(text.to_owned())) } else { Err($error) }
            }
        }

        impl $name {
            /// The text.
            #[must_use]
            pub(crate) fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(EnvName, InvalidName, is_label);
name!(NodeGroupName, InvalidName, is_label);
name!(NodeType, InvalidNodeType, is_node_type);
name!(ImageName, InvalidImage, is_image);
name!(Tag, InvalidTag, is_tag);
name!(EnvGroup, InvalidEnvGroup, is_env_group);
name!(DisplayName, InvalidDisplayName, is_display_name);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_labels() {
        for good in ["a", "my-project", "x1", "a--b", &"a".repeat(32)] {
            assert_eq!(good.parse::<EnvName>().unwrap().as_str(), good);
        }
        for bad in ["", "1a", "-a", "a-", "A", "a_b", "a.b", "a/b", "..", "a b", "é", "a\0", "a\n", &"a".repeat(33)] {
            assert_eq!(bad.parse::<EnvName>(), Err(InvalidName), "{bad:?}");
            assert_eq!(bad.parse::<NodeGroupName>(), Err(InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn the_groups_of_the_platform_are_names() {
        for group in ["bl", "cp", "cache", "sqldb", "nosqldb", "storage"] {
            assert!(group.parse::<NodeGroupName>().is_ok(), "{group}");
        }
        assert_eq!("cp".parse(), Ok(NodeGroupName::application()));
    }

    #[test]
    fn node_types_and_display_names_have_their_bounds() {
        assert!("tomcat-9.0_jdk".parse::<NodeType>().is_ok());
        assert!("a".repeat(64).parse::<NodeType>().is_ok());
        assert!("a".repeat(65).parse::<NodeType>().is_err());
        assert!("".parse::<NodeType>().is_err());
        assert!("Web".parse::<NodeType>().is_err());
        assert!("ä".repeat(128).parse::<DisplayName>().is_ok());
        assert!("ä".repeat(129).parse::<DisplayName>().is_err());
        assert!("a\u{0}".parse::<DisplayName>().is_err());
        assert!("".parse::<DisplayName>().is_err());
    }

    #[test]
    fn images_and_versions_are_those_of_registries() {
        for good in ["busybox", "library/busybox", "registry.example.org:5000/a/b-c_d", "a.b/c", "localhost/x"] {
            assert_eq!(good.parse::<ImageName>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            "Busybox",
            "a:1",
            "a@sha256",
            "/a",
            "a/",
            "a//b",
            "-a",
            "a-",
            "h:0/a",
            "h:x/a",
            "a b",
            "a\0",
            "../a",
            &"a".repeat(256),
        ] {
            assert!(bad.parse::<ImageName>().is_err(), "{bad:?}");
        }
        for good in ["latest", "1.2.3", "v1_x-2", "A", &"a".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good:?}");
        }
        for bad in ["", ".1", "-1", "a/b", "a b", "ä", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
        for bad in ["", " a", "a,b", "a;b", "a\n", &"a".repeat(65)] {
            assert!(bad.parse::<EnvGroup>().is_err(), "{bad:?}");
        }
        assert!("Kunden & Co".parse::<EnvGroup>().is_ok());
    }

    proptest! {
        #[test]
        fn a_name_is_safe_in_a_path_and_in_a_domain(text in ".*") {
            if let Ok(name) = text.parse::<EnvName>() {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert!(!text.contains(['/', '.', '\0', ' ']));
                prop_assert!((1..=32).contains(&text.len()));
            }
            let _ = text.parse::<NodeType>();
            let _ = text.parse::<DisplayName>();
        }

        #[test]
        fn every_label_is_a_name(text in "[a-z]([a-z0-9-]{0,30}[a-z0-9])?") {
            prop_assert!(text.parse::<EnvName>().is_ok());
        }
    }
}
