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
    let mut paths = String::new();
    for (name, bytes) in objects {
        paths += &guest.put(&format!("{name}.bpf.o"), bytes)?;
        paths += " ";
    }
    let ours = guest.run(&format!("rota verify {paths} --format csv"))?;
    let tool = veristat.display();
    let theirs = guest.expect(0, &format!("{tool} --quiet --output-format=csv {paths}"))?;
    let (mut ours, mut theirs) = (table(&ours.stdout)?, table(&theirs)?);
    // veristat stops at the first rejection in a table of callbacks and counts programs that it
    // did not get to as failures of 0 instructions; ours verifies each.
    let unreached = ["failure", "0", "0", "0", "0"];
    theirs.retain(|_, row| *row != unreached);
    for (name, _) in objects {
        let reached = theirs.keys().any(|(of, _)| of == name);
        ensure(reached, || format!("{name}: veristat reached nothing"))?;
        let failed = ours.iter().any(|((of, _), row)| of == name && row[0] == "failure");
        ours.retain(|key, _| !failed || key.0 != name || theirs.contains_key(key));
    }
    ensure(ours == theirs, || format!("rota {ours:#?}\nveristat {theirs:#?}"))?;
    ensure(ours.len() > 30, || format!("only {} programs compared", ours.len()))?;
    // A setting and the same value written into the object give the same figures.
    let text = guest.expect(0, "rota verify simple --set fifo=true --format csv")?;
    let rows = |all: Figures| all.into_iter().map(|((_, program), row)| (program, row));
    let by_setting: Vec<_> = rows(table(&text)?).collect();
    ours.retain(|(file, _), _| file == "fifo");
    let in_object: Vec<_> = rows(ours).collect();
    ensure(by_setting == in_object, || format!("{by_setting:#?}\n{in_object:#?}"))
}

/// The columns that count, by file and program.
type Figures = BTreeMap<(String, String), Vec<String>>;

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

/// A table of either tool.
fn table(csv: &str) -> Result<Figures, Failed> {
    let mut lines = csv.lines().map(|l| l.split(',').collect::<Vec<_>>());
    let header = lines.next().ok_or("nothing was printed")?;
    let column = |name: &str| {
        let found = header.iter().position(|h| *h == name);
        found.ok_or_else(|| Failed::from(format!("no column {name} in {header:?}")))
    };
    let (file, program) = (column("file_name")?, column("prog_name")?);
    let wanted = SAME.iter().map(|name| column(name)).collect::<Result<Vec<_>, _>>()?;
    let row = |l: Vec<&str>| {
        let cells = wanted.iter().map(|&c| l[c].to_owned()).collect();
        // veristat keeps the ending of a file's name, ours shows the scheduler's.
        let name = l[file].trim_end_matches(".bpf.o");
        ((name.to_owned(), l[program].to_owned()), cells)
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
    let mut paths = Vec::new();
    for (name, bytes, ..) in cases {
        paths.push(guest.put(&format!("{name}.bpf.o"), bytes)?);
    }
    let text = guest.expect(1, &format!("rota verify {} 2>&1", paths.join(" ")))?;
    for ((_, _, cause, step), path) in cases.iter().zip(&paths) {
        contains(&text, &[cause, step])?;
        let run = guest.expect(2, &format!("rota run {path} --for 1s 2>&1"))?;
        contains(&run, &["the verifier refused the program", cause])?;
    }
    contains(&guest.expect(0, "cat /sys/kernel/sched_ext/state")?, &["disabled"])
}

/// What a simulated machine reports, since there is no verifier in it, the kernel's verifier
/// refuses, with the words that stand beside it.
pub(crate) fn refuses_what_is_reported(guest: &mut Guest) -> Result<(), Failed> {
    let path = guest.put("report.bpf.o", test::REPORT)?;
    let text = guest.expect(1, &format!("rota verify {path} 2>&1"))?;
    let object = rota_object::Object::parse(test::REPORT)?;
    let mut refused = 0;
    for (program, words) in object.functions_with("refused:") {
        let start = format!("report: {program} on ");
        let found = text.lines().find(|line| line.starts_with(&start));
        let right = found.is_some_and(|line| line.contains(words));
        ensure(right, || format!("{words} expected, not {found:?}"))?;
        refused += 1;
    }
    ensure(refused >= 29, || format!("only {refused} programs were tried"))
}
