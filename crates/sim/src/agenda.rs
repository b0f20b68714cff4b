// SPDX-License-Identifier: GPL-2.0-or-later
//! What is due when. Of two things due at the same time, the one that was put in first comes
//! first.
//!
//! Time is cut into slots, and of the next few microseconds everything is in order, in a heap.
//! What is due later waits in wheels, each of whose places holds 64 times as much time as one of
//! the wheel before, in no order: a thing is put into a place, and moves to a finer wheel when its
//! time comes near. So it costs the same whether a hundred things wait or a million.
//!
//! ```text
//! heap: up to the present slot    wheel 0: 4 us a place    wheel 1: 262 us    wheel 2: 17 ms ...
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A slot is so many ns, as a power of two.
const SLOT: u32 = 12;
/// So many places has a wheel, as a power of two.
const PLACES: u32 = 6;
/// As many wheels as all slots of 64 bits of time need.
const WHEELS: usize = (u64::BITS - SLOT).div_ceil(PLACES) as usize;

/// Time in ns, and a number that no other entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) time_ns: u64,
    sequence: u64,
}

/// Something with its ticket, by which alone it is compared.
#[derive(Debug)]
struct Entry<T> {
    ticket: Ticket,
    thing: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.ticket == other.ticket
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.ticket.cmp(&other.ticket)
    }
}

/// Places of later slots.
#[derive(Debug)]
struct Wheel<T> {
    places: [Vec<Entry<T>>; 1 << PLACES],
    /// Which places hold something, as bits.
    used: u64,
}

impl<T> Wheel<T> {
    /// The first place that holds something.
    fn first(&self) -> Option<usize> {
        (self.used != 0).then(|| self.used.trailing_zeros() as usize)
    }
}

/// Things that are due some time.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// Everything up to the present slot, its end included.
    near: BinaryHeap<Reverse<Entry<T>>>,
    /// The number of the present slot. It goes on when nothing is near any more.
    present: u64,
    wheels: Box<[Wheel<T>]>,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        let wheel = |_| Wheel { places: std::array::from_fn(|_| Vec::new()), used: 0 };
        let wheels = (0..WHEELS).map(wheel).collect();
        Self { near: BinaryHeap::new(), present: 0, wheels, sequence: 0 }
    }
}

/// The number of a time's slot.
fn slot(time_ns: u64) -> u64 {
    time_ns >> SLOT
}

impl<T> Agenda<T> {
    /// Puts something in; the ticket takes it out again.
    pub(crate) fn add(&mut self, time_ns: u64, thing: T) -> Ticket {
        self.sequence += 1;
        let ticket = Ticket { time_ns, sequence: self.sequence };
        self.put(Entry { ticket, thing });
        ticket
    }

    /// The wheel and the place of a slot, if it is a later one. It is in the first wheel of which
    /// one turn has both this slot and the present one: so what is in a finer wheel comes before
    /// what is in a coarser one, and in each wheel by the order of places.
    fn place(&self, slot: u64) -> Option<(usize, usize)> {
        if slot <= self.present {
            return None;
        }
        let wheel = (slot ^ self.present).ilog2() / PLACES;
        let place = (slot >> (wheel * PLACES)) & ((1 << PLACES) - 1);
        Some((wheel as usize, place as usize))
    }

    fn put(&mut self, entry: Entry<T>) {
        match self.place(slot(entry.ticket.time_ns)) {
            None => self.near.push(Reverse(entry)),
            Some((wheel, place)) => {
                let wheel = &mut self.wheels[wheel];
                wheel.places[place].push(entry);
                wheel.used |= 1 << place;
            }
        }
    }

    /// Takes something out that is not due yet; whether it was in.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some((wheel, place)) = self.place(slot(ticket.time_ns)) else {
            let before = self.near.len();
            self.near.retain(|entry| entry.0.ticket != ticket);
            return self.near.len() < before;
        };
        let wheel = &mut self.wheels[wheel];
        let entries = &mut wheel.places[place];
        let found = entries.iter().position(|entry| entry.ticket == ticket);
        if let Some(found) = found {
            entries.swap_remove(found);
        }
        if entries.is_empty() {
            wheel.used &= !(1 << place);
        }
        found.is_some()
    }

    /// When the next thing is due.
    pub(crate) fn next_time(&self) -> Option<u64> {
        if let Some(Reverse(first)) = self.near.peek() {
            return Some(first.ticket.time_ns);
        }
        let (wheel, place) = self.wheels.iter().find_map(|wheel| Some((wheel, wheel.first()?)))?;
        wheel.places[place].iter().map(|entry| entry.ticket.time_ns).min()
    }

    /// Takes out the next thing that is due at a time, or before it.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<(u64, T)> {
        while self.near.is_empty() {
            self.turn(now_ns)?;
        }
        self.near.peek().filter(|first| first.0.ticket.time_ns <= now_ns)?;
        self.near.pop().map(|Reverse(entry)| (entry.ticket.time_ns, entry.thing))
    }

    /// Nothing is near: goes on to the next place that holds something, unless it is later than
    /// `now_ns`.
    fn turn(&mut self, now_ns: u64) -> Option<()> {
        let mut wheels = (0..).zip(&self.wheels);
        let (number, place) = wheels.find_map(|(i, wheel)| Some((i, wheel.first()?)))?;
        // The first slot of the place.
        let turn = (self.present >> (PLACES * number)) >> PLACES;
        let first = (turn << PLACES | place as u64) << (PLACES * number);
        if first > slot(now_ns) {
            return None;
        }
        self.present = first;
        let wheel = &mut self.wheels[number as usize];
        wheel.used &= !(1 << place);
        let mut entries = std::mem::take(&mut wheel.places[place]);
        entries.drain(..).for_each(|entry| self.put(entry));
        // The memory is used again. Nothing was put into this place meanwhile: it is not a later
        // one any more.
        self.wheels[number as usize].places[place] = entries;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::Agenda;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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

    #[derive(Debug, Clone)]
    enum Step {
        /// Adds something that is due so much later than now.
        Add(u64),
        /// Takes out one of those that were ever added.
        Cancel(usize),
        /// Lets so much time go on.
        Go(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Of any size: as many in the last microsecond as in all centuries.
        let span = || (0..64_u32, any::<u64>()).prop_map(|(bits, any)| any >> bits);
        prop_oneof![
            4 => span().prop_map(Step::Add),
            1 => any::<usize>().prop_map(Step::Cancel),
            2 => span().prop_map(Step::Go),
        ]
    }

    proptest! {
        /// Against a list in order.
        #[test]
        fn as_a_sorted_list(steps in vec(step(), 1..200)) {
            let (mut agenda, mut now) = (Agenda::default(), 0_u64);
            let (mut expected, mut tickets) = (BTreeMap::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Add(after) => {
                        let ticket = agenda.add(now.saturating_add(after), tickets.len());
                        expected.insert(ticket, tickets.len());
                        tickets.push(ticket);
                    }
                    Step::Cancel(choice) if !tickets.is_empty() => {
                        let ticket = tickets[choice % tickets.len()];
                        let there = expected.remove(&ticket).is_some();
                        prop_assert_eq!(agenda.cancel(ticket), there);
                    }
                    Step::Cancel(_) => {}
                    Step::Go(on) => {
                        now = now.saturating_add(on);
                        while let Some((time, thing)) = agenda.take_due(now) {
                            let (ticket, other) = expected.pop_first().unwrap();
                            prop_assert_eq!((time, thing), (ticket.time_ns, other));
                        }
                        let rest = expected.first_key_value();
                        prop_assert!(rest.is_none_or(|(ticket, _)| ticket.time_ns > now));
                    }
                }
                let next = expected.first_key_value().map(|(ticket, _)| ticket.time_ns);
                prop_assert_eq!(agenda.next_time(), next);
            }
        }
    }
}
