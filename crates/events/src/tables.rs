// SPDX-License-Identifier: GPL-2.0-or-later
//! What the numbers in events stand for: texts and tasks.

use crate::ids::{TaskRef, TextRef};
use std::collections::BTreeMap;

/// A task of a recording.
///
/// Its thread id and its start are its key: ids are used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskInfo {
    /// Thread id.
    pub pid: i32,
    /// Process id.
    pub tgid: i32,
    /// When it started, in ns, on the clock of the recording.
    pub start_ns: u64,
    /// Its name.
    pub name: TextRef,
    /// Its group: the path of its cgroup, or of which workload it is part.
    pub group: TextRef,
}

/// The tables of a recording. They only grow, and only what changed since needs to be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    texts: BTreeMap<TextRef, String>,
    by_text: BTreeMap<String, TextRef>,
    tasks: BTreeMap<TaskRef, TaskInfo>,
    by_key: BTreeMap<(i32, u64), TaskRef>,
    /// Tasks in the order in which they were told or changed.
    told: Vec<TaskRef>,
}

impl Tables {
    /// The number of a text.
    pub fn text(&mut self, text: &str) -> TextRef {
        if text.is_empty() {
            return TextRef::EMPTY;
        }
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let number = TextRef(self.texts.last_key_value().map_or(0, |(last, _)| last.0) + 1);
        self.set_text(number, text);
        number
    }

    /// The number of a task, which is told or, if anything about it is new, changed.
    pub fn task(&mut self, info: TaskInfo) -> TaskRef {
        let next = TaskRef(self.tasks.last_key_value().map_or(0, |(last, _)| last.0) + 1);
        let number = *self.by_key.entry((info.pid, info.start_ns)).or_insert(next);
        self.set_task(number, info);
        number
    }

    /// Says what a number stands for, as a file does.
    pub(crate) fn set_task(&mut self, number: TaskRef, info: TaskInfo) {
        if number.is_some() && self.tasks.insert(number, info) != Some(info) {
            self.by_key.insert((info.pid, info.start_ns), number);
            self.told.push(number);
        }
    }

    /// Says what a number stands for, as a file does. That of the empty text does already.
    pub(crate) fn set_text(&mut self, number: TextRef, text: &str) {
        if number != TextRef::EMPTY {
            self.texts.insert(number, text.to_owned());
            self.by_text.insert(text.to_owned(), number);
        }
    }

    /// A text; nothing if its number got lost.
    pub fn text_of(&self, text: TextRef) -> &str {
        self.texts.get(&text).map_or("", String::as_str)
    }

    /// A task, unless it got lost.
    pub fn task_of(&self, task: TaskRef) -> Option<&TaskInfo> {
        self.tasks.get(&task)
    }

    /// Name and thread id of a task as people read them. `idle` is nobody.
    pub fn task_name(&self, task: TaskRef) -> String {
        match self.task_of(task) {
            Some(info) => format!("{}[{}]", self.text_of(info.name), info.pid),
            None if task.is_some() => format!("task#{}", task.0),
            None => "idle".to_owned(),
        }
    }

    /// Every task with its number.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskRef, &TaskInfo)> {
        self.tasks.iter().map(|(number, info)| (*number, info))
    }

    /// The texts after one, with their numbers.
    pub(crate) fn texts_after(&self, last: TextRef) -> impl Iterator<Item = (TextRef, &str)> {
        let rest = self.texts.range(TextRef(last.0.saturating_add(1))..);
        rest.map(|(number, text)| (*number, text.as_str()))
    }

    /// How much they have: it grows whenever something is new.
    pub fn size(&self) -> (usize, usize) {
        (self.texts.len(), self.told.len())
    }

    /// Tasks in the order in which they were told or changed. Whoever keeps the length of the list
    /// finds what is new behind it.
    pub fn told(&self) -> &[TaskRef] {
        &self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number() {
        let mut tables = Tables::default();
        let (a, b) = (tables.text("a"), tables.text("b"));
        assert_eq!([tables.text("a"), tables.text("b"), tables.text("")], [a, b, TextRef(0)]);
        assert_eq!(
            [tables.text_of(a), tables.text_of(b), tables.text_of(TextRef(9))],
            ["a", "b", ""]
        );
    }

    #[test]
    fn the_empty_text_stays_empty() {
        let mut tables = Tables::default();
        tables.set_text(TextRef::EMPTY, "x");
        assert_eq!(tables.text_of(TextRef::EMPTY), "");
    }

    #[test]
    fn an_id_that_is_used_again_is_another_task() {
        let mut tables = Tables::default();
        let name = tables.text("worker");
        let first = TaskInfo { pid: 7, tgid: 7, start_ns: 1, name, ..TaskInfo::default() };
        let number = tables.task(first);
        assert_eq!(tables.task(first), number);
        let again = tables.task(TaskInfo { start_ns: 2, ..first });
        assert_ne!(again, number);
        assert_eq!(tables.told().len(), 2);
        let renamed = TaskInfo { name: tables.text("other"), ..first };
        assert_eq!((tables.task(renamed), tables.told().len()), (number, 3));
        assert_eq!(tables.task_name(number), "other[7]");
        assert_eq!(tables.task_name(TaskRef(99)), "task#99");
        assert_eq!(tables.task_name(TaskRef::NONE), "idle");
    }
}
