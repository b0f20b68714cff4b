// SPDX-License-Identifier: GPL-2.0-or-later
//! One of several processes that do a workload together: what it is told, and what it tells.
//!
//! Each line is one word in JSON. It is told [`Orders`], makes its threads, says [`Word::Ready`],
//! is told when it begins, and says [`Word::Report`] at the end. Any word in between, or none any
//! more, ends it at once.

use crate::cgroups::Cgroups;
use crate::compute::Calibration;
use crate::error::LoadError;
use crate::job::Job;
use crate::parts::Part;
use crate::run::{end, make_all, watch};
use crate::wire::Told;
use crate::world::World;
use rota_kernel::now_ns;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// What a process is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) part: Part,
    pub(crate) calibration: Calibration,
    /// Where the workload's cgroups are, if it has some.
    pub(crate) cgroups: Option<PathBuf>,
}

/// What a process tells.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Word {
    /// All its threads are there.
    Ready,
    /// They can't be.
    Failed(String),
    /// What came of it.
    Report(Told),
}

/// Does the part of the workload that it is told on `input`, and tells of it on `output`.
///
/// # Errors
/// [`LoadError::System`] if the two are not those of [`run_in_processes`](crate::run_in_processes).
pub fn serve(
    job: &Job<'_>,
    mut input: impl BufRead + Send + 'static,
    output: &mut dyn Write,
) -> Result<(), LoadError> {
    let Orders { part, calibration, cgroups } = told(&mut input)?;
    if !part.is_of(job.workload) {
        return Err(system(&"it is no part of this workload"));
    }
    let all = &job.workload.cgroups;
    let cgroups = cgroups.map(|base| Cgroups::made_at(&base, all));
    let world = Arc::new(World::new(job, calibration, cgroups, part.forks_from));
    if let Err(error) = make_all(&world, &part) {
        end(&world, 0);
        return tell(output, &Word::Failed(error.to_string()));
    }
    tell(output, &Word::Ready)?;
    let start_ns: u64 = match told(&mut input) {
        Ok(start_ns) => start_ns,
        Err(error) => {
            end(&world, 0);
            return Err(error);
        }
    };
    let other = Arc::clone(&world);
    let listen = move || {
        let _ = input.read_line(&mut String::new());
        other.stop();
    };
    thread::Builder::new().spawn(listen).map_err(|error| system(&error))?;
    thread::sleep(Duration::from_nanos(start_ns.saturating_sub(now_ns())));
    world.start(start_ns, job.run_ns);
    let elapsed_ns = watch(&world, Duration::MAX, &mut |_| true);
    tell(output, &Word::Report(Told::of(&end(&world, elapsed_ns))))
}

fn told<T: for<'de> Deserialize<'de>>(input: &mut impl BufRead) -> Result<T, LoadError> {
    let mut line = String::new();
    input.read_line(&mut line).map_err(|error| system(&error))?;
    serde_json::from_str(&line).map_err(|error| system(&error))
}

fn tell(output: &mut dyn Write, word: &Word) -> Result<(), LoadError> {
    let line = serde_json::to_string(word).map_err(|error| system(&error))?;
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(|error| system(&error))
}

fn system(error: &dyn ToString) -> LoadError {
    LoadError::System { what: "a part of a load".to_owned(), error: error.to_string() }
}
