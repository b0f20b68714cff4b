// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a scheduler ended, in plain words, with what the kernel said.

use crate::exit::Exit;
use crate::output::{self, Format};
use crate::run::Args;
use crate::run::server::{Server, file_name};
use anyhow::Result;
use rota_kernel::Host;
use rota_object::{ExitCause, ExitInfo};
use std::fs;
use std::path::{Path, PathBuf};

/// Version of the JSON form.
const SCHEMA: &str = "rota-exit/1";
const DUMP_FOLDER: &str = "/run/rota";

/// It is in charge: of what, and where its statistics are.
pub(crate) fn started(name: &str, host: &Host, server: Option<&Server>) -> Result<()> {
    let release = host.proc_text("sys/kernel/osrelease").unwrap_or_default();
    let cpus = host.topology()?.topology.online().count();
    let place = server.map_or(String::new(), |s| format!("; statistics on {}", s.path().display()));
    Ok(output::line(&format!("{name} schedules {cpus} CPUs of Linux {release}{place}"))?)
}

/// It ended as it was asked to.
pub(crate) fn asked(name: &str, why: &str, ran_ns: u64, format: Format) -> Result<()> {
    match format {
        Format::Table => {
            let seconds = ran_ns as f64 / 1e9;
            output::line(&format!("{name} was taken off after {seconds:.1} s ({why})"))?;
        }
        Format::Json => output::line(
            &serde_json::json!({
                "schema": SCHEMA, "scheduler": name, "cause": "asked", "asked_by": why,
                "ran_ns": ran_ns, "exit_code": 0,
            })
            .to_string(),
        )?,
    }
    Ok(())
}

/// It ended in a way that asks for another start, as when a CPU comes or goes.
pub(crate) fn reloading(name: &str, info: &ExitInfo, format: Format) -> Result<()> {
    match format {
        Format::Table => {
            output::line(&format!("{name} is loaded again: {} ({})", plain_words(info), info.msg))?;
        }
        Format::Json => output::line(
            &serde_json::json!({
                "schema": SCHEMA, "scheduler": name, "cause": word(info.cause()), "reloads": true,
                "reason": info.reason, "msg": info.msg,
            })
            .to_string(),
        )?,
    }
    Ok(())
}

/// It was ejected: what happened, what the kernel said, what to do.
pub(crate) fn ejected(name: &str, info: &ExitInfo, exit: Exit, args: &Args) -> Result<()> {
    let kept = if args.format == Format::Table || args.dump.is_some() {
        keep_dump(name, info, args.dump.as_deref())
    } else {
        None
    };
    if args.format == Format::Json {
        if let Some(kept) = kept {
            output::note(&kept);
        }
        return Ok(output::line(&json(name, info, exit).to_string())?);
    }
    output::line(&lines(name, info, exit).join("\n"))?;
    if let Some(kept) = kept {
        output::note(&kept);
    }
    Ok(())
}

/// An ejection in JSON.
pub(crate) fn json(name: &str, info: &ExitInfo, exit: Exit) -> serde_json::Value {
    let task = info.task().map(|(comm, pid)| serde_json::json!({ "comm": comm, "pid": pid }));
    serde_json::json!({
        "schema": SCHEMA, "scheduler": name, "cause": word(info.cause()),
        "kind": info.kind, "code": info.code, "reason": info.reason, "msg": info.msg,
        "task": task, "cpu": info.cpu, "dump": info.dump,
        "exit_code": exit.code(),
    })
}

/// An ejection in words: what happened, what the kernel said, what to do.
pub(crate) fn lines(name: &str, info: &ExitInfo, exit: Exit) -> Vec<String> {
    let mut said = info.reason.clone();
    if !info.msg.is_empty() {
        said += &format!(": {}", info.msg);
    }
    let mut lines = vec![
        format!("{name} ended: {}", plain_words(info)),
        format!("  the kernel said: {said} (kind {}, code {:#x})", info.kind, info.code),
    ];
    if let Some((comm, pid)) = info.task() {
        lines.push(format!("  task: {comm}, pid {pid}"));
    }
    if let Some(cpu) = info.cpu {
        lines.push(format!("  CPU: {cpu}"));
    }
    lines.push(format!("  what to do: {}", advice(info.cause(), exit)));
    lines
}

/// A program was refused by the verifier: its last words, and a guess at the cause.
pub(crate) fn refused(program: &str, log: &str) {
    output::note(&rota_inspect::rejection_text(program, log));
}

/// Keeps the kernel's dump, if there is one; the words that say where.
pub(crate) fn keep_dump(name: &str, info: &ExitInfo, file: Option<&Path>) -> Option<String> {
    if info.dump.is_empty() {
        return None;
    }
    let default = || PathBuf::from(DUMP_FOLDER).join(format!("{}.dump", file_name(name)));
    let path = file.map_or_else(default, Path::to_owned);
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let path_shown = path.display();
    Some(match folder.and_then(|()| fs::write(&path, &info.dump)) {
        Ok(()) => {
            format!("  the kernel's dump: {path_shown} ({} lines)", info.dump.lines().count())
        }
        // What the kernel said must not get lost because a file can't be written.
        Err(error) => {
            format!("rota: {path_shown}: {error}; the kernel's dump follows\n{}", info.dump)
        }
    })
}

/// One word for the cause, which scripts may rely on.
fn word(cause: ExitCause) -> &'static str {
    match cause {
        ExitCause::Detached => "detached",
        ExitCause::Bpf => "bpf_exit",
        ExitCause::Kernel => "kernel",
        ExitCause::Hotplug => "hotplug",
        ExitCause::Sysrq => "sysrq",
        ExitCause::Parent => "parent",
        ExitCause::Error => "error",
        ExitCause::BpfError => "bpf_error",
        ExitCause::Stall => "stall",
        ExitCause::Reenqueue => "reenqueue",
        ExitCause::Rescue => "rescue",
        ExitCause::Unknown => "unknown",
    }
}

/// What happened, as one would tell it.
fn plain_words(info: &ExitInfo) -> String {
    let task = info.task().map_or("a task".to_owned(), |(comm, pid)| format!("{comm} (pid {pid})"));
    match info.cause() {
        ExitCause::Detached => "somebody else took it off".into(),
        ExitCause::Bpf => {
            format!("it ended itself, with code {}", info.code.cast_unsigned() & 0xffff_ffff)
        }
        ExitCause::Kernel => "the kernel took it off".into(),
        ExitCause::Hotplug => "a CPU came or went".into(),
        ExitCause::Sysrq => "somebody pressed SysRq-S".into(),
        ExitCause::Parent => "the scheduler above it ended".into(),
        ExitCause::Error => "it did something that the kernel does not allow".into(),
        ExitCause::BpfError => "it reported an error of its own".into(),
        ExitCause::Stall => format!("{task} was ready to run and did not get a CPU in time"),
        ExitCause::Reenqueue => {
            format!("{task} was sent back to it again and again without running")
        }
        ExitCause::Rescue => "the kernel had to rescue tasks from it for too long".into(),
        ExitCause::Unknown if info.kind == 0 => "it was taken off, and recorded no reason".into(),
        ExitCause::Unknown => {
            format!("the kernel gave a reason that rota doesn't know ({})", info.kind)
        }
    }
}

fn advice(cause: ExitCause, exit: Exit) -> &'static str {
    match cause {
        _ if exit == Exit::GaveUp => {
            "find out what keeps ending it; --reloads and --reload-within say how often is too often"
        }
        ExitCause::Detached => "see who else loads schedulers (rota doctor names the owner)",
        ExitCause::Bpf => "the code and the message are the scheduler's own",
        ExitCause::Kernel | ExitCause::Unknown => "see the kernel's message and its log (dmesg)",
        ExitCause::Hotplug => "start it again, or leave out --no-reload",
        ExitCause::Sysrq => "nothing; it was a person's wish. Start it again when you like",
        ExitCause::Parent => "start the scheduler above it first",
        ExitCause::Error => "it is a fault of the scheduler: the message names the broken rule",
        ExitCause::BpfError => "it is the scheduler's own check: see where it says this",
        ExitCause::Stall => {
            "it is a fault of the scheduler: look for the task in the dump, and for the queue it \
             is in; does every dispatch serve that queue, on a CPU the task may use?"
        }
        ExitCause::Reenqueue => "it is a fault of the scheduler: it must place the task elsewhere",
        ExitCause::Rescue => "it is a fault of the scheduler: it keeps tasks from running",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn info(kind: u64) -> ExitInfo {
        ExitInfo {
            kind,
            code: 7,
            cpu: None,
            reason: String::new(),
            msg: "victim[5] failed to run for 2.0s".into(),
            dump: String::new(),
        }
    }

    #[test]
    fn every_kind_has_its_own_words() {
        let kinds = [64, 65, 66, 67, 68, 1024, 1025, 1026, 1027, 1028, 4711];
        let words: BTreeSet<_> = kinds.iter().map(|&k| plain_words(&info(k))).collect();
        assert_eq!(words.len(), kinds.len());
        let names: BTreeSet<_> = kinds.iter().map(|&k| word(info(k).cause())).collect();
        assert_eq!(names.len(), kinds.len());
        assert!(plain_words(&info(1026)).starts_with("victim (pid 5)"));
    }
}
