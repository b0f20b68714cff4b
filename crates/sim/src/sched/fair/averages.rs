// SPDX-License-Identifier: GPL-2.0-or-later
//! Averages of load and use over the last fraction of a second (kernel: PELT,
//! `kernel/sched/pelt.c`): what was 32 ms ago counts half.
//!
//! Time is cut into periods of 1024 us, roughly; each is worth y times the one after it, and
//! y^32 = 1/2. Who always runs comes to a sum of [`SUM_MAX`].

/// The powers of y from y^0 to y^31, in parts of 2^32, rounded down.
const POWERS: [u32; 32] = [
    0xffff_ffff,
    0xfa83_b2da,
    0xf525_7d14,
    0xefe4_b99a,
    0xeac0_c6e6,
    0xe5b9_06e6,
    0xe0cc_deeb,
    0xdbfb_b796,
    0xd744_fcc9,
    0xd2a8_1d91,
    0xce24_8c14,
    0xc9b9_bd85,
    0xc567_2a10,
    0xc12c_4cc9,
    0xbd08_a39e,
    0xb8fb_af46,
    0xb504_f333,
    0xb123_f581,
    0xad58_3ee9,
    0xa9a1_5ab4,
    0xa5fe_d6a9,
    0xa270_4302,
    0x9ef5_325f,
    0x9b8d_39b9,
    0x9837_f050,
    0x94f4_efa8,
    0x91c3_d373,
    0x8ea4_398a,
    0x8b95_c1e3,
    0x8898_0e80,
    0x85aa_c367,
    0x82cd_8698,
];
/// The sum of all periods (kernel: `LOAD_AVG_MAX`).
const SUM_MAX: u64 = 47742;
/// The units of a period, and those of a CPU that is all used.
const PERIOD: u64 = 1024;
pub(super) const FULL: u64 = 1024;

/// Averages of a task, or of a CPU's queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Averages {
    /// Until when they are summed up, in ns.
    pub(super) until_ns: u64,
    /// How much of the present period has passed.
    passed: u64,
    load_sum: u64,
    waits_sum: u64,
    used_sum: u64,
    /// The weight of what wanted to run; of nice 0 it is [`FULL`].
    pub(super) load: u64,
    /// How many wanted to run, of [`FULL`] each (kernel: `runnable_avg`).
    pub(super) wanted: u64,
    /// How much of a CPU was used, of [`FULL`] (kernel: `util_avg`).
    pub(super) used: u64,
    /// Whether sums are cut to 32 bits when something leaves: of queues, by the kernel.
    pub(super) cut: bool,
}

/// What has been the case since the averages were last brought up to date.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    /// The weight that was in the queue; of a task itself 1 or 0.
    pub(super) load: u64,
    /// How many wanted to run.
    pub(super) wanted: u64,
    /// Whether one ran.
    pub(super) ran: bool,
}

fn decay(value: u64, periods: u64) -> u64 {
    let halves = periods / 32;
    if halves >= 64 {
        return 0;
    }
    let value = u128::from(value >> halves) * u128::from(POWERS[(periods % 32) as usize]);
    (value >> 32) as u64
}

/// What is added for a span that was all of one kind: the rest of a first period, whole ones, and
/// the beginning of the present one.
fn contribution(periods: u64, first: u64, present: u64) -> u64 {
    let whole = SUM_MAX - decay(SUM_MAX, periods) - PERIOD;
    decay(first, periods) + whole + present
}

/// The sum of a queue that something has left: no less than the average needs. Where that is `cut`,
/// both are compared as numbers of 32 bits, and the sum is one after it (`max_t(u32, ...)` in
/// `dequeue_load_avg` and elsewhere): where tasks weigh as much as 90 of nice 0 or more, 2^32 is lost
/// with whoever leaves, and with it some 90,000 of the average until time makes up for it.
fn rest(sum: u64, average: u64, cut: bool) -> u64 {
    let least = average * (SUM_MAX - PERIOD);
    if cut { u64::from((sum as u32).max(least as u32)) } else { sum.max(least) }
}

impl Averages {
    /// Of a new task with a weight.
    pub(super) fn new(load: u64) -> Self {
        Self { load, ..Self::default() }
    }

    /// Whether nothing is left of what they were of.
    pub(super) fn are_none(&self) -> bool {
        let Self { load_sum, waits_sum, used_sum, load, wanted, used, .. } = self;
        [load_sum, waits_sum, used_sum, load, wanted, used].iter().all(|one| **one == 0)
    }

    /// When a period is over and what is read of them changes, if nothing else does, in ns.
    pub(super) fn due_ns(&self) -> u64 {
        self.until_ns + ((PERIOD - self.passed) << 10)
    }

    /// Brings them up to date; `weight` is what one unit of load weighs.
    pub(super) fn advance(&mut self, now_ns: u64, since: Since, weight: u64) {
        let units = now_ns.saturating_sub(self.until_ns) >> 10;
        if units == 0 {
            return;
        }
        self.until_ns += units << 10;
        let all = self.passed + units;
        let (periods, present) = (all / PERIOD, all % PERIOD);
        let mut added = units;
        if periods > 0 {
            for sum in [&mut self.load_sum, &mut self.waits_sum, &mut self.used_sum] {
                *sum = decay(*sum, periods);
            }
            added = contribution(periods, PERIOD - self.passed, present);
        }
        self.passed = present;
        if since.load > 0 {
            self.load_sum += since.load * added;
            self.waits_sum += (since.wanted * added) << 10;
            self.used_sum += (u64::from(since.ran) * added) << 10;
        }
        if periods > 0 {
            let most = self.most();
            self.load = weight * self.load_sum / most;
            self.wanted = self.waits_sum / most;
            self.used = self.used_sum / most;
        }
    }

    /// The most that a sum can be at the moment.
    fn most(&self) -> u64 {
        SUM_MAX - PERIOD + self.passed
    }

    /// A task comes to a queue: it takes on the queue's periods, and the queue its averages.
    pub(super) fn join(&mut self, queue: &mut Self, weight: u64) {
        (self.until_ns, self.passed) = (queue.until_ns, queue.passed);
        let most = queue.most();
        self.used_sum = self.used * most;
        self.waits_sum = self.wanted * most;
        self.load_sum = (self.load * most / weight.max(1)).max(1);
        queue.used += self.used;
        queue.used_sum += self.used_sum;
        queue.wanted += self.wanted;
        queue.waits_sum += self.waits_sum;
        queue.load += self.load;
        queue.load_sum += weight * self.load_sum;
    }

    /// A task leaves a queue with its averages.
    pub(super) fn part(&self, queue: &mut Self, weight: u64) {
        queue.used = queue.used.saturating_sub(self.used);
        queue.used_sum = rest(queue.used_sum.saturating_sub(self.used_sum), queue.used, queue.cut);
        queue.wanted = queue.wanted.saturating_sub(self.wanted);
        queue.waits_sum =
            rest(queue.waits_sum.saturating_sub(self.waits_sum), queue.wanted, queue.cut);
        queue.lighten(self.load, weight * self.load_sum);
    }

    /// A task has another weight from now on.
    pub(super) fn reweigh(&mut self, weight: u64) {
        self.load = weight * self.load_sum / self.most();
    }

    /// What is in a queue has another weight from now on than before (kernel: `reweight_entity`).
    pub(super) fn reweigh_in(&mut self, queue: &mut Self, before: u64, weight: u64) {
        queue.lighten(self.load, before * self.load_sum);
        self.reweigh(weight);
        queue.load += self.load;
        queue.load_sum += weight * self.load_sum;
    }

    /// Less load is in a queue.
    fn lighten(&mut self, load: u64, sum: u64) {
        self.load = self.load.saturating_sub(load);
        self.load_sum = rest(self.load_sum.saturating_sub(sum), self.load, self.cut);
    }

    /// The sum of its load, without weight.
    pub(super) fn load_sum(&self) -> i64 {
        self.load_sum.cast_signed()
    }

    /// Something has come into what these averages are of, or left it: they become those of what
    /// is inside, which has a weight, and the queue around gets the difference (kernel:
    /// `update_tg_cfs_util`, `update_tg_cfs_runnable`, `update_tg_cfs_load`). `news` is by how much
    /// the sum of load has grown.
    pub(super) fn follow(
        &mut self,
        (inside, inside_weight): (Self, u64),
        news: i64,
        queue: &mut Self,
        weight: u64,
    ) {
        let (most, cut) = (queue.most(), queue.cut);
        let change = |own: (&mut u64, &mut u64), to: (u64, u64), all: (&mut u64, &mut u64)| {
            let (average, sum) = (to.0.cast_signed(), to.1.cast_signed());
            *all.0 = all.0.saturating_add_signed(average - own.0.cast_signed());
            *all.1 = rest(all.1.saturating_add_signed(sum - own.1.cast_signed()), *all.0, cut);
            (*own.0, *own.1) = to;
        };
        if self.used != inside.used {
            let to = (inside.used, inside.used * most);
            change(
                (&mut self.used, &mut self.used_sum),
                to,
                (&mut queue.used, &mut queue.used_sum),
            );
        }
        if self.wanted != inside.wanted {
            let to = (inside.wanted, inside.wanted * most);
            let all = (&mut queue.wanted, &mut queue.waits_sum);
            change((&mut self.wanted, &mut self.waits_sum), to, all);
        }
        if news == 0 {
            return;
        }
        let sum = if news > 0 {
            self.load_sum.saturating_add_signed(news).min(most)
        } else {
            // All that is left inside is taken to be there as much.
            inside.load_sum.checked_div(inside_weight).unwrap_or(0).min(self.load_sum)
        };
        let sum = sum.max(self.used_sum >> 10);
        let load = weight * sum / most;
        if load != self.load {
            let old_sum = weight * self.load_sum;
            queue.load = (queue.load + load).saturating_sub(self.load);
            let load_sum = (queue.load_sum + weight * sum).saturating_sub(old_sum);
            queue.load_sum = rest(load_sum, queue.load, cut);
            (self.load, self.load_sum) = (load, sum);
        }
    }
}

/// What a task used when it last ran, smoothed (kernel: `util_est`).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Estimate(pub(super) u64);

impl Estimate {
    /// It goes to sleep with these averages: more counts at once, less by a quarter.
    pub(super) fn learn(&mut self, averages: &Averages) {
        let (used, near) = (averages.used, FULL / 100);
        if self.0 <= used {
            self.0 = used;
            return;
        }
        let less = self.0 - used;
        // It waited, so that nobody knows what it would have used.
        if less >= near && used + near >= averages.wanted {
            self.0 = (4 * self.0 - less) / 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1 << 20;

    #[test]
    fn half_of_it_is_32_ms_old() {
        let (runs, sleeps) =
            (Since { load: 1, wanted: 1, ran: true }, Since { load: 0, wanted: 0, ran: false });
        let mut averages = Averages::default();
        averages.advance(32 * MS, runs, 1024);
        assert!(averages.used.abs_diff(FULL / 2) <= 8, "{averages:?}");
        averages.advance(1000 * MS, runs, 1024);
        assert!([averages.used, averages.load].iter().all(|a| a.abs_diff(FULL) <= 2));
        averages.advance(1032 * MS, sleeps, 1024);
        assert!(averages.used.abs_diff(FULL / 2) <= 2, "{averages:?}");
    }

    /// The same sums in floating point, period by period.
    fn slow(spans: &[(u64, bool)]) -> f64 {
        let y = 0.5_f64.powf(1.0 / 32.0);
        let (mut sum, mut passed) = (0.0, 0_u64);
        for &(units, ran) in spans {
            for _ in 0..units {
                sum += f64::from(u8::from(ran));
                passed += 1;
                if passed == PERIOD {
                    (sum, passed) = (sum * y, 0);
                }
            }
        }
        sum / (47742.0 - 1024.0 + passed as f64) * 1024.0
    }

    /// 120 that always run on one CPU, of which one leaves: what the queue's load is then, after each
    /// of some times in ms.
    fn one_of_120_leaves(cut: bool, times_ms: &[u64]) -> Vec<u64> {
        let since = |tasks| Since { load: tasks * 1024, wanted: tasks, ran: true };
        let one = Since { load: 1, wanted: 1, ran: false };
        let (mut queue, mut task) = (Averages { cut, ..Averages::default() }, Averages::new(0));
        queue.advance(1000 * MS, since(120), 1);
        task.advance(1000 * MS, one, 1024);
        task.part(&mut queue, 1024);
        let mut loads = vec![queue.load];
        for ms in times_ms {
            queue.advance((1000 + ms) * MS, since(119), 1);
            loads.push(queue.load);
        }
        loads
    }

    /// As measured on Linux 6.18: 122,882 before, 43,787 some ms later, 121,000 after 200 ms
    /// (docs/eevdf.md).
    #[test]
    fn crowded_queues_lose_load_where_sums_are_cut() {
        let near = |value: u64, what: f64| (value as f64 - what).abs() < what / 50.0;
        let (times_ms, all) = ([1, 7, 33, 200], 119.0 * 1024.0);
        let cut = one_of_120_leaves(true, &times_ms);
        assert!(near(cut[0], all), "what is read changes with the next period: {cut:?}");
        for (load, ms) in cut[1..].iter().zip(times_ms) {
            let lost = (2_f64.powi(32) / 47742.0) * 0.5_f64.powf((ms - 1) as f64 / 32.0);
            assert!(near(*load, all - lost), "{cut:?}");
        }
        let whole = one_of_120_leaves(false, &times_ms);
        assert!(whole.iter().all(|load| near(*load, all)), "{whole:?}");
    }

    proptest! {
        #[test]
        fn as_a_sum_of_powers(spans in prop::collection::vec((1..9000_u64, any::<bool>()), 1..20)) {
            let (mut averages, mut now) = (Averages::default(), 0);
            for &(units, ran) in &spans {
                now += units << 10;
                let load = u64::from(ran);
                averages.advance(now, Since { load, wanted: load, ran }, 1024);
            }
            // The average is as old as the last period that began.
            let expected = slow(&spans);
            let used = averages.used_sum as f64 / averages.most() as f64;
            prop_assert!((used - expected).abs() < 6.0, "{used} {expected}");
        }

        #[test]
        fn who_comes_and_goes_leaves_nothing(used in 0..1024_u64, load in 0..5000_u64) {
            let mut queue = Averages::default();
            queue.advance(100 * MS, Since { load: 1024, wanted: 1, ran: true }, 1);
            let before = queue;
            let mut task = Averages { used, wanted: used, load, ..Averages::default() };
            task.join(&mut queue, 1024);
            prop_assert_eq!((queue.used, queue.load), (before.used + used, before.load + load));
            task.part(&mut queue, 1024);
            prop_assert_eq!((queue.used, queue.load), (before.used, before.load));
        }
    }
}
