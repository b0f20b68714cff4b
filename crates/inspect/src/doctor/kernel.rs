// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel was built with.

use super::Finding;
use super::facts::{Facts, KernelBtf, KernelConfig};
use rota_object::{BtfError, EngineError, Refusal, series};

/// The series on which every release of Rota is tested.
const TESTED: [(u32, u32); 4] = [(6, 16), (6, 18), (7, 0), (7, 3)];
const TESTED_WORDS: &str = "6.16, 6.18, 7.0 and 7.3";
/// The first with sched_ext.
const FIRST: (u32, u32) = (6, 12);

const NEW_KERNEL: &str = "Boot a kernel built with CONFIG_SCHED_CLASS_EXT: Debian's \
                          backports kernels from 6.16 on have it, and so have Arch, Fedora and \
                          CachyOS. `rota verify --vm` and `cargo xtask vm` need no such kernel: \
                          they boot one in a virtual machine.";

pub(super) fn findings(facts: &Facts) -> Vec<Finding> {
    vec![version(facts), sched_ext(facts), config(facts), btf(facts)]
}

/// The words with which an engine refuses for this reason.
pub(super) fn words(refusal: Refusal) -> String {
    EngineError::Refused(refusal).to_string()
}

fn version(facts: &Facts) -> Finding {
    const ID: &str = "kernel_version";
    let Some(release) = &facts.release else {
        return Finding::unknown(
            ID,
            "/proc/sys/kernel/osrelease cannot be read",
            "It is not known.",
        )
        .advise("Mount /proc.");
    };
    let Some(series) = series(release) else {
        return Finding::unknown(ID, release, "This is no version that Rota can make sense of.");
    };
    let (major, minor) = series;
    if series < FIRST {
        return Finding::missing(
            ID,
            format!("{release}; sched_ext came with 6.12"),
            "No kernel of this series has sched_ext, unless a distribution has added it.",
        )
        .advise("Boot a newer kernel.");
    }
    if !TESTED.contains(&series) {
        return Finding::warn(
            ID,
            format!("{release}; {major}.{minor} is tried, but untested"),
            format!(
                "Rota is tested on {TESTED_WORDS}. Others mostly work; the findings below say \
                     what this one lacks."
            ),
        );
    }
    Finding::ok(
        ID,
        format!("{release}; {major}.{minor} is tested"),
        "Rota is tested on this series.",
    )
}

fn sched_ext(facts: &Facts) -> Finding {
    const ID: &str = "sched_ext";
    if let Some(found) = &facts.sched_ext {
        let found = format!("in the kernel, {}", found.state);
        return Finding::ok(ID, found, "Schedulers can be attached.");
    }
    let typed = match &facts.btf {
        KernelBtf::Read { btf, .. } => Some(btf.find_struct("sched_ext_ops").is_some()),
        _ => None,
    };
    let configured = facts.config.as_ref().map(|c| c.has("SCHED_CLASS_EXT"));
    if typed == Some(true) || (typed.is_none() && configured == Some(true)) {
        return Finding::missing(
            ID,
            "the kernel was built with it, but /sys/kernel/sched_ext is not there",
            "Its state cannot be read or changed from here.",
        )
        .advise("Mount /sys (mount -t sysfs sysfs /sys); in a container, use the host.")
        .block("/sys/kernel/sched_ext is not to be seen here");
    }
    if !facts.sysfs && typed.is_none() && configured.is_none() {
        return Finding::unknown(ID, "/sys is not mounted", "It cannot be told.")
            .advise("Mount it: mount -t sysfs sysfs /sys.")
            .block("/sys is not mounted");
    }
    let mut found = String::from("no /sys/kernel/sched_ext");
    if typed == Some(false) {
        found += ", and no struct sched_ext_ops among the kernel's types";
    }
    if let (Some(false), Some(config)) = (configured, &facts.config) {
        found += &format!("; CONFIG_SCHED_CLASS_EXT is not set in {}", config.path);
    }
    Finding::missing(
        ID,
        found,
        "No scheduler can be attached to this kernel. Everything that needs no live kernel works.",
    )
    .advise(NEW_KERNEL)
    .block(words(Refusal::NoSchedExt))
}

fn config(facts: &Facts) -> Finding {
    const ID: &str = "kernel_config";
    let Some(config) = &facts.config else {
        return config_elsewhere(facts);
    };
    let needed = ["SCHED_CLASS_EXT", "BPF_SYSCALL", "BPF_JIT", "DEBUG_INFO_BTF"];
    let lacking = lacking(config, &needed);
    if !lacking.is_empty() {
        return Finding::missing(
            ID,
            format!("{}: not set: {}", config.path, lacking.join(", ")),
            "Schedulers need these options.",
        )
        .advise("Boot a kernel built with them.");
    }
    let useful = lacking_useful(config);
    if !useful.is_empty() {
        return Finding::warn(
            ID,
            format!("{}: not set: {}", config.path, useful.join(", ")),
            "Schedulers run; what needs these options (cgroup weights, tracing) does not.",
        );
    }
    Finding::ok(ID, config.path.clone(), "Every option that schedulers and tracers need is set.")
}

fn config_elsewhere(facts: &Facts) -> Finding {
    const ID: &str = "kernel_config";
    if facts.config_gz {
        return Finding::unknown(
            ID,
            "in /proc/config.gz, compressed; which options are set was not looked at",
            "Objects that ask for options (__kconfig) can be loaded.",
        )
        .advise(
            "To have the options checked: zcat /proc/config.gz >FILE, then --kernel-config FILE.",
        );
    }
    let release = facts.release.as_deref().unwrap_or("$(uname -r)");
    Finding::warn(
        ID,
        format!("neither /boot/config-{release} nor /proc/config.gz can be read"),
        "Rota's schedulers don't need it. Objects that ask for the kernel's options (__kconfig), \
         such as scx_bpfland, cannot be loaded.",
    )
    .advise("Put the kernel's configuration there; the package linux-image or linux-base has it.")
}

fn lacking(config: &KernelConfig, options: &[&str]) -> Vec<String> {
    let lacking = options.iter().filter(|o| !config.has(o));
    lacking.map(|o| format!("CONFIG_{o}")).collect()
}

fn lacking_useful(config: &KernelConfig) -> Vec<String> {
    let useful =
        ["EXT_GROUP_SCHED", "KPROBES", "FPROBE", "DYNAMIC_FTRACE_WITH_DIRECT_CALLS", "PERF_EVENTS"];
    lacking(config, &useful)
}

fn btf(facts: &Facts) -> Finding {
    const ID: &str = "btf";
    match &facts.btf {
        KernelBtf::Absent => Finding::missing(
            ID,
            "no /sys/kernel/btf/vmlinux",
            "The loader cannot fit any scheduler to this kernel.",
        )
        .advise("Boot a kernel built with CONFIG_DEBUG_INFO_BTF, and mount /sys.")
        .block(words(Refusal::NoBtf)),
        KernelBtf::Unreadable => Finding::missing(
            ID,
            "/sys/kernel/btf/vmlinux is there, but cannot be read",
            "This user's programs cannot be fitted to the kernel.",
        )
        .advise("Run as root, or let a security policy allow reading it.")
        .block("this user cannot read /sys/kernel/btf/vmlinux"),
        KernelBtf::Damaged { bytes, error: error @ BtfError::Kind(..) } => Finding::warn(
            ID,
            format!("{}, but {error}", mib(*bytes)),
            "The kernel is newer than this version of Rota, which cannot compare types with it. \
             The loader may know better.",
        )
        .advise("Use a newer Rota."),
        KernelBtf::Damaged { bytes, error } => Finding::missing(
            ID,
            format!("{}, damaged: {error}", mib(*bytes)),
            "The loader cannot fit any scheduler to this kernel.",
        )
        .advise("Use another build of the kernel.")
        .block(format!("this kernel's type information is damaged: {error}")),
        KernelBtf::Read { bytes, btf } => Finding::ok(
            ID,
            format!("{}, {} types, sound", mib(*bytes), btf.iter().count() - 1),
            "Programs are fitted to this kernel when they are loaded.",
        ),
    }
}

fn mib(bytes: usize) -> String {
    if bytes < 1 << 20 {
        return format!("{bytes} bytes");
    }
    let tenths = (bytes * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(mib(100), "100 bytes");
        assert_eq!(mib(5_515_646), "5.2 MiB");
    }
}
