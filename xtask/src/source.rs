use anyhow::Context;

use crate::steps::Step;
use crate::tools::{Tools, output, run};

pub(crate) const FORMAT: Step = Step { name: "format", run: format };
pub(crate) const LINTS: Step = Step {
    name: "lints",
    run: |tools| run(&mut tools.cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
};
pub(crate) const UNIT_TESTS: Step =
    Step { name: "unit tests", run: |tools| run(&mut tools.cargo(&["test", "--workspace", "--lib", "--bins"])) };
pub(crate) const BINARIES: Step =
    Step { name: "binaries", run: |tools| run(&mut tools.cargo(&["build", "--workspace", "--bins"])) };
pub(crate) const ALL_TESTS: Step = Step { name: "tests", run: |tools| run(&mut tools.cargo(&["test", "--workspace"])) };

/// Every file of the repository, because `cargo fmt` follows `mod` and so does not see what a macro pulls in.
fn format(tools: &Tools) -> anyhow::Result<()> {
    let files = rust_files(tools)?;
    let mut rustfmt = tools.command("rustfmt", &["--check", "--edition", "2024"]);
    run(rustfmt.args(files)).context("`cargo fmt` and `rustfmt FILE` put it right")
}

/// Those that git tracks and those that it is about to: not the ignored ones, nor those that were removed.
fn rust_files(tools: &Tools) -> anyhow::Result<Vec<String>> {
    let listed = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.rs"];
    let listed =
        String::from_utf8(output(&mut tools.command("git", &listed))?).context("a file's name is not UTF-8")?;
    let removed = output(&mut tools.command("git", &["ls-files", "-z", "--deleted", "*.rs"]))?;
    let removed = String::from_utf8(removed).context("a file's name is not UTF-8")?;
    let removed: Vec<&str> = removed.split_terminator('\0').collect();
    Ok(listed.split_terminator('\0').filter(|file| !removed.contains(file)).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, remove_file, write};

    use super::*;

    #[test]
    fn files_that_no_module_names_are_checked_too() {
        let folder = tempfile::tempdir().unwrap();
        let tools = Tools::at(folder.path());
        let git = |arguments: &[&str]| output(&mut tools.command("git", arguments)).map(drop).unwrap();
        git(&["init", "--quiet"]);
        create_dir(folder.path().join("ignored")).unwrap();
        for (file, text) in [
            (".gitignore", "/ignored\n"),
            ("lib.rs", "fn tidy() {}\n"),
            ("removed.rs", "fn removed(){}\n"),
            ("ignored/generated.rs", "fn generated(){}\n"),
        ] {
            write(folder.path().join(file), text).unwrap();
        }
        git(&["add", "."]);
        remove_file(folder.path().join("removed.rs")).unwrap();
        assert_eq!(rust_files(&tools).unwrap(), ["lib.rs"]);
        format(&tools).unwrap();
        write(folder.path().join("alone.rs"), "fn untidy(){}\n").unwrap();
        assert_eq!(rust_files(&tools).unwrap(), ["alone.rs", "lib.rs"].map(str::to_owned));
        assert!(format!("{:#}", format(&tools).unwrap_err()).contains("`rustfmt` failed"));
    }
}
