// SPDX-License-Identifier: GPL-2.0-or-later
//! Saved results. In a name, `{kernel}` stands for the kernel's series, such as 7.3, so that one
//! name serves all kernels.

use crate::file;
use anyhow::{Context, Result, bail};
use rota_inspect::verify::{Baseline, Row, kernel_series, to_json, to_saved_csv};
use std::collections::BTreeSet;
use std::path::Path;

const KERNEL: &str = "{kernel}";

/// Says what is wrong with the names before anything takes time.
pub(crate) fn check(
    baseline: Option<&str>,
    save: Option<&str>,
    kernels: Option<&[String]>,
) -> Result<()> {
    match (baseline, kernels) {
        (Some(name), Some(kernels)) if name.contains(KERNEL) => {
            // The path of an image does not tell the series.
            for kernel in kernels.iter().filter(|kernel| !kernel.contains('/')) {
                read(&name.replace(KERNEL, &kernel_series(kernel)))?;
            }
        }
        (Some(name), _) if !name.contains(KERNEL) => _ = read(name)?,
        _ => {}
    }
    let several = kernels.is_some_and(|kernels| kernels.len() > 1);
    match save {
        Some(name) if several => needs_kernel(name),
        _ => Ok(()),
    }
}

fn needs_kernel(name: &str) -> Result<()> {
    if !name.contains(KERNEL) && !name.ends_with(".json") {
        bail!("{name}: results of several kernels need {KERNEL} in the name, as in {KERNEL}.csv");
    }
    Ok(())
}

/// Reads the saved results for the kernels of these results.
pub(crate) fn baseline(name: &str, rows: &[Row]) -> Result<Baseline> {
    if !name.contains(KERNEL) {
        return read(name);
    }
    let mut all = Baseline::default();
    for series in all_series(rows) {
        all = all.with(read(&name.replace(KERNEL, &series))?.of_kernel(&series));
    }
    Ok(all)
}

fn read(name: &str) -> Result<Baseline> {
    let hint = || format!("no saved result to compare with; --save '{name}' keeps one");
    let text = file::read_text(Path::new(name)).with_context(hint)?;
    Baseline::parse(&text).with_context(|| name.to_owned())
}

/// Saves results, replacing what the file held.
pub(crate) fn save(name: &str, rows: &[Row]) -> Result<()> {
    let series = all_series(rows);
    if series.len() > 1 {
        needs_kernel(name)?;
    }
    if !name.contains(KERNEL) {
        return write(name, rows);
    }
    for series in series {
        let of_series = rows.iter().filter(|row| kernel_series(&row.kernel) == series);
        write(&name.replace(KERNEL, &series), &of_series.cloned().collect::<Vec<_>>())?;
    }
    Ok(())
}

fn write(name: &str, rows: &[Row]) -> Result<()> {
    let text = if name.ends_with(".json") { to_json(rows, None) } else { to_saved_csv(rows) };
    file::save(Path::new(name), &text)
}

fn all_series(rows: &[Row]) -> BTreeSet<String> {
    rows.iter().map(|row| kernel_series(&row.kernel)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rota_inspect::verify::{Figures, Verdict};

    fn row(kernel: &str) -> Row {
        Row {
            kernel: kernel.into(),
            object: "simple".into(),
            program: "f".into(),
            verdict: Verdict::Success,
            figures: Figures::default(),
            program_type: String::new(),
            attach_type: String::new(),
            rejection: None,
        }
    }

    #[test]
    fn one_name_for_all_kernels() {
        let dir = tempfile::tempdir().unwrap();
        let name = dir.path().join("new/{kernel}.csv").display().to_string();
        let rows = [row("6.16.12"), row("7.3.4")];
        save(&name, &rows).unwrap();
        assert!(dir.path().join("new/6.16.csv").exists());
        let saved = baseline(&name, &rows).unwrap();
        assert!(rows.iter().all(|row| saved.of(row).is_some()));
        let error = baseline(&name, &[row("7.9.1")]).unwrap_err();
        assert!(format!("{error:#}").contains("new/7.9.csv: No such file"));
        let plain = dir.path().join("x.csv").display().to_string();
        assert!(save(&plain, &rows).is_err());
        assert!(save(&plain, &rows[..1]).is_ok());
        let both = ["6.16".to_owned(), "7.3".to_owned()];
        assert!(check(None, Some(&plain), Some(&both)).is_err());
        assert!(check(Some(&name), Some(&name), Some(&both)).is_ok());
        let more = ["7.3".to_owned(), "7.9".to_owned()];
        assert!(check(Some(&name), None, Some(&more)).is_err(), "before any machine is booted");
        assert!(check(Some(&plain), Some(&plain), None).is_ok());
        std::fs::write(&plain, "nonsense\n").unwrap();
        assert!(check(Some(&plain), None, None).is_err());
    }
}
