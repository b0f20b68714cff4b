// SPDX-License-Identifier: GPL-2.0-or-later
//! The queue against a slow one: a list that is gone through from end to end for every question,
//! with sums made anew each time, those of groups in groups too. And what must hold of every queue.

use super::super::TaskId;
use super::entity::{Entity, NICE_0};
use super::groups::{Contents, GroupId, Groups};
use super::queue::{Picked, Queue};
use super::rules::Rules;
use proptest::collection::vec;
use proptest::prelude::*;

const SLICE: i128 = 2_100_000;
const LIMIT: i128 = SLICE + 4_000_000;
const TASKS: u32 = 12;
/// The groups around groups; the first is around all.
const AROUND: [usize; 6] = [0, 0, 1, 1, 2, 0];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Away,
    Waits,
    /// It sleeps, and is still in the queue.
    Owes,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    place: Place,
    weight: i128,
    /// Its group, and its weight there.
    group: usize,
    own: i128,
    v: i128,
    deadline: i128,
    lag: i128,
    safe: i128,
    /// How far its deadline was when it was taken away.
    left: Option<i128>,
    /// When it came into the order of those that wait.
    turn: u64,
}

/// The slow queue.
struct Slow {
    members: Vec<Member>,
    runs: Option<usize>,
    turn: u64,
    last: i128,
    /// What groups weigh.
    groups: [i128; AROUND.len()],
}

impl Slow {
    fn inside(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|m| m.place != Place::Away)
    }

    /// The weights of the tasks and groups in a group.
    fn sum(&self, group: usize) -> i128 {
        let tasks = self.inside().filter(|m| m.group == group).map(|m| m.own);
        let groups = (1..AROUND.len()).filter(|g| AROUND[*g] == group && self.sum(*g) > 0);
        tasks.sum::<i128>() + groups.map(|g| self.groups[g]).sum::<i128>()
    }

    /// What a task weighs beside all others.
    fn weighs(&self, who: usize) -> i128 {
        let (mut part, mut own) = (i128::from(NICE_0), self.members[who].own);
        let mut group = self.members[who].group;
        while group != 0 {
            part = (part * own / self.sum(group)).max(2);
            (own, group) = (self.groups[group], AROUND[group]);
        }
        (part * own / i128::from(NICE_0)).max(2)
    }

    /// It learns what it weighs.
    fn learn(&mut self, who: usize) {
        self.reweigh(who, self.weighs(who));
    }

    /// Whether a virtual time is not above the average, without dividing.
    fn eligible(&self, v: i128) -> bool {
        self.inside().map(|m| (m.v - v) * m.weight).sum::<i128>() >= 0
    }

    fn average(&mut self) -> i128 {
        let weight: i128 = self.inside().map(|m| m.weight).sum();
        if weight > 0 {
            let sum: i128 = self.inside().map(|m| m.v * m.weight).sum();
            self.last = (sum - sum.rem_euclid(weight)) / weight;
        }
        self.last
    }

    fn note_lag(&mut self, who: usize) {
        let m = self.members[who];
        let most = LIMIT * i128::from(NICE_0) / m.weight;
        let mut lag = (self.average() - m.v).max(-most).min(most);
        if m.place == Place::Owes {
            lag = lag.max(m.lag).min(0);
        }
        self.members[who].lag = lag;
    }

    /// A task comes from elsewhere.
    fn arrive(&mut self, who: usize, new: bool) {
        self.members[who].place = Place::Waits;
        let weight = self.weighs(who);
        self.members[who].place = Place::Away;
        self.reweigh(who, weight);
        self.step_in(who, new);
    }

    fn step_in(&mut self, who: usize, new: bool) {
        let average = self.average();
        let load: i128 = self.inside().map(|m| m.weight).sum();
        self.turn += 1;
        let turn = self.turn;
        let m = &mut self.members[who];
        let lag = if load > 0 { m.lag + m.lag * m.weight / load } else { 0 };
        let slice = SLICE * i128::from(NICE_0) / m.weight;
        m.v = average - lag;
        m.deadline = m.v + m.left.take().unwrap_or(if new { slice / 2 } else { slice });
        (m.place, m.turn) = (Place::Waits, turn);
    }

    fn wake(&mut self, who: usize) {
        if self.members[who].place == Place::Owes {
            let before = self.members[who];
            self.note_lag(who);
            if self.last - self.members[who].lag == before.v {
                self.members[who].place = Place::Waits;
                return;
            }
            self.members[who].place = Place::Away;
            self.step_in(who, false);
            return;
        }
        self.arrive(who, false);
    }

    fn sleep(&mut self, who: usize) -> bool {
        self.note_lag(who);
        let leaves = self.eligible(self.members[who].v);
        self.members[who].place = if leaves { Place::Away } else { Place::Owes };
        leaves
    }

    fn run(&mut self, ns: i128) -> bool {
        let Some(who) = self.runs else { return false };
        let m = &mut self.members[who];
        m.v += ns * i128::from(NICE_0) / m.weight;
        let over = m.v >= m.deadline;
        if over {
            m.deadline = m.v + SLICE * i128::from(NICE_0) / m.weight;
        }
        let gives_way = over || m.v >= m.safe;
        self.average();
        gives_way && self.inside().count() > 1
    }

    fn pick(&self) -> Option<usize> {
        let inside: Vec<usize> =
            (0..self.members.len()).filter(|w| self.members[*w].place != Place::Away).collect();
        if inside.len() < 2 {
            return inside.first().copied();
        }
        let eligible = |who: &&usize| self.eligible(self.members[**who].v);
        let runs = self.runs.filter(|who| inside.contains(who));
        if let Some(who) = runs.filter(|who| eligible(&who))
            && self.members[who].v < self.members[who].safe
        {
            return runs;
        }
        // Who runs comes behind those with the same deadline.
        let order = |who: &&usize| {
            let m = self.members[**who];
            (m.deadline, runs == Some(**who), m.turn)
        };
        inside.iter().filter(eligible).min_by_key(order).copied()
    }

    fn start(&mut self, who: usize) {
        self.runs = Some(who);
        self.learn(who);
        let m = &mut self.members[who];
        m.safe = m.deadline;
    }

    /// It comes into another group, whatever it does.
    fn regroup(&mut self, who: usize, group: usize) {
        let place = self.members[who].place;
        if place == Place::Away {
            self.members[who].group = group;
            return;
        }
        self.note_lag(who);
        let m = &mut self.members[who];
        (m.place, m.left, m.group) = (Place::Away, Some(m.deadline - m.v), group);
        self.arrive(who, false);
        self.members[who].place = place;
    }

    fn stop(&mut self) {
        if let Some(who) = self.runs.take() {
            self.turn += 1;
            self.members[who].turn = self.turn;
        }
    }

    fn yields(&mut self) {
        if let Some(who) = self.runs.filter(|_| self.inside().count() > 1)
            && self.eligible(self.members[who].v)
        {
            let m = &mut self.members[who];
            m.v = m.deadline;
            m.deadline += SLICE * i128::from(NICE_0) / m.weight;
            self.average();
        }
    }

    /// Another weight: lag and deadline are the same amount of time as before.
    fn reweigh(&mut self, who: usize, weight: i128) {
        let m = self.members[who];
        if m.weight == weight {
            return;
        }
        let scale = |v: i128| v * m.weight / weight;
        if m.place == Place::Away {
            let m = &mut self.members[who];
            (m.lag, m.left, m.weight) = (scale(m.lag), m.left.map(scale), weight);
            return;
        }
        let average = self.average();
        let most = LIMIT * i128::from(NICE_0) / m.weight;
        let lag = scale((average - m.v).clamp(-most, most));
        self.turn += 1;
        let (turn, runs) = (self.turn, self.runs == Some(who));
        let is_safe = runs && m.v < m.safe;
        let m = &mut self.members[who];
        m.deadline = average + scale(m.deadline - average);
        if is_safe {
            m.safe = average + scale(m.safe - average);
        }
        (m.v, m.lag, m.weight) = (average - lag, lag, weight);
        if !runs {
            m.turn = turn;
        }
    }
}

/// Both queues with the same tasks.
struct Both {
    queue: Queue,
    all: Vec<Entity>,
    groups: Groups,
    top: Contents,
    slow: Slow,
}

#[derive(Debug, Clone)]
enum Step {
    Wake(u32),
    Fork(u32),
    Run(i64),
    Sleep,
    Take(u32),
    Schedule,
    Yield,
    Nice(u32, i64),
    Regroup(u32, u32),
    Weigh(u32, i64),
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let weight = || prop_oneof![Just(1024_i64), 15..90_000_i64].prop_map(|w| w * 1024);
    let group_count = AROUND.len() as u32;
    let group = || 0..group_count;
    // Also such as no task has: odd ones, and very little.
    let group_weight = prop_oneof![2..3000_i64, 1024..110_000_000_i64];
    let span = prop_oneof![Just(1_i64), Just(SLICE as i64), 1..4_000_000_i64, 1..1000_i64];
    prop_oneof![
        3 => (0..TASKS).prop_map(Step::Wake),
        1 => (0..TASKS).prop_map(Step::Fork),
        6 => span.prop_map(Step::Run),
        2 => Just(Step::Sleep),
        1 => (0..TASKS).prop_map(Step::Take),
        4 => Just(Step::Schedule),
        1 => Just(Step::Yield),
        1 => ((0..TASKS), weight()).prop_map(|(task, weight)| Step::Nice(task, weight)),
        2 => ((0..TASKS), group()).prop_map(|(task, group)| Step::Regroup(task, group)),
        1 => (1..group_count, group_weight).prop_map(|(group, weight)| Step::Weigh(group, weight)),
        1 => Just(Step::Tick),
    ]
}

impl Both {
    fn new() -> Self {
        let member = Member {
            place: Place::Away,
            weight: NICE_0.into(),
            group: 0,
            own: NICE_0.into(),
            v: 0,
            deadline: 0,
            lag: 0,
            safe: 0,
            left: None,
            turn: 0,
        };
        let mut groups = Groups::new(1);
        for around in &AROUND[1..] {
            groups.make(GroupId(*around as u32));
        }
        Self {
            queue: Queue::new(SLICE as i64, Rules::NEWEST),
            all: (0..TASKS).map(|_| Entity::new(NICE_0)).collect(),
            groups,
            top: Contents::default(),
            slow: Slow {
                members: vec![member; TASKS as usize],
                runs: None,
                turn: 0,
                last: 0,
                groups: [NICE_0.into(); AROUND.len()],
            },
        }
    }

    /// The fast queue's task learns what it weighs.
    fn learn(&mut self, task: u32) {
        let Entity { group, own_weight, .. } = self.all[task as usize];
        let weight = self.groups.in_queue(group, 0, own_weight);
        self.queue.reweight(&mut self.all, TaskId(task), weight);
    }

    fn enqueue(&mut self, task: u32, new: bool) {
        let Entity { group, own_weight, on_rq, delayed, .. } = self.all[task as usize];
        if on_rq {
            self.groups.count(group, 0, true);
        } else {
            self.groups.enter(group, 0, own_weight, !delayed, &mut self.top);
            self.learn(task);
        }
        self.queue.enqueue(&mut self.all, TaskId(task), new);
    }

    /// A task has left the fast queue, where it was delayed or not.
    fn left(&mut self, task: u32, delayed: bool) {
        let Entity { group, own_weight, .. } = self.all[task as usize];
        self.groups.leave(group, 0, own_weight, !delayed, &mut self.top);
    }

    fn regroup(&mut self, task: u32, group: GroupId) {
        let Entity { on_rq, delayed, .. } = self.all[task as usize];
        if on_rq {
            self.queue.take(&mut self.all, TaskId(task));
            self.left(task, delayed);
        }
        self.all[task as usize].group = group;
        if on_rq {
            self.enqueue(task, false);
        }
    }

    fn place(&self, task: u32) -> Place {
        self.slow.members[task as usize].place
    }

    fn renice(&mut self, task: u32, weight: i64) {
        let entity = &mut self.all[task as usize];
        let more = weight - std::mem::replace(&mut entity.own_weight, weight);
        let (group, on_rq) = (entity.group, entity.on_rq);
        self.slow.members[task as usize].own = weight.into();
        if on_rq {
            self.groups.inside(group, 0, &mut self.top).weight += more;
            self.learn(task);
            self.slow.learn(task as usize);
        }
    }

    fn tick(&mut self) {
        let runs = self.queue.current.filter(|task| self.all[task.0 as usize].on_rq);
        if let Some(task) = runs {
            self.groups.renew_all(self.all[task.0 as usize].group, 0, &mut self.top);
            self.learn(task.0);
            self.slow.learn(task.0 as usize);
        }
    }

    /// A task that has come in may take the place of the one that runs.
    fn preempt(&mut self, task: u32, new: bool) {
        let mut left = Vec::new();
        let preempts = loop {
            match self.queue.preempts(&mut self.all, TaskId(task), new) {
                Ok(preempts) => break preempts,
                Err(delayed) => {
                    self.queue.finish_delayed(&mut self.all, delayed);
                    self.left(delayed.0, true);
                    left.push(delayed);
                }
            }
        };
        let Some(runs) = self.slow.runs else { return assert!(!preempts) };
        let picked = loop {
            if new {
                break None;
            }
            let picked = self.slow.pick();
            match picked.filter(|who| self.slow.members[*who].place == Place::Owes) {
                Some(who) => {
                    assert!(left.contains(&TaskId(who as u32)));
                    self.slow.note_lag(who);
                    self.slow.members[who].place = Place::Away;
                }
                None => break picked,
            }
        };
        assert_eq!(preempts, picked == Some(task as usize), "{task} instead of {runs}");
        let average = self.slow.average();
        let m = &mut self.slow.members[runs];
        m.safe = m.safe.min(if preempts {
            m.v
        } else {
            m.v.min(average) + SLICE * i128::from(NICE_0) / m.weight
        });
    }

    fn schedule(&mut self) {
        loop {
            let picked = self.queue.pick_next(&self.all);
            let slow = self.slow.pick();
            match slow {
                Some(who) if self.slow.members[who].place == Place::Owes => {
                    assert_eq!(picked, Picked::Delayed(TaskId(who as u32)));
                    self.queue.finish_delayed(&mut self.all, TaskId(who as u32));
                    self.left(who as u32, true);
                    self.slow.note_lag(who);
                    self.slow.members[who].place = Place::Away;
                }
                Some(who) => {
                    assert_eq!(picked, Picked::Task(TaskId(who as u32)));
                    if self.slow.runs != Some(who) {
                        self.queue.put_current(&mut self.all);
                        self.slow.stop();
                        self.queue.set_current(&mut self.all, TaskId(who as u32));
                        self.learn(who as u32);
                        self.queue.protect(&mut self.all, TaskId(who as u32));
                        self.slow.start(who);
                    }
                    return;
                }
                None => {
                    assert_eq!(picked, Picked::Nothing);
                    self.queue.put_current(&mut self.all);
                    self.slow.stop();
                    return;
                }
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wake(task) | Step::Fork(task) if self.place(task) != Place::Waits => {
                let owes = self.place(task) == Place::Owes;
                let new = matches!(step, Step::Fork(_)) && !owes;
                self.enqueue(task, new);
                if new {
                    self.slow.arrive(task as usize, true);
                } else {
                    self.slow.wake(task as usize);
                }
                self.preempt(task, new);
            }
            Step::Run(ns) => {
                let gives_way = self.queue.ran(&mut self.all, ns);
                assert_eq!(gives_way, self.slow.run(ns.into()));
            }
            Step::Sleep => {
                if let Some(who) = self.slow.runs {
                    let left = self.queue.sleep(&mut self.all, TaskId(who as u32), false);
                    assert_eq!(left, self.slow.sleep(who));
                    if left {
                        self.left(who as u32, false);
                    } else {
                        let group = self.all[who].group;
                        self.groups.count(group, 0, false);
                    }
                    self.schedule();
                }
            }
            Step::Take(task) if self.place(task) == Place::Waits => {
                if self.slow.runs == Some(task as usize) {
                    return;
                }
                self.queue.take(&mut self.all, TaskId(task));
                self.left(task, false);
                self.slow.note_lag(task as usize);
                let m = &mut self.slow.members[task as usize];
                (m.place, m.left) = (Place::Away, Some(m.deadline - m.v));
            }
            Step::Schedule => self.schedule(),
            Step::Yield => {
                self.queue.yields(&mut self.all);
                self.slow.yields();
            }
            Step::Nice(task, weight) => self.renice(task, weight),
            Step::Regroup(task, group) => {
                self.regroup(task, GroupId(group));
                self.slow.regroup(task as usize, group as usize);
            }
            Step::Weigh(group, weight) => {
                self.groups.set_weight(GroupId(group), weight);
                self.groups.renew_all(GroupId(group), 0, &mut self.top);
                self.slow.groups[group as usize] = weight.into();
            }
            Step::Tick => self.tick(),
            _ => {}
        }
    }

    /// Whether both know the same, and what must hold of it.
    fn look(&mut self) {
        assert_eq!(i128::from(self.top.weight), self.slow.sum(0));
        for (who, (fast, slow)) in self.all.iter().zip(&self.slow.members).enumerate() {
            if fast.on_rq {
                let weighs = self.groups.in_queue(fast.group, 0, fast.own_weight);
                assert_eq!(i128::from(weighs), self.slow.weighs(who));
            }
            assert_eq!(i128::from(fast.weight), slow.weight);
            assert_eq!(fast.on_rq, slow.place != Place::Away);
            assert_eq!(fast.delayed, slow.place == Place::Owes);
            if fast.on_rq {
                let numbers = [fast.vruntime, fast.deadline].map(i128::from);
                assert_eq!(numbers, [slow.v, slow.deadline]);
            } else {
                assert_eq!(i128::from(fast.vlag), slow.lag);
            }
        }
        if let Some(who) = self.slow.runs {
            let safe = self.slow.members[who].safe;
            assert_eq!(i128::from(self.all[who].protected), safe);
        }
        let inside = self.slow.inside().count() as u32;
        assert_eq!(self.queue.queued, inside);
        let owing = self.slow.inside().filter(|m| m.place == Place::Owes).count() as u32;
        assert_eq!(self.queue.runnable(), inside - owing);
        let waiting = self.queue.waiting(&self.all);
        let deadlines = waiting.iter().map(|task| self.all[task.0 as usize].deadline);
        assert!(deadlines.is_sorted());
        let runs = self.slow.runs.filter(|who| self.slow.members[*who].place != Place::Away);
        assert_eq!(waiting.len(), inside as usize - usize::from(runs.is_some()));
        // The lags of all add up to nothing, but for what rounding down takes from each.
        let average = self.slow.average();
        let lags = self.slow.inside().map(|m| (average - m.v) * m.weight).sum::<i128>();
        let weight: i128 = self.slow.inside().map(|m| m.weight).sum();
        assert!((-weight..=0).contains(&lags), "{lags} of {weight}");
        // So at least one is eligible.
        assert!(inside == 0 || self.slow.inside().any(|m| m.v <= average));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn as_a_list(steps in vec(step(), 1..300)) {
        let mut both = Both::new();
        for step in steps {
            both.step(&step);
            both.look();
        }
    }
}

/// How often tasks of these weights, which always want to run, ran for a tick each.
fn shares(weights: &[i64], ticks: u32) -> Vec<u32> {
    let mut all: Vec<Entity> = weights.iter().map(|weight| Entity::new(weight * 1024)).collect();
    let mut queue = Queue::new(SLICE as i64, Rules::NEWEST);
    for task in 0..all.len() as u32 {
        queue.enqueue(&mut all, TaskId(task), false);
    }
    let mut ran = vec![0; weights.len()];
    for _ in 0..ticks {
        let Picked::Task(task) = queue.pick_next(&all) else { panic!() };
        if queue.current != Some(task) {
            queue.put_current(&mut all);
            queue.set_current(&mut all, task);
        }
        queue.ran(&mut all, 100_000);
        ran[task.0 as usize] += 1;
    }
    ran
}

#[test]
fn time_is_shared_by_weight() {
    let weights = [1024, 3072, 335, 15, 1024];
    let ticks = 200_000_u32;
    let total: i64 = weights.iter().sum();
    for (weight, ran) in weights.iter().zip(shares(&weights, ticks)) {
        let ideal = i64::from(ticks) * weight / total;
        // A slice is 21 ticks.
        assert!((i64::from(ran) - ideal).abs() <= 30, "{ran} of {ideal}");
    }
}

#[test]
fn thousands_of_tasks_all_run() {
    let ran = shares(&[1024; 3000], 3000 * 21 * 2);
    assert!(ran.iter().all(|ran| (22..=63).contains(ran)));
}
