use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::ImageName;
use super::workload::is_name;

/// Which images may be run. Without a pattern, none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ImagePatterns(Vec<ImagePattern>);

/// Names of images: one name, in which `*` stands for any characters but a slash. Nothing is put in front of a name: `nginx` is
/// not `docker.io/library/nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ImagePattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of an image without its version, in which `*` stands for any characters but a slash")]
pub struct InvalidImagePattern;

impl FromStr for ImagePattern {
    type Err = InvalidImagePattern;

    fn from_str(text: &str) -> Result<Self, InvalidImagePattern> {
        // With something in the place of each star it has to be a name.
        text.replace('*', "a").parse::<ImageName>().map_err(|_| InvalidImagePattern)?;
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ImagePattern {
    type Error = InvalidImagePattern;

    fn try_from(text: String) -> Result<Self, InvalidImagePattern> {
        text.parse()
    }
}

impl FromIterator<ImagePattern> for ImagePatterns {
    fn from_iter<T: IntoIterator<Item = ImagePattern>>(patterns: T) -> Self {
        Self(patterns.into_iter().collect())
    }
}

impl ImagePatterns {
    /// Whether an image may be run.
    #[must_use]
    pub(crate) fn allows(&self, image: &ImageName) -> bool {
        self.0.iter().any(|pattern| pattern.fits(image.as_str()))
    }
}

impl ImagePattern {
    fn fits(&self, name: &str) -> bool {
        let (patterns, parts) = (self.0.split('/'), name.split('/'));
        patterns.clone().count() == parts.clone().count()
            && patterns.zip(parts).all(|(pattern, part)| fits(pattern, part))
    }
}

/// Names of variables: one name, in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VariablePattern(String);

/// A text that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a variable, in which `*` stands for any characters")]
pub struct InvalidVariablePattern;

impl FromStr for VariablePattern {
    type Err = InvalidVariablePattern;

    fn from_str(text: &str) -> Result<Self, InvalidVariablePattern> {
        // With something in the place of each star it has to be a name.
        if is_name(&text.replace('*', "a")) { Ok(Self(text.to_owned())) } else { Err(InvalidVariablePattern) }
    }
}

impl TryFrom<String> for VariablePattern {
    type Error = InvalidVariablePattern;

    fn try_from(text: String) -> Result<Self, InvalidVariablePattern> {
        text.parse()
    }
}

impl fmt::Display for VariablePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VariablePattern {
    /// Whether a variable of this name may be given.
    #[must_use]
    pub(crate) fn allows(&self, name: &str) -> bool {
        fits(&self.0, name)
    }
}

/// Whether a part of a name fits a part of a pattern.
fn fits(pattern: &str, part: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else { return pattern == part };
    let Some(part) = part.strip_prefix(before) else { return false };
    let mut ends = part.char_indices().map(|(index, _)| index).chain([part.len()]);
    ends.any(|index| fits(rest, &part[index..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], image: &str) -> bool {
        let patterns: ImagePatterns = patterns.iter().map(|pattern| pattern.parse::<ImagePattern>().unwrap()).collect();
        patterns.allows(&image.parse().unwrap())
    }

    #[test]
    fn a_star_stands_for_anything_but_a_slash() {
        assert!(!allows(&[], "nginx"));
        assert!(allows(&["redis", "nginx"], "nginx"));
        assert!(!allows(&["nginx"], "nginx2"));
        assert!(allows(&["nginx*"], "nginx") && allows(&["nginx*"], "nginx-slim"));
        assert!(allows(&["*"], "nginx") && !allows(&["*"], "shop/nginx"));
        assert!(!allows(&["nginx*"], "nginx.example.org/shop"));
        assert!(allows(&["registry:5000/shop/*"], "registry:5000/shop/web"));
        assert!(!allows(&["registry:5000/shop/*"], "registry:5000/shop/web/other"));
        assert!(!allows(&["registry:5000/shop/*"], "registry:5001/shop/web"));
        assert!(allows(&["shop/*-web-*"], "shop/the-web-web-2") && !allows(&["shop/*-web-*"], "shop/the-web"));
    }

    #[test]
    fn a_pattern_of_variables_allows_no_others() {
        let allows = |pattern: &str, name: &str| pattern.parse::<VariablePattern>().unwrap().allows(name);
        assert!(allows("APP_*", "APP_COLOUR") && allows("APP_*", "APP_") && allows("COLOUR", "COLOUR"));
        assert!(!allows("APP_*", "LD_PRELOAD") && !allows("APP_*", "app_colour") && !allows("COLOUR", "COLOURS"));
        assert!(allows("*", "LD_PRELOAD"));
        for bad in ["", "A B", "A=*", "1*", "A,B"] {
            assert_eq!(bad.parse::<VariablePattern>(), Err(InvalidVariablePattern), "{bad:?}");
        }
    }

    #[test]
    fn what_fits_no_name_is_no_pattern() {
        for bad in ["", "Nginx", "a b", "nginx:1", "/nginx", "nginx/", "a@b", "*:*/a"] {
            assert_eq!(bad.parse::<ImagePattern>(), Err(InvalidImagePattern), "{bad:?}");
        }
    }
}
