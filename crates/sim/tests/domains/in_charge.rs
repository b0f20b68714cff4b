// SPDX-License-Identifier: GPL-2.0-or-later
//! `domains` with its user half in charge of a simulated machine.

use rota_object::{Engine, KernelTypes, Object, Setup};
use rota_programs::domains::{DomainsReport, OBJECT};
use rota_sched::{HalfError, Session, Wake, find};
use rota_sim::{Shape, Simulation};
use rota_topology::Spec;
use zerocopy::FromBytes;

pub(crate) const MS: u64 = 1_000_000;

/// A machine with the scheduler in charge.
pub(crate) struct Run {
    pub(crate) world: Simulation,
    pub(crate) session: Session,
}

impl Run {
    pub(crate) fn new(machine: &str, settings: &[(&str, &str)]) -> Self {
        Self::start(machine, settings).unwrap()
    }

    pub(crate) fn start(machine: &str, settings: &[(&str, &str)]) -> Result<Self, HalfError> {
        let object = Object::parse(OBJECT).unwrap();
        let types = KernelTypes::builtin("7.3").unwrap();
        let topology = machine.parse::<Spec>().unwrap().topology();
        let mut world = Simulation::new(&object, &types, &topology, &Shape::default()).unwrap();
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let half = (find("domains").unwrap().new)(&object, &settings)?;
        let session = Session::start(half, world.now_ns(), &mut world)?;
        Ok(Self { world, session })
    }

    /// Lets so much time go by.
    pub(crate) fn go(&mut self, ns: u64) {
        let end = self.world.now_ns() + ns;
        while self.world.now_ns() < end {
            let Wake::At(wake) = self.session.wake() else { panic!("it balances again and again") };
            self.world.run_until(wake.min(end)).unwrap();
            self.session.step(self.world.now_ns(), &mut self.world).unwrap();
        }
        assert_eq!(self.world.exit_info().unwrap(), None);
    }

    /// How many pieces of work each group does in so much time.
    pub(crate) fn done_in(&mut self, ns: u64) -> Vec<u64> {
        let before = self.world.work_done();
        self.go(ns);
        let after = self.world.work_done();
        after.iter().zip(&before).map(|(after, before)| after.1 - before.1).collect()
    }

    /// A variable of BPF's.
    pub(crate) fn number(&self, name: &str) -> u64 {
        let bytes = self.world.read_global(name).unwrap();
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A statistic of the scheduler's.
    pub(crate) fn statistic(&mut self, name: &str) -> u64 {
        let place = self.session.metrics().iter().position(|metric| metric.name == name).unwrap();
        self.session.sample(self.world.now_ns(), &mut self.world).unwrap().values[place]
    }

    /// What BPF tells of tasks.
    pub(crate) fn reports(&self) -> Vec<DomainsReport> {
        let report = |slot: u32| {
            let bytes = self.world.map_lookup("reports", &slot.to_le_bytes()).unwrap().unwrap();
            DomainsReport::read_from_bytes(&bytes).unwrap()
        };
        (0..self.number("slots_used") as u32)
            .map(report)
            .filter(|report| report.task != 0)
            .collect()
    }
}
