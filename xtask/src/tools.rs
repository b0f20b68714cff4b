// SPDX-License-Identifier: GPL-2.0-or-later
//! Which programs the commands need, and in which packages they are.

/// One needed program and where to get it.
pub(crate) struct Tool {
    /// Any of these programs will do. An absolute path is for programs that are not on `PATH`.
    pub(crate) programs: &'static [&'static str],
    /// These do as well where `programs` can't be had, and always for `demo`.
    pub(crate) instead: &'static [&'static str],
    /// What it is for.
    pub(crate) what_for: &'static str,
    /// Debian packages; the first that the system knows is installed.
    pub(crate) apt: &'static [&'static str],
    /// The package of Fedora and its relatives; a hint only.
    pub(crate) dnf: &'static str,
    /// The package of Arch and its relatives; a hint only.
    pub(crate) pacman: &'static str,
    /// Whether `demo` needs it; `test` needs all.
    pub(crate) for_demo: bool,
}

/// The oldest clang that compiles the BPF programs.
pub(crate) const CLANG_OLDEST: u32 = 16;
/// The clang whose code and whose formatting the tests expect.
pub(crate) const CLANG_PINNED: u32 = 19;
/// The formatter of that version.
pub(crate) const CLANG_FORMAT: &str = "clang-format-19";

/// Every program that `demo` or `test` needs.
pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        programs: &["clang-19"],
        instead: &["clang-18", "clang-17", "clang-16", "clang-20", "clang-21", "clang-22", "clang"],
        what_for: "compiles the BPF programs",
        apt: &["clang-19", "clang-18", "clang-17", "clang-16", "clang"],
        dnf: "clang",
        pacman: "clang",
        for_demo: true,
    },
    Tool {
        programs: &[CLANG_FORMAT],
        instead: &["clang-format"],
        what_for: "checks the format of C code (version 19; also: pip install clang-format==19.*)",
        apt: &[CLANG_FORMAT],
        dnf: "clang-tools-extra",
        pacman: "clang",
        for_demo: false,
    },
    Tool {
        programs: &["qemu-system-x86_64"],
        instead: &[],
        what_for: "boots the virtual machines",
        apt: &["qemu-system-x86"],
        dnf: "qemu-system-x86-core",
        pacman: "qemu-system-x86",
        for_demo: true,
    },
    Tool {
        programs: &["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd", "/usr/lib/virtiofsd"],
        instead: &[],
        what_for: "shares the host's files with the virtual machines",
        // Debian 12 has it in QEMU's package, later ones in its own.
        apt: &["virtiofsd", "qemu-system-common"],
        dnf: "virtiofsd",
        pacman: "virtiofsd",
        for_demo: true,
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
        for_demo: true,
    },
    Tool {
        programs: &["hackbench"],
        instead: &[],
        what_for: "load in the virtual machines",
        apt: &["rt-tests"],
        dnf: "realtime-tests",
        pacman: "rt-tests",
        for_demo: false,
    },
    Tool {
        programs: &["chromium"],
        instead: &["chromium-browser", "google-chrome", "chrome"],
        what_for: "shows the pages of rota compare",
        apt: &["chromium", "chromium-browser"],
        dnf: "chromium",
        pacman: "chromium",
        for_demo: false,
    },
    Tool {
        programs: &["perf"],
        instead: &[],
        what_for: "what our own tables are compared with",
        apt: &["linux-perf", "linux-tools-generic"],
        dnf: "perf",
        pacman: "perf",
        for_demo: false,
    },
    Tool {
        programs: &["zstd"],
        instead: &[],
        what_for: "unpacks kernels, which then boot faster",
        apt: &["zstd"],
        dnf: "zstd",
        pacman: "zstd",
        for_demo: true,
    },
    Tool {
        programs: &["xz"],
        instead: &[],
        what_for: "unpacks the source of a kernel",
        apt: &["xz-utils"],
        dnf: "xz",
        pacman: "xz",
        for_demo: false,
    },
    util_linux(
        &["setpriv"],
        "starts the programs of a virtual machine; tests drop privileges",
        true,
    ),
    util_linux(&["lscpu"], "what `rota topology` is compared with", false),
];

/// What the static build of libbpf, libelf and zlib runs.
const fn build_tool(
    programs: &'static [&'static str],
    apt: &'static [&'static str],
    dnf: &'static str,
    pacman: &'static str,
) -> Tool {
    let what_for = "builds libbpf and libelf from source";
    Tool { programs, instead: &[], what_for, apt, dnf, pacman, for_demo: true }
}

const fn util_linux(
    programs: &'static [&'static str],
    what_for: &'static str,
    for_demo: bool,
) -> Tool {
    let apt: &[&str] = const { &["util-linux"] };
    let (dnf, pacman) = (apt[0], apt[0]);
    Tool { programs, instead: &[], what_for, apt, dnf, pacman, for_demo }
}
