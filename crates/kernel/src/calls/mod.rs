// SPDX-License-Identifier: GPL-2.0-or-later
//! Tracing calls of functions: the user half of `bpf/trace/calls.bpf.c` and `calls_program.bpf.c`.
//!
//! Functions of the kernel are attached to all at once (`kprobe.multi`), or one by one where the kernel
//! can't do that; each BPF program with two programs of its own (`fentry`, `fexit`). Descriptors keep
//! everything attached, so that nothing stays when the process ends, however that is.

mod cost;
mod object;
mod programs;
mod raw;

use crate::host::now_ns;
use crate::log;
use libbpf_rs::query::{LinkTypeInfo, PerfEventType};
use libbpf_rs::{
    KprobeMultiOpts, KprobeOpts, Link, MapCore, MapFlags, RingBuffer, RingBufferBuilder,
};
pub use raw::{AboutCall, CALL_ARGS, CallRecord, CallText};
use rota_object::EngineError;
use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

/// The objects of `bpf/trace/calls.bpf.c` and `calls_program.bpf.c`.
#[derive(Debug, Clone, Copy)]
pub struct CallObjects<'a> {
    /// For functions of the kernel.
    pub kernel: &'a [u8],
    /// For BPF programs.
    pub program: &'a [u8],
}

/// What a function returns, as far as it decides on errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Returns {
    /// An error is a negative number of 32 bits.
    Int,
    /// An error is a negative number of 64 bits, or an address that is one.
    Long,
    /// It has no errors.
    Other,
}

/// A function to trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTarget {
    /// Its name.
    pub name: String,
    /// The number of the BPF program; `None` for a function of the kernel.
    pub program_id: Option<u32>,
    /// Whether a call of it opens a session.
    pub is_entry: bool,
    /// What it returns.
    pub returns: Returns,
    /// Whether its arguments are in memory that its only argument points to, as those of callbacks.
    pub args_behind: bool,
    /// Arguments that point to text, which is told too: a bit for each.
    pub texts: u8,
}

/// How to trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOptions {
    /// Only these threads and processes, if there are any.
    pub pids: Vec<i32>,
    /// Whether to tell stacks of sessions and of errors.
    pub stacks: bool,
    /// Bytes for records that wait: a power of two, and at least a page.
    pub ring_bytes: u32,
    /// To attach to functions of the kernel one by one, though it could all at once.
    pub one_by_one: bool,
    /// Whether calls of this process are told too.
    pub own: bool,
}

/// A trace that goes on. Dropping it ends it.
pub struct Calls {
    /// Links come first: they are dropped before the objects.
    links: Vec<Link>,
    ring: RingBuffer<'static>,
    records: Rc<RefCell<Vec<CallRecord>>>,
    objects: Vec<libbpf_rs::Object>,
    /// Whether functions of the kernel were attached to all at once; `None` if there are none.
    pub at_once: Option<bool>,
    /// Functions that the kernel did not take, and why.
    pub refused: Vec<(String, String)>,
    /// How long attaching took, in ns.
    pub attach_ns: u64,
    /// What was missing when it ended.
    missing: Option<Missing>,
}

/// What was not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// Records that there was no room for.
    pub lost: u64,
    /// Calls that were too deep.
    pub deep: u64,
    /// How often the kernel did not call a program since one was at work on that CPU.
    pub missed: u64,
}

impl Missing {
    /// All together.
    pub fn sum(self) -> u64 {
        self.lost + self.deep + self.missed
    }
}

const IS_ENTRY: u64 = 1 << 32;
const RETURNS_INT: u64 = 1 << 33;
const RETURNS_LONG: u64 = 1 << 34;
const ARGS_BEHIND: u64 = 1 << 35;
/// The first bit of those for texts.
const TEXTS: u32 = 40;

impl CallTarget {
    fn cookie(&self, place: usize) -> u64 {
        let flag = |is: bool, flag: u64| if is { flag } else { 0 };
        place as u64
            | flag(self.is_entry, IS_ENTRY)
            | flag(self.returns == Returns::Int, RETURNS_INT)
            | flag(self.returns == Returns::Long, RETURNS_LONG)
            | flag(self.args_behind, ARGS_BEHIND)
            | u64::from(self.texts) << TEXTS
    }
}

impl Calls {
    /// Attaches to functions; nothing is told before [`Calls::begin`].
    ///
    /// # Errors
    /// [`EngineError::Refused`] if the kernel does not take the programs, most often for lack of rights;
    /// [`EngineError::System`] if there is no function that could be attached to.
    pub fn start(
        objects: CallObjects<'_>,
        targets: &[CallTarget],
        options: &CallOptions,
    ) -> Result<Self, EngineError> {
        let one_by_one = CallOptions { one_by_one: true, ..options.clone() };
        let first = object::load(objects.kernel, options)
            .or_else(|error| object::load(objects.kernel, &one_by_one).map_err(|_| error))?;
        let records = Rc::<RefCell<Vec<CallRecord>>>::default();
        let ring = ring(&first, &records)?;
        let wanted = map(&first, "wanted")?;
        for pid in &options.pids {
            let done = wanted.update(&pid.to_ne_bytes(), &1_u32.to_ne_bytes(), MapFlags::ANY);
            done.map_err(|e| system("choosing tasks", &e))?;
        }
        let mut calls = Self {
            links: Vec::new(),
            ring,
            records,
            objects: vec![first],
            at_once: None,
            refused: Vec::new(),
            attach_ns: 0,
            missing: None,
        };
        let began = now_ns();
        calls.attach_programs(objects.program, targets, options)?;
        calls.attach_kernel(targets, options)?;
        calls.attach_ns = now_ns() - began;
        match (calls.links.is_empty(), calls.refused.first()) {
            (true, Some((name, why))) => Err(EngineError::System {
                what: format!("attaching to {name}"),
                error: why.clone(),
            }),
            _ => Ok(calls),
        }
    }

    /// Lets sessions begin.
    ///
    /// # Errors
    /// [`EngineError::System`] if that can't be told.
    pub fn begin(&self) -> Result<(), EngineError> {
        self.arm(true)
    }

    /// Lets sessions begin, or no more.
    fn arm(&self, on: bool) -> Result<(), EngineError> {
        let armed = map(&self.objects[0], "armed")?;
        let done = armed.update(&[0; 4], &u32::from(on).to_ne_bytes(), MapFlags::ANY);
        done.map_err(|e| system("beginning to trace", &e))
    }

    fn attach_kernel(
        &mut self,
        targets: &[CallTarget],
        options: &CallOptions,
    ) -> Result<(), EngineError> {
        let kernel = targets.iter().enumerate().filter(|(_, target)| target.program_id.is_none());
        let kernel: Vec<_> = kernel.map(|(at, it)| (it.name.clone(), it.cookie(at))).collect();
        if kernel.is_empty() {
            return Ok(());
        }
        let at_once = if options.one_by_one { None } else { self.all_at_once(&kernel).ok() };
        self.at_once = Some(at_once.is_some());
        match at_once {
            Some(links) => self.links.extend(links),
            None => self.one_by_one(&kernel)?,
        }
        Ok(())
    }

    /// Ends are attached first, so that no call that has begun ends untold.
    fn all_at_once(&self, functions: &[(String, u64)]) -> Result<[Link; 2], libbpf_rs::Error> {
        let attach = |program: &str, retprobe: bool| {
            let opts = KprobeMultiOpts {
                symbols: functions.iter().map(|(name, _)| name.clone()).collect(),
                cookies: functions.iter().map(|(_, cookie)| *cookie).collect(),
                retprobe,
                ..KprobeMultiOpts::default()
            };
            let program = program_of(&self.objects[0], program);
            let program = program.ok_or_else(|| libbpf_rs::Error::from_raw_os_error(2))?;
            log::capture(|| program.attach_kprobe_multi_with_opts(opts)).0
        };
        let end = attach("many_end", true)?;
        Ok([end, attach("many_begin", false)?])
    }

    fn one_by_one(&mut self, functions: &[(String, u64)]) -> Result<(), EngineError> {
        let first = &self.objects[0];
        let (Some(begins), Some(ends)) =
            (program_of(first, "one_begins"), program_of(first, "one_ends"))
        else {
            return Err(missing("the programs for single functions"));
        };
        for (name, cookie) in functions {
            let opts = || KprobeOpts { cookie: *cookie, ..KprobeOpts::default() };
            let (both, _) = log::capture(|| {
                let end = ends.attach_kprobe_with_opts(true, name, opts())?;
                Ok::<_, libbpf_rs::Error>([
                    end,
                    begins.attach_kprobe_with_opts(false, name, opts())?,
                ])
            });
            match both {
                Ok(links) => self.links.extend(links),
                Err(error) => self.refused.push((name.clone(), format!("{error:#}"))),
            }
        }
        Ok(())
    }

    fn attach_programs(
        &mut self,
        bytes: &[u8],
        targets: &[CallTarget],
        options: &CallOptions,
    ) -> Result<(), EngineError> {
        for (target, attached) in programs::attach(bytes, targets, options, &self.objects[0]) {
            match attached {
                Ok((object, links)) => {
                    self.links.extend(links);
                    self.objects.push(object);
                }
                // Others won't be taken either.
                Err(error @ EngineError::Refused(_)) => return Err(error),
                Err(error) => self.refused.push((target.name.clone(), error.to_string())),
            }
        }
        Ok(())
    }

    /// Records since the last time, those of a CPU in order. To be called every few ms.
    ///
    /// # Errors
    /// [`EngineError::System`] if they can't be read.
    pub fn poll(&mut self) -> Result<Vec<CallRecord>, EngineError> {
        self.ring.consume().map_err(|e| system("reading calls", &e))?;
        Ok(self.records.take())
    }

    /// Ends tracing, and returns the rest.
    ///
    /// # Errors
    /// As [`Calls::poll`].
    pub fn finish(&mut self) -> Result<Vec<CallRecord>, EngineError> {
        self.arm(false)?;
        let rest = self.poll()?;
        self.missing = Some(self.missing()?);
        self.links.clear();
        Ok(rest)
    }

    /// What was not told so far, or until the end.
    ///
    /// # Errors
    /// As [`Calls::poll`].
    pub fn missing(&self) -> Result<Missing, EngineError> {
        if let Some(missing) = self.missing {
            return Ok(missing);
        }
        let map = map(&self.objects[0], "lost")?;
        let sum = |key: u32| {
            let values = map.lookup_percpu(&key.to_ne_bytes(), MapFlags::ANY);
            let values = values.map_err(|e| system("reading what was lost", &e))?;
            let number = |bytes: Vec<u8>| bytes.try_into().map_or(0, u64::from_ne_bytes);
            Ok(values.unwrap_or_default().into_iter().map(number).sum())
        };
        Ok(Missing { lost: sum(0)?, deep: sum(1)?, missed: self.missed() })
    }

    /// As the kernel tells of programs and of links to functions, single or many.
    fn missed(&self) -> u64 {
        let told = |fd: i32, name: &str| {
            let path = format!("/proc/self/fdinfo/{fd}");
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim_start_matches(':').trim().parse::<u64>().ok())
        };
        let programs = self.objects.iter().flat_map(libbpf_rs::Object::progs);
        let programs = programs.filter(libbpf_rs::ProgramImpl::autoload);
        let of_programs: u64 = programs
            .filter_map(|program| told(program.as_fd().as_raw_fd(), "recursion_misses:"))
            .sum();
        let of_link = |link: &Link| match link.info().ok()?.info {
            LinkTypeInfo::PerfEvent(event) => match event.event_type {
                PerfEventType::Kprobe { missed, .. } => Some(missed),
                _ => None,
            },
            _ => told(link.as_fd().as_raw_fd(), "missed"),
        };
        let of_links: u64 = self.links.iter().filter_map(of_link).sum();
        of_programs + of_links
    }
}

fn ring(
    object: &libbpf_rs::Object,
    records: &Rc<RefCell<Vec<CallRecord>>>,
) -> Result<RingBuffer<'static>, EngineError> {
    let sink = Rc::clone(records);
    let mut builder = RingBufferBuilder::new();
    let take = move |bytes: &[u8]| {
        sink.borrow_mut().extend(CallRecord::read(bytes));
        0
    };
    let map = map(object, "calls")?;
    builder.add(&map, take).map_err(|e| system("opening the ring", &e))?;
    builder.build().map_err(|e| system("opening the ring", &e))
}

fn program_of<'a>(object: &'a libbpf_rs::Object, name: &str) -> Option<libbpf_rs::ProgramMut<'a>> {
    object.progs_mut().find(|program| program.name() == name)
}

fn map<'a>(object: &'a libbpf_rs::Object, name: &str) -> Result<libbpf_rs::Map<'a>, EngineError> {
    object.maps().find(|map| map.name() == name).ok_or_else(|| missing("a map"))
}

fn missing(what: &str) -> EngineError {
    EngineError::System {
        what: "setting up tracing".to_owned(),
        error: format!("the object lacks {what}"),
    }
}

fn system(what: &str, error: &libbpf_rs::Error) -> EngineError {
    EngineError::System { what: what.to_owned(), error: format!("{error:#}") }
}
