//! What a chapter's text has to be run.

/// A block of a text that is not prose.
pub(crate) struct Block {
    /// What stands behind its fence; `indented` where it has none.
    pub(crate) kind: String,
    pub(crate) lines: Vec<String>,
    /// The comment on the line before it, or before the empty line before it.
    note: Option<String>,
}

/// What is done with a chapter.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Another chapter is run before.
    First { chapter: String },
    /// A file is written.
    File { name: String, text: String },
    /// A command is begun that goes on.
    Background { command: String },
    /// A command is run, and prints these lines among others.
    Run { command: String, printed: Vec<String> },
}

enum Piece {
    Block(Block),
    Note(String),
    /// A file that is written, and not shown.
    File(String, Vec<String>),
}

/// The blocks and the comments of a text.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Option<Block> = None;
    let mut note = None;
    let mut hidden: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        if let Some((name, mut lines)) = hidden.take() {
            if line == "-->" {
                pieces.push(Piece::File(name, lines));
            } else {
                lines.push(line.to_owned());
                hidden = Some((name, lines));
            }
            continue;
        }
        if let Some(block) = &mut open {
            let fenced = block.kind != "indented";
            match line.strip_prefix("    ") {
                _ if fenced && line == "```" => pieces.extend(open.take().map(Piece::Block)),
                _ if fenced => block.lines.push(line.to_owned()),
                Some(line) => block.lines.push(line.to_owned()),
                None if line.is_empty() => block.lines.push(String::new()),
                None => pieces.extend(open.take().map(Piece::Block)),
            }
            if open.is_some() || fenced {
                continue;
            }
        }
        if let Some(comment) = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->")) {
            note = Some(comment.to_owned());
            pieces.push(Piece::Note(comment.to_owned()));
        } else if let Some(name) = line.strip_prefix("<!-- file ") {
            hidden = Some((name.to_owned(), Vec::new()));
        } else if let Some(kind) = line.strip_prefix("```") {
            open = Some(Block { kind: kind.to_owned(), lines: Vec::new(), note: note.take() });
        } else if let Some(line) = line.strip_prefix("    ") {
            open = Some(Block { kind: "indented".to_owned(), lines: vec![line.to_owned()], note: note.take() });
        } else if !line.is_empty() {
            note = None;
        }
    }
    pieces.extend(open.map(Piece::Block));
    pieces
}

pub(crate) fn blocks(text: &str) -> impl Iterator<Item = Block> {
    pieces(text).into_iter().filter_map(|piece| match piece {
        Piece::Block(block) => Some(block),
        Piece::Note(_) | Piece::File(..) => None,
    })
}

/// What is to be done, in its order.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for piece in pieces(text) {
        match piece {
            Piece::Note(note) => {
                if let Some(command) = note.strip_prefix("$ ") {
                    steps.push(Step::Run { command: command.to_owned(), printed: Vec::new() });
                } else if let Some(chapter) = note.strip_prefix("first ") {
                    steps.push(Step::First { chapter: chapter.to_owned() });
                }
            }
            Piece::File(name, lines) => steps.push(Step::File { name, text: lines.join("\n") + "\n" }),
            Piece::Block(block) => match block.note.as_deref() {
                Some(note) if note.starts_with("file ") => {
                    let name = note["file ".len()..].to_owned();
                    steps.push(Step::File { name, text: block.lines.join("\n") + "\n" });
                }
                note if block.kind == "console" => commands(&block.lines, note == Some("background"), &mut steps),
                _ => {}
            },
        }
    }
    steps
}

fn commands(lines: &[String], background: bool, steps: &mut Vec<Step>) {
    for line in lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) if background => steps.push(Step::Background { command: command.to_owned() }),
            (Some(command), _) => steps.push(Step::Run { command: command.to_owned(), printed: Vec::new() }),
            // What follows a line that goes on is of the same command.
            (None, Some(Step::Run { command, .. })) if command.ends_with('\\') => {
                command.pop();
                command.push_str(line.trim_start());
            }
            (None, Some(Step::Run { printed, .. })) => printed.push(line.clone()),
            // What goes on is not waited for, and what it prints is in its log.
            (None, _) => assert!(background, "`{line}` comes after no command"),
        }
    }
}

/// Whether a line is as it is said to be; `…` stands for anything.
pub(crate) fn fits(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (index, part) in parts.iter().enumerate() {
        if index + 1 == parts.len() {
            return rest.ends_with(part);
        }
        let Some(found) = rest.find(part) else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

#[test]
fn what_stands_for_anything_stands_for_nothing_else() {
    assert!(fits("a…c", "abc") && fits("…", "anything") && fits("a…b…c", "a1b2c") && fits("same", "same"));
    assert!(!fits("a…c", "abd") && !fits("same", "other") && !fits("a…b…c", "acb"));
}

#[test]
fn a_chapter_is_read_as_it_is_written() {
    let text = "\
Text.

<!-- first other.md -->
<!-- $ cd folder -->
<!-- file hidden.toml
key = 2
-->

<!-- file a.toml -->
```toml
key = 1
```

    curl -v

<!-- background -->
```console
$ serve
ready
```

```console
$ one \\
    --more
said
$ two
```

```sh
elsewhere
```
";
    let run = |command: &str, printed: &[&str]| Step::Run {
        command: command.to_owned(),
        printed: printed.iter().map(|&line| line.to_owned()).collect(),
    };
    let expected = [
        Step::First { chapter: "other.md".to_owned() },
        run("cd folder", &[]),
        Step::File { name: "hidden.toml".to_owned(), text: "key = 2\n".to_owned() },
        Step::File { name: "a.toml".to_owned(), text: "key = 1\n".to_owned() },
        Step::Background { command: "serve".to_owned() },
        run("one --more", &["said"]),
        run("two", &[]),
    ];
    assert_eq!(steps(text), expected);
    let kinds: Vec<String> = blocks(text).map(|block| block.kind).collect();
    assert_eq!(kinds, ["toml", "indented", "console", "console", "sh"]);
}
