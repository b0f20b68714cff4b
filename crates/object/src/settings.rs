// SPDX-License-Identifier: GPL-2.0-or-later
//! Settings of a scheduler: `const volatile` globals that carry a `SETTING` tag.
//!
//! The table that drives flags (`--slice 20ms`), the short form (`simple:fifo`), `--set`, the
//! help text and the read-only data is read from the object, so it stands once, in C.

use crate::btf_decl::Type;
use crate::elf::{Global, Object};
use rota_events::{Duration, hint, parse_bytes, parse_ns};
use std::fmt;
use thiserror::Error;

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// `true` or `false`; as a flag it needs no value.
    Bool,
    /// A duration, kept in nanoseconds: its variable ends in `_ns`.
    Duration,
    /// A size, kept in bytes: its variable ends in `_bytes`.
    Bytes,
    /// A number without a unit.
    Number,
}

/// The value of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettingValue {
    /// How to read and print it.
    pub kind: SettingKind,
    /// The number; 0 and 1 for a truth value.
    pub raw: u64,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Name of the flag: the variable without its unit, underscores as dashes.
    pub flag: String,
    /// Name of the variable.
    pub variable: String,
    /// What it means, in one line.
    pub help: String,
    /// What it is if nobody sets it.
    pub default: SettingValue,
    /// Size of the variable, in bytes.
    pub size: usize,
}

/// A value that a setting does not take, or a setting that is not there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingError {
    /// No setting has this name.
    #[error("no setting '{name}'{}", instead(name, known))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The value is of another kind.
    #[error("setting {flag}: {problem}")]
    Value {
        /// The setting.
        flag: String,
        /// What is wrong, and what is expected.
        problem: String,
    },
}

/// What there is instead of a setting that is not there.
fn instead(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "; this object has no settings".to_owned();
    }
    hint(name, &known.iter().map(String::as_str).collect::<Vec<_>>())
}

impl Setting {
    /// Reads a value.
    ///
    /// # Errors
    /// [`SettingError::Value`] if it is of another kind or does not fit the variable.
    pub fn parse(&self, text: &str) -> Result<SettingValue, SettingError> {
        let kind = self.default.kind;
        let raw = match kind {
            SettingKind::Bool => match text {
                "true" | "yes" | "on" | "1" => Ok(1),
                "false" | "no" | "off" | "0" => Ok(0),
                _ => Err(format!("'{text}' is neither true nor false")),
            },
            SettingKind::Duration => parse_ns(text),
            SettingKind::Bytes => parse_bytes(text),
            SettingKind::Number => text
                .parse::<u64>()
                .map_err(|_| format!("'{text}' is no number from 0 to {}", self.most())),
        };
        let problem = |problem| SettingError::Value { flag: self.flag.clone(), problem };
        match raw {
            Ok(raw) if raw > self.most() => Err(problem(format!(
                "{} is more than {} can hold",
                SettingValue { kind, raw },
                self.variable
            ))),
            Ok(raw) => Ok(SettingValue { kind, raw }),
            Err(text) => Err(problem(text)),
        }
    }

    /// The bytes of a value, as its variable holds them.
    pub fn bytes(&self, value: SettingValue) -> Vec<u8> {
        value.raw.to_le_bytes()[..self.size].to_vec()
    }

    fn most(&self) -> u64 {
        if self.size >= 8 { u64::MAX } else { (1 << (8 * self.size)) - 1 }
    }
}

impl Object {
    /// The settings of the object, in the order of their names.
    pub fn settings(&self) -> Vec<Setting> {
        self.globals().filter_map(|g| self.setting(g)).collect()
    }

    /// The setting with this name: of its flag, or of its variable.
    ///
    /// # Errors
    /// [`SettingError::Unknown`] lists what there is.
    pub fn find_setting(&self, name: &str) -> Result<Setting, SettingError> {
        let all = self.settings();
        if let Some(found) = all.iter().find(|s| s.flag == name || s.variable == name) {
            return Ok(found.clone());
        }
        let known = all.into_iter().map(|setting| setting.flag).collect();
        Err(SettingError::Unknown { name: name.to_owned(), known })
    }

    fn setting(&self, global: &Global) -> Option<Setting> {
        let help = self.remark_on(global, "setting:")?;
        let (kind, flag) = match (self.btf().resolve(global.ty).1, global.name.as_str()) {
            (Type::Int { boolean: true, .. }, name) => (SettingKind::Bool, name),
            // A setting is a truth value or an unsigned number.
            (Type::Int { signed: false, .. }, name) => {
                match (name.strip_suffix("_ns"), name.strip_suffix("_bytes")) {
                    (Some(stem), _) => (SettingKind::Duration, stem),
                    (_, Some(stem)) => (SettingKind::Bytes, stem),
                    _ => (SettingKind::Number, name),
                }
            }
            _ => return None,
        };
        let mut raw = [0; 8];
        raw.get_mut(..global.initial.len())?.copy_from_slice(&global.initial);
        Some(Setting {
            flag: flag.replace('_', "-"),
            variable: global.name.clone(),
            help: help.to_owned(),
            default: SettingValue { kind, raw: u64::from_le_bytes(raw) },
            size: global.initial.len(),
        })
    }
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            SettingKind::Bool => write!(f, "{}", self.raw != 0),
            SettingKind::Duration => write!(f, "{}", Duration(self.raw)),
            SettingKind::Bytes => write!(f, "{}B", self.raw),
            SettingKind::Number => write!(f, "{}", self.raw),
        }
    }
}
