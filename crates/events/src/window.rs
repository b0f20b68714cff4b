// SPDX-License-Identifier: GPL-2.0-or-later
//! A stream that is read through a window which moves forward.

use std::io::{self, ErrorKind, Read};

/// So many bytes are read at once.
const READ_BYTES: usize = 1 << 16;

/// What has been read of a stream and not been used yet, and where in the stream that is.
pub struct Window<R> {
    input: R,
    buffer: Vec<u8>,
    start: usize,
    at: u64,
}

impl<R: Read> Window<R> {
    /// From a place of a file on.
    pub fn new(input: R, at: u64) -> Self {
        Self { input, buffer: Vec::new(), start: 0, at }
    }

    /// Where it is, in bytes from the start of the file.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// What is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Moves forward; not beyond what is in it.
    pub fn skip(&mut self, bytes: usize) {
        let bytes = bytes.min(self.buffer.len() - self.start);
        self.start += bytes;
        self.at += bytes as u64;
    }

    /// Reads until so many bytes are in it; whether they are, or the stream ends before.
    ///
    /// # Errors
    /// What reading says.
    pub fn fill(&mut self, bytes: usize) -> io::Result<bool> {
        if self.bytes().len() >= bytes {
            return Ok(true);
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < bytes {
            let before = self.buffer.len();
            self.buffer.resize(before + READ_BYTES, 0);
            let read = self.input.read(&mut self.buffer[before..]);
            self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
