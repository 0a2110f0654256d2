//! The inputs that are kept: each is run, and becomes what its name says.

use std::fs;
use std::path::Path;

use fuzz::Outcome;

/// Runs a folder's inputs. Those whose names begin with `refused-` are refused, all others are taken.
fn run(target: fn(&[u8]) -> Outcome, folder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(folder);
    let mut wrong = Vec::new();
    for file in fs::read_dir(&folder).expect("the inputs are in the repository") {
        let file = file.expect("a folder can be read to its end");
        let name = file.file_name().to_string_lossy().into_owned();
        let input = fs::read(file.path()).expect("an input can be read");
        let expected = if name.starts_with("refused-") { Outcome::Refused } else { Outcome::Accepted };
        match std::panic::catch_unwind(|| target(&input)) {
            Ok(outcome) if outcome == expected => {}
            Ok(outcome) => wrong.push(format!("{name}: {outcome:?}")),
            Err(_) => wrong.push(format!("{name}: something does not hold, see above")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn parameters() {
    run(fuzz::parameters, "parameters");
}

#[test]
fn credentials() {
    run(fuzz::credentials, "credentials");
}

#[test]
fn transcoder() {
    run(fuzz::transcoder, "transcoder");
}

/// The fuzzer comes to know pieces of the secrets that stand behind the names, here of the token's. Another generator makes another token:
/// then the piece is another.
#[test]
fn a_piece_of_a_secret_that_stands_in_the_input_proves_nothing() {
    let input =
        b"POST /1.0/environment/control/rest/addcontainerenvvars\nContent-Type: application/x-www-form-urlencoded\n\n\
                  envName=a&vars={\"98j1LaDbnR$TO: aKEN\":{}}";
    assert_eq!(fuzz::credentials(input), Outcome::Nothing);
}
