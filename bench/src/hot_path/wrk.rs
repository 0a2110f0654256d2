//! Load over HTTP by [wrk](https://github.com/wg/wrk): it costs less of its core than any client of ours would.

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::process::Command;

/// How many connections call at once.
const CONNECTIONS: u32 = 64;

/// A call that is made again and again.
pub(super) struct Call {
    pub(super) url: String,
    pub(super) verb: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: &'static str,
    /// The only right answer.
    pub(super) answer: &'static str,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) per_second: f64,
    pub(super) p99: Duration,
}

/// Whether it can be had.
pub(super) fn is_there() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("wrk").is_file())
}

impl Call {
    /// Calls for a while, from one core.
    pub(super) async fn measure(&self, core: usize, time: Duration, folder: &Path) -> anyhow::Result<Run> {
        parse(&self.run(core, time, folder, &self.request()).await?)
    }

    /// Calls for a second and looks at every answer, which costs the load so much that nothing is measured meanwhile.
    pub(super) async fn check(&self, core: usize, folder: &Path) -> anyhow::Result<()> {
        let script = self.request() + &self.counting();
        let text = self.run(core, Duration::from_secs(1), folder, &script).await?;
        parse(&text)?;
        ensure!(text.lines().any(|line| line == "wrong answers: 0"), "{} answers wrongly:\n{text}", self.url);
        Ok(())
    }

    async fn run(&self, core: usize, time: Duration, folder: &Path, script: &str) -> anyhow::Result<String> {
        let file = folder.join("wrk.lua");
        std::fs::write(&file, script)?;
        let mut wrk = Command::new("taskset");
        wrk.args(["--cpu-list", &core.to_string(), "wrk", "--threads", "1", "--latency", "--script"]).arg(&file);
        wrk.args(["--connections", &CONNECTIONS.to_string(), "--duration", &format!("{}s", time.as_secs()), &self.url]);
        let output = wrk.stdin(Stdio::null()).kill_on_drop(true).output().await.context("wrk cannot be started")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "wrk failed: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    /// The request, as a script. Without functions it is made once, so it costs nothing in the run.
    fn request(&self) -> String {
        let mut script = format!("wrk.method = {:?}\n", self.verb);
        for (name, value) in &self.headers {
            let _ = writeln!(script, "wrk.headers[{name:?}] = {value:?}");
        }
        if !self.body.is_empty() {
            let _ = writeln!(script, "wrk.body = {:?}", self.body);
        }
        script
    }

    fn counting(&self) -> String {
        format!(
            "local threads = {{}}\n\
             function setup(thread) table.insert(threads, thread) end\n\
             wrong = 0\n\
             function response(status, headers, body)\n\
               if status ~= 200 or body ~= {:?} then wrong = wrong + 1 end\n\
             end\n\
             function done()\n\
               local sum = 0\n\
               for _, thread in ipairs(threads) do sum = sum + thread:get('wrong') end\n\
               print(string.format('wrong answers: %d', sum))\n\
             end\n",
            self.answer
        )
    }
}

/// Reads what wrk writes.
fn parse(text: &str) -> anyhow::Result<Run> {
    let value = |label: &str| text.lines().find_map(|line| line.trim().strip_prefix(label)).map(str::trim);
    for trouble in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(said) = value(trouble) {
            bail!("wrk met trouble: {trouble} {said}");
        }
    }
    let per_second: f64 = value("Requests/sec:").context("wrk tells no rate")?.parse()?;
    ensure!(per_second > 0.0, "there was no answer");
    let p99 = value("99%").and_then(duration).context("wrk tells no 99th percentile")?;
    Ok(Run { per_second, p99 })
}

/// `812.00us`, `1.20ms`, `1.01s`, `1.50m`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Running 5s test @ http://127.0.0.1:8080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.05ms  507.23us  18.18ms   91.20%
    Req/Sec    31.26k     2.03k   33.99k    84.00%
  Latency Distribution
     50%    1.98ms
     75%    2.12ms
     90%    2.31ms
     99%  812.50us
  155518 requests in 5.00s, 33.22MB read
Requests/sec:  31099.14
Transfer/sec:      6.64MB
";

    #[test]
    fn a_run_is_read() {
        assert_eq!(parse(TEXT).unwrap(), Run { per_second: 31099.14, p99: Duration::from_nanos(812_500) });
    }

    #[test]
    fn a_run_with_trouble_is_none() {
        let refused = TEXT.replace("Requests/sec:", "  Non-2xx or 3xx responses: 17\nRequests/sec:");
        assert_eq!(parse(&refused).unwrap_err().to_string(), "wrk met trouble: Non-2xx or 3xx responses: 17");
        let broken =
            TEXT.replace("Requests/sec:", "  Socket errors: connect 0, read 3, write 0, timeout 0\nRequests/sec:");
        assert!(parse(&broken).is_err());
        assert!(parse(&TEXT.replace("31099.14", "0.00")).is_err());
        assert!(parse("unable to connect to 127.0.0.1:1 Connection refused").is_err());
    }

    #[test]
    fn durations_have_units() {
        let read = ["1.00us", "1.50ms", "2.00s", "1.50m", "3", "3.00d"].map(duration);
        let micros = [1, 1500, 2_000_000, 90_000_000].map(|micros| Some(Duration::from_micros(micros)));
        assert_eq!(read[..4], micros);
        assert_eq!(read[4..], [None, None]);
    }
}
