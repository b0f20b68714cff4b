// SPDX-License-Identifier: GPL-2.0-or-later
//! Parts of a file that are compressed, each for itself.

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::io::Read;

/// The largest window of the usual levels, in bytes.
const WINDOW_MAX: u64 = 8 << 20;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Zlib,
    Zstd,
}

impl Packing {
    /// By its name in the file.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"zlib" => Some(Self::Zlib),
            b"zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Unpacks a part that has at most so many bytes then.
    pub(super) fn unpack(self, bytes: &[u8], most: usize) -> Result<Vec<u8>, String> {
        match self {
            Self::Zlib => {
                decompress_to_vec_zlib_with_limit(bytes, most).map_err(|error| error.to_string())
            }
            Self::Zstd => {
                let mut decoder = FrameDecoder::new();
                decoder.set_max_window_size((most as u64).max(WINDOW_MAX));
                let decoder = StreamingDecoder::new_with_decoder(bytes, decoder);
                let mut out = Vec::new();
                let decoder = decoder.map_err(|error| error.to_string())?;
                let read = decoder.take(most as u64).read_to_end(&mut out);
                read.map(|_| out).map_err(|error| error.to_string())
            }
        }
    }
}
