// SPDX-License-Identifier: GPL-2.0-or-later
//! Names of schedulers on the command line: `simple`, `simple:fifo,slice=5ms`, `FILE.bpf.o`.

use crate::file;
use anyhow::{Context, Result, bail};
use rota_sched::{Choice, SCHEDULERS};
use std::fs;
use std::path::Path;

/// The largest object that is read: a scheduler with a large arena image is some 20 MB.
const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// Finds the scheduler and takes the settings of the short form.
pub(crate) fn resolve(text: &str) -> Result<Choice> {
    let (name, settings) = text.split_once(':').unwrap_or((text, ""));
    let mut choice = if SCHEDULERS.iter().any(|e| e.name == name) {
        Choice::built_in(name)?
    } else if name.contains(['/', '.']) || Path::new(name).exists() {
        from_file(Path::new(name))?
    } else {
        Choice::built_in(name)?
    };
    choice.settings = short_form(settings);
    Ok(choice)
}

/// The settings of the short form: `fifo,slice=5ms`.
pub(crate) fn short_form(text: &str) -> Vec<(String, String)> {
    let settings = text.split(',').filter(|setting| !setting.is_empty());
    let pair = |setting: &str| {
        let (name, value) = setting.split_once('=').unwrap_or((setting, "true"));
        (name.to_owned(), value.to_owned())
    };
    settings.map(pair).collect()
}

fn from_file(path: &Path) -> Result<Choice> {
    Choice::from_bytes(object_bytes(path)?).with_context(|| path.display().to_string())
}

/// The bytes of an object file.
pub(crate) fn object_bytes(path: &Path) -> Result<Vec<u8>> {
    let about = fs::metadata(path).with_context(|| path.display().to_string())?;
    if !about.is_file() {
        bail!("{}: not a file; a scheduler is a compiled object, FILE.bpf.o", path.display());
    }
    file::read(path, OBJECT_BYTES_MAX)
}

/// Name and bytes of a scheduler, or of any compiled object in a file.
pub(crate) fn bytes(text: &str) -> Result<(String, Vec<u8>)> {
    match rota_sched::find(text) {
        Some(entry) => Ok((text.to_owned(), entry.object.to_vec())),
        None if text.contains(['/', '.']) || Path::new(text).exists() => {
            Ok((text.to_owned(), object_bytes(Path::new(text))?))
        }
        // The error lists the schedulers.
        None => Choice::built_in(text).map(|c| (c.name, c.bytes)).map_err(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_form() {
        let choice = resolve("simple:fifo,slice=5ms").unwrap();
        let expected = [("fifo", "true"), ("slice", "5ms")];
        assert_eq!(choice.settings, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert!(choice.half().is_ok());
        assert!(resolve("simple:slice=5").unwrap().half().is_err());
        assert!(resolve("simple:colour=red").unwrap().half().is_err());
    }

    #[test]
    fn files_that_are_no_schedulers() {
        let message = |text: &str| format!("{:#}", resolve(text).unwrap_err());
        assert!(
            message("simpel").contains("no scheduler 'simpel'; did you mean simple? A compiled")
        );
        assert!(message("/dev/null").contains("not a file"));
        assert!(message("missing.bpf.o").contains("missing.bpf.o: No such file"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.bpf.o");
        let mut bytes = rota_programs::simple::OBJECT.to_vec();
        fs::write(&file, &bytes).unwrap();
        assert_eq!(resolve(file.to_str().unwrap()).unwrap().name, "simple");
        let damages = [
            (vec![(0, 2)], "not a usable ELF"),
            (vec![(18, 62), (19, 0)], "compiled for x86-64, not for BPF"),
            (vec![(5, 2), (18, 0), (19, 247)], "big-endian"),
        ];
        for (damage, word) in damages {
            let mut damaged = bytes.clone();
            damage.iter().for_each(|&(at, byte): &(usize, u8)| damaged[at] = byte);
            fs::write(&file, &damaged).unwrap();
            assert!(message(file.to_str().unwrap()).contains(word), "{damage:?}");
        }
        bytes.truncate(bytes.len() / 2);
        fs::write(&file, &bytes).unwrap();
        assert!(message(file.to_str().unwrap()).contains("x.bpf.o: "));
    }
}
