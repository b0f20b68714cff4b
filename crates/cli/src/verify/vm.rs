// SPDX-License-Identifier: GPL-2.0-or-later
//! Verifying on other kernels: this very program, run in virtual machines.

use crate::output;
use crate::verify::subject::Subject;
use anyhow::{Context, Result, bail};
use rota_inspect::verify::{Row, from_json};
use rota_vmtest::{Cache, Kernel, Machine, Options, Pins, Request, boot, shell_quote};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The largest scheduler known takes the verifier 16 s under emulation; this leaves room.
const LIMIT: Duration = Duration::from_secs(900);

/// The kernels meant by the values of `--vm`, and what is no kernel but belongs to the objects:
/// `--vm simple` names none. `None` is the running kernel.
pub(crate) fn kernels(values: Option<&[String]>) -> (Option<Vec<String>>, Vec<&str>) {
    let Some(values) = values else { return (None, Vec::new()) };
    // A comma separates versions, and settings of an object.
    let (kernels, objects): (Vec<_>, Vec<_>) =
        values.iter().partition(|value| value.split(',').all(is_kernel));
    let mut kernels: Vec<String> =
        kernels.into_iter().flat_map(|value| value.split(',')).map(str::to_owned).collect();
    if kernels.is_empty() {
        kernels = Pins::embedded().supported().map(|pin| pin.series.clone()).collect();
    }
    (Some(kernels), objects.into_iter().map(String::as_str).collect())
}

/// A version, or the path of an image.
fn is_kernel(value: &str) -> bool {
    let is_version = value.starts_with(|c: char| c.is_ascii_digit());
    let is_object = value.split(':').next().is_some_and(|name| name.ends_with(".o"));
    !is_object && (is_version || value.contains('/'))
}

/// Boots each kernel, verifies there, and returns the results of all.
pub(crate) fn rows(kernels: &[String], subjects: &[Subject]) -> Result<Vec<Row>> {
    let cache = Cache::from_env()?;
    let program = std::env::current_exe().context("finding this program")?;
    let mut rows = Vec::new();
    for wanted in kernels {
        let kernel = Kernel::select(wanted, &cache, &mut say)?;
        say(&format!("verifying on {}", kernel.release));
        rows.extend(on(&cache, &kernel, &program, subjects)?);
    }
    Ok(rows)
}

fn on(cache: &Cache, kernel: &Kernel, program: &Path, subjects: &[Subject]) -> Result<Vec<Row>> {
    let folder = |file: &Path| file.parent().map(Path::to_owned);
    let files = subjects.iter().filter_map(|subject| subject.file.as_deref());
    let visible: Vec<PathBuf> = files.chain([program]).filter_map(folder).collect();
    let options = Options { visible, ..Options::default() };
    let machine = Machine::default();
    let script = script(program, subjects);
    let request =
        Request { machine: &machine, kernel, options: &options, script: &script, timeout: LIMIT };
    let outcome = boot(cache, &request, &mut |_, _| (), &mut say)?;
    let output = outcome.output;
    if !matches!(output.status, 0 | 1) {
        let said = output.stderr.lines().last().unwrap_or("it said nothing");
        bail!("{}: {}", kernel.release, said.trim_start_matches("rota: "));
    }
    from_json(&output.stdout).map_err(|problem| anyhow::anyhow!("{}: {problem}", kernel.release))
}

/// The command for the guest.
fn script(program: &Path, subjects: &[Subject]) -> String {
    let mut words = vec![program.display().to_string()];
    words.extend(["verify", "--format", "json", "--"].map(str::to_owned));
    words.extend(subjects.iter().map(Subject::argument));
    words.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" ")
}

fn say(line: &str) {
    output::note(&format!("rota: {line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_vm() {
        let check = |values: &[&str], expected: &[&str], objects: &[&str]| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            let (kernels, found) = kernels(Some(&values));
            assert_eq!(kernels.unwrap(), expected, "{values:?}");
            assert_eq!(found, objects, "{values:?}");
        };
        check(&["7.3", "6.16.12"], &["7.3", "6.16.12"], &[]);
        check(&["7.3,6.16"], &["7.3", "6.16"], &[]);
        check(
            &["simple:fifo,slice=5ms"],
            &["6.16", "6.18", "7.0", "7.3"],
            &["simple:fifo,slice=5ms"],
        );
        check(&["./vmlinuz", "simple"], &["./vmlinuz"], &["simple"]);
        let all = ["6.16", "6.18", "7.0", "7.3"];
        check(&[], &all, &[]);
        check(&["./a.bpf.o:slice=5ms", "b.bpf.o"], &all, &["./a.bpf.o:slice=5ms", "b.bpf.o"]);
        assert_eq!(kernels(None), (None, Vec::new()));
    }

    #[test]
    fn the_guest_gets_the_settings() {
        let more = [("slice".to_owned(), "5ms".to_owned())];
        let subjects = [Subject::resolve("simple:fifo", &more).unwrap()];
        let script = script(Path::new("/a b/rota"), &subjects);
        assert!(script.contains("simple:fifo=true,slice=5ms"), "{script}");
        assert!(script.starts_with("'/a b/rota' verify"), "{script}");
    }
}
