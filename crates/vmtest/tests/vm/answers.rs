// SPDX-License-Identifier: GPL-2.0-or-later
//! What Rota says about objects against what a kernel says when they are loaded there: whether it
//! takes them, what is missing if not, and what becomes of their instructions.

use crate::guest::{Guest, build, ensure, target_dir};
use crate::{sched_ext, types};
use libtest_mimic::Failed;
use rota_object::{Image, Insn, KernelTypes, LinkErrors, Object};
use rota_vmtest::Cache;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// What stands before and behind a name where libbpf says what is missing, and what Rota says of it.
const REASONS: [(&str, &str, &str); 14] = [
    ("extern (func ksym) '", "': not found", "has no kfunc {}"),
    ("extern (func ksym) '", "': func_proto", "the kfunc {} has other parameters"),
    ("extern (var ksym) '", "': not found", "has no variable {}"),
    ("extern (var ksym) '", "': incompatible types", "the variable {} has the type"),
    ("extern '", "' (strong): not resolved", "{}"),
    ("init_kern: struct bpf_struct_ops_", " is not found", "no table of callbacks {}"),
    ("init_kern: struct ", " is not found", "no table of callbacks {}"),
    ("Cannot find member ", " in kernel BTF", "sets the member {}"),
    ("kernel BTF type ID of '", "'", " {}"),
    ("map '", "': failed to create", "the map {} "),
    ("prog '", "': bad map relo against", "{}: it takes the address of a program"),
    ("prog '", "': relo #", "{} jumps through a table"),
    ("prog '", "': missing BPF prog type", "{}: no loader knows"),
    ("prog '", "': SEC(\"struct_ops\") program isn't referenced", "{}: no table of callbacks"),
];

/// What a kernel said to an object.
#[derive(Default)]
struct Said {
    verdict: String,
    /// The instructions of each program, as libbpf relocated them.
    programs: BTreeMap<String, Vec<Insn>>,
    words: String,
}

pub(crate) fn equal_the_kernels(guest: &mut Guest) -> Result<(), Failed> {
    let subjects = subjects(&guest.cache)?;
    let (here, there) = guest.dir("objects")?;
    for (name, bytes) in &subjects {
        std::fs::write(here.join(format!("{name}.bpf.o")), bytes)?;
    }
    build(&["--workspace", "--example", "answers"])?;
    let program = target_dir()?.join("examples/answers").display().to_string();
    let said = said(&guest.expect(0, &format!("{program} {there}"))?)?;
    let kernels = [KernelTypes::builtin(&guest.series)?, types::of(guest)?];
    let core = said.get("core").map_or(0, |core| core.programs.len());
    ensure(core == 5, || format!("{core} programs about all kinds of relocation"))?;
    let kept = rota(&here, &subjects)?;
    let mut wrong = Vec::new();
    for (name, bytes) in &subjects {
        let said = said.get(*name).ok_or_else(|| format!("{name} was not tried"))?;
        let kept = Answer::read(&kept[*name], &guest.series)?;
        let all = Answer::of_link(&Object::parse(bytes)?.link(&kernels[1]));
        let problem = [&kept, &all].into_iter().find_map(|answer| differ(said, answer));
        let problem = problem.or_else(|| instructions(bytes, &kernels, said));
        wrong.extend(problem.map(|p| format!("{name}: {p}\n{kept:#?}\n{all:#?}\n{}", said.words)));
    }
    ensure(wrong.is_empty(), || wrong.join("\n"))
}

/// Name and bytes of every object of Rota's and of the kernel tree, but for the cases, which another
/// test loads.
fn subjects(cache: &Cache) -> Result<Vec<(&'static str, &'static [u8])>, Failed> {
    let mut all: Vec<(&str, &[u8])> = rota_programs::ALL.to_vec();
    let is_case = |name: &str| rota_programs::test::CASES.iter().any(|(case, _)| *case == name);
    all.extend(rota_programs::test::ALL.iter().filter(|(name, _)| !is_case(name)));
    let theirs = sched_ext::objects(cache)?;
    ensure(theirs.len() >= 8, || format!("only {} objects in tools/sched_ext", theirs.len()))?;
    all.extend(theirs.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    Ok(all)
}

/// What the example `answers` printed, by object.
fn said(text: &str) -> Result<BTreeMap<String, Said>, Failed> {
    let mut all: BTreeMap<String, Said> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["object", name, verdict] => {
                (*name).clone_into(&mut last);
                all.entry(last.clone()).or_default().verdict = (*verdict).to_owned();
            }
            ["program", name, insns] => {
                let insns = insns.as_bytes().chunks(16).map(insn).collect::<Result<_, _>>()?;
                all.entry(last.clone()).or_default().programs.insert((*name).to_owned(), insns);
            }
            _ => {
                let said = all.entry(last.clone()).or_default();
                said.words += line;
                said.words += "\n";
            }
        }
    }
    Ok(all)
}

/// An instruction from sixteen hexadecimal digits.
fn insn(digits: &[u8]) -> Result<Insn, Failed> {
    let number = u64::from_str_radix(std::str::from_utf8(digits)?, 16)?;
    let [code, registers, rest @ ..] = number.to_be_bytes();
    let [off, offset, imm @ ..] = rest;
    Ok(Insn {
        code,
        dst: registers & 15,
        src: registers >> 4,
        off: i16::from_be_bytes([off, offset]),
        imm: i32::from_be_bytes(imm),
    })
}

/// What `rota object` says of each object about each kernel.
fn rota(
    folder: &Path,
    subjects: &[(&str, &[u8])],
) -> Result<&'static BTreeMap<String, Vec<Value>>, Failed> {
    static ANSWERS: OnceLock<Result<BTreeMap<String, Vec<Value>>, String>> = OnceLock::new();
    let ask = |name: &str| -> Result<Vec<Value>, Failed> {
        let mut rota = Command::new(target_dir()?.join("rota"));
        rota.arg("object").arg(folder.join(format!("{name}.bpf.o"))).args(["--format", "json"]);
        let output = rota.output()?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["kernels"].as_array().cloned().unwrap_or_default())
    };
    let answers = ANSWERS.get_or_init(|| {
        let named = |name: &str| Ok((name.to_owned(), ask(name).map_err(|e| format!("{e:?}"))?));
        subjects.iter().map(|(name, _)| named(name)).collect()
    });
    answers.as_ref().map_err(|e| e.clone().into())
}

/// What Rota says about an object and a kernel.
#[derive(Debug, Default)]
struct Answer {
    missing: Vec<String>,
    unknown: Vec<String>,
    without: Vec<String>,
}

impl Answer {
    /// What `rota object` printed about a kernel.
    fn read(kernels: &[Value], series: &str) -> Result<Self, Failed> {
        let found = kernels.iter().find(|k| k["kernel"] == format!("Linux {series}"));
        let found = found.ok_or("no answer about this kernel")?;
        let lines = |key: &str| -> Vec<String> {
            let lines = found[key].as_array().into_iter().flatten();
            lines.filter_map(|l| l.as_str().map(str::to_owned)).collect()
        };
        let [missing, unknown, without] = ["missing", "unknown", "without"].map(lines);
        Ok(Self { missing, unknown, without })
    }

    /// What came of linking it.
    fn of_link(linked: &Result<Image, LinkErrors>) -> Self {
        let mut answer = Self::default();
        let problems = match linked {
            Ok(image) => {
                let poisoned = image.functions.iter().flat_map(|f| f.poisoned.values());
                answer.without = poisoned.cloned().collect();
                &image.unknown
            }
            Err(LinkErrors(errors)) => errors,
        };
        for problem in problems {
            let unknown = problem.problem.is_unknown();
            let list = if unknown { &mut answer.unknown } else { &mut answer.missing };
            list.push(problem.to_string());
        }
        answer
    }
}

/// In what an answer is not the kernel's.
fn differ(said: &Said, answer: &Answer) -> Option<String> {
    if said.verdict != "refused" {
        if !answer.missing.is_empty() {
            return Some("the kernel takes it".into());
        }
        let poison = poison(&said.words)?;
        let known = answer.without.iter().any(|line| line.contains(poison));
        return (!known).then(|| format!("the kernel lacks {poison}"));
    }
    let Some(reason) = said.words.lines().find_map(reason) else {
        return Some("the kernel refuses it in words that this test does not know".into());
    };
    let mut told = answer.missing.iter().chain(&answer.unknown);
    let found = told.any(|line| line.contains(&reason));
    (!found).then(|| format!("the kernel refuses it, which would be: {reason}"))
}

/// The field, type or enumerator that CO-RE did not find: to this, only the verifier objects.
fn poison(words: &str) -> Option<&str> {
    let (_, rest) = words.split_once("failed to resolve CO-RE relocation <")?;
    let (subject, _) = rest.split_once(" (")?;
    subject.rsplit(['.', ' ']).next()
}

/// What Rota would say for a line of libbpf's.
fn reason(line: &str) -> Option<String> {
    REASONS.iter().find_map(|(before, after, ours)| {
        let (_, rest) = line.split_once(before)?;
        let (name, _) = rest.split_once(after)?;
        Some(ours.replace("{}", name))
    })
}

/// The first instruction of a program that Rota makes something else of than libbpf, by the types
/// that it keeps or by all of the kernel's.
fn instructions(bytes: &[u8], kernels: &[KernelTypes; 2], said: &Said) -> Option<String> {
    if said.verdict == "refused" {
        return None;
    }
    kernels.iter().zip([false, true]).find_map(|(kernel, whole)| {
        let image = match Object::parse(bytes).map(|object| object.link(kernel)) {
            Ok(Ok(image)) => image,
            // Whether the kernel takes it is then not known either.
            Ok(Err(LinkErrors(e))) if e.iter().all(|e| e.problem.is_unknown()) => return None,
            other => return Some(format!("libbpf can relocate it, and Rota cannot: {other:?}")),
        };
        // In a part of the types they have other numbers, for which one program asks.
        let comparable = |(name, _): &(&String, &Vec<Insn>)| whole || *name != "types";
        let differs = |(name, theirs): (&String, &Vec<Insn>)| differs(&image, name, theirs);
        said.programs.iter().filter(comparable).find_map(differs)
    })
}

/// Compares a program but for what an instruction names, which becomes a number only when it is
/// loaded. libbpf puts the functions that it calls behind it.
fn differs(image: &Image, name: &str, theirs: &[Insn]) -> Option<String> {
    let entry = image.entries.iter().find(|entry| entry.name == name);
    let Some(entry) = entry else { return Some(format!("Rota does not link {name}")) };
    let ours = &image.functions[entry.function.0 as usize];
    if theirs.len() < ours.insns.len() {
        return Some(format!("{name} has {} instructions", theirs.len()));
    }
    let named = |at: u32| ours.operands.contains_key(&at);
    let pairs = (0..).zip(ours.insns.iter().zip(theirs));
    pairs
        .filter(|(at, _)| !named(*at) && !at.checked_sub(1).is_some_and(named))
        .find(|(_, (ours, theirs))| ours != theirs)
        .map(|(at, (ours, theirs))| format!("{name}, instruction {at}: {ours:?}, not {theirs:?}"))
}
