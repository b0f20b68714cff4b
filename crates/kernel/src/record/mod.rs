// SPDX-License-Identifier: GPL-2.0-or-later
//! Recording what tasks do: the user half of `bpf/trace/record.bpf.c`.
//!
//! Each CPU has a ring, which is read every few ms. A record is put into its ring at once, so what
//! a poll does not find was made after that poll began, and all that is older than the beginning of
//! the poll before can be put in order.

mod filter;
mod groups;
mod interrupts;
mod merge;
mod raw;
mod said;
mod scheduler;

use crate::host::{Host, now_ns};
use crate::plan::write;
use crate::{log, refusal};
use filter::INTERRUPTS_AT;
pub use filter::Wanted;
use groups::Groups;
use libbpf_rs::{
    Link, MapCore, MapFlags, MapHandle, MapType, ObjectBuilder, RingBuffer, RingBufferBuilder,
};
use merge::Merge;
use raw::{About, Raw};
use rota_events::{CpuNumber, Event, Kind, Tables, TaskRef, What};
use rota_object::{EngineError, KernelTypes, Refusal};
use rota_topology::Tree;
use scheduler::Scheduler;
use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

/// How to be called when something happens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Attach {
    /// In the first of these ways that the kernel takes.
    #[default]
    Any,
    /// By tracepoints with types (`tp_btf`), and functions of sched_ext.
    Typed,
    /// By raw tracepoints: nothing of sched_ext is recorded.
    Raw,
}

/// The objects of `bpf/trace/record.bpf.c` and `record_raw.bpf.c`.
#[derive(Debug, Clone, Copy)]
pub struct RecorderObjects<'a> {
    /// For [`Attach::Typed`].
    pub typed: &'a [u8],
    /// For [`Attach::Raw`].
    pub raw: &'a [u8],
}

/// How to record.
#[derive(Debug, Clone)]
pub struct RecorderOptions {
    /// What to record.
    pub wanted: Wanted,
    /// How to be called.
    pub attach: Attach,
    /// Bytes for the ring of each CPU: a power of two, and at least a page.
    pub ring_bytes: u32,
    /// How many CPUs the machine may have.
    pub cpus: u32,
}

/// What there is so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Events, lost ones not counted.
    pub events: u64,
    /// Records that there was no room for.
    pub lost: u64,
    /// Events that stand behind younger ones, since their CPU was stopped while it made them.
    pub late: u64,
    /// Switches that the kernel did not tell, without having lost them. Each has a loss in the
    /// events: at least one is missing there.
    pub hidden: u64,
}

/// A recording that goes on. Dropping it ends it.
pub struct Recorder {
    /// Links come first: they are dropped before the object.
    links: Vec<Link>,
    rings: RingBuffer<'static>,
    records: Rc<RefCell<Vec<Raw>>>,
    object: libbpf_rs::Object,
    cpus: u32,
    merge: Merge,
    tables: Tables,
    scheduler: Scheduler,
    is_raw: bool,
    /// Why it is raw, if it need not have been.
    why_raw: Option<String>,
    /// When the last poll began.
    polled_ns: u64,
    recorded: Recorded,
    /// How often the kernel did not call a program; known at the end.
    missed: u64,
}

impl Recorder {
    /// Loads the recorder, and begins.
    ///
    /// # Errors
    /// [`EngineError::Refused`] if the kernel does not take it, most often for lack of rights;
    /// [`EngineError::System`] if there is no memory for the rings, or what is wanted can't be had.
    pub fn start(
        objects: RecorderObjects<'_>,
        host: &Host,
        options: &RecorderOptions,
    ) -> Result<Self, EngineError> {
        if !host.sys_has("kernel/btf/vmlinux") {
            return Err(EngineError::Refused(Refusal::NoBtf));
        }
        if host.capabilities().is_some_and(|has| !has.may_load()) {
            return Err(EngineError::Refused(Refusal::Permission));
        }
        let typed = || Self::start_one(objects.typed, host, options, false);
        let raw = || Self::start_one(objects.raw, host, options, true);
        match options.attach {
            Attach::Typed => typed(),
            Attach::Raw => raw(),
            // If neither is taken, the reason is that of the first.
            Attach::Any => typed().or_else(|error| match raw() {
                Ok(recorder) => Ok(Self { why_raw: Some(error.to_string()), ..recorder }),
                Err(_) => Err(error),
            }),
        }
    }

    fn start_one(
        bytes: &[u8],
        host: &Host,
        options: &RecorderOptions,
        is_raw: bool,
    ) -> Result<Self, EngineError> {
        let mut groups = Groups::new("/sys/fs/cgroup".as_ref());
        let filter = options.wanted.to_bytes(&mut groups)?;
        let object = load(bytes, host, options, &filter)?;
        want(&object, &options.wanted.pids)?;
        let (rings, records) = make_rings(&object, options)?;
        let mut links = Vec::new();
        for program in object.progs_mut().filter(|program| program.autoload()) {
            let (attached, _) = log::capture(|| program.attach());
            links.push(attached.map_err(|e| system("attaching the recorder", &e))?);
        }
        let mut merge = Merge::new(groups, options.cpus);
        merge.whole.start = now_ns();
        Ok(Self {
            links,
            rings,
            records,
            object,
            cpus: options.cpus,
            merge,
            tables: Tables::default(),
            scheduler: Scheduler::new(host),
            is_raw,
            why_raw: None,
            polled_ns: now_ns(),
            recorded: Recorded::default(),
            missed: 0,
        })
    }

    /// Whether only raw tracepoints could be used.
    pub fn is_raw(&self) -> bool {
        self.is_raw
    }

    /// Why the kernel did not take the other way.
    pub fn why_raw(&self) -> Option<&str> {
        self.why_raw.as_deref()
    }

    /// The scheduler of sched_ext that ran last while this was recorded.
    pub fn scheduler(&self) -> Option<&str> {
        self.scheduler.seen.as_deref()
    }

    /// What the numbers in the events stand for.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// What there is so far.
    pub fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// Events that are complete by now, in the order of time. To be called every few ms.
    ///
    /// # Errors
    /// [`EngineError::System`] if the rings can't be read, here and below.
    pub fn poll(&mut self) -> Result<Vec<Event>, EngineError> {
        let began_ns = now_ns();
        self.take()?;
        self.look(began_ns, false);
        let until_ns = std::mem::replace(&mut self.polled_ns, began_ns);
        let mut events = Vec::new();
        self.merge.until(until_ns, &mut self.tables, &mut events);
        self.count(&events)?;
        Ok(events)
    }

    /// Ends recording, and returns the rest.
    pub fn finish(&mut self) -> Result<Vec<Event>, EngineError> {
        self.look(now_ns(), true);
        self.merge.whole.end = now_ns();
        self.links.clear();
        self.take()?;
        let mut events = Vec::new();
        self.merge.until(u64::MAX, &mut self.tables, &mut events);
        for (cpu, lost) in (0..).zip(self.lost()?) {
            self.merge.tell_lost(cpu, lost as u32, now_ns(), &mut events);
        }
        self.missed = self.misses();
        let missed = self.missed;
        if missed > 0 {
            let (what, cpu) = (What::Lost { events: missed }, CpuNumber(0));
            events.push(Event::new(now_ns(), cpu, TaskRef::NONE, what));
        }
        self.count(&events)?;
        Ok(events)
    }

    /// Adds what is seen of the scheduler of sched_ext.
    fn look(&mut self, now_ns: u64, last: bool) {
        for (time_ns, what) in self.scheduler.look(now_ns, last, &mut self.tables) {
            let about = About::Seen(what);
            self.merge.add(Raw { time_ns, cpu: 0, lost: 0, pid: 0, about });
        }
    }

    fn take(&mut self) -> Result<(), EngineError> {
        self.rings.consume().map_err(|e| system("reading the rings", &e))?;
        self.records.take().into_iter().for_each(|raw| self.merge.add(raw));
        Ok(())
    }

    fn count(&mut self, events: &[Event]) -> Result<(), EngineError> {
        let happened =
            events.iter().filter(|event| !matches!(event.kind, Kind::Lost | Kind::Hidden));
        self.recorded.events += happened.count() as u64;
        self.recorded.lost = self.lost()?.iter().sum::<u64>() + self.missed;
        self.recorded.late = self.merge.late;
        self.recorded.hidden = self.merge.hidden;
        Ok(())
    }

    /// How often the kernel did not call a program because it was at work on that CPU, as it says
    /// (kernel: `bpf_prog_show_fdinfo`). On which CPUs is not known.
    fn misses(&self) -> u64 {
        let of = |program: libbpf_rs::Program<'_>| {
            let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
            let told = std::fs::read_to_string(path).unwrap_or_default();
            let line = told.lines().find_map(|line| line.strip_prefix("recursion_misses:"));
            line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        self.object.progs().filter(libbpf_rs::ProgramImpl::autoload).map(of).sum()
    }

    /// How many records each CPU lost.
    fn lost(&self) -> Result<Vec<u64>, EngineError> {
        let map = self.object.maps().find(|map| map.name() == "lost");
        let values = map.map(|map| map.lookup_percpu(&[0; 4], MapFlags::ANY));
        let values = values.transpose().map_err(|e| system("reading what was lost", &e))?.flatten();
        let number = |bytes: Vec<u8>| bytes.try_into().map_or(0, u64::from_ne_bytes);
        let all = values.unwrap_or_default().into_iter().map(number);
        Ok(all.take(self.cpus as usize).collect())
    }
}

fn load(
    bytes: &[u8],
    host: &Host,
    options: &RecorderOptions,
    filter: &[u8],
) -> Result<libbpf_rs::Object, EngineError> {
    let refused = |e: &libbpf_rs::Error, printed: &str| {
        EngineError::Refused(refusal::of_load(host, e, printed))
    };
    let (open, printed) = log::capture(|| ObjectBuilder::default().open_memory(bytes));
    let mut open = open.map_err(|e| refused(&e, &printed))?;
    for mut map in open.maps_mut().filter(|map| map.name() == "rings") {
        map.set_max_entries(options.cpus).map_err(|e| system("counting rings", &e))?;
    }
    write(&mut open, |name| name.ends_with(".rodata"), 0, filter)
        .ok_or_else(|| missing("choosing what to record", "the object has no place for it"))?;
    let types = host.read("kernel/btf/vmlinux").unwrap_or_default();
    let types = KernelTypes::from_bytes("this kernel", &types)
        .map_err(|e| missing("reading the kernel's types", &e.to_string()))?;
    if let Some(distance) = interrupts::distance(types.btf()) {
        write(&mut open, |name| name.ends_with(".rodata"), INTERRUPTS_AT, &distance.to_ne_bytes())
            .ok_or_else(|| missing("telling interrupts", "the object has no place for it"))?;
    }
    for mut program in open.progs_mut() {
        let section = program.section().to_string_lossy().into_owned();
        match section.split_once('/') {
            Some(("fentry" | "fexit", function)) if host.sched_ext().is_some() => {
                program.set_autoload(types.function(function).is_some());
            }
            Some(("tp", _)) => {
                program.set_autoload(options.wanted.messages);
            }
            _ => {}
        }
    }
    let (loaded, printed) = log::capture(|| open.load());
    loaded.map_err(|e| refused(&e, &printed))
}

/// Says which threads and processes are wanted.
fn want(object: &libbpf_rs::Object, pids: &[i32]) -> Result<(), EngineError> {
    let place = object.maps().find(|map| map.name() == "wanted_pids");
    let place = place.ok_or_else(|| missing("choosing tasks", "the object has no place for it"))?;
    for pid in pids {
        place
            .update(&pid.to_ne_bytes(), &1_u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(|e| system("choosing tasks", &e))?;
    }
    Ok(())
}

fn missing(what: &str, error: &str) -> EngineError {
    EngineError::System { what: what.to_owned(), error: error.to_owned() }
}

type Rings = (RingBuffer<'static>, Rc<RefCell<Vec<Raw>>>);

/// Makes the rings, and puts each into its place.
fn make_rings(object: &libbpf_rs::Object, options: &RecorderOptions) -> Result<Rings, EngineError> {
    let place = object.maps().find(|map| map.name() == "rings");
    let place = place.ok_or_else(|| missing("looking for the rings", "the object has none"))?;
    let records = Rc::<RefCell<Vec<Raw>>>::default();
    let mut builder = RingBufferBuilder::new();
    let how = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let mut rings = Vec::new();
    for cpu in 0..options.cpus {
        let made =
            MapHandle::create(MapType::RingBuf, Some("ring"), 0, 0, options.ring_bytes, &how);
        let ring = made.map_err(|e| system("making a ring", &e))?;
        let fd = ring.as_fd().as_raw_fd().to_ne_bytes();
        place
            .update(&cpu.to_ne_bytes(), &fd, MapFlags::ANY)
            .map_err(|e| system("placing a ring", &e))?;
        rings.push(ring);
    }
    for (cpu, ring) in (0..).zip(&rings) {
        let sink = Rc::clone(&records);
        let take = move |bytes: &[u8]| {
            sink.borrow_mut().extend(Raw::read(cpu, bytes));
            0
        };
        builder.add(ring, take).map_err(|e| system("opening a ring", &e))?;
    }
    let rings = builder.build().map_err(|e| system("opening the rings", &e))?;
    Ok((rings, records))
}

fn system(what: &str, error: &libbpf_rs::Error) -> EngineError {
    EngineError::System { what: what.to_owned(), error: format!("{error:#}") }
}
