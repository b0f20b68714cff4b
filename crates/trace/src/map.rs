// SPDX-License-Identifier: GPL-2.0-or-later
//! Who ran on which CPU when, as a picture: a row for each CPU, a column for each piece of the time.

use crate::summary::short_ns;
use crate::task_by::TaskBy;
use rota_events::{CpuNumber, Event, Tables, TaskRef, What};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How long a piece is at first, in ns.
const FIRST_PIECE_NS: u64 = 1 << 10;
/// The letters of those who ran most, in this order.
const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// So many have a colour of their own.
const COLOURS: [&str; 12] = [
    "#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#9c755f",
    "#ff9da7", "#86bc86", "#6b8fd6", "#d4a6c8",
];
/// All others, and time of which nothing is known.
const OTHER_COLOUR: &str = "#bab0ac";
const UNKNOWN_COLOUR: &str = "#f3d9d9";
/// Sizes of a picture, in pixels: of a piece, of a row, and of the names of rows.
const PIECE_WIDTH: usize = 8;
const ROW_HEIGHT: usize = 18;
const NAME_WIDTH: usize = 72;

/// Who was how long on a CPU in a piece of time, in ns. What is left of the piece, it was idle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Piece {
    ran: BTreeMap<TaskRef, u64>,
    unknown_ns: u64,
}

impl Piece {
    fn merge(&mut self, other: &Self) {
        for (task, ns) in &other.ran {
            *self.ran.entry(*task).or_default() += ns;
        }
        self.unknown_ns += other.unknown_ns;
    }
}

/// What a CPU does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    /// It runs a task, or none.
    Runs(TaskRef),
    Unknown,
}

/// Collects a map, in memory for its pieces and the tasks in them.
#[derive(Debug)]
pub struct Map {
    width: usize,
    by: TaskBy,
    /// The first and the last moment that is looked at.
    window: (u64, u64),
    start_ns: Option<u64>,
    end_ns: u64,
    /// A piece is [`FIRST_PIECE_NS`] times two to the power of this long.
    doublings: u32,
    now: BTreeMap<CpuNumber, (Doing, u64)>,
    rows: BTreeMap<CpuNumber, Vec<Piece>>,
}

impl Map {
    /// Of so many pieces at most, and at least half of them if the recording is not very short. These
    /// CPUs have rows, and all others that switch.
    pub fn new(width: usize, by: TaskBy, cpus: impl Iterator<Item = u32>) -> Self {
        let rows = cpus.map(|cpu| (CpuNumber(cpu), Vec::new())).collect();
        let (start_ns, end_ns, doublings, now) = (None, 0, 0, BTreeMap::new());
        let (width, window) = (width.max(2), (0, u64::MAX));
        Self { width, by, window, start_ns, end_ns, doublings, now, rows }
    }

    /// The same of a part of the time, in ns.
    #[must_use]
    pub fn within(self, from_ns: Option<u64>, to_ns: Option<u64>) -> Self {
        Self { window: (from_ns.unwrap_or(0), to_ns.unwrap_or(u64::MAX)), ..self }
    }

    /// Takes the next event.
    pub fn add(&mut self, event: &Event) {
        let (from_ns, to_ns) = self.window;
        let start_ns = *self.start_ns.get_or_insert(event.time_ns.max(from_ns));
        self.end_ns = self.end_ns.max(event.time_ns.clamp(start_ns, to_ns.max(start_ns)));
        if event.time_ns > to_ns {
            return;
        }
        let now = self.end_ns;
        let doing = match event.what() {
            What::Switch { from, .. } => {
                // Before its first switch, a CPU did what that ends.
                self.now.entry(event.cpu).or_insert((Doing::Runs(from), start_ns));
                Doing::Runs(event.task)
            }
            What::Lost { .. } => Doing::Unknown,
            What::Hidden => {
                // Since its last switch.
                if let Some((doing, _)) = self.now.get_mut(&event.cpu) {
                    *doing = Doing::Unknown;
                }
                Doing::Unknown
            }
            _ => return,
        };
        self.go_on(event.cpu, now);
        self.now.insert(event.cpu, (doing, now));
    }

    /// Counts what a CPU did until now.
    fn go_on(&mut self, cpu: CpuNumber, now: u64) {
        let Some((doing, since)) = self.now.get(&cpu).copied() else { return };
        let (start_ns, mut at) = (self.start_ns.unwrap_or(since), since);
        while at < now {
            let place = self.place(at - start_ns);
            let ends = start_ns.saturating_add((place as u64 + 1).saturating_mul(self.piece_ns()));
            let until = now.min(ends);
            let row = self.rows.entry(cpu).or_default();
            if row.len() <= place {
                row.resize(place + 1, Piece::default());
            }
            if let Some(piece) = row.get_mut(place) {
                match doing {
                    Doing::Runs(task) if task.is_some() => {
                        *piece.ran.entry(task).or_default() += until - at;
                    }
                    Doing::Runs(_) => {}
                    Doing::Unknown => piece.unknown_ns += until - at,
                }
            }
            at = until;
        }
    }

    fn piece_ns(&self) -> u64 {
        FIRST_PIECE_NS << self.doublings
    }

    /// The place of the piece that begins so long after the start, once pieces are long enough.
    fn place(&mut self, since_ns: u64) -> usize {
        while since_ns / self.piece_ns() >= self.width as u64 {
            self.doublings += 1;
            for row in self.rows.values_mut() {
                let pairs = row.chunks(2).map(|pair| {
                    let mut both = Piece::default();
                    pair.iter().for_each(|piece| both.merge(piece));
                    both
                });
                *row = pairs.collect();
            }
        }
        (since_ns / self.piece_ns()) as usize
    }

    /// The map as of the last event.
    fn finished(mut self, tables: &Tables) -> Drawing {
        let cpus: Vec<CpuNumber> = self.now.keys().copied().collect();
        let end_ns = self.end_ns;
        cpus.into_iter().for_each(|cpu| self.go_on(cpu, end_ns));
        let start_ns = self.start_ns.unwrap_or(0);
        let long_ns = end_ns - start_ns;
        let pieces = (long_ns.div_ceil(self.piece_ns()) as usize).max(1);
        let mut names: BTreeMap<String, u64> = BTreeMap::new();
        let mut rows = Vec::new();
        for (cpu, row) in &self.rows {
            let mut cells = Vec::new();
            for place in 0..pieces {
                let piece = row.get(place).cloned().unwrap_or_default();
                let mut ran: BTreeMap<String, u64> = BTreeMap::new();
                for (task, ns) in &piece.ran {
                    *ran.entry(self.by.name(*task, tables)).or_default() += ns;
                }
                for (name, ns) in &ran {
                    *names.entry(name.clone()).or_default() += ns;
                }
                let rest = long_ns - (place as u64 * self.piece_ns()).min(long_ns);
                cells.push(Cell {
                    long_ns: rest.min(self.piece_ns()),
                    ran,
                    unknown_ns: piece.unknown_ns,
                });
            }
            rows.push((*cpu, cells));
        }
        let mut names: Vec<(String, u64)> = names.into_iter().collect();
        names.sort_by_key(|(name, ns)| (Reverse(*ns), name.clone()));
        Drawing { start_ns, long_ns, piece_ns: self.piece_ns(), rows, names }
    }

    /// The map as text: who ran longest in each piece, by a letter.
    pub fn text(self, tables: &Tables) -> String {
        self.finished(tables).text()
    }

    /// The map as a picture in SVG: who ran how long in each piece, by colours.
    pub fn svg(self, tables: &Tables) -> String {
        self.finished(tables).svg()
    }
}

/// A piece of time on a CPU.
struct Cell {
    long_ns: u64,
    ran: BTreeMap<String, u64>,
    unknown_ns: u64,
}

impl Cell {
    /// Who was there longest; none if it was idle longer, or if nobody knows.
    fn most(&self) -> Most<'_> {
        let busy: u64 = self.ran.values().sum();
        let idle_ns = self.long_ns.saturating_sub(busy).saturating_sub(self.unknown_ns);
        let most = self.ran.iter().max_by_key(|(name, ns)| (**ns, Reverse(*name)));
        let most_ns = most.map_or(0, |(_, ns)| *ns);
        match most {
            _ if self.unknown_ns > most_ns.max(idle_ns) => Most::Unknown,
            Some((name, ns)) if *ns >= idle_ns => Most::Name(name),
            Some(_) => Most::IdleMostly,
            None => Most::Idle,
        }
    }
}

enum Most<'a> {
    Name(&'a str),
    IdleMostly,
    Idle,
    Unknown,
}

/// A map that can be drawn.
struct Drawing {
    start_ns: u64,
    long_ns: u64,
    piece_ns: u64,
    rows: Vec<(CpuNumber, Vec<Cell>)>,
    /// Names with their times, the longest first.
    names: Vec<(String, u64)>,
}

impl Drawing {
    fn about(&self) -> String {
        let (long, piece) = (short_ns(self.long_ns), short_ns(self.piece_ns));
        let (seconds, rest) = (self.start_ns / 1_000_000_000, self.start_ns % 1_000_000_000 / 1000);
        format!("{long} from {seconds}.{rest:06} s on, {piece} a column")
    }

    fn text(&self) -> String {
        let letters: BTreeMap<&str, char> =
            self.names.iter().map(|(name, _)| name.as_str()).zip(LETTERS.chars()).collect();
        let mut text = self.about() + "\n\n";
        let mut seen = BTreeSet::new();
        for (cpu, cells) in &self.rows {
            let sign = |cell: &Cell| match cell.most() {
                Most::Name(name) => letters.get(name).copied().unwrap_or('*'),
                Most::IdleMostly => ',',
                Most::Idle => '.',
                Most::Unknown => '?',
            };
            let row: String = cells.iter().map(sign).collect();
            seen.extend(row.chars());
            let _ = writeln!(text, "{:>4} {row}", cpu.0);
        }
        text += "\n";
        let all_ns = self.long_ns.max(1) as f64 * self.rows.len().max(1) as f64;
        for ((name, ns), letter) in self.names.iter().zip(LETTERS.chars()) {
            if seen.contains(&letter) {
                let part = 100.0 * *ns as f64 / all_ns;
                let _ = writeln!(text, "{letter}  {part:>5.1}%  {name}");
            }
        }
        let signs = [
            ('*', "somebody else"),
            (',', "idle for the most part"),
            ('.', "idle"),
            ('?', "events are lost"),
        ];
        for (sign, meaning) in signs.iter().filter(|(sign, _)| seen.contains(sign)) {
            let _ = writeln!(text, "{sign}          {meaning}");
        }
        text
    }

    fn svg(&self) -> String {
        let columns = self.rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
        let width = NAME_WIDTH + columns * PIECE_WIDTH + 8;
        let shown = self.names.len().min(COLOURS.len());
        let legend = 40 + self.rows.len() * ROW_HEIGHT;
        let height = legend + (shown + 2) * ROW_HEIGHT;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{width}\" \
             height=\"{height}\" fill=\"#ffffff\"/>\n<text x=\"8\" y=\"20\">{}</text>\n",
            escaped(&self.about())
        );
        let colours: BTreeMap<&str, &str> =
            self.names.iter().map(|(name, _)| name.as_str()).zip(COLOURS).collect();
        for (number, (cpu, cells)) in self.rows.iter().enumerate() {
            let top = 32 + number * ROW_HEIGHT;
            let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">CPU {}</text>", top + 13, cpu.0);
            for (place, cell) in cells.iter().enumerate() {
                let parts = cell.ran.iter().map(|(name, ns)| {
                    let colour = colours.get(name.as_str()).copied().unwrap_or(OTHER_COLOUR);
                    (colour, name.as_str(), *ns)
                });
                let unknown = (UNKNOWN_COLOUR, "events are lost", cell.unknown_ns);
                let mut left = (NAME_WIDTH + place * PIECE_WIDTH) as f64;
                for (colour, name, ns) in parts.chain([unknown]).filter(|(.., ns)| *ns > 0) {
                    let wide = PIECE_WIDTH as f64 * ns as f64 / self.piece_ns as f64;
                    let _ = writeln!(
                        svg,
                        "<rect x=\"{left:.2}\" y=\"{top}\" width=\"{wide:.2}\" height=\"{}\" \
                         fill=\"{colour}\"><title>{}, {}</title></rect>",
                        ROW_HEIGHT - 3,
                        escaped(name),
                        short_ns(ns)
                    );
                    left += wide;
                }
            }
        }
        let all_ns = self.long_ns.max(1) as f64 * self.rows.len().max(1) as f64;
        let named = self.names.iter().zip(COLOURS).map(|((name, ns), colour)| {
            (colour, format!("{name}, {:.1} %", 100.0 * *ns as f64 / all_ns))
        });
        let other = (self.names.len() > shown).then(|| (OTHER_COLOUR, "others".to_owned()));
        for (number, (colour, words)) in named.chain(other).enumerate() {
            let top = legend + number * ROW_HEIGHT;
            let _ = writeln!(
                svg,
                "<rect x=\"8\" y=\"{top}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\
                 <text x=\"28\" y=\"{}\">{}</text>",
                top + 11,
                escaped(&words)
            );
        }
        svg + "</svg>\n"
    }
}

/// A text as XML has it; what XML can't have is left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\t' | ' '.. => escaped.push(char),
            _ => {}
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rota_events::{Leaves, TaskInfo};

    fn tables() -> Tables {
        let mut tables = Tables::default();
        for pid in 1..5 {
            let name = tables.text(["a", "b", "<c>", "d"][pid as usize - 1]);
            tables.task(TaskInfo { pid, name, ..TaskInfo::default() });
        }
        tables
    }

    fn switches(steps: &[(u64, u32, u32)]) -> Vec<Event> {
        let (mut now, mut runs) = (0, [0; 2]);
        let mut events = Vec::new();
        for (step, cpu, task) in steps {
            now += step;
            let from = TaskRef(std::mem::replace(&mut runs[*cpu as usize], *task));
            let what = What::Switch { from, leaves: Leaves::Runnable };
            events.push(Event::new(now, CpuNumber(*cpu), TaskRef(*task), what));
        }
        events
    }

    fn map(events: &[Event], width: usize) -> Map {
        let mut map = Map::new(width, TaskBy::Comm, 0..2);
        events.iter().for_each(|event| map.add(event));
        map
    }

    proptest! {
        /// Against looking for who runs at each ns.
        #[test]
        fn pieces_have_who_ran(
            steps in prop::collection::vec((0_u64..500, 0_u32..2, 0_u32..5), 1..30), width in 2_usize..9,
        ) {
            let events = switches(&steps);
            let drawing = map(&events, width).finished(&tables());
            let (start, end) = (events[0].time_ns, events[events.len() - 1].time_ns);
            prop_assert!((end - start).div_ceil(drawing.piece_ns) <= width as u64);
            for (cpu, cells) in &drawing.rows {
                let mut wanted: Vec<BTreeMap<String, u64>> = vec![BTreeMap::new(); cells.len()];
                for ns in start..end {
                    let mut of = events.iter().filter(|event| event.cpu == *cpu);
                    let Some(event) = of.rfind(|event| event.time_ns <= ns) else { continue };
                    if event.task.is_some() {
                        let place = ((ns - start) / drawing.piece_ns) as usize;
                        *wanted[place].entry(TaskBy::Comm.name(event.task, &tables())).or_default() += 1;
                    }
                }
                let found: Vec<_> = cells.iter().map(|cell| cell.ran.clone()).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn a_map_as_text() {
        let mut events =
            switches(&[(1_000_000, 0, 1), (0, 1, 0), (4096, 0, 2), (4096, 1, 3), (8192, 0, 0)]);
        let lost = Event::new(1_016_384, CpuNumber(1), TaskRef::NONE, What::Lost { events: 7 });
        events.extend([lost, Event::new(1_024_576, CpuNumber(0), TaskRef(1), events[0].what())]);
        let text = map(&events, 8).text(&tables());
        let wanted = "24.57us from 0.001000 s on, 4.096us a column\n\n   0 CAAA..\n   1 ..BB??\n\n\
            A   25.0%  b\nB   16.7%  <c>\nC    8.3%  a\n.          idle\n?          events are lost\n";
        assert_eq!(text, wanted);
        let mut window = Map::new(8, TaskBy::Comm, 0..2).within(Some(1_004_096), Some(1_012_288));
        events.iter().for_each(|event| window.add(event));
        let text = window.text(&tables());
        assert!(
            text.starts_with(
                "8.192us from 0.001004 s on, 1.024us a column\n\n   0 AAAAAAAA\n   1 ....BBBB\n"
            ),
            "{text}"
        );
        let svg = map(&events, 8).svg(&tables());
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("&lt;c&gt;") && !svg.contains("<c>"));
    }
}
