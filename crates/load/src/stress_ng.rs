// SPDX-License-Identifier: GPL-2.0-or-later
//! Load by stress-ng, where that is installed: it is started with arguments of its own, and told to
//! write its metrics to a file.

use std::fs;
use std::io;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Its name.
const PROGRAM: &str = "stress-ng";

/// Why stress-ng can't do something.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// It is not there.
    #[error("stress-ng is not installed: apt install stress-ng, or dnf install stress-ng")]
    Missing,
    /// The arguments have something that is ours to say.
    #[error("--stress-ng: {0} is given by rota load itself")]
    Argument(String),
    /// There are no arguments.
    #[error("--stress-ng: say which stressors, such as '--cpu 2' or '--switch 4 --pipe 2'")]
    Nothing,
    /// It failed.
    #[error("stress-ng {arguments} failed ({status}): {said}")]
    Failed {
        /// Its arguments.
        arguments: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
    /// Something of the system's.
    #[error("stress-ng: {0}")]
    Io(#[from] io::Error),
}

/// What one kind of its stressors did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stressor {
    /// Its name.
    pub name: String,
    /// Its bogo operations: what one is, each kind of stressor says for itself.
    pub bogo_ops: u64,
    /// How long it ran, in s.
    pub wall_s: f64,
    /// CPU time of user space and of the kernel, in s.
    pub cpu_s: f64,
}

/// Options that are ours, with what they mean.
const OWN: [&str; 7] =
    ["--yaml", "-Y", "--metrics", "--metrics-brief", "--timeout", "-t", "--log-file"];

/// stress-ng at work.
#[derive(Debug)]
pub struct StressNg {
    arguments: Vec<String>,
    child: Child,
    folder: TempDir,
}

impl StressNg {
    /// Starts it with arguments, blanks between them, for so long; it takes whole seconds.
    ///
    /// # Errors
    /// [`StressError`] if it is not installed, or the arguments can't be used.
    pub fn start(arguments: &str, run_ns: u64) -> Result<Self, StressError> {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        if arguments.is_empty() {
            return Err(StressError::Nothing);
        }
        let is_own = |word: &&String| OWN.contains(&word.split('=').next().unwrap_or_default());
        if let Some(own) = arguments.iter().find(is_own) {
            return Err(StressError::Argument(own.clone()));
        }
        let folder = TempDir::new()?;
        let output = fs::File::create(folder.path().join("output"))?;
        let child = Command::new(PROGRAM)
            .args(&arguments)
            .args(["--metrics", "--yaml"])
            .arg(folder.path().join("metrics"))
            .arg("--timeout")
            .arg(format!("{}s", run_ns.div_ceil(1_000_000_000).max(1)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn();
        let child = child.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StressError::Missing,
            _ => error.into(),
        })?;
        Ok(Self { arguments, child, folder })
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// That of the system.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Tells it to end, as Ctrl-C does: it then still says what it did.
    pub fn stop(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // One that has ended needs no word.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
    }

    /// Waits for its end: what it did.
    ///
    /// # Errors
    /// [`StressError::Failed`] with what it said, if it did nothing.
    pub fn finish(mut self) -> Result<Vec<Stressor>, StressError> {
        let status = self.child.wait()?;
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name));
        let stressors = read("metrics").map(|text| metrics(&text)).unwrap_or_default();
        if !stressors.is_empty() {
            return Ok(stressors);
        }
        let said = read("output").unwrap_or_default();
        let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        Err(StressError::Failed {
            arguments: self.arguments.join(" "),
            status: status.to_string(),
            said: said.iter().rev().take(3).rev().copied().collect::<Vec<_>>().join("; "),
        })
    }
}

impl Drop for StressNg {
    /// It does not outlive who started it.
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.stop();
            let _ = self.child.wait();
        }
    }
}

/// The metrics of its YAML: under `metrics:` an item for each kind of stressor, `key: value` each.
fn metrics(yaml: &str) -> Vec<Stressor> {
    let mut found: Vec<Stressor> = Vec::new();
    let lines = yaml.lines().skip_while(|line| line.trim_end() != "metrics:").skip(1);
    for line in lines.take_while(|line| line.starts_with(' ') || line.trim().is_empty()) {
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if let Some("stressor") = key.strip_prefix("- ").map(str::trim) {
            found
                .push(Stressor { name: value.trim_matches('"').to_owned(), ..Stressor::default() });
        }
        let Some(last) = found.last_mut() else { continue };
        let number = value.parse::<f64>().unwrap_or(0.0);
        match key {
            "bogo-ops" => last.bogo_ops = value.parse().unwrap_or(number as u64),
            "wall-clock-time" => last.wall_s = number,
            "user-time" | "system-time" => last.cpu_s += number,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read() {
        let yaml = "---\nsystem-info:\n      stress-ng-version: 0.15.06\n\nmetrics:\n    - stressor: cpu\n      \
                    bogo-ops: 2216\n      wall-clock-time: 1.002\n      user-time: 1.990\n      \
                    system-time: 0.010\n\n    - stressor: switch\n      bogo-ops: 7\n\ntimes:\n      \
                    user-time: 9\n...\n";
        let expected = [
            Stressor { name: "cpu".into(), bogo_ops: 2216, wall_s: 1.002, cpu_s: 2.0 },
            Stressor { name: "switch".into(), bogo_ops: 7, ..Stressor::default() },
        ];
        assert_eq!(metrics(yaml), expected);
        assert_eq!(metrics("---\n...\n"), []);
    }

    #[test]
    fn what_is_not_for_it_is_told() {
        let said = |arguments| StressNg::start(arguments, 1).unwrap_err().to_string();
        assert_eq!(
            said("--cpu 1 --timeout=5"),
            "--stress-ng: --timeout=5 is given by rota load itself"
        );
        assert!(said("  ").contains("say which stressors"));
    }
}
