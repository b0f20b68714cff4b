// SPDX-License-Identifier: GPL-2.0-or-later
//! One life of a scheduler in a world, from reading the object to taking it off.

use crate::half::{HalfError, UserHalf, Wake};
use crate::plain::Plain;
use crate::registry::{self, TextSetting};
use rota_balance::{Policy, Snapshot};
use rota_events::{Metric, Sample, hint_and};
use rota_object::{Object, ObjectError, Setting, SettingError, World};
use thiserror::Error;

/// What was chosen on the command line: an object, its half and its settings.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Name to show: of the registry, or the one inside the object.
    pub name: String,
    /// Bytes of the object.
    pub bytes: Vec<u8>,
    /// The object, read.
    pub object: Object,
    /// Settings as (name, value) texts, in the order given; the last one counts.
    pub settings: Vec<(String, String)>,
    built_in: bool,
}

/// Why something chosen cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// No scheduler has this name.
    #[error(
        "no scheduler '{name}'{}",
        hint_and(name, known, "A compiled object is given by its path, FILE.bpf.o")
    )]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: Vec<&'static str>,
    },
    /// The file is no usable object.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// It is an object, but no sched_ext scheduler.
    #[error(
        "no sched_ext scheduler in it: a scheduler has a struct sched_ext_ops in .struct_ops.link"
    )]
    NoScheduler,
    /// It is a scheduler of the newer kind, which names CPUs by topological numbers.
    #[error(
        "its scheduler names CPUs by their topological numbers (struct sched_ext_ops_cid); the \
         cid form is not modelled yet"
    )]
    CidForm,
}

impl Choice {
    /// A scheduler of the registry.
    ///
    /// # Errors
    /// [`SessionError::Unknown`].
    pub fn built_in(name: &str) -> Result<Self, SessionError> {
        let entry = registry::find(name).ok_or_else(|| {
            let known = registry::SCHEDULERS.iter().map(|e| e.name).collect();
            SessionError::Unknown { name: name.to_owned(), known }
        })?;
        let object = Object::parse(entry.object)?;
        Ok(Self {
            name: name.to_owned(),
            bytes: entry.object.to_vec(),
            object,
            settings: Vec::new(),
            built_in: true,
        })
    }

    /// A scheduler in a file, given as its bytes.
    ///
    /// # Errors
    /// [`SessionError::Object`], [`SessionError::NoScheduler`] or [`SessionError::CidForm`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SessionError> {
        let object = Object::parse(&bytes)?;
        let cid_form = object.struct_ops().iter().any(|o| o.kernel_type == "sched_ext_ops_cid");
        let none = if cid_form { SessionError::CidForm } else { SessionError::NoScheduler };
        let ops = object.scheduler().ok_or(none)?;
        let name = if ops.shown_name.is_empty() { &ops.name } else { &ops.shown_name };
        Ok(Self { name: name.clone(), bytes, settings: Vec::new(), built_in: false, object })
    }

    /// Whether it is a scheduler of the registry, with a user half of its own.
    pub fn is_built_in(&self) -> bool {
        self.built_in
    }

    /// Settings of its user half alone.
    pub fn texts(&self) -> &'static [TextSetting] {
        registry::find(&self.name).filter(|_| self.built_in).map_or(&[], |entry| entry.texts)
    }

    /// The user half: its own, if it is of the registry, else [`Plain`].
    ///
    /// # Errors
    /// [`HalfError::Setting`].
    pub fn half(&self) -> Result<Box<dyn UserHalf>, HalfError> {
        match registry::find(&self.name).filter(|_| self.built_in) {
            Some(entry) => (entry.new)(&self.object, &self.settings).map_err(|error| match error {
                HalfError::Setting(error) => self.with_texts(error).into(),
                other => other,
            }),
            None => Ok(Box::new(Plain::new(&self.object, &self.settings)?)),
        }
    }

    /// The setting of the object with this name.
    ///
    /// # Errors
    /// [`SettingError::Unknown`], which knows of the settings of its user half, too.
    pub fn find_setting(&self, name: &str) -> Result<Setting, SettingError> {
        self.object.find_setting(name).map_err(|error| self.with_texts(error))
    }

    /// An object does not know of the settings of its user half alone.
    fn with_texts(&self, mut error: SettingError) -> SettingError {
        if let SettingError::Unknown { known, .. } = &mut error {
            known.extend(self.texts().iter().map(|text| text.flag.to_owned()));
        }
        error
    }
}

/// A scheduler in charge of a world.
pub struct Session {
    half: Box<dyn UserHalf>,
    wake: Wake,
}

impl Session {
    /// Configures, loads and attaches. On an error nothing stays attached.
    ///
    /// # Errors
    /// [`HalfError`].
    pub fn start(
        mut half: Box<dyn UserHalf>,
        now_ns: u64,
        world: &mut dyn World,
    ) -> Result<Self, HalfError> {
        half.configure(world)?;
        world.load()?;
        half.prepare(world)?;
        world.attach()?;
        match half.start(now_ns, world) {
            Ok(wake) => Ok(Self { half, wake }),
            Err(error) => {
                world.detach()?;
                Err(error)
            }
        }
    }

    /// When [`Session::step`] is due.
    pub fn wake(&self) -> Wake {
        self.wake
    }

    /// Lets the half do what is due.
    ///
    /// # Errors
    /// [`HalfError`].
    pub fn step(&mut self, now_ns: u64, world: &mut dyn World) -> Result<(), HalfError> {
        if matches!(self.wake, Wake::At(due) if due <= now_ns) {
            self.wake = self.half.step(now_ns, world)?;
        }
        Ok(())
    }

    /// What the half would plan moves between domains from now, and what it would go by; `None` if
    /// it plans none.
    ///
    /// # Errors
    /// [`HalfError`].
    pub fn snapshot(
        &self,
        now_ns: u64,
        world: &dyn World,
    ) -> Result<Option<(Snapshot, Policy)>, HalfError> {
        self.half.snapshot(now_ns, world)
    }

    /// What the statistics mean.
    pub fn metrics(&self) -> &[Metric] {
        self.half.metrics()
    }

    /// The statistics now.
    ///
    /// # Errors
    /// [`HalfError`].
    pub fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        self.half.sample(now_ns, world)
    }
}
