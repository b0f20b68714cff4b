// SPDX-License-Identifier: GPL-2.0-or-later
//! Which programs the commands need, and in which packages they are.

use crate::install::Purpose;

/// One needed program and where to get it.
pub(crate) struct Tool {
    /// Any of these programs will do. An absolute path is for programs that are not on `PATH`.
    pub(crate) programs: &'static [&'static str],
    /// These do as well where `programs` can't be had, and always where nothing is tested.
    pub(crate) instead: &'static [&'static str],
    /// What it is for.
    pub(crate) what_for: &'static str,
    /// Debian packages; the first that the system knows is installed.
    pub(crate) apt: &'static [&'static str],
    /// The package of Fedora and its relatives; a hint only.
    pub(crate) dnf: &'static str,
    /// The package of Arch and its relatives; a hint only.
    pub(crate) pacman: &'static str,
    /// The least purpose that needs it; those above it do as well.
    pub(crate) from: Purpose,
}

/// The oldest clang that compiles the BPF programs.
pub(crate) const CLANG_OLDEST: u32 = 16;
/// The clang whose code and whose formatting the tests expect.
pub(crate) const CLANG_PINNED: u32 = 19;
/// The formatter of that version.
pub(crate) const CLANG_FORMAT: &str = "clang-format-19";

/// Every program that is needed for anything.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        programs: &["clang-19"],
        instead: &["clang-18", "clang-17", "clang-16", "clang-20", "clang-21", "clang-22", "clang"],
        what_for: "compiles the BPF programs",
        apt: &["clang-19", "clang-18", "clang-17", "clang-16", "clang"],
        dnf: "clang",
        pacman: "clang",
        from: Purpose::Demo,
    },
    Tool {
        programs: &[CLANG_FORMAT],
        instead: &["clang-format"],
        what_for: "checks the format of C code (version 19; also: pip install clang-format==19.*)",
        apt: &[CLANG_FORMAT],
        dnf: "clang-tools-extra",
        pacman: "clang",
        from: Purpose::Test,
    },
    Tool {
        programs: &["python3"],
        instead: &[],
        what_for: "reads what Rota writes, as others do, in tests",
        apt: &["python3-venv"],
        dnf: "python3",
        pacman: "python",
        from: Purpose::Test,
    },
    Tool {
        programs: &["tmux"],
        instead: &[],
        what_for: "is the terminal of tests",
        apt: &["tmux"],
        dnf: "tmux",
        pacman: "tmux",
        from: Purpose::Test,
    },
    Tool {
        programs: &["qemu-system-x86_64"],
        instead: &[],
        what_for: "boots the virtual machines",
        apt: &["qemu-system-x86"],
        dnf: "qemu-system-x86-core",
        pacman: "qemu-system-x86",
        from: Purpose::Machine,
    },
    Tool {
        programs: &["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"],
        instead: &[],
        what_for: "shares the host's files with the virtual machines",
        // Debian 12 has it in QEMU's package, later ones in its own.
        apt: &["virtiofsd", "qemu-system-common"],
        dnf: "virtiofsd",
        pacman: "virtiofsd",
        from: Purpose::Machine,
    },
    build_tool(&["gcc"], &["gcc"], "gcc", "gcc"),
    build_tool(&["g++"], &["g++"], "gcc-c++", "gcc"),
    build_tool(&["make"], &["make"], "make", "make"),
    build_tool(&["pkg-config", "pkgconf"], &["pkg-config", "pkgconf"], "pkgconf", "pkgconf"),
    build_tool(&["autoconf"], &["autoconf"], "autoconf", "autoconf"),
    build_tool(&["automake"], &["automake"], "automake", "automake"),
    build_tool(&["libtoolize"], &["libtool"], "libtool", "libtool"),
    build_tool(&["m4"], &["m4"], "m4", "m4"),
    build_tool(&["gettext"], &["gettext"], "gettext", "gettext"),
    build_tool(&["autopoint"], &["autopoint"], "gettext-devel", "gettext"),
    build_tool(&["bison"], &["bison"], "bison", "bison"),
    build_tool(&["flex"], &["flex"], "flex", "flex"),
    build_tool(&["gawk"], &["gawk"], "gawk", "gawk"),
    Tool {
        programs: &["stress-ng"],
        instead: &[],
        what_for: "load in the virtual machines",
        apt: &["stress-ng"],
        dnf: "stress-ng",
        pacman: "stress-ng",
        from: Purpose::Machine,
    },
    Tool {
        programs: &["hackbench"],
        instead: &[],
        what_for: "load in the virtual machines",
        apt: &["rt-tests"],
        dnf: "realtime-tests",
        pacman: "rt-tests",
        from: Purpose::Test,
    },
    Tool {
        programs: &["/usr/sbin/slurmctld", "slurmctld"],
        instead: &[],
        what_for: "runs parts of a comparison as a job array",
        apt: &["slurmctld"],
        dnf: "slurm-slurmctld",
        pacman: "slurm-llnl",
        from: Purpose::Test,
    },
    Tool {
        programs: &["/usr/sbin/slurmd", "slurmd"],
        instead: &[],
        what_for: "the same: it is the node",
        apt: &["slurmd"],
        dnf: "slurm-slurmd",
        pacman: "slurm-llnl",
        from: Purpose::Test,
    },
    Tool {
        programs: &["sbatch"],
        instead: &[],
        what_for: "the same: it hands the jobs in",
        apt: &["slurm-client"],
        dnf: "slurm",
        pacman: "slurm-llnl",
        from: Purpose::Test,
    },
    Tool {
        programs: &["/usr/sbin/munged", "munged"],
        instead: &[],
        what_for: "the same: its daemons trust each other by this",
        apt: &["munge"],
        dnf: "munge",
        pacman: "munge",
        from: Purpose::Test,
    },
    Tool {
        programs: &["chromium"],
        instead: &["chromium-browser", "google-chrome", "chrome"],
        what_for: "shows the pages of rota compare",
        apt: &["chromium", "chromium-browser"],
        dnf: "chromium",
        pacman: "chromium",
        from: Purpose::Test,
    },
    Tool {
        programs: &["perf"],
        instead: &[],
        what_for: "what our own tables are compared with",
        apt: &["linux-perf", "linux-tools-generic"],
        dnf: "perf",
        pacman: "perf",
        from: Purpose::Test,
    },
    Tool {
        programs: &["bpftool"],
        instead: &[],
        what_for: "what our own lists are compared with",
        apt: &["bpftool", "linux-tools-common"],
        dnf: "bpftool",
        pacman: "bpf",
        from: Purpose::Test,
    },
    Tool {
        programs: &["trace-cmd"],
        instead: &[],
        what_for: "writes recordings that Rota reads, in tests",
        apt: &["trace-cmd"],
        dnf: "trace-cmd",
        pacman: "trace-cmd",
        from: Purpose::Test,
    },
    Tool {
        programs: &["zstd"],
        instead: &[],
        what_for: "unpacks kernels, which then boot faster",
        apt: &["zstd"],
        dnf: "zstd",
        pacman: "zstd",
        from: Purpose::Machine,
    },
    Tool {
        programs: &["xz"],
        instead: &[],
        what_for: "unpacks the source of a kernel",
        apt: &["xz-utils"],
        dnf: "xz",
        pacman: "xz",
        from: Purpose::Test,
    },
    util_linux(
        &["setpriv"],
        "starts the programs of a virtual machine; tests drop privileges",
        Purpose::Machine,
    ),
    util_linux(&["lscpu"], "what `rota topology` is compared with", Purpose::Test),
];

/// What the static build of libbpf, libelf and zlib runs.
const fn build_tool(
    programs: &'static [&'static str],
    apt: &'static [&'static str],
    dnf: &'static str,
    pacman: &'static str,
) -> Tool {
    let what_for = "builds libbpf and libelf from source";
    Tool { programs, instead: &[], what_for, apt, dnf, pacman, from: Purpose::Demo }
}

const fn util_linux(
    programs: &'static [&'static str],
    what_for: &'static str,
    from: Purpose,
) -> Tool {
    let apt: &[&str] = const { &["util-linux"] };
    let (dnf, pacman) = (apt[0], apt[0]);
    Tool { programs, instead: &[], what_for, apt, dnf, pacman, from }
}
