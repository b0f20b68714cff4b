// SPDX-License-Identifier: GPL-2.0-or-later
//! How a line begins.

/// A line that is an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// What who ran is called; nothing, if that is not known.
    pub(super) name: &'a str,
    /// Who ran; 0 is nobody.
    pub(super) pid: i32,
    /// Its process, where that is told.
    pub(super) tgid: Option<i32>,
    /// Where.
    pub(super) cpu: u32,
    /// It was in the middle of a hardware interrupt.
    pub(super) interrupt: bool,
    /// When, in ns.
    pub(super) time_ns: u64,
    /// The event's name, without that of its system.
    pub(super) event: &'a str,
    /// What it says.
    pub(super) says: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line; `None` if it is no event.
    ///
    /// Names of tasks may have brackets in them, so each one that could be the CPU's is tried.
    pub(super) fn parse(line: &'a str) -> Option<Self> {
        let mut from = 0;
        while let Some(open) = line[from..].find('[').map(|at| from + at) {
            let rest = &line[open + 1..];
            let found = rest.split_once(']').and_then(|(cpu, after)| {
                let cpu = digits(cpu)?.parse().ok()?;
                Self::after_cpu(Who::parse(&line[..open])?, cpu, after)
            });
            if found.is_some() {
                return found;
            }
            from = open + 1;
        }
        Self::latency(line)
    }

    /// Reads a line of `trace-cmd report -l`, which has the CPU and flags in one word, and names cut after
    /// eight bytes.
    fn latency(line: &'a str) -> Option<Self> {
        line.match_indices(' ').find_map(|(at, _)| {
            let (word, rest) = line[at + 1..].split_once(' ')?;
            let end = word.find(|c: char| !c.is_ascii_digit())?;
            let (cpu, flags) = word.split_at(end);
            let is_flags = flags.len() >= 3 && flags.starts_with(['.', 'd', 'D', 'b', 'B', 'X']);
            let (cpu, who) = (digits(cpu)?.parse().ok()?, Who::parse(&line[..at])?);
            is_flags.then(|| Self::after_time(who, cpu, flags, rest.trim_start()))?
        })
    }

    /// Reads what follows after the CPU: flags, unless there are none, the time, the event.
    fn after_cpu(Who { name, pid, tgid }: Who<'a>, cpu: u32, rest: &'a str) -> Option<Self> {
        let mut rest = rest.trim_start();
        let mut flags = "";
        if !rest.starts_with(|c: char| c.is_ascii_digit()) || time(rest).is_none() {
            (flags, rest) = rest.split_once(' ')?;
            rest = rest.trim_start();
        }
        Self::after_time(Who { name, pid, tgid }, cpu, flags, rest)
    }

    /// Reads the time and what follows.
    fn after_time(who: Who<'a>, cpu: u32, flags: &str, rest: &'a str) -> Option<Self> {
        let Who { name, pid, tgid } = who;
        let (time_ns, rest) = time(rest)?;
        let (event, says) = event(rest.trim_start())?;
        let interrupt = matches!(flags.as_bytes().get(2), Some(b'h' | b'H' | b'z' | b'Z'));
        Some(Self { name, pid, tgid, cpu, interrupt, time_ns, event, says: says.trim() })
    }
}

/// The name of an event, and what follows. perf puts its system before it.
fn event(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once(':')?;
    let second = rest.split_once(':').filter(|(name, _)| is_name(name));
    let (name, says) = second.unwrap_or((first, rest));
    is_name(name).then_some((name, says))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// Who ran, as a line begins.
#[derive(Clone, Copy)]
struct Who<'a> {
    name: &'a str,
    pid: i32,
    tgid: Option<i32>,
}

impl<'a> Who<'a> {
    /// Reads `NAME-PID`, `NAME-PID (TGID)`, or perf's `NAME PID` and `NAME TGID/PID`.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim_end();
        if let Some((task, tgid)) = text.strip_suffix(')').and_then(|text| text.rsplit_once('(')) {
            let tgid = digits(tgid.trim()).and_then(|tgid| tgid.parse().ok());
            return Some(Self { tgid, ..Self::parse(task)? });
        }
        let end = text.rfind(['-', ' ', '/'])?;
        let (mut name, pid) = (text[..end].trim(), digits(&text[end + 1..])?.parse().ok()?);
        let mut tgid = None;
        if text[end..].starts_with('/')
            && let Some((rest, number)) = name.rsplit_once(' ')
        {
            (name, tgid) = (rest.trim_end(), digits(number).and_then(|tgid| tgid.parse().ok()));
        }
        let is_known = pid != 0 && name != "<...>";
        Some(Self { name: if is_known { name } else { "" }, pid, tgid })
    }
}

/// A time in seconds with at most nine digits behind the point and a colon after them, in ns.
fn time(text: &str) -> Option<(u64, &str)> {
    let (time, rest) = text.split_once(':')?;
    let (seconds, parts) = time.split_once('.')?;
    let (seconds, nanoseconds) = (digits(seconds)?, digits(parts)?);
    let scale = 10_u64.checked_pow(9_u32.checked_sub(nanoseconds.len() as u32)?)?;
    let (seconds, parts): (u64, u64) = (seconds.parse().ok()?, nanoseconds.parse().ok()?);
    Some((seconds.checked_mul(1_000_000_000)?.checked_add(parts * scale)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_begins_its_lines_in_its_own_way() {
        let says = "comm=a pid=7";
        for (text, expected) in [
            (
                "  <idle>-0       [001] dNh4.   12.000345: e: comm=a pid=7",
                (0, None, 1, true, 12_000_345_000),
            ),
            (
                "  bash-x-19      (   17) [000] d.s2.   0.5: e: comm=a pid=7",
                (19, Some(17), 0, false, 500_000_000),
            ),
            (
                "  bash-19      (-----) [000] d..2.   1.1: e: comm=a pid=7",
                (19, None, 0, false, 1_100_000_000),
            ),
            (
                "   kworker/0:[1]-5  [012]   3.000000001: e: comm=a pid=7",
                (5, None, 12, false, 3_000_000_001),
            ),
            ("a b-x-19   0d.h2.  0.5: e: comm=a pid=7", (19, None, 0, true, 500_000_000)),
            ("rustc-16484  12dNs3.  1.1: e: comm=a pid=7", (16484, None, 12, false, 1_100_000_000)),
            ("a b   77 [003]  9.25: sched:e: comm=a pid=7", (77, None, 3, false, 9_250_000_000)),
            (
                "a b   70/77 [003]  9.25:  sched:e:  comm=a pid=7",
                (77, Some(70), 3, false, 9_250_000_000),
            ),
        ] {
            let (pid, tgid, cpu, interrupt, time_ns) = expected;
            let found = Line::parse(text).unwrap();
            let expected = Line { pid, tgid, cpu, interrupt, time_ns, event: "e", says, ..found };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn who_runs_has_a_name_unless_it_is_not_known() {
        for (text, name) in [
            ("  a b-19 (   17) [000] 0.5: e: x", "a b"),
            ("<idle>-0 [000] 0.5: e: x", ""),
            ("<...>-5 [000] 0.5: e: x", ""),
            (" a-b   70/77 [000] 0.5: e: x", "a-b"),
            (" a b   77 [000] 0.5: e: x", "a b"),
        ] {
            assert_eq!(Line::parse(text).map(|line| line.name), Some(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_event_is_none() {
        for text in [
            "",
            "[",
            "[0]",
            "a-1 [0]",
            "a-1 [0] 1.0",
            "a-1 [0] 1.0: ",
            "a-1 [0] 1.0: e",
            "a-1 [0] x 1: e: x",
            "a-x [0] 1.0: e: x",
            "a-1 [99999999999] 1.0: e: x",
            "a-1 [0] 1.0123456789: e: x",
            "a-1 [0] 99999999999999999999.0: e: x",
            "# tracer: nop",
            " => schedule <- x",
            "a-1 [0] 1.: e: x",
            "a-1 0d..2. 1.: e: x",
            "a-1 0 1.0: e: x",
            "a 0d..2. 1.0: e: x",
            "a-1 0q..2. 1.0: e: x",
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
