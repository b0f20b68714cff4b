// SPDX-License-Identifier: GPL-2.0-or-later
//! Results as JSON: one entry a program, units in the names.

use crate::verify::cause::Cause;
use crate::verify::compare::{Compared, Comparison};
use crate::verify::figures::{FIGURES, Figures};
use crate::verify::{Rejection, Row, Verdict, object_name};
use serde_json::{Map, Value, json};

/// Version of the form.
pub const SCHEMA: &str = "rota-verify/1";

/// All results, with how they compare to a saved one if there is one.
pub fn to_json(rows: &[Row], comparison: Option<&Comparison>) -> String {
    let mut entries: Vec<Value> = rows.iter().map(entry).collect();
    let mut all = Map::new();
    all.insert("schema".into(), SCHEMA.into());
    if let Some(comparison) = comparison {
        for (entry, compared) in entries.iter_mut().zip(&comparison.rows) {
            entry["baseline"] = baseline(compared);
        }
        let removed = comparison.removed.iter();
        let removed = removed.map(|r| json!({ "object": r.object, "program": r.program }));
        all.insert("removed".into(), removed.collect());
        all.insert("regressions".into(), comparison.regressions().into());
    }
    all.insert("programs".into(), entries.into());
    // A value made of maps, texts and numbers can always be written.
    serde_json::to_string_pretty(&Value::from(all)).unwrap_or_default() + "\n"
}

fn entry(row: &Row) -> Value {
    let mut entry = Map::new();
    let texts = [
        ("kernel", row.kernel.as_str()),
        ("object", &row.object),
        ("program", &row.program),
        ("verdict", row.verdict.word()),
        ("program_type", &row.program_type),
        ("attach_type", &row.attach_type),
    ];
    for (name, text) in texts {
        entry.insert(name.into(), text.into());
    }
    for info in FIGURES {
        entry.insert(info.json.into(), row.figures.get(info.figure).into());
    }
    if let Some(rejection) = &row.rejection {
        let cause = rejection.cause;
        let rejection = json!({
            "message": rejection.message,
            "cause": cause.map(Cause::word),
            "means": cause.map(Cause::means),
            "advice": cause.map(Cause::advice),
            "steps": rejection.steps,
            "whole_object": rejection.whole_object,
        });
        entry.insert("rejection".into(), rejection);
    }
    entry.into()
}

fn baseline(compared: &Compared) -> Value {
    let Some(saved) = &compared.saved else { return Value::Null };
    let mut value = Map::new();
    value.insert("verdict".into(), saved.verdict.word().into());
    for info in FIGURES {
        if let Some(change) = compared.change(info.figure) {
            let numbers = json!({
                "before": change.before,
                "diff": change.diff(),
                "diff_percent": change.percent(),
            });
            value.insert(info.json.into(), numbers);
        }
    }
    value.insert("regressions".into(), compared.regressions.clone().into());
    value.into()
}

/// Reads results.
///
/// # Errors
/// Says what is damaged.
pub fn from_json(text: &str) -> Result<Vec<Row>, String> {
    let all: Value = serde_json::from_str(text).map_err(|e| format!("damaged JSON: {e}"))?;
    match all.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => return Err(format!("schema {other}, where {SCHEMA} is needed")),
        None => return Err(format!("no result of rota verify: the schema {SCHEMA} is missing")),
    }
    let programs = all.get("programs").and_then(Value::as_array);
    let programs = programs.ok_or("the list 'programs' is missing")?;
    let rows = programs.iter().enumerate();
    rows.map(|(i, entry)| read(entry).map_err(|e| format!("program {}: {e}", i + 1))).collect()
}

fn read(entry: &Value) -> Result<Row, String> {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let needed = |name: &str| text(name).ok_or_else(|| format!("'{name}' is missing"));
    let verdict = needed("verdict")?;
    let verdict = Verdict::from_word(verdict)
        .ok_or_else(|| format!("'{verdict}' is neither success nor failure"))?;
    let mut figures = Figures::default();
    for info in FIGURES {
        match entry.get(info.json) {
            None | Some(Value::Null) => {}
            Some(value) => {
                let number = value.as_u64().ok_or_else(|| format!("{} is no number", info.json))?;
                figures.set(info.figure, number);
            }
        }
    }
    Ok(Row {
        kernel: text("kernel").unwrap_or_default().to_owned(),
        object: object_name(needed("object")?),
        program: needed("program")?.to_owned(),
        verdict,
        figures,
        program_type: text("program_type").unwrap_or_default().to_owned(),
        attach_type: text("attach_type").unwrap_or_default().to_owned(),
        rejection: entry.get("rejection").map(read_rejection),
    })
}

fn read_rejection(value: &Value) -> Rejection {
    let text = |name: &str| value.get(name).and_then(Value::as_str);
    let steps = value.get("steps").and_then(Value::as_array).into_iter().flatten();
    Rejection {
        message: text("message").unwrap_or_default().to_owned(),
        cause: text("cause").and_then(Cause::from_word),
        steps: steps.filter_map(Value::as_str).map(str::to_owned).collect(),
        whole_object: value.get("whole_object").and_then(Value::as_bool).unwrap_or(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::row;

    #[test]
    fn what_is_written_can_be_read() {
        let mut rows = vec![row("simple", "f", 66, 4), row("simple", "g", 4, 0)];
        rows[1].verdict = Verdict::Failure;
        rows[1].rejection = Some(Rejection {
            message: "infinite loop detected at insn 4".into(),
            cause: Some(Cause::Loop),
            steps: vec!["1: (05) goto pc-1".into()],
            whole_object: false,
        });
        let text = to_json(&rows, None);
        assert_eq!(from_json(&text).unwrap(), rows);
        assert!(text.contains("\"schema\": \"rota-verify/1\""));
        assert!(text.contains("\"verification_us\": null"));
    }

    #[test]
    fn damage_is_named() {
        let check = |text: &str, words: &str| {
            let error = from_json(text).unwrap_err();
            assert!(error.contains(words), "{text:?} gave {error}");
        };
        check("{", "damaged JSON");
        check("{}", "schema rota-verify/1 is missing");
        check(r#"{"schema":"rota-list/1"}"#, "schema rota-list/1, where");
        check(r#"{"schema":"rota-verify/1"}"#, "'programs' is missing");
        let with = |p: &str| format!(r#"{{"schema":"rota-verify/1","programs":[{p}]}}"#);
        check(&with("{}"), "program 1: 'verdict' is missing");
        check(&with(r#"{"verdict":"maybe"}"#), "neither success nor failure");
        let insns = r#"{"verdict":"success","object":"a","program":"f","insns":-1}"#;
        check(&with(insns), "program 1: insns is no number");
    }
}
