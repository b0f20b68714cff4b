// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's descriptions of tracepoints as trace-cmd and perf keep them in their files.

use super::format::Format;
use super::order::Order;

/// How the section begins.
pub(super) const MAGIC: &[u8] = b"\x17\x08\x44tracing";

/// Reads a buffer forward.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    pub(super) order: Order,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { rest: bytes, order }
    }

    /// How much is left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        let order = self.order;
        self.take(2).and_then(|bytes| order.u16(bytes, 0))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let order = self.order;
        self.take(4).and_then(|bytes| order.u32(bytes, 0))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        let order = self.order;
        self.take(8).and_then(|bytes| order.u64(bytes, 0))
    }

    /// So many bytes, as the next eight say.
    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let size = self.u64()?;
        self.take(usize::try_from(size).ok()?)
    }

    /// A text up to a zero, and that.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == 0)?;
        let text = self.take(end)?;
        self.take(1)?;
        Some(text)
    }
}

/// What stands in such a section.
#[derive(Debug)]
pub(super) struct Tracing {
    /// The byte order of what was traced, and how many bytes a `long` has there.
    pub(super) order: Order,
    /// How many bytes a page of a ring buffer has.
    pub(super) page_size: u32,
    /// The description of such a page.
    pub(super) page: Option<Format>,
    /// The tracepoints.
    pub(super) formats: Vec<Format>,
}

impl Tracing {
    /// Reads a section from its magic number to the last tracepoint; `None` if it is damaged before
    /// the first one. What follows is left in the cursor.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Option<Self> {
        let mut tracing = Self::start(cursor)?;
        tracing.header(cursor)?;
        // The tracer's own events, then those of each system.
        tracing.tracers(cursor)?;
        tracing.systems(cursor);
        Some(tracing)
    }

    /// Reads how the section begins.
    pub(super) fn start(cursor: &mut Cursor<'_>) -> Option<Self> {
        if cursor.take(MAGIC.len())? != MAGIC {
            return None;
        }
        cursor.text()?;
        cursor.order = if cursor.u8()? == 0 { Order::Little } else { Order::Big };
        cursor.u8()?;
        let page_size = cursor.u32()?;
        Some(Self { order: cursor.order, page_size, page: None, formats: Vec::new() })
    }

    /// Reads how pages of ring buffers look.
    pub(super) fn header(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        for name in [&b"header_page"[..], b"header_event"] {
            if cursor.text()? != name {
                return None;
            }
            let text = String::from_utf8_lossy(cursor.sized()?);
            if self.page.is_none() {
                // It has neither name nor number.
                self.page = Format::parse(&format!("name: page\nID: 0\n{text}"));
            }
        }
        Some(())
    }

    /// Reads the tracer's own events.
    pub(super) fn tracers(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let count = cursor.u32()?;
        self.take_formats(cursor, count);
        Some(())
    }

    /// Reads the events of each system.
    pub(super) fn systems(&mut self, cursor: &mut Cursor<'_>) {
        let systems = cursor.u32().unwrap_or(0);
        for _ in 0..systems {
            let Some(count) = cursor.text().and_then(|_| cursor.u32()) else { break };
            self.take_formats(cursor, count);
        }
    }

    fn take_formats(&mut self, cursor: &mut Cursor<'_>, count: u32) {
        for _ in 0..count {
            let Some(text) = cursor.sized() else { return };
            self.formats.extend(Format::parse(&String::from_utf8_lossy(text)));
        }
    }
}
