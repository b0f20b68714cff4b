// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers as people write them: durations and sizes with a unit.

use std::fmt;

/// Decimal units of time, in nanoseconds, largest first.
const TIME: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("min", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Binary units of size, in bytes.
const SIZE: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a duration such as `20ms`, `1.5s` or `250us`, in nanoseconds.
///
/// # Errors
/// A sentence that says what is wrong and what is expected.
pub fn parse_ns(text: &str) -> Result<u64, String> {
    let text = text.replace('µ', "u");
    scaled(&text, &TIME, "a duration such as 20ms, 1.5s or 250us")
}

/// Reads a size such as `64KiB` or `4096B`, in bytes.
///
/// # Errors
/// A sentence that says what is wrong and what is expected.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    scaled(text, &SIZE, "a size such as 64KiB or 4096B")
}

/// A number with a unit. The fraction is exact: digits beyond the unit's resolution are refused.
fn scaled(text: &str, units: &[(&str, u64)], expected: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() || number == "." || number.matches('.').count() > 1 {
        return Err(format!("'{text}' is no number with a unit; expected {expected}"));
    }
    let Some(&(_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        let what = if unit.is_empty() {
            "has no unit".into()
        } else {
            format!("has the unknown unit '{unit}'")
        };
        return Err(format!("'{text}' {what}; expected {expected}"));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let too_large = || format!("'{text}' is too large; expected {expected}");
    let parse =
        |s: &str| if s.is_empty() { Ok(0) } else { s.parse::<u64>().map_err(|_| too_large()) };
    let mut total = parse(whole)?.checked_mul(factor).ok_or_else(too_large)?;
    if !fraction.is_empty() {
        let scale = 10u128.checked_pow(fraction.len() as u32).ok_or_else(too_large)?;
        let digits = fraction.parse::<u128>().map_err(|_| too_large())?;
        let part = digits.checked_mul(u128::from(factor)).ok_or_else(too_large)?;
        if part % scale != 0 {
            return Err(format!("'{text}' is finer than one unit can be; expected {expected}"));
        }
        total = total.checked_add((part / scale) as u64).ok_or_else(too_large)?;
    }
    Ok(total)
}

/// Writes nanoseconds the way [`parse_ns`] reads them, in the largest unit that needs no
/// fraction.
pub fn format_ns(ns: u64) -> String {
    Duration(ns).to_string()
}

/// Nanoseconds that print with a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let (unit, factor) =
            TIME.iter().find(|(_, factor)| self.0.is_multiple_of(*factor)).unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse_ns(text).ok(), expected, "{text}");
    }

    #[test]
    fn durations() {
        check("20ms", Some(20_000_000));
        check("1.5s", Some(1_500_000_000));
        check("0s", Some(0));
        check("250µs", Some(250_000));
        check("1h", Some(3_600_000_000_000));
        check(".5ms", Some(500_000));
        check("0.5ns", None);
        check("20", None);
        check("ms", None);
        check("-1s", None);
        check("1.2.3s", None);
        check("99999999999999999999s", None);
        check("18446744073709551615h", None);
        check("1.999999999999999999999999999999s", None);
        check("1.999999999999999999999999999999999999999s", None);
        check("0.0000000000000000000000000000000000000000000001s", None);
        check("", None);
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_bytes("64KiB"), Ok(65536));
        assert_eq!(parse_bytes("1.5KiB"), Ok(1536));
        assert!(parse_bytes("64kb").is_err());
    }

    #[test]
    fn printing_reads_back() {
        for ns in [0, 1, 999, 1000, 1_500_000, 20_000_000, 60_000_000_000, u64::MAX] {
            assert_eq!(parse_ns(&format_ns(ns)), Ok(ns), "{}", format_ns(ns));
        }
    }
}
