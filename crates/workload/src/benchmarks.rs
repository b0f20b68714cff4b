// SPDX-License-Identifier: GPL-2.0-or-later
//! What three well-known benchmarks of schedulers do: who wakes whom is as in the programs
//! themselves.

use crate::Span;
use crate::named::{Named, Parameter, ParameterKind, Values};
use crate::plain::{add, empty, event};
use crate::program::{Event, Program, Step, Workload};
use ParameterKind::{Count, CountOrNone};

/// Who writes to a pipe or a socket says that it is about to sleep.
const STREAM: Event = Event { sync: true, ..Event::COUNTER };

pub(crate) const MESSAGING: Named = Named {
    name: "messaging",
    alias: Some("hackbench"),
    about: "groups of senders and receivers, of which each sender writes to every receiver: \
            hackbench, perf bench sched messaging",
    parameters: &[
        Parameter::new("groups", Count, "cpus/4", "how many groups"),
        Parameter::new("fds", Count, "20", "senders of a group, and receivers of a group"),
        Parameter::new(
            "loops",
            CountOrNone,
            "0",
            "messages from each to each, then they end; 0: no end",
        ),
        Parameter::new("send", ParameterKind::Span, "800ns", "CPU time of sending a message"),
        Parameter::new("receive", ParameterKind::Span, "800ns", "CPU time of receiving it"),
        Parameter::new("room", Count, "278", "messages that may be on their way to a receiver"),
        Parameter::new(
            "free",
            Count,
            "209",
            "room that there has to be before senders learn of it",
        ),
    ],
    tasks: |values| values.product(&["groups", "fds"]).saturating_mul(2),
    make: messaging,
};

pub(crate) const PIPE: Named = Named {
    name: "pipe",
    alias: None,
    about: "pairs of tasks that pass a message back and forth through pipes: perf bench sched pipe",
    parameters: &[
        Parameter::new("pairs", Count, "1", "how many pairs"),
        Parameter::new("run", ParameterKind::Span, "500ns", "CPU time of reading and writing"),
        Parameter::new("loops", CountOrNone, "0", "round trips, then they end; 0: no end"),
    ],
    tasks: |values| 2 * values.product(&["pairs"]),
    make: pipe,
};

pub(crate) const SCHBENCH: Named = Named {
    name: "schbench",
    alias: None,
    about: "message threads, each of which wakes all its workers that wait; a worker sleeps, \
            works, and asks its message thread for more: schbench",
    parameters: &[
        Parameter::new("messages", Count, "cpus/16", "message threads"),
        Parameter::new("workers", Count, "16", "workers of each"),
        Parameter::new("think", ParameterKind::Span, "100us", "a worker's sleep before its work"),
        Parameter::new("run", ParameterKind::Span, "5ms", "CPU time of the work, a request"),
        Parameter::new("ask", ParameterKind::Span, "1us", "CPU time between asking and sleeping"),
        Parameter::new("wake", ParameterKind::Span, "2us", "CPU time of a message thread's turn"),
    ],
    tasks: |values| {
        let workers = values.product(&["messages", "workers"]);
        workers.saturating_add(values.product(&["messages"]))
    },
    make: schbench,
};

/// Without end, if a number of loops is 0.
fn times(count: u32) -> Option<u32> {
    (count > 0).then_some(count)
}

fn messaging(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    for _ in 0..values.count("groups") {
        messaging_group(&mut workload, values);
    }
    workload
}

fn messaging_group(workload: &mut Workload, values: &Values<'_>) {
    let (fds, room) = (values.count("fds"), values.count("room"));
    let free = values.count("free").min(room);
    let loops = values.count("loops");
    let mut sender = Program::default();
    let mut receivers = Vec::new();
    for _ in 0..fds {
        let data = event(workload, STREAM);
        let free = event(workload, Event { initial: room, wakes_at: free, ..STREAM });
        receivers.push((data, free));
        let send = Step::Run(values.span("send"));
        sender = sender.then(Step::Wait(free)).then(send).then(Step::Signal(data, 1));
    }
    add(workload, values, "sender", fds, sender.back(0, times(loops)));
    for (data, free) in receivers {
        let run = Step::Run(values.span("receive"));
        let receive = [Step::Wait(data), Step::Begin, run, Step::Signal(free, 1), Step::Done];
        let receives = times(loops.saturating_mul(fds));
        add(workload, values, "receiver", 1, Program::default().repeated(receives, receive));
    }
}

fn pipe(values: &Values<'_>) -> Workload {
    let run = Step::Run(values.span("run"));
    let loops = times(values.count("loops"));
    let mut workload = empty(values);
    for _ in 0..values.count("pairs") {
        let [there, back] = [0; 2].map(|_| event(&mut workload, STREAM));
        let first = [Step::Begin, run, Step::Signal(there, 1), Step::Wait(back), Step::Done];
        let second = [Step::Wait(there), run, Step::Signal(back, 1)];
        add(&mut workload, values, "pipe", 1, Program::default().repeated(loops, first));
        add(&mut workload, values, "echo", 1, Program::default().repeated(loops, second));
    }
    workload
}

fn schbench(values: &Values<'_>) -> Workload {
    let mut workload = empty(values);
    for _ in 0..values.count("messages") {
        // A message thread that is awake is not woken again, and looks once more before it sleeps.
        let ask = event(&mut workload, Event::FLAG);
        let go = event(&mut workload, Event::CONDITION);
        let wake = Step::Run(values.span("wake"));
        let message = [Step::Wait(ask), wake, Step::Broadcast(go)];
        let (asking, think, run) = (values.span("ask"), values.span("think"), values.span("run"));
        // It is on the list before it asks, and may be told to go on before it sleeps.
        let mut work =
            vec![Step::Join(go), Step::Signal(ask, 1), Step::Run(asking), Step::Wait(go)];
        work.push(Step::Begin);
        if think != Span::Fixed(0) {
            work.push(Step::Sleep(think));
        }
        work.extend([Step::Run(run), Step::Done]);
        let workers = values.count("workers");
        add(&mut workload, values, "message", 1, Program::default().repeated(None, message));
        add(&mut workload, values, "worker", workers, Program::default().repeated(None, work));
    }
    workload
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a step of a program is executed, if it ends.
    fn executed(program: &Program, which: impl Fn(&Step) -> bool) -> u32 {
        let mut counters = vec![0; program.counters() as usize];
        let (mut at, mut found) = (0, 0);
        while let Some(step) = program.steps().get(at) {
            found += u32::from(which(step));
            at += 1;
            if let Step::Repeat { to, times: Some(times), counter } = step {
                let count = &mut counters[*counter as usize];
                *count += 1;
                if *count < *times { at = *to as usize } else { *count = 0 }
            }
        }
        found
    }

    #[test]
    fn as_many_messages_are_received_as_sent() {
        for (fds, loops, free) in [(3, 1, 9), (20, 7, 16), (4, 8, 30), (2, 5, 1), (1, 1, 1)] {
            let text = format!("messaging:groups=2,fds={fds},loops={loops},free={free},room=20");
            let all = Workload::parse(&text, 4).unwrap();
            assert_eq!(all.starts.len(), 4 * fds as usize, "{text}");
            let sent = |program: &Program| executed(program, |s| matches!(s, Step::Signal(_, 1)));
            let done = |program: &Program| executed(program, |s| *s == Step::Done);
            let of =
                |name: &str| all.templates.iter().filter(|t| t.name == name).collect::<Vec<_>>();
            assert!(of("sender").iter().all(|t| sent(&t.program) == fds * loops), "{text}");
            assert_eq!(of("receiver").len(), 2 * fds as usize);
            assert!(of("receiver").iter().all(|t| done(&t.program) == fds * loops), "{text}");
            let rooms = all.events.iter().filter(|event| event.initial > 0);
            assert!(rooms.into_iter().all(|event| (1..=20).contains(&event.wakes_at)), "{text}");
        }
    }
}
