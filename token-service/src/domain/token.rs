use std::collections::BTreeSet;
use std::net::IpAddr;

use access::{Confinement, CredentialHash, EnvironmentPattern, PermissionSet};
use ipnet::IpNet;
use jiff::Timestamp;
use proto::catalog::{Catalog, TokenTemplate};

/// What a token's owner calls it: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Description(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 characters, none of them a control character, and not only white space")]
pub(crate) struct DescriptionError;

impl Description {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Description {
    type Error = DescriptionError;

    fn try_from(text: String) -> Result<Self, DescriptionError> {
        let blank = text.trim().is_empty();
        if blank || text.chars().count() > 255 || text.chars().any(char::is_control) {
            return Err(DescriptionError);
        }
        Ok(Self(text))
    }
}

/// The moment from which on a token is refused; one that was in the future when it was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry(Timestamp);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be in the future")]
pub(crate) struct ExpiryError;

impl Expiry {
    pub(crate) fn chosen(moment: Timestamp, now: Timestamp) -> Result<Self, ExpiryError> {
        if moment > now { Ok(Self(moment)) } else { Err(ExpiryError) }
    }

    pub(crate) fn moment(self) -> Timestamp {
        self.0
    }
}

/// What a token may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ApiSet {
    /// A predefined set, whatever it holds now and later.
    Template(TokenTemplate),
    /// Methods picked by hand, by their full names.
    Custom(BTreeSet<String>),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiSetError {
    #[error("must name a predefined set or `Custom` ({known}), by name or number")]
    UnknownTemplate { known: String },
    #[error("must list at least one method")]
    Empty,
    #[error("holds `{0}`, which is no method of the API")]
    UnknownMethod(String),
    #[error("holds `{0}`, which no token can call")]
    NotForTokens(String),
    #[error("can't be combined with the set {0}: choose `Custom`, or leave it out")]
    Combined(String),
}

impl ApiSetError {
    /// The parameter that it is about.
    pub(crate) fn parameter(&self) -> &'static str {
        match self {
            Self::UnknownTemplate { .. } => "tokenTemplate",
            _ => "apiList",
        }
    }
}

impl ApiSet {
    /// What was chosen in a request; `None` where nothing was.
    pub(crate) fn chosen(
        catalog: &Catalog,
        template: Option<&str>,
        api_list: &[String],
    ) -> Result<Option<Self>, ApiSetError> {
        let template = template.map(|text| parse_template(catalog, text)).transpose()?;
        match template {
            None if api_list.is_empty() => Ok(None),
            None | Some(TokenTemplate::Custom) => Ok(Some(Self::Custom(pick(catalog, api_list)?))),
            Some(template) if api_list.is_empty() => Ok(Some(Self::Template(template))),
            Some(template) => Err(ApiSetError::Combined(catalog.template_name(template).to_owned())),
        }
    }

    pub(crate) fn template(&self) -> TokenTemplate {
        match self {
            Self::Template(template) => *template,
            Self::Custom(_) => TokenTemplate::Custom,
        }
    }

    /// The methods, by name. A picked method that the API has lost is not among them.
    pub(crate) fn methods<'a>(&self, catalog: &'a Catalog) -> Vec<&'a proto::Method> {
        match self {
            Self::Template(template) => catalog.template_methods(*template),
            Self::Custom(names) => {
                let mut methods = catalog.permissions();
                methods.retain(|method| names.contains(method.name()));
                methods
            }
        }
    }

    pub(crate) fn permissions(&self, catalog: &Catalog) -> PermissionSet {
        self.methods(catalog).iter().filter_map(|method| method.permission()).collect()
    }
}

fn parse_template(catalog: &Catalog, text: &str) -> Result<TokenTemplate, ApiSetError> {
    let text = text.trim();
    let known = catalog.templates();
    let found = known
        .iter()
        .find(|(template, name)| name.eq_ignore_ascii_case(text) || text.parse() == Ok(i32::from(*template)));
    found.map(|(template, _)| *template).ok_or_else(|| ApiSetError::UnknownTemplate {
        known: known.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

fn pick(catalog: &Catalog, api_list: &[String]) -> Result<BTreeSet<String>, ApiSetError> {
    let picked = api_list.iter().map(|name| {
        let method = catalog.by_name(name).ok_or_else(|| ApiSetError::UnknownMethod(name.clone()))?;
        if method.permission().is_none() {
            return Err(ApiSetError::NotForTokens(method.name().to_owned()));
        }
        Ok(method.name().to_owned())
    });
    let picked: BTreeSet<String> = picked.collect::<Result<_, _>>()?;
    if picked.is_empty() { Err(ApiSetError::Empty) } else { Ok(picked) }
}

/// A token, without its value.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: i64,
    pub(crate) description: String,
    pub(crate) api_set: ApiSet,
    pub(crate) confinement: Confinement,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    /// Until when the value of before the last regeneration lives on.
    pub(crate) overlap_ends_at: Option<Timestamp>,
    pub(crate) leaked_at: Option<Timestamp>,
    /// When the value of before the last regeneration was reported to be known to others.
    pub(crate) previous_leaked_at: Option<Timestamp>,
    pub(crate) last_use: Option<LastUse>,
    pub(crate) use_count: i64,
}

/// When, from where and for what a token was last used.
#[derive(Clone, Debug)]
pub(crate) struct LastUse {
    pub(crate) at: Timestamp,
    pub(crate) address: String,
    pub(crate) method: String,
}

/// A token to be made.
#[derive(Debug)]
pub(crate) struct NewToken {
    pub(crate) description: Description,
    pub(crate) hash: CredentialHash,
    pub(crate) api_set: ApiSet,
    pub(crate) confinement: Confinement,
    pub(crate) expires_at: Option<Expiry>,
    pub(crate) created_at: Timestamp,
}

/// What is to be different about a token. What is not given stays.
#[derive(Debug, Default)]
pub(crate) struct TokenChange {
    pub(crate) description: Option<Description>,
    pub(crate) api_set: Option<ApiSet>,
    pub(crate) environments: Option<Vec<EnvironmentPattern>>,
    pub(crate) networks: Option<Vec<IpNet>>,
    pub(crate) expires_at: Option<NewExpiry>,
    pub(crate) value: Option<NewValue>,
    /// The value of before the last regeneration ends.
    pub(crate) end_overlap: bool,
}

/// What becomes of a token's expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NewExpiry {
    At(Expiry),
    Never,
}

impl NewExpiry {
    pub(crate) fn moment(self) -> Option<Timestamp> {
        match self {
            Self::At(expiry) => Some(expiry.moment()),
            Self::Never => None,
        }
    }
}

/// Another value for a token, and until when the present one lives on beside it.
#[derive(Debug)]
pub(crate) struct NewValue {
    pub(crate) hash: CredentialHash,
    pub(crate) overlap_ends_at: Option<Timestamp>,
}

/// How many patterns or networks a token can be confined to.
const CONFINED_TO: usize = 32;

/// Why a confinement cannot be chosen.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfinementError {
    #[error("must have at most {CONFINED_TO} values")]
    TooMany,
    #[error("holds `{0}`: a pattern must have 1 to 64 lower-case letters, digits, dashes and `*`")]
    Environment(String),
    #[error("holds `{0}`, which is neither a network in CIDR notation nor an address")]
    Network(String),
}

/// The patterns that were chosen; `None` where nothing was. One that stands for all confines to none.
pub(crate) fn environments(texts: &[String]) -> Result<Option<Vec<EnvironmentPattern>>, ConfinementError> {
    chosen(texts, |text| text.parse().map_err(|_| ConfinementError::Environment(shown(text))))
}

/// The networks that were chosen; `None` where nothing was. Bits beyond the prefix say nothing and are dropped.
pub(crate) fn networks(texts: &[String]) -> Result<Option<Vec<IpNet>>, ConfinementError> {
    chosen(texts, |text| {
        let network =
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(|address| address.to_canonical().into()));
        network.map(|network| network.trunc()).map_err(|_| ConfinementError::Network(shown(text)))
    })
}

fn chosen<T: Ord>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, ConfinementError>,
) -> Result<Option<Vec<T>>, ConfinementError> {
    if texts.is_empty() {
        return Ok(None);
    }
    if texts.iter().any(|text| text.trim() == "*") {
        return Ok(Some(Vec::new()));
    }
    let parsed: BTreeSet<T> = texts.iter().map(|text| parse(text.trim())).collect::<Result<_, _>>()?;
    if parsed.len() > CONFINED_TO {
        return Err(ConfinementError::TooMany);
    }
    Ok(Some(parsed.into_iter().collect()))
}

/// As much of a wrong value as is needed to know it again.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Which of an account's tokens, or of its other sessions, are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of them.
    All,
    /// These.
    Only(BTreeSet<i64>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(template: Option<&str>, api_list: &[&str]) -> Result<Option<ApiSet>, ApiSetError> {
        let api_list: Vec<String> = api_list.iter().map(|name| (*name).to_owned()).collect();
        ApiSet::chosen(proto::catalog(), template, &api_list)
    }

    #[test]
    fn a_set_is_found_by_name_or_number() {
        for text in ["IDE Plugins", "ide plugins", " 2 "] {
            assert_eq!(chosen(Some(text), &[]).unwrap(), Some(ApiSet::Template(TokenTemplate::IdePlugins)), "{text}");
        }
        let error = chosen(Some("Everything"), &[]).unwrap_err();
        assert_eq!(error.parameter(), "tokenTemplate");
        assert!(error.to_string().contains("Maven Plugin"));
        assert!(chosen(Some("0"), &[]).is_err());
    }

    #[test]
    fn methods_are_picked_by_full_or_short_name_and_kept_by_the_full_one() {
        let set = chosen(None, &["env.control.stopenv", "environment.control.StopEnv"]).unwrap().unwrap();
        assert_eq!(set, ApiSet::Custom(["environment.control.StopEnv".to_owned()].into()));
        assert_eq!(set.methods(proto::catalog()).len(), 1);
    }

    #[test]
    fn what_cannot_be_picked_is_named() {
        assert_eq!(chosen(None, &["x.y.Z"]).unwrap_err(), ApiSetError::UnknownMethod("x.y.Z".into()));
        assert_eq!(
            chosen(None, &["users.authentication.createtoken"]).unwrap_err(),
            ApiSetError::NotForTokens("users.authentication.CreateToken".into())
        );
        assert_eq!(chosen(Some("Custom"), &[]).unwrap_err(), ApiSetError::Empty);
        assert!(matches!(
            chosen(Some("Marketplace"), &["environment.control.StopEnv"]).unwrap_err(),
            ApiSetError::Combined(_)
        ));
        assert_eq!(chosen(None, &[]).unwrap(), None);
    }

    #[test]
    fn extended_access_holds_every_permission() {
        let set = ApiSet::Template(TokenTemplate::ExtendedAccess);
        assert_eq!(set.methods(proto::catalog()).len(), proto::catalog().permissions().len());
    }

    #[test]
    fn an_expiry_is_in_the_future_when_it_is_chosen() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert!(Expiry::chosen(now, now).is_err());
        assert!(Expiry::chosen(Timestamp::from_second(1_001).unwrap(), now).is_ok());
    }

    #[test]
    fn a_confinement_is_a_few_patterns_and_networks_or_none() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(environments(&[]), Ok(None));
        assert_eq!(environments(&texts(&["a", "*"])), Ok(Some(Vec::new())));
        assert_eq!(environments(&texts(&["b", "a-*", "b"])).unwrap().unwrap().len(), 2);
        assert_eq!(environments(&texts(&["A"])), Err(ConfinementError::Environment("A".into())));
        let shown =
            |texts: &[String]| networks(texts).map(|found| found.unwrap().iter().map(ToString::to_string).collect());
        assert_eq!(shown(&texts(&["10.1.2.3/8"])), Ok(vec!["10.0.0.0/8".to_owned()]));
        assert_eq!(shown(&texts(&["::ffff:10.0.0.1"])), Ok(vec!["10.0.0.1/32".to_owned()]));
        assert_eq!(shown(&texts(&["2001:db8::1"])), Ok(vec!["2001:db8::1/128".to_owned()]));
        for wrong in ["10.0.0.0/33", "x", "", "10.0.0"] {
            assert_eq!(networks(&texts(&[wrong])), Err(ConfinementError::Network(wrong.into())));
        }
        let many: Vec<String> = (0..33).map(|number| format!("10.0.0.{number}")).collect();
        assert_eq!(networks(&many), Err(ConfinementError::TooMany));
    }

    #[test]
    fn a_description_says_something() {
        for wrong in ["", " \t", "a\nb", &"x".repeat(256)] {
            assert!(Description::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
        assert_eq!(Description::try_from("é".repeat(255)).unwrap().as_str().chars().count(), 255);
    }
}
