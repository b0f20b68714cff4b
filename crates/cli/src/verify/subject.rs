// SPDX-License-Identifier: GPL-2.0-or-later
//! What is verified: a scheduler with its user half, or an object that is none.

use crate::choice;
use anyhow::{Context, Result};
use rota_inspect::verify::object_name;
use rota_object::{Object, Setup};
use rota_sched::{Choice, SessionError};
use std::fs;
use std::path::{Path, PathBuf};

/// One object with its settings.
pub(crate) struct Subject {
    /// Its name in results: with the settings, on which they depend.
    pub(crate) label: String,
    name: String,
    /// The file, if it is none of the built-in schedulers.
    pub(crate) file: Option<PathBuf>,
    /// All settings, in the order given.
    settings: Vec<(String, String)>,
    kind: Kind,
}

enum Kind {
    Scheduler(Box<Choice>),
    Other(Vec<u8>, Box<Object>),
}

impl Subject {
    /// The object with this name, or in this file, with settings of the short form and more.
    pub(crate) fn resolve(text: &str, more: &[(String, String)]) -> Result<Self> {
        let (name, short) = text.split_once(':').unwrap_or((text, ""));
        let is_file = name.contains(['/', '.']) || Path::new(name).exists();
        let (mut settings, kind) = match choice::resolve(text) {
            Ok(choice) => (choice.settings.clone(), Kind::Scheduler(Box::new(choice))),
            Err(error) if is_no_scheduler(&error) => {
                let bytes = choice::object_bytes(Path::new(name))?;
                let object = Object::parse(&bytes).with_context(|| name.to_owned())?;
                (choice::short_form(short), Kind::Other(bytes, Box::new(object)))
            }
            Err(error) => return Err(error),
        };
        settings.extend(more.iter().cloned());
        let built_in = rota_sched::find(name).is_some();
        let file = (is_file && !built_in).then(|| fs::canonicalize(name)).transpose()?;
        let label = label(name, &settings);
        let mut subject = Self { label, name: name.to_owned(), file, settings, kind };
        if let Kind::Scheduler(choice) = &mut subject.kind {
            choice.settings.clone_from(&subject.settings);
            // Wrong settings are said before the kernel is asked for anything.
            choice.half()?;
        }
        Ok(subject)
    }

    /// The same in one word, for another process in another folder.
    pub(crate) fn argument(&self) -> String {
        let name = self.file.as_ref().map_or(self.name.clone(), |file| file.display().to_string());
        let settings: Vec<String> = self.settings.iter().map(|(n, v)| format!("{n}={v}")).collect();
        if settings.is_empty() { name } else { format!("{name}:{}", settings.join(",")) }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.kind {
            Kind::Scheduler(choice) => &choice.bytes,
            Kind::Other(bytes, _) => bytes,
        }
    }

    pub(crate) fn object(&self) -> &Object {
        match &self.kind {
            Kind::Scheduler(choice) => &choice.object,
            Kind::Other(_, object) => object,
        }
    }

    pub(crate) fn is_scheduler(&self) -> bool {
        matches!(self.kind, Kind::Scheduler(_))
    }

    /// Does what a run would do before loading.
    pub(crate) fn configure(&self, plan: &mut rota_kernel::Plan) -> Result<()> {
        match &self.kind {
            Kind::Scheduler(choice) => choice.half()?.configure(plan)?,
            Kind::Other(_, object) => {
                for (name, text) in &self.settings {
                    let setting = object.find_setting(name)?;
                    let bytes = setting.bytes(setting.parse(text)?);
                    plan.write_global(&setting.variable, &bytes)?;
                }
            }
        }
        Ok(())
    }
}

fn is_no_scheduler(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SessionError::NoScheduler))
}

fn label(name: &str, settings: &[(String, String)]) -> String {
    let name = object_name(name);
    if settings.is_empty() {
        return name;
    }
    let settings: Vec<String> = settings.iter().map(|(n, v)| format!("{n}={v}")).collect();
    format!("{name}:{}", settings.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_what_results_depend_on() {
        let label = |text: &str, more: &[(String, String)]| {
            Subject::resolve(text, more).map(|s| s.label).map_err(|e| format!("{e:#}"))
        };
        assert_eq!(label("simple", &[]).unwrap(), "simple");
        let more = [("slice".to_owned(), "5ms".to_owned())];
        assert_eq!(label("simple:fifo", &more).unwrap(), "simple:fifo=true;slice=5ms");
        assert!(label("simple:colour=red", &[]).unwrap_err().contains("no setting 'colour'"));
        assert!(label("nothing", &[]).unwrap_err().contains("there are: domains, simple"));
    }
}
