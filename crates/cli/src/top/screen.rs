// SPDX-License-Identifier: GPL-2.0-or-later
//! What is on the screen: CPUs by node and cache, queues, the scheduler's numbers, tasks, keys.

use super::source::State;
use super::table::{self, HEADS, Sort};
use super::theme::Theme;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Clear, Paragraph, Row, Table};
use rota_events::{CpuNumber, CpuPlace, Tables, TaskRef};
use rota_trace::{CpuLook, Look, short_ns};
use std::collections::BTreeMap;

/// Eighths of a block, for bars.
const BLOCKS: [&str; 9] = [" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
/// Heights, for one letter a CPU.
const HEIGHTS: [&str; 9] = ["·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// The width of a bar.
const BAR: usize = 12;

/// What is shown, and how.
pub(super) struct Screen {
    pub(super) theme: Theme,
    pub(super) sort: Sort,
    pub(super) paused: bool,
    pub(super) help: bool,
    pub(super) speed: f64,
    pub(super) scroll: usize,
    live: bool,
    look: Option<Look>,
    state: State,
    stats: Vec<String>,
    tables: Tables,
    places: Vec<CpuPlace>,
}

impl Screen {
    pub(super) fn new(theme: Theme, sort: Sort, live: bool, speed: f64) -> Self {
        Self {
            theme,
            sort,
            paused: false,
            help: false,
            speed,
            scroll: 0,
            live,
            look: None,
            state: State::Goes,
            stats: Vec::new(),
            tables: Tables::default(),
            places: Vec::new(),
        }
    }

    /// Whether nothing has been shown yet.
    pub(super) fn is_empty(&self) -> bool {
        self.look.as_ref().is_none_or(|look| look.cpus.is_empty())
    }

    /// Takes what is to be shown. At the end of a recording, what was last stays.
    pub(super) fn take(
        &mut self,
        look: Look,
        state: State,
        stats: Vec<String>,
        tables: &Tables,
        places: &[CpuPlace],
    ) {
        let is_over = state == State::Ended && look.events == 0;
        if !is_over || self.look.is_none() {
            self.look = Some(look);
        }
        (self.state, self.stats) = (state, stats);
        self.tables = tables.clone();
        self.places = places.to_vec();
    }

    /// Draws all of it.
    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let look = self.look.clone().unwrap_or_default();
        let cpus = self.cpus(&look, usize::from(area.width) / 2);
        let queues = self.queues(&look);
        let most = usize::from(area.height) / 2;
        let tall = cpus.len().max(queues.len()).clamp(1, most.max(1)) as u16;
        let rows = [
            Constraint::Length(1),
            Constraint::Length(tall),
            Constraint::Min(1),
            Constraint::Length(1),
        ];
        let [title, middle, tasks, keys] = Layout::vertical(rows).areas(area);
        let [left, right] = Layout::horizontal([Constraint::Fill(1); 2]).spacing(1).areas(middle);
        frame.render_widget(self.title(&look), title);
        frame.render_widget(Paragraph::new(Text::from(cpus)), left);
        frame.render_widget(Paragraph::new(Text::from(queues)), right);
        self.tasks(frame, tasks, &look);
        frame.render_widget(self.keys(), keys);
        if self.help {
            self.help(frame, area);
        }
    }

    fn title(&self, look: &Look) -> Line<'static> {
        let seconds = look.long_ns() as f64 / 1e9;
        let rate = look.events as f64 / seconds;
        let what = match (self.live, self.state) {
            (true, _) => "this machine".to_owned(),
            (_, State::Ended) => "end of the recording".to_owned(),
            (_, State::Waits) => "waiting for events".to_owned(),
            (..) => format!("speed {}", self.speed),
        };
        let at = look.to_ns as f64 / 1e9;
        let mut spans = vec![
            Span::styled("rota top ", self.theme.title()),
            Span::raw(format!(
                "{at:.3} s, {} long, {rate:.0} events/s, {what}",
                short_ns(look.long_ns())
            )),
        ];
        if let Some(scheduler) = look.scheduler {
            spans.push(Span::raw(format!(", {}", self.tables.text_of(scheduler))));
        }
        if self.paused {
            spans.push(Span::styled(" PAUSED", self.theme.alarm()));
        }
        if look.lost > 0 {
            spans.push(Span::styled(format!(" {} LOST", look.lost), self.theme.alarm()));
        }
        Line::from(spans)
    }

    /// A line for each CPU or, where these are many, a letter for each and a line for each cache.
    fn cpus(&self, look: &Look, width: usize) -> Vec<Line<'static>> {
        let mut caches: BTreeMap<(u32, u32), Vec<(CpuNumber, CpuLook)>> = BTreeMap::new();
        let mut all: BTreeMap<CpuNumber, CpuLook> = look.cpus.clone();
        for cpu in 0..self.places.len() as u32 {
            all.entry(CpuNumber(cpu)).or_default();
        }
        for (cpu, found) in all {
            let place = self.places.get(cpu.0 as usize).copied().unwrap_or_default();
            caches.entry((place.node, place.llc)).or_default().push((cpu, found));
        }
        let few = caches.values().map(Vec::len).sum::<usize>() <= 16;
        let mut lines = Vec::new();
        for ((node, llc), cpus) in caches {
            let busy: u64 = cpus.iter().map(|(_, cpu)| cpu.busy_ns).sum();
            let share = busy as f64 / look.long_ns() as f64 / cpus.len() as f64;
            let name = format!("node {node} LLC {llc}: {:.0}% busy", share * 100.0);
            lines.push(Line::styled(name, self.theme.title()));
            if few {
                lines.extend(cpus.iter().map(|(cpu, found)| self.cpu(*cpu, found, look)));
            } else {
                let letter = |(_, cpu): &(CpuNumber, CpuLook)| {
                    let share = share_of(cpu, look);
                    Span::styled(HEIGHTS[(share * 8.0).round() as usize], self.theme.share(share))
                };
                let letters: Vec<_> = cpus.iter().map(letter).collect();
                lines.extend(letters.chunks(width.max(1)).map(|part| Line::from(part.to_vec())));
            }
        }
        lines
    }

    fn cpu(&self, cpu: CpuNumber, found: &CpuLook, look: &Look) -> Line<'static> {
        let share = share_of(found, look);
        let eighths = (share * (BAR * 8) as f64).round() as usize;
        let bar = BLOCKS[8].repeat(eighths / 8)
            + if eighths.is_multiple_of(8) { "" } else { BLOCKS[eighths % 8] };
        let who = match found.task {
            Some(TaskRef::NONE) => "idle".to_owned(),
            Some(task) => self.tables.task_name(task),
            None => "?".to_owned(),
        };
        let quiet =
            if found.task == Some(TaskRef::NONE) { self.theme.quiet() } else { Style::new() };
        Line::from(vec![
            Span::raw(format!("{:>4} ", cpu.0)),
            Span::styled(format!("{bar:<BAR$}"), self.theme.share(share)),
            Span::raw(format!("{:>4.0}% ", share * 100.0)),
            Span::styled(who, quiet),
        ])
    }

    /// The queues that tasks share, then the scheduler's numbers and what counters say.
    fn queues(&self, look: &Look) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        let seconds = look.long_ns() as f64 / 1e9;
        let shared = look.dsqs.iter().filter(|(dsq, _)| dsq.cpu().is_none());
        for (i, (dsq, found)) in shared.enumerate() {
            if i == 0 {
                let head =
                    format!("{:<20} {:>6} {:>9} {:>9}", "queue", "depth", "in/s", "wait p99");
                lines.push(Line::styled(head, self.theme.title()));
            }
            let wait = match found.waits.count() {
                0 => "-".to_owned(),
                _ => short_ns(found.waits.quantile(99, 100)),
            };
            let rate = found.inserted as f64 / seconds;
            let (dsq, depth) = (dsq.to_string(), found.depth);
            lines.push(Line::raw(format!("{dsq:<20} {depth:>6} {rate:>9.0} {wait:>9}")));
        }
        for (i, line) in self.stats.iter().enumerate() {
            let style = if i == 0 { self.theme.title() } else { Style::new() };
            lines.push(Line::styled(line.clone(), style));
        }
        for (name, value) in &look.counters {
            lines.push(Line::raw(format!("{:<24} {value:>12}", self.tables.text_of(*name))));
        }
        if lines.is_empty() {
            lines.push(Line::styled("no queues of sched_ext", self.theme.quiet()));
        }
        lines
    }

    fn tasks(&self, frame: &mut Frame<'_>, area: Rect, look: &Look) {
        let rows = table::rows(look, &self.tables, self.sort);
        let shown = usize::from(area.height.saturating_sub(1));
        let first = self.scroll.min(rows.len().saturating_sub(shown));
        let right = |cell: &str| Cell::from(Line::from(cell.to_owned()).right_aligned());
        let row = |cells: &[String; HEADS.len()]| {
            let cells = cells.iter().enumerate();
            Row::new(
                cells.map(|(i, cell)| if i < 2 { Cell::from(cell.clone()) } else { right(cell) }),
            )
        };
        let heads = HEADS.iter().enumerate();
        let heads = heads.map(|(i, head)| if i < 2 { Cell::from(*head) } else { right(head) });
        let widths = [
            Constraint::Fill(2),
            Constraint::Fill(1),
            Constraint::Length(6),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Length(9),
            Constraint::Length(9),
        ];
        let rows = rows.iter().skip(first).take(shown).map(row);
        let table = Table::new(rows, widths).header(Row::new(heads).style(self.theme.title()));
        frame.render_widget(table, area);
    }

    fn keys(&self) -> Line<'static> {
        let sort = self.sort.name();
        let play = if self.live { "" } else { "  →: step  +/-: speed" };
        let keys = format!(
            "q: quit  Space: pause{play}  s: sort by {sort}  ↑↓: scroll  t: theme  ?: help"
        );
        Line::styled(keys, self.theme.quiet())
    }

    fn help(&self, frame: &mut Frame<'_>, area: Rect) {
        let lines = [
            "CPUs: how busy each was since the last look, and who runs there now.",
            "Queues: those that CPUs share; tasks in them now, how many came,",
            "  how long those that left had been in them.",
            "Tasks: share of one CPU; how often they ran and were woken up;",
            "  wait: from waking up, or losing the CPU, to running.",
            "",
            "q, Esc       quit                 s    what tasks are sorted by",
            "Space        pause and go on      t    colours",
            "Right        one look further     + -  faster, slower",
            "Up, Down, PageUp, PageDown, Home  scroll the tasks",
        ];
        let wide = lines.iter().map(|line| line.len()).max().unwrap_or(0) as u16;
        let (width, height) = (area.width.min(wide), area.height.min(lines.len() as u16));
        let (x, y) = (area.x + (area.width - width) / 2, area.y + (area.height - height) / 2);
        let place = Rect { x, y, width, height };
        frame.render_widget(Clear, place);
        let lines: Vec<Line<'_>> = lines.into_iter().map(Line::from).collect();
        frame.render_widget(Paragraph::new(lines), place);
    }
}

/// Which part of a look a CPU was busy.
fn share_of(cpu: &CpuLook, look: &Look) -> f64 {
    (cpu.busy_ns as f64 / look.long_ns() as f64).clamp(0.0, 1.0)
}
