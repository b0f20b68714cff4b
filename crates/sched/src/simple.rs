// SPDX-License-Identifier: GPL-2.0-or-later
//! The user half of `simple`: the policy is all in BPF, so this only adds a figure that is worth
//! more than its parts.

use crate::half::{HalfError, UserHalf};
use crate::limits::{self, Limit};
use crate::plain::Plain;
use rota_events::{Metric, MetricKind, Sample};
use rota_object::{Object, Setup, World};
use rota_programs::simple::SimpleStats;
use zerocopy::FromBytes;

/// What settings may be.
const LIMITS: [Limit; 1] = [Limit::new("slice_ns", 100_000, 10_000_000_000)];

struct Simple {
    plain: Plain,
    metrics: Vec<Metric>,
}

/// The half of `simple` with these settings.
pub(crate) fn new(
    object: &Object,
    settings: &[(String, String)],
) -> Result<Box<dyn UserHalf>, HalfError> {
    let plain = Plain::new(object, settings)?;
    let mut metrics = plain.metrics().to_vec();
    let help = "of all tasks placed so far, how many met an idle CPU";
    metrics.push(Metric::new("direct_share", MetricKind::Gauge, "%", help));
    Ok(Box::new(Simple { plain, metrics }))
}

impl UserHalf for Simple {
    fn configure(&mut self, setup: &mut dyn Setup) -> Result<(), HalfError> {
        self.plain.configure(setup)?;
        limits::check(setup, &LIMITS)
    }

    fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    fn sample(&mut self, now_ns: u64, world: &mut dyn World) -> Result<Sample, HalfError> {
        let mut sample = self.plain.sample(now_ns, world)?;
        let (mut direct, mut placed) = (0, 0);
        for bytes in self.plain.per_cpu(world)? {
            if let Ok((cpu, _)) = SimpleStats::read_from_prefix(&bytes) {
                direct += cpu.direct;
                placed += cpu.direct + cpu.queued;
            }
        }
        sample.values.push((100 * direct).checked_div(placed).unwrap_or(0));
        Ok(sample)
    }
}
