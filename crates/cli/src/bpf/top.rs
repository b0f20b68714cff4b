// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota bpf top`.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::run::signals::Signals;
use anyhow::{Context, Result};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::widgets::Paragraph;
use rota_inspect::bpf::{Costs, Objects};
use rota_kernel::{bpf_run_stats, now_ns};
use serde_json::json;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

/// Version of the JSON form.
const SCHEMA: &str = "rota-bpf-top/1";
/// How long a key may have to wait.
const BREATH: Duration = Duration::from_millis(50);

/// Arguments of `rota bpf top`.
#[derive(clap::Args)]
#[command(after_long_help = "Examples:\n  \
    rota bpf top                             on a terminal, until q\n  \
    rota bpf top --count 5 | cat             five tables, one a second\n  \
    rota bpf top --count 1 --format json     one line of JSON\n\n\
    It takes root. Keys: q quits, Down and Up move. While it looks, each run of any program of\n\
    BPF takes a little longer.")]
pub(super) struct Args {
    /// Time between two looks
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    interval: u64,
    /// How many times to look [default: until q or Ctrl-C]
    #[arg(short = 'n', long, value_name = "N")]
    count: Option<u64>,
    /// A table for people, or JSON, an object for each look
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// An interval in which something can happen.
fn interval(text: &str) -> Result<u64, String> {
    let ns = crate::args::duration(text)?;
    if ns >= 10_000_000 { Ok(ns) } else { Err("at least 10ms is possible".to_owned()) }
}

/// Looks at programs, again and again.
struct Looks {
    before: (u64, Objects),
    interval: Duration,
    left: Option<u64>,
}

/// Shows programs by what they cost.
pub(super) fn run(args: &Args) -> Result<Exit> {
    let _stats = bpf_run_stats().context("letting the kernel measure programs: root may")?;
    let signals = Signals::catch().context("catching signals")?;
    let mut looks = Looks {
        before: (now_ns(), super::objects()?),
        interval: Duration::from_nanos(args.interval),
        left: args.count,
    };
    if args.format == Format::Table && io::stdout().is_terminal() {
        // A panic, too, puts the terminal back.
        let terminal = ratatui::try_init().context("setting up the terminal")?;
        let ended = on_terminal(terminal, &mut looks, &signals);
        ratatui::restore();
        ended?;
        return Ok(Exit::Done);
    }
    while looks.has_more() && pause(looks.interval, &signals)? {
        let (objects, costs, of_ns) = looks.next()?;
        let text = match args.format {
            Format::Table => objects.to_top(&costs) + "\n",
            Format::Json => {
                let programs = objects.top_json(&costs);
                json!({ "schema": SCHEMA, "interval_ns": of_ns, "programs": programs }).to_string()
                    + "\n"
            }
        };
        output::text(&text)?;
    }
    Ok(Exit::Done)
}

impl Looks {
    fn has_more(&self) -> bool {
        self.left != Some(0)
    }

    /// What programs cost since the last look, and how long that was.
    fn next(&mut self) -> Result<(&Objects, Costs, u64)> {
        self.left = self.left.map(|left| left.saturating_sub(1));
        let now = (now_ns(), super::objects()?);
        let of_ns = now.0 - self.before.0;
        let costs = Costs::between(&self.before.1.programs, &now.1.programs, of_ns);
        self.before = now;
        Ok((&self.before.1, costs, of_ns))
    }
}

/// Waits; whether no signal has come.
fn pause(time: Duration, signals: &Signals) -> Result<bool> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if signals.taken().is_some() {
            return Ok(false);
        }
        std::thread::sleep(BREATH.min(until - Instant::now()));
    }
    Ok(true)
}

fn on_terminal(mut terminal: DefaultTerminal, looks: &mut Looks, signals: &Signals) -> Result<()> {
    let (mut table, mut scroll) = ("measuring…".to_owned(), 0_u16);
    let mut looked = Instant::now();
    loop {
        terminal
            .draw(|frame| {
                frame.render_widget(Paragraph::new(&*table).scroll((scroll, 0)), frame.area());
            })
            .context("drawing")?;
        if signals.taken().is_some() || !looks.has_more() {
            return Ok(());
        }
        if event::poll(BREATH).context("waiting for keys")?
            && let Event::Key(key) = event::read().context("reading keys")?
            && key.kind == KeyEventKind::Press
        {
            match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                    return Ok(());
                }
                KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
                KeyCode::Down | KeyCode::Char('j') => scroll = scroll.saturating_add(1),
                KeyCode::Up | KeyCode::Char('k') => scroll = scroll.saturating_sub(1),
                _ => {}
            }
        }
        if looked.elapsed() >= looks.interval {
            looked = Instant::now();
            let (objects, costs, _) = looks.next()?;
            table = objects.to_top(&costs);
        }
    }
}
