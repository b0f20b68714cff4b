// SPDX-License-Identifier: GPL-2.0-or-later
//! The shape of a machine, and the QEMU command line that it becomes.

use std::path::Path;

use crate::host::Host;
use crate::kernels::Kernel;
use crate::smp::Smp;
use crate::{Error, Result};

/// How QEMU emulates several CPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threads {
    /// One thread for all CPUs, in turns. What decides between pass and fail runs this way.
    #[default]
    Single,
    /// One thread a CPU: faster, but the guest's kernel may oops now and then, since a patched
    /// instruction can be seen half-patched.
    Multi,
}

/// The shape of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its CPUs.
    pub smp: Smp,
    /// Its memory in MiB.
    pub memory_mib: u32,
    /// Its NUMA nodes, each with an equal share of the CPUs, in order, and of the memory. With 1
    /// the machine has no NUMA description at all.
    pub nodes: u32,
    /// How its CPUs are emulated.
    pub threads: Threads,
    /// Counts instructions instead of time: one instruction takes 2^N ns, and a run repeats
    /// closely whatever the host's load. Needs [`Threads::Single`].
    pub icount: Option<u8>,
    /// More words for the kernel's command line.
    pub append: String,
}

impl Default for Machine {
    /// Four CPUs that share one cache, 2 GiB, one emulation thread.
    fn default() -> Machine {
        Machine {
            smp: Smp::flat(4),
            memory_mib: 2048,
            nodes: 1,
            threads: Threads::Single,
            icount: None,
            append: String::new(),
        }
    }
}

impl Machine {
    /// The default machine with other CPUs; `smp` as [`Smp`] reads it.
    pub fn shaped(smp: &str) -> Result<Machine> {
        Ok(Machine { smp: smp.parse()?, ..Machine::default() })
    }

    /// The arguments of QEMU. Its working folder holds `fs.sock`, where virtiofsd listens; its
    /// standard input is the control channel; `init` is the guest's first program.
    pub(crate) fn arguments(
        &self,
        host: &Host,
        kernel: &Kernel,
        console: &Path,
        init: &Path,
    ) -> Result<Vec<String>> {
        self.check()?;
        let init = path_word(init)?;
        let smp = self.smp.argument(host.dies_work());
        let threads = match self.threads {
            Threads::Single => "tcg,thread=single",
            Threads::Multi => "tcg,thread=multi",
        };
        let memory = format!("{}M", self.memory_mib);
        let serial = format!("file:{}", path_word(console)?);
        // Whoever measures in there knows by it that time is none.
        let counted = self.icount.map_or(String::new(), |shift| format!(" rota.icount={shift}"));
        let append = format!("{CMDLINE}{counted} {} init=/bin/sh -- {init}", self.append);
        // A guest with Intel's vendor name reads caches as QEMU describes them; with AMD's, SMT
        // siblings would not share a cache. Without `erms` and `fsrm` the kernel and libc do not
        // copy byte by byte, which emulation is slow at. `share=on` memory is what virtiofs needs.
        let fixed = [
            "-no-user-config -nodefaults -display none -no-reboot",
            "-cpu max,la57=off,erms=off,fsrm=off,vendor=GenuineIntel",
            "-chardev socket,id=fs,path=fs.sock -device vhost-user-fs-pci,chardev=fs,tag=rota",
            "-device virtio-serial-pci -chardev socket,id=ctl,fd=0",
            "-device virtserialport,chardev=ctl,name=rota.ctl",
        ];
        let mut args = Vec::new();
        args.extend(fixed.iter().flat_map(|words| words.split(' ')).map(str::to_string));
        let mut option =
            |name: &str, value: &str| args.extend([name.to_string(), value.to_string()]);
        option("-accel", threads);
        option("-smp", &smp);
        option("-m", &memory);
        option("-serial", &serial);
        option("-kernel", &kernel.image.to_string_lossy());
        option("-append", &append);
        if let Some(shift) = self.icount {
            option("-icount", &format!("shift={shift},sleep=off"));
        }
        args.extend(self.memory_arguments());
        Ok(args)
    }

    fn check(&self) -> Result<()> {
        let cpus = self.smp.cpus();
        if self.nodes == 0 || self.nodes > cpus {
            return Err(Error::Usage(format!("{} NUMA nodes for {cpus} CPUs", self.nodes)));
        }
        if self.memory_mib / self.nodes < 128 {
            return Err(Error::Usage(format!("{} MiB is too little memory", self.memory_mib)));
        }
        if self.icount.is_some() && self.threads == Threads::Multi {
            let text = "counting instructions works with one emulation thread only";
            return Err(Error::Usage(text.to_string()));
        }
        Ok(())
    }

    fn memory_arguments(&self) -> Vec<String> {
        let backend =
            |id: u32, mib: u32| format!("memory-backend-memfd,id=mem{id},size={mib}M,share=on");
        let mut args = vec!["-machine".to_string()];
        if self.nodes == 1 {
            let object = backend(0, self.memory_mib);
            args.extend(["q35,memory-backend=mem0".to_string(), "-object".to_string(), object]);
            return args;
        }
        args.push("q35".to_string());
        let cut = |total: u32, node: u32| {
            (u64::from(total) * u64::from(node) / u64::from(self.nodes)) as u32
        };
        let cpus = self.smp.cpus();
        for node in 0..self.nodes {
            let mib = cut(self.memory_mib, node + 1) - cut(self.memory_mib, node);
            let (first, last) = (cut(cpus, node), cut(cpus, node + 1) - 1);
            args.extend(["-object".to_string(), backend(node, mib), "-numa".to_string()]);
            args.push(format!("node,nodeid={node},cpus={first}-{last},memdev=mem{node}"));
        }
        args
    }
}

/// No initrd and no modules: the root file system is the host's, over virtiofs. A panic or an
/// oops ends QEMU at once, since a kernel in that state decides nothing any more. On a busy host the
/// emulated timer may come too late for the kernel's check of it, which would panic. The last three
/// words halve the time to boot.
const CMDLINE: &str = "root=rota rootfstype=virtiofs rw console=ttyS0 loglevel=5 panic=-1 \
    oops=panic nokaslr mitigations=off tsc=reliable clocksource=tsc no_timer_check audit=0 \
    cgroup_no_v1=all random.trust_cpu=on init_on_alloc=0 lsm=bpf cryptomgr.notests";

/// The kernel's command line and QEMU's file arguments know no quoting that holds everywhere.
fn path_word(path: &Path) -> Result<String> {
    let word = path.to_string_lossy().into_owned();
    if word.contains(|c: char| c.is_whitespace() || c == ',' || c == '"') {
        let text = format!(
            "the path `{word}` has a space, comma or quote in it; choose another cache folder with ROTA_CACHE"
        );
        return Err(Error::Environment(text));
    }
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(machine: &Machine) -> String {
        machine.memory_arguments().join(" ")
    }

    #[test]
    fn nodes_share_cpus_and_memory() {
        let flat = Machine::default();
        assert_eq!(
            memory(&flat),
            "-machine q35,memory-backend=mem0 -object memory-backend-memfd,id=mem0,size=2048M,share=on"
        );
        let three = Machine { nodes: 3, memory_mib: 1000, ..Machine::shaped("8").unwrap() };
        let text = memory(&three);
        assert!(text.contains("node,nodeid=0,cpus=0-1,memdev=mem0"), "{text}");
        assert!(text.contains("node,nodeid=1,cpus=2-4,memdev=mem1"), "{text}");
        assert!(text.contains("node,nodeid=2,cpus=5-7,memdev=mem2"), "{text}");
        assert!(text.contains("size=333M") && text.contains("size=334M"), "{text}");
    }

    #[test]
    fn impossible_machines_are_refused() {
        let refused = |machine: Machine| assert!(machine.check().is_err(), "{machine:?}");
        refused(Machine { nodes: 5, ..Machine::default() });
        refused(Machine { nodes: 0, ..Machine::default() });
        refused(Machine { memory_mib: 64, ..Machine::default() });
        refused(Machine { icount: Some(1), threads: Threads::Multi, ..Machine::default() });
        assert!(path_word(Path::new("/a b")).is_err());
    }
}
