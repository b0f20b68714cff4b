// SPDX-License-Identifier: GPL-2.0-or-later
//! What tasks are put together by.

use rota_events::{Tables, TaskRef};

/// What tasks are put together by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskBy {
    /// Each for itself.
    Task,
    /// The name of the task.
    Comm,
    /// The cgroup, or the part of the workload.
    Group,
}

impl TaskBy {
    /// What a task goes under; `-` if it has no such name.
    pub(crate) fn name(self, task: TaskRef, tables: &Tables) -> String {
        let info = tables.task_of(task);
        let text = match self {
            Self::Task => return tables.task_name(task),
            Self::Comm => info.map(|info| info.name),
            Self::Group => info.map(|info| info.group),
        };
        let text = text.map(|text| tables.text_of(text)).filter(|text| !text.is_empty());
        text.unwrap_or("-").to_owned()
    }
}
