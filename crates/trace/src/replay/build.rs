// SPDX-License-Identifier: GPL-2.0-or-later
//! Pieces of what tasks did become programs.

use super::{Piece, Replay, State, Task};
use rota_events::{Tables, TaskRef};
use rota_workload::{
    Event, EventId, Group, Period, Program, Span, Step, Template, TemplateId, Timer, Workload,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// So many sleeps tell whether their lengths or their ends are steadier.
const SLEEPS_MIN: usize = 8;

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
    /// Nice values of tasks by their names; of others it is 0.
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
        self.end();
        self.choose_answers();
        self.tasks.retain(|_, task| task.forked || !task.pieces.is_empty());
        if !self.tasks.values().any(|task| task.pieces.iter().any(|p| matches!(p, Piece::Run(_)))) {
            return Err(ReplayError::Empty);
        }
        let first_ns = self.first_ns.unwrap_or(0);
        let numbers: BTreeMap<TaskRef, u32> = self.tasks.keys().copied().zip(0..).collect();
        // Most who wake a task up then sleep themselves, by a pipe or a socket.
        let event = Event { sync: true, ..Event::COUNTER };
        let mut workload = Workload { events: vec![event; numbers.len()], ..Workload::default() };
        let mut groups: BTreeMap<String, u32> = BTreeMap::new();
        let mut used = vec![false; options.nice.len()];
        for (number, task) in &self.tasks {
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
            let mut nice = 0;
            for ((wanted, value), used) in options.nice.iter().zip(&mut used) {
                if *wanted == comm {
                    (nice, *used) = (*value, true);
                }
            }
            if !task.forked {
                workload.starts.push(TemplateId(workload.templates.len() as u32));
            }
            let program = Arc::new(task.program(*number, &numbers, first_ns));
            workload.templates.push(Template {
                name,
                group,
                nice,
                cpus: None,
                cgroup: None,
                realtime: false,
                program,
            });
        }
        if let Some(((name, _), _)) = options.nice.iter().zip(&used).find(|(_, used)| !**used) {
            return Err(ReplayError::NoTask(name.clone()));
        }
        Ok(workload)
    }

    /// Keeps the answers of those who are always waited for.
    fn choose_answers(&mut self) {
        for (number, task) in &mut self.tasks {
            let awaited =
                |by, of| self.answers.get(&(by, of)).is_some_and(|answers| answers.are_awaited());
            task.pieces.retain(|piece| match piece {
                Piece::Await(of) => awaited(*number, *of),
                Piece::Answer(by) => awaited(*by, *number),
                _ => true,
            });
            // What was cut for the others is one again.
            task.pieces.dedup_by(|next, before| match (next, before) {
                (Piece::Run(next), Piece::Run(before)) => {
                    *before = before.saturating_add(*next);
                    true
                }
                _ => false,
            });
        }
    }

    /// The recording ends: who runs has run until now.
    fn end(&mut self) {
        let running: Vec<_> = self.cpus.keys().copied().zip(self.cpus.values().copied()).collect();
        for (_, (task, since)) in running {
            if task.is_some() {
                let ran = self.now_ns - since;
                let task = self.of(task);
                task.ran_ns = task.ran_ns.saturating_add(ran);
            }
        }
        self.cpus.clear();
        self.tasks.values_mut().for_each(Task::settle);
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

    fn program(&self, number: TaskRef, numbers: &BTreeMap<TaskRef, u32>, first_ns: u64) -> Program {
        let mut program = Program::default().with_timer();
        let clock = self.by_the_clock();
        // When its timer fired last, since the recording began.
        let mut fired_ns = self.begin_ns.saturating_sub(first_ns);
        let event = |task: &TaskRef| numbers.get(task).map(|number| EventId(*number));
        for piece in &self.pieces {
            let step = match piece {
                Piece::Run(ns) => Some(Step::Run(Span::Fixed(*ns))),
                Piece::Sleep { until_ns, .. } if clock => {
                    let ns = until_ns.saturating_sub(fired_ns);
                    fired_ns = *until_ns;
                    Some(Step::Timer(Timer::Own(0), Period { ns, absolute: true }))
                }
                Piece::Sleep { ns, .. } => Some(Step::Sleep(Span::Fixed(*ns))),
                Piece::Wait | Piece::Await(_) => event(&number).map(Step::Wait),
                Piece::Signal(task) | Piece::Answer(task) => {
                    event(task).map(|event| Step::Signal(event, 1))
                }
                Piece::Fork(task) => {
                    numbers.get(task).map(|number| Step::Fork(TemplateId(*number)))
                }
                Piece::Nothing => None,
            };
            if let Some(step) = step {
                program = program.then(step);
            }
        }
        if self.state != State::Gone {
            // It was there until the end, and does no more than was seen of it.
            if let Some(event) = event(&number) {
                program = program.then(Step::Wait(event));
            }
        }
        program
    }
}
