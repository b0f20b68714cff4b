// SPDX-License-Identifier: GPL-2.0-or-later
//! Linear programs, by the simplex method on a dense table.

/// The maximum of `goal·x` with `rows·x ≤ limits` and `x ≥ 0`. Limits are at least 0, so nothing at
/// all is a start. The least numbers enter and leave (Bland 1977), so it ends.
pub(crate) fn maximum(goal: &[f64], rows: &[Vec<f64>], limits: &[f64]) -> f64 {
    let (n, m) = (goal.len(), rows.len());
    let mut table: Vec<Vec<f64>> = Vec::new();
    for (i, (row, limit)) in rows.iter().zip(limits).enumerate() {
        let mut line = row.clone();
        line.extend((0..m).map(|slack| f64::from(slack == i)));
        line.push(*limit);
        table.push(line);
    }
    let mut last: Vec<f64> = goal.iter().map(|g| -g).collect();
    last.resize(n + m + 1, 0.0);
    table.push(last);
    let mut basis: Vec<usize> = (n..n + m).collect();
    loop {
        let Some(enters) = (0..n + m).find(|j| table[m][*j] < -1e-11) else {
            return table[m][n + m];
        };
        let ratio = |i: usize| table[i][n + m] / table[i][enters];
        let possible = (0..m).filter(|i| table[*i][enters] > 1e-11);
        let leaves = possible.min_by(|a, b| {
            let (a, b) = ((ratio(*a), basis[*a]), (ratio(*b), basis[*b]));
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
        });
        let leaves = leaves.expect("a bounded program");
        basis[leaves] = enters;
        let pivot = table[leaves][enters];
        table[leaves].iter_mut().for_each(|x| *x /= pivot);
        let line = table[leaves].clone();
        for (i, row) in table.iter_mut().enumerate() {
            let factor = row[enters];
            if i != leaves && factor != 0.0 {
                row.iter_mut().zip(&line).for_each(|(x, y)| *x -= factor * y);
            }
        }
    }
}

#[test]
fn a_textbook_program() {
    // At most 4 of the first, 6 of the second, and 3·x + 2·y within 18.
    let rows = [vec![1.0, 0.0], vec![0.0, 2.0], vec![3.0, 2.0]];
    assert!((maximum(&[3.0, 5.0], &rows, &[4.0, 12.0, 18.0]) - 36.0).abs() < 1e-12);
}
