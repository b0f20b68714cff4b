// SPDX-License-Identifier: GPL-2.0-or-later
//! Parts of an experiment come back as they were, make the whole again, and are refused if they
//! can't.

use crate::sample::{Random, experiment, results, run};
use proptest::prelude::*;
use rota_compare::*;

/// The parts of an experiment, as files with names.
fn parts(results: &Results, of: u32) -> Vec<(String, Vec<u8>)> {
    let part = |index| {
        let shard = Shard::new(index, of).unwrap();
        let experiment = results.experiment().clone();
        let ids = experiment.shard(shard);
        let runs = results.runs().iter().filter(|run| ids.contains(&run.id)).cloned().collect();
        (format!("part-{index}"), write_part(&Part { experiment, shard, runs }).unwrap())
    };
    (1..=of).map(part).collect()
}

/// Results with everything in them that a file can have.
fn odd_results(seeds: u64, random: &mut Random) -> Results {
    let experiment = experiment(seeds);
    let run = |id| {
        let mut run = run(&experiment, id);
        // Ends of a run, empty runs, lanes without spans, and numbers at their limits.
        match random.next() % 6 {
            0 => run.ended = Some("stall: \"é\"\n".to_owned()),
            1 => run.values.clear(),
            2 => run.distributions.clear(),
            3 => {
                let lanes = vec![Lane::default(); 2];
                run.timeline = Some(Timeline { lanes, ..Timeline::default() });
            }
            4 => run.values.iter_mut().for_each(|value| value.value *= -1e300 * random.part()),
            _ => run.timeline = None,
        }
        run
    };
    let runs = experiment.runs().into_iter().map(run).collect();
    Results::new(experiment.clone(), runs).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_parts_make_the_whole_to_the_last_bit(seeds in 1..4_u64, of in 1..9_u32, seed: u64) {
        let mut random = Random(seed);
        let results = odd_results(seeds, &mut random);
        let mut files = parts(&results, of);
        // In any order.
        for i in (1..files.len()).rev() {
            files.swap(i, (random.next() % (i as u64 + 1)) as usize);
        }
        let merged = merge(&files).unwrap();
        prop_assert_eq!(&merged, &results);
        // Equal numbers can have other bits, equal bytes can't.
        prop_assert!(parts(&merged, 1) == parts(&results, 1));
        let shown = |results| text(&Report::new(results, Vec::new()), WIDTH);
        prop_assert_eq!(shown(&merged), shown(&results));
    }

    #[test]
    fn a_damaged_part_is_refused_by_name(at: prop::sample::Index, bit in 0..8_u32) {
        let mut files = parts(&results(1), 2);
        let at = at.index(files[1].1.len());
        files[1].1[at] ^= 1 << bit;
        let error = merge(&files).unwrap_err().to_string();
        prop_assert!(error.starts_with("part-2: it is "), "{}", error);
        prop_assert!(error.ends_with("or run their parts again"), "{}", error);
    }
}

#[test]
fn parts_that_make_no_whole_are_refused() {
    let files = parts(&results(2), 4);
    let said = |files: &[(String, Vec<u8>)]| merge(files).unwrap_err().to_string();
    assert_eq!(said(&[]), "no files to merge; give all parts of an experiment");
    assert_eq!(
        said(&[files[0].clone(), files[3].clone()]),
        "missing: 2/4, 3/4; run `rota compare` with --shard 2/4 and the same arguments, and merge again"
    );
    let mut again = files[2].clone();
    again.0 = "copy".to_owned();
    assert_eq!(
        said(&[files.clone(), vec![again]].concat()),
        "copy and part-3 are both part 3/4; give one of them"
    );
    let thirds = parts(&results(2), 3);
    assert_eq!(
        said(&[files[0].clone(), thirds[1].clone()]),
        "part-2 is part 2/3 and part-1 is part 1/4; all parts have to be of as many"
    );
    let others = parts(&results(3), 4);
    assert_eq!(
        said(&[files[0].clone(), others[1].clone()]),
        "part-2 is of another experiment than part-1: its seeds is [1,2,3], not [1,2]; merge parts \
         of one experiment only"
    );
    let cut = files[1].1[..files[1].1.len() / 2].to_vec();
    assert_eq!(
        said(&[("half".to_owned(), cut)]),
        "half: it is damaged: its bytes are not those that were written; give files that `rota compare --shard` \
         wrote, or run their parts again"
    );
    assert_eq!(
        said(&[("notes".to_owned(), b"text".to_vec())]),
        "notes: it is not a file that Rota wrote; give files that `rota compare --shard` wrote, or \
         run their parts again"
    );
}

#[test]
fn a_part_with_other_runs_is_not_written() {
    let results = results(1);
    let (experiment, runs) = (results.experiment().clone(), results.runs()[..2].to_vec());
    let part = Part { experiment, shard: Shard::WHOLE, runs };
    let error = write_part(&part).unwrap_err().to_string();
    assert_eq!(error, "part 1/1 has 2 runs, and has to have the 9 of its shard, in order");
}

#[test]
fn files_of_other_versions_and_with_other_rows_are_refused() {
    let part = parts(&results(1), 1).remove(0).1;
    let spoilt = |change: &dyn Fn(&mut rota_trace::Columns)| {
        let mut table = rota_trace::read_columns(&part).unwrap();
        change(&mut table);
        let bytes = rota_trace::write_columns(&table).unwrap();
        read_part("it", &bytes).unwrap_err().to_string()
    };
    let text = spoilt(&|table| table.about[0].1 = "rota-compare-part/9".to_owned());
    assert!(text.starts_with("it: it has the form rota-compare-part/9, and this"), "{text}");
    let text = spoilt(&|table| table.about[2].1 = "2/1".to_owned());
    assert_eq!(
        text,
        "it: `2/1` is no shard; write which of how many, such as 1/4, counted from 1; run part 2/1 again"
    );
    let text = spoilt(&|table| table.about[1].1 = "{}".to_owned());
    assert!(text.starts_with("it: missing field `contestants`"), "{text}");
    for i in 0..12 {
        // A column of another kind, then without it.
        let text = spoilt(&|table| {
            let rows = match &table.columns[i].1 {
                rota_trace::Column::Text(values) => values.len(),
                rota_trace::Column::Whole(values) => values.len(),
                rota_trace::Column::Number(values) => values.len(),
            };
            let text = matches!(table.columns[i].1, rota_trace::Column::Text(_));
            table.columns[i].1 = match text {
                true => rota_trace::Column::Whole(vec![0; rows]),
                false => rota_trace::Column::Text(vec![String::new(); rows]),
            };
        });
        assert!(text.ends_with("; run part 1/1 again"), "{text}");
        let text = spoilt(&|table| drop(table.columns.remove(i)));
        assert!(text.ends_with("; run part 1/1 again"), "{text}");
    }
}
