// SPDX-License-Identifier: GPL-2.0-or-later
//! Records that perf has compressed: one Zstandard stream over all of them, which never ends.

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window that is accepted: what all levels but the highest three use.
const WINDOW_MAX: u64 = 64 << 20;
/// The head of a block, and the longest head of a frame, in bytes.
const BLOCK_HEAD: usize = 3;
const FRAME_HEAD: usize = 18;
/// An empty block that ends a frame.
const LAST_BLOCK: [u8; 3] = [1, 0, 0];

/// Unpacks a stream that comes in pieces, block by block: a block has 128 KiB at most.
pub(super) struct Unpacker {
    decoder: FrameDecoder,
    /// What came and was not decoded yet.
    input: Vec<u8>,
    in_frame: bool,
    /// How many bytes of this frame are held back for blocks to come, once there are so many.
    window: u64,
    /// How many bytes were handed over, of all frames, and of this one.
    given: u64,
    given_of_frame: u64,
}

/// Why nothing more can be unpacked.
pub(super) type Failed = String;

impl Unpacker {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW_MAX);
        Self { decoder, input: Vec::new(), in_frame: false, window: 0, given: 0, given_of_frame: 0 }
    }

    /// Takes a piece.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.input.extend(piece);
    }

    /// Unpacks the next block, if it has come; whether it has.
    pub(super) fn step(&mut self, out: &mut Vec<u8>) -> Result<bool, Failed> {
        if !self.in_frame {
            if self.input.len() < FRAME_HEAD {
                return Ok(false);
            }
            let mut rest = &self.input[..];
            self.decoder.reset(&mut rest).map_err(|error| error.to_string())?;
            let left = rest.len();
            (self.window, self.given_of_frame) = (window_of(&self.input), 0);
            self.take(left);
            self.in_frame = true;
        }
        let Some(head) = self.input.first_chunk::<BLOCK_HEAD>() else { return Ok(false) };
        let head = u32::from_le_bytes([head[0], head[1], head[2], 0]);
        // A block that is one byte again and again has only that.
        let size = if head >> 1 & 3 == 1 { 1 } else { (head >> 3) as usize };
        if self.input.len() < BLOCK_HEAD + size {
            return Ok(false);
        }
        let mut rest = &self.input[..];
        let one = BlockDecodingStrategy::UptoBlocks(1);
        self.decoder.decode_blocks(&mut rest, one).map_err(|error| error.to_string())?;
        self.take(rest.len());
        self.in_frame = !self.decoder.is_finished();
        let given = self.decoder.collect_to_writer(out).map_err(|error| error.to_string())?;
        self.given += given as u64;
        self.given_of_frame += given as u64;
        Ok(true)
    }

    /// Where in all that is handed over what came so far will end, if that can be told.
    pub(super) fn end(&self) -> Option<u64> {
        let is_known = !self.in_frame || self.given_of_frame > 0;
        let held = if self.in_frame { self.window } else { 0 };
        (is_known && self.input.is_empty()).then_some(self.given + held)
    }

    /// Unpacks what is held back for blocks that will not come any more.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Failed> {
        if self.in_frame {
            self.input.clear();
            self.input.extend(LAST_BLOCK);
            // A checksum of what is not there.
            self.input.extend([0; 4]);
            self.step(out)?;
        }
        Ok(())
    }

    /// Keeps so much of the end of the input.
    fn take(&mut self, left: usize) {
        self.input.drain(..self.input.len() - left);
    }
}

/// The window of a frame by its head (RFC 8878, 3.1.1.1): what a decoder holds back.
fn window_of(frame: &[u8]) -> u64 {
    let (descriptor, window) = (frame[4], frame[5]);
    if descriptor & 1 << 5 != 0 {
        // It has no window, but all of it.
        return u64::MAX / 2;
    }
    let base = 1_u64 << (10 + (window >> 3));
    base + base / 8 * u64::from(window & 7)
}
