// SPDX-License-Identifier: GPL-2.0-or-later
//! Where events come from: this machine, a recording, a simulation that runs.

use crate::exit::Exit;
use crate::recorder;
use crate::view::{open_recording, tell_problems};
use anyhow::{Context, Result, anyhow, bail};
use rota_events::{CpuPlace, Event, Problems, Tables};
use rota_kernel::{Host, Recorder, Wanted, now_ns};
use rota_trace::{Look, Top};
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

/// Memory for each CPU, in which events of this machine wait.
const RING_BYTES: u32 = 8 << 20;
/// So many pieces of a recording are read ahead.
const AHEAD: usize = 4;

/// Where events come from, and what was made of them.
pub(super) struct Source {
    from: From,
    top: Top,
    places: Vec<CpuPlace>,
}

enum From {
    Machine(Box<Recorder>),
    Recording(Box<Player>),
}

/// What is played, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Goes,
    /// It waits for what makes the recording.
    Waits,
    Ended,
}

impl Source {
    /// Opens what is asked for.
    pub(super) fn open(file: Option<&Path>, simulation: Option<&str>) -> Result<Self> {
        let (from, places) = match (file, simulation) {
            (Some(file), _) => Player::file(file)?,
            (None, Some(arguments)) => Player::simulation(arguments)?,
            (None, None) => {
                let host = Host::default();
                let places = rota_sim::cpu_places(&host.topology()?.topology);
                let cpus = places.len() as u32;
                let recorder = recorder::start(&host, RING_BYTES, cpus, Wanted::default())?;
                (From::Machine(Box::new(recorder)), places)
            }
        };
        Ok(Self { from, top: Top::default(), places })
    }

    /// Whether it is this machine.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.from, From::Machine(_))
    }

    /// Where the CPUs are.
    pub(super) fn places(&self) -> &[CpuPlace] {
        &self.places
    }

    /// What the numbers in events stand for.
    pub(super) fn tables(&self) -> &Tables {
        match &self.from {
            From::Machine(recorder) => recorder.tables(),
            From::Recording(player) => &player.tables,
        }
    }

    /// Takes what happened since the last look; of a recording, so much of its time.
    pub(super) fn advance(&mut self, since_look: Duration) -> Result<()> {
        match &mut self.from {
            From::Machine(recorder) => {
                let events = recorder.poll()?;
                events.iter().for_each(|event| self.top.add(event));
            }
            From::Recording(player) => {
                let top = &mut self.top;
                player.advance(since_look, &mut |event| top.add(event))?;
            }
        }
        Ok(())
    }

    /// From now on, time that goes by counts anew.
    pub(super) fn pause(&mut self) {
        if let From::Recording(player) = &mut self.from {
            player.from_ns = player.now_ns;
        }
    }

    /// What happened since the last look.
    pub(super) fn look(&mut self) -> Look {
        let now_ns = match &mut self.from {
            From::Machine(_) => now_ns(),
            From::Recording(player) => {
                player.from_ns = player.now_ns;
                player.now_ns.unwrap_or(0)
            }
        };
        self.top.look(now_ns)
    }

    /// How it goes.
    pub(super) fn state(&self) -> State {
        match &self.from {
            From::Machine(_) => State::Goes,
            From::Recording(player) => player.state,
        }
    }

    /// Says what was wrong with it.
    pub(super) fn finish(self) -> Result<Exit> {
        match self.from {
            From::Machine(_) => Ok(Exit::Done),
            From::Recording(player) => player.finish(),
        }
    }
}

/// What a thread has read.
enum Piece {
    /// Events, and the tables if they are others than before.
    Events(Vec<Event>, Option<Tables>),
    /// The end.
    End(Problems),
    Failed(anyhow::Error),
}

/// A recording that is played. A thread reads it: it may be one that is only just made.
struct Player {
    name: String,
    pieces: Receiver<Piece>,
    waiting: VecDeque<Event>,
    tables: Tables,
    /// The time that is shown, and where it was at the last look.
    now_ns: Option<u64>,
    from_ns: Option<u64>,
    state: State,
    problems: Problems,
    simulation: Option<Simulation>,
}

/// A simulation that writes the recording.
struct Simulation {
    child: Child,
    /// Has the pipe between the two.
    folder: PathBuf,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // It is of no use any more, however far it is.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Player {
    fn file(path: &Path) -> Result<(From, Vec<CpuPlace>)> {
        let (player, places) = Self::start(path, None)?;
        Ok((From::Recording(Box::new(player)), places))
    }

    /// Starts `rota sim` with these arguments, and plays what it does.
    fn simulation(arguments: &str) -> Result<(From, Vec<CpuPlace>)> {
        let folder = std::env::temp_dir().join(format!("rota-top-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
        let pipe = folder.join("trace.rota");
        let mut sim = Command::new(std::env::current_exe().context("finding this program")?);
        sim.arg("sim").args(arguments.split_whitespace()).arg("--trace").arg(&pipe);
        sim.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let made = rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode);
        let child = made.map_err(anyhow::Error::from).and_then(|()| Ok(sim.spawn()?));
        let child = match child {
            Ok(child) => child,
            Err(error) => {
                let _ = std::fs::remove_dir_all(&folder);
                return Err(error.context("starting rota sim"));
            }
        };
        let mut simulation = Simulation { child, folder };
        // Who ends before it opens the pipe would leave us waiting for it.
        let writer = File::options().read(true).write(true).open(&pipe);
        let writer = writer.context("opening the pipe")?;
        let mut waited = Duration::ZERO;
        while !is_readable(&writer)? {
            if let Some(status) = simulation.child.try_wait()? {
                let mut said = String::new();
                if let Some(stderr) = &mut simulation.child.stderr {
                    io_read(stderr, &mut said);
                }
                let said = said.trim().trim_start_matches("rota: ").to_owned();
                bail!(
                    "rota sim {arguments}: {}",
                    if said.is_empty() { status.to_string() } else { said }
                );
            }
            if waited > Duration::from_secs(60) {
                bail!("rota sim {arguments}: it writes nothing");
            }
            thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
        let opened = Self::start(&pipe, Some(simulation));
        drop(writer);
        let (player, places) = opened?;
        Ok((From::Recording(Box::new(player)), places))
    }

    fn start(path: &Path, simulation: Option<Simulation>) -> Result<(Self, Vec<CpuPlace>)> {
        let name = match &simulation {
            Some(_) => "the simulation".to_owned(),
            None => path.display().to_string(),
        };
        let (sender, pieces) = sync_channel(AHEAD);
        let (opened, machine) = sync_channel(1);
        let path = path.to_owned();
        thread::spawn(move || read(&path, &opened, &sender));
        let places = machine.recv().map_err(|_| anyhow!("{name}: the reader ended"))??;
        let player = Self {
            name,
            pieces,
            waiting: VecDeque::new(),
            tables: Tables::default(),
            now_ns: None,
            from_ns: None,
            state: State::Goes,
            problems: Problems::default(),
            simulation,
        };
        Ok((player, places))
    }

    /// Plays so much since the last look.
    fn advance(&mut self, since_look: Duration, add: &mut impl FnMut(&Event)) -> Result<()> {
        loop {
            while let Some(event) = self.waiting.front() {
                let from_ns = *self.from_ns.get_or_insert(event.time_ns);
                let until_ns = from_ns.saturating_add(since_look.as_nanos() as u64);
                self.now_ns = Some(self.now_ns.unwrap_or(from_ns).max(until_ns.min(event.time_ns)));
                if event.time_ns > until_ns {
                    self.now_ns = self.now_ns.max(Some(until_ns));
                    return Ok(());
                }
                add(event);
                self.waiting.pop_front();
            }
            match self.pieces.try_recv() {
                Ok(Piece::Events(events, tables)) => {
                    self.state = State::Goes;
                    self.waiting.extend(events);
                    self.tables = tables.unwrap_or_else(|| std::mem::take(&mut self.tables));
                }
                Ok(Piece::End(problems)) => {
                    self.problems = problems;
                    self.state = State::Ended;
                    return Ok(());
                }
                Ok(Piece::Failed(error)) => return Err(error),
                Err(TryRecvError::Disconnected) => {
                    self.state = State::Ended;
                    return Ok(());
                }
                Err(TryRecvError::Empty) => {
                    if self.state != State::Ended {
                        self.state = State::Waits;
                    }
                    return Ok(());
                }
            }
        }
    }

    fn finish(self) -> Result<Exit> {
        drop(self.simulation);
        Ok(tell_problems(&self.name, &self.problems))
    }
}

/// Reads a recording to its end, or until nobody listens.
fn read(path: &Path, opened: &SyncSender<Result<Vec<CpuPlace>>>, pieces: &SyncSender<Piece>) {
    let mut recording = match open_recording(path) {
        Ok(recording) => recording,
        Err(error) => {
            // Nobody listens any more: nothing is left to do.
            let _ = opened.send(Err(error));
            return;
        }
    };
    if opened.send(Ok(recording.machine().cpus.clone())).is_err() {
        return;
    }
    let mut told = None;
    loop {
        let piece = match recording.next_events() {
            Ok(Some(events)) => {
                let tables = recording.tables();
                let now = Some(tables.size());
                let news = (told != now).then(|| tables.clone());
                told = now;
                Piece::Events(events, news)
            }
            Ok(None) => Piece::End(recording.problems().clone()),
            Err(error) => {
                Piece::Failed(anyhow::Error::new(error).context(path.display().to_string()))
            }
        };
        let is_last = !matches!(piece, Piece::Events(..));
        if pieces.send(piece).is_err() || is_last {
            return;
        }
    }
}

fn is_readable(file: &File) -> Result<bool> {
    let mut fds = [rustix::event::PollFd::new(file, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(rustix::event::poll(&mut fds, Some(&now))? > 0)
}

fn io_read(from: &mut impl std::io::Read, text: &mut String) {
    // What it said is only for an error's words.
    let _ = from.read_to_string(text);
}
