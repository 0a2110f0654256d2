use std::path::Path;

use anyhow::Context;

/// An entry for apt, in one of its two formats.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// For a file that ends in `.list`.
    Line(String),
    /// For a file that ends in `.sources`.
    Stanza(String),
}

impl Entry {
    pub(super) fn file_name(&self, name: &str) -> String {
        match self {
            Self::Line(_) => format!("{name}.list"),
            Self::Stanza(_) => format!("{name}.sources"),
        }
    }

    pub(super) fn text(&self) -> &str {
        let (Self::Line(text) | Self::Stanza(text)) = self;
        text
    }
}

/// The entry for the sources of a suite, from where the machine has its packages of that suite.
pub(super) fn of_machine(apt: &Path, suite: &str) -> anyhow::Result<Entry> {
    let parts = std::fs::read_dir(apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut files: Vec<_> = parts.map(|part| part.path()).collect();
    files.sort();
    files.insert(0, apt.join("sources.list"));
    let entry = files.iter().find_map(|file| {
        let text = std::fs::read_to_string(file).ok()?;
        match file.extension()?.to_str()? {
            "list" => in_list(&text, suite).map(Entry::Line),
            "sources" => in_sources(&text, suite).map(Entry::Stanza),
            _ => None,
        }
    });
    entry.with_context(|| format!("{} names no mirror of Debian's `{suite} main`", apt.display()))
}

/// `deb [options] URI suite component …` becomes the same with `deb-src` and one component.
fn in_list(text: &str, suite: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let line = line.split('#').next()?.trim();
        let rest = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t', '[']))?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map(|(options, rest)| (format!("[{}] ", options.trim()), rest))?,
            None => (String::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let (uri, named) = (words.next()?, words.next()?);
        (named == suite && words.any(|component| component == "main"))
            .then(|| format!("deb-src {options}{uri} {suite} main\n"))
    })
}

/// A stanza whose types hold `deb` becomes the same for `deb-src`, one suite and one component.
fn in_sources(text: &str, suite: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).find_map(|stanza| source_stanza(stanza, suite))
}

fn source_stanza(lines: &[&str], suite: &str) -> Option<String> {
    let value = |name: &str| {
        let fields = lines.iter().filter_map(|line| line.split_once(':'));
        fields.into_iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let holds =
        |name: &str, word: &str| value(name).is_some_and(|value| value.split_whitespace().any(|own| own == word));
    let disabled = value("Enabled").is_some_and(|value| ["no", "false", "off", "0"].contains(&value));
    if disabled || !(holds("Types", "deb") && holds("Suites", suite) && holds("Components", "main")) {
        return None;
    }
    let mut text = String::new();
    for line in lines {
        let field = line.split_once(':').map(|(field, _)| field.to_ascii_lowercase());
        let line = match field.as_deref() {
            Some("types") => "Types: deb-src",
            Some("suites") => &format!("Suites: {suite}"),
            Some("components") => "Components: main",
            // Others stay, with the lines that go on with them.
            _ => line,
        };
        text.push_str(line);
        text.push('\n');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, write};

    use super::*;

    const STANZAS: &str = "\
# security first
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://switched.off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
# a snapshot
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc: def
";

    #[test]
    fn lines_of_the_suite_are_found_among_others() {
        let text = "\
# deb http://old.example/debian bookworm main
deb-src http://other.example/debian bookworm main
deb http://mirror.example/debian bookworm-updates main
deb http://mirror.example/debian bookworm contrib
deb [ arch=amd64 signed-by=/key.gpg ]  https://mirror.example/debian\tbookworm contrib main # ours
";
        let found = in_list(text, "bookworm").unwrap();
        assert_eq!(found, "deb-src [arch=amd64 signed-by=/key.gpg] https://mirror.example/debian bookworm main\n");
        let plain = in_list("deb http://mirror.example/debian bookworm main", "bookworm").unwrap();
        assert_eq!(plain, "deb-src http://mirror.example/debian bookworm main\n");
        assert_eq!(in_list(text, "trixie"), None);
        assert_eq!(in_list("deb [broken\ndebian\ndeb\n", "bookworm"), None);
    }

    #[test]
    fn stanzas_keep_their_mirror_and_their_key() {
        let found = in_sources(STANZAS, "bookworm").unwrap();
        let expected = "\
Types: deb-src
URIs: http://mirror.example/debian
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc: def
";
        assert_eq!(found, expected);
        assert_eq!(in_sources(STANZAS, "trixie"), None);
        assert_eq!(in_sources("", "bookworm"), None);
    }

    #[test]
    fn the_machine_s_files_are_read_by_their_formats() {
        let apt = tempfile::tempdir().unwrap();
        create_dir(apt.path().join("sources.list.d")).unwrap();
        let none = of_machine(apt.path(), "bookworm").unwrap_err().to_string();
        assert!(none.ends_with("names no mirror of Debian's `bookworm main`"), "{none}");
        write(apt.path().join("sources.list.d/debian.sources"), STANZAS).unwrap();
        write(apt.path().join("sources.list.d/a.list.disabled"), "deb http://no.example/ bookworm main").unwrap();
        let stanza = of_machine(apt.path(), "bookworm").unwrap();
        assert!(
            stanza.file_name("ours") == "ours.sources"
                && stanza.text().contains("URIs: http://mirror.example/debian\n")
        );
        write(apt.path().join("sources.list"), "deb http://first.example/ bookworm main").unwrap();
        let line = of_machine(apt.path(), "bookworm").unwrap();
        assert_eq!(
            (line.file_name("ours"), line.text()),
            ("ours.list".to_owned(), "deb-src http://first.example/ bookworm main\n")
        );
    }
}
