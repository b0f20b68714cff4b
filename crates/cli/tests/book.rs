// SPDX-License-Identifier: GPL-2.0-or-later
//! The examples of pages of the book are run, and its tables of what there is are those of the
//! code. `BLESS=1` writes what should stand there.

use rota_compare::{Better, MEASURES, Measure};
use rota_sim::Model;
use rota_topology::Spec;
use rota_workload::rtapp::RtApp;
use rota_workload::{COMMON, DISTRIBUTIONS, WORKLOADS};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn book(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page)
}

/// What a command prints, in a folder that has the objects of the examples.
fn output(line: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("stall.bpf.o"), rota_programs::test::STALL).unwrap();
    let video = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/workloads/video.json");
    fs::copy(video, folder.path().join("video.json")).unwrap();
    let run = |line: &str| {
        let words = line.strip_prefix("$ rota ").unwrap().split_whitespace();
        let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
        command.args(words).current_dir(folder.path()).output().unwrap()
    };
    if line.contains("trace.rota") {
        run("$ rota sim simple --machine 4c --for 1s --trace trace.rota");
    }
    if line.contains("before.rota") {
        let sim = "--machine 2l:4c --workload web+batch --for 1s --trace";
        run(&format!("$ rota sim simple {sim} before.rota"));
        run(&format!("$ rota sim domains {sim} after.rota"));
    }
    String::from_utf8(run(line).stdout).unwrap()
}

/// The rows that belong under a table's head.
fn rows(head: &str) -> Option<String> {
    let mut text = String::new();
    if head.starts_with("| workload | parameter |") {
        let all = ("*all*", &COMMON[..]);
        let named = WORKLOADS.iter().map(|w| (w.name, w.parameters));
        for (name, parameters) in named.chain([all]) {
            if let Some(workload) = WORKLOADS.iter().find(|w| w.name == name) {
                let alias = workload.alias.map_or(String::new(), |alias| format!(" or `{alias}`"));
                writeln!(text, "| `{name}`{alias} | | | {} |", workload.about).unwrap();
            } else {
                writeln!(text, "| {name} | | | |").unwrap();
            }
            for p in parameters {
                let default = match p.default {
                    "" => "the workload's",
                    default => &format!("`{default}`"),
                };
                writeln!(text, "| | `{}` | {default} | {} |", p.name, p.help).unwrap();
            }
        }
        return Some(text);
    }
    if head.starts_with("| distribution |") {
        for (name, usage) in DISTRIBUTIONS {
            let (example, meaning) = usage.split_once(": ").unwrap();
            writeln!(text, "| {name} | `{example}` | {meaning} |").unwrap();
        }
        return Some(text);
    }
    if head.starts_with("| machine |") {
        for name in Model::names() {
            let about = Model::named(name).unwrap().unwrap().about;
            writeln!(text, "| `{name}` | {about} |").unwrap();
        }
        return Some(text);
    }
    if head.starts_with("| measure | better |") {
        for Measure { title, better, meaning, .. } in MEASURES {
            let better = match better {
                Better::Higher => "more",
                Better::Lower => "less",
                Better::Neither => "",
            };
            writeln!(text, "| `{title}` | {better} | {meaning} |").unwrap();
        }
        return Some(text);
    }
    head.starts_with("| number |").then(|| {
        let spec = "1c".parse::<Spec>().unwrap();
        for stated in Model::of(spec.topology()).unwrap().sources {
            writeln!(text, "| `{}` | {} | {} |", stated.name, stated.value, stated.text).unwrap();
        }
        text
    })
}

/// The book as it should be: outputs behind their commands, rows under the heads of tables.
fn written(book: &str) -> String {
    let mut text = String::new();
    let mut lines = book.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(text, "{line}").unwrap();
        if ["$ rota sim", "$ rota compare", "$ rota hist", "$ rota diff", "$ rota view"]
            .iter()
            .any(|start| line.starts_with(start))
        {
            text += &output(line);
            while lines.next_if(|line| *line != "```").is_some() {}
        } else if let Some(rows) = rows(line) {
            writeln!(text, "{}", lines.next().unwrap_or_default()).unwrap();
            text += &rows;
            while lines.next_if(|line| line.starts_with('|')).is_some() {}
        }
    }
    text
}

/// The first screen of the README, to the last digit: the same words give the same run everywhere.
#[test]
fn the_readme_shows_what_is_printed() {
    let readme = book("../README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let line = "$ rota compare simple domains eevdf";
    let (before, after) = text.split_once(&format!("```text\n{line}\n")).unwrap();
    let (shown, after) = after.split_once("```").unwrap();
    let printed = output(line);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&readme, format!("{before}```text\n{line}\n{printed}```{after}")).unwrap();
        return;
    }
    assert_eq!(shown, printed, "README.md (BLESS=1 rewrites it)");
}

/// A text without its numbers, which change with the model, and without the blanks around them.
fn shape(text: &str) -> String {
    let blank = |word: &str| {
        let number = word.starts_with(|c: char| c.is_ascii_digit()) || word == "-";
        if number { "#".to_owned() } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(blank).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn pages_show_what_is_printed() {
    for page in ["sim.md", "machines.md", "workloads.md", "compare.md", "hist.md", "diff.md"] {
        shows_what_is_printed(page);
    }
}

fn shows_what_is_printed(page: &str) {
    let book = book(page);
    let text = fs::read_to_string(&book).unwrap();
    let should = written(&text);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&book, should).unwrap();
        return;
    }
    let (found, expected) = (shape(&text), shape(&should));
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        differs.is_none() && found == expected,
        "docs/{page} (BLESS=1 rewrites it): {differs:?}"
    );
}

#[test]
fn the_page_of_workloads_has_the_file_and_every_key() {
    let page = fs::read_to_string(book("workloads.md")).unwrap();
    let file = fs::read_to_string(book("../data/workloads/video.json")).unwrap();
    assert!(page.contains(file.replace('\t', "  ").trim_end()), "video.json stands there");
    for key in RtApp::keys() {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
    let wrong = file.replace("\"run\" : 4000", "\"rnu\" : 4000");
    let error = RtApp::parse(&wrong).unwrap_err();
    assert!(page.contains(&format!("video.json:{error}")), "{error}");
}

/// The boxes of the page are what its commands print, to the last digit: the first wake-up under the
/// head of the events, and the groups of the summary.
#[test]
fn the_page_of_view_shows_what_is_printed() {
    shows_what_is_printed("view.md");
    let page = book("view.md");
    let text = fs::read_to_string(&page).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rota = |line: &str| {
        assert!(text.contains(&format!("rota {line}")), "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_rota"));
        let output = command.args(line.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "rota {line}");
        String::from_utf8(output.stdout).unwrap()
    };
    rota("sim simple --machine 4c --for 1s --trace trace.rota");
    let events = rota("view trace.rota");
    let lines: Vec<&str> = events.lines().collect();
    let first = lines.iter().position(|line| line.contains(" waking ")).unwrap();
    let woken = lines[first..].iter().position(|line| line.contains(" wakeup ")).unwrap();
    let events = [&lines[..2], &lines[first..=first + woken]].concat().join("\n");
    let summary = rota("view trace.rota --as summary");
    let groups = summary.find("\nall ").unwrap();
    let end = groups + 1 + summary[groups + 1..].find('\n').unwrap();
    let parts: Vec<&str> = text.splitn(3, "```text\n").collect();
    assert_eq!(parts.len(), 3);
    let rest = |part: &str| part.split_once("\n```").unwrap().1.to_owned();
    let should = format!(
        "{}```text\n{events}\n```{}```text\n{}\n```{}",
        parts[0],
        rest(parts[1]),
        &summary[..end],
        rest(parts[2])
    );
    if std::env::var_os("BLESS").is_some() {
        fs::write(&page, should).unwrap();
        return;
    }
    assert_eq!(text, should, "docs/view.md (BLESS=1 rewrites it)");
}
