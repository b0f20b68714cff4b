// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals as bytes in a pipe, so that they can be waited for with everything else.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// The signals that end a run.
pub(crate) struct Signals {
    pipes: [(UnixStream, &'static str); 3],
}

impl Signals {
    /// From now on these signals no longer end the process; they are told here.
    pub(crate) fn catch() -> io::Result<Self> {
        Ok(Self {
            pipes: [
                (pipe(SIGINT)?, "Ctrl-C"),
                (pipe(SIGTERM)?, "SIGTERM"),
                (pipe(SIGHUP)?, "SIGHUP"),
            ],
        })
    }

    /// What to wait for.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.pipes.iter().map(|(pipe, _)| pipe.as_fd())
    }

    /// The name of a signal that has come.
    pub(crate) fn taken(&self) -> Option<&'static str> {
        let came = |pipe: &UnixStream| matches!((&*pipe).read(&mut [0; 64]), Ok(n) if n > 0);
        self.pipes.iter().find(|(pipe, _)| came(pipe)).map(|(_, name)| *name)
    }
}

fn pipe(signal: i32) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal, write)?;
    Ok(read)
}
