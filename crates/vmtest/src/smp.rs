// SPDX-License-Identifier: GPL-2.0-or-later
//! The processors of a machine, as QEMU's `-smp` takes them or in Rota's short form.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Sockets, last-level caches, cores and threads of a machine.
///
/// Written as a number (`4`), as QEMU's own words (`8,sockets=2,cores=2,threads=2`), or short:
/// `2s:2l:4c:2t` is 2 sockets with 2 last-level caches each, 4 cores each, 2 threads each; what is
/// left out is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smp(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Qemu { cpus: u32, text: String },
    Short { sockets: u32, llcs: u32, cores: u32, threads: u32 },
}

impl Smp {
    /// A flat machine: one socket, one last-level cache, one thread a core.
    pub fn flat(cpus: u32) -> Smp {
        Smp(Form::Short { sockets: 1, llcs: 1, cores: cpus, threads: 1 })
    }

    /// How many CPUs the machine has.
    pub fn cpus(&self) -> u32 {
        match &self.0 {
            Form::Qemu { cpus, .. } => *cpus,
            Form::Short { sockets, llcs, cores, threads } => {
                [llcs, cores, threads].into_iter().fold(*sockets, |all, n| all.saturating_mul(*n))
            }
        }
    }

    /// The value of QEMU's `-smp`. A last-level cache is a die; where QEMU cannot do several dies
    /// (`dies_work`), each becomes a socket of its own, which the guest's scheduler sees alike.
    pub(crate) fn argument(&self, dies_work: bool) -> String {
        let (sockets, llcs, cores, threads) = match &self.0 {
            Form::Qemu { text, .. } => return text.clone(),
            Form::Short { sockets, llcs, cores, threads } => (sockets, llcs, cores, threads),
        };
        let cpus = self.cpus();
        if *llcs > 1 && dies_work {
            format!("{cpus},sockets={sockets},dies={llcs},cores={cores},threads={threads}")
        } else {
            format!("{cpus},sockets={},cores={cores},threads={threads}", sockets * llcs)
        }
    }
}

impl FromStr for Smp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Smp, Error> {
        let form = if text.ends_with(['s', 'l', 'c', 't']) && !text.contains('=') {
            parse_short(text)
        } else {
            parse_qemu(text)
        };
        let smp = form.map(Smp).map_err(|problem| {
            Error::Usage(format!("`{text}` is no machine shape ({problem}); examples: 4, 2s:2c:2t, 8,sockets=2,cores=2,threads=2"))
        })?;
        if (1..=CPUS_MAX).contains(&smp.cpus()) {
            return Ok(smp);
        }
        Err(Error::Usage(format!("`{text}`: a machine has 1 to {CPUS_MAX} CPUs")))
    }
}

impl fmt::Display for Smp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Qemu { text, .. } => f.write_str(text),
            Form::Short { sockets, llcs, cores, threads } => {
                write!(f, "{sockets}s:{llcs}l:{cores}c:{threads}t")
            }
        }
    }
}

/// What emulation can still boot; the q35 machine itself takes 288.
const CPUS_MAX: u32 = 255;
const UNITS: [char; 4] = ['s', 'l', 'c', 't'];

fn parse_short(text: &str) -> Result<Form, String> {
    let mut counts = [None; UNITS.len()];
    let mut last = None;
    for part in text.split(':') {
        let (number, unit) =
            part.split_at(part.len() - part.chars().last().map_or(0, char::len_utf8));
        let place = UNITS.iter().position(|known| unit.starts_with(*known));
        let place = place.ok_or_else(|| format!("`{part}` has none of the units s, l, c, t"))?;
        if last.is_some_and(|last| last >= place) {
            return Err("the order is s, l, c, t, each at most once".to_string());
        }
        last = Some(place);
        counts[place] = Some(parse_count(number)?);
    }
    let [sockets, llcs, cores, threads] = counts.map(|count| count.unwrap_or(1));
    Ok(Form::Short { sockets, llcs, cores, threads })
}

fn parse_qemu(text: &str) -> Result<Form, String> {
    let mut cpus = None;
    let mut product = 1_u32;
    for (index, part) in text.split(',').enumerate() {
        match part.split_once('=') {
            None if index == 0 => cpus = Some(parse_count(part)?),
            Some(("cpus", number)) => cpus = Some(parse_count(number)?),
            Some(("sockets" | "dies" | "cores" | "threads", number)) => {
                product = parse_count(number)?.saturating_mul(product);
            }
            Some(("maxcpus", number)) => {
                parse_count(number)?;
            }
            _ => return Err(format!("`{part}` is not understood")),
        }
    }
    Ok(Form::Qemu { cpus: cpus.unwrap_or(product), text: text.to_string() })
}

fn parse_count(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| (1..=CPUS_MAX).contains(count));
    count.ok_or_else(|| format!("`{text}` is no number from 1 to {CPUS_MAX}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, cpus: u32, with_dies: &str, without_dies: &str) {
        let smp: Smp = text.parse().unwrap();
        let got = (smp.cpus(), smp.argument(true), smp.argument(false));
        assert_eq!(got, (cpus, with_dies.to_string(), without_dies.to_string()), "{text}");
    }

    #[test]
    fn short_and_long_forms() {
        let flat = "4,sockets=1,cores=4,threads=1";
        check("4c", 4, flat, flat);
        check("4", 4, "4", "4");
        let smt = "8,sockets=2,cores=2,threads=2";
        check("2s:2c:2t", 8, smt, smt);
        check(smt, 8, smt, smt);
        check("2l:2c", 4, "4,sockets=1,dies=2,cores=2,threads=1", "4,sockets=2,cores=2,threads=1");
        let both = "16,sockets=2,dies=2,cores=2,threads=2";
        check("2s:2l:2c:2t", 16, both, "16,sockets=4,cores=2,threads=2");
        check("sockets=2,cores=3", 6, "sockets=2,cores=3", "sockets=2,cores=3");
        assert_eq!(Smp::flat(4), "4c".parse().unwrap());
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [
            "",
            "0",
            "0c",
            "4x",
            "c",
            "2c:2s",
            "2c:2c",
            "4,foo=1",
            "4,5",
            "-1",
            "256",
            "99999999999",
        ] {
            assert!(matches!(bad.parse::<Smp>(), Err(Error::Usage(_))), "{bad}");
        }
        assert!("255s:255l:255c:255t".parse::<Smp>().is_err());
    }
}
