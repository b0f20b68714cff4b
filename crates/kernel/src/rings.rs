// SPDX-License-Identifier: GPL-2.0-or-later
//! Ring buffers, in both directions, opened when first used.

use libbpf_rs::{MapCore, RingBuffer, RingBufferBuilder, UserRingBuffer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Records = Rc<RefCell<Vec<Vec<u8>>>>;

/// The rings of one loaded object.
#[derive(Default)]
pub(crate) struct Rings {
    incoming: BTreeMap<String, (RingBuffer<'static>, Records)>,
    outgoing: BTreeMap<String, UserRingBuffer>,
}

impl Rings {
    /// Hands over every record that waits.
    pub(crate) fn drain(
        &mut self,
        name: &str,
        map: &dyn MapCore,
        each: &mut dyn FnMut(&[u8]),
    ) -> libbpf_rs::Result<u64> {
        if !self.incoming.contains_key(name) {
            let records = Records::default();
            let sink = Rc::clone(&records);
            let mut builder = RingBufferBuilder::new();
            builder.add(map, move |bytes| {
                sink.borrow_mut().push(bytes.to_vec());
                0
            })?;
            self.incoming.insert(name.to_owned(), (builder.build()?, records));
        }
        let (ring, records) = &self.incoming[name];
        ring.consume()?;
        let taken = records.take();
        taken.iter().for_each(|record| each(record));
        Ok(taken.len() as u64)
    }

    /// Puts a record in.
    pub(crate) fn push(
        &mut self,
        name: &str,
        map: &dyn MapCore,
        record: &[u8],
    ) -> libbpf_rs::Result<()> {
        if !self.outgoing.contains_key(name) {
            self.outgoing.insert(name.to_owned(), UserRingBuffer::new(map)?);
        }
        let ring = &self.outgoing[name];
        let mut sample = ring.reserve(record.len())?;
        sample.as_mut().copy_from_slice(record);
        ring.submit(sample)
    }
}
