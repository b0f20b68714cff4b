// SPDX-License-Identifier: GPL-2.0-or-later
//! A scheduler in charge while something else is done, without a word.

use super::explained;
use super::life::{Ending, Life};
use anyhow::{Result, anyhow};
use rota_kernel::{Host, Live, now_ns};
use rota_object::{EngineError, ExitInfo, Refusal};
use rota_sched::{Choice, HalfError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// What came of it.
pub(crate) enum Charge<T> {
    /// It was in charge until the work was done.
    Done(T),
    /// The kernel ended it before that, or did not let it begin.
    Ended(ExitInfo),
}

/// Does the work while the scheduler is in charge, whose user half has a thread of its own for so
/// long. `work` is given a way to ask whether the scheduler is still there. `name` is that of the
/// command line.
///
/// # Errors
/// That the kernel does not take the scheduler, in words; that its user half failed; what `work`
/// says.
pub(crate) fn while_in_charge<T>(
    name: &str,
    choice: &Choice,
    work: impl FnOnce(&dyn Fn() -> bool) -> Result<T>,
) -> Result<Charge<T>> {
    let gone = AtomicBool::new(false);
    let (send_ready, ready) = channel();
    // Whoever lets go of its end says that it is over, even by a panic.
    let (over, is_over) = channel::<()>();
    thread::scope(|scope| {
        let is_gone = &gone;
        let keeper = move || {
            let kept = keep(name, choice, &send_ready, &is_over);
            is_gone.store(true, Ordering::Relaxed);
            kept
        };
        let keeper =
            thread::Builder::new().name("user half".to_owned()).spawn_scoped(scope, keeper)?;
        // Without a word it failed, and says so at its end.
        let done = ready.recv().ok().map(|()| work(&|| !gone.load(Ordering::Relaxed)));
        drop(over);
        let kept = keeper.join().map_err(|_| anyhow!("{name}: its user half ended early"))?;
        match (kept?, done) {
            (Ending::Exit(info), _) => Ok(Charge::Ended(info)),
            (Ending::Asked(_), Some(done)) => Ok(Charge::Done(done?)),
            (Ending::Asked(_), None) => Err(anyhow!("{name}: it did not begin")),
        }
    })
}

/// Whether this kernel can have a scheduler at all.
///
/// # Errors
/// Why not, in words.
pub(crate) fn can_be_loaded(name: &str, choice: &Choice, host: &Host) -> Result<()> {
    let opened = Live::open(&choice.bytes, &choice.object, host);
    opened.map(drop).map_err(|error| explained(name, host, error.into()))
}

/// Loads, attaches, and goes on until it is over.
fn keep(name: &str, choice: &Choice, ready: &Sender<()>, is_over: &Receiver<()>) -> Result<Ending> {
    let host = Host::default();
    let mut life = match Life::begin(choice, &host, None) {
        Ok(life) => life,
        Err(HalfError::Engine(EngineError::Refused(Refusal::Exit(info)))) => {
            return Ok(Ending::Exit(*info));
        }
        Err(error) => return Err(explained(name, &host, error)),
    };
    // Who does not listen any more has said that it is over.
    let _ = ready.send(());
    loop {
        let now = now_ns();
        if let Some(info) = life.turn(now)? {
            return Ok(Ending::Exit(info));
        }
        let pause = Duration::from_nanos(life.due(now).saturating_sub(now_ns()));
        match is_over.recv_timeout(pause) {
            Err(RecvTimeoutError::Timeout) => {}
            _ => return life.leave("done"),
        }
    }
}
