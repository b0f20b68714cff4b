// SPDX-License-Identifier: GPL-2.0-or-later
//! What is to be moved within a domain, and from where (kernel: `sched_balance_find_src_group`,
//! `calculate_imbalance`, `sched_balance_find_src_rq`).

use super::super::cpus;
use super::averages::FULL;
use super::domains::{Group, Kind};
use super::fork::spare;
use super::select::is_cache;
use super::stats::{State, Stats, Sums};
use super::view::View;

/// In which measure an imbalance is made good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Load,
    Use,
    Tasks,
}

/// Who balances, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Puller {
    pub(super) cpu: u32,
    pub(super) domain: usize,
    /// Its place in the CPU's chain of domains.
    pub(super) level: usize,
    pub(super) idle: bool,
    /// It is about to go idle.
    pub(super) newly: bool,
    /// CPUs from which nothing can be had, and CPUs for which nothing can be.
    pub(super) without: Without,
    /// Where tasks are to go: another CPU of the group, if affinity keeps them from this one.
    pub(super) to: u32,
}

impl Puller {
    /// A CPU that balances one of its domains.
    pub(super) fn new(cpu: u32, (domain, level): (usize, usize), idle: bool, newly: bool) -> Self {
        Self { cpu, domain, level, idle, newly, without: Without::default(), to: cpu }
    }
}

/// CPUs that are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Without {
    set: Vec<u64>,
    /// What they have, by groups of the domain, but for some that are not summed up yet.
    sums: Vec<Sums>,
    not_yet: Vec<u32>,
}

impl Without {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    pub(super) fn has(&self, cpu: u32) -> bool {
        cpus::has(&self.set, cpu)
    }

    pub(super) fn insert(&mut self, cpu: u32) {
        let (word, bit) = cpus::place(cpu);
        self.set.resize(self.set.len().max(word + 1), 0);
        if self.set[word] & bit == 0 {
            self.set[word] |= bit;
            self.not_yet.push(cpu);
        }
    }
}

impl FromIterator<u32> for Without {
    fn from_iter<I: IntoIterator<Item = u32>>(list: I) -> Self {
        let mut without = Self::default();
        list.into_iter().for_each(|cpu| without.insert(cpu));
        without
    }
}

/// An imbalance: so much of a measure is to come from a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Imbalance {
    pub(super) group: usize,
    pub(super) by: By,
    pub(super) amount: i64,
}

/// All that is known of a domain's groups.
pub(super) struct Survey {
    local: Stats,
    local_cores: u32,
    local_is_core: bool,
    busiest: Stats,
    group: usize,
    busiest_group: Group,
    load: u64,
    capacity: u64,
}

/// What is to be moved, and from where.
pub(super) trait FindBusy: View {
    /// Sums up what the CPUs have that are left out. While one CPU balances, that does not change.
    fn sum_left_out(&mut self, puller: &mut Puller) {
        let domains = self.domains();
        let domain = &domains.all[puller.domain];
        let without = &mut puller.without;
        for cpu in without.not_yet.drain(..) {
            let Some(group) = domain.group_with(cpu) else { continue };
            without.sums.resize(domain.groups.len(), Sums::default());
            without.sums[group].replace(&Sums::default(), &self.sums_on(cpu));
        }
    }

    /// What is known of a group.
    fn stats(&mut self, puller: &Puller, group: usize, local: bool) -> Stats {
        let domains = self.domains();
        let known = &domains.all[puller.domain];
        let (percent, threads) = (known.imbalance_percent(), known.groups[group].is_core());
        let imbalanced = self.is_imbalanced(puller.domain, group);
        let mut sums = self.sums(puller.domain, group);
        if let Some(without) = puller.without.sums.get(group) {
            sums.replace(without, &Sums::default());
        }
        let mut stats = Stats::new(known.groups[group].cpus.len(), sums);
        let threads = !local && puller.idle && threads && stats.sums.fair > 1;
        stats.classify(percent, imbalanced, threads);
        if stats.state == State::Overloaded {
            stats.weigh();
        }
        stats
    }

    /// Looks at all groups of a domain; `None` if no other has anything.
    fn survey(&mut self, puller: &mut Puller) -> Option<Survey> {
        let domains = self.domains();
        let all = &domains.all[puller.domain].groups;
        let (groups, own) = (all.len(), domains.all[puller.domain].group_of(puller.cpu));
        self.sum_left_out(puller);
        let mut overloaded = false;
        let (mut local, mut busiest): (Stats, Option<(usize, Stats)>) = Default::default();
        let (mut load, mut capacity, mut used) = (0, 0, 0);
        for group in (own..groups).chain(0..own) {
            let stats = self.stats(puller, group, group == own);
            overloaded |= stats.sums.crowded_cpus > 0;
            (load, capacity, used) =
                (load + stats.sums.load, capacity + stats.capacity(), used + stats.sums.used);
            if group == own {
                local = stats;
            } else if stats.sums.fair > 0 {
                let busier = busiest
                    .is_none_or(|(best, s)| is_busier((&stats, &all[group]), (&s, &all[best])));
                if busier {
                    busiest = Some((group, stats));
                }
            }
        }
        if domains.of[puller.cpu as usize].len() == puller.level + 1 {
            self.set_overloaded(overloaded);
        }
        if !puller.newly {
            self.count_scans(puller, used);
        }
        let (group, busiest) = busiest?;
        let (local_cores, local_is_core) = (all[own].cores, all[own].is_core());
        let busiest_group = all[group].clone();
        let survey = Survey {
            local,
            local_cores,
            local_is_core,
            busiest,
            group,
            busiest_group,
            load,
            capacity,
        };
        Some(survey)
    }

    /// So many CPUs are looked at for an idle one from now on: the fewer the more is used (kernel:
    /// `update_idle_cpu_scan`).
    fn count_scans(&mut self, puller: &Puller, used: u64) {
        let domains = self.domains();
        let domain = &domains.all[puller.domain];
        if !is_cache(domain.kind) || domains.cache(puller.cpu) != Some(puller.domain) {
            return;
        }
        let cpus = domain.cpus.len() as u64;
        let (each, percent) = (used / cpus, domain.imbalance_percent());
        let gone = (each * each * percent * percent / (10_000 * FULL)).min(FULL);
        let scans = (FULL - gone) * cpus / FULL;
        self.cache(puller.domain).scans = scans as u32;
    }

    /// What is to be moved in a domain, if anything.
    fn find_imbalance(&mut self, puller: &mut Puller) -> Option<Imbalance> {
        let survey = self.survey(puller)?;
        let domains = self.domains();
        let known = &domains.all[puller.domain];
        let (percent, kind, spared) = (known.imbalance_percent(), known.kind, known.spared);
        if !survey.is_one(puller, percent) {
            return None;
        }
        let (by, amount) = survey.amount(puller, kind, spared);
        (amount > 0).then_some(Imbalance { group: survey.group, by, amount })
    }

    /// The busiest CPU of a group, and what it is the busiest in.
    fn busiest_cpu(&mut self, puller: &Puller, imbalance: &Imbalance) -> Option<u32> {
        let domains = self.domains();
        let cpus = &domains.all[puller.domain].groups[imbalance.group].cpus;
        let mut busiest = (0, None);
        for &cpu in cpus.iter().filter(|cpu| !puller.without.has(**cpu)) {
            let tasks = self.runnable_on(cpu);
            if tasks == 0 {
                continue;
            }
            let amount = match imbalance.by {
                By::Load => {
                    let load = self.load_of(cpu);
                    if tasks == 1 && load as i64 > imbalance.amount {
                        continue;
                    }
                    load
                }
                By::Use if tasks <= 1 => continue,
                By::Use => self.used_of(cpu).max(self.wanted_of(cpu)).min(FULL),
                By::Tasks => u64::from(tasks),
            };
            if amount > busiest.0 {
                busiest = (amount, Some(cpu));
            }
        }
        busiest.1
    }
}

impl<V: View> FindBusy for V {}

impl Survey {
    /// How many tasks more the busiest group has than the local one, for its cores (kernel:
    /// `sibling_imbalance`).
    fn more_tasks(&self, puller: &Puller) -> i64 {
        if !puller.idle || self.busiest.sums.tasks == 0 {
            return 0;
        }
        let (theirs, ours) = (i64::from(self.busiest_group.cores), i64::from(self.local_cores));
        let (busiest, local) =
            (i64::from(self.busiest.sums.tasks), i64::from(self.local.sums.tasks));
        if theirs == ours {
            return (busiest - local).max(0);
        }
        let more = (ours * busiest - theirs * local).max(0);
        let more = (2 * more + ours + theirs) / (ours + theirs);
        if more <= 1 && local == 0 && busiest > 1 { 2 } else { more }
    }

    fn density(&self) -> u64 {
        self.load * FULL / self.capacity.max(1)
    }

    /// Whether there is an imbalance worth anything.
    fn is_one(&self, puller: &Puller, percent: u64) -> bool {
        let (local, busiest) = (&self.local, &self.busiest);
        if busiest.state == State::Imbalanced {
            return true;
        }
        if local.state > busiest.state {
            return false;
        }
        if local.state == State::Overloaded
            && (local.density >= busiest.density
                || local.density >= self.density()
                || 100 * busiest.density <= percent * local.density)
        {
            return false;
        }
        let spreads = self.busiest_group.spreads() && local.state == State::HasSpare;
        if spreads && self.more_tasks(puller) > 1 {
            return true;
        }
        if busiest.state == State::Overloaded {
            return true;
        }
        if !puller.idle {
            return false;
        }
        if busiest.state == State::Threads && self.local_is_core != self.busiest_group.is_core() {
            return true;
        }
        let even = busiest.cpus > 1 && local.sums.idle_cpus <= busiest.sums.idle_cpus + 1;
        !even && busiest.sums.fair != 1
    }

    /// How much is to be moved, in which measure.
    fn amount(&self, puller: &Puller, kind: Kind, spared: i64) -> (By, i64) {
        let (local, busiest) = (&self.local, &self.busiest);
        if matches!(busiest.state, State::Threads | State::Imbalanced) {
            return (By::Tasks, 1);
        }
        if local.state == State::HasSpare {
            if busiest.state > State::FullyBusy && !is_cache(kind) {
                let left = local.capacity().saturating_sub(local.sums.used) as i64;
                return if puller.idle && left == 0 { (By::Tasks, 1) } else { (By::Use, left) };
            }
            let mut more = if busiest.cpus == 1 || self.busiest_group.spreads() {
                self.more_tasks(puller)
            } else {
                (i64::from(local.sums.idle_cpus) - i64::from(busiest.sums.idle_cpus)).max(0)
            };
            if matches!(kind, Kind::Nodes(_)) {
                more = spare(more, i64::from(local.sums.tasks) + 1, spared);
            }
            return (By::Tasks, more / 2);
        }
        let mut own = *local;
        if local.state < State::Overloaded {
            own.weigh();
            if own.density >= busiest.density || own.density >= self.density() {
                return (By::Load, 0);
            }
        }
        let all = self.density();
        // A third group may have so much load that the busiest one has less than the average: the
        // kernel's numbers then go below zero and come out very large.
        let theirs = busiest.density.wrapping_sub(all).wrapping_mul(busiest.capacity());
        let ours = all.wrapping_sub(own.density).wrapping_mul(own.capacity());
        (By::Load, (theirs.min(ours) / FULL) as i64)
    }
}

/// Whether a group is busier than the busiest so far (kernel: `update_sd_pick_busiest`).
fn is_busier((stats, group): (&Stats, &Group), (best, busiest): (&Stats, &Group)) -> bool {
    if stats.state != best.state {
        return stats.state > best.state;
    }
    let spare = || {
        stats.sums.idle_cpus < best.sums.idle_cpus
            || stats.sums.idle_cpus == best.sums.idle_cpus && stats.sums.tasks > best.sums.tasks
    };
    match stats.state {
        State::Overloaded => stats.density > best.density,
        State::Imbalanced => false,
        State::Threads if stats.sums.idle_cpus != 0 || best.sums.idle_cpus != 0 => spare(),
        State::Threads | State::FullyBusy => {
            stats.density > best.density || stats.density == best.density && !busiest.is_core()
        }
        State::HasSpare if busiest.is_core() != group.is_core() => {
            !(group.is_core() && stats.sums.fair <= 1)
        }
        State::HasSpare => spare(),
    }
}
