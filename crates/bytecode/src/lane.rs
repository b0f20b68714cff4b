// SPDX-License-Identifier: GPL-2.0-or-later
//! Rust work on a stack of its own, which can stand still in the middle.
//!
//! A lane and whoever resumes it hand one value to and fro: [`Lane::resume`] gives it to the work,
//! which hands it back when it pauses, and when it ends. A [`Pause`] can be kept in the value
//! itself, so that work deep inside other functions can pause without being told how.
//!
//! A lane that is dropped in the middle is unwound, so everything on its stack is dropped. Only
//! Rust can be on it: machine code has its fiber's stack, and no lane pauses while such code is
//! being entered.
#![allow(unsafe_code)]

use crate::signal;
use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;

/// Size of a lane's stack.
const LANE_STACK: usize = 512 << 10;
/// How many unused stacks a thread keeps.
const SPARE: usize = 64;

thread_local! {
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Where a lane stands, with the value that it handed back.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing<T> {
    /// In the middle of its work.
    Paused(T),
    /// At its end.
    Ended(T),
}

/// Work on a stack of its own.
pub struct Lane<T: 'static> {
    /// `None` once it is being dropped.
    coroutine: Option<Coroutine<T, T, T, DefaultStack>>,
    shared: Rc<Shared<T>>,
}

/// What a lane and its pauses know of it.
struct Shared<T: 'static> {
    /// What suspends the lane, from the beginning of its work to the end; else null.
    yielder: Cell<*const Yielder<T, T>>,
    /// The addresses of its stack.
    stack: Range<usize>,
}

/// A lane's work can no longer be paused when this is dropped.
struct Working<'a, T: 'static>(&'a Shared<T>);

impl<T> Drop for Working<'_, T> {
    fn drop(&mut self) {
        self.0.yielder.set(ptr::null());
    }
}

/// Pauses a lane from below its work.
pub struct Pause<T: 'static>(Rc<Shared<T>>);

impl<T> Clone for Pause<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Lane<T> {
    /// Prepares work; [`Lane::resume`] begins it.
    ///
    /// # Errors
    /// The host has no memory for another stack.
    pub fn new(work: impl FnOnce(&Pause<T>, T) -> T + 'static) -> io::Result<Self> {
        let spare = STACKS.with_borrow_mut(Vec::pop);
        let stack = spare.map_or_else(|| DefaultStack::new(LANE_STACK), Ok)?;
        let addresses = stack.limit().get()..stack.base().get();
        let shared = Rc::new(Shared { yielder: Cell::new(ptr::null()), stack: addresses });
        let pause = Pause(Rc::clone(&shared));
        let coroutine = Coroutine::with_stack(stack, move |yielder, value| {
            pause.0.yielder.set(yielder);
            let working = Working(&pause.0);
            let value = work(&pause, value);
            drop(working);
            value
        });
        Ok(Self { coroutine: Some(coroutine), shared })
    }

    /// Lets the work go on until it pauses or ends. A panic of the work ends it and goes on here.
    ///
    /// # Errors
    /// The work has ended before: the value comes back as it is.
    pub fn resume(&mut self, value: T) -> Result<Standing<T>, T> {
        match &mut self.coroutine {
            Some(coroutine) if !coroutine.done() => Ok(match coroutine.resume(value) {
                CoroutineResult::Yield(value) => Standing::Paused(value),
                CoroutineResult::Return(value) => Standing::Ended(value),
            }),
            _ => Err(value),
        }
    }
}

impl<T> Drop for Lane<T> {
    fn drop(&mut self) {
        let Some(mut coroutine) = self.coroutine.take() else { return };
        // What is dropped on the lane's stack must not pause any more.
        self.shared.yielder.set(ptr::null());
        coroutine.force_unwind();
        let stack = coroutine.into_stack();
        // At the end of a thread there may be no such list any more.
        let _ = STACKS.try_with(|stacks| {
            let mut stacks = stacks.borrow_mut();
            if stacks.len() < SPARE {
                stacks.push(stack);
            }
        });
    }
}

impl<T> Pause<T> {
    /// Hands the value to whoever resumed the lane, and waits until the lane is resumed with one.
    ///
    /// # Errors
    /// This is not below the lane's work, or machine code is between: the value comes back at
    /// once.
    pub fn pause(&self, value: T) -> Result<T, T> {
        let yielder = self.0.yielder.get();
        let here = 0_u8;
        let on_stack = self.0.stack.contains(&(&raw const here).addr());
        if yielder.is_null() || !on_stack || signal::executes() {
            return Err(value);
        }
        // SAFETY: it is not null, so the work has begun and not ended, and the yielder, which lives
        // at the bottom of the lane's stack, is there. This function's own frame is on that stack,
        // so the lane is what runs on this thread and can be suspended.
        let yielder = unsafe { &*yielder };
        Ok(yielder.suspend(value))
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
