// SPDX-License-Identifier: GPL-2.0-or-later
//! One life of a scheduler on the kernel: one thread that waits for time, signals and clients.

use crate::output::{self, Format};
use crate::run::Args;
use crate::run::server::{Server, Status};
use crate::run::signals::Signals;
use anyhow::{Context, Result};
use rota_events::{Sample, json_line, table_header, table_row};
use rota_kernel::{Host, Live, now_ns};
use rota_object::{Engine, ExitCause, ExitInfo, Setup};
use rota_sched::{Choice, HalfError, Session, Wake};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sd_notify::NotifyState;

/// How often the kernel's word that it ended the scheduler is looked for.
const EXIT_CHECK_NS: u64 = 100_000_000;
/// A table's header is repeated after this many lines.
const HEADER_EVERY: u64 = 20;

/// How a life ended.
pub(crate) enum Ending {
    /// As it was asked to: by a signal, or by `--for`.
    Asked(&'static str),
    /// The kernel ended it.
    Exit(ExitInfo),
}

/// A scheduler in charge.
pub(crate) struct Life {
    name: String,
    world: Live,
    session: Session,
    before: Sample,
    printed: u64,
}

impl Life {
    /// Loads and attaches.
    pub(crate) fn begin(
        choice: &Choice,
        host: &Host,
        watchdog_ns: Option<u64>,
    ) -> Result<Self, HalfError> {
        let mut world = Live::open(&choice.bytes, &choice.object, host)?;
        if let Some(ns) = watchdog_ns {
            world.set_ops_member("timeout_ms", ns / 1_000_000)?;
        }
        let mut session = Session::start(choice.half()?, now_ns(), &mut world)?;
        let before = session.sample(now_ns(), &mut world)?;
        Ok(Self { name: choice.name.clone(), world, session, before, printed: 0 })
    }

    /// Prints and serves statistics until the end.
    pub(crate) fn watch(
        &mut self,
        args: &Args,
        signals: &Signals,
        mut server: Option<&mut Server>,
        started_ns: u64,
    ) -> Result<Ending> {
        notify(&[NotifyState::Ready, NotifyState::Status(&format!("{} is in charge", self.name))]);
        let end_ns = args.run_for.map(|ns| started_ns.saturating_add(ns));
        let mut next_stats_ns = self.before.at_ns.saturating_add(args.stats);
        loop {
            let now = now_ns();
            if let Some(info) = self.turn(now)? {
                return Ok(Ending::Exit(info));
            }
            if let Some(signal) = signals.taken() {
                return self.leave(signal);
            }
            if end_ns.is_some_and(|end| now >= end) {
                return self.leave("--for");
            }
            if args.stats > 0 && now >= next_stats_ns {
                self.print(args.format, started_ns, server.as_deref_mut())?;
                // Who is late skips what was missed, rather than printing it in a burst.
                let missed = (now - next_stats_ns) / args.stats;
                next_stats_ns = next_stats_ns.saturating_add(args.stats * (missed + 1));
                notify(&[NotifyState::Watchdog]);
            }
            if let Some(server) = server.as_deref_mut() {
                self.serve(server)?;
            }
            let mut due = self.due(now).min(end_ns.unwrap_or(u64::MAX));
            if args.stats > 0 {
                due = due.min(next_stats_ns);
            }
            wait(due.saturating_sub(now_ns()), signals, server.as_deref())?;
        }
    }

    /// Lets the user half do what is due; how the kernel ended the scheduler, if it did.
    pub(crate) fn turn(&mut self, now: u64) -> Result<Option<ExitInfo>> {
        let ended = self.world.exit_info()?;
        if ended.is_none() {
            self.session.step(now, &mut self.world)?;
        }
        Ok(ended)
    }

    /// When the next turn has to be, at the latest.
    pub(crate) fn due(&self, now: u64) -> u64 {
        match self.session.wake() {
            Wake::At(wake) => wake.min(now + EXIT_CHECK_NS),
            _ => now + EXIT_CHECK_NS,
        }
    }

    /// Takes the scheduler off.
    pub(crate) fn leave(&mut self, why: &'static str) -> Result<Ending> {
        notify(&[NotifyState::Stopping]);
        self.world.detach()?;
        // It may have been ejected at the very moment; then that is why it ended.
        let ejected = |info: &ExitInfo| info.kind != 0 && info.cause() != ExitCause::Detached;
        let info = self.world.exit_info()?.filter(ejected);
        Ok(info.map_or(Ending::Asked(why), Ending::Exit))
    }

    fn print(&mut self, format: Format, start_ns: u64, server: Option<&mut Server>) -> Result<()> {
        let now = self.session.sample(now_ns(), &mut self.world)?;
        let metrics = self.session.metrics();
        let json = json_line(&self.name, metrics, &self.before, &now);
        match format {
            Format::Json => output::line(&json)?,
            Format::Table if metrics.is_empty() => {}
            Format::Table => {
                if self.printed.is_multiple_of(HEADER_EVERY) {
                    output::line(&table_header(metrics))?;
                }
                output::line(&table_row(metrics, start_ns, &self.before, &now))?;
            }
        }
        if let Some(server) = server {
            server.publish(&json);
        }
        self.printed += 1;
        self.before = now;
        Ok(())
    }

    fn serve(&mut self, server: &mut Server) -> Result<()> {
        let mut failure = None;
        let Self { name, world, session, before, .. } = self;
        server.answer(&mut |request| {
            let now = session.sample(now_ns(), world).unwrap_or_else(|error| {
                failure = Some(error);
                before.clone()
            });
            let (session, world) = (&*session, &*world);
            let snapshot = || {
                let found = session.snapshot(now_ns(), world)?;
                Ok(found.map(|(snapshot, policy)| rota_balance::write(&snapshot, &policy)))
            };
            let metrics = session.metrics();
            Status { scheduler: name, metrics, before, now: &now, snapshot: &snapshot }
                .answer(request)
        });
        failure.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Waits for a signal, a client or the time.
fn wait(for_ns: u64, signals: &Signals, server: Option<&Server>) -> Result<()> {
    let signals = signals.fds().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let mut fds: Vec<_> = signals.chain(server.into_iter().flat_map(Server::fds)).collect();
    let timeout = Timespec {
        tv_sec: (for_ns / 1_000_000_000).cast_signed(),
        tv_nsec: (for_ns % 1_000_000_000).cast_signed(),
    };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("waiting"),
    }
}

/// Tells the service manager, if there is one.
fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell.
    let _ = sd_notify::notify(states);
}
