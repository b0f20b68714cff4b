// SPDX-License-Identifier: GPL-2.0-or-later
//! trace.dat of versions 6 and 7, of both byte orders, packed or not, as an encoder here writes it:
//! every event is read, every loss told, and damage leaves what can be read.

use proptest::prelude::*;
use rota_events::{Event, Leaves, Tables, TaskRef, What};
use rota_trace::{Input, Recording};
use std::io::Cursor;

/// What a file is like.
#[derive(Debug, Clone, Copy)]
struct Shape {
    big: bool,
    seven: bool,
    packing: &'static str,
    /// Bytes of a `long`, and of a page.
    long: usize,
    page: usize,
}

/// Something that a CPU wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wrote {
    ns: u64,
    cpu: u32,
    /// Who ran, and in an interrupt.
    current: i32,
    interrupt: bool,
    what: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Switch {
        from: i32,
        state: u64,
        to: i32,
    },
    Waking(i32),
    Migrate {
        pid: i32,
        from: u32,
        to: u32,
    },
    Fork {
        child: i32,
    },
    /// Of a CPU that may be another one.
    Frequency {
        cpu: u32,
        khz: u64,
    },
    /// An event that nobody wants.
    Other,
    /// So many are missing, if that is known.
    Lost(Option<u64>),
}

/// Numbers in a byte order.
struct Bytes(Vec<u8>, bool);

impl Bytes {
    fn number(&mut self, value: u64, size: usize) -> &mut Self {
        let bytes = value.to_le_bytes();
        if self.1 {
            self.0.extend(bytes[..size].iter().rev());
        } else {
            self.0.extend(&bytes[..size]);
        }
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    fn sized(&mut self, text: &[u8]) -> &mut Self {
        self.number(text.len() as u64, 8).raw(text)
    }

    fn name(&mut self, pid: i32) -> &mut Self {
        let mut name = format!("t{pid}").into_bytes();
        name.resize(16, 0);
        self.raw(&name)
    }
}

const COMMON: &str = "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
    \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
    \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
    \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n";

/// Name, and fields with their types and sizes, from the eighth byte on without gaps.
type Described = (&'static str, &'static [(&'static str, usize)], &'static str);
const DESCRIBED: [Described; 6] = [
    (
        "sched_switch",
        &[
            ("char prev_comm[16]", 16),
            ("pid_t prev_pid", 4),
            ("int prev_prio", 4),
            ("long prev_state", 8),
            ("char next_comm[16]", 16),
            ("pid_t next_pid", 4),
            ("int next_prio", 4),
        ],
        "\"prev_state=%s%s\", (REC->prev_state & ((((0x00000000 | 0x00000001 | 0x00000002) + 1) << 1) - 1)) \
         ? __print_flags(REC->prev_state & 0xff, \"|\", { 0x00000001, \"S\" }, { 0x00000002, \"D\" }) : \"R\", \
         REC->prev_state & (((0x00000000 | 0x00000001 | 0x00000002) + 1) << 1) ? \"+\" : \"\"",
    ),
    ("sched_waking", &[("char comm[16]", 16), ("pid_t pid", 4), ("int prio", 4)], "\"\""),
    (
        "sched_migrate_task",
        &[
            ("char comm[16]", 16),
            ("pid_t pid", 4),
            ("int prio", 4),
            ("int orig_cpu", 4),
            ("int dest_cpu", 4),
        ],
        "\"\"",
    ),
    (
        "sched_process_fork",
        &[
            ("char parent_comm[16]", 16),
            ("pid_t parent_pid", 4),
            ("char child_comm[16]", 16),
            ("pid_t child_pid", 4),
        ],
        "\"\"",
    ),
    ("sched_stat_runtime", &[("u64 runtime", 8)], "\"\""),
    ("cpu_frequency", &[("u32 state", 4), ("u32 cpu_id", 4)], "\"\""),
];
/// The bit of a task that was preempted, by the text above.
const PREEMPTED: u64 = 8;

fn formats() -> Vec<String> {
    let format = |(id, (name, fields, print)): (usize, &Described)| {
        let mut at = 8;
        let field = |(declared, size): &(&str, usize)| {
            at += size;
            format!("\tfield:{declared};\toffset:{};\tsize:{size};\tsigned:1;\n", at - size)
        };
        let fields: String = fields.iter().map(field).collect();
        format!("name: {name}\nID: {}\nformat:\n{COMMON}{fields}\nprint fmt: {print}\n", id + 1)
    };
    DESCRIBED.iter().enumerate().map(format).collect()
}

/// Threads with their processes.
const PROCESSES: &[u8] = b"7 70\n8 80\n1008 80\nx 9\n6\n\0";

/// The record of an event.
fn record(wrote: &Wrote, big: bool) -> Vec<u8> {
    let mut bytes = Bytes(Vec::new(), big);
    let id = match wrote.what {
        Kind::Switch { .. } => 1,
        Kind::Waking(_) => 2,
        Kind::Migrate { .. } => 3,
        Kind::Fork { .. } => 4,
        Kind::Other | Kind::Lost(_) => 5,
        Kind::Frequency { .. } => 6,
    };
    let flags = if wrote.interrupt { 0x08 } else { 0 };
    bytes.number(id, 2).number(flags, 1).number(0, 1).number(wrote.current as u64, 4);
    match wrote.what {
        Kind::Switch { from, state, to } => {
            bytes.name(from).number(from as u64, 4).number(120, 4).number(state, 8);
            bytes.name(to).number(to as u64, 4).number(120, 4);
        }
        Kind::Waking(pid) => {
            bytes.name(pid).number(pid as u64, 4).number(120, 4);
        }
        Kind::Migrate { pid, from, to } => {
            bytes.name(pid).number(pid as u64, 4).number(120, 4);
            bytes.number(from.into(), 4).number(to.into(), 4);
        }
        Kind::Fork { child } => {
            bytes.name(wrote.current).number(wrote.current as u64, 4);
            bytes.name(child).number(child as u64, 4);
        }
        Kind::Frequency { cpu, khz } => {
            bytes.number(khz, 4).number(cpu.into(), 4);
        }
        Kind::Other | Kind::Lost(_) => {
            bytes.number(7, 8);
        }
    }
    bytes.0
}

/// Writes the pages of a CPU.
struct Pages {
    shape: Shape,
    pages: Vec<u8>,
    /// The time of the page, what it holds, and whether and how many are missing before it.
    start: u64,
    held: Vec<u8>,
    missed: Option<Option<u64>>,
    last: u64,
}

impl Pages {
    fn head(&self, kind: u32, delta: u64) -> Vec<u8> {
        let delta = u32::try_from(delta).unwrap();
        let word = if self.shape.big { kind << 27 | delta } else { delta << 5 | kind };
        let mut bytes = Bytes(Vec::new(), self.shape.big);
        bytes.number(word.into(), 4);
        bytes.0
    }

    fn word(&self, word: u64) -> Vec<u8> {
        let mut bytes = Bytes(Vec::new(), self.shape.big);
        bytes.number(word, 4);
        bytes.0
    }

    /// Ends a page.
    fn end(&mut self) {
        let head = 8 + self.shape.long;
        let mut bytes = Bytes(Vec::new(), self.shape.big);
        let flags = self.missed.map_or(0, |count| 1 << 31 | u64::from(count.is_some()) << 30);
        bytes.number(self.start, 8).number(self.held.len() as u64 | flags, self.shape.long);
        bytes.raw(&self.held);
        if let Some(Some(count)) = self.missed {
            bytes.number(count, self.shape.long);
        }
        bytes.0.resize(self.shape.page, 0xee);
        assert!(self.held.len() + head + 8 <= self.shape.page);
        self.pages.extend(&bytes.0);
        (self.missed, self.start) = (None, self.last);
        self.held.clear();
    }

    fn add(&mut self, wrote: &Wrote) {
        if let Kind::Lost(count) = wrote.what {
            self.end();
            (self.missed, self.start, self.last) = (Some(count), wrote.ns, wrote.ns);
            return;
        }
        let record = record(wrote, self.shape.big);
        let most = 8 + self.shape.long + 8 + self.held.len() + record.len() + 40;
        if most > self.shape.page {
            self.end();
        }
        let mut delta = wrote.ns - self.last;
        // In turn what the kernel may do.
        match wrote.ns % 5 {
            0 => {
                // The whole time.
                let entry = [self.head(31, wrote.ns & 0x7ff_ffff), self.word(wrote.ns >> 27)];
                self.held.extend(entry.concat());
                delta = 0;
            }
            1 => {
                // An entry that was given up, without a time and with one.
                let time = if delta > 1 && delta < 1 << 27 { delta } else { 1 };
                let entry = [self.head(29, time), self.word(8), self.word(0)];
                self.held.extend(entry.concat());
                delta -= if time == 1 { 0 } else { time };
            }
            _ => {}
        }
        if delta >= 1 << 27 {
            let entry = [self.head(30, delta & 0x7ff_ffff), self.word(delta >> 27)];
            self.held.extend(entry.concat());
            delta = 0;
        }
        if wrote.ns.is_multiple_of(3) || record.len() > 28 * 4 {
            let size = record.len() as u64 + 4;
            self.held.extend([self.head(0, delta), self.word(size)].concat());
        } else {
            self.held.extend(self.head(record.len() as u32 / 4, delta));
        }
        self.held.extend(&record);
        self.last = wrote.ns;
    }

    /// What a CPU wrote, page after page, the last one with room that an entry says is empty.
    fn of(all: &[Wrote], cpu: u32, shape: Shape) -> Vec<u8> {
        let start = all.first().map_or(0, |first| first.ns);
        let mut pages =
            Self { shape, pages: vec![], start, held: vec![], missed: None, last: start };
        all.iter().filter(|wrote| wrote.cpu == cpu).for_each(|wrote| pages.add(wrote));
        let rest = [pages.head(29, 0), pages.word(0)].concat();
        pages.held.extend(rest);
        pages.end();
        pages.pages
    }
}

const CPUS: u32 = 3;

fn pack(shape: Shape, bytes: &[u8]) -> Vec<u8> {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let packed = match shape.packing {
        "zstd" => compress_to_vec(bytes, CompressionLevel::Fastest),
        _ => miniz_oxide::deflate::compress_to_vec_zlib(bytes, 6),
    };
    let mut all = Bytes(Vec::new(), shape.big);
    all.number(packed.len() as u64, 4).number(bytes.len() as u64, 4).raw(&packed);
    all.0
}

/// The parts that both versions have: how pages look, the tracer's events, the others, names.
fn parts(shape: Shape) -> [Vec<u8>; 4] {
    let (long, page) = (shape.long, shape.page);
    let look = format!(
        "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n\
         \tfield: local_t commit;\toffset:8;\tsize:{long};\tsigned:1;\n\
         \tfield: int overwrite;\toffset:8;\tsize:1;\tsigned:1;\n\
         \tfield: char data;\toffset:{};\tsize:{};\tsigned:1;\n",
        8 + long,
        page - 8 - long
    );
    let new = || Bytes(Vec::new(), shape.big);
    let (mut header, mut tracers, mut systems, mut names) = (new(), new(), new(), new());
    header.raw(b"header_page\0").sized(look.as_bytes()).raw(b"header_event\0").sized(b"# text\n");
    let own = format!("name: function\nID: 99\nformat:\n{COMMON}\nprint fmt: \"\"\n");
    tracers.number(1, 4).sized(own.as_bytes());
    systems.number(1, 4).raw(b"sched\0").number(DESCRIBED.len() as u64, 4);
    for text in formats() {
        systems.sized(text.as_bytes());
    }
    names.sized(b"8 eight\n9 nine\n");
    [header.0, tracers.0, systems.0, names.0]
}

/// A file.
fn file(all: &[Wrote], shape: Shape) -> Vec<u8> {
    let pages: Vec<_> = (0..CPUS).map(|cpu| Pages::of(all, cpu, shape)).collect();
    let mut file = Bytes(b"\x17\x08\x44tracing".to_vec(), shape.big);
    file.raw(if shape.seven { b"7\0" } else { b"6\0" });
    file.number(shape.big.into(), 1).number(shape.long as u64, 1).number(shape.page as u64, 4);
    let [header, tracers, systems, names] = parts(shape);
    if !shape.seven {
        file.raw(&header).raw(&tracers).raw(&systems);
        file.number(3, 4).raw(b"sym").number(0, 4).raw(&names).number(CPUS.into(), 4);
        file.raw(b"options  \0").number(5, 2).number(9, 4).raw(b"Linux h 5");
        file.number(32, 2).number(PROCESSES.len() as u64, 4).raw(PROCESSES).number(0, 2);
        file.raw(b"flyrecord\0");
        let mut at = (file.0.len() + 16 * pages.len()).next_multiple_of(shape.page);
        let start = at;
        for pages in &pages {
            file.number(at as u64, 8).number(pages.len() as u64, 8);
            at += pages.len();
        }
        file.0.resize(start, 0);
        pages.iter().for_each(|pages| file.0.extend(pages));
        return file.0;
    }
    file.raw(shape.packing.as_bytes()).raw(b"\0v\0");
    let (packed, options_at) = (shape.packing != "none", file.0.len());
    file.number(0, 8);
    let mut options = Bytes(Vec::new(), shape.big);
    let section = |file: &mut Bytes, id: u64, bytes: &[u8], whole: bool| {
        let held = if packed && whole { pack(shape, bytes) } else { bytes.to_vec() };
        let at = file.0.len() as u64;
        file.number(id, 2).number((packed && (whole || id == 3)).into(), 2).number(0, 4);
        file.number(held.len() as u64, 8).raw(&held);
        at
    };
    for (id, bytes) in [(16, header), (17, tracers), (18, systems), (21, names)] {
        let at = section(&mut file, id, &bytes, true);
        options.number(id, 2).number(8, 4).number(at, 8);
    }
    let at = section(&mut file, 3, &[], false);
    let mut buffer = Bytes(Vec::new(), shape.big);
    buffer.number(at, 8).raw(b"\0mono\0").number(shape.page as u64, 4).number(CPUS.into(), 4);
    for (cpu, pages) in (0_u64..).zip(&pages) {
        // Two pages at once.
        let mut held = Bytes(Vec::new(), shape.big);
        if packed {
            let chunks = pages.chunks(2 * shape.page);
            held.number(chunks.len() as u64, 4);
            chunks.for_each(|chunk| held.0.extend(pack(shape, chunk)));
        } else {
            held.raw(pages);
        }
        // The number of chunks is not counted.
        let size = held.0.len() - if packed { 4 } else { 0 };
        buffer.number(cpu, 4).number(file.0.len() as u64, 8).number(size as u64, 8);
        file.raw(&held.0);
    }
    let mut last = Bytes(Vec::new(), shape.big);
    last.number(5, 2).number(9, 4).raw(b"Linux h 5");
    // As older ones write it.
    last.number(8, 2).number(PROCESSES.len() as u64, 4).raw(PROCESSES);
    last.number(8, 2).number(4, 4);
    last.number(CPUS.into(), 4).number(3, 2).number(buffer.0.len() as u64, 4).raw(&buffer.0);
    last.number(0, 2).number(8, 4).number(0, 8);
    let last = section(&mut file, 0, &last.0, true);
    options.number(0, 2).number(8, 4).number(last, 8);
    let first = section(&mut file, 0, &options.0, true);
    let mut place = Bytes(Vec::new(), shape.big);
    place.number(first, 8);
    file.0[options_at..options_at + 8].copy_from_slice(&place.0);
    file.0
}

fn read(file: Vec<u8>) -> (Tables, Vec<Event>, Vec<String>, String) {
    let mut recording = Recording::open(Input::file(Cursor::new(file))).unwrap();
    let mut events = Vec::new();
    while let Some(some) = recording.next_events().unwrap() {
        events.extend(some);
    }
    let problems = recording.problems().list().iter().map(ToString::to_string).collect();
    let machine = recording.machine();
    assert_eq!(machine.cpus.len(), CPUS as usize);
    (recording.tables().clone(), events, problems, machine.kernel.clone())
}

/// An event as it was written: tasks are told apart by their thread ids.
fn told(event: &Event, tables: &Tables) -> (u64, u32, String) {
    let pid = |task: TaskRef| tables.task_of(task).map_or(0, |info| info.pid);
    let task = pid(event.task);
    let what = match event.what() {
        What::Switch { from, leaves } => format!("{} {} {task}", pid(from), leaves.letter()),
        What::Waking { waker } => format!("{} wakes {task}", pid(waker)),
        What::Migrate { from, to } => format!("{task} from {} to {}", from.0, to.0),
        What::Fork { parent, .. } => format!("{} has {task}", pid(parent)),
        What::Lost { events } => format!("lost {events}"),
        What::Counter { name, value } => format!("{} {value}", tables.text_of(name)),
        other => format!("{other:?}"),
    };
    (event.time_ns, event.cpu.0, what)
}

fn wanted(wrote: &Wrote) -> Option<(u64, u32, String)> {
    let what = match wrote.what {
        Kind::Switch { from, state, to } => {
            let letter = match state {
                0 => Leaves::Runnable,
                1 => Leaves::from_letter("S"),
                2 => Leaves::from_letter("D"),
                _ => Leaves::Preempted,
            };
            format!("{from} {} {to}", letter.letter())
        }
        Kind::Waking(pid) => {
            format!("{} wakes {pid}", if wrote.interrupt { 0 } else { wrote.current })
        }
        Kind::Migrate { pid, from, to } => format!("{pid} from {from} to {to}"),
        Kind::Fork { child } => format!("{} has {child}", wrote.current),
        Kind::Lost(count) => format!("lost {}", count.unwrap_or(1)),
        Kind::Frequency { cpu, khz } => {
            return Some((wrote.ns, cpu, format!("cpu_frequency {khz}")));
        }
        Kind::Other => return None,
    };
    Some((wrote.ns, wrote.cpu, what))
}

fn shapes() -> impl Strategy<Value = Shape> {
    let packing = prop::sample::select(vec!["none", "zlib", "zstd"]);
    let page = prop::sample::select(vec![256_usize, 1024, 4096]);
    (any::<bool>(), any::<bool>(), packing, prop::sample::select(vec![4, 8]), page)
        .prop_map(|(big, seven, packing, long, page)| Shape { big, seven, packing, long, page })
}

/// Gap before it, CPU, who ran, in an interrupt, kind, about whom, state.
type One = (u64, u32, i32, bool, u8, i32, u8);

fn wrote() -> impl Strategy<Value = Vec<Wrote>> {
    let gap = prop_oneof![4 => 1..5_u64, 4 => 1..100_000_u64, 1 => 1..2_000_000_000_u64];
    let one = (gap, 0..CPUS, 0..9_i32, any::<bool>(), 0..7_u8, 1..9_i32, 0..4_u8);
    // Above the bits that a whole time has, and below.
    let start = prop_oneof![Just(1_u64), Just(1_u64 << 40), Just(1_u64 << 60)];
    (start, prop::collection::vec(one, 1..200)).prop_map(|(mut ns, all)| {
        let make = |(gap, cpu, current, interrupt, kind, pid, state): One| {
            ns += gap;
            let what = match kind {
                0 => Kind::Switch {
                    from: current,
                    state: [0, 1, 2, PREEMPTED][state as usize],
                    to: pid % 8,
                },
                1 => Kind::Waking(pid),
                2 => Kind::Migrate { pid, from: cpu, to: u32::from(state) },
                3 => Kind::Fork { child: 1000 + pid },
                5 => Kind::Frequency { cpu: state.into(), khz: 100_000 * pid as u64 },
                4 => Kind::Lost((state > 0).then_some(state.into())),
                _ => Kind::Other,
            };
            Wrote { ns, cpu, current, interrupt, what }
        };
        all.into_iter().map(make).collect()
    })
}

proptest! {
    #[test]
    fn what_was_written_is_read(all in wrote(), shape in shapes()) {
        let (tables, events, problems, kernel) = read(file(&all, shape));
        prop_assert_eq!(problems, Vec::<String>::new());
        prop_assert_eq!(kernel, "5");
        // Of who ran, and who was born, the process is known.
        for (_, info) in tables.tasks() {
            let ran = all.iter().any(|wrote| wrote.current == info.pid && !matches!(wrote.what, Kind::Other | Kind::Lost(_)));
            match info.pid {
                7 | 8 if ran => prop_assert_eq!(info.tgid, 10 * info.pid),
                1008 => prop_assert_eq!(info.tgid, 80),
                _ => {}
            }
        }
        let found: Vec<_> = events.iter().map(|event| told(event, &tables)).collect();
        prop_assert_eq!(found, all.iter().filter_map(wanted).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_is_cut_gives_its_start(all in wrote(), shape in shapes(), cut in 0.0..1.0_f64) {
        let whole = file(&all, shape);
        let cut = (whole.len() as f64 * cut) as usize;
        let input = Input::file(Cursor::new(whole[..cut].to_vec()));
        // Sections of version 7 stand at the end.
        let Ok(mut recording) = Recording::open(input) else { return Ok(()) };
        let mut events = Vec::new();
        while let Some(some) = recording.next_events().unwrap() {
            events.extend(some);
        }
        prop_assert_ne!(recording.problems().count(), 0);
        // How many are missing stands at the end of a page, and may be cut off.
        let less = |wrote: &Wrote| match wrote.what {
            Kind::Lost(_) => Wrote { what: Kind::Lost(None), ..*wrote },
            _ => *wrote,
        };
        let known: Vec<_> =
            all.iter().flat_map(|wrote| [wanted(wrote), wanted(&less(wrote))]).flatten().collect();
        for event in &events {
            let found = told(event, recording.tables());
            // Where a CPU's records end, something is missing.
            let cut = found.2 == "lost 1"
                && all.iter().any(|wrote| (wrote.ns, wrote.cpu) == (found.0, found.1));
            prop_assert!(cut || known.contains(&found), "{found:?}");
        }
    }

    #[test]
    fn damage_is_no_panic(
        all in wrote(),
        shape in shapes(),
        damage in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..20),
    ) {
        let mut file = file(&all, shape);
        for (place, byte) in damage {
            let place = (file.len() as f64 * place) as usize;
            file[place] = byte;
        }
        if let Ok(mut recording) = Recording::open(Input::file(Cursor::new(file))) {
            while recording.next_events().unwrap().is_some() {}
        }
    }
}

/// What a page had that can't be read is missing on its CPU: between the pages around it, or at the end.
#[test]
fn a_page_that_can_not_be_read_is_a_loss() {
    let shape = Shape { big: false, seven: false, packing: "none", long: 8, page: 256 };
    let wakes = |i: u64| Wrote {
        ns: 1000 + 10 * i,
        cpu: (i % 2) as u32,
        current: 3,
        interrupt: false,
        what: Kind::Waking(4),
    };
    let all: Vec<Wrote> = (0..60).map(wakes).collect();
    let whole = file(&all, shape);
    let pages = Pages::of(&all, 0, shape);
    let start = whole.windows(pages.len()).position(|bytes| bytes == pages).unwrap();
    let count = pages.len() / shape.page;
    assert!(count > 4);
    for spoilt in [1, count - 1] {
        let mut damaged = whole.clone();
        // More is used than there is.
        damaged[start + spoilt * shape.page + 8..][..4].copy_from_slice(&[0xff, 0xff, 0, 0]);
        let (tables, events, problems, _) = read(damaged);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let of_cpu = events.iter().filter(|event| event.cpu.0 == 0);
        let found: Vec<_> = of_cpu.map(|event| told(event, &tables)).collect();
        let lost = found.iter().position(|(_, _, what)| what == "lost 1").unwrap();
        let others = found.iter().filter(|(_, _, what)| what != "lost 1").count();
        assert_eq!(others + 1, found.len());
        assert!(others < 30 && lost > 0);
        assert_eq!(lost == found.len() - 1, spoilt == count - 1);
    }
}
