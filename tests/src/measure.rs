//! What the bench needs to measure with: the load tools as processes, medians, and where the time went.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

/// One of our own tools, running beside the bench.
#[derive(Debug)]
pub struct Tool {
    name: String,
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tool {
    /// Starts `name`, built beside this program, with `--json`.
    ///
    /// # Panics
    /// When there is no such binary.
    pub fn start(name: &str, arguments: &[&str]) -> Tool {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(own.with_file_name(name));
        command.args(arguments).arg("--json").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|e| panic!("{name}: {e}: build the package tidegate-tests"));
        let lines = BufReader::new(child.stdout.take().expect("the tool's output"));
        Tool { name: name.into(), child, lines }
    }

    /// Waits for its next line.
    ///
    /// # Panics
    /// When it ends without one.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the tool's output");
        assert!(!line.is_empty(), "{} ended without a word", self.name);
        line.trim().to_owned()
    }

    /// Waits for its result.
    ///
    /// # Panics
    /// When it ends without one.
    pub fn result(mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}: {line}", self.name))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs a tool to its end.
///
/// # Panics
/// When it fails.
pub fn run(name: &str, arguments: &[&str]) -> Value {
    Tool::start(name, arguments).result()
}

/// A number of a tool's result.
///
/// # Panics
/// When the result lacks it.
pub fn number(result: &Value, name: &str) -> f64 {
    result[name].as_f64().unwrap_or_else(|| panic!("no number `{name}` in {result}"))
}

/// The median; of an even count the lower one.
///
/// # Panics
/// When there is none.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    assert!(!numbers.is_empty(), "the median of nothing");
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() - 1) / 2]
}

/// Says who used how much of the processor, and what therefore held the rest up.
pub fn bottleneck(parts: &[(&str, f64)], seconds: f64) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let shares: Vec<(&str, f64)> =
        parts.iter().map(|(name, cpu_us)| (*name, cpu_us / 1e6 / seconds)).collect();
    let all: f64 = shares.iter().map(|(_, share)| share).sum();
    let list: Vec<String> = shares.iter().map(|(name, share)| format!("{name} {share:.2}")).collect();
    let greatest = shares.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("nothing", |(name, _)| name);
    let verdict = match greatest {
        _ if all > 0.9 * cores => "the whole processor".to_owned(),
        name if shares.iter().any(|(_, share)| *share > 0.8) => format!("{name} (a full core)"),
        _ => "waiting, not the processor".to_owned(),
    };
    format!("{verdict}; cores used: {} of {cores:.0}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0]), 3.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![3.0, 1.0]), 1.0);
    }

    #[test]
    fn the_greatest_part_is_named() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        if cores > 1 {
            assert!(bottleneck(&[("a", 2e6), ("b", 1e5)], 2.1).starts_with("a (a full core)"));
        }
        assert!(bottleneck(&[("a", 1e5), ("b", 1e5)], 2.0).starts_with("waiting"));
    }
}
