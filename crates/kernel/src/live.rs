// SPDX-License-Identifier: GPL-2.0-or-later
//! A scheduler on the running kernel.

use crate::host::Host;
use crate::log;
use crate::memory::Shared;
use crate::plan::Plan;
use crate::refusal;
use crate::rings::Rings;
use libbpf_rs::{
    Link, Map, MapCore, MapFlags, MapMut, MapType, ObjectBuilder, ProgramInput, ProgramMut,
};
use rota_object::{
    CpuTime, Engine, EngineError, ExitInfo, ExitLayout, Global, Object, Refusal, Setup, World,
};
use rota_topology::Topology;
use std::collections::VecDeque;
use std::sync::atomic::{Ordering, fence};

/// `BPF_F_SEGV_ON_FAULT`: user space gets a signal instead of a fresh page (kernel:
/// `include/uapi/linux/bpf.h`).
const SEGV_ON_FAULT: u32 = 1 << 17;

/// One object and the running kernel.
///
/// Dropping it takes the scheduler off; so does the end of the process, however it comes, because
/// the kernel ties the scheduler to a file descriptor of this process.
pub struct Live {
    bytes: Vec<u8>,
    exit: Option<ExitLayout>,
    /// What was asked for before loading, and the facts of the host.
    plan: Plan,
    loaded: Option<Loaded>,
    rings: Rings,
    hotplug_seq: u64,
    changed: VecDeque<(String, String)>,
}

struct Loaded {
    /// Links come first: they are dropped before the object.
    scheduler: Option<Link>,
    programs: Vec<Link>,
    object: libbpf_rs::Object,
}

impl Live {
    /// Takes an object; nothing is loaded yet. `bytes` and `object` are the same file.
    ///
    /// # Errors
    /// [`EngineError::Refused`] if the kernel can't be a host to any scheduler;
    /// [`EngineError::System`] if the machine's topology can't be read.
    pub fn open(bytes: &[u8], object: &Object, host: &Host) -> Result<Self, EngineError> {
        // An object without a scheduler, such as a tracer, needs no sched_ext.
        if let Some(reason) = refusal::obvious(host).filter(|_| object.scheduler().is_some()) {
            return Err(EngineError::Refused(reason));
        }
        Ok(Self {
            bytes: bytes.to_vec(),
            exit: object.exit_layout(),
            // Read before the topology, so that a change in between is noticed when attaching.
            hotplug_seq: host.sched_ext().map_or(0, |s| s.hotplug_seq),
            plan: Plan::new(object, host)?,
            loaded: None,
            rings: Rings::default(),
            changed: VecDeque::new(),
        })
    }

    /// Tells the user half of a setting that was changed while the scheduler runs.
    pub fn change_setting(&mut self, name: String, value: String) {
        self.changed.push_back((name, value));
    }

    /// The object that this was opened from.
    pub fn object(&self) -> &Object {
        self.plan.object()
    }

    fn global(&self, name: &str) -> Result<&Global, EngineError> {
        self.object().global(name).ok_or_else(|| missing("global", name))
    }

    fn loaded(&self, name: &str) -> Result<&Loaded, EngineError> {
        let early = || phase(name, "it can be used only once the object is loaded");
        self.loaded.as_ref().ok_or_else(early)
    }

    /// The plan, as long as it can still be changed.
    fn plan(&mut self, name: &str, late: &'static str) -> Result<&mut Plan, EngineError> {
        if self.loaded.is_some() { Err(phase(name, late)) } else { Ok(&mut self.plan) }
    }

    /// What the object's exit callback recorded.
    fn exit_recorded(&self) -> Result<Option<ExitInfo>, EngineError> {
        let Some(layout) = &self.exit else { return Ok(None) };
        if layout.decode(&self.read_global(&layout.variable)?, &[]).is_none() {
            return Ok(None);
        }
        // The kind is written last; only what is read once it was seen is whole.
        fence(Ordering::Acquire);
        let record = self.read_global(&layout.variable)?;
        let dump = layout.dump.as_ref().map(|d| self.read_global(d)).transpose()?;
        Ok(layout.decode(&record, &dump.unwrap_or_default()))
    }

    /// What can be told about the end of a scheduler that recorded nothing: that it ended.
    fn exit_unrecorded(&self) -> Option<ExitInfo> {
        self.loaded.as_ref()?.scheduler.as_ref()?;
        let state = self.plan.host().sched_ext().map(|s| s.state);
        (state.as_deref() == Some("disabled")).then(|| ExitInfo {
            kind: 0,
            code: 0,
            cpu: None,
            reason: "not recorded by the object (rota/exit.h would)".into(),
            msg: "the kernel's log (dmesg) tells why".into(),
            dump: String::new(),
        })
    }

    fn map(&self, name: &str) -> Result<Map<'_>, EngineError> {
        let object = &self.loaded(name)?.object;
        object.maps().find(|m| m.name() == name).ok_or_else(|| missing("map", name))
    }

    /// The mapped memory of the data section that a global lies in.
    fn section(&self, global: &Global) -> Result<Shared, EngineError> {
        let object = &self.loaded(&global.name)?.object;
        // libbpf calls the map of a section by the object's name and the section's.
        let map = object.maps().find(|m| m.name().to_string_lossy().ends_with(&global.section));
        map.and_then(|m| Shared::of(&m, m.value_size() as usize))
            .ok_or_else(|| missing("section", &global.section))
    }

    fn arena(&self, name: &str) -> Result<Shared, EngineError> {
        let map = self.map(name)?;
        let about = map.info().map_err(|e| system(format!("asking about {name}"), &e))?;
        if about.info.map_flags & SEGV_ON_FAULT != 0 {
            return Err(phase(
                name,
                "this arena kills who touches a page that it did not allocate",
            ));
        }
        let len = map.max_entries() as usize * rustix::param::page_size();
        let shared = (map.map_type() == MapType::Arena).then(|| Shared::of(&map, len)).flatten();
        shared.ok_or_else(|| missing("arena", name))
    }
}

impl Setup for Live {
    fn write_global(&mut self, name: &str, bytes: &[u8]) -> Result<(), EngineError> {
        if self.loaded.is_none() {
            return self.plan.write_global(name, bytes);
        }
        let global = self.global(name)?;
        if bytes.len() as u64 != global.size {
            return Err(size(name, bytes.len(), global.size as usize));
        }
        if global.read_only {
            return Err(phase(name, "it is read-only data, which is fixed once loaded"));
        }
        let done = self.section(global)?.write(global.offset as usize, bytes);
        if done { Ok(()) } else { Err(size(name, bytes.len(), 0)) }
    }

    fn read_global(&self, name: &str) -> Result<Vec<u8>, EngineError> {
        if self.loaded.is_none() {
            return self.plan.read_global(name);
        }
        let global = self.global(name)?;
        let mut bytes = vec![0; global.size as usize];
        if self.section(global)?.read(global.offset as usize, &mut bytes) {
            Ok(bytes)
        } else {
            Err(size(name, bytes.len(), 0))
        }
    }

    fn set_ops_member(&mut self, member: &str, value: u64) -> Result<(), EngineError> {
        let late = "it can be set only before the object is loaded";
        self.plan(member, late)?.set_ops_member(member, value)
    }

    fn resize_map(&mut self, map: &str, entries: u32) -> Result<(), EngineError> {
        let late = "its size can be set only before the object is loaded";
        self.plan(map, late)?.resize_map(map, entries)
    }

    fn topology(&self) -> &Topology {
        self.plan.topology()
    }

    fn hotplug_generation(&self) -> u64 {
        self.plan.hotplug_generation()
    }
}

impl Engine for Live {
    fn load(&mut self) -> Result<(), EngineError> {
        let ops = self.object().scheduler();
        if ops.is_some_and(|o| o.number("hotplug_seq").is_some()) {
            self.set_ops_member("hotplug_seq", self.hotplug_seq)?;
        }
        let plan = self.plan("the object", "it was loaded before")?.clone();
        let refused = |e: &libbpf_rs::Error, printed: &str| {
            EngineError::Refused(refusal::of_load(plan.host(), e, printed))
        };
        let (open, printed) = log::capture(|| ObjectBuilder::default().open_memory(&self.bytes));
        let mut open = open.map_err(|e| refused(&e, &printed))?;
        plan.apply(&mut open)?;
        let (loaded, printed) = log::capture(|| open.load());
        let object = loaded.map_err(|e| refused(&e, &printed))?;
        self.loaded = Some(Loaded { scheduler: None, programs: Vec::new(), object });
        Ok(())
    }

    fn attach_program(&mut self, name: &str) -> Result<(), EngineError> {
        let link = {
            let program = program(self.loaded(name)?, name)?;
            let (attached, _) = log::capture(|| program.attach());
            attached.map_err(|e| system(format!("attaching {name}"), &e))?
        };
        if let Some(loaded) = &mut self.loaded {
            loaded.programs.push(link);
        }
        Ok(())
    }

    fn attach(&mut self) -> Result<(), EngineError> {
        let name = self.object().scheduler().map(|o| o.name.clone());
        let name = name.ok_or_else(|| missing("scheduler", "struct sched_ext_ops"))?;
        let Some(loaded) = &mut self.loaded else {
            return Err(phase(&name, "it can be attached only once the object is loaded"));
        };
        let found = loaded.object.maps_mut().find(|m: &MapMut<'_>| m.name() == name.as_str());
        let mut map = found.ok_or_else(|| missing("map", &name))?;
        let (link, printed) = log::capture(|| map.attach_struct_ops());
        match link {
            // A callback that fails while the scheduler is enabled does not fail the link: the
            // kernel lets the scheduler end.
            Ok(link) => match self.exit_recorded()? {
                Some(info) => Err(EngineError::Refused(Refusal::Exit(Box::new(info)))),
                None => {
                    if let Some(loaded) = &mut self.loaded {
                        loaded.scheduler = Some(link);
                    }
                    Ok(())
                }
            },
            Err(error) => Err(EngineError::Refused(match self.exit_recorded() {
                Ok(Some(info)) => Refusal::Exit(Box::new(info)),
                _ => refusal::of_attach(self.plan.host(), &error, &printed),
            })),
        }
    }

    fn detach(&mut self) -> Result<(), EngineError> {
        if let Some(loaded) = &mut self.loaded {
            // Closing the link's last descriptor makes the kernel take the scheduler off.
            loaded.scheduler = None;
        }
        Ok(())
    }

    fn exit_info(&self) -> Result<Option<ExitInfo>, EngineError> {
        // The state is read first: the kernel lets the object record the end, and only then calls
        // itself disabled.
        let unrecorded = self.exit_unrecorded();
        Ok(self.exit_recorded()?.or(unrecorded))
    }

    fn run_program(&mut self, name: &str, context: &mut [u8]) -> Result<i32, EngineError> {
        let program = program(self.loaded(name)?, name)?;
        let input = ProgramInput {
            context_in: (!context.is_empty()).then_some(context),
            ..ProgramInput::default()
        };
        let output = program.test_run(input).map_err(|e| system(format!("running {name}"), &e))?;
        Ok(output.return_value.cast_signed())
    }

    fn map_lookup(&self, map: &str, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        let found = self.map(map)?;
        check_key(map, &found, key)?;
        found.lookup(key, MapFlags::ANY).map_err(|e| system(format!("reading {map}"), &e))
    }

    fn map_lookup_percpu(
        &self,
        map: &str,
        key: &[u8],
    ) -> Result<Option<Vec<Vec<u8>>>, EngineError> {
        let found = self.map(map)?;
        check_key(map, &found, key)?;
        found.lookup_percpu(key, MapFlags::ANY).map_err(|e| system(format!("reading {map}"), &e))
    }

    fn map_update(&mut self, map: &str, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let found = self.map(map)?;
        check_key(map, &found, key)?;
        if value.len() != found.value_size() as usize {
            return Err(size(map, value.len(), found.value_size() as usize));
        }
        found.update(key, value, MapFlags::ANY).map_err(|e| system(format!("writing {map}"), &e))
    }

    fn map_delete(&mut self, map: &str, key: &[u8]) -> Result<bool, EngineError> {
        let found = self.map(map)?;
        check_key(map, &found, key)?;
        match found.delete(key) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == libbpf_rs::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(system(format!("deleting from {map}"), &e)),
        }
    }

    fn map_next_key(
        &self,
        map: &str,
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        let found = self.map(map)?;
        if let Some(key) = after {
            check_key(map, &found, key)?;
        }
        crate::memory::next_key(&found, after).map_err(|e| EngineError::System {
            what: format!("walking {map}"),
            error: e.to_string(),
        })
    }

    fn arena_read(&self, map: &str, offset: u64, into: &mut [u8]) -> Result<(), EngineError> {
        let arena = self.arena(map)?;
        let done = usize::try_from(offset).is_ok_and(|at| arena.read(at, into));
        if done { Ok(()) } else { Err(size(map, into.len(), arena.len())) }
    }

    fn arena_write(&mut self, map: &str, offset: u64, bytes: &[u8]) -> Result<(), EngineError> {
        let arena = self.arena(map)?;
        let done = usize::try_from(offset).is_ok_and(|at| arena.write(at, bytes));
        if done { Ok(()) } else { Err(size(map, bytes.len(), arena.len())) }
    }

    fn ring_drain(&mut self, map: &str, each: &mut dyn FnMut(&[u8])) -> Result<u64, EngineError> {
        let early = || phase(map, "it can be used only once the object is loaded");
        let loaded = self.loaded.as_ref().ok_or_else(early)?;
        let found = loaded.object.maps().find(|m| m.name() == map);
        let found = found.ok_or_else(|| missing("map", map))?;
        let drained = self.rings.drain(map, &found, each);
        drained.map_err(|e| system(format!("draining {map}"), &e))
    }

    fn ring_push(&mut self, map: &str, record: &[u8]) -> Result<(), EngineError> {
        let early = || phase(map, "it can be used only once the object is loaded");
        let loaded = self.loaded.as_ref().ok_or_else(early)?;
        let found = loaded.object.maps().find(|m| m.name() == map);
        let found = found.ok_or_else(|| missing("map", map))?;
        let pushed = self.rings.push(map, &found, record);
        pushed.map_err(|e| system(format!("filling {map}"), &e))
    }
}

impl World for Live {
    fn cpu_times(&self) -> Result<Vec<CpuTime>, EngineError> {
        self.plan.host().cpu_times()
    }

    fn changed_settings(&mut self) -> Vec<(String, String)> {
        self.changed.drain(..).collect()
    }
}

fn program<'a>(loaded: &'a Loaded, name: &str) -> Result<ProgramMut<'a>, EngineError> {
    loaded.object.progs_mut().find(|p| p.name() == name).ok_or_else(|| missing("program", name))
}

fn check_key(name: &str, map: &Map<'_>, key: &[u8]) -> Result<(), EngineError> {
    let expected = map.key_size() as usize;
    if key.len() == expected { Ok(()) } else { Err(size(name, key.len(), expected)) }
}

fn missing(what: &'static str, name: &str) -> EngineError {
    EngineError::Missing { what, name: name.to_owned() }
}

fn size(name: &str, given: usize, expected: usize) -> EngineError {
    EngineError::Size { name: name.to_owned(), given, expected }
}

fn phase(name: &str, problem: &'static str) -> EngineError {
    EngineError::Phase { name: name.to_owned(), problem }
}

fn system(what: String, error: &libbpf_rs::Error) -> EngineError {
    EngineError::System { what, error: format!("{error:#}") }
}
