// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota top`.

mod screen;
mod source;
mod stats;
mod table;
mod theme;

use crate::exit::Exit;
use crate::output;
use crate::run::signals::Signals;
use anyhow::{Context, Result, bail};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use screen::Screen;
use source::Source;
use stats::Stats;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use table::Sort;
use theme::Theme;

/// Arguments of `rota top`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota top                                       this machine, as root\n  \
    rota top --socket /run/rota/simple.sock        with the statistics of a scheduler\n  \
    rota top record.rota --speed 0.1               a recording, ten times slower than it was\n  \
    rota top --sim 'domains --machine 2l:4c --workload web --for 60s'\n\n\
    Keys: q quits, Space pauses, Right steps, + and - change the speed, s sorts, t changes colours,\n\
    ? explains. The exit code is 1 if a recording is damaged: what can be read of it was shown.")]
pub(crate) struct Args {
    /// A recording to play [default: this machine]; - is standard input
    #[arg(value_hint = clap::ValueHint::FilePath, conflicts_with = "sim")]
    file: Option<PathBuf>,
    /// A simulation to play: the arguments of rota sim
    #[arg(long, value_name = "ARGUMENTS", conflicts_with = "socket")]
    sim: Option<String>,
    /// Statistics of the scheduler whose rota run serves them here
    #[arg(long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    socket: Option<PathBuf>,
    /// Time between two looks
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// How fast a recording or a simulation is played, against its own time
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = speed)]
    speed: f64,
    /// What tasks are sorted by
    #[arg(long, value_enum, default_value = "run")]
    sort: Sort,
    /// Colours [default: mono if NO_COLOR is set, else dark]
    #[arg(long, value_enum)]
    theme: Option<Theme>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let ns = rota_events::parse_ns(text)?;
    let interval = Duration::from_nanos(ns);
    let fits = (Duration::from_millis(50)..=Duration::from_secs(3600)).contains(&interval);
    if fits { Ok(interval) } else { Err("from 50ms to 1h is possible".to_owned()) }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed = text.parse::<f64>().ok().filter(|speed| (SLOWEST..=FASTEST).contains(speed));
    speed.ok_or_else(|| format!("a factor from {SLOWEST} to {FASTEST} is wanted"))
}

const SLOWEST: f64 = 0.000_001;
const FASTEST: f64 = 1_000_000.0;
/// How long a key may have to wait, and events of this machine in their rings.
const BREATH: Duration = Duration::from_millis(20);

/// Shows what a machine does.
pub(crate) fn run(args: &Args) -> Result<Exit> {
    if !io::stdout().is_terminal() {
        let file = args.file.as_ref().map_or("FILE".into(), |file| file.to_string_lossy());
        let instead = output::command(&["view", &file, "--as", "summary"]);
        bail!("rota top needs a terminal; as text: {instead}");
    }
    let mut source = Source::open(args.file.as_deref(), args.sim.as_deref())?;
    let stats = args.socket.as_deref().map(Stats::connect).transpose()?;
    let signals = Signals::catch().context("catching signals")?;
    let theme = args.theme.unwrap_or_else(Theme::of_environment);
    let screen = Screen::new(theme, args.sort, source.is_live(), args.speed);
    let app = App { screen, stats, interval: args.interval, looked: Instant::now() };
    // A panic, too, puts the terminal back.
    let terminal = ratatui::try_init().context("setting up the terminal")?;
    let ended = app.go_on(terminal, &mut source, &signals);
    ratatui::restore();
    ended?;
    source.finish()
}

struct App {
    screen: Screen,
    stats: Option<Stats>,
    interval: Duration,
    looked: Instant,
}

impl App {
    fn go_on(
        mut self,
        mut terminal: DefaultTerminal,
        source: &mut Source,
        signals: &Signals,
    ) -> Result<()> {
        let mut drawn = false;
        loop {
            let screen = &mut self.screen;
            let due = self.looked.elapsed() >= self.interval;
            // The first look is short: nobody wants to wait for it.
            let first = screen.is_empty() && self.looked.elapsed() >= 5 * BREATH;
            let pace = if screen.paused { 0.0 } else { screen.speed };
            source.advance(self.looked.elapsed().mul_f64(pace))?;
            if let Some(stats) = &mut self.stats {
                stats.read();
            }
            if (due || first) && !screen.paused {
                self.looked = Instant::now();
                let stats = self.stats.as_ref().map(Stats::lines).unwrap_or_default();
                screen.take(source.look(), source.state(), stats, source.tables(), source.places());
                drawn = false;
            }
            if !drawn {
                terminal.draw(|frame| screen.draw(frame)).context("drawing")?;
                drawn = true;
            }
            if signals.taken().is_some() {
                return Ok(());
            }
            if event::poll(BREATH).context("waiting for keys")? {
                drawn = false;
                match event::read().context("reading keys")? {
                    Event::Key(key)
                        if key.kind == KeyEventKind::Press && self.key(key, source)? =>
                    {
                        return Ok(());
                    }
                    _ => {}
                }
            }
        }
    }

    /// Does what a key is for; whether that is to quit.
    fn key(&mut self, key: KeyEvent, source: &mut Source) -> Result<bool> {
        let screen = &mut self.screen;
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(true),
            KeyCode::Char('q') => return Ok(true),
            KeyCode::Esc if !screen.help => return Ok(true),
            KeyCode::Esc | KeyCode::Char('?' | 'h') => screen.help = !screen.help,
            KeyCode::Char(' ') => {
                screen.paused = !screen.paused;
                self.looked = Instant::now();
                source.pause();
            }
            KeyCode::Right if screen.paused && !source.is_live() => {
                source.advance(self.interval.mul_f64(screen.speed))?;
                source.pause();
                screen.take(
                    source.look(),
                    source.state(),
                    Vec::new(),
                    source.tables(),
                    source.places(),
                );
            }
            KeyCode::Char('+' | '=') if !source.is_live() => {
                source.pause();
                self.looked = Instant::now();
                screen.speed = (screen.speed * 2.0).min(FASTEST);
            }
            KeyCode::Char('-') if !source.is_live() => {
                source.pause();
                self.looked = Instant::now();
                screen.speed = (screen.speed / 2.0).max(SLOWEST);
            }
            KeyCode::Char('s') => screen.sort = screen.sort.next(),
            KeyCode::Char('t') => screen.theme = screen.theme.next(),
            KeyCode::Down | KeyCode::Char('j') => screen.scroll = screen.scroll.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => screen.scroll = screen.scroll.saturating_sub(1),
            KeyCode::PageDown => screen.scroll = screen.scroll.saturating_add(10),
            KeyCode::PageUp => screen.scroll = screen.scroll.saturating_sub(10),
            KeyCode::Home => screen.scroll = 0,
            _ => {}
        }
        Ok(false)
    }
}
