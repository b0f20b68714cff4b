// SPDX-License-Identifier: GPL-2.0-or-later
//! What ran when on each CPU.

use super::svg::{at, escape};
use crate::measure::Unit;
use crate::number;
use crate::result::RunResult;
use crate::timeline::{Lane, Timeline};
use std::fmt::Write;

/// Widths and heights in pixels.
const WIDTH: f64 = 1180.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 1170.0;
const LANE: f64 = 16.0;

/// So many CPUs are shown.
pub const LANES_MAX: usize = 32;
/// Stays that are so wide are told when pointed at, the others are only drawn.
const TOLD_FROM: f64 = 4.0;
/// What is narrower can't be seen: such gaps between small stays of a group are not drawn, and such
/// stays are drawn wider.
const SEEN_FROM: f64 = 0.4;

/// The groups of tasks in timelines, in the order of their colours.
pub(super) fn groups(runs: &[RunResult]) -> Vec<String> {
    let mut groups = Vec::new();
    let lanes = runs.iter().filter_map(|run| run.timeline.as_ref()).flat_map(|t| &t.lanes);
    for span in lanes.flat_map(|lane| &lane.spans) {
        if !groups.contains(&span.group) {
            groups.push(span.group.clone());
        }
    }
    groups
}

/// The plot of a timeline of a machine with so many CPUs, with a heading.
pub(super) fn plot(
    timeline: &Timeline,
    cpus: u32,
    name: &str,
    groups: &[String],
    id: &str,
) -> String {
    let shown = &timeline.lanes[..timeline.lanes.len().min(LANES_MAX)];
    let bottom = LANE * shown.len() as f64 + 4.0;
    let length = timeline.end_ns.saturating_sub(timeline.start_ns).max(1) as f64;
    let place = |ns: u64| {
        let part = ns.saturating_sub(timeline.start_ns) as f64 / length;
        LEFT + part.min(1.0) * (RIGHT - LEFT)
    };
    let more = match shown.len() < cpus as usize {
        false => String::new(),
        true => format!("; {} of {cpus} CPUs", shown.len()),
    };
    let mut svg = format!(
        "<figure class='card wide'><figcaption><b>{0}</b> <span class=muted>{1} from {2} on{more}</span></figcaption>\
         <div class=scroll tabindex=0 role=region aria-label='timeline of {0}'>\
         <svg viewBox='0 0 {WIDTH} {3}' role=img aria-labelledby='{id}-t'>\
         <title id='{id}-t'>what ran on each CPU under {0}</title>",
        escape(name),
        number::show(Unit::Ns, length),
        number::show(Unit::Ns, timeline.start_ns as f64),
        at(bottom + 20.0),
    );
    for tick in 0..=4 {
        let ns = length * f64::from(tick) / 4.0;
        let x = LEFT + (RIGHT - LEFT) * f64::from(tick) / 4.0;
        let anchor = ["start", "middle", "middle", "middle", "end"][tick as usize];
        // Writing to a string can't fail.
        let _ = write!(
            svg,
            "<path class=grid d='M{0} 2V{1}'/><text class=tick x={0} y={2} text-anchor={anchor}>+{3}</text>",
            at(x),
            at(bottom),
            at(bottom + 14.0),
            number::show(Unit::Ns, ns),
        );
    }
    for (i, lane) in shown.iter().enumerate() {
        draw(&mut svg, lane, LANE * i as f64 + 2.0, groups, &place);
    }
    svg + "</svg></div></figure>"
}

/// A CPU: a path for all small stays of each group, and an element of its own for each wide one.
fn draw(svg: &mut String, lane: &Lane, top: f64, groups: &[String], place: &dyn Fn(u64) -> f64) {
    let _ = write!(
        svg,
        "<text class=tick x={} y={} text-anchor=end>CPU {}</text><path class=idle d='M{LEFT} {}H{RIGHT}'/>",
        LEFT - 6.0,
        at(top + 11.5),
        lane.cpu,
        at(top + 7.5),
    );
    let high = LANE - 3.0;
    let mut small = vec![Vec::<(f64, f64)>::new(); groups.len()];
    for span in &lane.spans {
        let Some(group) = groups.iter().position(|group| *group == span.group) else { continue };
        let (from, to) = (place(span.from_ns), place(span.to_ns));
        if to - from < TOLD_FROM {
            match small[group].last_mut() {
                Some(last) if from - last.1 < SEEN_FROM => last.1 = to.max(last.1),
                _ => small[group].push((from, to)),
            }
            continue;
        }
        let _ = write!(
            svg,
            "<rect class=g{} x={} y={} width={} height={high}><title>{}: {}</title></rect>",
            super::colour(group),
            at(from),
            at(top + 1.0),
            at(to - from),
            escape(&span.task),
            number::show(Unit::Ns, span.to_ns.saturating_sub(span.from_ns) as f64),
        );
    }
    for (group, small) in small.iter().enumerate().filter(|(_, small)| !small.is_empty()) {
        let _ = write!(svg, "<path class=g{} d='", super::colour(group));
        for (from, to) in small {
            let wide = at((to - from).max(SEEN_FROM));
            let _ = write!(svg, "M{} {}h{wide}v{high}h-{wide}z", at(*from), at(top + 1.0));
        }
        *svg += "'/>";
    }
}
