// SPDX-License-Identifier: GPL-2.0-or-later
//! Sums without rounding.
//!
//! Duties and capacities are whole numbers of a unit of 2⁻⁸² CPUs, in an `i128`. A duty of 2⁻³⁰
//! (about 1e-9) or more is exact in it, a smaller one loses its last bits; 2⁴⁴ CPUs are the most
//! that a sum may have. Loads, weight times duty, are 256-bit numbers in units of 2⁻¹⁵⁴.
//!
//! So a sum does not depend on the order, and what was added can be taken away again: a solver that
//! is kept up to date gives the same bits as one that starts anew.

/// The exponent of the unit of duties.
const DUTY_EXPONENT: i32 = -82;
/// The exponent of the unit of weights, which are exact in it.
const WEIGHT_EXPONENT: i32 = -72;
/// More than any sum that is let in, in units.
pub(crate) const TOO_MANY: i128 = 1 << 126;

/// 2 to the power of an exponent within the range of normal numbers.
pub(crate) fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// A number's 53 bits, and the exponent of the last of them. The number is positive and normal.
fn split(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    (mantissa, (bits >> 52 & 0x7ff) as i32 - 1075)
}

/// CPUs as a whole number of units, rounded down. `cpus` is at least 0 and below 2⁴⁴.
pub(crate) fn units(cpus: f64) -> i128 {
    let (mantissa, exponent) = split(cpus);
    let shift = exponent - DUTY_EXPONENT;
    if shift >= 0 {
        i128::from(mantissa) << shift
    } else {
        i128::from(mantissa.checked_shr(shift.unsigned_abs()).unwrap_or(0))
    }
}

/// Units as CPUs, rounded to nearest.
pub(crate) fn cpus(units: i128) -> f64 {
    units as f64 * power(DUTY_EXPONENT)
}

/// A load, or a difference of loads: a signed number of 256 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    low: u128,
    high: i128,
}

impl Load {
    /// Weight times duty.
    pub(crate) fn product(weight: f64, duty: i128) -> Self {
        let (mantissa, exponent) = split(weight);
        let size = duty.unsigned_abs();
        let low = (size & u128::from(u64::MAX)) * u128::from(mantissa);
        let high = (size >> 64) * u128::from(mantissa);
        let (sum, carry) = low.overflowing_add(high << 64);
        let value = Self { low: sum, high: (high >> 64) as i128 + i128::from(carry) };
        let value = value.shifted((exponent - WEIGHT_EXPONENT).unsigned_abs());
        if duty < 0 { Self::default().minus(value) } else { value }
    }

    /// Times 2 to the power of less than 128.
    fn shifted(self, by: u32) -> Self {
        let over = self.low.checked_shr(128 - by).unwrap_or(0);
        Self { low: self.low << by, high: self.high << by | over as i128 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        let (low, carry) = self.low.overflowing_add(other.low);
        Self { low, high: self.high + other.high + i128::from(carry) }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        let (low, borrow) = self.low.overflowing_sub(other.low);
        Self { low, high: self.high - other.high - i128::from(borrow) }
    }

    pub(crate) fn is_negative(self) -> bool {
        self.high < 0
    }

    /// The number in weights times CPUs, rounded to nearest. It is not negative.
    pub(crate) fn value(self) -> f64 {
        let high = self.high.unsigned_abs();
        let unit = power(DUTY_EXPONENT + WEIGHT_EXPONENT);
        if high == 0 {
            return self.low as f64 * unit;
        }
        // The first 128 bits, the last of them set if anything comes after: rounding sees it.
        let zeros = high.leading_zeros();
        let first = high << zeros | self.low.checked_shr(128 - zeros).unwrap_or(0);
        let rest = self.low.checked_shl(zeros).unwrap_or(0);
        let sticky = u128::from(rest != 0);
        (first | sticky) as f64 * unit * power(128 - zeros as i32)
    }
}

/// What some entities come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Duties, in units.
    pub(crate) duty: i128,
    /// Weights times duties.
    pub(crate) load: Load,
    /// How many entities.
    pub(crate) count: u64,
}

impl Sums {
    pub(crate) fn one(weight: f64, duty: i128) -> Self {
        Self { duty, load: Load::product(weight, duty), count: 1 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            duty: self.duty + other.duty,
            load: self.load.plus(other.load),
            count: self.count + other.count,
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            duty: self.duty - other.duty,
            load: self.load.minus(other.load),
            count: self.count - other.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_exact() {
        assert_eq!(units(0.0), 0);
        assert_eq!(units(f64::MIN_POSITIVE / 4.0), 0);
        assert_eq!(units(1.0), 1 << 82);
        assert_eq!(units(1e6), 1_000_000 << 82);
        for value in [1e-9, 0.1, 1.0 / 3.0, 7e5 + 0.3, 1.6e7] {
            assert_eq!(cpus(units(value)).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn loads_are_products() {
        for (weight, duty) in [(1.0, 1.0), (10_000.0, 1e-9), (0.1, 1e6), (1e12, 1e7), (3.0, 0.3)] {
            let load = Load::product(weight, units(duty));
            assert_eq!(load.value(), weight * duty, "{weight} times {duty}");
            let less = Load::default().minus(load);
            assert!(less.is_negative());
            assert_eq!(less.plus(load), Load::default());
            assert_eq!(Load::product(weight, -units(duty)), less);
        }
    }

    #[test]
    fn what_is_added_can_be_taken_away() {
        let large = Sums::one(1e12, units(1e7));
        let small = Sums::one(1e-6, units(1e-9));
        assert_eq!(large.plus(small).minus(large), small);
        assert_ne!(large.plus(small).load, large.load);
    }

    #[test]
    fn long_numbers_round_to_nearest() {
        // 2^129 + 2^76 is exactly between two numbers of 53 bits; a bit more rounds up.
        let tie = Load { low: 1 << 76, high: 2 };
        let above = Load { low: (1 << 76) | 1, high: 2 };
        let unit = power(DUTY_EXPONENT + WEIGHT_EXPONENT) * power(129);
        assert_eq!(tie.value(), unit);
        assert_eq!(above.value(), unit * (1.0 + f64::EPSILON));
    }
}
