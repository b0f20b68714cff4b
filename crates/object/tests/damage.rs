// SPDX-License-Identifier: GPL-2.0-or-later
//! Damaged objects: whatever is cut off or changed, reading ends with a result or an error.

use rota_object::{Object, ObjectError};

/// Everything that is read from an object.
fn read(bytes: &[u8]) -> Result<(), ObjectError> {
    let object = Object::parse(bytes)?;
    let _ = (object.settings(), object.stats(), object.exit_layout(), object.summary());
    Ok(())
}

#[test]
fn cut_short_anywhere() {
    let whole = rota_programs::simple::OBJECT;
    assert_eq!(read(whole), Ok(()));
    let refused = (0..whole.len()).step_by(61).filter(|&len| read(&whole[..len]).is_err()).count();
    assert_eq!(refused, whole.len().div_ceil(61), "the section table stands at the end");
}

#[test]
fn one_byte_changed() {
    let whole = rota_programs::simple::OBJECT;
    let mut damaged = whole.to_vec();
    for at in (0..whole.len()).step_by(5) {
        for byte in [0, 0xff, whole[at] ^ 0x80] {
            damaged[at] = byte;
            let _ = read(&damaged);
        }
        damaged[at] = whole[at];
    }
    assert_eq!(damaged, whole);
}

#[test]
fn what_an_object_says_about_itself() {
    let object = Object::parse(rota_programs::simple::OBJECT).unwrap();
    let settings: Vec<_> =
        object.settings().iter().map(|s| (s.flag.clone(), s.default.to_string())).collect();
    let expected = [("fifo", "false"), ("slice", "20ms")];
    assert_eq!(settings, expected.map(|(f, d)| (f.to_owned(), d.to_owned())));
    let slice = object.find_setting("slice").unwrap();
    let value = slice.parse("1.5ms").unwrap();
    assert_eq!(slice.bytes(value), 1_500_000u64.to_le_bytes());
    let stats = object.stats().unwrap();
    let names: Vec<_> = stats.fields.iter().map(|(m, at)| (m.name.as_str(), *at)).collect();
    assert_eq!(names[..2], [("direct", 0), ("queued", 8)]);
    assert_eq!(stats.fields[0].0.unit, "tasks");
    let ops = object.scheduler().unwrap();
    assert_eq!((ops.kernel_type.as_str(), ops.shown_name.as_str()), ("sched_ext_ops", "simple"));
    let enqueue = ("enqueue".to_owned(), "simple_enqueue".to_owned());
    assert!(ops.callbacks.contains(&enqueue));
    assert_eq!(ops.number("timeout_ms").map(|(_, len)| len), Some(4));
    assert_eq!(ops.number("enqueue"), None);
    assert_eq!(object.exit_layout().unwrap().dump.as_deref(), Some("rota_exit_dump"));
    assert!(object.summary().unwrap().starts_with("an idle CPU first"));
}
