// SPDX-License-Identifier: GPL-2.0-or-later
//! Intervals as tables and as JSON.

use super::interval::{Column, Interval, Row};
use serde_json::{Map, Value, json};

/// Which rows and columns are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// The machine only.
    pub summary: bool,
    /// Joules instead of watts.
    pub joules: bool,
}

impl Choice {
    fn has_column(self, column: &Column) -> bool {
        let name = column.name.as_str();
        !(name.ends_with("Watt") && self.joules || name.ends_with("_J") && !self.joules)
    }

    fn has_row(self, row: &Row) -> bool {
        !self.summary || row.place.is_none()
    }
}

impl Interval {
    /// A table; `-` stands for all, and for what can't be had.
    pub fn to_table(&self, choice: Choice) -> String {
        let columns: Vec<_> = self.columns.iter().filter(|it| choice.has_column(it)).collect();
        let mut lines = Vec::new();
        let names = ["Package", "Core", "CPU"].into_iter().map(str::to_owned);
        let names = names.chain(columns.iter().map(|column| column.name.clone()));
        lines.push(names.collect::<Vec<_>>());
        for row in self.rows.iter().filter(|row| choice.has_row(row)) {
            let place = row.place.map(|place| [Some(place.package), place.core, place.cpu]);
            let place =
                place.unwrap_or_default().map(|it| it.map_or("-".to_owned(), |it| it.to_string()));
            let value = |column: &&Column| match row.values.get(&column.name) {
                Some(value) => format!("{value:.*}", column.digits),
                None => "-".to_owned(),
            };
            lines.push(place.into_iter().chain(columns.iter().map(value)).collect());
        }
        let width = |at: usize| lines.iter().map(|line| line[at].len()).max().unwrap_or(0);
        let widths: Vec<_> = (0..columns.len() + 3).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
            text += &(cells.collect::<Vec<_>>().join("  ") + "\n");
        }
        text
    }

    /// An object: `seconds`, `changed` (numbers of CPUs that came or went), and `rows`, each with
    /// `package`, `core` and `cpu` (null stands for all) and its columns by their names, without those
    /// that can't be had.
    pub fn to_json(&self, choice: Choice) -> Value {
        let row = |row: &Row| {
            let place = row.place;
            let mut object = Map::new();
            object.insert("package".to_owned(), json!(place.map(|it| it.package)));
            object.insert("core".to_owned(), json!(place.and_then(|it| it.core)));
            object.insert("cpu".to_owned(), json!(place.and_then(|it| it.cpu)));
            for column in &self.columns {
                if let Some(value) = row.values.get(&column.name) {
                    object.insert(column.name.clone(), json!(value));
                }
            }
            Value::Object(object)
        };
        let rows: Vec<_> = self.rows.iter().filter(|it| choice.has_row(it)).map(row).collect();
        json!({ "seconds": self.seconds, "changed": self.changed, "rows": rows })
    }
}
