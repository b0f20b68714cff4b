// SPDX-License-Identifier: GPL-2.0-or-later
//! Timers and deferred work of programs, and the machine's clock that makes them due.

use crate::agenda::{Agenda, Ticket};
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::objects::What;
use crate::run::{Stop, StopKind};
use std::collections::BTreeMap;

/// A timer, or work to be done later, in a value of a map.
#[derive(Debug, Clone)]
pub(crate) struct Timer {
    /// Address of the map, key and address of the value.
    map: u64,
    key: Vec<u8>,
    value: u64,
    /// Address of the function to be called.
    pub(crate) callback: Option<u64>,
    armed: Option<Ticket>,
    /// Whether its time has come, and its function is yet to be called.
    due: bool,
}

/// All timers, by the addresses that programs know them by.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    all: BTreeMap<u64, Timer>,
    /// Timers that are due some time, each with the CPU that it was started on.
    agenda: Agenda<(u64, u32)>,
    /// The timer whose function is being called.
    pub(crate) running: Option<u64>,
}

impl Timers {
    /// The timer at an address.
    pub(crate) fn get(&mut self, at: u64) -> Option<&mut Timer> {
        self.all.get_mut(&at)
    }

    /// Starts a timer, or starts it again.
    pub(crate) fn arm(&mut self, at: u64, time_ns: u64, cpu: u32) {
        self.disarm(at);
        let ticket = self.agenda.add(time_ns, (at, cpu));
        if let Some(timer) = self.all.get_mut(&at) {
            timer.armed = Some(ticket);
        }
    }

    /// Stops a timer; whether it was to come.
    pub(crate) fn disarm(&mut self, at: u64) -> bool {
        let Some(timer) = self.all.get_mut(&at) else { return false };
        let due = std::mem::take(&mut timer.due);
        due || timer.armed.take().is_some_and(|ticket| self.agenda.cancel(ticket))
    }

    /// Whether a timer is to come.
    pub(crate) fn is_armed(&self, at: u64) -> bool {
        self.all.get(&at).is_some_and(|timer| timer.armed.is_some() || timer.due)
    }
}

impl Machine {
    /// The time since boot, in ns.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// When the next timer is due, if there is one.
    pub fn next_due_ns(&self) -> Option<u64> {
        self.timers.agenda.next_time()
    }

    /// Lets time go on to a point, which may not lie in the past, and runs everything that becomes
    /// due until then, each at its time and in the order of their being started.
    ///
    /// # Errors
    /// [`Stop`] says what a program did that it must not; time then stands where it happened.
    pub fn advance_to(&mut self, time_ns: u64) -> Result<(), Stop> {
        while let Some((due_ns, (at, cpu))) = self.timers.agenda.take_due(time_ns) {
            self.now_ns = self.now_ns.max(due_ns);
            if let Some(timer) = self.timers.get(at) {
                (timer.armed, timer.due) = (None, true);
            }
            let before = self.cpu;
            let fired = self.on_cpu(cpu, move |machine| machine.fire(at));
            self.cpu = before;
            fired?;
        }
        self.now_ns = self.now_ns.max(time_ns);
        Ok(())
    }

    /// Makes a timer at an address, if it lies in a value of this map. Whether it does.
    pub(crate) fn make_timer(&mut self, at: u64, map: u64) -> bool {
        let found = self.map(map).and_then(|(_, map)| map.element_at(at));
        let Some((key, value)) = found else { return false };
        self.timers
            .all
            .insert(at, Timer { map, key, value, callback: None, armed: None, due: false });
        true
    }

    /// Forgets a timer whose value goes away.
    pub(crate) fn forget_timer(&mut self, at: u64) {
        self.timers.disarm(at);
        self.timers.all.remove(&at);
    }

    /// Calls a timer's function.
    fn fire(&mut self, at: u64) -> Result<(), Stop> {
        let Some(timer) = self.timers.get(at) else { return Ok(()) };
        if !std::mem::take(&mut timer.due) {
            return Ok(());
        }
        let Timer { map, key, value, callback: Some(callback), .. } = timer.clone() else {
            return Ok(());
        };
        let function = self.function_at(callback);
        let function = function.ok_or_else(|| Stop::new(StopKind::Callback(callback), None))?;
        let place = self.new_object((key.len() as u64).max(8), What::Scratch);
        let place = place.unwrap_or(0);
        let ran = self.memory.write(place, &key).map_err(|fault| {
            Stop::new(StopKind::Argument { name: "a timer's key".to_owned(), fault }, None)
        });
        let outer = self.timers.running.replace(at);
        self.lock(Lock::Timer(at))?;
        let ran = ran.and_then(|()| self.run(function, [map, place, value, 0, 0]));
        self.unlock(Lock::Timer(at));
        self.timers.running = outer;
        // It was allocated by us, so it can be given back.
        let _ = self.drop_owner(place);
        ran.map(drop)
    }
}
