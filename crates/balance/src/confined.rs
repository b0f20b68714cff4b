// SPDX-License-Identifier: GPL-2.0-or-later
//! Shares of entities that may not run everywhere, on CPUs that differ.
//!
//! # What can be given
//!
//! An entity has threads, each of which runs on one CPU at a time, and may use some domains only.
//! Cut the machine into layers by strength: with CPUs of 1 and 0.6, the lower layer has all CPUs
//! with a height of 0.6 each, the upper one the strong CPUs with the other 0.4. A thread gets at
//! most 0.6 from the lower layer and 0.4 from the upper one. So what can be given is a flow:
//!
//! ```text
//! source ──────► entity ───────────► (its domains, layer) ──► (domain, layer) ────────► sink
//!         share         threads·height                                        CPUs·height
//! ```
//!
//! If everyone may run everywhere, this is what is known of machines of different speeds (Horvath,
//! Lam and Sethi 1977): shares can be had at the same time if for each `k` the `k` threads with the
//! largest shares get no more than the `k` strongest CPUs give. If all CPUs are equal, there is one
//! layer, and a thread may be spread over domains as its flow is. In both cases a schedule exists.
//! With both differences at once it is a bound from above: the layers of one CPU may go to
//! different threads.
//!
//! # Who gets it
//!
//! By the largest flow, f(A) is the most that can be given to a set of entities A. It has diminishing
//! returns, f(A ∪ B) + f(A ∩ B) ≤ f(A) + f(B). Let everyone's part of their load, 1/λ, grow from 0 at
//! the same pace; who has their duty stops. At some λ a set A gets all of f(A): a *bottleneck*.
//! Nobody in it can get more unless somebody in it, whose part is not larger, gets less. So their
//! shares are final. What others can get beside them, f(A ∪ B) − f(A), has diminishing returns
//! again, and the same is done with them, until everyone is in a bottleneck or has their duty. So the
//! result is weighted max-min fair. Each bottleneck has its own λ, later ones a smaller one.
//!
//! A bottleneck is found from above (Dinkelbach 1967). At the λ at which all have their duty, the
//! smallest cut has the set that exceeds its f most. Take the λ at which that set does not, a larger
//! one, and look again. When no set exceeds its f, the last one is the bottleneck.
//!
//! # An example
//!
//! There are two domains of 2 CPUs. Five tasks of weight 1 may use the first domain only; two of
//! weight 1 and one of weight 2 may use both. None ever sleeps. On one machine of 4 CPUs λ would
//! be 7/3, and the five would get 5·3/7 = 2.14 CPUs. They can get 2: they are a bottleneck with λ
//! = 5/2, and get 2/5 each. The other three share the second domain: 2 + λ = 2·λ, so λ is 2, the
//! heavy one gets its CPU, and each other one 1/2.

use crate::entity::bounded;
use crate::exact::{Sums, units};
use crate::flow::{ENDLESS, Network};
use crate::level::{self, Item};
use crate::shares::share;
use crate::{DomainSet, Entity, Machine, SolveError, WEIGHTS};

/// An entity that may not run everywhere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confined {
    /// What it wants. Its duty is in time of a CPU of strength 1.
    pub entity: Entity,
    /// How many CPUs it can use at a time, at least its duty.
    pub threads: u32,
    /// The place of the set of domains that it may use, among those that are given.
    pub domains: usize,
}

/// What an entity gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grant {
    /// In CPUs of strength 1.
    pub share: f64,
    /// The λ of its bottleneck; none if it gets its duty, or what its threads get at most. Infinite
    /// if its domains have no capacity left for it.
    pub lambda: Option<f64>,
}

/// Why there are no shares.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ConfinedError {
    /// A number can't be used.
    #[error("{0}")]
    Number(SolveError),
    /// An entity's duty is more than its threads can use.
    #[error("entity {entity}: a duty of {duty} CPUs is too much for {threads} threads")]
    Threads {
        /// Its place, from 0.
        entity: u64,
        /// In CPUs.
        duty: f64,
        /// How many it has.
        threads: u32,
    },
    /// An entity may run nowhere, in a domain that there is not, or its set is none.
    #[error("entity {entity} has no domains, or one that there is not")]
    Domains {
        /// Its place, from 0.
        entity: u64,
    },
}

impl From<SolveError> for ConfinedError {
    fn from(error: SolveError) -> Self {
        Self::Number(error)
    }
}

/// Shares a machine among entities that may use some of its domains. The result does not depend on
/// their order. On equal CPUs there are as many bottlenecks as sets at most, and each costs a few
/// passes over the entities and a few flows among sets and domains. On different CPUs each entity
/// is a node of the flow.
///
/// # Errors
///
/// A number can't be used, or an entity can run nowhere.
pub fn solve_confined(
    machine: &Machine,
    sets: &[DomainSet],
    entities: &[Confined],
) -> Result<Vec<Grant>, ConfinedError> {
    check(machine, sets, entities)?;
    let items: Vec<_> = entities.iter().map(|one| limited(machine, sets, *one)).collect();
    let mut duty = Sums::default();
    for item in &items {
        duty = bounded(duty.plus(item.sums()))?;
    }
    let mut filling = Filling::new(machine, sets, entities, &items);
    let mut lambdas = vec![None; entities.len()];
    while let Some(bottleneck) = filling.bottleneck()? {
        for bundle in &bottleneck.bundles {
            for place in &filling.bundles[*bundle].places {
                lambdas[*place] = Some(bottleneck.lambda);
            }
        }
        filling.freeze(&bottleneck);
    }
    let grant = |(item, lambda): (&Item, Option<f64>)| {
        let share = share(lambda, item.entity());
        Grant { share, lambda: lambda.filter(|lambda| item.weight < *lambda) }
    };
    Ok(items.iter().zip(lambdas).map(grant).collect())
}

fn check(
    machine: &Machine,
    sets: &[DomainSet],
    entities: &[Confined],
) -> Result<(), ConfinedError> {
    for (entity, one) in (0..).zip(entities) {
        let checked = one.entity.check();
        checked.map_err(|error| SolveError::Entity { entity, error })?;
        let (duty, threads) = (one.entity.duty, one.threads);
        if duty > f64::from(threads) {
            return Err(ConfinedError::Threads { entity, duty, threads });
        }
        let last = sets.get(one.domains).and_then(DomainSet::last);
        if last.is_none_or(|last| last >= machine.domains().len()) {
            return Err(ConfinedError::Domains { entity });
        }
    }
    Ok(())
}

/// The entity with no more duty than its threads can get on the strongest CPU that they may use. Its
/// load stays what it is.
fn limited(machine: &Machine, sets: &[DomainSet], one: Confined) -> Item {
    let domains = sets[one.domains].iter().map(|domain| &machine.domains()[domain]);
    let strongest = domains.filter_map(|cpus| cpus.first()).fold(0.0, |a: f64, b| a.max(*b));
    let most = f64::from(one.threads) * strongest;
    let Entity { weight, duty } = one.entity;
    if duty <= most {
        return one.entity.into();
    }
    let heavier = if most > 0.0 { weight * (duty / most) } else { weight };
    Entity { weight: heavier.min(*WEIGHTS.end()), duty: most }.into()
}

/// Entities that the flow can't tell apart.
struct Bundle {
    places: Vec<usize>,
    items: Vec<Item>,
    /// The arc from the source.
    arc: usize,
    frozen: bool,
}

/// Where the growth of everyone's part stopped.
struct Bottleneck {
    lambda: f64,
    bundles: Vec<usize>,
    /// What can be given to all that are frozen with these.
    most: i128,
}

/// Shares that grow until all are final.
struct Filling {
    network: Network,
    bundles: Vec<Bundle>,
    /// What is given to those that are frozen.
    given: i128,
}

const SOURCE: usize = 0;
const SINK: usize = 1;

impl Filling {
    fn new(machine: &Machine, sets: &[DomainSet], entities: &[Confined], items: &[Item]) -> Self {
        let strengths = machine.strengths();
        let heights: Vec<_> = (strengths.iter().enumerate())
            .map(|(layer, strength)| strength - strengths.get(layer + 1).unwrap_or(&0.0))
            .collect();
        let (layers, domains) = (heights.len(), machine.domains().len());
        let mut bundles = bundles(layers, entities, items);
        let set_nodes = 2 + domains * layers;
        let bundle_nodes = set_nodes + sets.len() * layers;
        let mut network = Network::new(bundle_nodes + bundles.len());
        for (domain, cpus) in machine.domains().iter().enumerate() {
            for (layer, height) in heights.iter().enumerate() {
                let count = cpus.partition_point(|cpu| *cpu >= strengths[layer]);
                let node = 2 + domain * layers + layer;
                network.arc(node, SINK, units(*height) * count as i128);
            }
        }
        for (set, members) in sets.iter().enumerate() {
            for domain in members.iter().filter(|domain| *domain < domains) {
                for layer in 0..layers {
                    let from = set_nodes + set * layers + layer;
                    network.arc(from, 2 + domain * layers + layer, ENDLESS);
                }
            }
        }
        for (number, bundle) in bundles.iter_mut().enumerate() {
            bundle.arc = network.arc(SOURCE, bundle_nodes + number, 0);
            let set = entities[bundle.places[0]].domains;
            let threads = |place: &usize| i128::from(entities[*place].threads);
            let threads: i128 = bundle.places.iter().map(threads).sum();
            for (layer, height) in heights.iter().enumerate() {
                // In one layer each entity is limited already.
                let most = if layers > 1 { units(*height) * threads } else { ENDLESS };
                network.arc(bundle_nodes + number, set_nodes + set * layers + layer, most);
            }
        }
        Self { network, bundles, given: 0 }
    }

    /// The next bottleneck; none if all others can have their duty.
    fn bottleneck(&mut self) -> Result<Option<Bottleneck>, SolveError> {
        let mut found: Option<Bottleneck> = None;
        loop {
            let lambda = found.as_ref().map(|found| found.lambda);
            let mut wanted = vec![0; self.bundles.len()];
            for (bundle, wanted) in self.bundles.iter().zip(&mut wanted) {
                *wanted = if bundle.frozen { ENDLESS } else { bundle.wants(lambda) };
                self.network.set_capacity(bundle.arc, *wanted);
            }
            let side = self.network.cut(SOURCE, SINK);
            let first = side.len() - self.bundles.len();
            let inside = |number: &usize| side[first + number] && !self.bundles[*number].frozen;
            let bundles: Vec<_> = (0..self.bundles.len()).filter(inside).collect();
            let most = self.network.across(&side, SOURCE);
            let wanted: i128 = bundles.iter().map(|bundle| wanted[*bundle]).sum();
            // Shares are rounded to 53 bits.
            let left = most - self.given;
            if bundles.is_empty() || wanted - left <= (left >> 43) + bundles.len() as i128 {
                return Ok(found);
            }
            let items: Vec<_> = (bundles.iter())
                .flat_map(|bundle| self.bundles[*bundle].items.iter().copied())
                .collect();
            let next = if left <= 0 {
                f64::INFINITY
            } else {
                let (_, search) = level::search(items.iter().copied(), left)?;
                search.map_or(0.0, |search| search.lambda())
            };
            if lambda.is_some_and(|lambda| next <= lambda) {
                return Ok(found);
            }
            found = Some(Bottleneck { lambda: next, bundles, most });
        }
    }

    fn freeze(&mut self, bottleneck: &Bottleneck) {
        self.given = bottleneck.most;
        for bundle in &bottleneck.bundles {
            self.bundles[*bundle].frozen = true;
        }
    }
}

impl Bundle {
    /// What its entities get at this λ, in units.
    fn wants(&self, lambda: Option<f64>) -> i128 {
        let wants = |item: &Item| match lambda {
            Some(lambda) if item.weight < lambda => units(share(Some(lambda), item.entity())),
            _ => item.duty,
        };
        self.items.iter().map(wants).sum()
    }
}

/// With one layer the entities of a set are alike; with more, those with equal numbers.
fn bundles(layers: usize, entities: &[Confined], items: &[Item]) -> Vec<Bundle> {
    let key = |place: &usize| {
        let (one, item) = (&entities[*place], &items[*place]);
        let numbers = (one.threads, item.weight.to_bits(), item.duty);
        (one.domains, if layers > 1 { numbers } else { (0, 0, 0) })
    };
    let mut places: Vec<_> = (0..entities.len()).collect();
    places.sort_by_key(key);
    let bundle = |places: &[usize]| Bundle {
        places: places.to_vec(),
        items: places.iter().map(|place| items[*place]).collect(),
        arc: 0,
        frozen: false,
    };
    places.chunk_by(|a, b| key(a) == key(b)).map(bundle).collect()
}
