// SPDX-License-Identifier: GPL-2.0-or-later
//! What a report says of results whose truth is known.

use crate::sample::{Random, experiment, notes, results, run};
use rota_compare::*;

/// The results of an experiment, with each run changed by something.
fn changed(seeds: u64, change: impl Fn(&mut RunResult)) -> Results {
    let experiment = experiment(seeds);
    let runs = experiment.runs().into_iter().map(|id| run(&experiment, id));
    let runs = runs.map(|mut result| {
        change(&mut result);
        result
    });
    let runs = runs.collect();
    Results::new(experiment, runs).unwrap()
}

/// Compares with a file beside this one, or writes it if asked to.
fn expect(name: &str, text: &str) {
    let path = format!("{}/tests/compare/expected/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "{name} (BLESS=1 rewrites it)");
}

#[test]
fn the_text_is_as_expected_and_narrow() {
    for (name, seeds) in [("ten.txt", 10), ("five.txt", 5)] {
        let text = text(&Report::new(&results(seeds), notes()), WIDTH);
        expect(name, &text);
        let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
        assert!(widest.chars().count() <= WIDTH, "{widest}");
    }
}

/// The numbers of the verdict are those of the rows and of the marks in the table under it.
#[test]
fn the_verdict_counts_what_the_table_shows() {
    for seeds in [6, 10, 20] {
        let text = short_text(&Report::new(&results(seeds), notes()), WIDTH);
        let (_, verdict) = text.split_once("\nverdict: eevdf is best in ").unwrap();
        let number = |text: &str| text.split(' ').next().unwrap().parse::<usize>().unwrap();
        let all = number(verdict.split_once(" of ").unwrap().1);
        let (open, _) = verdict.split_once("; in ").map(|(_, rest)| (number(rest), ())).unwrap();
        let table = text.lines().skip_while(|line| !line.starts_with("all ")).collect::<Vec<_>>();
        let of = |line: &&str| {
            let measure = MEASURES.iter().find(|m| line.starts_with(&format!("{} ", m.title)));
            measure.is_some_and(|measure| measure.better != Better::Neither)
        };
        let rows: Vec<&str> = table.into_iter().filter(of).collect();
        let marked = rows.iter().filter(|row| row.contains('*')).count();
        assert_eq!((rows.len(), marked), (all, number(verdict)), "{text}");
        assert_eq!(open, all - marked);
        // It stands at the end again, with what was compared, and with what it does not count.
        assert!(text.contains(
            "\n\nsimulated machine: desktop16; work: web:rps=2000 + batch:tasks=16\nverdict: "
        ));
        let again = text.rsplit_once("\nverdict: ").unwrap().1;
        assert_eq!(
            verdict.split_once("\n\n").unwrap().0,
            again.trim_end().trim_start_matches("eevdf is best in ")
        );
    }
}

#[test]
fn a_narrow_terminal_has_all_side_by_side_without_intervals() {
    let report = Report::new(&results(10), notes());
    for (width, intervals) in [(10, false), (80, false), (99, true), (WIDTH, true), (200, true)] {
        let text = short_text(&report, width);
        let rows = text.lines().filter(|line| line.starts_with("unfairness "));
        assert_eq!(rows.count(), 1, "{text}");
        assert_eq!(text.contains("ms 10.7..16.5"), intervals, "{width}: {text}");
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(width.max(60)), "{width}: {text}");
    }
}

#[test]
fn more_contestants_than_fit_have_tables_below_each_other() {
    let names =
        ["simple", "simple:fifo,slice=5ms", "layered:interactive=web", "eevdf", "simple:slice=2ms"];
    let experiment = Experiment { contestants: names.map(str::to_owned).to_vec(), ..experiment(6) };
    let runs = experiment.runs().into_iter().map(|id| run(&experiment, id)).collect();
    let text = text(&Report::new(&Results::new(experiment, runs).unwrap(), notes()), WIDTH);
    assert_eq!(text.lines().filter(|line| line.starts_with("work/s ")).count(), 3 * 2, "{text}");
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(WIDTH), "{widest:?}");
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("all ")).collect();
    let heads = heads.join("  ");
    for name in names {
        assert_eq!(heads.split("  ").filter(|word| word.trim() == name).count(), 1, "{heads}");
    }
}

#[test]
fn known_differences_are_found_and_no_others() {
    let report = Report::new(&results(20), notes());
    let row = |measure| report.groups[0].rows.iter().find(|row| row.measure == measure).unwrap();
    assert_eq!(row(measure::LATENCY_P99).best, Some(2));
    assert_eq!(row(measure::LATENCY_P99).behind, [0, 1]);
    let work = row(measure::WORK);
    assert_eq!((work.best, &work.behind), (None, &vec![2]));
    // 2 % less work, though seeds differ by 20 %.
    let difference = work.cells[2].difference.unwrap();
    assert_eq!(difference.verdict, Verdict::Worse);
    assert!((difference.relative.unwrap() + 0.02).abs() < 0.002, "{difference:?}");
    for same in [measure::CPUS, measure::MIGRATIONS_NODE, measure::LATENCY_MAX] {
        assert_eq!(row(same).cells[1].difference.unwrap().verdict, Verdict::Equal);
    }
    assert_eq!(row(measure::JOULES).best, None);
}

/// Three contestants that do not differ, in experiments of ten seeds: a pair seems to differ as
/// often as the sign test says, and hardly ever does one seem to be the best.
#[test]
fn those_who_do_not_differ_seldom_seem_to() {
    let experiment = Experiment { scales: vec![CostScale::ONE], ..experiment(10) };
    let mut random = Random(1);
    let (tries, mut differ, mut best) = (4000, 0, 0);
    for _ in 0..tries {
        let hard: Vec<f64> = (0..10).map(|_| 100.0 * random.part()).collect();
        let runs = experiment.runs().into_iter().map(|id| {
            let mut run = RunResult::new(id);
            let value = hard[id.seed as usize - 1] + 1000.0 * random.part();
            run.add(ALL, measure::WORK, value);
            run
        });
        let results = Results::new(experiment.clone(), runs.collect()).unwrap();
        let report = Report::new(&results, Vec::new());
        let row = &report.groups[0].rows[0];
        let verdict = row.cells[1].difference.unwrap().verdict;
        differ += u32::from([Verdict::Better, Verdict::Worse].contains(&verdict));
        best += u32::from(row.best.is_some());
    }
    let expected = 22.0 / 1024.0;
    let wide = 5.0 * (expected * (1.0 - expected) / f64::from(tries)).sqrt();
    let found = f64::from(differ) / f64::from(tries);
    // Differences that are too small to matter make it a little less.
    assert!(
        (found - expected).abs() < wide && found < expected + wide / 2.0,
        "{found}, not {expected}"
    );
    assert!(f64::from(best) / f64::from(tries) < expected, "{best} of {tries}");
}

#[test]
fn a_ranking_that_costs_reverse_is_told() {
    let report = Report::new(&results(10), notes());
    let reversed: Vec<_> = report.flips.iter().filter(|flip| flip.reversed).collect();
    assert_eq!(reversed.len(), 2);
    for (flip, worse) in reversed.iter().zip([0, 1]) {
        assert_eq!((flip.measure, flip.better, flip.worse), (measure::UNFAIRNESS, 2, worse));
        assert_eq!((flip.scale, flip.group.as_str()), (CostScale::TWICE, ALL));
    }
    assert!(
        text(&report, WIDTH)
            .contains("\nwarning: unfairness of all: eevdf is better than simple, but")
    );
    // Where all cost the same at every scale there is nothing to tell.
    let calm = changed(10, |run| run.values.retain(|value| value.measure != measure::UNFAIRNESS));
    let report = Report::new(&calm, Vec::new());
    assert!(!report.flips.iter().any(|flip| flip.reversed), "{:?}", report.flips);
    assert!(text(&report, WIDTH).contains(
        "\nif switches, wake-ups, … took half or twice as long, no ranking is reversed\n"
    ));
}

#[test]
fn who_is_ejected_wins_nothing_and_is_told() {
    let ejected = |run: &RunResult| run.id.contestant == 2 && run.id.seed > 7 && run.id.scale == 0;
    let results = changed(10, |run| {
        run.ended = ejected(run).then(|| "runnable task stall".to_owned());
    });
    let report = Report::new(&results, Vec::new());
    assert_eq!((report.ended_of(2), report.ended_of(0), report.ended.len()), (3, 0, 3));
    let rows = report.groups.iter().flat_map(|group| &group.rows);
    for row in rows.filter(|row| row.cells[2].estimate.is_some()) {
        assert_ne!(row.best, Some(2));
        assert_eq!(row.cells[2].values.len(), 7);
    }
    let text = text(&report, WIDTH);
    assert!(text.contains("\nverdict: eevdf was ejected in 3 of 10 runs; no winner"), "{text}");
    assert!(text.contains("\n  eevdf, seed 8, cost scale 1: runnable task stall\n"), "{text}");
}

#[test]
fn who_never_got_to_the_end_has_no_numbers() {
    let results = changed(6, |run| {
        run.ended = (run.id.contestant == 1).then(|| "killed".to_owned());
    });
    let report = Report::new(&results, Vec::new());
    for row in report.groups.iter().flat_map(|group| &group.rows) {
        assert_eq!((row.cells[1].estimate, row.cells[1].difference), (None, None));
    }
    let text = text(&report, WIDTH);
    assert!(
        text.contains("  … and 13 more\n") && text.contains("ejected in 6 of 6 runs"),
        "{text}"
    );
}

#[test]
fn a_value_that_only_some_runs_have_says_so() {
    let results = changed(10, |run| {
        if run.id.contestant == 1 && run.id.seed == 4 {
            run.values.retain(|value| value.measure != measure::WORK);
        }
    });
    let text = text(&Report::new(&results, Vec::new()), WIDTH);
    let row = text.lines().find(|line| line.starts_with("work/s")).unwrap();
    assert_eq!(row.matches("(of 9)").count(), 1, "{row}");
}

#[test]
fn results_that_make_no_experiment_are_refused() {
    let experiment = experiment(2);
    let good: Vec<_> = experiment.runs().into_iter().map(|id| run(&experiment, id)).collect();
    let said =
        |runs: Vec<RunResult>| Results::new(experiment.clone(), runs).unwrap_err().to_string();
    let with = |change: &dyn Fn(&mut Vec<RunResult>)| {
        let mut runs = good.clone();
        change(&mut runs);
        said(runs)
    };
    let last = "eevdf with seed 2 at cost scale 2";
    assert_eq!(with(&|runs| drop(runs.pop())), format!("there is no result of {last}"));
    assert_eq!(
        with(&|runs| drop(runs.remove(4))),
        "there is no result of simple:fifo with seed 1 at cost scale 1/2"
    );
    assert_eq!(
        with(&|runs| runs.push(runs[17].clone())),
        format!("there are two results of {last}")
    );
    assert_eq!(
        with(&|runs| runs.insert(9, runs[3].clone())),
        "there are two results of simple with seed 1 at cost scale 1/2"
    );
    for (change, name) in [
        (RunId { seed: 9, scale: 0, contestant: 0 }, "simple with seed 9 at cost scale 1"),
        (RunId { seed: 1, scale: 3, contestant: 0 }, "simple with seed 1 at cost scale no. 3"),
        (RunId { seed: 1, scale: 0, contestant: 3 }, "no. 3 with seed 1 at cost scale 1"),
    ] {
        let expected = format!("there is a result of {name}, which is no run of the experiment");
        assert_eq!(with(&|runs| runs[0].id = change), expected);
    }
    let what = with(&|runs| runs[0].values[0].value = f64::NAN);
    assert_eq!(what, "simple with seed 1 at cost scale 1: web has NaN for work/s");
    let what = with(&|runs| runs[0].add("web", measure::WORK, 1.0));
    assert_eq!(what, "simple with seed 1 at cost scale 1: web has two values of work/s");
    // In any order they are the same results.
    let mut turned = good.clone();
    turned.reverse();
    assert_eq!(Results::new(experiment.clone(), turned), Results::new(experiment.clone(), good));
}

#[test]
fn json_has_what_the_report_has() {
    let report = Report::new(&results(6), notes());
    let json = json(&report);
    assert_eq!(
        (&json["schema"], &json["experiment"]["scales"][1]),
        (&"rota-compare/1".into(), &"1/2".into())
    );
    let experiment: Experiment = serde_json::from_value(json["experiment"].clone()).unwrap();
    assert_eq!(
        (&experiment, json["experiment_hash"].as_str()),
        (&report.experiment, Some(experiment.hash().as_str()))
    );
    assert_eq!(json["outcome"], report.headline.outcome.join("; "));
    let rows: Vec<_> = report.groups.iter().flat_map(|group| &group.rows).collect();
    let groups = json["groups"].as_array().unwrap().iter();
    let told: Vec<_> = groups.flat_map(|group| group["measures"].as_array().unwrap()).collect();
    assert_eq!(rows.len(), told.len());
    for (row, told) in rows.iter().zip(told) {
        assert_eq!(told["measure"], row.measure.name);
        assert_eq!(
            told["best"].as_str(),
            row.best.map(|best| experiment.contestants[best].as_str())
        );
        for (cell, told) in row.cells.iter().zip(told["contestants"].as_array().unwrap()) {
            let interval = cell.estimate.and_then(|estimate| estimate.interval);
            let ends = (told["low"].as_f64(), told["high"].as_f64());
            assert_eq!(ends, (interval.map(|i| i.low), interval.map(|i| i.high)));
            assert_eq!(told["values"].as_array().unwrap().len(), cell.values.len());
            let verdict = cell.difference.map(|difference| difference.verdict.name());
            assert_eq!(told["difference_to_first"]["verdict"].as_str(), verdict);
        }
    }
    assert_eq!(json["flips"].as_array().unwrap().len(), report.flips.len());
}

/// The numbers of the worked example stand in a table of the book, and what comes of them in its
/// sentences.
#[test]
fn the_example_of_the_book_is_reckoned_right() {
    let book = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/compare.md");
    let book = std::fs::read_to_string(book).unwrap();
    let (_, table) = book.split_once("| seed | simple | eevdf | difference |\n").unwrap();
    let number = |cell: &str| cell.trim().parse::<f64>().unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map_while(|line| line.strip_prefix('|')?.strip_suffix('|'))
        .map(|line| line.split('|').map(number).collect())
        .collect();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        assert!((row[2] - row[1] - row[3]).abs() < 1e-9, "{row:?}");
    }
    // In ns, as the measure has them.
    let column = |i: usize| rows.iter().map(|row| (row[i] * 1e6).round()).collect::<Vec<f64>>();
    let (simple, eevdf) = (column(1), column(2));
    let told = |values: &[f64]| {
        let Estimate { median, interval, .. } = Estimate::of(values).unwrap();
        let Interval { low, high } = interval.unwrap();
        format!("{:.2}ms {:.2}..{:.2}", median / 1e6, low / 1e6, high / 1e6)
    };
    for values in [&simple, &eevdf] {
        let told = told(values);
        assert!(book.contains(&format!("`{told}`")), "{told}");
    }
    let pairs: Vec<_> = simple.into_iter().zip(eevdf).collect();
    let found = Difference::of(measure::LATENCY_P99, &pairs).unwrap();
    assert_eq!(
        (found.verdict, told(&column(3)).as_str()),
        (Verdict::Better, "-0.40ms -0.60..-0.20")
    );
    let percent = format!("`{:.1}% better`", -100.0 * found.relative.unwrap());
    assert!(book.contains(&percent), "{percent}");
    let (k, certain) = rank(10).unwrap();
    assert_eq!((k, format!("{:.2}", 100.0 * certain)), (2, "97.85".to_owned()));
}

/// Measurements on a real machine say so, and how well they repeat.
#[test]
fn measurements_say_how_well_they_repeat() {
    let live = Some(Live { warm_up_ns: 250_000_000 });
    let experiment = Experiment {
        scales: vec![CostScale::ONE],
        machine: "this one".to_owned(),
        live,
        ..experiment(7)
    };
    // Work is 1, 2 … 7 % above 100, whoever does it, and others use as many hundredths of a CPU.
    let runs = experiment.runs().into_iter().map(|id| {
        let mut result = RunResult::new(id);
        // Of one group it is always the same.
        result.add("odd", measure::WORK, 100.0 + id.seed as f64);
        result.add("even", measure::WORK, 50.0);
        result.add(ALL, measure::OTHERS, 0.01 * id.seed as f64);
        result
    });
    let report = Report::new(&Results::new(experiment.clone(), runs.collect()).unwrap(), notes());
    let noise = report.noise.as_ref().unwrap();
    let Spread { measure, group, part: spread } = &noise.spread[0];
    let (measure, spread) = (*measure, *spread);
    // The median is 104; of 0, 1, 1, 2, 2, 3, 3 three times the one in the middle is 2.
    assert_eq!((noise.spread.len(), measure, &**group), (1, measure::WORK, "odd"));
    assert!((spread - 2.0 / 104.0).abs() < 1e-12, "{spread}");
    assert!((noise.others.as_ref().unwrap().median - 0.04).abs() < 1e-12);
    let text = short_text(&report, WIDTH);
    for words in [
        "real machine: this one (16 CPUs, 2 last-level caches, Linux 7.3), 7 runs (seeds) of 2s each, taking\n  \
         turns, 250ms of warm-up before\n",
        "\nothers' CPUs   0.040 0.010..0.070",
        "\nnoise: others than this work used 0.040 0.020..0.060 CPUs; with all noise, and what seeds differ in,\n  \
         half of all runs are within 1.9% in work/s of odd of the median of their scheduler; other groups\n  \
         are nearer\n",
        "\nreal machine: this one; work: ",
    ] {
        assert!(text.contains(words), "{words}\nnot in\n{text}");
    }
    let json = json(&report);
    assert_eq!(json["experiment"]["live"]["warm_up_ns"], 250_000_000);
    assert_eq!(json["noise"]["spread"]["work_per_s"]["part"], spread);
    let again: Experiment = serde_json::from_value(json["experiment"].clone()).unwrap();
    assert_eq!(again, experiment);
    // Simulations know nothing of it.
    assert!(Report::new(&results(7), notes()).noise.is_none());
}
