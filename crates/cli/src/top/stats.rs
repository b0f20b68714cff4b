// SPDX-License-Identifier: GPL-2.0-or-later
//! Statistics of a scheduler, from the socket of its `rota run`.

use anyhow::{Context, Result};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// The longest line that is waited for.
const LINE_BYTES_MAX: usize = 1 << 20;

/// A socket that tells statistics, line by line.
pub(super) struct Stats {
    stream: UnixStream,
    received: Vec<u8>,
    last: Option<Value>,
    gone: bool,
}

impl Stats {
    /// Connects, and asks for a line with each sample.
    pub(super) fn connect(path: &Path) -> Result<Self> {
        let place = || path.display().to_string();
        let mut stream = UnixStream::connect(path).with_context(|| {
            format!("no scheduler answers on {} (`rota run SCHED` puts one there)", place())
        })?;
        stream.write_all(b"watch\n").with_context(place)?;
        stream.set_nonblocking(true).with_context(place)?;
        Ok(Self { stream, received: Vec::new(), last: None, gone: false })
    }

    /// Takes what has come.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; 4096];
        while !self.gone {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.gone = true,
                Ok(read) => self.received.extend(&bytes[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
            self.gone |= self.received.len() > LINE_BYTES_MAX;
        }
        while let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            self.last = serde_json::from_slice(&line).ok().or(self.last.take());
        }
    }

    /// What is known: the scheduler, then a line for each number.
    pub(super) fn lines(&self) -> Vec<String> {
        let Some(last) = &self.last else {
            return vec![if self.gone { "the scheduler is gone" } else { "waiting" }.to_owned()];
        };
        let name = last["scheduler"].as_str().unwrap_or("?");
        let gone = if self.gone { " (gone)" } else { "" };
        let mut lines = vec![format!("{name}{gone}")];
        let seconds = last["interval_ns"].as_f64().unwrap_or(0.0).max(1.0) / 1e9;
        for (metric, total) in last["totals"].as_object().into_iter().flatten() {
            let value = match last["increase"][metric].as_f64() {
                Some(increase) => format!("{:.0}/s", increase / seconds),
                None => total.to_string(),
            };
            lines.push(format!("{metric:<24} {value:>12}"));
        }
        lines
    }
}
