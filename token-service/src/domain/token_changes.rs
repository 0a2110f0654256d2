use std::collections::BTreeSet;

use super::{ApiSet, Token};

/// How many methods are named that a token has got or lost; of more the number is told.
const NAMED: usize = 20;

impl Token {
    /// What is different about the token than before, by the names of the parameters of `EditToken`: `description, apiList
    /// (+environment.control.StopEnv), expiresAt`. Of permissions the methods are named that it has got and lost, up to a
    /// bound; of all else no values.
    pub(crate) fn changes_since(&self, before: &Self) -> String {
        let expiry = if self.expires_at.is_some() { "expiresAt" } else { "neverExpires" };
        let ends_overlap = before.overlap_ends_at.is_some() && self.overlap_ends_at.is_none();
        let changes = [
            (self.description != before.description).then(|| "description".to_owned()),
            (self.api_set != before.api_set).then(|| permissions(&before.api_set, &self.api_set)),
            (self.expires_at != before.expires_at).then(|| expiry.to_owned()),
            (self.confinement.environments != before.confinement.environments).then(|| "environments".to_owned()),
            (self.confinement.networks != before.confinement.networks).then(|| "sourceNetworks".to_owned()),
            ends_overlap.then(|| "endOverlap".to_owned()),
        ];
        changes.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

fn permissions(before: &ApiSet, after: &ApiSet) -> String {
    let parameter = match after {
        ApiSet::Template(_) => "tokenTemplate",
        ApiSet::Custom(_) => "apiList",
    };
    let (before, after) = (names(before), names(after));
    let got = after.difference(&before).map(|name| format!("+{name}"));
    let lost = before.difference(&after).map(|name| format!("-{name}"));
    let mut methods: Vec<String> = got.chain(lost).collect();
    if methods.is_empty() {
        return parameter.to_owned();
    }
    let unnamed = methods.len().saturating_sub(NAMED);
    methods.truncate(NAMED);
    if unnamed > 0 {
        methods.push(format!("and {unnamed} more"));
    }
    format!("{parameter} ({})", methods.join(" "))
}

fn names(set: &ApiSet) -> BTreeSet<&str> {
    match set {
        ApiSet::Template(_) => set.methods(proto::catalog()).iter().map(|method| method.name()).collect(),
        ApiSet::Custom(names) => names.iter().map(String::as_str).collect(),
    }
}

#[cfg(test)]
mod tests {
    use access::Confinement;
    use jiff::Timestamp;
    use proto::catalog::TokenTemplate;

    use super::*;

    fn token() -> Token {
        Token {
            id: 7,
            description: "ci".into(),
            api_set: custom(&["environment.control.StopEnv"]),
            confinement: Confinement { environments: Vec::new(), networks: Vec::new() },
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            overlap_ends_at: Some(Timestamp::UNIX_EPOCH),
            leaked_at: None,
            previous_leaked_at: None,
            last_use: None,
            use_count: 0,
        }
    }

    fn custom(names: &[&str]) -> ApiSet {
        ApiSet::Custom(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn each_difference_is_named_and_no_value_is() {
        assert_eq!(token().changes_since(&token()), "");
        let mut edited = token();
        edited.description = "a new one".into();
        edited.api_set = custom(&["environment.control.GetEnvs", "environment.control.StartEnv"]);
        edited.expires_at = Some(Timestamp::UNIX_EPOCH);
        edited.confinement.environments = vec!["staging-*".parse().unwrap()];
        edited.confinement.networks = vec!["10.0.0.0/8".parse().unwrap()];
        edited.overlap_ends_at = None;
        assert_eq!(
            edited.changes_since(&token()),
            "description, apiList (+environment.control.GetEnvs +environment.control.StartEnv \
             -environment.control.StopEnv), expiresAt, environments, sourceNetworks, endOverlap"
        );
        assert!(token().changes_since(&edited).contains("neverExpires"));
    }

    #[test]
    fn a_set_is_named_by_the_methods_that_it_changes_up_to_a_bound() {
        let mut all = token();
        all.api_set = ApiSet::Template(TokenTemplate::ExtendedAccess);
        let held = all.api_set.methods(proto::catalog()).len();
        let changes = all.changes_since(&token());
        assert!(changes.starts_with("tokenTemplate (+"), "{changes}");
        let names: Vec<String> = (0..100).map(|number| format!("a.b.Method{number:03}")).collect();
        let mut many = token();
        many.api_set = ApiSet::Custom(names.into_iter().collect());
        let changes = many.changes_since(&token());
        assert!(changes.ends_with("+a.b.Method019 and 81 more)"), "{changes}");
        assert!(held > 1);
        // The same methods, from now on as the set has them.
        let mut picked = token();
        let methods = all.api_set.methods(proto::catalog());
        picked.api_set = ApiSet::Custom(methods.iter().map(|method| method.name().to_owned()).collect());
        assert_eq!(all.changes_since(&picked), "tokenTemplate");
    }
}
