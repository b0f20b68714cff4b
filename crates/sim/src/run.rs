// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls of functions: executions, one inside another where a kernel function calls back.

use crate::kernel::Answer;
use crate::machine::{Machine, STACKS};
use rota_bytecode::{Callee, Execution, Fault, Place, Start, StartError, Step, Trap};
use rota_object::FunctionId;
use std::fmt;

/// Why a run was stopped.
#[derive(Debug, thiserror::Error)]
pub enum StopKind {
    /// A program did what it must not.
    #[error("{0}")]
    Trap(#[from] rota_bytecode::TrapKind),
    /// It gave a kernel function memory that can't be reached so.
    #[error("{name}: {fault}")]
    Argument {
        /// The function.
        name: String,
        /// The access.
        fault: Fault,
    },
    /// It called a function that is not simulated.
    #[error("{0} is not simulated yet")]
    Unknown(String),
    /// An execution could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It called back from what was called back, again and again.
    #[error("too many executions inside one another: {0} is the most")]
    Deep(usize),
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
    fn new(kind: StopKind, place: Option<Place>) -> Self {
        Self { kind: Box::new(kind), place: place.map(Box::new) }
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

/// An execution, and the kernel function that called it back.
struct Frame {
    execution: Execution,
    caller: Option<Box<dyn Callbacks>>,
}

impl Machine {
    /// Calls a function and returns its r0.
    ///
    /// # Errors
    /// [`Stop`] says what it did that it must not, or what is not simulated, and where.
    pub fn run(&mut self, function: FunctionId, args: [u64; 5]) -> Result<u64, Stop> {
        let mut frames = vec![self.frame(function, args, 0, None)?];
        let mut value = 0;
        while let Some(mut frame) = frames.pop() {
            let (callbacks, last) = match frame.execution.resume(value) {
                Step::Trap(Trap { kind, place, .. }) => {
                    return Err(Stop::new(kind.into(), Some(place)));
                }
                Step::Call { callee, args, .. } => {
                    let answer = self.answer(callee, args);
                    let place = frame.execution.place();
                    frames.push(frame);
                    match answer.map_err(|kind| Stop::new(kind, Some(place)))? {
                        Answer::Value(answer) => {
                            value = answer;
                            continue;
                        }
                        Answer::Callbacks(callbacks) => (callbacks, None),
                    }
                }
                Step::Return { value: returned, .. } => match frame.caller {
                    None => return Ok(returned),
                    Some(callbacks) => (callbacks, Some(returned)),
                },
            };
            value = self.call_back(&mut frames, callbacks, last)?;
        }
        Ok(value)
    }

    /// Goes on with a kernel function that calls back; what the execution on top is resumed with.
    fn call_back(
        &mut self,
        frames: &mut Vec<Frame>,
        mut callbacks: Box<dyn Callbacks>,
        last: Option<u64>,
    ) -> Result<u64, Stop> {
        let place = frames.last().map(|f| f.execution.place());
        let next = callbacks.next(self, last).map_err(|fault| {
            let name = "a function that calls back".to_owned();
            Stop::new(StopKind::Argument { name, fault }, place.clone())
        })?;
        match next {
            Next::Done(value) => Ok(value),
            Next::Call(address, args) => {
                let function = self.function_at(address);
                let function = function
                    .ok_or_else(|| Stop::new(StopKind::Callback(address), place.clone()))?;
                let frame = self.frame(function, args, frames.len(), Some(callbacks));
                frames.push(frame.map_err(|stop| Stop { place: place.map(Box::new), ..stop })?);
                Ok(0)
            }
        }
    }

    fn frame(
        &mut self,
        function: FunctionId,
        args: [u64; 5],
        depth: usize,
        caller: Option<Box<dyn Callbacks>>,
    ) -> Result<Frame, Stop> {
        let Some(stack) = self.stack(depth) else {
            return Err(Stop::new(StopKind::Deep(STACKS), None));
        };
        let start = Start { function, args, stack, budget: self.shape.budget };
        let execution = Execution::start(self.shape.mode, self.instance(), &start)
            .map_err(|error| Stop::new(error.into(), None))?;
        Ok(Frame { execution, caller })
    }

    fn answer(&mut self, callee: Callee, args: [u64; 5]) -> Result<Answer, StopKind> {
        let (name, function) = self.find(callee);
        let function = function.ok_or_else(|| StopKind::Unknown(name.clone()))?;
        function(self, args).map_err(|fault| StopKind::Argument { name, fault })
    }
}
