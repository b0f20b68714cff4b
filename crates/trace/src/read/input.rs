// SPDX-License-Identifier: GPL-2.0-or-later
//! What a recording is read from: a file, or a stream that can't go back.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};

/// Can be read from any place.
pub trait Seekable: Read + Seek {}
impl<T: Read + Seek> Seekable for T {}

/// Makes an empty file that nobody else sees, for a stream that has to be read from several places.
pub type Spool = fn() -> io::Result<File>;

/// What a recording is read from.
pub struct Input {
    from: From,
    /// What was looked at already.
    head: Vec<u8>,
}

enum From {
    File(Box<dyn Seekable>),
    Stream(Box<dyn Read>, Spool),
}

impl Input {
    /// A file, from its start.
    pub fn file(file: impl Seekable + 'static) -> Self {
        Self { from: From::File(Box::new(file)), head: Vec::new() }
    }

    /// A stream.
    pub fn stream(stream: impl Read + 'static, spool: Spool) -> Self {
        Self { from: From::Stream(Box::new(stream), spool), head: Vec::new() }
    }

    /// The first bytes, at most so many.
    pub(crate) fn peek(&mut self, most: usize) -> io::Result<&[u8]> {
        let from: &mut dyn Read = match &mut self.from {
            From::File(file) => file,
            From::Stream(stream, _) => stream,
        };
        let missing = most.saturating_sub(self.head.len()) as u64;
        from.take(missing).read_to_end(&mut self.head)?;
        Ok(&self.head)
    }

    /// From the start on, forward only.
    pub(crate) fn into_stream(self) -> Box<dyn Read> {
        match self.from {
            From::File(file) => Box::new(Cursor::new(self.head).chain(file)),
            From::Stream(stream, _) => Box::new(Cursor::new(self.head).chain(stream)),
        }
    }

    /// From the start on, to be read from any place. A stream is kept in a file for that.
    pub(crate) fn into_seekable(self) -> io::Result<Box<dyn Seekable>> {
        Ok(match self.from {
            From::File(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                file
            }
            From::Stream(stream, spool) => {
                let mut file = spool()?;
                io::copy(&mut Cursor::new(self.head).chain(stream), &mut file)?;
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
        })
    }
}

/// More than any part of a file has but that of the events.
pub(super) const SECTION_MAX: u64 = 64 << 20;

/// What stands somewhere in a file, as far as it is there.
pub(super) fn section(file: &mut Box<dyn Seekable>, at: u64, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // No file is so long, and systems refuse to go there.
    if i64::try_from(at).is_err() {
        return Ok(bytes);
    }
    file.seek(SeekFrom::Start(at))?;
    file.take(size.min(SECTION_MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}
