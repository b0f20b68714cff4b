// SPDX-License-Identifier: GPL-2.0-or-later
//! Installing what a command needs, through the system's package manager.

use std::fmt::Write;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::output::say;
use crate::process::{find_program, succeeds};
use crate::tools::{CLANG_OLDEST, CLANG_PINNED, TOOLS, Tool};

/// What programs are wanted for. Each needs what those before it need, and more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// Building Rota and simulating.
    Demo,
    /// Virtual machines.
    Machine,
    /// Tests, with pinned versions.
    Test,
}

/// Installs what is missing. Costs nothing but a look along `PATH` when all is there.
pub(crate) fn ensure(purpose: Purpose) -> Result<()> {
    let debian = is_debian(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    let apt = debian && find_program("apt-get").is_some();
    // Elsewhere the pinned versions may not be to be had: then the others are welcome.
    let lenient = purpose < Purpose::Test || !apt;
    let missing = missing(purpose, lenient);
    if missing.is_empty() {
        return Ok(());
    }
    if !apt {
        bail!("{}", what_to_install(&missing));
    }
    install(&missing)?;
    let left = self::missing(purpose, true);
    if !left.is_empty() {
        bail!("{}", what_to_install(&left));
    }
    if !self::missing(purpose, false).is_empty() {
        say("note: this system has no clang 19; formatting and verifier figures may differ");
    }
    Ok(())
}

/// Makes sure that rustfmt and clippy are there; rustup's minimal profile lacks them.
pub(crate) fn ensure_components() -> Result<()> {
    let is_there = |command: &str| {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args([command, "--version"]).stdin(Stdio::null());
        cargo.stdout(Stdio::null()).stderr(Stdio::null());
        succeeds(&mut cargo).unwrap_or(false)
    };
    if is_there("fmt") && is_there("clippy") {
        return Ok(());
    }
    let add = ["component", "add", "rustfmt", "clippy"];
    if find_program("rustup").is_some() {
        say("rustfmt or clippy is missing; running: rustup component add rustfmt clippy");
        if succeeds(Command::new("rustup").args(add).stdin(Stdio::null()))? {
            return Ok(());
        }
    }
    bail!(
        "rustfmt or clippy is missing: run `rustup {}`, or install your system's packages of them",
        add.join(" ")
    )
}

fn missing(purpose: Purpose, lenient: bool) -> Vec<&'static Tool> {
    let is_there = |name: &str| match name {
        // Who names a clang gets that one; the build script checks it.
        "clang-19" if std::env::var_os("ROTA_CLANG").is_some() => true,
        "clang" => plain_clang_is_new_enough(),
        name => find_program(name).is_some(),
    };
    missing_by(purpose, lenient, is_there)
}

fn missing_by(
    purpose: Purpose,
    lenient: bool,
    is_there: impl Fn(&str) -> bool,
) -> Vec<&'static Tool> {
    let wanted = TOOLS.iter().filter(|tool| tool.from <= purpose);
    let any = |names: &[&str]| names.iter().any(|name| is_there(name));
    wanted.filter(|tool| !(any(tool.programs) || lenient && any(tool.instead))).collect()
}

fn plain_clang_is_new_enough() -> bool {
    if find_program("clang").is_none() {
        return false;
    }
    let output = Command::new("clang").arg("--version").stdin(Stdio::null()).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    major_version(&String::from_utf8_lossy(&text)).is_some_and(|major| major >= CLANG_OLDEST)
}

/// Whether a clang tool says that it is of the pinned version.
pub(crate) fn is_pinned_clang(version_text: &str) -> bool {
    major_version(version_text) == Some(CLANG_PINNED)
}

/// The 19 of "Debian clang version 19.1.7 (3~deb12u1)".
fn major_version(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("version ")?;
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn install(missing: &[&Tool]) -> Result<()> {
    let programs: Vec<&str> = missing.iter().map(|tool| tool.programs[0]).collect();
    say(&format!("missing: {}", programs.join(", ")));
    if !is_root() && find_program("sudo").is_none() {
        bail!("installing needs root, and there is no sudo; {}", what_to_install(missing));
    }
    if !succeeds(&mut apt_get(&["update", "-q"]))? {
        say("apt-get update failed; trying with the package lists that are there");
    }
    let mut packages: Vec<&str> = missing.iter().filter_map(|tool| first_known(tool.apt)).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let mut args = vec!["install", "-y", "-q", "--no-install-recommends"];
    args.extend(&packages);
    if !succeeds(&mut apt_get(&args))? {
        bail!("apt-get could not install: {}", packages.join(" "));
    }
    Ok(())
}

/// An `apt-get` command that asks no questions, through sudo if need be, announced to the user.
fn apt_get(args: &[&str]) -> Command {
    let mut words: Vec<&str> = Vec::new();
    if !is_root() {
        words.push("sudo");
    }
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    // Another installation may be under way.
    words.extend(["-o", "DPkg::Lock::Timeout=300"]);
    words.extend(args);
    say(&format!("running: {}", words.join(" ")));
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    // The kernel gives /proc/self to the effective user of the process.
    std::fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

fn first_known(packages: &[&'static str]) -> Option<&'static str> {
    packages.iter().copied().find(|package| {
        let mut show = Command::new("apt-cache");
        show.args(["show", "--no-all-versions", package]);
        show.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        succeeds(&mut show).unwrap_or(false)
    })
}

fn is_debian(os_release: &str) -> bool {
    let values = os_release.lines().filter_map(|line| line.split_once('='));
    let names = values.filter(|(key, _)| ["ID", "ID_LIKE"].contains(key));
    names.flat_map(|(_, value)| value.trim_matches(['"', '\'']).split(' ')).any(|id| id == "debian")
}

fn what_to_install(missing: &[&Tool]) -> String {
    let mut text = String::from("please install these programs:\n");
    for tool in missing {
        let _ = writeln!(text, "  {:<24} {}", tool.programs[0], tool.what_for);
    }
    let line = |name: fn(&Tool) -> &str| {
        let mut packages: Vec<&str> = missing.iter().map(|tool| name(tool)).collect();
        packages.sort_unstable();
        packages.dedup();
        packages.join(" ")
    };
    let _ = writeln!(text, "on Debian and Ubuntu: apt-get install {}", line(|tool| tool.apt[0]));
    let _ = writeln!(text, "on Fedora:            dnf install {}", line(|tool| tool.dnf));
    let _ = write!(text, "on Arch:              pacman -S {}", line(|tool| tool.pacman));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs(missing: &[&Tool]) -> Vec<&'static str> {
        missing.iter().map(|tool| tool.programs[0]).collect()
    }

    #[test]
    fn nothing_is_missing_where_all_is_there() {
        assert!(missing_by(Purpose::Test, false, |_| true).is_empty());
        assert_eq!(missing_by(Purpose::Test, true, |_| false).len(), TOOLS.len());
    }

    #[test]
    fn another_clang_is_enough_for_the_demo_only() {
        let others = |name: &str| name != "clang-19";
        assert!(missing_by(Purpose::Demo, true, others).is_empty());
        assert_eq!(programs(&missing_by(Purpose::Test, false, others)), ["clang-19"]);
        let no_gawk = |name: &str| name != "gawk";
        assert_eq!(programs(&missing_by(Purpose::Demo, true, no_gawk)), ["gawk"]);
    }

    #[test]
    fn the_demo_does_without_the_tools_of_the_tests() {
        let no_perf = |name: &str| name != "perf" && name != "clang-format-19";
        assert!(missing_by(Purpose::Machine, false, no_perf).is_empty());
        let no_qemu = |name: &str| name != "qemu-system-x86_64" && name != "zstd";
        assert!(missing_by(Purpose::Demo, false, no_qemu).is_empty());
        assert_eq!(missing_by(Purpose::Machine, false, no_qemu).len(), 2);
    }

    #[test]
    fn knows_debian_and_its_relatives() {
        assert!(is_debian("NAME=\"Debian GNU/Linux\"\nID=debian\n"));
        assert!(is_debian("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"));
        assert!(!is_debian("ID=fedora\nNAME=debian\n"));
        assert!(!is_debian(""));
    }

    #[test]
    fn reads_versions() {
        assert_eq!(major_version("Debian clang version 14.0.6\nTarget: x"), Some(14));
        assert!(is_pinned_clang("clang-format version 19.1.7 (3)"));
        assert!(!is_pinned_clang("clang-format version 190.1"));
        assert!(!is_pinned_clang("no number"));
    }

    #[test]
    fn unknown_systems_get_a_list() {
        let text = what_to_install(&missing_by(Purpose::Test, true, |name| name != "gcc"));
        assert!(text.contains("dnf install gcc") && text.contains("pacman -S gcc"), "{text}");
    }
}
