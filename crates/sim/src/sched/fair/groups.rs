// SPDX-License-Identifier: GPL-2.0-or-later
//! Groups of tasks, which have weights as tasks do (kernel: `struct task_group`, and of
//! `kernel/sched/fair.c` what is under `CONFIG_FAIR_GROUP_SCHED`, as in Linux 7.3).
//!
//! All tasks of a CPU are in one queue, whatever group they are in. What a group decides is how much
//! a task of it weighs there: its part of the weights in its group, of the group's part in the one
//! around it, and so on.
//!
//! ```text
//! one CPU: group of weight 300, two tasks of weight 100    each is 150 in the queue
//! ```
//!
//! On several CPUs, a group's weight is divided among them by the averages of its load there, and it
//! counts as many times as it has tasks that want to run, or CPUs are online if these are fewer. A task
//! learns what it weighs when it comes, when it begins to run, and at each tick: not when others come or go.

use super::averages::{Averages, Since};
use super::entity::NICE_0;

/// The least weight that a group or a task of one can come to (kernel: `MIN_SHARES`).
const LEAST: i64 = 2;
/// A group hears of the averages of a CPU so often at most, in ns (kernel: `update_tg_load_avg`).
const TELL_NS: u64 = 1_000_000;
/// Averages of all groups are brought up to date so often at most, in ns.
const AGE_NS: u64 = 1_000_000;
/// A group hears of averages if they have changed by one part in so many.
const TELL_PARTS: u64 = 64;

/// A group's number, which is its place in the list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct GroupId(pub(crate) u32);

/// The group around all others, which has no weight.
pub(crate) const TOP: GroupId = GroupId(0);

/// What is in a queue, of a group on a CPU or of all on a CPU.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Contents {
    pub(super) averages: Averages,
    /// The sum of the weights of all in it, running or not; that of nice 0 is [`NICE_0`].
    pub(super) weight: i64,
}

/// A group on one CPU.
#[derive(Debug, Clone, Default)]
struct Part {
    inside: Contents,
    /// How many tasks in it want to run, and in groups in it; and whether one of them runs.
    runnable: u32,
    runs: bool,
    /// As one of those in the group around it: its weight, whether it is there, its averages.
    weight: i64,
    queued: bool,
    averages: Averages,
    /// What load has come in or gone by other ways than time, if the group around does not know yet.
    news: Option<i64>,
    /// What the group as a whole was told of load and of those that want to run, and when.
    told: [u64; 2],
    told_ns: u64,
}

/// A group.
#[derive(Debug, Clone)]
struct Group {
    around: GroupId,
    /// Its weight; [`NICE_0`] is that of a task of nice 0, and `cpu.weight` 100.
    weight: i64,
    /// The sums of what it was told by its parts.
    told: [u64; 2],
    /// One for each CPU, from when a task of this class first comes into it.
    parts: Vec<Part>,
}

/// All groups of a machine, the one around all others first.
#[derive(Debug, Clone)]
pub(crate) struct Groups {
    all: Vec<Group>,
    /// Which CPUs are online.
    online: Vec<bool>,
    /// What a group is on a CPU before anything was in it.
    untouched: Part,
}

/// A weight as averages count it: that of nice 0 is 1024.
pub(super) fn scaled_down(weight: i64) -> u64 {
    if weight == 0 { 0 } else { (weight / (NICE_0 / 1024)).max(LEAST).cast_unsigned() }
}

impl Groups {
    /// Of a machine with so many CPUs, where no other group is.
    pub(crate) fn new(cpus: u32) -> Self {
        let top = Group { around: TOP, weight: NICE_0, told: [0; 2], parts: Vec::new() };
        let untouched = Part { weight: NICE_0, ..Part::default() };
        Self { all: vec![top], online: vec![true; cpus as usize], untouched }
    }

    /// Makes a group in another one, with the weight of one task.
    pub(crate) fn make(&mut self, around: GroupId) -> GroupId {
        self.all.push(Group { around, weight: NICE_0, told: [0; 2], parts: Vec::new() });
        GroupId(self.all.len() as u32 - 1)
    }

    /// Whether there is such a group.
    pub(crate) fn has(&self, group: GroupId) -> bool {
        (group.0 as usize) < self.all.len()
    }

    /// Whether there is any beside the one around all others.
    pub(super) fn are_any(&self) -> bool {
        self.all.len() > 1
    }

    fn part(&self, group: GroupId, cpu: u32) -> &Part {
        self.all[group.0 as usize].parts.get(cpu as usize).unwrap_or(&self.untouched)
    }

    fn part_mut(&mut self, group: GroupId, cpu: u32) -> &mut Part {
        let parts = &mut self.all[group.0 as usize].parts;
        if parts.is_empty() {
            parts.resize(self.online.len(), self.untouched.clone());
        }
        &mut parts[cpu as usize]
    }

    fn around(&self, group: GroupId) -> GroupId {
        self.all[group.0 as usize].around
    }

    /// What is in a group on a CPU, where `top` is what is in the one around all others.
    pub(super) fn inside<'a>(
        &'a mut self,
        group: GroupId,
        cpu: u32,
        top: &'a mut Contents,
    ) -> &'a mut Contents {
        if group == TOP { top } else { &mut self.part_mut(group, cpu).inside }
    }

    /// What a group weighs on a CPU (kernel: `calc_concur_shares`).
    fn share(&self, group: GroupId, cpu: u32) -> i64 {
        let whole = &self.all[group.0 as usize];
        let part = self.part(group, cpu);
        let tasks = (whole.told[1] / super::averages::FULL).max(1);
        let cpus = self.online.iter().filter(|online| **online).count().max(1) as u64;
        let most = i128::from(tasks.min(cpus)) * i128::from(whole.weight);
        let load = scaled_down(part.inside.weight).max(part.inside.averages.load);
        let all = whole.told[0].saturating_sub(part.told[0]) + load;
        let share = most * i128::from(load) / i128::from(all.max(1));
        share.clamp(LEAST.into(), most.max(LEAST.into())) as i64
    }

    /// Works out anew what a group weighs on a CPU, unless nothing is in it there; by how much the
    /// group around it gets heavier (kernel: `update_cfs_group`).
    fn renew(&mut self, group: GroupId, cpu: u32, top: &mut Contents) -> i64 {
        if self.part(group, cpu).inside.weight == 0 {
            return 0;
        }
        let share = self.share(group, cpu);
        let part = self.part_mut(group, cpu);
        let before = std::mem::replace(&mut part.weight, share);
        if before == share {
            return 0;
        }
        let (mut own, queued) = (part.averages, part.queued);
        let around = self.around(group);
        let averages = &mut self.inside(around, cpu, top).averages;
        own.reweigh_in(averages, scaled_down(before), scaled_down(share));
        self.part_mut(group, cpu).averages = own;
        if queued { share - before } else { 0 }
    }

    /// A task comes into the queue, which `wants` to run or is delayed.
    pub(super) fn enter(
        &mut self,
        group: GroupId,
        cpu: u32,
        weight: i64,
        wants: bool,
        top: &mut Contents,
    ) {
        let (mut next, mut more) = (group, weight);
        while next != TOP {
            let part = self.part_mut(next, cpu);
            part.inside.weight += more;
            part.runnable += u32::from(wants);
            more = self.renew(next, cpu, top);
            let part = self.part_mut(next, cpu);
            if !std::mem::replace(&mut part.queued, true) {
                more = part.weight;
            }
            next = self.around(next);
        }
        top.weight += more;
    }

    /// A task leaves the queue.
    pub(super) fn leave(
        &mut self,
        group: GroupId,
        cpu: u32,
        weight: i64,
        wanted: bool,
        top: &mut Contents,
    ) {
        let (mut next, mut more) = (group, -weight);
        while next != TOP {
            let part = self.part_mut(next, cpu);
            part.inside.weight += more;
            part.runnable = part.runnable.saturating_sub(wanted.into());
            if part.inside.weight > 0 {
                more = self.renew(next, cpu, top);
            } else {
                // It keeps its weight, for when it comes back.
                part.queued = false;
                more = -part.weight;
            }
            next = self.around(next);
        }
        top.weight += more;
    }

    /// A task in the queue does not want to run any more, or does again.
    pub(super) fn count(&mut self, group: GroupId, cpu: u32, wants: bool) {
        let mut next = group;
        while next != TOP {
            let part = self.part_mut(next, cpu);
            part.runnable = part.runnable.saturating_add_signed(if wants { 1 } else { -1 });
            next = self.around(next);
        }
    }

    /// A task of a group begins to run, or ends.
    pub(super) fn set_runs(&mut self, group: GroupId, cpu: u32, runs: bool) {
        let mut next = group;
        while next != TOP {
            self.part_mut(next, cpu).runs = runs;
            next = self.around(next);
        }
    }

    /// Works out anew what a group, and those around it, weigh on a CPU.
    pub(super) fn renew_all(&mut self, group: GroupId, cpu: u32, top: &mut Contents) {
        let mut next = group;
        while next != TOP {
            let more = self.renew(next, cpu, top);
            next = self.around(next);
            self.inside(next, cpu, top).weight += more;
        }
    }

    /// Sets what a group weighs as a whole; whether that is new. Where it counts: see
    /// [`renew_all`](Self::renew_all).
    pub(super) fn set_weight(&mut self, group: GroupId, weight: i64) -> bool {
        std::mem::replace(&mut self.all[group.0 as usize].weight, weight) != weight
    }

    /// A CPU goes, whose averages groups do not count meanwhile, or comes (kernel:
    /// `clear_tg_offline_cfs_rqs`).
    pub(crate) fn set_online(&mut self, cpu: u32, online: bool, now_ns: u64) {
        self.online[cpu as usize] = online;
        if online {
            return;
        }
        for group in &mut self.all {
            let Some(part) = group.parts.get_mut(cpu as usize) else { continue };
            part.told_ns = now_ns;
            let before = std::mem::take(&mut part.told);
            for (all, one) in group.told.iter_mut().zip(before) {
                *all = all.saturating_sub(one);
            }
        }
    }

    /// What a task in the queue weighs there, which weighs so much in its group (kernel:
    /// `__calc_prop_weight`).
    pub(super) fn in_queue(&self, group: GroupId, cpu: u32, weight: i64) -> i64 {
        let (mut next, mut weight, mut all) = (group, weight, NICE_0);
        while next != TOP {
            let part = self.part(next, cpu);
            let sum = part.inside.weight.max(1);
            all = (i128::from(all) * i128::from(weight) / i128::from(sum)) as i64;
            all = all.max(LEAST);
            weight = part.weight;
            next = self.around(next);
        }
        ((i128::from(all) * i128::from(weight) / i128::from(NICE_0)) as i64).max(LEAST)
    }

    /// Brings the averages of a group on a CPU, and of those around it, up to date. Those of the CPU
    /// itself are.
    pub(super) fn age(&mut self, group: GroupId, cpu: u32, now_ns: u64, top: &mut Contents) {
        let mut next = group;
        if next != TOP {
            self.part_mut(next, cpu).age_inside(now_ns);
        }
        while next != TOP {
            let part = self.part_mut(next, cpu);
            let (wanted, ran) = (part.runnable.into(), part.runs);
            let since = Since { load: part.queued.into(), wanted, ran };
            part.averages.advance(now_ns, since, scaled_down(part.weight));
            let (mut own, inside, news) = (part.averages, part.inside, part.news.take());
            let weight = scaled_down(part.weight);
            let around = self.around(next);
            if around != TOP {
                self.part_mut(around, cpu).age_inside(now_ns);
            }
            if let Some(news) = news {
                self.tell_around(around, cpu, news);
                let averages = &mut self.inside(around, cpu, top).averages;
                let sums = (inside.averages, scaled_down(inside.weight));
                own.follow(sums, news, averages, weight);
                self.part_mut(next, cpu).averages = own;
            }
            self.tell(next, cpu, now_ns);
            next = around;
        }
    }

    /// Load has come into a group on a CPU, or gone, with a task.
    pub(super) fn tell_around(&mut self, group: GroupId, cpu: u32, load: i64) {
        if group != TOP {
            let news = &mut self.part_mut(group, cpu).news;
            *news = Some(news.unwrap_or(0) + load);
        }
    }

    /// A group hears of the averages of a CPU, if they have changed (kernel: `update_tg_load_avg`).
    fn tell(&mut self, group: GroupId, cpu: u32, now_ns: u64) {
        let online = self.online[cpu as usize];
        let part = self.part_mut(group, cpu);
        if !online || now_ns.saturating_sub(part.told_ns) < TELL_NS {
            return;
        }
        let now = [part.inside.averages.load, part.inside.averages.wanted];
        let before = part.told;
        let far = |at: usize| now[at].abs_diff(before[at]) > before[at] / TELL_PARTS;
        if far(0) || far(1) {
            (part.told, part.told_ns) = (now, now_ns);
            let whole = &mut self.all[group.0 as usize].told;
            for at in [0, 1] {
                whole[at] = whole[at].saturating_sub(before[at]) + now[at];
            }
        }
    }

    /// Brings the averages of all groups on a CPU up to date (kernel:
    /// `sched_balance_update_blocked_averages`). One that was so less than about a period of them ago
    /// is passed over, which the kernel does not do: what nobody is in changes with each period
    /// only, and where tasks are, each tick does it.
    pub(super) fn age_all(&mut self, cpu: u32, now_ns: u64, top: &mut Contents) {
        // Each is behind the one around it.
        for group in (1..self.all.len() as u32).rev() {
            let part = self.part(GroupId(group), cpu);
            let until_ns = part.averages.until_ns;
            if until_ns != 0 && until_ns + AGE_NS <= now_ns && !part.is_over() {
                self.age(GroupId(group), cpu, now_ns, top);
            }
        }
    }

    /// The part of a CPU's load that a load in a group is (kernel: `task_h_load`).
    pub(super) fn load_in(&self, group: GroupId, cpu: u32, load: u64, top: &Contents) -> u64 {
        let (mut next, mut load) = (group, u128::from(load));
        while next != TOP {
            let part = self.part(next, cpu);
            load =
                load * u128::from(part.averages.load) / u128::from(part.inside.averages.load + 1);
            next = self.around(next);
        }
        (load * u128::from(top.averages.load) / u128::from(top.averages.load + 1)) as u64
    }
}

impl Part {
    /// Whether nothing is in it, and nothing is left of what was.
    fn is_over(&self) -> bool {
        let none = self.inside.averages.are_none() && self.averages.are_none();
        self.inside.weight == 0 && none && self.news.is_none() && self.told == [0, 0]
    }

    fn age_inside(&mut self, now_ns: u64) {
        let (wanted, ran) = (self.runnable.into(), self.runs);
        let since = Since { load: scaled_down(self.inside.weight), wanted, ran };
        self.inside.averages.advance(now_ns, since, 1);
    }
}

#[cfg(test)]
impl Groups {
    /// Whether sums on a CPU are those of the tasks that are in its queue, and no group weighs too much
    /// or nothing. Of each task: group, weight, whether it wants to run.
    pub(super) fn look(&self, cpu: u32, top: &Contents, tasks: &[(GroupId, i64, bool)]) {
        for group in (0..self.all.len() as u32).map(GroupId) {
            let own = tasks.iter().filter(|task| task.0 == group).map(|task| task.1).sum::<i64>();
            let below = (1..self.all.len() as u32).map(GroupId);
            let below = below.filter(|below| self.around(*below) == group);
            let parts = below.map(|below| self.part(below, cpu)).filter(|part| part.queued);
            let sum = own + parts.map(|part| part.weight).sum::<i64>();
            if group == TOP {
                assert_eq!(top.weight, sum);
                continue;
            }
            let part = self.part(group, cpu);
            assert_eq!((part.inside.weight, part.queued), (sum, sum > 0), "{group:?}");
            let wanting = tasks.iter().filter(|task| task.2 && self.is_in(task.0, group));
            assert_eq!(part.runnable as usize, wanting.count(), "{group:?}");
            if part.queued {
                let most = self.all[group.0 as usize].weight * self.online.len() as i64;
                assert!((LEAST..=most).contains(&part.weight), "{group:?} {}", part.weight);
            }
        }
    }

    /// Whether a group is another one or in it.
    pub(super) fn is_in(&self, group: GroupId, other: GroupId) -> bool {
        let around = |group: &GroupId| Some(self.around(*group)).filter(|_| *group != TOP);
        std::iter::successors(Some(group), around).any(|group| group == other)
    }

    /// Whether one of a group's tasks runs on a CPU.
    pub(super) fn runs(&self, group: GroupId, cpu: u32) -> bool {
        self.part(group, cpu).runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1 << 20;
    /// The groups around groups; the first is around all.
    const AROUND: [u32; 5] = [0, 0, 1, 1, 0];

    /// Tasks on CPUs: group, CPU, weight, whether it wants to run.
    type Tasks = Vec<(GroupId, u32, i64, bool)>;

    struct Machine {
        groups: Groups,
        tops: Vec<Contents>,
        tasks: Tasks,
        now_ns: u64,
    }

    impl Machine {
        fn new(cpus: u32) -> Self {
            let mut groups = Groups::new(cpus);
            for around in &AROUND[1..] {
                groups.make(GroupId(*around));
            }
            let tops = vec![Contents::default(); cpus as usize];
            Self { groups, tops, tasks: Vec::new(), now_ns: MS }
        }

        fn enter(&mut self, group: u32, cpu: u32, weight: i64) {
            let (group, top) = (GroupId(group), &mut self.tops[cpu as usize]);
            self.groups.age(group, cpu, self.now_ns, top);
            self.groups.enter(group, cpu, weight, true, top);
            self.tasks.push((group, cpu, weight, true));
        }

        fn leave(&mut self, at: usize) {
            let (group, cpu, weight, wants) = self.tasks.swap_remove(at);
            let top = &mut self.tops[cpu as usize];
            self.groups.age(group, cpu, self.now_ns, top);
            self.groups.leave(group, cpu, weight, wants, top);
        }

        fn pass(&mut self, ns: u64) {
            self.now_ns += ns;
            for (cpu, top) in (0..).zip(&mut self.tops) {
                for group in (1..AROUND.len() as u32).rev() {
                    self.groups.age(GroupId(group), cpu, self.now_ns, top);
                }
            }
        }

        fn look(&self) {
            for (cpu, top) in (0..).zip(&self.tops) {
                let here = self.tasks.iter().filter(|task| task.1 == cpu);
                let tasks: Vec<_> = here.map(|task| (task.0, task.2, task.3)).collect();
                self.groups.look(cpu, top, &tasks);
            }
        }
    }

    /// Whoever comes into a group with averages, and goes, is noticed in all groups around.
    #[test]
    fn what_comes_and_goes_is_known_around() {
        let mut machine = Machine::new(1);
        machine.pass(MS);
        let (groups, top) = (&mut machine.groups, &mut machine.tops[0]);
        top.averages.advance(machine.now_ns, Since { load: 0, wanted: 0, ran: false }, 1);
        let mut task = Averages::new(500);
        (task.used, task.wanted) = (200, 300);
        for (load, sign) in [([200, 300, 500], 1), ([0, 0, 0], -1)] {
            let inside = &mut groups.inside(GroupId(3), 0, top).averages;
            if sign > 0 {
                task.join(inside, 1024);
            } else {
                task.part(inside, 1024);
            }
            groups.tell_around(GroupId(3), 0, sign * task.load_sum());
            groups.age(GroupId(3), 0, machine.now_ns, top);
            for averages in [groups.part(GroupId(1), 0).inside.averages, top.averages] {
                let found = [averages.used, averages.wanted, averages.load];
                // Group 3 and 1 weigh as much as the task.
                let near = found.iter().zip(load).all(|(one, other)| one.abs_diff(other) <= 3);
                assert!(near, "{found:?} instead of {load:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn sums_are_those_of_what_is_there(
            steps in prop::collection::vec((0..5_u32, 0..5_u32, 0..3_u32, 15..90_000_i64), 1..80),
        ) {
            let mut machine = Machine::new(3);
            for (what, group, cpu, weight) in steps {
                match what {
                    0 | 1 => machine.enter(group, cpu, weight * 1024),
                    2 if !machine.tasks.is_empty() => {
                        machine.leave(weight as usize % machine.tasks.len());
                    }
                    3 if group > 0 => {
                        machine.groups.set_weight(GroupId(group), weight * 100);
                        for (cpu, top) in (0..).zip(&mut machine.tops) {
                            machine.groups.renew_all(GroupId(group), cpu, top);
                        }
                    }
                    _ => machine.pass(weight as u64 * 1000),
                }
                machine.look();
            }
            // All leave, and after a while nobody knows that they were there.
            while !machine.tasks.is_empty() {
                machine.leave(0);
            }
            for _ in 0..20 {
                machine.pass(100 * MS);
            }
            machine.look();
            for group in &machine.groups.all {
                prop_assert_eq!(group.told, [0, 0]);
                prop_assert!(group.parts.iter().all(Part::is_over));
            }
        }

        /// What is on a CPU that goes counts no more, and what comes to one that is back does.
        #[test]
        fn only_cpus_that_are_online_count(weights in prop::collection::vec(1..4_i64, 3..4)) {
            let mut machine = Machine::new(3);
            for (cpu, count) in (0..).zip(&weights) {
                (0..*count).for_each(|_| machine.enter(3, cpu, NICE_0));
            }
            for online in [false, true] {
                machine.groups.set_online(2, online, machine.now_ns);
                for _ in 0..500 {
                    machine.pass(MS);
                }
                let groups = &machine.groups;
                let parts = &groups.all[3].parts;
                for at in [0, 1] {
                    let sum: u64 = parts.iter().map(|part| part.told[at]).sum();
                    prop_assert_eq!(groups.all[3].told[at], sum);
                }
                prop_assert_eq!(parts[2].told == [0, 0], !online);
                // What a group weighs on all CPUs together: as often as tasks are on them.
                let all: i64 = (0..2 + u32::from(online)).map(|cpu| groups.share(GroupId(3), cpu)).sum();
                let times = if online { 3 } else { 2 };
                let near = NICE_0 * (times - 1)..=NICE_0 * times * 51 / 50;
                prop_assert!(near.contains(&all), "{all} of {near:?}");
                prop_assert!(all > NICE_0 * times * 49 / 50 || weights.iter().sum::<i64>() < 6);
            }
        }

        /// A group that always has the same tasks is divided among CPUs by what they weigh there.
        #[test]
        fn a_groups_weight_is_divided_by_load(
            weights in prop::collection::vec(0..4_i64, 4..5),
        ) {
            let mut machine = Machine::new(4);
            for (cpu, count) in (0..).zip(&weights) {
                (0..*count).for_each(|_| machine.enter(3, cpu, NICE_0));
            }
            for _ in 0..1000 {
                machine.pass(MS);
            }
            let all: i64 = weights.iter().sum();
            for ((cpu, count), top) in (0..).zip(&weights).zip(&mut machine.tops) {
                machine.groups.renew_all(GroupId(3), cpu, top);
                if *count > 0 {
                    // As many times its weight as it has tasks, or CPUs. Averages of whole numbers
                    // stay a little below them, so that one task is not seen.
                    let of = |tasks: i64| NICE_0 * tasks.clamp(1, 4) * count / all;
                    let found = machine.groups.part(GroupId(3), cpu).weight;
                    let near = of(all - 1) * 49 / 50..=of(all) * 51 / 50;
                    prop_assert!(near.contains(&found), "{found} of {near:?}");
                }
            }
        }
    }
}
