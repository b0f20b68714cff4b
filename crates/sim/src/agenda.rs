// SPDX-License-Identifier: GPL-2.0-or-later
//! What is due when. Of two things due at the same time, the one that was put in first comes
//! first.

use std::collections::BTreeMap;

/// Time in ns, and a number that no other entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) time_ns: u64,
    sequence: u64,
}

/// Things that are due some time.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    entries: BTreeMap<Ticket, T>,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), sequence: 0 }
    }
}

impl<T> Agenda<T> {
    /// Puts something in; the ticket takes it out again.
    pub(crate) fn add(&mut self, time_ns: u64, entry: T) -> Ticket {
        self.sequence += 1;
        let ticket = Ticket { time_ns, sequence: self.sequence };
        self.entries.insert(ticket, entry);
        ticket
    }

    /// Takes something out that is not due yet; whether it was in.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        self.entries.remove(&ticket).is_some()
    }

    /// When the next thing is due.
    pub(crate) fn next_time(&self) -> Option<u64> {
        self.entries.first_key_value().map(|(ticket, _)| ticket.time_ns)
    }

    /// Takes out the next thing that is due at a time, or before it.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<(u64, T)> {
        let first = self.entries.first_entry().filter(|entry| entry.key().time_ns <= now_ns)?;
        let time_ns = first.key().time_ns;
        Some((time_ns, first.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;

    #[test]
    fn by_time_then_in_the_order_of_adding() {
        let mut agenda = Agenda::default();
        let late = agenda.add(20, 'd');
        agenda.add(10, 'a');
        agenda.add(15, 'c');
        agenda.add(10, 'b');
        assert!(agenda.cancel(late));
        assert!(!agenda.cancel(late));
        agenda.add(16, 'e');
        assert_eq!(agenda.next_time(), Some(10));
        assert_eq!(agenda.take_due(9), None);
        let mut order = String::new();
        while let Some((_, entry)) = agenda.take_due(15) {
            order.push(entry);
        }
        assert_eq!(order, "abc");
        assert_eq!(agenda.next_time(), Some(16));
    }
}
