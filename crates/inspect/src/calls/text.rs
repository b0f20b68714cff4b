// SPDX-License-Identifier: GPL-2.0-or-later
//! Sessions as text, laid out as retsnoop does: a call stack with the way of an error marked, and a call
//! trace with results and durations.

use super::{Call, Place, Session, Shown};
use std::fmt::Write as _;

/// How a thread's kernel stack begins in a trace of a function: with what traces it.
const TRACERS: [&str; 6] =
    ["bpf_prog_", "bpf_trampoline_", "arch_rethook", "fprobe_", "kprobe_", "ftrace_"];

fn us(ns: Option<u64>) -> String {
    ns.map_or("?".to_owned(), |ns| format!("{}.{:03}us", ns / 1000, ns % 1000))
}

/// The time of the day, in UTC.
fn clock(ns: u64) -> String {
    let (s, us) = (ns / 1_000_000_000 % 86_400, ns / 1000 % 1_000_000);
    format!("{:02}:{:02}:{:02}.{us:06}", s / 3600, s / 60 % 60, s % 60)
}

impl Shown<'_> {
    /// Who, and from when to when.
    pub fn head(&self, session: &Session) -> String {
        let root = &session.root;
        let end = root.ended.map(|(end, _)| clock(end + self.boot_ns));
        format!(
            "{} -> {} TID/PID {}/{} ({}), CPU {}:\n",
            clock(root.began_ns + self.boot_ns),
            end.as_deref().unwrap_or("?"),
            session.pid,
            session.tgid,
            session.comm,
            session.cpu
        )
    }

    /// The call stack, the outermost first. Of a session that failed it is that of the innermost error;
    /// calls on the way there have their time and result, and where they failed a `!`.
    pub fn stack(&self, session: &Session) -> String {
        let path = session.root.failing(self.functions);
        let path = if path.is_empty() { vec![&session.root] } else { path };
        let innermost = path.last().map(|call| &call.stack).filter(|stack| !stack.is_empty());
        let stack = innermost.unwrap_or(&session.stack);
        let innermost = path.last().map_or("?", |call| self.name(call));
        let names = stack.iter().map(|address| (*address, self.symbols.text(*address)));
        let traces = |name: &str| is_tracer(name) && function_of(name) != innermost;
        let mut frames: Vec<_> = names.skip_while(|(_, name)| traces(name)).collect();
        frames.reverse();
        let mut text = String::new();
        let mut left = path.iter().copied().peekable();
        for (address, frame) in frames {
            let call = left.next_if(|call| self.name(call) == function_of(&frame));
            let mut places = self.lines.of_frame(address, self.symbols).into_iter();
            text += &self.row(call, &frame, places.next());
            for place in places {
                let name = place.inlined.clone().unwrap_or_default();
                text += &self.row(None, &format!("{name} inlined"), Some(place));
            }
        }
        for call in left {
            text += &self.row(Some(call), self.name(call), self.begin(call));
        }
        text
    }

    /// A line of a call stack; calls that are traced have their time and result.
    fn row(&self, call: Option<&Call>, frame: &str, place: Option<Place>) -> String {
        let (mark, time, result) = match call {
            Some(call) => {
                let failed = call.error(self.functions).is_some();
                let mark = if failed { "!" } else { " " };
                (mark, us(self.ns(call)), format!("[{}]", self.result(call)))
            }
            None => (" ", String::new(), String::new()),
        };
        let place = place.map(|place| format!("  ({place})")).unwrap_or_default();
        format!("{mark} {time:>12} {result:<12}  {frame}{place}\n")
    }

    /// All calls, each with what was called within it, results and durations.
    pub fn trace(&self, session: &Session) -> String {
        let mut rows = Vec::new();
        self.lines(&session.root, 0, &mut rows);
        let wide = |at: fn(&[String; 3]) -> &String, least: usize| {
            rows.iter().map(|row| at(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let (first, second) = (wide(|row| &row[0], 19), wide(|row| &row[1], 9));
        let third = wide(|row| &row[2], 8);
        let mut text =
            format!("{:first$}   {:second$}  DURATION\n", "FUNCTION CALL TRACE", "RESULT");
        let dashes = |count: usize| "-".repeat(count);
        let _ = writeln!(text, "{}   {}  {}", dashes(first), dashes(second), dashes(third));
        for [name, result, time] in rows {
            let line = format!("{name:first$}   {result:second$}  {time:>third$}");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    fn lines(&self, call: &Call, depth: usize, rows: &mut Vec<[String; 3]>) {
        let indent = " ".repeat(4 * depth);
        let (name, args) = (self.name(call), self.args_text(call));
        let end = [format!("[{}]", self.result(call)), us(self.ns(call))];
        if call.calls.is_empty() {
            let [result, time] = end;
            rows.push([format!("{indent}↔ {name}{args}"), result, time]);
            return;
        }
        rows.push([format!("{indent}→ {name}{args}"), String::new(), String::new()]);
        for call in &call.calls {
            self.lines(call, depth + 1, rows);
        }
        let [result, time] = end;
        rows.push([format!("{indent}← {name}"), result, time]);
    }

    fn args_text(&self, call: &Call) -> String {
        if !self.args {
            return String::new();
        }
        let args = self.arguments(call).into_iter();
        let args: Vec<_> = args.map(|(name, value)| format!("{name}={value}")).collect();
        format!(" ({})", args.join(", "))
    }
}

/// The name of the function in the text of an address; of a BPF program without what the kernel puts
/// before it: `bpf_prog_`, and a hash of 16 digits.
fn function_of(frame: &str) -> &str {
    let name = frame.split(['+', ' ']).next().unwrap_or_default();
    let program = name.strip_prefix("bpf_prog_").and_then(|rest| rest.split_at_checked(16));
    let is_hash = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match program {
        Some((hash, rest)) if is_hash(hash) => rest.strip_prefix('_').unwrap_or(name),
        _ => name,
    }
}

fn is_tracer(name: &str) -> bool {
    name.starts_with("0x") || TRACERS.iter().any(|tracer| name.starts_with(tracer))
}

#[cfg(test)]
mod tests {
    use super::function_of;

    #[test]
    fn names_of_frames() {
        for (frame, name) in [
            ("bpf_prog_0123456789abcdef_domains_dispatch [bpf]+0x2d", "domains_dispatch"),
            ("bpf_prog_load+0x830", "bpf_prog_load"),
            ("bpf_prog_0123456789abcdef [bpf]+0x1", "bpf_prog_0123456789abcdef"),
            ("bpf_prog_allocation_counts+0x1", "bpf_prog_allocation_counts"),
            ("0x10", "0x10"),
        ] {
            assert_eq!(function_of(frame), name);
        }
    }
}
