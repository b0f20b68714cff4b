// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares of groups within groups.

use rota_balance::{Entity, Group, GroupError, Node, SolveError, solve, solve_groups};

use crate::random::{Random, bisect, cases};

fn group(parent: Option<usize>, weight: f64) -> Group {
    Group { parent, weight, node: Node::Group }
}

fn task(parent: Option<usize>, weight: f64, duty: f64) -> Group {
    Group { parent, weight, node: Node::Task(duty) }
}

fn random_tree(random: &mut Random) -> Vec<Group> {
    let mut tree = vec![group(None, random.within(1..=10_000) as f64)];
    for place in 1..random.within(2..=30) {
        let groups: Vec<_> =
            (0..place as usize).filter(|place| tree[*place].node == Node::Group).collect();
        let parent = groups[random.below(groups.len() as u64) as usize];
        let parent = (!random.one_in(5)).then_some(parent);
        let weight = random.magnitude(1.0, 1e4);
        let duty = if random.one_in(2) { 1.0 } else { random.unit().max(1e-6) };
        tree.push(if random.one_in(3) {
            group(parent, weight)
        } else {
            task(parent, weight, duty)
        });
    }
    tree
}

fn duty(tree: &[Group], place: usize) -> f64 {
    match tree[place].node {
        Node::Task(duty) => duty,
        Node::Group => members(tree, Some(place)).iter().map(|m| duty(tree, *m)).sum(),
    }
}

fn members(tree: &[Group], of: Option<usize>) -> Vec<usize> {
    (0..tree.len()).filter(|place| tree[*place].parent == of).collect()
}

/// What groups and tasks get, by the definition: at each level, a claim of the weight for a group
/// that is always busy, and the level of claims by bisection.
fn reference(tree: &[Group], of: Option<usize>, amount: f64, shares: &mut [f64]) {
    let members = members(tree, of);
    // What each could use, and what it claims of each unit of the level.
    let limit = |place: &usize| {
        let duty = duty(tree, *place);
        let claim = if tree[*place].node == Node::Group { duty.min(1.0) } else { duty };
        (duty, tree[*place].weight * claim)
    };
    let limits: Vec<(f64, f64)> = members.iter().map(limit).collect();
    let gets = |(duty, claim): (f64, f64), level: f64| duty.min(claim * level);
    let level = bisect(1e6, |level| limits.iter().map(|l| gets(*l, level)).sum::<f64>() <= amount);
    for (place, limit) in members.into_iter().zip(limits) {
        shares[place] = gets(limit, level);
        reference(tree, Some(place), shares[place], shares);
    }
}

#[test]
fn equals_bisection_at_each_level() {
    cases(10_000, |random| {
        let tree = random_tree(random);
        let all: f64 = members(&tree, None).iter().map(|place| duty(&tree, *place)).sum();
        let capacity = (all * random.unit() * 1.2).max(1e-6);
        let found = solve_groups(&tree, capacity).unwrap();
        let mut wanted = vec![0.0; tree.len()];
        reference(&tree, None, capacity, &mut wanted);
        for (found, wanted) in found.iter().zip(&wanted) {
            assert!((found - wanted).abs() <= 1e-9 * wanted, "{found} is not {wanted}");
        }
    });
}

/// A group hands on what it gets, and a group of all changes nothing.
#[test]
fn groups_hand_on_all() {
    cases(10_000, |random| {
        let tree = random_tree(random);
        let capacity = random.within(1..=8) as f64;
        let shares = solve_groups(&tree, capacity).unwrap();
        for place in 0..tree.len() {
            let inside = members(&tree, Some(place));
            let sum: f64 = inside.iter().map(|place| shares[*place]).sum();
            if tree[place].node == Node::Group {
                assert!((sum - shares[place]).abs() <= 1e-12 * shares[place]);
            }
        }
        let mut inside: Vec<_> = tree.clone();
        inside.iter_mut().filter(|g| g.parent.is_none()).for_each(|g| g.parent = Some(tree.len()));
        inside.push(group(None, 1.0));
        let again = solve_groups(&inside, capacity).unwrap();
        for (a, b) in shares.iter().zip(&again) {
            assert!((a - b).abs() <= 1e-12 * a);
        }
    });
}

#[test]
fn tasks_alone_share_as_entities() {
    let all = [(1.0, 1.0), (5.0, 0.5), (100.0, 1.0), (2.0, 0.9)];
    let tree = all.map(|(weight, duty)| task(None, weight, duty));
    let entities = all.map(|(weight, duty)| Entity { weight, duty });
    let shares = solve(&entities, 2.0).unwrap();
    assert_eq!(solve_groups(&tree, 2.0).unwrap(), entities.map(|one| shares.share(one)));
}

/// The example of the module.
#[test]
fn ten_tasks_and_one() {
    let mut tree = vec![group(None, 100.0), group(None, 300.0), task(Some(1), 1.0, 1.0)];
    tree.extend(vec![task(Some(0), 1.0, 1.0); 10]);
    let found = solve_groups(&tree, 1.0).unwrap();
    assert_eq!((found[0], found[1], found[2]), (0.25, 0.75, 0.75));
    let found = solve_groups(&tree, 4.0).unwrap();
    assert!((found[0] - 3.0).abs() < 1e-12 && (found[3] - 0.3).abs() < 1e-12);
    assert_eq!((found[1], found[2]), (1.0, 1.0));
}

#[test]
fn no_trees() {
    let error = |tree: &[Group]| solve_groups(tree, 1.0).unwrap_err();
    let circle = [group(None, 1.0), group(Some(2), 1.0), group(Some(1), 1.0)];
    assert_eq!(error(&circle), GroupError::Circle { place: 1 });
    assert_eq!(error(&[group(Some(0), 1.0)]), GroupError::Circle { place: 0 });
    assert_eq!(error(&[group(Some(1), 1.0)]), GroupError::Parent { place: 0 });
    let in_a_task = [task(None, 1.0, 1.0), task(Some(0), 1.0, 1.0)];
    assert_eq!(error(&in_a_task), GroupError::Parent { place: 1 });
    let bad = [task(None, f64::NAN, 1.0)];
    assert!(matches!(error(&bad), GroupError::Number(SolveError::Entity { entity: 0, .. })));
    let none = solve_groups(&[task(None, 1.0, 1.0)], 0.0);
    assert_eq!(none, Err(GroupError::Number(SolveError::NoCapacity)));
    assert_eq!(solve_groups(&[group(None, 1.0)], 0.0).unwrap(), [0.0]);
}
