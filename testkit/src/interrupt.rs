use std::fmt::Display;
use std::process::ExitCode;

/// Runs a command to its end, or until Ctrl-C, which lets go of everything in its order, so that nothing is left behind. The
/// command says whether all was as it must be.
pub async fn until_interrupted<E: Display>(run: impl Future<Output = Result<bool, E>>) -> ExitCode {
    let error = tokio::select! {
        done = run => match done {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => format!("{error:#}"),
        },
        _ = tokio::signal::ctrl_c() => "interrupted".to_owned(),
    };
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
