// SPDX-License-Identifier: GPL-2.0-or-later
//! What a scheduler in charge plans moves from.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a scheduler may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer: some 300 bytes for each of a million tasks.
const BYTES_MAX: u64 = 300_000_000;

/// Asks the scheduler behind a socket for its snapshot.
pub(super) fn snapshot(scheduler: &str, socket: &Path) -> Result<String> {
    let place = || socket.display().to_string();
    let mut stream = UnixStream::connect(socket).with_context(|| {
        format!("no scheduler answers on {} (`rota run {scheduler}` puts one there)", place())
    })?;
    stream.set_read_timeout(Some(PATIENCE)).with_context(place)?;
    stream.write_all(b"snapshot\n").with_context(place)?;
    stream.shutdown(Shutdown::Write).with_context(place)?;
    let mut text = String::new();
    stream.take(BYTES_MAX).read_to_string(&mut text).with_context(place)?;
    if text.starts_with("{\"error\"") {
        let said: Value = serde_json::from_str(&text).with_context(place)?;
        bail!("{}: {}", place(), said["error"].as_str().unwrap_or(&text));
    }
    if !text.ends_with('\n') {
        bail!("{}: the answer ends in the middle; is the scheduler gone?", place());
    }
    Ok(text)
}
