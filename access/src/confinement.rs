//! What a token is confined to beyond the methods that it lists: environments by their names, callers by their networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use proto::{ErrorKind, Failure};

/// A pattern of environments' names: lower-case letters, digits and dashes, and `*` for any number of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentPattern(String);

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 64 lower-case letters, digits, dashes and `*`")]
pub struct EnvironmentPatternError;

impl EnvironmentPattern {
    /// The pattern.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for an environment of this name.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            // The first place that fits leaves most to those that follow.
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl FromStr for EnvironmentPattern {
    type Err = EnvironmentPatternError;

    fn from_str(text: &str) -> Result<Self, EnvironmentPatternError> {
        let fits = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-*".contains(letter);
        if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
            return Err(EnvironmentPatternError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for EnvironmentPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a credential is confined to. An empty list confines to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// The environments that it reaches.
    pub environments: Vec<EnvironmentPattern>,
    /// The networks that it may be used from.
    pub networks: Vec<IpNet>,
}

impl Confinement {
    /// No confinement at all: what a session has.
    pub const NONE: Self = Self { environments: Vec::new(), networks: Vec::new() };

    /// Whether it confines to nothing.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.environments.is_empty() && self.networks.is_empty()
    }

    /// About how many bytes it takes besides its own.
    #[must_use]
    pub fn size(&self) -> usize {
        let environments = self.environments.iter().map(|pattern| size_of_val(pattern) + pattern.as_str().len());
        environments.sum::<usize>() + size_of_val(self.networks.as_slice())
    }

    /// Whether an environment is in reach.
    #[must_use]
    pub fn reaches(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|pattern| pattern.matches(environment))
    }

    /// Refuses a call that names an environment out of reach. Nothing is said of whether there is one.
    ///
    /// # Errors
    /// For the first that is.
    pub fn allow_environments<'a>(&self, named: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
        match named.into_iter().find(|name| !name.is_empty() && !self.reaches(name)) {
            None => Ok(()),
            Some(name) => {
                let reach = listed(&self.environments);
                let text = format!("the token is confined to the environments {reach}, and `{name}` is none of them");
                Err(Failure::new(ErrorKind::PermissionDenied, text).with("confinement", "environments"))
            }
        }
    }

    /// Refuses a call from an address outside of the networks, or from one that is not known.
    ///
    /// # Errors
    /// Where it is.
    pub fn allow_address(&self, address: Option<IpAddr>) -> Result<(), Failure> {
        let inside = |address: IpAddr| self.networks.iter().any(|network| network.contains(&address));
        if self.networks.is_empty() || address.map(|address| address.to_canonical()).is_some_and(inside) {
            return Ok(());
        }
        let from =
            address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_canonical().to_string());
        let text = format!("the token may be used from {} only, and not from {from}", listed(&self.networks));
        Err(Failure::new(ErrorKind::PermissionDenied, text).with("confinement", "networks"))
    }
}

fn listed(items: &[impl fmt::Display]) -> String {
    items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn confinement(environments: &[&str], networks: &[&str]) -> Confinement {
        Confinement {
            environments: environments.iter().map(|text| text.parse().unwrap()).collect(),
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn a_pattern_stands_for_the_names_that_fit_it() {
        let cases = [
            ("staging-*", "staging-", true),
            ("staging-*", "staging-7", true),
            ("staging-*", "my-staging-7", false),
            ("*", "anything", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("**", "x", true),
        ];
        for (pattern, name, fits) in cases {
            assert_eq!(pattern.parse::<EnvironmentPattern>().unwrap().matches(name), fits, "{pattern} {name}");
        }
        for wrong in ["", "Staging", "a b", "a?", &"a".repeat(65)] {
            assert!(wrong.parse::<EnvironmentPattern>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_confines_where_nothing_is_said() {
        assert!(Confinement::NONE.allow_environments(["any"]).is_ok());
        assert!(Confinement::NONE.allow_address(None).is_ok());
    }

    #[test]
    fn what_is_out_of_reach_is_refused_by_name() {
        let confined = confinement(&["staging-*", "demo"], &[]);
        assert!(confined.allow_environments(["staging-1", "demo", ""]).is_ok());
        let failure = confined.allow_environments(["demo", "production"]).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::PermissionDenied);
        for part in ["`staging-*`", "`demo`", "`production`"] {
            assert!(failure.message().contains(part), "{failure:?}");
        }
    }

    #[test]
    fn an_address_is_in_a_network_of_its_own_family_however_it_is_written() {
        let confined = confinement(&[], &["10.1.0.0/16", "2001:db8::/32"]);
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"] {
            assert!(confined.allow_address(Some(inside.parse().unwrap())).is_ok(), "{inside}");
        }
        for outside in ["10.2.0.1", "2001:db9::1", "::1"] {
            assert!(confined.allow_address(Some(outside.parse().unwrap())).is_err(), "{outside}");
        }
        assert!(confined.allow_address(None).is_err());
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_the_plain_definition(pattern in "[ab*]{1,6}", name in "[ab]{0,6}") {
            let compiled: EnvironmentPattern = pattern.parse().unwrap();
            prop_assert_eq!(compiled.matches(&name), plain(pattern.as_bytes(), name.as_bytes()));
        }
    }

    fn plain(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|taken| plain(rest, &name[taken..])),
            Some((letter, rest)) => name.first() == Some(letter) && plain(rest, &name[1..]),
        }
    }
}
