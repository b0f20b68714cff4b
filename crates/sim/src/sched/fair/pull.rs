// SPDX-License-Identifier: GPL-2.0-or-later
//! Tasks are moved from a busy CPU to one that has less to do (kernel: `sched_balance_rq`).

use super::super::{Due, TaskId};
use super::balance::{By, Imbalance, Puller};
use crate::interleave::Lock;
use crate::machine::Machine;
use crate::run::Stop;

/// A task that has run so short a time ago is hot, in ns (kernel: `sysctl_sched_migration_cost`).
pub(super) const HOT_NS: u64 = 500_000;
/// So many tasks are looked at in one go (kernel: `sysctl_sched_nr_migrate`).
const LOOKED_AT: u32 = 32;
/// The longest time between two balances that fail by affinity, in ms.
const PINNED_MS: u64 = 512;

/// What came of looking at a CPU's tasks.
#[derive(Debug, Default)]
struct Pulled {
    tasks: u32,
    /// Whether some may not run where they are wanted, and whether that is all of them.
    pinned: bool,
    all_pinned: bool,
    /// Where else in the group one of them may.
    instead: Option<u32>,
    /// What is left of the imbalance.
    left: i64,
}

impl Machine {
    /// Balances a domain in favour of a CPU; how many tasks came, and whether other CPUs of the
    /// group need not try.
    pub(super) fn balance(&mut self, mut puller: Puller) -> Result<(u32, bool), Stop> {
        if !self.is_to_balance(&puller) {
            return Ok((0, false));
        }
        let parent = self.parent_group(&puller);
        loop {
            let imbalance = self.find_imbalance(&puller);
            let from = imbalance.and_then(|i| Some((i, self.busiest_cpu(&puller, &i)?)));
            let Some((imbalance, from)) = from.filter(|(_, from)| *from != puller.cpu) else {
                if let Some((domain, group)) = parent {
                    self.sched.fair.set_imbalanced(domain, group, false);
                }
                self.found_balance(&puller, false);
                return Ok((0, true));
            };
            let pulled = self.pull_from(&puller, from, &imbalance)?;
            if let Some((domain, group)) = parent
                && pulled.pinned
                && pulled.left > 0
            {
                self.sched.fair.set_imbalanced(domain, group, true);
            }
            let state = self.level(&puller);
            if pulled.tasks > 0 {
                (state.failed, state.interval_ms) = (0, state.least_ms());
                return Ok((pulled.tasks, true));
            }
            if pulled.all_pinned {
                puller.without.push(from);
                let own = self.own_group(&puller);
                let domain = &self.sched.fair.domains.all[puller.domain];
                let others = domain.cpus.iter().filter(|cpu| !puller.without.contains(cpu));
                if others.clone().any(|cpu| !own.contains(cpu)) {
                    continue;
                }
                self.found_balance(&puller, true);
                return Ok((0, true));
            }
            self.failed(&puller, from, &imbalance);
            return Ok((0, true));
        }
    }

    /// Tasks could not be moved: after several times, the running one is.
    fn failed(&mut self, puller: &Puller, from: u32, imbalance: &Imbalance) {
        let tries = self.sched.fair.domains.all[puller.domain].tries();
        let state = self.level(puller);
        state.failed += u32::from(!puller.newly);
        let active = imbalance.by == By::Tasks && state.failed > tries + 2;
        state.interval_ms = state.least_ms();
        let Some(task) = self.sched.rq(from).current.filter(|_| active) else { return };
        let may = self.may_use(task, puller.cpu);
        if may && !std::mem::replace(&mut self.sched.rq(from).balance.pushes, true) {
            let interrupt_ns = self.shape.costs.interrupt_ns;
            self.sched.agenda.add(self.now_ns + interrupt_ns, Due::Push(from, puller.cpu));
        }
    }

    /// There is nothing to move: the next try may be later.
    fn found_balance(&mut self, puller: &Puller, pinned: bool) {
        let newly = puller.newly;
        let state = self.level(puller);
        if pinned || !newly {
            state.failed = 0;
        }
        if !newly
            && (pinned && state.interval_ms < PINNED_MS || state.interval_ms < state.most_ms())
        {
            state.interval_ms *= 2;
        }
    }

    /// The CPUs of the group that a CPU pulls for.
    fn own_group(&self, puller: &Puller) -> Vec<u32> {
        let domain = &self.sched.fair.domains.all[puller.domain];
        domain.groups[domain.group_of(puller.cpu)].cpus.clone()
    }

    /// The group that the domain is in the next larger one.
    fn parent_group(&self, puller: &Puller) -> Option<(usize, usize)> {
        let domains = &self.sched.fair.domains;
        let parent = *domains.of[puller.cpu as usize].get(puller.level + 1)?;
        Some((parent, domains.all[parent].group_of(puller.cpu)))
    }

    /// Whether this CPU is the one of its group that balances: the first idle one, else the first.
    fn is_to_balance(&self, puller: &Puller) -> bool {
        if puller.newly {
            return self.count_on(puller.cpu) == 0;
        }
        let domains = &self.sched.fair.domains;
        let threads = domains.all[puller.domain].kind == super::Kind::Core;
        let (mut sibling, mut core_seen) = (None, Vec::new());
        let group = self.own_group(puller);
        for &cpu in &group {
            if !self.has_nothing(cpu) || core_seen.contains(&cpu) {
                continue;
            }
            let core = &domains.siblings[cpu as usize];
            if !threads && !core.iter().all(|thread| self.has_nothing(*thread)) {
                sibling = sibling.or(Some(cpu));
                core_seen.extend(core);
                continue;
            }
            return cpu == puller.cpu;
        }
        sibling.or(group.first().copied()) == Some(puller.cpu)
    }

    /// Moves tasks from a CPU until the imbalance is made good.
    fn pull_from(
        &mut self,
        puller: &Puller,
        from: u32,
        imbalance: &Imbalance,
    ) -> Result<Pulled, Stop> {
        let mut pulled = Pulled { left: imbalance.amount, all_pinned: true, ..Pulled::default() };
        let count = self.count_on(from);
        if count <= 1 || self.is_held(Lock::Rq(from)) {
            pulled.all_pinned = false;
            return Ok(pulled);
        }
        let mut to = puller.cpu;
        loop {
            for task in self.oldest_first(from, count.min(LOOKED_AT)) {
                if pulled.left <= 0 || puller.idle && self.count_on(from) <= 1 {
                    break;
                }
                if !self.is_to_move(puller, (task, to), imbalance.by, &mut pulled)
                    || !self.fits_amount(puller, task, imbalance.by, &mut pulled)
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
            match pulled.instead.take().filter(|_| pulled.left > 0 && to == puller.cpu) {
                Some(other) => to = other,
                None => return Ok(pulled),
            }
        }
    }

    /// Whether a task can be moved, as far as itself is concerned (kernel: `can_migrate_task`).
    fn is_to_move(
        &mut self,
        puller: &Puller,
        (task, to): (TaskId, u32),
        by: By,
        pulled: &mut Pulled,
    ) -> bool {
        let from = self.sched.task(task).cpu;
        let failed = self.level(puller).failed;
        if self.is_delayed(task) && by != By::Load {
            return false;
        }
        let (queue, all) = self.fair(from);
        let eligible = queue.is_eligible(all, task);
        if failed == 0 && !eligible && self.sched.rq(to).fair.queued > 0 {
            return false;
        }
        if !self.may_use(task, to) {
            pulled.pinned = true;
            if !puller.newly && to == puller.cpu && pulled.instead.is_none() {
                let group = self.own_group(puller);
                let fits = |cpu: &u32| *cpu != to && self.may_use(task, *cpu);
                pulled.instead = group.into_iter().find(fits);
            }
            return false;
        }
        pulled.all_pinned = false;
        if self.sched.rq(from).current == Some(task) {
            return false;
        }
        let domain = &self.sched.fair.domains.all[puller.domain];
        let (threads, tries) = (domain.kind == super::Kind::Core, domain.tries());
        let ran_ns = self.sched.entities[task.0 as usize].ran_ns;
        let hot = !threads && self.now_ns.saturating_sub(ran_ns) < HOT_NS;
        !hot || failed > tries
    }

    /// Whether a task is not too much; takes it off what is left.
    fn fits_amount(&mut self, puller: &Puller, task: TaskId, by: By, pulled: &mut Pulled) -> bool {
        let failed = self.level(puller).failed.min(63);
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

    /// Moves a task of this class that waits to another CPU.
    fn move_fair(&mut self, task: TaskId, to: u32) -> Result<(), Stop> {
        if self.is_delayed(task) {
            self.finish_fair(task);
            return Ok(());
        }
        let from = self.sched.task(task).cpu;
        self.deactivate(from, task, 0, true)?;
        self.leave_cpu(task);
        self.set_cpu(task, to);
        self.activate(to, task, self.sched.version.migrated, true)?;
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
