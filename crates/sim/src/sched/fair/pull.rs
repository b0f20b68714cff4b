// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks are moved from a busy CPU to one that has less to do (kernel: `sched_balance_rq`).

use super::super::{Due, TaskId};
use super::balance::{By, FindBusy, Imbalance, Puller};
use super::view::View;
use super::when::Outcome;
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::run::Stop;
use std::rc::Rc;

/// A task that has run so short a time ago is hot, in ns (kernel: `sysctl_sched_migration_cost`).
pub(super) const HOT_NS: u64 = 500_000;
/// So many tasks are looked at in one go (kernel: `sysctl_sched_nr_migrate`).
const LOOKED_AT: u32 = 32;
/// What came of looking at a CPU's tasks.
#[derive(Debug, Default)]
pub(super) struct Pulled {
    pub(super) tasks: u32,
    /// Whether some may not run where they are wanted, and whether that is all of them.
    pub(super) pinned: bool,
    pub(super) all_pinned: bool,
    /// Where else in the group one of them may.
    pub(super) instead: Option<u32>,
    /// What is left of the imbalance.
    pub(super) left: i64,
}

/// What is taken from a CPU.
pub(super) trait Pull: View {
    /// The CPUs of the group that a CPU pulls for.
    fn own_group(&self, puller: &Puller) -> Rc<[u32]> {
        let domains = self.domains();
        let domain = &domains.all[puller.domain];
        Rc::clone(&domain.groups[domain.group_of(puller.cpu)].cpus)
    }

    /// Whether this CPU is the one of its group that balances: the first idle one, else the first.
    fn is_to_balance(&self, puller: &Puller) -> bool {
        if puller.newly {
            return self.count_on(puller.cpu) == 0;
        }
        if puller.without.has(puller.to) {
            return false;
        }
        let domains = self.domains();
        let threads = domains.all[puller.domain].kind == super::Kind::Core;
        let (mut sibling, mut core_seen) = (None, Vec::new());
        let group = self.own_group(puller);
        for &cpu in group.iter().filter(|cpu| !puller.without.has(**cpu)) {
            if !self.has_nothing(cpu) || core_seen.contains(&cpu) {
                continue;
            }
            let core = &domains.siblings[cpu as usize];
            if !threads && !core.iter().all(|thread| self.has_nothing(*thread)) {
                sibling = sibling.or(Some(cpu));
                core_seen.extend(core);
                continue;
            }
            return cpu == puller.to;
        }
        sibling.or(group.first().copied()) == Some(puller.to)
    }

    /// Moves tasks from a CPU until the imbalance is made good.
    fn pull_from(
        &mut self,
        puller: &mut Puller,
        from: u32,
        imbalance: &Imbalance,
    ) -> Result<Pulled, Stop> {
        let mut pulled = Pulled { left: imbalance.amount, all_pinned: true, ..Pulled::default() };
        let count = self.count_on(from);
        if count <= 1 {
            pulled.all_pinned = false;
            return Ok(pulled);
        }
        loop {
            let most = count.min(LOOKED_AT);
            self.pull_to(puller, (from, most), imbalance.by, &mut pulled)?;
            let Some(other) = pulled.instead.take().filter(|_| pulled.left > 0) else {
                return Ok(pulled);
            };
            puller.without.insert(puller.to);
            puller.to = other;
        }
    }

    /// Moves tasks from a CPU to another one; so many are looked at.
    fn pull_to(
        &mut self,
        puller: &Puller,
        (from, most): (u32, u32),
        by: By,
        pulled: &mut Pulled,
    ) -> Result<(), Stop> {
        // All leave before the first one comes.
        let to = puller.to;
        let busy = self.queued_on(to) > 0;
        for _ in 0..most {
            if pulled.left <= 0 || puller.idle && self.count_on(from) <= 1 {
                break;
            }
            let Some(task) = self.oldest(from) else { break };
            if !self.is_to_move(puller, (task, busy), by, pulled)
                || !self.fits_amount(puller, task, by, pulled)
            {
                self.look_later(from, task);
                continue;
            }
            self.move_fair(task, to)?;
            pulled.tasks += 1;
            if puller.newly {
                break;
            }
        }
        Ok(())
    }

    /// Whether a task can be moved, as far as itself is concerned (kernel: `can_migrate_task`).
    fn is_to_move(
        &mut self,
        puller: &Puller,
        (task, busy): (TaskId, bool),
        by: By,
        pulled: &mut Pulled,
    ) -> bool {
        let from = self.place_of(task);
        let failed = self.failures(puller);
        if self.is_delayed(task) && by != By::Load {
            return false;
        }
        if failed == 0 && busy && !self.is_eligible(task) {
            return false;
        }
        if !self.may_use(task, puller.to) {
            pulled.pinned = true;
            if !puller.newly && pulled.instead.is_none() {
                let group = self.own_group(puller);
                let fits = |cpu: &u32| !puller.without.has(*cpu) && self.may_use(task, *cpu);
                pulled.instead = group.iter().copied().find(fits);
            }
            return false;
        }
        pulled.all_pinned = false;
        if self.current(from) == Some(task) {
            return false;
        }
        let domains = self.domains();
        let domain = &domains.all[puller.domain];
        let (threads, tries) = (domain.kind == super::Kind::Core, domain.tries());
        let hot = !threads && self.ran_ago_ns(task) < HOT_NS;
        !hot || failed > tries
    }

    /// Whether a task is not too much; takes it off what is left.
    fn fits_amount(&mut self, puller: &Puller, task: TaskId, by: By, pulled: &mut Pulled) -> bool {
        let failed = self.failures(puller).min(63);
        let amount = match by {
            By::Tasks => 1,
            By::Load => self.task_load(task).max(1) as i64,
            By::Use => self.task_use(task) as i64,
        };
        if by != By::Tasks && amount >> failed > pulled.left {
            return false;
        }
        pulled.left -= amount;
        true
    }
}

impl<V: View> Pull for V {}

impl Machine {
    /// Balances a domain in favour of a CPU; how many tasks came, and whether other CPUs of the
    /// group need not try.
    pub(super) fn balance(&mut self, mut puller: Puller) -> Result<(u32, bool), Stop> {
        let parent = self.parent_group(&puller);
        if !self.is_to_balance(&puller) {
            self.is_balanced(&puller, parent);
            return Ok((0, false));
        }
        loop {
            let imbalance = self.find_imbalance(&mut puller);
            let from = imbalance.and_then(|i| Some((i, self.busiest_cpu(&puller, &i)?)));
            let Some((imbalance, from)) = from.filter(|(_, from)| *from != puller.cpu) else {
                self.is_balanced(&puller, parent);
                return Ok((0, true));
            };
            let pulled = if self.is_held(Lock::Rq(from)) {
                Pulled::default()
            } else {
                self.pull_from(&mut puller, from, &imbalance)?
            };
            if let Some((domain, group)) = parent
                && pulled.pinned
                && pulled.left > 0
            {
                self.sched.fair.set_imbalanced(domain, group, true);
            }
            if pulled.tasks > 0 {
                self.level(&puller).settle(puller.newly, Outcome::Moved);
                return Ok((pulled.tasks, true));
            }
            if pulled.all_pinned {
                puller.without.insert(from);
                let domain = &self.sched.fair.domains.all[puller.domain];
                let own = domain.group_of(puller.cpu);
                let others = (0..).zip(&domain.groups).filter(|(group, _)| *group != own);
                let mut others = others.flat_map(|(_, group)| group.cpus.iter());
                if others.any(|cpu| !puller.without.has(*cpu)) {
                    if self.is_to_balance(&puller) {
                        continue;
                    }
                    self.is_balanced(&puller, parent);
                    return Ok((0, false));
                }
                self.level(&puller).settle(puller.newly, Outcome::Pinned);
                return Ok((0, true));
            }
            self.failed(&puller, from, &imbalance);
            return Ok((0, true));
        }
    }

    /// There is nothing to move, or others see to it.
    fn is_balanced(&mut self, puller: &Puller, parent: Option<(usize, usize)>) {
        let pinned = !puller.without.is_empty();
        if let Some((domain, group)) = parent.filter(|_| !pinned) {
            self.sched.fair.set_imbalanced(domain, group, false);
        }
        let outcome = if pinned { Outcome::Pinned } else { Outcome::Balanced };
        self.level(puller).settle(puller.newly, outcome);
    }

    /// Tasks could not be moved: after several times, the running one is.
    fn failed(&mut self, puller: &Puller, from: u32, imbalance: &Imbalance) {
        let tries = self.sched.fair.domains.all[puller.domain].tries();
        let failed = self.level(puller).failed + u32::from(!puller.newly);
        let active = imbalance.by == By::Tasks && failed > tries + 2;
        let task = self.sched.rq(from).current.filter(|_| active);
        let stays = task.is_some_and(|task| !self.may_use(task, puller.cpu));
        let alone = self.count_on(from) <= 1;
        self.level(puller).settle(puller.newly, Outcome::Failed { stays, alone });
        if task.is_none() || stays {
            return;
        }
        if !std::mem::replace(&mut self.sched.rq(from).balance.pushes, true) {
            let interrupt_ns = self.shape.costs.interrupt_ns;
            self.sched.agenda.add(self.now_ns + interrupt_ns, Due::Push(from, puller.cpu));
        }
    }

    /// The group that the domain is in the next larger one.
    fn parent_group(&self, puller: &Puller) -> Option<(usize, usize)> {
        let domains = &self.sched.fair.domains;
        let parent = *domains.of[puller.cpu as usize].get(puller.level + 1)?;
        Some((parent, domains.all[parent].group_of(puller.cpu)))
    }

    /// Moves a task of this class that waits to another CPU.
    pub(super) fn move_fair(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        let from = self.sched.task(task).cpu;
        // One that sleeps, but is still in the queue, stays so.
        let delayed = self.is_delayed(task);
        if delayed {
            self.take_delayed(from, task);
        } else {
            self.deactivate(from, task, 0, true)?;
        }
        self.leave_cpu(task);
        self.set_cpu(task, to);
        if delayed {
            self.put_delayed(to, task);
        } else {
            self.activate(to, task, self.sched.version.migrated, true)?;
        }
        self.preempt(to, task);
        Ok(())
    }

    /// A CPU gives one of its tasks to another one, the running one if it has to (kernel:
    /// `active_load_balance_cpu_stop`).
    pub(crate) fn push(&mut self, from: u32, to: u32) -> Result<(), Stop> {
        self.sched.rq(from).balance.pushes = false;
        let chain = &self.sched.fair.domains.of[to as usize];
        let all = &self.sched.fair.domains.all;
        let level = chain.iter().position(|domain| all[*domain].has(from));
        let runs = self.sched.rqs[from as usize].current.is_some_and(|task| {
            self.sched.tasks[task.0 as usize].class == super::super::Class::Fair
        });
        let Some(level) = level.filter(|_| runs && !self.is_held(Lock::Rq(from))) else {
            return Ok(());
        };
        self.interrupt(from)?;
        let count = self.sched.rq(from).fair.queued;
        let fits = |task: &TaskId| self.may_use(*task, to) && !self.is_delayed(*task);
        let task = self.oldest_first(from, count).into_iter().find(fits);
        if let Some(task) = task {
            self.sched.rq(to).balance.levels[level].failed = 0;
            self.move_fair(task, to)?;
        }
        Ok(())
    }
}
