// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls of functions: executions, one inside another where a kernel function calls back.

use crate::kernel::{Answer, Known};
use crate::machine::{Machine, STACKS};
use crate::references::Misuse;
use rota_bytecode::{
    Callee, Driver, Execution, Fault, MemoryError, Place, Spot, Start, StartError, Step, Trap,
    TrapKind,
};
use rota_object::FunctionId;
use std::fmt;

/// Why a run was stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopKind {
    /// A program did what it must not.
    #[error("{0}")]
    Trap(#[from] TrapKind),
    /// It gave a kernel function memory that can't be reached so.
    #[error("{name}: {fault}")]
    Argument {
        /// The function.
        name: String,
        /// The access.
        fault: Fault,
    },
    /// It called a function that is not simulated.
    #[error("{0} is not simulated yet{why}", why = crate::kernel::why_not(.0))]
    Unknown(String),
    /// It did with a kernel function what no verifier lets through.
    #[error("{name}: {misuse}")]
    Misuse {
        /// The function.
        name: &'static str,
        /// What it did.
        misuse: Misuse,
    },
    /// It ended and still held something.
    #[error("the {what} taken here is never {duty}")]
    Kept {
        /// What it held.
        what: &'static str,
        /// What it should have done with it.
        duty: &'static str,
    },
    /// An execution could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It called back from what was called back, again and again.
    #[error("too many executions inside one another: {0} is the most")]
    Deep(usize),
    /// CPUs wait for each other without end.
    #[error("a deadlock: {0}")]
    Deadlock(String),
    /// The machine's memory is used up.
    #[error("{0}")]
    Memory(String),
    /// Tasks use it up.
    #[error(
        "no room for {task}: there are {tasks} tasks, and the machine's memory holds no more of \
         {bytes} bytes each; let tasks of the workload end (in a file, `loop` says when), or make \
         fewer"
    )]
    Tasks {
        /// What was to be made: a task's name, or whose child it was to be.
        task: String,
        /// How many there are.
        tasks: usize,
        /// What each takes, in bytes.
        bytes: u64,
    },
    /// It called back something that is no function.
    #[error("{0:#x} is no function that could be called back")]
    Callback(u64),
}

/// A run that was stopped, and where.
#[derive(Debug, thiserror::Error)]
pub struct Stop {
    /// Why.
    pub kind: Box<StopKind>,
    /// The instruction, if one was being executed.
    pub place: Option<Box<Place>>,
}

impl Stop {
    pub(crate) fn new(kind: StopKind, place: Option<Place>) -> Self {
        Self { kind: Box::new(kind), place: place.map(Box::new) }
    }

    pub(crate) fn memory(error: &MemoryError) -> Self {
        Self::new(StopKind::Memory(error.to_string()), None)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.kind),
            None => write!(f, "{}", self.kind),
        }
    }
}

/// What a kernel function does that calls back: one call after the other, until it is done.
pub(crate) trait Callbacks {
    /// What is next, after what the last call returned; `None` at first.
    fn next(&mut self, machine: &mut Machine, last: Option<u64>) -> Result<Next, Fault>;
}

/// What is next.
pub(crate) enum Next {
    /// A call of the function with this address.
    Call(u64, [u64; 5]),
    /// The end, and what the kernel function returns.
    Done(u64),
}

/// An execution, and who waits for it, if it was called back.
struct Frame {
    execution: Box<Execution>,
    caller: Option<Box<Waiting>>,
}

/// An execution that waits for a kernel function, which calls back.
struct Waiting {
    frame: Frame,
    callbacks: Box<dyn Callbacks>,
}

impl Machine {
    /// Calls a function and returns its r0.
    ///
    /// # Errors
    /// [`Stop`] says what it did that it must not, or what is not simulated, and where.
    #[inline]
    pub fn run(&mut self, function: FunctionId, args: [u64; 5]) -> Result<u64, Stop> {
        let outermost = self.depth;
        if outermost == 0 {
            self.calls = 0;
            self.stood_ns = 0;
        }
        let result = self.run_frames(function, args);
        self.depth = outermost;
        // What a stopped program held is nobody's any more.
        let _ = self.references.end(outermost);
        result
    }

    /// Calls a callback of a table, which gets its arguments as words in memory.
    #[inline]
    pub(crate) fn run_with_context(
        &mut self,
        function: FunctionId,
        args: &[u64],
    ) -> Result<u64, Stop> {
        let context = self.context(self.depth);
        for (i, arg) in args.iter().enumerate() {
            // It has been made for as many as callbacks take; beyond the deepest, there is none.
            let _ = self.memory.write_u64(context + 8 * i as u64, *arg);
        }
        self.run(function, [context, 0, 0, 0, 0])
    }

    #[inline]
    fn run_frames(&mut self, function: FunctionId, args: [u64; 5]) -> Result<u64, Stop> {
        let outermost = self.depth;
        // What is called back uses up what is left, so a loop of calls ends as any other.
        let mut budget = self.shape.budget;
        let mut frame = self.frame(function, args, None, budget)?;
        let mut value = 0;
        loop {
            let mut answering = Answering { machine: self, unanswered: None };
            let step = frame.execution.resume_with(value, &mut answering);
            let unanswered = answering.unanswered;
            let (waiting, last) = match step {
                Step::Trap(trap) => {
                    let Trap { kind, place, .. } = *trap;
                    return Err(Stop::new(kind.into(), Some(place)));
                }
                Step::Call { callee, args, .. } => {
                    let spot = frame.execution.spot();
                    let answer = match unanswered {
                        Some(answer) => answer,
                        None => {
                            self.before_answer();
                            self.answer(callee, args, spot)
                        }
                    };
                    match answer.map_err(|kind| Stop::new(kind, Some(self.place(spot))))? {
                        Answer::Value(answer) => {
                            value = answer;
                            continue;
                        }
                        Answer::Callbacks(callbacks) => {
                            (Box::new(Waiting { frame, callbacks }), None)
                        }
                        Answer::Misuse(misuse) => return Err(self.misused(callee, misuse, spot)),
                        Answer::Throw(_) if frame.caller.is_some() => {
                            return Err(self.misused(callee, Misuse::Throw, spot));
                        }
                        Answer::Stop(stop) => return Err(stop),
                        Answer::Throw(cookie) => {
                            self.check_end(outermost)?;
                            return Ok(cookie);
                        }
                    }
                }
                Step::Return { value: returned, insns } => {
                    budget = budget.saturating_sub(insns);
                    self.insns += insns;
                    self.depth -= 1;
                    self.check_end(self.depth)?;
                    self.executions.push(frame.execution);
                    match frame.caller {
                        None => return Ok(returned),
                        Some(waiting) => (waiting, Some(returned)),
                    }
                }
            };
            (frame, value) = self.call_back(waiting, last, budget)?;
        }
    }

    fn misused(&self, callee: Callee, misuse: Misuse, spot: Spot) -> Stop {
        let name = self.find(callee).map_or("", |known| known.name);
        Stop::new(StopKind::Misuse { name, misuse }, Some(self.place(spot)))
    }

    /// Goes on with a kernel function that calls back; the execution that is next, and what it is
    /// resumed with.
    fn call_back(
        &mut self,
        mut waiting: Box<Waiting>,
        last: Option<u64>,
        budget: u64,
    ) -> Result<(Frame, u64), Stop> {
        let spot = waiting.frame.execution.spot();
        let next = waiting.callbacks.next(self, last).map_err(|fault| {
            let name = "a function that calls back".to_owned();
            StopKind::Argument { name, fault }
        });
        let frame = next.and_then(|next| match next {
            Next::Done(value) => Ok((waiting.frame, value)),
            Next::Call(..) if budget == 0 => Err(TrapKind::Budget.into()),
            Next::Call(address, args) => {
                let function = self.function_at(address).ok_or(StopKind::Callback(address))?;
                let frame = self.frame(function, args, Some(waiting), budget);
                Ok((frame.map_err(|stop| *stop.kind)?, 0))
            }
        });
        frame.map_err(|kind| Stop::new(kind, Some(self.place(spot))))
    }

    /// One more execution, inside those that stand still.
    #[inline]
    fn frame(
        &mut self,
        function: FunctionId,
        args: [u64; 5],
        caller: Option<Box<Waiting>>,
        budget: u64,
    ) -> Result<Frame, Stop> {
        let stop = |kind| Stop::new(kind, None);
        let stack = self.stack(self.depth).ok_or_else(|| stop(StopKind::Deep(STACKS)))?;
        let start = Start { function, args, stack, budget };
        let execution = match self.executions.pop() {
            Some(mut ended) => ended.restart(&start).map(|()| ended),
            None => Execution::start(self.shape.mode, self.instance(), &start).map(Box::new),
        };
        let execution = execution.map_err(|error| stop(error.into()))?;
        self.depth += 1;
        Ok(Frame { execution, caller })
    }

    /// Whether an execution that ends at this depth has given everything back.
    fn check_end(&mut self, depth: usize) -> Result<(), Stop> {
        match self.references.end(depth) {
            None => Ok(()),
            Some(held) => {
                let kind = StopKind::Kept { what: held.kind.words(), duty: held.kind.duty() };
                Err(Stop::new(kind, Some(self.place(held.at))))
            }
        }
    }

    fn count_call(&mut self, callee: Callee) {
        self.calls += 1;
        if let Callee::Kfunc(id) = callee
            && let Some(calls) = self.kfunc_calls.get_mut(id.0 as usize)
        {
            *calls += 1;
        }
    }

    fn answer(&mut self, callee: Callee, args: [u64; 5], spot: Spot) -> Result<Answer, StopKind> {
        self.count_call(callee);
        let known = self.find(callee).ok_or_else(|| StopKind::Unknown(self.unknown(callee)))?;
        if let Err(misuse) = self.before_call(known.effects, &args) {
            return Ok(Answer::Misuse(misuse));
        }
        let answer = (known.call)(self, args).map_err(|fault| known.fault(fault))?;
        let returned = match answer {
            Answer::Value(value) => Some(value),
            Answer::Callbacks(_) => None,
            Answer::Misuse(_) | Answer::Throw(_) | Answer::Stop(_) => return Ok(answer),
        };
        match self.after_call(known.effects, &args, returned, spot) {
            Ok(()) => Ok(answer),
            Err(misuse) => Ok(Answer::Misuse(misuse)),
        }
    }
}

impl Known {
    /// It was given memory that can't be reached so.
    #[cold]
    fn fault(&self, fault: Fault) -> StopKind {
        StopKind::Argument { name: self.name.to_owned(), fault }
    }
}

/// A machine that answers the calls of what runs on it, and what it could not answer at once.
struct Answering<'a> {
    machine: &'a mut Machine,
    unanswered: Option<Result<Answer, StopKind>>,
}

impl Driver for Answering<'_> {
    fn answer(&mut self, callee: Callee, args: [u64; 5], spot: Spot) -> Option<u64> {
        // A lane can't stand still here, where machine code is between.
        if self.machine.interleaving.is_some() {
            return None;
        }
        // Most take nothing and give nothing back.
        let answer = match self.machine.find(callee).filter(|known| known.effects.is_empty()) {
            Some(known) => {
                self.machine.count_call(callee);
                let answer = (known.call)(self.machine, args);
                if let Ok(Answer::Value(value)) = answer {
                    // Nothing is left of it to be dropped, which would be looked for.
                    std::mem::forget(answer);
                    return Some(value);
                }
                answer.map_err(|fault| known.fault(fault))
            }
            None => self.machine.answer(callee, args, spot),
        };
        match answer {
            Ok(Answer::Value(value)) => Some(value),
            other => {
                self.unanswered = Some(other);
                None
            }
        }
    }
}
