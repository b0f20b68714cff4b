// SPDX-License-Identifier: GPL-2.0-or-later
//! Recordings of other tools.

use crate::input::Input;
use rota_events::Spans;
use rota_trace::Recording;
use std::io::Cursor;

#[path = "../../crates/trace/tests/perf/encoder.rs"]
mod encoder;

/// First byte: whether the rest is a file as it is, or what follows after the head of a pipe of perf
/// in one of the byte orders, or of text. Second byte: whether it can be read from any place. What
/// is read must have times and CPUs that everything else can take.
pub fn reader(data: &[u8]) {
    let mut input = Input(data);
    let (Some(kind), Some(stream)) = (input.byte(), input.byte()) else { return };
    let mut file = match kind % 4 {
        0 => Vec::new(),
        1 => encoder::head_of_pipe(false),
        2 => encoder::head_of_pipe(true),
        _ => b"# tracer: nop\n".to_vec(),
    };
    file.extend(input.0);
    let from = Cursor::new(file);
    let from = match stream % 2 {
        0 => rota_trace::Input::file(from),
        _ => rota_trace::Input::stream(from, tempfile::tempfile),
    };
    let Ok(mut recording) = Recording::open(from) else { return };
    let (mut spans, mut sum) = (Spans::default(), 0_u128);
    while let Some(events) = recording.next_events().expect("reading memory works") {
        events.iter().for_each(|event| spans.add(event, &mut |span| sum += u128::from(span.ns)));
    }
    assert!(recording.problems().list().len() as u64 <= recording.problems().count());
    assert!(recording.tables().tasks().all(|(task, _)| task.is_some()));
}
