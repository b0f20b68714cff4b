// SPDX-License-Identifier: GPL-2.0-or-later
//! What is due when. Of two things due at the same time, the one that was put in first comes
//! first.
//!
//! Time is cut into slots, and of the next few microseconds everything is in order, in a list.
//! What is due later waits in wheels, each of whose places holds 64 times as much time as one of
//! the wheel before, in no order: a thing is put into a place, and moves to a finer wheel when its
//! time comes near. So it costs the same whether a hundred things wait or a million.
//!
//! ```text
//! list: up to the present slot    wheel 0: 4 us a place    wheel 1: 262 us    wheel 2: 17 ms ...
//! ```

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

/// Something with its ticket.
#[derive(Debug, Clone, Copy)]
struct Entry<T> {
    ticket: Ticket,
    thing: T,
}

/// Places of later slots.
#[derive(Debug)]
struct Wheel<T> {
    places: [Vec<Entry<T>>; 1 << PLACES],
    /// Which places hold something, as bits.
    used: u64,
}

/// Things that are due some time.
#[derive(Debug)]
pub(crate) struct Agenda<T> {
    /// Everything up to the present slot, its end included, in order, behind what was taken out.
    near: Vec<Entry<T>>,
    /// How many of them were taken out.
    taken: usize,
    /// The number of the present slot. It goes on when nothing is near any more.
    present: u64,
    wheels: Box<[Wheel<T>]>,
    /// Which wheels hold something, as bits.
    used: u64,
    sequence: u64,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        let wheel = |_| Wheel { places: std::array::from_fn(|_| Vec::new()), used: 0 };
        let wheels = (0..WHEELS).map(wheel).collect();
        Self { near: Vec::new(), taken: 0, present: 0, wheels, used: 0, sequence: 0 }
    }
}

/// The number of a time's slot.
fn slot(time_ns: u64) -> u64 {
    time_ns >> SLOT
}

impl<T: Copy> Agenda<T> {
    /// Puts something in; the ticket takes it out again.
    pub(crate) fn add(&mut self, time_ns: u64, thing: T) -> Ticket {
        self.sequence += 1;
        let ticket = Ticket { time_ns, sequence: self.sequence };
        let entry = Entry { ticket, thing };
        match self.place(slot(time_ns)) {
            Some(place) => self.put_off(place, entry),
            None => {
                if self.taken == self.near.len() {
                    self.near.clear();
                    self.taken = 0;
                }
                let waiting = &self.near[self.taken..];
                let at = waiting.partition_point(|other| other.ticket < ticket);
                self.near.insert(self.taken + at, entry);
            }
        }
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

    /// Puts something into a place of a wheel.
    fn put_off(&mut self, (number, place): (usize, usize), entry: Entry<T>) {
        let wheel = &mut self.wheels[number];
        wheel.places[place].push(entry);
        wheel.used |= 1 << place;
        self.used |= 1 << number;
    }

    /// Takes something out that is not due yet; whether it was in.
    pub(crate) fn cancel(&mut self, ticket: Ticket) -> bool {
        let Some((number, place)) = self.place(slot(ticket.time_ns)) else {
            let found = self.near[self.taken..].iter().position(|entry| entry.ticket == ticket);
            return found.map(|at| self.near.remove(self.taken + at)).is_some();
        };
        let entries = &mut self.wheels[number].places[place];
        let found = entries.iter().position(|entry| entry.ticket == ticket);
        if let Some(found) = found {
            entries.swap_remove(found);
        }
        if entries.is_empty() {
            self.note_empty(number, place);
        }
        found.is_some()
    }

    /// Notes that a place of a wheel holds nothing any more.
    fn note_empty(&mut self, number: usize, place: usize) {
        let wheel = &mut self.wheels[number];
        wheel.used &= !(1 << place);
        if wheel.used == 0 {
            self.used &= !(1 << number);
        }
    }

    /// The first place that holds something, and the number of its wheel.
    fn first(&self) -> Option<(usize, usize)> {
        let number = (self.used != 0).then(|| self.used.trailing_zeros() as usize)?;
        Some((number, self.wheels[number].used.trailing_zeros() as usize))
    }

    /// When the next thing is due.
    pub(crate) fn next_time(&self) -> Option<u64> {
        if let Some(first) = self.near.get(self.taken) {
            return Some(first.ticket.time_ns);
        }
        let (number, place) = self.first()?;
        self.wheels[number].places[place].iter().map(|entry| entry.ticket.time_ns).min()
    }

    /// Takes out the next thing that is due at a time, or before it.
    pub(crate) fn take_due(&mut self, now_ns: u64) -> Option<(u64, T)> {
        while self.taken == self.near.len() {
            self.turn(now_ns)?;
        }
        let first = self.near.get(self.taken).filter(|first| first.ticket.time_ns <= now_ns)?;
        self.taken += 1;
        Some((first.ticket.time_ns, first.thing))
    }

    /// Nothing is near: goes on to the next slot that holds something, unless it is later than
    /// `now_ns`. What else is in its place moves to finer wheels.
    fn turn(&mut self, now_ns: u64) -> Option<()> {
        let (number, place) = self.first()?;
        let entries = &self.wheels[number].places[place];
        let next = entries.iter().map(|entry| slot(entry.ticket.time_ns)).min()?;
        if next > slot(now_ns) {
            return None;
        }
        self.present = next;
        self.note_empty(number, place);
        self.near.clear();
        self.taken = 0;
        // The memory is used again: nothing is put into this place, which is not a later one any
        // more.
        let mut entries = std::mem::take(&mut self.wheels[number].places[place]);
        if number == 0 {
            // That is the present slot alone.
            std::mem::swap(&mut self.near, &mut entries);
        }
        for entry in entries.drain(..) {
            match self.place(slot(entry.ticket.time_ns)) {
                Some(place) => self.put_off(place, entry),
                None => self.near.push(entry),
            }
        }
        self.wheels[number].places[place] = entries;
        self.near.sort_unstable_by_key(|entry| entry.ticket);
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
