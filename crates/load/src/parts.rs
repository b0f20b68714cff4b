// SPDX-License-Identifier: GPL-2.0-or-later
//! Which tasks of a workload have something in common, and so have to be in one process.

use crate::report::Report;
use rota_workload::{Step, TemplateId, Timer, Workload};
use serde::{Deserialize, Serialize};

/// Tasks that are in one process, and what comes to them from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Places in [`Workload::starts`], which are the numbers of tasks, too.
    pub(crate) starts: Vec<u32>,
    /// Places in [`Workload::sources`].
    pub(crate) sources: Vec<u32>,
    /// The number of the first task that others make.
    pub(crate) forks_from: u64,
}

impl Part {
    /// All of a workload.
    pub(crate) fn whole(workload: &Workload) -> Self {
        Self {
            starts: (0..workload.starts.len() as u32).collect(),
            sources: (0..workload.sources.len() as u32).collect(),
            forks_from: workload.starts.len() as u64,
        }
    }

    /// Whether there is all of it in a workload.
    pub(crate) fn is_of(&self, workload: &Workload) -> bool {
        let within = |places: &[u32], count: usize| places.iter().all(|at| (*at as usize) < count);
        within(&self.starts, workload.starts.len()) && within(&self.sources, workload.sources.len())
    }

    /// How many threads it has from the start.
    pub(crate) fn threads(&self) -> usize {
        self.starts.len() + self.sources.len()
    }
}

/// What templates have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Common {
    Event(u32),
    Timer(u32),
    Template(u32),
}

/// The least parts of a workload. Tasks are in one if they wait for the same event, sleep by the same
/// timer, or may be made by each other; a task that has nothing in common with others is alone.
pub fn parts(workload: &Workload) -> Vec<Part> {
    let common: Vec<Vec<Common>> = (0..workload.templates.len())
        .map(|template| in_common(workload, template as u32))
        .collect();
    let sets = joined(&common);
    let mut parts: Vec<(usize, Part)> = Vec::new();
    for (place, TemplateId(template)) in workload.starts.iter().enumerate() {
        let template = *template as usize;
        let shares = !common[template].is_empty();
        let known = parts.iter_mut().find(|(set, _)| shares && *set == sets[template]);
        match known {
            Some((_, part)) => part.starts.push(place as u32),
            None => {
                let set = if shares { sets[template] } else { usize::MAX };
                let (starts, sources) = (vec![place as u32], Vec::new());
                parts.push((set, Part { starts, sources, forks_from: 0 }));
            }
        }
    }
    for (place, source) in workload.sources.iter().enumerate() {
        // What nobody waits for, the first may have.
        let waits = |template: usize| common[template].contains(&Common::Event(source.event.0));
        let set = (0..common.len()).find(|template| waits(*template)).map(|it| sets[it]);
        let at = parts.iter().position(|(of, _)| Some(*of) == set).unwrap_or(0);
        if let Some((_, part)) = parts.get_mut(at) {
            part.sources.push(place as u32);
        }
    }
    let first = workload.starts.len() as u64;
    let each = parts.into_iter().enumerate();
    each.map(|(at, (_, part))| Part { forks_from: first + ((at as u64) << 32), ..part }).collect()
}

fn in_common(workload: &Workload, template: u32) -> Vec<Common> {
    let steps = workload.templates[template as usize].program.steps();
    let of = |step: &Step| match *step {
        Step::Wait(id) | Step::Signal(id, _) | Step::Broadcast(id) => Some(Common::Event(id.0)),
        Step::Join(id) | Step::Meet(id, _) => Some(Common::Event(id.0)),
        Step::Timer(Timer::Shared(timer), _) => Some(Common::Timer(timer)),
        Step::Fork(made) => Some(Common::Template(made.0)),
        _ => None,
    };
    let mut found: Vec<Common> = steps.iter().filter_map(of).collect();
    let made = |other: &rota_workload::Template| {
        other.program.steps().contains(&Step::Fork(TemplateId(template)))
    };
    if workload.templates.iter().any(made) {
        found.push(Common::Template(template));
    }
    found
}

/// By template, the number of the set that it is in: the first template of that.
fn joined(common: &[Vec<Common>]) -> Vec<usize> {
    let mut sets: Vec<usize> = (0..common.len()).collect();
    for one in 0..common.len() {
        for other in 0..one {
            let (a, b) = (sets[one], sets[other]);
            if a != b && common[one].iter().any(|it| common[other].contains(it)) {
                sets.iter_mut().filter(|set| **set == a.max(b)).for_each(|set| *set = a.min(b));
            }
        }
    }
    sets
}

/// What parts told, as one report.
pub(crate) fn together(mut reports: Vec<Report>) -> Option<Report> {
    let mut all = reports.pop()?;
    for report in reports {
        all.elapsed_ns = all.elapsed_ns.max(report.elapsed_ns);
        for (group, more) in all.groups.iter_mut().zip(report.groups) {
            group.tasks += more.tasks;
            group.used.merge(&more.used);
            group.pieces.merge(&more.pieces);
        }
        all.sources.0 += report.sources.0;
        all.sources.1.merge(&report.sources.1);
        all.known.switches &= report.known.switches;
        all.warnings.extend(report.warnings);
    }
    all.warnings.sort();
    all.warnings.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> Vec<(usize, usize)> {
        let workload = Workload::parse(text, 4).unwrap();
        let parts = parts(&workload);
        let mut numbers: Vec<u32> = parts.iter().flat_map(|part| part.starts.clone()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, Part::whole(&workload).starts, "each once");
        let mut sources: Vec<u32> = parts.iter().flat_map(|part| part.sources.clone()).collect();
        sources.sort_unstable();
        assert_eq!(sources, Part::whole(&workload).sources, "each once");
        parts.iter().map(|part| (part.starts.len(), part.sources.len())).collect()
    }

    #[test]
    fn who_has_nothing_in_common_is_alone() {
        assert_eq!(sizes("cpu:tasks=3"), [(1, 0); 3]);
        assert_eq!(sizes("periodic:tasks=2+cpu:tasks=1"), [(1, 0); 3]);
    }

    #[test]
    fn who_wakes_others_is_with_them() {
        let pipe = sizes("pipe");
        assert!(pipe.iter().all(|(tasks, _)| *tasks >= 2), "{pipe:?}");
        let web = sizes("web+cpu:tasks=2");
        assert_eq!(web.len(), 3, "{web:?}");
        assert!(web[0].0 > 1 && web[0].1 >= 1, "{web:?}");
    }
}
