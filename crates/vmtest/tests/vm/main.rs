// SPDX-License-Identifier: GPL-2.0-or-later
//! What needs a real kernel: `rota` in virtual machines, on every supported kernel.
//!
//! Tests share boots: one machine for each kernel and shape, started when the first test needs
//! it. Emulation is single-threaded, since that decides between pass and fail. A machine that
//! cannot boot fails the test that wanted it.
//!
//! A test is named `topic::name::kernel`; `cargo test -p rota-vmtest --test vm -- run::` runs
//! some, `-- 7.3` those of one kernel.

mod answers;
mod bpf;
mod calls;
mod calls_places;
mod compare;
mod doctor;
mod domains;
mod domains_load;
mod eject;
mod examples;
mod fair;
mod fair_decisions;
mod fair_placement;
mod fair_shares;
mod fair_traces;
mod foreign;
mod guest;
mod load;
mod record;
mod restored;
mod run;
mod scenarios;
mod sched_ext;
mod topology;
mod tutorial;
mod types;
mod verify;

use guest::{Guest, Place, Pool};
use libtest_mimic::{Arguments, Failed, Trial};
use rota_vmtest::Pins;
use std::process::ExitCode;
use std::sync::Arc;

/// A test: it gets a machine that runs its kernel.
type Test = fn(&mut Guest) -> Result<(), Failed>;

/// Tests that run on every supported kernel, on four CPUs.
const EVERY_KERNEL: &[(&str, Test)] = &[
    ("run::survives_load", run::survives_load),
    ("fair::weights_decide", fair::weights_decide),
    ("run::leaves_on_signals", run::leaves_on_signals),
    ("run::sigkill_restores_the_default", run::sigkill_restores_the_default),
    ("run::a_second_one_is_refused", run::a_second_one_is_refused),
    ("eject::stall", eject::stall),
    ("eject::sysrq", eject::sysrq),
    ("eject::error_of_its_own", eject::error_of_its_own),
    ("eject::exit_of_its_own", eject::exit_of_its_own),
    ("eject::without_a_record", eject::without_a_record),
    ("eject::hotplug_reloads", eject::hotplug_reloads),
    ("eject::hotplug_without_reload", eject::hotplug_without_reload),
    ("eject::too_many_reloads", eject::too_many_reloads),
    ("eject::taken_off_by_somebody", eject::taken_off_by_somebody),
    ("run::two_capabilities_suffice", run::two_capabilities_suffice),
    ("doctor::a_kernel_that_can", doctor::a_kernel_that_can),
    ("examples::every_case", examples::every_case),
    ("bpf::says_what_bpftool_says", bpf::says_what_bpftool_says),
    ("calls::on_every_kernel", calls_places::on_every_kernel),
    ("record::simple", record::simple),
    ("record::domains", record::domains),
    ("record::comes_and_goes", record::comes_and_goes),
    ("types::are_the_kernels", types::are_the_kernels),
    ("answers::equal_the_kernels", answers::equal_the_kernels),
    ("verify::equals_veristat", verify::equals_veristat),
    ("verify::holds_the_baseline", verify::holds_the_baseline),
    ("verify::worse_fails_the_gate", verify::worse_fails_the_gate),
    ("verify::explains_rejections", verify::explains_rejections),
];

/// Tests that run on the newest kernel only, with the shape that they want: what takes long and
/// does not change between kernels, and what is about user space.
const NEWEST: &[(&str, &str, u32, Test)] = &[
    ("fair::the_lightest_is_served", "4", 1, fair::the_lightest_is_served),
    ("fair::changes_from_outside", "4", 1, fair::changes_from_outside),
    ("fair::fifo_ignores_weights", "4", 1, fair::fifo_ignores_weights),
    ("fair::who_comes_back_gets_no_more", "4", 1, fair::who_comes_back_gets_no_more),
    ("fair_placement::caches", "counted 2s:2l:2c", 2, |guest| {
        fair_placement::every_number(guest, "2s:2l:2c")
    }),
    ("fair_placement::threads", "counted 2s:2c:2t", 2, |guest| {
        fair_placement::every_number(guest, "2s:2c:2t")
    }),
    ("fair_decisions::caches", "counted 2s:2l:2c", 2, |guest| {
        fair_decisions::every_decision(guest, "caches", "2s:2l:2c")
    }),
    ("fair_decisions::threads", "counted 2s:2c:2t", 2, |guest| {
        fair_decisions::every_decision(guest, "threads", "2s:2c:2t")
    }),
    ("fair_shares::caches", "counted 2s:2l:2c", 2, |guest| {
        fair_shares::every_share(guest, "2s:2l:2c")
    }),
    ("fair_shares::threads", "counted 2s:2c:2t", 2, |guest| {
        fair_shares::every_share(guest, "2s:2c:2t")
    }),
    ("fair_decisions::cores", "counted 4c:2t", 1, |guest| {
        fair_decisions::every_decision(guest, "cores", "4c:2t")
    }),
    ("domains::survives_hotplug", "2s:4c", 2, domains::survives_hotplug),
    ("domains::infeasible_weights", "counted 2s:4c", 2, domains_load::infeasible_weights),
    ("domains::nested_cgroups", "counted 2s:4c", 2, domains_load::nested_cgroups),
    ("domains::memory_policy", "counted 2s:4c", 2, domains_load::memory_policy),
    ("domains::settings_and_few_places", "counted 2s:4c", 2, domains::settings_and_few_places),
    ("domains::plans_as_simulated", "counted 2s:4c", 2, domains::plans_as_simulated),
    ("fair_traces::every_pick", "counted 1", 1, fair_traces::every_pick),
    ("calls::are_those_of_the_kernel", "counted 1", 1, calls::are_those_of_the_kernel),
    ("calls::callbacks", "counted 1", 1, calls::callbacks),
    ("calls::nothing_stays", "counted 1", 1, calls::nothing_stays),
    ("calls::lines", "counted 1", 1, calls_places::lines),
    ("calls::texts", "counted 1", 1, calls_places::texts),
    ("calls::as_perfetto", "counted 1", 1, calls_places::as_perfetto),
    ("load::agrees_with_the_simulator", "counted 1", 1, load::agrees_with_the_simulator),
    ("load::weights_are_set", "counted 1", 1, load::weights_are_set),
    ("load::realtime_comes_first", "counted 1", 1, load::realtime_comes_first),
    ("compare::schedulers_take_turns", "counted 1", 1, compare::schedulers_take_turns),
    ("compare::who_gives_up_wins_nothing", "counted 1", 1, compare::who_gives_up_wins_nothing),
    ("compare::one_at_a_time", "counted 1", 1, compare::one_at_a_time),
    ("run::serves_statistics", "4", 1, run::serves_statistics),
    ("run::tells_the_service_manager", "4", 1, run::tells_the_service_manager),
    ("run::json_lines", "4", 1, run::json_lines),
    ("run::bad_input", "4", 1, run::bad_input),
    ("topology::flat", "4", 1, topology::agrees_with_lscpu),
    ("topology::smt_and_sockets", "2s:2c:2t", 1, topology::agrees_with_lscpu),
    ("topology::nodes", "8,sockets=4,cores=2", 2, topology::agrees_with_lscpu),
    ("examples::every_door", "4", 1, examples::every_door),
    ("scenarios::the_same_bytes", "4", 1, scenarios::the_same_bytes),
    ("foreign::run_on_a_simulated_machine", "4", 1, foreign::run_on_a_simulated_machine),
    ("verify::refuses_what_is_reported", "4", 1, verify::refuses_what_is_reported),
    ("tutorial::from_nothing_to_a_scheduler", "4", 1, tutorial::from_nothing_to_a_scheduler),
];

/// Tests that run on the oldest and on the newest kernel: between them lies all that differs.
const OLDEST_AND_NEWEST: &[(&str, &str, u32, Test)] = &[
    ("scenarios::flat", "4", 1, |guest| scenarios::every_one(guest, "4c")),
    ("scenarios::smt", "2s:2c:2t", 2, |guest| scenarios::every_one(guest, "2s:2c:2t")),
    ("scenarios::caches", "2s:2l:2c", 2, |guest| scenarios::every_one(guest, "2s:2l:2c")),
    ("scenarios::nodes", "3s:2c", 3, |guest| scenarios::every_one(guest, "3s:2c")),
];

/// So many machines work at a time, if `--test-threads` doesn't say: each keeps one core busy at
/// most, and often waits.
const MACHINES: usize = 4;

/// Kernels before the newest whose fair class is compared with the model's.
const FAIR_BEFORE: &[&str] = &["6.18"];

/// Kernels whose type information has broken kfunc prototypes.
const BROKEN: &[&str] = &["7.1", "7.2"];

/// Adds a test: its name, what it shares a machine with, the kernel, the shape and its nodes.
type Add<'a> = dyn FnMut(String, &'static str, String, &'static str, u32, Test) + 'a;

/// Whether the command line asks for a test of this name.
fn is_wanted(arguments: &Arguments, name: &str) -> bool {
    let meets = |filter: &String| {
        if arguments.exact { name == filter } else { name.contains(filter.as_str()) }
    };
    arguments.filter.as_ref().is_none_or(meets) && !arguments.skip.iter().any(meets)
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let machines = arguments.test_threads.unwrap_or(MACHINES);
    let pool = Arc::new(Pool::new(machines));
    let (mut trials, wanted) = (Vec::new(), arguments.clone());
    // What only the newest kernel runs has a machine of its own, beside the one there that runs
    // what every kernel does.
    let mut add = |name: String,
                   lane: &'static str,
                   kernel: String,
                   smp: &'static str,
                   nodes: u32,
                   test: Test| {
        let place = Place { kernel, smp, nodes, lane };
        if is_wanted(&wanted, &name) {
            pool.expect(&place);
        }
        let (pool, told) = (Arc::clone(&pool), name.clone());
        trials.push(Trial::test(name, move || pool.with(&told, &place, test)));
    };
    let newest = Pins::embedded().newest().series.clone();
    // The longest tests first.
    let oldest = Pins::embedded().supported().next().map(|pin| pin.series.clone());
    let (longest, shorter) = OLDEST_AND_NEWEST.split_at(1);
    let scenarios = |list: &[(&str, &'static str, u32, Test)], add: &mut Add<'_>| {
        for (name, smp, nodes, test) in list {
            for series in oldest.iter().chain([&newest]) {
                add(format!("{name}::{series}"), "scenarios", series.clone(), smp, *nodes, *test);
            }
        }
    };
    scenarios(longest, &mut add);
    for (name, test) in EVERY_KERNEL {
        for pin in Pins::embedded().supported() {
            add(format!("{name}::{}", pin.series), "every", pin.series.clone(), "4", 1, *test);
        }
    }
    scenarios(shorter, &mut add);
    for (name, smp, nodes, test) in NEWEST {
        add(format!("{name}::{newest}"), "newest", newest.clone(), smp, *nodes, *test);
    }
    for series in FAIR_BEFORE {
        let (name, smp) = (format!("fair_traces::every_pick::{series}"), "counted 1");
        add(name, "fair", (*series).to_owned(), smp, 1, fair_traces::every_pick_before);
    }
    for series in BROKEN {
        let name = format!("doctor::broken_prototypes::{series}");
        add(name, "broken", (*series).to_owned(), "4", 1, doctor::broken_prototypes);
    }
    // Tests wait for their machine and its turn: no thread that waits keeps another from work.
    arguments.test_threads = Some(trials.len());
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    pool.tell_the_longest();
    code
}
