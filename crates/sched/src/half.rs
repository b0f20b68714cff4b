// SPDX-License-Identifier: GPL-2.0-or-later
//! What a world calls.

use rota_balance::{Policy, Snapshot};
use rota_events::{Metric, Sample};
use rota_object::{EngineError, SettingError, Setup, World};
use thiserror::Error;

/// When a user half wants to be called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// At this time, on the world's clock, in nanoseconds.
    At(u64),
    /// Not at all: it has nothing to do.
    Never,
}

/// What a user half cannot go on after.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HalfError {
    /// The machine refused something.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A setting does not exist, or does not take the value.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// The user half of a scheduler.
pub trait UserHalf {
    /// Prepares the object, which is not loaded yet.
    ///
    /// # Errors
    /// [`HalfError`].
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError>;

    /// Called once, when the object is loaded and not attached yet: auxiliary programs are attached
    /// here.
    ///
    /// # Errors
    /// [`HalfError`] ends the run.
    fn prepare(&mut self, world: &mut dyn World) -> Result<(), HalfError> {
        let _ = world;
        Ok(())
    }

    /// Called once, when the scheduler is attached.
    ///
    /// # Errors
    /// [`HalfError`] ends the run.
    fn start(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        let _ = (now_ns, world);
        Ok(Wake::Never)
    }

    /// Called when the time that it asked for has come.
    ///
    /// # Errors
    /// [`HalfError`] ends the run.
    fn step(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Wake, HalfError> {
        let _ = (now_ns, world);
        Ok(Wake::Never)
    }

    /// Whether it plans moves between domains, so that [`snapshot`](Self::snapshot) has something.
    fn plans_moves(&self) -> bool {
        false
    }

    /// What it would plan moves between domains from now, and what it would go by; `None` if it
    /// plans none.
    ///
    /// # Errors
    /// [`HalfError`].
    fn snapshot(
        &self,
        now_ns: u64,
        world: &dyn World,
    ) -> Result<Option<(Snapshot, Policy)>, HalfError> {
        let _ = (now_ns, world);
        Ok(None)
    }

    /// What its statistics mean.
    fn metrics(&self) -> &[Metric];

    /// Its statistics now, one value for each metric.
    ///
    /// # Errors
    /// [`HalfError`].
    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError>;
}
