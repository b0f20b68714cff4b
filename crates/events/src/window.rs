// SPDX-License-Identifier: GPL-2.0-or-later
//! A stream that is read through a window which moves forward.

use std::io::{self, ErrorKind, Read};

/// So many bytes are read at once, at least.
const READ_BYTES: usize = 1 << 18;

/// What has been read of a stream and not been used yet, and where in the stream that is.
pub struct Window<R> {
    input: R,
    /// What has been read is from `start` to `end`.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at: u64,
}

impl<R: Read> Window<R> {
    /// From a place of a file on.
    pub fn new(input: R, at: u64) -> Self {
        Self { input, buffer: Vec::new(), start: 0, end: 0, at }
    }

    /// Where it is, in bytes from the start of the file.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Moves forward; not beyond what is in it.
    pub fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.end - self.start);
        self.start += bytes;
        self.at += bytes as u64;
    }

    /// Reads until so many bytes are in it; whether they are, or the stream ends before.
    ///
    /// # Errors
    /// What reading says.
    #[inline]
    pub fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.end - self.start >= bytes { Ok(true) } else { self.read(bytes) }
    }

    #[cold]
    fn read(&mut self, bytes: usize) -> io::Result<bool> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < bytes {
            // Who asks for much gets memory only as it comes.
            if self.buffer.len() - self.end < READ_BYTES {
                self.buffer.resize(self.end + READ_BYTES, 0);
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
