// SPDX-License-Identifier: GPL-2.0-or-later
//! The page, as a browser shows it: narrow, wide, with everything folded in or out.

use crate::sample::{experiment, notes, results, run};
use rota_compare::*;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names of the browser, as xtask looks for it.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A folder for the files of one test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs a browser without a window, and returns what it prints and what it complains of.
fn browse(folder: &Path, args: &[String]) -> (String, String) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let find = |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let browser = BROWSERS.into_iter().find(find);
    let browser = browser.expect("no browser: install chromium, or run `cargo xtask test install`");
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let fixed = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"];
    let more = ["--hide-scrollbars", "--enable-logging=stderr", "--virtual-time-budget=3000"];
    let mut command = Command::new(browser);
    command.args(fixed).args(more).arg(profile).args(args).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(output.stdout), text(output.stderr))
}

/// Shows a page at two widths, folded and unfolded, for light or dark, and tells what was seen of
/// each.
fn look(name: &str, page: &str, dark: bool) -> Vec<Value> {
    let folder = folder(name);
    std::fs::write(folder.join("page.html"), page).unwrap();
    let frames = [390, 1280].map(|width| {
        let page = page.replace('&', "&amp;").replace('"', "&quot;");
        format!("<iframe width={width} height=900 style='border:0' srcdoc=\"{page}\"></iframe>")
    });
    let script = "onload = () => {\n\
        const seen = [...document.querySelectorAll('iframe')].flatMap((frame) => {\n\
          const doc = frame.contentDocument, folded = look(doc, frame.width * 1);\n\
          doc.querySelectorAll('details').forEach((e) => { e.open = true; });\n\
          return [folded, look(doc, frame.width * 1)];\n\
        });\n\
        document.body.textContent = 'SEEN' + JSON.stringify(seen) + 'SEEN';\n\
      };";
    let look = include_str!("look.js");
    let frames = frames.concat();
    let outer =
        format!("<!doctype html><meta charset=utf-8><body>{frames}<script>{look}{script}</script>");
    let file = folder.join("outer.html");
    std::fs::write(&file, outer).unwrap();
    let scheme = format!("--blink-settings=preferredColorScheme={}", u8::from(!dark));
    let args = ["--dump-dom".to_owned(), scheme, file.display().to_string()];
    let (dom, said) = browse(&folder, &args);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let seen = dom.split("SEEN").nth(1).unwrap_or_else(|| panic!("nothing seen: {dom} {said}"));
    let seen = seen.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&seen).unwrap()
}

fn page_of(results: &Results) -> String {
    page(results, &Report::new(results, notes()))
}

#[test]
fn everything_is_there_and_nothing_overlaps() {
    let results = results(10);
    let report = Report::new(&results, notes());
    let page = page(&results, &report);
    assert!(page.len() < 600_000, "{} bytes", page.len());
    let rows = report.groups.iter().flat_map(|group| &group.rows);
    let rows = rows.filter(|row| !row.is_nothing()).count();
    let views = [("light", false), ("dark", true)].into_iter().flat_map(|(name, dark)| {
        look(name, &page, dark).into_iter().zip([390, 390, 1280, 1280]).map(move |it| (it, dark))
    });
    for ((seen, width), dark) in views {
        assert_eq!(seen["dark"], dark);
        assert_eq!((&seen["wrong"], &seen["width"]), (&Value::Array(Vec::new()), &width.into()));
        let headings = [
            report.headline.outcome[0].split("; ").next().unwrap(),
            "Measures",
            "Latencies",
            "Every seed",
            "What ran when",
            "What the numbers mean",
        ];
        assert_eq!(seen["headings"], Value::from(headings.to_vec()));
        let count = |what: &str| seen[what].as_u64().unwrap() as usize;
        assert_eq!((count("boxes"), count("tables"), count("rows")), (3, 3, rows));
        assert_eq!(count("cells"), 3 * rows);
        // Scheduling latencies of three groups, requests of one, for three contestants.
        assert_eq!(count("curves"), 12);
        assert_eq!(count("lanes"), 3 * 16);
        assert!(count("dots") > 300 && count("dots") == 10 * count("medians"), "{seen}");
        assert_eq!(count("titled"), count("plots"));
        let reversed = report.flips.iter().filter(|flip| flip.reversed).count();
        assert!(count("warnings") >= reversed && reversed > 0);
        assert_eq!((count("twice"), count("script")), (0, 0));
        let outside = seen["outside"].as_array().unwrap();
        assert_eq!(outside, &["<link rel=\"icon\" href=\"data:,\">"]);
        assert!(count("height") > 2000);
    }
}

/// The page explains the words that stand in its tables, and no others.
#[test]
fn its_legend_explains_what_it_shows() {
    let words = ["within noise", "equal", "too few seeds", "best", "no value"];
    for (seeds, expected) in [
        (10, vec!["within noise", "equal", "best"]),
        (5, vec!["equal", "too few seeds"]),
        (1, vec!["equal", "too few seeds"]),
    ] {
        let page = page_of(&results(seeds));
        let (tables, meanings) = page.split_once("<section id=meanings>").unwrap();
        let (_, legend) = meanings.split_once("</dl><p>").unwrap();
        let legend = legend.split("</p>").next().unwrap();
        let shown = words.into_iter().filter(|word| tables.contains(&format!(">{word}<")));
        let explained = words.into_iter().filter(|word| legend.contains(&format!("{word}: ")));
        let (shown, explained): (Vec<_>, Vec<_>) = (shown.collect(), explained.collect());
        assert_eq!(shown, explained, "{legend}");
        assert_eq!(explained, expected, "{seeds} seeds");
        assert!(!legend.contains("~:") && !legend.contains("*:") && !legend.contains(".."));
    }
}

#[test]
fn odd_results_have_a_page_too() {
    let long = "scheduler:with=a,very=long,list=of,settings=that,does=not,fit=anywhere".to_owned();
    let experiment = Experiment {
        contestants: vec!["<b>&amp;'\"".to_owned(), long],
        workload: vec!["w".repeat(200)],
        ..experiment(3)
    };
    let runs = experiment.runs().into_iter().map(|id| {
        let mut run = run(&experiment, id);
        run.values.iter_mut().for_each(|value| value.group = value.group.replace("web", "</td>"));
        run.ended = (id.contestant == 1).then(|| "</main><script>alert(1)</script>".to_owned());
        run
    });
    let results = Results::new(experiment.clone(), runs.collect()).unwrap();
    for seen in look("odd", &page_of(&results), false) {
        assert_eq!(seen["wrong"], Value::Array(Vec::new()));
        assert_eq!((&seen["boxes"], &seen["script"]), (&2.into(), &0.into()));
    }
}

#[test]
fn a_picture_of_it_is_not_blank() {
    let folder = folder("picture");
    let file = folder.join("page.html");
    std::fs::write(&file, page_of(&results(10))).unwrap();
    let shoot = |name: &str, page: String| {
        let picture = folder.join(name);
        let shot = format!("--screenshot={}", picture.display());
        browse(&folder, &[shot, "--window-size=1280,1400".to_owned(), page]);
        std::fs::metadata(&picture).unwrap().len()
    };
    let blank = shoot("blank.png", "data:text/html,<title>blank</title>".to_owned());
    let full = shoot("page.png", file.display().to_string());
    assert!(full > 10 * blank, "{full} bytes, {blank} of a blank page");
}

#[test]
fn the_same_results_have_the_same_page() {
    assert_eq!(page_of(&results(6)), page_of(&results(6)));
}
