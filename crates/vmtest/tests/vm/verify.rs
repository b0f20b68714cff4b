// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota verify`: against veristat, against its own baseline, and on what the kernel refuses.

use crate::guest::{Guest, contains, ensure};
use libtest_mimic::Failed;
use object::{Object as _, ObjectSection};
use rota_programs::{simple, test};
use std::collections::BTreeMap;
use std::path::Path;

/// Columns that two tools must agree on, by veristat's names.
const SAME: [&str; 5] =
    ["verdict", "total_insns", "total_states", "peak_states", "max_states_per_insn"];

pub(crate) fn equals_veristat(guest: &mut Guest) -> Result<(), Failed> {
    let veristat = rota_vmtest::veristat(&guest.cache, &mut |_| ())?;
    let fifo = with_fifo(simple::OBJECT)?;
    let objects: [(&str, &[u8]); 10] = [
        ("simple", simple::OBJECT),
        ("fifo", &fifo),
        ("stall", test::STALL),
        ("doors", test::DOORS),
        ("worse", test::WORSE_SIMPLE),
        ("loop", test::REJECT_LOOP),
        ("null", test::REJECT_NULL),
        ("reference", test::REJECT_REFERENCE),
        ("kfunc", test::REJECT_KFUNC),
        ("stack", test::REJECT_STACK),
    ];
    let mut compared = 0;
    for (name, bytes) in objects {
        let path = guest.put(&format!("{name}.bpf.o"), bytes)?;
        let ours = guest.run(&format!("rota verify {path} --format csv"))?;
        let tool = veristat.display();
        let theirs = guest.expect(0, &format!("{tool} --quiet --output-format=csv {path}"))?;
        let (mut ours, mut theirs) = (table(&ours.stdout)?, table(&theirs)?);
        if ours.values().any(|row| row[0] == "failure") {
            // veristat stops at the first rejection in a table of callbacks and counts programs
            // that it did not get to as failures of 0 instructions; ours verifies each.
            let unreached = ["failure", "0", "0", "0", "0"];
            theirs.retain(|_, row| *row != unreached);
            ensure(!theirs.is_empty(), || format!("{name}: veristat reached nothing"))?;
            ours.retain(|program, _| theirs.contains_key(program));
        }
        ensure(ours == theirs, || format!("{name}: rota {ours:#?}\nveristat {theirs:#?}"))?;
        compared += ours.len();
    }
    // A setting and the same value written into the object give the same figures.
    let by_setting = guest.expect(0, "rota verify simple --set fifo=true --format csv")?;
    let path = guest.put("fifo.bpf.o", &fifo)?;
    let in_object = guest.expect(0, &format!("rota verify {path} --format csv"))?;
    ensure(table(&by_setting)? == table(&in_object)?, || format!("{by_setting}\n{in_object}"))?;
    ensure(compared > 30, || format!("only {compared} programs compared"))
}

/// `simple` with `fifo` set in its read-only data.
fn with_fifo(bytes: &[u8]) -> Result<Vec<u8>, Failed> {
    let parsed = rota_object::Object::parse(bytes)?;
    let fifo = parsed.global("fifo").ok_or("no global fifo")?;
    let file = object::File::parse(bytes)?;
    let section = file.section_by_name(&fifo.section).ok_or("no such section")?;
    let (start, _) = section.file_range().ok_or("no bytes in it")?;
    let mut patched = bytes.to_vec();
    patched[(start + fifo.offset) as usize] = 1;
    Ok(patched)
}

/// The columns that count, by program.
fn table(csv: &str) -> Result<BTreeMap<String, Vec<String>>, Failed> {
    let mut lines = csv.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let header = lines.next().ok_or("nothing was printed")?;
    let column = |name: &str| {
        let found = header.iter().position(|h| *h == name);
        found.ok_or_else(|| Failed::from(format!("no column {name} in {header:?}")))
    };
    let program = column("prog_name")?;
    let wanted = SAME.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    let row = |l: Vec<&str>| {
        let cells = wanted.iter().map(|&c| l[c].to_owned()).collect();
        (l[program].to_owned(), cells)
    };
    Ok(lines.map(row).collect())
}

/// The figures of every scheduler on this kernel, as they were blessed. `cargo xtask bless vm`
/// writes them anew.
pub(crate) fn holds_the_baseline(guest: &mut Guest) -> Result<(), Failed> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../data/verify/{}.csv", guest.series));
    if std::env::var_os("BLESS").is_some() {
        let (here, there) = guest.dir("blessed")?;
        guest.expect(0, &format!("rota verify --save {there}/baseline.csv"))?;
        std::fs::create_dir_all(file.parent().ok_or("no folder")?)?;
        std::fs::copy(here.join("baseline.csv"), &file)?;
    }
    let baseline = guest.put("baseline.csv", &std::fs::read(&file)?)?;
    let text = guest.expect(0, &format!("rota verify --baseline {baseline} --max-insns +5%"))?;
    contains(&text, &["0 regressions, 0 new, 0 gone"])
}

pub(crate) fn worse_fails_the_gate(guest: &mut Guest) -> Result<(), Failed> {
    let (here, there) = guest.dir("worse")?;
    std::fs::write(here.join("simple.bpf.o"), test::WORSE_SIMPLE)?;
    let text = guest.expect(
        1,
        &format!(
            "rota verify simple --save {there}/good.csv >/dev/null || exit 3
             rota verify {there}/simple.bpf.o --baseline {there}/good.csv --max-insns +5%"
        ),
    )?;
    contains(&text, &["simple_enqueue", "+"])
}

pub(crate) fn explains_rejections(guest: &mut Guest) -> Result<(), Failed> {
    let cases = [
        ("reject_loop", test::REJECT_LOOP, "unbounded loop", "reject_loop.bpf.c:"),
        ("reject_null", test::REJECT_NULL, "missing NULL check", "reject_null.bpf.c:"),
        (
            "reject_reference",
            test::REJECT_REFERENCE,
            "unreleased reference",
            "reject_reference.bpf.c:",
        ),
        ("reject_kfunc", test::REJECT_KFUNC, "not allowed in this callback", "reject_kfunc.bpf.c:"),
        // The verifier names no line for the sum of all stacks.
        ("reject_stack", test::REJECT_STACK, "too large a stack", "stack depth"),
    ];
    for (name, bytes, cause, step) in cases {
        let path = guest.put(&format!("{name}.bpf.o"), bytes)?;
        let text = guest.expect(1, &format!("rota verify {path} 2>&1"))?;
        contains(&text, &[cause, step])?;
        let run = guest.expect(2, &format!("rota run {path} --for 1s 2>&1"))?;
        contains(&run, &["the verifier refused the program", cause])?;
    }
    contains(&guest.expect(0, "cat /sys/kernel/sched_ext/state")?, &["disabled"])
}
