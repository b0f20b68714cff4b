// SPDX-License-Identifier: GPL-2.0-or-later
//! A recording as a workload: each task does again what it did, and waits for whom it waited for.
//!
//! What a task does between two sleeps is the CPU time that it got, however often it lost the CPU
//! meanwhile. A wake-up by a task happens when the waker has used as much CPU time as it had then;
//! the sleep that it ends becomes a wait for it, so that a late waker delays whom it wakes. A
//! wake-up by nobody is an interrupt: the sleep takes as long as it took, or ends when it ended,
//! whichever the task's sleeps say is steadier. A task that was made in the recording is made by
//! the same task again. Where messages are recorded, they take the place of wake-ups.

mod build;
mod costs;
mod kicks;
mod messages;

use kicks::{Kicks, Woken};
use messages::{Channel, How, Receiving, Sending, Wake};
use rota_events::{CpuNumber, Event, Histogram, TaskRef, What};
use std::collections::BTreeMap;

pub use build::{ReplayError, ReplayOptions};
pub use costs::ReplayCosts;

/// The weight of nice 19.
const LEAST_WEIGHT: u32 = 1;

/// Who gives way so much later than it woke up another task does not do so at once, in ns.
const AT_ONCE_NS: u64 = 20_000;

/// What a task did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// It used so much CPU time, in ns.
    Run(u64),
    /// It slept until an interrupt: so long, and until then since the recording began.
    Sleep { ns: u64, until_ns: u64 },
    /// It slept until a task woke it up: the wake-up of this number.
    Wait(u32),
    /// It woke up a task.
    Signal { to: TaskRef, wake: u32 },
    /// It made a task.
    Fork(TaskRef),
    /// It woke up a task that was awake.
    Nothing,
    /// It may have waited here for a task that it had woken up, and that took its CPU.
    Await(TaskRef),
    /// It may have answered the task that had woken it up.
    Answer(TaskRef),
    /// It has sent a message.
    Send(u32),
    /// It has received so many.
    Receive { channel: u32, messages: u32 },
    /// It slept until a message came, which it received then; how it was woken up.
    Expect { channel: u32, how: How },
    /// It woke up somebody by the message that it sends, and how.
    Hand { channel: u32, how: How },
    /// It slept until there was room for the message that it sends; how it was woken up.
    Room { channel: u32, how: How },
    /// It woke up somebody who sleeps until there is room, and how.
    Free { how: How },
    /// It has another nice value from here on.
    Nice(i32),
    /// It may use other CPUs from here on: these of the first 64, or all.
    Cpus(Option<u64>),
}

/// Whom a task was woken up by, and how far that task was then.
#[derive(Debug, Clone, Copy)]
struct Asked {
    by: TaskRef,
    deeds: u64,
    sleeps: u64,
}

/// How often a task, having woken up another one, did nothing until that slept, and how often it woke
/// up somebody else meanwhile. If it slept itself, what woke it up is known, and that counts as
/// neither.
#[derive(Debug, Default)]
struct Answers {
    still: u64,
    went_on: u64,
    /// The first times that the other one woke this one up and slept then: what it ran in between.
    rests_ns: Vec<u64>,
}

impl Answers {
    /// So many show it, of which so many in a hundred have to be still.
    const MIN: u64 = 20;
    const PERCENT: u64 = 95;
    /// So many times are kept.
    const RESTS: usize = 31;

    /// Whether the one always waits for the other. Of two who write to each other by a pipe, say,
    /// who is preempted before it reads is not asleep: nobody wakes it up, though it is answered.
    fn are_awaited(&self) -> bool {
        let all = self.still + self.went_on;
        all >= Self::MIN && self.still * 100 >= all * Self::PERCENT
    }

    /// How long the other one runs on after its answer.
    fn rest_ns(&self) -> u64 {
        let mut rests = self.rests_ns.clone();
        rests.sort_unstable();
        rests.get(rests.len() / 2).copied().unwrap_or(0)
    }
}

/// Where a task is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Nothing was said of it yet.
    #[default]
    Unknown,
    /// It runs, or wants to.
    Awake,
    /// It sleeps since then.
    Asleep(u64),
    /// It has ended.
    Gone,
}

/// A task so far.
#[derive(Debug, Default)]
struct Task {
    pieces: Vec<Piece>,
    /// CPU time since the last piece, in ns.
    ran_ns: u64,
    state: State,
    /// When it began, or when the recording did.
    begin_ns: u64,
    /// Another task of the recording made it.
    forked: bool,
    /// It was made, and has not run yet.
    fresh: bool,
    exits: bool,
    /// Who woke it up while it was awake, and which of their pieces that is.
    early: Option<(TaskRef, usize)>,
    /// When it woke up, if it has not run since, and a CPU was idle then.
    woke_ns: Option<u64>,
    /// How it was woken up, until it runs.
    woken: Option<Woken>,
    /// By whom it was woken up for the last time, unless it has slept since.
    asked: Option<Asked>,
    /// It comes before those that have a nice value, some of the time at least.
    realtime: bool,
    /// Its nice value, in the beginning and now, if it is known.
    first_nice: Option<i32>,
    /// How often who made it had woken up another one than the time before, if it was recorded.
    partners: u32,
    nice: Option<i32>,
    /// Which CPUs it may use, in the beginning, and now if that was told: as [`Piece::Cpus`] has them.
    first_cpus: Option<u64>,
    cpus: Option<Option<u64>>,
    /// What it did that others notice, and how often it slept.
    deeds: u64,
    sleeps: u64,
    /// When it woke up, or did something that others notice.
    since_ns: u64,
    /// Whom it woke up, if that was the last thing it did, and what it has run since.
    woke: Option<(TaskRef, u64)>,
    /// Whom it woke up last, and when.
    last_wake: Option<(TaskRef, u64)>,
}

impl Task {
    /// It has run for so long.
    fn ran(&mut self, ns: u64) {
        self.ran_ns = self.ran_ns.saturating_add(ns);
        if let Some((_, ran_ns)) = &mut self.woke {
            *ran_ns = ran_ns.saturating_add(ns);
        }
    }

    /// What it ran becomes a piece.
    fn settle(&mut self) {
        let ns = std::mem::take(&mut self.ran_ns);
        if ns == 0 {
            return;
        }
        match self.pieces.last_mut() {
            Some(Piece::Run(before)) => *before = before.saturating_add(ns),
            _ => self.pieces.push(Piece::Run(ns)),
        }
    }

    fn push(&mut self, now_ns: u64, piece: Piece) {
        self.settle();
        self.deeds += 1;
        self.since_ns = now_ns;
        self.woke = None;
        self.pieces.push(piece);
    }
}

/// How sleeps of a recording ended, and what of it could not be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayCounts {
    /// Sleeps that a task ended.
    pub by_tasks: u64,
    /// Those of them that became waits for that task.
    pub dependencies: u64,
    /// Sleeps that an interrupt ended.
    pub by_interrupts: u64,
    /// Sleeps of which the recording does not say who ended them.
    pub unexplained: u64,
    /// Answers to tasks that had lost their CPU before they slept: nobody woke them up, but they did
    /// nothing before. They became dependencies too, and are not among those above.
    pub answers: u64,
    /// Messages to tasks that were awake when they were sent: nobody was woken up. They became
    /// dependencies too, and are not among those above.
    pub messages: u64,
    /// Tasks that others made.
    pub forks: u64,
    /// Events that are missing.
    pub lost: u64,
}

impl ReplayCounts {
    /// The share of wake-ups by tasks that became dependencies; 1 if there were none.
    pub fn share(&self) -> f64 {
        if self.by_tasks == 0 {
            return 1.0;
        }
        self.dependencies as f64 / self.by_tasks as f64
    }
}

/// Makes a workload of a stream of events. Its memory grows with the number of sleeps.
#[derive(Debug, Default)]
pub struct Replay {
    first_ns: Option<u64>,
    now_ns: u64,
    tasks: BTreeMap<TaskRef, Task>,
    /// Who runs, and since when it has been counted.
    cpus: BTreeMap<CpuNumber, (TaskRef, u64)>,
    counts: ReplayCounts,
    idle_wakes: Histogram,
    /// How long it takes from a wake-up until the waker gives its CPU to whom it woke up, in ns, where
    /// it does so at once.
    preemptions: Histogram,
    kicks: Kicks,
    /// Whether a scheduler of sched_ext is in charge.
    attached: bool,
    /// By who woke and who was woken up.
    answers: BTreeMap<(TaskRef, TaskRef), Answers>,
    wakes: Vec<Wake>,
    costs: ReplayCosts,
    /// What sockets receive, and which is whose.
    channels: Vec<Channel>,
    channel_numbers: BTreeMap<u64, u32>,
    switch_ns: u64,
    finished: bool,
}

impl Replay {
    /// Of each time that a task is on a CPU, so many ns were taken by the switch to it, and are not
    /// its own.
    pub fn with_switches_of(switch_ns: u64) -> Self {
        Self { switch_ns, ..Self::default() }
    }

    /// Takes the next event. What is earlier than what was before it is taken to happen then.
    pub fn add(&mut self, event: &Event) {
        self.now_ns = self.now_ns.max(event.time_ns);
        self.first_ns.get_or_insert(self.now_ns);
        let (cpu, task) = (event.cpu, event.task);
        match event.what() {
            What::Switch { from, leaves } => {
                self.leave(cpu, from, leaves.is_runnable());
                self.come(cpu, task, from);
            }
            What::Waking { waker } if task.is_some() => self.wake(cpu, task, waker),
            What::Fork { parent, partners } if task.is_some() => {
                self.fork(cpu, task, parent, partners);
            }
            What::Attach { .. } => self.attached = true,
            What::Detach { .. } => self.attached = false,
            What::Exit if task.is_some() => {
                let task = self.of(task);
                task.exits = true;
                // The kernel says so before the task leaves its CPU for the last time, simulations after.
                if let State::Asleep(_) = task.state {
                    task.state = State::Gone;
                }
            }
            What::Weight { nice, weight } if task.is_some() => {
                // The idle policy weighs less than any nice value.
                match weight {
                    0 => self.of(task).realtime = true,
                    LEAST_WEIGHT => self.renice(task, 19),
                    _ => self.renice(task, nice.clamp(-20, 19)),
                }
            }
            What::Affinity { cpus, first } if task.is_some() => self.allow(task, cpus, first),
            What::Hidden => self.hide(cpu, task),
            What::Lost { events } => {
                self.counts.lost = self.counts.lost.saturating_add(events);
                if let Some((task, since)) = self.cpus.remove(&cpu) {
                    let ran = self.now_ns.saturating_sub(since);
                    self.of(task).ran(ran);
                }
                for task in self.tasks.values_mut() {
                    (task.early, task.woke_ns, task.woken) = (None, None, None);
                }
            }
            What::Send { channel, bytes } if task.is_some() => self.send(cpu, task, channel, bytes),
            What::Receive { channel, bytes } if task.is_some() => {
                self.receive(cpu, task, channel, bytes);
            }
            _ => {}
        }
    }

    /// The recording is over: who runs has run until now. Once is enough.
    pub fn finish(&mut self) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        let running = std::mem::take(&mut self.cpus);
        for (task, since) in running.into_values().filter(|(task, _)| task.is_some()) {
            let ran = self.now_ns.saturating_sub(since);
            self.of(task).ran(ran);
        }
        self.tasks.values_mut().for_each(Task::settle);
        messages::drop_unreceived(&mut self.tasks, &self.channels);
        self.take_kicks_out();
        self.choose_answers();
        self.counts.messages = messages::link(&mut self.tasks, &self.wakes, &mut self.channels);
        self.take_meetings_out();
    }

    /// What waking up, sleeping and interrupts took in the recording, and takes in the workload.
    pub fn costs(&self) -> ReplayCosts {
        self.costs
    }

    /// What was found so far.
    pub fn counts(&self) -> ReplayCounts {
        let awaited = self.answers.values().filter(|answers| answers.are_awaited());
        ReplayCounts { answers: awaited.map(|answers| answers.still).sum(), ..self.counts }
    }

    /// How long it takes from a wake-up to running on a CPU that was idle, in ns.
    pub fn idle_wakes(&self) -> &Histogram {
        &self.idle_wakes
    }

    /// How long the recording is, in ns.
    pub fn length_ns(&self) -> u64 {
        self.now_ns - self.first_ns.unwrap_or(self.now_ns)
    }

    fn of(&mut self, task: TaskRef) -> &mut Task {
        let begin_ns = self.first_ns.unwrap_or(self.now_ns);
        self.tasks.entry(task).or_insert_with(|| Task { begin_ns, ..Task::default() })
    }

    /// A task has another nice value, or it is known now. It is taken to have had that since it began
    /// to run.
    fn renice(&mut self, task: TaskRef, nice: i32) {
        let task = self.of(task);
        if task.pieces.is_empty() {
            task.first_nice = Some(nice);
        } else if task.nice != Some(nice) {
            task.pieces.push(Piece::Nice(nice));
        }
        task.nice = Some(nice);
    }

    /// A task may use so many CPUs, and these of the first 64: all, if others are among them. It is taken
    /// to have been so since it began to run.
    fn allow(&mut self, task: TaskRef, cpus: u32, first: u64) {
        let now = (cpus == first.count_ones()).then_some(first);
        let task = self.of(task);
        if task.pieces.is_empty() {
            task.first_cpus = now;
        } else if task.cpus.unwrap_or(task.first_cpus) != now {
            task.pieces.push(Piece::Cpus(now));
        }
        task.cpus = Some(now);
    }

    /// A task has left a CPU since it came there. What it ran is not known: it is taken to have slept.
    fn hide(&mut self, cpu: CpuNumber, task: TaskRef) {
        let now = self.now_ns;
        let before = self.cpus.insert(cpu, (TaskRef::NONE, now)).filter(|(on, _)| *on == task);
        // By now it may have another one.
        let elsewhere = self.cpus.values().any(|(on, _)| *on == task);
        if let Some((_, since)) = before.filter(|_| task.is_some() && !elsewhere) {
            self.of(task).state = State::Asleep(since.min(now));
        }
    }

    /// A task leaves a CPU.
    fn leave(&mut self, cpu: CpuNumber, from: TaskRef, runnable: bool) {
        let (now, first) = (self.now_ns, self.first_ns.unwrap_or(self.now_ns));
        let seen = self.cpus.contains_key(&cpu);
        let ran = self.cpus.remove(&cpu).filter(|(task, _)| *task == from);
        if !from.is_some() {
            return;
        }
        let task = self.of(from);
        let since = match ran {
            Some((_, since)) => since,
            // It has run there since before the recording.
            None if !seen && task.state == State::Unknown => first,
            None => now,
        };
        task.ran(now.saturating_sub(since));
        task.woken = None;
        task.state = match (runnable, task.exits) {
            (true, _) => State::Awake,
            (false, true) => State::Gone,
            (false, false) => State::Asleep(now),
        };
        task.settle();
        if task.state == State::Awake {
            task.early = None;
            return;
        }
        task.sleeps += 1;
        let (woke, asked) = (task.woke.take(), task.asked.take());
        if let Some((to, ran_ns)) = woke {
            let answers = self.answers.entry((to, from)).or_default();
            if answers.rests_ns.len() < Answers::RESTS {
                answers.rests_ns.push(ran_ns);
            }
        }
        if let Some(asked) = asked {
            self.answer(from, asked);
        }
    }

    /// A task goes to sleep that was woken up by another one. If that has done nothing since, it may
    /// have waited for this.
    fn answer(&mut self, task: TaskRef, asked: Asked) {
        let by = self.of(asked.by);
        if by.sleeps != asked.sleeps || by.state != State::Awake {
            return;
        }
        let still = by.deeds == asked.deeds;
        let answers = self.answers.entry((asked.by, task)).or_default();
        if !still {
            answers.went_on += 1;
            return;
        }
        answers.still += 1;
        let on = self.cpus.iter().find(|(_, (current, _))| *current == asked.by);
        if let Some(cpu) = on.map(|(cpu, _)| *cpu) {
            self.runs(cpu, asked.by);
        }
        // That it waited is no deed of its own.
        let by = self.of(asked.by);
        by.settle();
        by.pieces.push(Piece::Await(task));
        self.of(task).pieces.push(Piece::Answer(asked.by));
    }

    /// A task gets a CPU from another.
    fn come(&mut self, cpu: CpuNumber, to: TaskRef, from: TaskRef) {
        let now = self.now_ns;
        self.cpus.insert(cpu, (to, now.saturating_add(self.switch_ns)));
        if !to.is_some() {
            return;
        }
        let waker = self.tasks.get(&from).filter(|from| from.state == State::Awake);
        let preempts = waker.is_some();
        if let Some((woken, since_ns)) = waker.and_then(|from| from.last_wake)
            && woken == to
            && now - since_ns <= AT_ONCE_NS
        {
            self.preemptions.add(now - since_ns);
        }
        self.note_kick(cpu, to, (from, preempts));
        let task = self.of(to);
        if let Some(woke_ns) = task.woke_ns.take().filter(|_| !from.is_some()) {
            self.idle_wakes.add(now - woke_ns);
        }
        let task = self.of(to);
        task.fresh = false;
        let early = task.early.take();
        if let State::Asleep(since) = task.state {
            // Nobody was seen who woke it up since it fell asleep: who did before, or nobody.
            match early {
                Some((waker, at)) if waker.is_some() => {
                    let wake = self.wakes.len() as u32;
                    self.wakes.push(Wake { asleep_ns: since, woke_ns: now, how: How::default() });
                    self.of(to).push(now, Piece::Wait(wake));
                    self.of(waker).pieces[at] = Piece::Signal { to, wake };
                    self.counts.by_tasks += 1;
                    self.counts.dependencies += 1;
                }
                _ => {
                    self.sleep(to, since);
                    self.counts.unexplained += 1;
                }
            }
        }
        self.of(to).state = State::Awake;
    }

    /// A task slept until now, and no task ended that.
    fn sleep(&mut self, task: TaskRef, since_ns: u64) {
        let (now, first) = (self.now_ns, self.first_ns.unwrap_or(self.now_ns));
        if now > since_ns {
            self.of(task).push(now, Piece::Sleep { ns: now - since_ns, until_ns: now - first });
        }
    }

    /// The task that runs on a CPU has used CPU time until now; whether it is this one.
    fn runs(&mut self, cpu: CpuNumber, task: TaskRef) -> bool {
        let now = self.now_ns;
        let first = self.first_ns.unwrap_or(now);
        let seen = self.cpus.contains_key(&cpu);
        if !seen && self.of(task).state == State::Unknown {
            // It has run there since before the recording.
            self.of(task).state = State::Awake;
            self.cpus.insert(cpu, (task, first));
        }
        let Some((current, since)) = self.cpus.get_mut(&cpu).filter(|(t, _)| *t == task) else {
            return false;
        };
        let current = *current;
        let ran = now.saturating_sub(*since);
        *since = now.max(*since);
        let task = self.of(current);
        task.ran(ran);
        task.settle();
        true
    }

    /// Somebody wakes up a task.
    fn wake(&mut self, cpu: CpuNumber, task: TaskRef, waker: TaskRef) {
        let first = self.first_ns.unwrap_or(self.now_ns);
        let idle = self.cpus.values().any(|(current, _)| !current.is_some());
        let now = self.now_ns;
        let works = waker.is_some() && waker != task && self.runs(cpu, waker);
        let woken = self.of(task);
        match woken.state {
            State::Gone => {}
            State::Awake if woken.fresh => {}
            State::Awake => {
                if works {
                    let waker_task = self.of(waker);
                    waker_task.push(now, Piece::Nothing);
                    let at = waker_task.pieces.len() - 1;
                    self.of(task).early = Some((waker, at));
                }
            }
            State::Unknown | State::Asleep(_) => {
                let since = match woken.state {
                    State::Asleep(since) => since,
                    _ => woken.begin_ns.max(first),
                };
                woken.state = State::Awake;
                woken.early = None;
                woken.woke_ns = idle.then_some(now);
                woken.woken = Some(Woken { on: cpu, at_ns: now, by: None });
                if waker.is_some() && waker != task {
                    self.counts.by_tasks += 1;
                } else {
                    self.counts.by_interrupts += 1;
                }
                if works {
                    self.counts.dependencies += 1;
                    let wake = self.wakes.len() as u32;
                    self.wakes.push(Wake { asleep_ns: since, woke_ns: now, how: How::default() });
                    self.of(task).push(now, Piece::Wait(wake));
                    let by = self.of(waker);
                    by.push(now, Piece::Signal { to: task, wake });
                    let signal = Some((waker, by.pieces.len() - 1, wake));
                    (by.woke, by.last_wake) = (Some((task, 0)), Some((task, now)));
                    let (deeds, sleeps) = (by.deeds, by.sleeps);
                    let woken = self.of(task);
                    woken.asked = Some(Asked { by: waker, deeds, sleeps });
                    woken.woken = Some(Woken { on: cpu, at_ns: now, by: signal });
                } else {
                    self.sleep(task, since);
                }
            }
        }
    }

    /// The number of what a socket receives.
    fn channel(&mut self, id: u64) -> u32 {
        let next = self.channels.len() as u32;
        let number = *self.channel_numbers.entry(id).or_insert(next);
        if number == next {
            self.channels.push(Channel::default());
        }
        number
    }

    /// A task has sent a message.
    fn send(&mut self, cpu: CpuNumber, task: TaskRef, id: u64, bytes: u32) {
        let (channel, now_ns) = (self.channel(id), self.now_ns);
        let runs_ns = self.cpus.get(&cpu).map_or(now_ns, |(_, since)| *since).min(now_ns);
        self.runs(cpu, task);
        let sender = self.of(task);
        let sending = Sending { since_ns: sender.since_ns, runs_ns, now_ns };
        sender.push(now_ns, Piece::Send(channel));
        let piece = (task, sender.pieces.len() - 1);
        if let Some((task, at)) = self.channels[channel as usize].send(bytes, piece, sending)
            && let Piece::Receive { messages, .. } = &mut self.of(task).pieces[at]
        {
            *messages += 1;
        }
    }

    /// A task has received messages.
    fn receive(&mut self, cpu: CpuNumber, task: TaskRef, id: u64, bytes: u32) {
        let (channel, now_ns) = (self.channel(id), self.now_ns);
        self.runs(cpu, task);
        let receiver = self.of(task);
        receiver.settle();
        let (at, asked) = (receiver.pieces.len(), receiver.asked);
        let waker = asked.filter(|asked| self.of(asked.by).deeds == asked.deeds).map(|a| a.by);
        let by = Receiving { task, at, waker };
        let messages = self.channels[channel as usize].receive(bytes, by, now_ns);
        self.of(task).push(now_ns, Piece::Receive { channel, messages });
    }

    /// A task makes another one.
    fn fork(&mut self, cpu: CpuNumber, task: TaskRef, parent: TaskRef, partners: u32) {
        let is_known = |task: &Task| task.exits || task.state != State::Unknown;
        if self.tasks.get(&task).is_some_and(is_known) {
            return;
        }
        let parents = self.tasks.get(&parent);
        let nice = parents.and_then(|parent| parent.nice);
        let cpus = parents.and_then(|parent| parent.cpus);
        let works = parent.is_some() && parent != task && self.runs(cpu, parent);
        let (now, first) = (self.now_ns, self.first_ns.unwrap_or(self.now_ns));
        let child = self.of(task);
        child.partners = partners;
        if child.nice.is_none() {
            (child.first_nice, child.nice) = (nice, nice);
        }
        if child.cpus.is_none() {
            (child.first_cpus, child.cpus) = (cpus.flatten(), cpus);
        }
        if works {
            (child.begin_ns, child.forked, child.fresh) = (now, true, true);
            child.state = State::Awake;
            self.of(parent).push(now, Piece::Fork(task));
            self.counts.forks += 1;
        } else {
            // It comes from nowhere, at this time.
            child.state = State::Asleep(first);
        }
    }
}
