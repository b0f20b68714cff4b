// SPDX-License-Identifier: GPL-2.0-or-later
//! What one CPU wrote, page after page, from its place in the file.

use super::head::{Extent, Head};
use super::ring::Page;
use super::unpack::Packing;
use crate::read::Seekable;
use rota_events::Problems;
use std::io::{self, Read, SeekFrom};
use std::ops::Range;

/// So many pages are read at once, if they are not compressed.
const PAGES_AT_ONCE: u64 = 16;
/// What all CPUs together may have unpacked at a time, and a single one, in bytes.
const UNPACKED_MAX: usize = 128 << 20;
const CHUNK_MAX: usize = 16 << 20;

/// The pages of a CPU.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) cpu: u32,
    /// What was not read yet.
    at: u64,
    left: u64,
    /// How many compressed chunks there are still, once it is known.
    chunks: Option<u32>,
    chunk_max: usize,
    /// Pages that were read, and where they stand in the file.
    buffer: Vec<u8>,
    buffer_at: u64,
    /// Where in the buffer the page is that is being read.
    start: usize,
    page: Option<Page>,
    /// When something was read last, if anything was.
    last: Option<u64>,
    /// Something could not be read since then.
    hole: bool,
    /// The file ends before what it should have.
    cut: bool,
}

/// What a CPU wrote next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// So many events are missing.
    Lost(u64),
    /// A record, here in [`Stream::bytes`].
    Record(Range<usize>),
}

impl Stream {
    pub(super) fn new(extent: Extent, streams: usize, head: &Head) -> Self {
        // What is compressed has its number of chunks before it, which is not counted.
        let uncounted = if head.packing.is_some() && extent.size > 0 { 4 } else { 0 };
        Self {
            cpu: extent.cpu,
            at: extent.at,
            left: extent.size.saturating_add(uncounted),
            chunks: None,
            chunk_max: (UNPACKED_MAX / streams.max(1)).clamp(head.page_size, CHUNK_MAX),
            buffer: Vec::new(),
            buffer_at: extent.at,
            start: 0,
            page: None,
            last: None,
            hole: false,
            cut: false,
        }
    }

    /// Bytes of the page that is being read.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.get(self.start + range.start..self.start + range.end).unwrap_or(&[])
    }

    /// Where in the file it is.
    pub(super) fn at(&self) -> u64 {
        self.buffer_at + self.start as u64
    }

    /// What comes next, and when by the clock of the recording; nothing at the end.
    pub(super) fn next(
        &mut self,
        file: &mut Box<dyn Seekable>,
        head: &Head,
        problems: &mut Problems,
    ) -> io::Result<Option<(u64, Next)>> {
        loop {
            let rest = self.buffer.get(self.start..).unwrap_or(&[]);
            let bytes = &rest[..rest.len().min(head.page_size)];
            if let Some(page) = &mut self.page {
                match page.next(bytes, head.order) {
                    Ok(Some(range)) => {
                        self.last = Some(page.time);
                        return Ok(Some((page.time, Next::Record(range))));
                    }
                    Ok(None) => {}
                    Err(()) => {
                        self.hole = true;
                        problems.add(self.at(), "a page whose rest can't be read");
                    }
                }
                self.page = None;
                self.start += head.page_size;
                continue;
            }
            if bytes.is_empty() {
                if !self.refill(file, head, problems)? {
                    return Ok(self.hole_at_end());
                }
                continue;
            }
            self.page = Page::open(bytes, head.places, head.order);
            match &self.page {
                Some(page) if page.missed > 0 || self.hole => {
                    // Of a hole nobody knows how much was in it.
                    self.hole = false;
                    return Ok(Some((page.time, Next::Lost(page.missed.max(1)))));
                }
                Some(_) => {}
                None => {
                    self.hole = true;
                    problems.add(self.at(), "a page that can't be read");
                    self.start += head.page_size;
                }
            }
        }
    }

    /// The end, at which something may be missing.
    fn hole_at_end(&mut self) -> Option<(u64, Next)> {
        let hole = std::mem::take(&mut self.hole) | std::mem::take(&mut self.cut);
        hole.then_some((self.last?, Next::Lost(1)))
    }

    /// Reads the next pages; whether there are any.
    fn refill(
        &mut self,
        file: &mut Box<dyn Seekable>,
        head: &Head,
        problems: &mut Problems,
    ) -> io::Result<bool> {
        (self.start, self.buffer_at) = (0, self.at);
        self.buffer.clear();
        if self.left == 0 {
            return Ok(false);
        }
        if let Some(packing) = head.packing {
            return self.unpack(file, head, packing, problems);
        }
        let wanted = self.left.min(PAGES_AT_ONCE * head.page_size as u64);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.take(wanted).read_to_end(&mut self.buffer)? as u64;
        self.at += read;
        self.left -= read;
        if read < wanted {
            let missing = self.left;
            problems.add(self.at, format!("cut off: {missing} bytes of CPU {}", self.cpu));
            (self.left, self.cut) = (0, true);
        }
        Ok(read > 0)
    }

    fn unpack(
        &mut self,
        file: &mut Box<dyn Seekable>,
        head: &Head,
        packing: Packing,
        problems: &mut Problems,
    ) -> io::Result<bool> {
        let mut take = |bytes: u64| {
            let mut taken = Vec::new();
            file.seek(SeekFrom::Start(self.at))?;
            file.take(bytes.min(self.left)).read_to_end(&mut taken)?;
            self.at += taken.len() as u64;
            self.left -= taken.len() as u64;
            Ok::<_, io::Error>(taken)
        };
        let chunks = match self.chunks {
            None => head.order.u32(&take(4)?, 0),
            known => known,
        };
        self.chunks = chunks.map(|chunks| chunks.saturating_sub(1));
        if chunks == Some(0) {
            self.left = 0;
            return Ok(false);
        }
        let sizes = take(8)?;
        let size = |at| head.order.u32(&sizes, at).map(|size| size as usize);
        let failed = if let (Some(packed), Some(whole)) = (size(0), size(4)) {
            let bytes = take(packed as u64)?;
            if bytes.len() < packed {
                "it is cut off".to_owned()
            } else if whole > self.chunk_max {
                // The next one may be read again.
                self.hole = true;
                problems.add(self.buffer_at, format!("pages left out: {whole} bytes at once"));
                return Ok(true);
            } else {
                match packing.unpack(&bytes, whole) {
                    Ok(pages) => {
                        self.buffer = pages;
                        return Ok(true);
                    }
                    Err(why) => {
                        self.hole = true;
                        problems.add(self.buffer_at, format!("compressed pages: {why}"));
                        return Ok(true);
                    }
                }
            }
        } else {
            "it is cut off".to_owned()
        };
        problems.add(self.buffer_at, format!("compressed pages of CPU {}: {failed}", self.cpu));
        (self.left, self.hole) = (0, true);
        Ok(false)
    }
}
