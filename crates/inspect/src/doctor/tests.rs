// SPDX-License-Identifier: GPL-2.0-or-later
//! Facts made by hand, and what is said about them.

use super::proto::fits;
use super::tiny_btf::Writer;
use super::{
    Candidate, Diagnosis, Extern, Facts, Finding, KernelBtf, KernelConfig, LoadFacts,
    SchedExtFacts, Status, TracingFacts, examine,
};
use rota_kernel::{BpfProbe, Capabilities, Holder, Holders};
use rota_object::{Btf, BtfError, TypeId};
use rota_topology::{MemoryTree, Topology};
use std::collections::BTreeSet;

const MEMBERS: [&str; 3] = ["enqueue", "dispatch", "cgroup_init"];

/// What to write into a kernel's type information.
#[derive(Clone, Copy, PartialEq)]
enum Kernel {
    Good,
    /// The tool forgot `scx_bpf_create_dsq`, which has kept its hidden parameter.
    Forgotten,
    /// It forgot one that the candidate does not call.
    ForgottenOther,
    /// Its `scx_bpf_create_dsq` takes something else.
    Changed,
    /// It lacks `scx_bpf_create_dsq`.
    Lacking,
    NoSchedExt,
}

fn kernel(kind: Kernel) -> KernelBtf {
    let mut w = Writer::new();
    let int = w.int();
    let aux = w.structure("bpf_prog_aux", &["id"]);
    let aux = w.pointer(aux);
    w.structure("typical", &[]);
    if kind != Kernel::NoSchedExt {
        w.structure("sched_ext_ops", &MEMBERS);
        let short = [("dsq_id", int), ("node", int)];
        let long = [short[0], short[1], ("aux", aux)];
        let kick = w.function("scx_bpf_kick_cpu", &[("cpu", int)]);
        w.tag("bpf_kfunc", kick);
        match kind {
            Kernel::Forgotten => {
                w.function("scx_bpf_create_dsq", &long);
            }
            Kernel::Changed => {
                w.function("scx_bpf_create_dsq", &[("dsq_id", aux), ("node", int)]);
            }
            Kernel::Lacking => {}
            _ => {
                w.function("scx_bpf_create_dsq", &short);
                w.function("scx_bpf_create_dsq_impl", &long);
            }
        }
        if kind == Kernel::ForgottenOther {
            let other = w.function("bpf_other", &[("aux", aux)]);
            w.tag("bpf_kfunc", other);
            // Neither a function of the kernel's own nor the older way with `__prog` counts.
            w.function("bpf_check", &[("aux", aux)]);
            let older = w.function("bpf_older", &[("aux__prog", aux)]);
            w.tag("bpf_kfunc", older);
        }
    }
    KernelBtf::Read { bytes: w.blob().len(), btf: w.btf() }
}

/// A scheduler that calls three functions, one of which it can do without.
fn candidate() -> Candidate {
    let mut w = Writer::new();
    let int = w.int();
    let create = w.proto(&[("id", int), ("node", int)]);
    let kick = w.proto(&[("cpu", int)]);
    let external = |name: &str, proto, weak| Extern { name: name.into(), proto, weak };
    Candidate {
        name: "tiny".into(),
        externs: vec![
            external("scx_bpf_create_dsq", create, false),
            external("scx_bpf_kick_cpu___mine", kick, false),
            external("scx_bpf_new___v2", kick, true),
        ],
        callbacks: vec!["enqueue".into(), "dispatch".into()],
        btf: Some(w.btf()),
    }
}

fn capabilities(hex: &str) -> Option<Capabilities> {
    Capabilities::from_status(&format!("CapEff:\t{hex}"))
}

fn state(scheduler: Option<&str>) -> Option<SchedExtFacts> {
    Some(SchedExtFacts {
        state: if scheduler.is_some() { "enabled" } else { "disabled" }.into(),
        scheduler: scheduler.map(str::to_owned),
        enable_seq: Some(2),
        nr_rejected: Some(0),
    })
}

fn machine() -> Topology {
    "2l:4c:2t".parse::<rota_topology::Spec>().unwrap().topology()
}

/// A machine on which nothing is wrong, and root.
fn good() -> Facts {
    Facts {
        release: Some("7.3.4+deb13-cloud-amd64".into()),
        sysfs: true,
        sched_ext: state(None),
        config: None,
        config_gz: true,
        btf: kernel(Kernel::Good),
        schedulers: vec![candidate()],
        capabilities: capabilities("000001ffffffffff"),
        uid: Some(0),
        user_namespace: false,
        bpf: Some(BpfProbe { works: true, ring_buffer: true }),
        unprivileged_bpf: Some("2".into()),
        jit: Some("1".into()),
        lockdown: Some("[none] integrity confidentiality".into()),
        holders: Holders::default(),
        tracing: TracingFacts {
            tracefs: Some("/sys/kernel/tracing".into()),
            tracefs_readable: true,
            sched_events: true,
            kprobe_events: true,
            symbols: Some(BTreeSet::from([
                "register_kprobe",
                "register_fprobe_ips",
                "register_ftrace_direct",
                "bpf_trampoline_link_prog",
                "ringbuf_map_alloc",
            ])),
            paranoid: Some("2".into()),
            counters: vec!["cpu".into()],
            energy: vec!["powercap"],
        },
        cgroup2: Some("/sys/fs/cgroup".into()),
        cgroup2_controllers: Some("cpuset cpu io memory pids".into()),
        cgroup1_cpu: false,
        topology: Some(Ok(rota_topology::Reading { topology: machine(), warnings: Vec::new() })),
        load: LoadFacts { realtime_limit: Some(0), cgroup2_writable: true, schedstat: true },
    }
}

fn find<'a>(diagnosis: &'a Diagnosis, id: &str) -> &'a Finding {
    diagnosis.findings.iter().find(|f| f.id == id).unwrap_or_else(|| panic!("no finding {id}"))
}

/// Spoils the good machine, and expects one finding with a status and words in it.
#[track_caller]
fn check(spoil: impl FnOnce(&mut Facts), id: &str, status: Status, blocks: bool, words: &[&str]) {
    let mut facts = good();
    spoil(&mut facts);
    let diagnosis = examine(&facts);
    let finding = find(&diagnosis, id);
    assert_eq!(finding.status, status, "{finding:?}");
    assert_eq!(finding.blocks.is_some(), blocks, "{finding:?}");
    assert_eq!(diagnosis.can_run, diagnosis.findings.iter().all(|f| f.blocks.is_none()));
    let advice = finding.advice.as_deref().unwrap_or_default();
    let all = format!("{} {} {advice}", finding.found, finding.means);
    for word in words {
        assert!(all.contains(word), "{word} is not in {all}");
    }
}

use Status::{Missing, Ok as Fine, Unknown, Warn};

#[test]
fn a_good_machine() {
    let diagnosis = examine(&good());
    assert_eq!(diagnosis.verdict, "this machine can run schedulers");
    assert!(diagnosis.can_run);
    for finding in &diagnosis.findings {
        // The options of its kernel are compressed, so nobody looks at them.
        let expected = if finding.id == "kernel_config" { Unknown } else { Fine };
        assert_eq!(finding.status, expected, "{finding:?}");
    }
    let ids: BTreeSet<_> = diagnosis.findings.iter().map(|f| &f.id).collect();
    assert_eq!(ids.len(), diagnosis.findings.len());
}

#[test]
fn the_shape_of_json() {
    let value = serde_json::to_value(examine(&good())).unwrap();
    assert_eq!(value["schema"], "rota-doctor/1");
    assert_eq!(value["can_run"], true);
    assert_eq!(value["kernel"], "7.3.4+deb13-cloud-amd64");
    assert_eq!(value["scheduler"], serde_json::Value::Null);
    let first = &value["findings"][0];
    assert_eq!(first["id"], "kernel_version");
    assert_eq!(first["status"], "ok");
    assert_eq!(first["advice"], serde_json::Value::Null);
    assert_eq!(first["blocks"], serde_json::Value::Null);
}

#[test]
fn kernel_versions() {
    let with = |release: &'static str| move |f: &mut Facts| f.release = Some(release.into());
    let id = "kernel_version";
    check(with("6.18.44-x"), id, Fine, false, &["6.18 is tested"]);
    check(with("6.17.13"), id, Warn, false, &["untested"]);
    check(with("8.0-rc1"), id, Warn, false, &["untested"]);
    check(with("6.1.0-50-amd64"), id, Missing, false, &["6.12"]);
    check(with("next"), id, Unknown, false, &[]);
    check(|f| f.release = None, id, Unknown, false, &["/proc"]);
}

#[test]
fn a_kernel_without_sched_ext() {
    let spoil = |f: &mut Facts| {
        f.sched_ext = None;
        f.btf = kernel(Kernel::NoSchedExt);
    };
    check(
        spoil,
        "sched_ext",
        Missing,
        true,
        &["no struct sched_ext_ops", "CONFIG_SCHED_CLASS_EXT"],
    );
    check(spoil, "kfunc_prototypes", Unknown, false, &["not compared"]);
    check(spoil, "scheduler_tiny", Unknown, false, &["not compared"]);
    let mut facts = good();
    spoil(&mut facts);
    let verdict = examine(&facts).verdict;
    let expected = "this machine can't run schedulers: this kernel has no sched_ext \
                    (CONFIG_SCHED_CLASS_EXT); it needs Linux 6.12 or later built with it. rota sim and \
                    rota compare work here all the same, on simulated machines";
    assert_eq!(verdict, expected);
}

#[test]
fn sched_ext_that_cannot_be_seen() {
    let id = "sched_ext";
    check(|f| f.sched_ext = None, id, Missing, true, &["built with it", "container"]);
    let nothing = |f: &mut Facts| {
        (f.sched_ext, f.sysfs, f.btf) = (None, false, KernelBtf::Absent);
    };
    check(nothing, id, Unknown, true, &["/sys is not mounted"]);
    let config = |text: &'static str| {
        move |f: &mut Facts| {
            nothing(f);
            f.config = Some(KernelConfig::parse("/boot/config", text));
        }
    };
    check(config("CONFIG_SCHED_CLASS_EXT=y"), id, Missing, true, &["built with it"]);
    check(config("CONFIG_BPF=y"), id, Missing, true, &["not set in /boot/config"]);
}

#[test]
fn configurations() {
    let id = "kernel_config";
    let with = |text: &'static str| {
        move |f: &mut Facts| f.config = Some(KernelConfig::parse("/boot/config", text))
    };
    let needed = "CONFIG_SCHED_CLASS_EXT=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\n\
                  CONFIG_DEBUG_INFO_BTF=y\n";
    check(with("CONFIG_BPF_JIT=y"), id, Missing, false, &["CONFIG_BPF_SYSCALL"]);
    check(with(needed), id, Warn, false, &["CONFIG_EXT_GROUP_SCHED", "CONFIG_PERF_EVENTS"]);
    let all = "CONFIG_SCHED_CLASS_EXT=y\nCONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\n\
               CONFIG_DEBUG_INFO_BTF=y\nCONFIG_EXT_GROUP_SCHED=y\nCONFIG_KPROBES=y\n\
               CONFIG_FPROBE=y\nCONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS=y\n\
               CONFIG_PERF_EVENTS=y\n";
    check(with(all), id, Fine, false, &["/boot/config"]);
    check(|f| f.config_gz = false, id, Warn, false, &["__kconfig"]);
}

#[test]
fn type_information() {
    let with = |btf: KernelBtf| move |f: &mut Facts| f.btf = btf;
    let damaged = |error| KernelBtf::Damaged { bytes: 5_515_646, error };
    let cut = damaged(BtfError::Truncated(77, "the types"));
    check(with(KernelBtf::Absent), "btf", Missing, true, &["CONFIG_DEBUG_INFO_BTF"]);
    check(with(KernelBtf::Unreadable), "btf", Missing, true, &["cannot be read"]);
    check(with(cut), "btf", Missing, true, &["5.2 MiB", "ends at byte 77"]);
    check(with(damaged(BtfError::Kind(9, 30))), "btf", Warn, false, &["unknown kind 30"]);
    check(|_| {}, "btf", Fine, false, &["types, sound"]);
    check(with(KernelBtf::Absent), "kfunc_prototypes", Unknown, false, &["not compared"]);
}

#[test]
fn forgotten_hidden_parameters() {
    let with = |kind| move |f: &mut Facts| f.btf = kernel(kind);
    let id = "kfunc_prototypes";
    check(with(Kernel::Good), id, Fine, false, &["2 functions"]);
    let words = ["1 function", "scx_bpf_create_dsq", "resolve_btfids", "pahole", "tiny", "another"];
    check(with(Kernel::Forgotten), id, Missing, true, &words);
    check(with(Kernel::Forgotten), "scheduler_tiny", Missing, false, &["other prototypes"]);
    check(
        with(Kernel::ForgottenOther),
        id,
        Warn,
        false,
        &["1 function", "bpf_other", "none of them"],
    );
    check(with(Kernel::ForgottenOther), "scheduler_tiny", Fine, false, &[]);
}

#[test]
fn other_differences_of_types() {
    let with = |kind| move |f: &mut Facts| f.btf = kernel(kind);
    let id = "kfunc_prototypes";
    check(with(Kernel::Changed), id, Missing, true, &["other prototypes", "scx_bpf_create_dsq"]);
    check(with(Kernel::Lacking), id, Missing, true, &["not there: scx_bpf_create_dsq"]);
    check(with(Kernel::Lacking), "scheduler_tiny", Missing, false, &["lacks scx_bpf_create_dsq"]);
    let callback = |f: &mut Facts| f.schedulers[0].callbacks.push("dump_task".into());
    check(callback, "scheduler_tiny", Warn, false, &["dump_task", "never calls"]);
    // One that can be loaded is enough for the machine to run schedulers.
    let two = |f: &mut Facts| {
        f.btf = kernel(Kernel::Forgotten);
        f.schedulers.push(Candidate { name: "modest".into(), externs: vec![], ..candidate() });
    };
    check(two, id, Missing, false, &["concerns tiny"]);
    check(two, "scheduler_modest", Fine, false, &[]);
}

#[test]
fn prototypes_that_fit() {
    let mut w = Writer::new();
    let int = w.int();
    let (defined, declared) = (w.structure("s", &[]), w.forward("s"));
    let (defined, declared) = (w.pointer(defined), w.pointer(declared));
    let protos = [
        w.proto(&[]),
        w.proto(&[("a", int)]),
        w.proto(&[("a", defined)]),
        w.proto(&[("a", declared)]),
        w.proto(&[("a", int), ("b", int)]),
    ];
    let other_name = w.proto(&[("b", int)]);
    let btf: Btf = w.btf();
    let check = |a: TypeId, b: TypeId| fits((&btf, a), (&btf, b));
    for (i, &a) in protos.iter().enumerate() {
        for (j, &b) in protos.iter().enumerate() {
            assert_eq!(check(a, b), i == j, "{i} {j}");
        }
    }
    assert!(check(protos[1], other_name));
    // A pointer to itself is damage, and fits nothing.
    let mut w = Writer::new();
    let endless = w.pointer(TypeId(2));
    let btf = w.btf();
    assert!(!fits((&btf, endless), (&btf, endless)));
}

#[test]
fn users() {
    let id = "capabilities";
    let with = |uid, hex: &'static str| {
        move |f: &mut Facts| {
            (f.uid, f.capabilities) = (Some(uid), capabilities(hex));
            f.bpf = None;
        }
    };
    check(with(65534, "0"), id, Missing, true, &["user 65534", "CAP_BPF", "as root"]);
    check(with(1000, "000000c000000000"), id, Warn, false, &["CAP_PERFMON, CAP_BPF; without"]);
    check(with(0, "000001fffeffffff"), id, Fine, false, &["; without CAP_SYS_RESOURCE"]);
    check(|f| f.capabilities = None, id, Unknown, false, &["/proc"]);
    let mut facts = good();
    with(65534, "0")(&mut facts);
    assert!(examine(&facts).verdict.starts_with("this user can't run schedulers: no permission"));
    let nested = |works| {
        move |f: &mut Facts| {
            f.user_namespace = true;
            f.bpf = Some(BpfProbe { works, ring_buffer: works });
        }
    };
    check(nested(false), id, Missing, true, &["user namespace"]);
    check(nested(true), id, Missing, false, &["user namespace"]);
}

#[test]
fn the_bpf_call() {
    let id = "bpf_syscall";
    let works = |works| Some(BpfProbe { works, ring_buffer: works });
    check(|f| f.bpf = works(false), id, Missing, true, &["seccomp"]);
    check(|f| f.bpf = None, id, Unknown, false, &["not tried"]);
    check(|f| (f.bpf, f.unprivileged_bpf) = (None, None), id, Missing, true, &["BPF_SYSCALL"]);
    let id = "unprivileged_bpf";
    check(|f| f.unprivileged_bpf = Some("0".into()), id, Warn, false, &["any user"]);
    check(|f| f.unprivileged_bpf = Some("1".into()), id, Fine, false, &["next boot"]);
    check(|f| f.unprivileged_bpf = None, id, Unknown, false, &[]);
    let id = "bpf_jit";
    check(|f| f.jit = Some("0".into()), id, Missing, true, &["bpf_jit_enable=1"]);
    check(|f| f.jit = Some("2".into()), id, Warn, false, &["log"]);
    check(|f| f.jit = None, id, Unknown, false, &["container"]);
    let without = |f: &mut Facts| {
        f.jit = None;
        f.config = Some(KernelConfig::parse("x", "CONFIG_BPF=y"));
    };
    check(without, id, Missing, true, &["CONFIG_BPF_JIT"]);
    let always = |f: &mut Facts| {
        f.jit = None;
        f.config = Some(KernelConfig::parse("x", "CONFIG_BPF_JIT_ALWAYS_ON=y"));
    };
    check(always, id, Fine, false, &["always on"]);
}

#[test]
fn locked_down() {
    let with = |text: &'static str| move |f: &mut Facts| f.lockdown = Some(text.into());
    let id = "lockdown";
    check(with("none [integrity] confidentiality"), id, Fine, false, &["integrity"]);
    check(with("none integrity [confidentiality]"), id, Missing, true, &["kernel memory"]);
    check(with("none [new]"), id, Unknown, false, &["new"]);
    check(|f| f.lockdown = None, id, Fine, false, &["securityfs"]);
}

#[test]
fn somebody_is_there_already() {
    let id = "attached_scheduler";
    let held = |found: Vec<Holder>, hidden| {
        move |f: &mut Facts| {
            f.sched_ext = state(Some("simple"));
            f.holders = Holders { found, hidden };
        }
    };
    let holder = |pid, comm: &str, link| Holder { pid, comm: comm.into(), map_id: 1, link };
    let both = vec![holder(7, "bpftool", false), holder(42, "rota", true)];
    check(
        held(both.clone(), 0),
        id,
        Warn,
        false,
        &["simple", "held by rota (pid 42)", "kill -INT 42"],
    );
    check(held(both[..1].to_vec(), 0), id, Warn, false, &["bpftool (pid 7)"]);
    check(held(vec![], 0), id, Warn, false, &["without an owning process", "pin"]);
    check(held(vec![], 9), id, Warn, false, &["9 processes hidden", "as root"]);
    let mut facts = good();
    held(both, 0)(&mut facts);
    let diagnosis = examine(&facts);
    assert_eq!(diagnosis.scheduler.as_deref(), Some("simple"));
    assert!(diagnosis.can_run && diagnosis.verdict.contains("simple, has to be taken off"));
    let coming = |f: &mut Facts| {
        f.sched_ext = state(None).map(|s| SchedExtFacts { state: "enabling".into(), ..s });
    };
    check(coming, id, Warn, false, &["enabling"]);
    let rejected = |f: &mut Facts| {
        f.sched_ext = state(None).map(|s| SchedExtFacts { nr_rejected: Some(3), ..s });
    };
    check(rejected, "sched_ext_history", Warn, false, &["2 schedulers", "3 times"]);
}

#[test]
fn tracing() {
    let nobody = |f: &mut Facts| f.capabilities = capabilities("0");
    check(|f| f.tracing.tracefs_readable = false, "tracefs", Warn, false, &["closed"]);
    check(|f| f.tracing.tracefs = None, "tracefs", Missing, false, &["mount -t tracefs"]);
    check(|f| f.tracing.sched_events = false, "tracepoints", Missing, false, &["none"]);
    let closed = |f: &mut Facts| {
        (f.tracing.sched_events, f.tracing.tracefs_readable) = (false, false);
    };
    check(closed, "tracepoints", Unknown, false, &[]);
    let bare = |f: &mut Facts| f.tracing.symbols = Some(BTreeSet::new());
    let silent = |f: &mut Facts| f.tracing.symbols = None;
    check(silent, "kprobes", Fine, false, &["in the kernel"]);
    let silent = |f: &mut Facts| (f.tracing.symbols, f.tracing.kprobe_events) = (None, false);
    for id in ["kprobes", "kprobe_multi", "fentry"] {
        check(bare, id, Missing, false, &["CONFIG_"]);
        check(silent, id, Unknown, false, &["kallsyms"]);
        check(nobody, id, Warn, false, &["CAP_PERFMON"]);
    }
    let old = |f: &mut Facts| f.bpf = Some(BpfProbe { works: true, ring_buffer: false });
    check(old, "ring_buffer", Missing, false, &["5.8"]);
    check(nobody, "perf_events", Warn, false, &["paranoid=2", "without the kernel's part"]);
    check(|f| f.tracing.paranoid = None, "perf_events", Missing, false, &[]);
    check(|f| f.tracing.counters.clear(), "hardware_counters", Missing, false, &["virtual"]);
    check(|f| f.tracing.energy.clear(), "energy", Missing, false, &["no source"]);
}

#[test]
fn groups() {
    let id = "cgroup2";
    check(|f| f.cgroup2 = None, id, Missing, false, &["not mounted"]);
    check(|f| f.cgroup2_controllers = None, id, Unknown, false, &[]);
    let hybrid = |f: &mut Facts| {
        (f.cgroup2_controllers, f.cgroup1_cpu) = (Some(String::new()), true);
    };
    check(hybrid, id, Warn, false, &["cgroup v1"]);
    check(|f| f.cgroup2_controllers = Some("cpuset io".into()), id, Warn, false, &["without"]);
    check(|_| {}, "cgroup_scheduling", Fine, false, &[]);
}

#[test]
fn cpus() {
    let id = "topology";
    check(|_| {}, id, Fine, false, &["16 CPUs online, 8 cores, up to 2 threads a core, 2 LLCs"]);
    check(|f| f.topology = Some(Err("no CPU".into())), id, Missing, false, &["no CPU"]);
    let poor = |f: &mut Facts| {
        let mut tree = MemoryTree::default();
        tree.insert("devices/system/cpu/online", "0-1");
        tree.insert("devices/system/cpu/cpu0/topology/core_id", "0");
        tree.insert("devices/system/cpu/cpu1/topology/core_id", "1");
        f.topology = Some(Topology::from_sysfs(&tree).map_err(|e| e.to_string()));
    };
    check(poor, id, Warn, false, &["2 CPUs", "assumed"]);
}

#[test]
fn what_rota_load_needs() {
    let none = "0000000000000000";
    let id = "load_realtime";
    check(|f| f.capabilities = capabilities(none), id, Warn, false, &["not allowed", "ulimit -r"]);
    let limited = |f: &mut Facts| {
        f.capabilities = capabilities(none);
        f.load.realtime_limit = Some(95);
    };
    check(limited, id, Fine, false, &["up to priority 95"]);
    let id = "load_weights";
    check(|f| f.load.cgroup2_writable = false, id, Warn, false, &["leaves weights", "root"]);
    check(|f| f.cgroup2_controllers = None, id, Warn, false, &["no cgroup v2 with the cpu"]);
    check(|f| f.load.schedstat = false, "load_counters", Warn, false, &["schedstat"]);
}
