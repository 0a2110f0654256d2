//! What the environment-service says in its log that it admitted.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use crate::history::{Admission, Credential, Kind, Method};

/// The event, as the access layer logs it.
const EVENT: &str = "a call was admitted";

/// One line of the log, as far as it matters.
#[derive(Deserialize)]
struct Line {
    message: String,
    #[serde(rename = "rpc.method")]
    method: String,
    credential: String,
    #[serde(rename = "call.arrived_at")]
    arrived: Timestamp,
    #[serde(rename = "grant.issued_at")]
    granted: Timestamp,
}

/// Reads a log, which can be large.
pub(crate) fn read(file: &Path) -> io::Result<Vec<Admission>> {
    let mut admissions = Vec::new();
    for line in BufReader::new(File::open(file)?).split(b'\n') {
        admissions.extend(parse(&String::from_utf8_lossy(&line?)));
    }
    Ok(admissions)
}

/// A killed process can leave half a line behind, and says other things as well: those are none.
fn parse(line: &str) -> Option<Admission> {
    if !line.contains(EVENT) {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    let (kind, number) = line.credential.split_once(' ')?;
    let kind = match kind {
        "session" => Kind::Session,
        "token" => Kind::Token,
        _ => return None,
    };
    Some(Admission {
        credential: Credential { kind, number: number.parse().ok()? },
        method: Method::by_name(&line.method).filter(|_| line.message == EVENT)?,
        arrived: line.arrived.as_microsecond(),
        granted: line.granted.as_microsecond(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admissions_are_read_and_all_else_is_not() {
        let line = r#"{"timestamp":"2026-01-01T00:00:02.000300Z","level":"DEBUG","message":"a call was admitted","rpc.method":"environment.control.GetEnvInfo","credential":"token 12","call.arrived_at":"2026-01-01T00:00:02.0002Z","grant.issued_at":"2026-01-01T00:00:01Z","request.id":"","target":"access::layer"}"#;
        let read = parse(line).unwrap();
        assert_eq!(read.credential, Credential { kind: Kind::Token, number: 12 });
        assert_eq!(read.method, Method::GetEnvInfo);
        assert_eq!(read.arrived - read.granted, 1_000_200);
        assert_eq!(parse(&line[..90]), None);
        assert_eq!(parse(&line.replace("admitted", "refused")), None);
        assert_eq!(parse(&line.replace("GetEnvInfo", "StopEnv")), None);
        assert_eq!(parse(""), None);
    }
}
