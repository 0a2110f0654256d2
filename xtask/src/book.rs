//! The book as it is read: every chapter is rendered, and every link in it leads somewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, ensure};
use html5gum::{Token, Tokenizer};

use crate::packages;
use crate::steps::Step;
use crate::tools::{self, Tools};

pub(crate) const STEP: Step = Step { name: "book", run };

/// Where `book.toml` says.
const RENDERED: &str = "target/book";

/// All chapters once more, on one page, for printing.
const PRINTED: &str = "print.html";

fn run(tools: &Tools) -> anyhow::Result<()> {
    let program = packages::mdbook(tools)?;
    tools::run(tools.command_at(&program).arg("build"))?;
    let pages = Pages::read(&tools.path(RENDERED))?;
    ensure!(!pages.pages.is_empty(), "the book has no pages");
    let broken = pages.broken_links();
    ensure!(broken.is_empty(), "links of the book lead nowhere:\n  {}", broken.join("\n  "));
    eprintln!("  the book is in {RENDERED}");
    Ok(())
}

/// What links can be seen of a page.
#[derive(Default)]
struct Page {
    anchors: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Page {
    fn of(html: &str) -> Self {
        let mut page = Self::default();
        for Ok(token) in Tokenizer::new(html) {
            let Token::StartTag(tag) = token else { continue };
            // Of a page that is shown wherever another is missing: it says where its links begin.
            if *tag.name == b"base"[..] {
                continue;
            }
            for (name, value) in tag.attributes {
                let value = String::from_utf8_lossy(&value).into_owned();
                match name.as_slice() {
                    b"id" => page.anchors.insert(value),
                    b"href" | b"src" => page.links.insert(value),
                    _ => false,
                };
            }
        }
        page
    }
}

/// All of them, by their paths in a folder.
struct Pages {
    folder: PathBuf,
    pages: BTreeMap<PathBuf, Page>,
}

impl Pages {
    fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut pages = BTreeMap::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(&next).with_context(|| format!("{} cannot be read", next.display()))? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "html") && !path.ends_with(PRINTED) {
                    let page = Page::of(&fs::read_to_string(&path)?);
                    pages.insert(path.strip_prefix(folder)?.to_owned(), page);
                }
            }
        }
        Ok(Self { folder: folder.to_owned(), pages })
    }

    fn broken_links(&self) -> Vec<String> {
        let links = self.pages.iter().flat_map(|(path, page)| page.links.iter().map(move |link| (path, link)));
        let broken = links.filter(|(path, link)| !self.leads_somewhere(path, link));
        broken.map(|(path, link)| format!("{}: {link}", path.display())).collect()
    }

    /// Links to other places of the web are not followed.
    fn leads_somewhere(&self, from: &Path, link: &str) -> bool {
        if link.contains(':') {
            return true;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let target = if path.is_empty() { from.to_owned() } else { beside(from, path) };
        match self.pages.get(&target) {
            Some(page) => anchor.is_empty() || page.anchors.contains(anchor),
            None => anchor.is_empty() && self.folder.join(target).is_file(),
        }
    }
}

/// What a relative link means on a page.
fn beside(page: &Path, link: &str) -> PathBuf {
    let mut path = page.parent().unwrap_or(Path::new("")).to_owned();
    for component in Path::new(link).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where links of a text lead that names them only.
    fn definitions(file: &str) -> Vec<String> {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)).unwrap();
        let named = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
        named.map(|(name, _)| name.to_owned()).collect()
    }

    /// A link without one would be rendered as text, and nobody would miss it.
    #[test]
    fn what_is_taken_into_the_book_leads_on_from_there_too() {
        for (file, chapter) in [("ARCHITECTURE.md", "docs/architecture.md"), ("SECURITY.md", "docs/security.md")] {
            let named = definitions(file);
            assert_eq!(named, definitions(chapter), "{file}");
            assert!(!named.is_empty());
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("adr")).unwrap();
        let start = "<h1 id=top>a</h1><a href='adr/1.html#why'>b</a><a href='#top'>c</a><a href=https://x.test/#y>d</a>\
                     <!-- <a href='comment.html'> --><img src=a.svg><a href='adr/2.html'>e</a><a href='#bottom'>f</a>";
        let decision = "<h2 id='why'></h2><a href='../start.html#top'>a</a><a href='../start.html#why'>b</a>";
        for (name, text) in [("start.html", start), ("adr/1.html", decision), ("a.svg", ""), (PRINTED, start)] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let broken = Pages::read(folder.path()).unwrap().broken_links();
        assert_eq!(broken, ["adr/1.html: ../start.html#why", "start.html: #bottom", "start.html: adr/2.html"]);
    }
}
