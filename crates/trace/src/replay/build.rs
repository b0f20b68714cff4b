// SPDX-License-Identifier: GPL-2.0-or-later
//! Pieces of what tasks did become programs.

use super::messages::Room;
use super::{Channel, Piece, Replay, ReplayCosts, State, Task};
use rota_events::{Tables, TaskRef};
use rota_topology::{CPUS_MAX, CpuId, CpuMask};
use rota_workload::{
    Event, EventId, Group, Period, Program, Span, Step, Template, TemplateId, Timer, Workload,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many sleeps tell whether their lengths or their ends are steadier.
const SLEEPS_MIN: usize = 8;

/// Wake-ups that are not further apart are made by one system call, if that sends and receives nothing
/// in between: in ns of CPU time, as long as all of it takes no more than so much.
const SAME_CALL_NS: u64 = 20_000;
const CALL_MAX_NS: u64 = 10_000_000;
/// Interrupts are not told from what they interrupt: after so many wake-ups, and so many more each
/// time, one may be further apart, in ns.
const PER_INTERRUPT: u64 = 16;
const INTERRUPT_NS: u64 = 100_000;

/// Why a recording is no workload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// No task runs in it.
    #[error("no task runs in this recording: there is nothing to replay")]
    Empty,
    /// A name was given that no task has.
    #[error("no task of the recording is called '{0}'; rota view FILE --as summary lists them")]
    NoTask(String),
}

/// What is to be different from the recording.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Nice values of tasks by their names; others have those of the recording.
    pub nice: Vec<(String, i32)>,
    /// Names of groups that stand for something else in results.
    pub reserved: Vec<String>,
}

impl Replay {
    /// The recording as a workload, whose groups are the names of tasks.
    ///
    /// # Errors
    /// [`ReplayError`], if there is nothing in it.
    pub fn workload(
        mut self,
        tables: &Tables,
        options: &ReplayOptions,
    ) -> Result<Workload, ReplayError> {
        self.finish();
        self.tasks.retain(|_, task| task.forked || !task.pieces.is_empty());
        if !self.tasks.values().any(|task| task.pieces.iter().any(|p| matches!(p, Piece::Run(_)))) {
            return Err(ReplayError::Empty);
        }
        let first_ns = self.first_ns.unwrap_or(0);
        let numbers: BTreeMap<TaskRef, u32> = self.tasks.keys().copied().zip(0..).collect();
        // Most who wake a task up then sleep themselves, by a pipe or a socket.
        let event = Event { sync: true, ..Event::COUNTER };
        let ReplayCosts { wake_ns, free_ns, sleep_ns, .. } = self.costs;
        let message = Event { wake_ns, sleep_ns, ..event };
        let mut workload = Workload { events: vec![event; numbers.len()], ..Workload::default() };
        for channel in &self.channels {
            let room = match channel.room {
                None => event,
                Some(Room { messages, wakes_at }) => {
                    Event { initial: messages, wakes_at, wake_ns: free_ns, ..message }
                }
            };
            workload.events.extend([message, room]);
        }
        let call_ns = self.preemptions.quantile(1, 2);
        let call_ns = call_ns.saturating_sub(wake_ns[0].into()).max(u64::from(call_ns > 0));
        let events = Events { numbers: &numbers, channels: &self.channels, call_ns };
        let mut groups: BTreeMap<String, u32> = BTreeMap::new();
        let mut used = vec![false; options.nice.len()];
        for (number, task) in &mut self.tasks {
            let comm = tables.task_of(*number).map_or("", |info| tables.text_of(info.name));
            let name = match comm {
                "" => format!("task#{}", number.0),
                name if options.reserved.iter().any(|taken| taken == name) => format!("{name}'"),
                name => name.to_owned(),
            };
            let group = *groups.entry(name.clone()).or_insert_with(|| {
                workload.groups.push(Group { name: name.clone(), deadline_ns: None });
                workload.groups.len() as u32 - 1
            });
            for ((wanted, value), used) in options.nice.iter().zip(&mut used) {
                if *wanted == comm {
                    (task.first_nice, task.realtime, *used) = (Some(*value), false, true);
                    task.pieces.retain(|piece| !matches!(piece, Piece::Nice(_)));
                }
            }
            if !task.forked {
                workload.starts.push(TemplateId(workload.templates.len() as u32));
            }
            let program = Arc::new(task.program(*number, &events, first_ns));
            workload.templates.push(Template {
                name,
                group,
                nice: task.first_nice.unwrap_or(0),
                partners: task.partners,
                cpus: task.first_cpus.map(|bits| mask(Some(bits))),
                cgroup: None,
                realtime: task.realtime,
                program,
            });
        }
        if let Some(((name, _), _)) = options.nice.iter().zip(&used).find(|(_, used)| !**used) {
            return Err(ReplayError::NoTask(name.clone()));
        }
        Ok(workload)
    }

    /// Keeps the answers of those who are always waited for. Who answers runs on for as long as after
    /// other wake-ups of the same task. What was cut for the others is one again.
    pub(super) fn choose_answers(&mut self) {
        let awaited = |by, of| self.answers.get(&(by, of)).filter(|answers| answers.are_awaited());
        for (number, task) in &mut self.tasks {
            let mut kept: Vec<Piece> = Vec::with_capacity(task.pieces.len());
            for piece in std::mem::take(&mut task.pieces) {
                match (piece, kept.last_mut()) {
                    (Piece::Await(of), _) if awaited(*number, of).is_none() => {}
                    (Piece::Answer(by), last) => {
                        let Some(answers) = awaited(by, *number) else { continue };
                        let mut rest_ns = 0;
                        if let Some(Piece::Run(ns)) = last {
                            rest_ns = answers.rest_ns().min(*ns);
                            *ns -= rest_ns;
                        }
                        kept.extend([piece, Piece::Run(rest_ns)]);
                    }
                    (Piece::Run(ns), Some(Piece::Run(before))) => {
                        *before = before.saturating_add(ns);
                    }
                    _ => kept.push(piece),
                }
            }
            kept.retain(|piece| *piece != Piece::Run(0));
            task.pieces = kept;
        }
    }
}

/// How far numbers are from their median, as a median.
fn spread(mut numbers: Vec<u64>) -> u64 {
    let middle = |numbers: &mut Vec<u64>| {
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied().unwrap_or(0)
    };
    let median = middle(&mut numbers);
    let mut apart = numbers.iter().map(|n| n.abs_diff(median)).collect();
    middle(&mut apart)
}

impl Task {
    /// Whether its sleeps end at steadier times than they are long: then it is somebody else's
    /// clock that wakes it up.
    fn by_the_clock(&self) -> bool {
        let sleeps = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Sleep { ns, until_ns } => Some((*ns, *until_ns)),
            _ => None,
        });
        let (lengths, ends): (Vec<u64>, Vec<u64>) = sleeps.unzip();
        if lengths.len() < SLEEPS_MIN {
            return false;
        }
        let between = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        spread(between) < spread(lengths)
    }

    /// The system call that begins with a wake-up: up to which piece it goes, and how long it takes
    /// until the last wake-up, in ns.
    fn call(&self, at: usize) -> Option<(usize, u64)> {
        let wakes = |piece: &Piece| {
            use Piece::{Answer, Free, Hand, Nothing, Signal};
            matches!(piece, Signal { .. } | Hand { .. } | Answer(_) | Free { .. } | Nothing)
        };
        if !wakes(&self.pieces[at]) {
            return None;
        }
        let (mut end, mut last_ns, mut now_ns) = (at + 1, 0, 0);
        let (mut woken, mut interrupts) = (1, 0);
        for (place, piece) in self.pieces.iter().enumerate().skip(at + 1) {
            match piece {
                Piece::Run(ns) if *ns <= SAME_CALL_NS => now_ns += ns,
                Piece::Run(ns)
                    if *ns <= INTERRUPT_NS && woken >= PER_INTERRUPT * (interrupts + 1) =>
                {
                    now_ns += ns;
                    interrupts += 1;
                }
                piece if wakes(piece) && now_ns <= CALL_MAX_NS => {
                    (end, last_ns, woken) = (place + 1, now_ns, woken + 1);
                }
                _ => break,
            }
        }
        Some((end, last_ns))
    }

    fn program(&self, number: TaskRef, events: &Events<'_>, first_ns: u64) -> Program {
        let mut program = Program::default().with_timer();
        let clock = self.by_the_clock();
        // When its timer fired last, since the recording began.
        let mut fired_ns = self.begin_ns.saturating_sub(first_ns);
        let mut passing = Passing::default();
        let mut steps = Vec::new();
        let mut called = 0;
        for (at, piece) in self.pieces.iter().enumerate() {
            // Where wakers give way at once, the kernel is preempted in calls.
            if at >= called && events.call_ns > 0 {
                let begins = match piece {
                    // It woke nobody up, but may do so in a replay.
                    Piece::Send(_) if !passing.sent => Some((at + 1, 0)),
                    _ => self.call(at),
                };
                if let Some((end, ns)) = begins {
                    called = end;
                    steps.push(Step::Call(ns + events.call_ns));
                }
            }
            match *piece {
                Piece::Run(ns) => passing.run(ns, self.pieces.get(at + 1), events, &mut steps),
                Piece::Sleep { until_ns, .. } if clock => {
                    let ns = until_ns.saturating_sub(fired_ns);
                    fired_ns = until_ns;
                    steps.push(Step::Timer(Timer::Own(0), Period { ns, absolute: true }));
                }
                Piece::Sleep { ns, .. } => steps.push(Step::Sleep(Span::Fixed(ns))),
                Piece::Wait(_) | Piece::Await(_) => {
                    steps.extend(events.of(number).map(Step::Wait));
                }
                Piece::Signal { to, .. } | Piece::Answer(to) => {
                    steps.extend(events.of(to).map(|event| Step::Signal(event, 1)));
                }
                Piece::Fork(task) => {
                    let number = events.numbers.get(&task);
                    steps.extend(number.map(|number| Step::Fork(TemplateId(*number))));
                }
                Piece::Nice(nice) => steps.push(Step::Nice(nice)),
                Piece::Cpus(cpus) => program = program.then_cpus(&mask(cpus)),
                _ => passing.pass(*piece, events, &mut steps),
            }
            for step in steps.drain(..) {
                program = program.then(step);
            }
        }
        if self.state != State::Gone {
            // It was there until the end, and does no more than was seen of it.
            if let Some(event) = events.of(number) {
                program = program.then(Step::Wait(event));
            }
        }
        program
    }
}

/// These of the first 64 CPUs, or as many as a machine can have.
fn mask(bits: Option<u64>) -> CpuMask {
    match bits {
        Some(bits) => (0..64).filter(|cpu| bits >> cpu & 1 == 1).map(CpuId).collect(),
        None => CpuMask::range(CpuId(0), CpuId(CPUS_MAX as u32 - 1)),
    }
}

/// The events that stand for who waits for whom: of each task, then two of each channel.
struct Events<'a> {
    numbers: &'a BTreeMap<TaskRef, u32>,
    channels: &'a [Channel],
    /// How long a system call takes after it has woken somebody up.
    call_ns: u64,
}

impl Events<'_> {
    /// What a task waits for.
    fn of(&self, task: TaskRef) -> Option<EventId> {
        self.numbers.get(&task).map(|number| EventId(*number))
    }

    /// The end of a system call after a wake-up, if the kernel is not preempted there.
    fn call(&self) -> Option<Step> {
        (self.call_ns > 0).then_some(Step::Call(self.call_ns))
    }

    /// The messages of a channel.
    fn messages(&self, channel: u32) -> EventId {
        EventId(self.numbers.len() as u32 + 2 * channel)
    }

    /// Room for messages, if anybody ever waited for that.
    fn room(&self, channel: u32) -> Option<EventId> {
        self.channels[channel as usize].room?;
        Some(EventId(self.numbers.len() as u32 + 2 * channel + 1))
    }
}

/// What a task has done already of the message that it sends or receives next.
#[derive(Debug, Default)]
struct Passing {
    has_room: bool,
    sent: bool,
    received: bool,
}

/// What sending takes, in ns of CPU time, from when there has to be room until the message is there:
/// most of what a small one takes in all.
const SEND_NS: u64 = 2000;

impl Passing {
    /// A run, before that piece. Who sends needs room before it has done what sending takes.
    fn run(&mut self, ns: u64, next: Option<&Piece>, events: &Events<'_>, steps: &mut Vec<Step>) {
        let mut rest_ns = ns;
        if let Some(Piece::Send(channel) | Piece::Hand { channel, .. }) = next {
            let before_ns = ns.saturating_sub(SEND_NS);
            if before_ns > 0 {
                steps.push(Step::Run(Span::Fixed(before_ns)));
            }
            self.room(*channel, events, steps);
            rest_ns -= before_ns;
        }
        steps.push(Step::Run(Span::Fixed(rest_ns)));
    }

    /// What becomes of a piece that is about messages.
    fn pass(&mut self, piece: Piece, events: &Events<'_>, steps: &mut Vec<Step>) {
        match piece {
            Piece::Expect { channel, .. } if !self.received => {
                steps.push(Step::Wait(events.messages(channel)));
                self.received = true;
            }
            Piece::Room { channel, .. } => self.room(channel, events, steps),
            Piece::Hand { channel, .. } => self.send(channel, events, steps),
            Piece::Send(channel) => {
                self.send(channel, events, steps);
                *self = Self::default();
            }
            Piece::Receive { channel, messages } => {
                for _ in u32::from(self.received)..messages {
                    steps.push(Step::Wait(events.messages(channel)));
                }
                if messages > 0
                    && let Some(room) = events.room(channel)
                {
                    steps.extend(events.call());
                    steps.push(Step::Signal(room, messages));
                }
                *self = Self::default();
            }
            _ => {}
        }
    }

    fn room(&mut self, channel: u32, events: &Events<'_>, steps: &mut Vec<Step>) {
        if !std::mem::replace(&mut self.has_room, true) {
            steps.extend(events.room(channel).map(Step::Wait));
        }
    }

    fn send(&mut self, channel: u32, events: &Events<'_>, steps: &mut Vec<Step>) {
        self.room(channel, events, steps);
        if !std::mem::replace(&mut self.sent, true) {
            steps.push(Step::Signal(events.messages(channel), 1));
        }
    }
}
