// SPDX-License-Identifier: GPL-2.0-or-later
//! What the kernel's verifier says about schedulers: figures, reasons of rejections, and their
//! comparison with a saved result.

mod baseline;
mod cause;
mod compare;
mod csv;
mod explain;
mod figures;
mod json;
mod steps;
mod table;

pub use baseline::{Baseline, BaselineError, BaselineRow};
pub use cause::Cause;
pub use compare::{Change, Compared, Comparison, Limit, Limits, compare};
pub use csv::{to_csv, to_saved_csv};
pub use explain::{Explanation, explain, rejection_text};
pub use figures::{FIGURES, Figure, FigureInfo, Figures};
pub use json::{SCHEMA, from_json, to_json};
pub use table::{rejections, table};

use rota_kernel::{Host, Plan, Verification, VerifiedProgram};
use rota_object::EngineError;

/// What the verifier decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The program may run.
    Success,
    /// It may not.
    Failure,
}

impl Verdict {
    /// The word for it, which is veristat's too.
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    /// The verdict with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Success, Self::Failure].into_iter().find(|verdict| verdict.word() == word)
    }
}

/// Why a program was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The verifier's (or the loader's) own words.
    pub message: String,
    /// A guess at the cause.
    pub cause: Option<Cause>,
    /// The last steps that the verifier took, with source lines where it knows them.
    pub steps: Vec<String>,
    /// Whether it is the object as a whole that can't be loaded.
    pub whole_object: bool,
}

/// The result for one program on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The kernel, as `uname -r` says.
    pub kernel: String,
    /// The scheduler, or the file without its folder and ending.
    pub object: String,
    /// The program.
    pub program: String,
    /// What the verifier decided.
    pub verdict: Verdict,
    /// What it measured.
    pub figures: Figures,
    /// The program's type.
    pub program_type: String,
    /// The callback, or what else the program is attached to.
    pub attach_type: String,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
}

/// Asks the running kernel's verifier about every program of an object, prepared as planned.
///
/// # Errors
/// [`EngineError::Refused`] if this kernel, or this user, can't load such an object at all.
pub fn verify(object: &str, bytes: &[u8], plan: &Plan) -> Result<Vec<Row>, EngineError> {
    let kernel = Host::default().proc_text("sys/kernel/osrelease").unwrap_or_default();
    let result = rota_kernel::verify(bytes, plan)?;
    Ok(rows(&kernel, object, &result))
}

fn rows(kernel: &str, object: &str, result: &Verification) -> Vec<Row> {
    let row = |program: &VerifiedProgram| Row {
        kernel: kernel.to_owned(),
        object: object_name(object),
        program: program.name.clone(),
        verdict: if program.accepted { Verdict::Success } else { Verdict::Failure },
        figures: Figures::of(program),
        program_type: program.program_type.clone(),
        attach_type: program.attach_type.clone(),
        rejection: rejection(program, result.refused.as_deref()),
    };
    result.programs.iter().map(row).collect()
}

fn rejection(program: &VerifiedProgram, refused: Option<&str>) -> Option<Rejection> {
    if program.accepted {
        return None;
    }
    if let (Some(words), true) = (refused, program.steps.is_empty()) {
        return Some(Rejection {
            message: words.to_owned(),
            cause: explain(words).map(|e| e.cause),
            steps: Vec::new(),
            whole_object: true,
        });
    }
    let explanation = explain(&program.steps);
    Some(Rejection {
        message: steps::message(&program.steps, explanation.as_ref()),
        cause: explanation.map(|e| e.cause),
        steps: steps::last(&program.steps),
        whole_object: false,
    })
}

/// The name under which results are joined: no folder, no ending.
pub fn object_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".o").unwrap_or(name);
    // What separates columns must not stand in one.
    name.strip_suffix(".bpf").unwrap_or(name).replace(',', ";")
}

/// The series of a kernel's release: `7.3` of `7.3.4+deb13-cloud-amd64`.
pub fn kernel_series(release: &str) -> String {
    let digits = |c: char| c.is_ascii_digit() || c == '.';
    let version = release.split(|c| !digits(c)).next().unwrap_or_default();
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row with some figures.
    pub(crate) fn row(object: &str, program: &str, insns: u64, states: u64) -> Row {
        let mut figures = Figures::default();
        figures.set(Figure::Insns, insns);
        figures.set(Figure::States, states);
        Row {
            kernel: "7.3.4+deb13-cloud-amd64".into(),
            object: object.into(),
            program: program.into(),
            verdict: Verdict::Success,
            figures,
            program_type: "struct_ops".into(),
            attach_type: "enqueue".into(),
            rejection: None,
        }
    }

    #[test]
    fn names() {
        assert_eq!(object_name("/a/simple.bpf.o"), "simple");
        assert_eq!(object_name("simple.o"), "simple");
        assert_eq!(object_name("simple:fifo,slice=5ms"), "simple:fifo;slice=5ms");
        assert_eq!(kernel_series("7.3.4+deb13-cloud-amd64"), "7.3");
        assert_eq!(kernel_series("7.4-rc1"), "7.4");
        assert_eq!(kernel_series(""), "");
    }

    #[test]
    fn a_rejected_program_is_explained_and_others_are_not_touched() {
        let program = |name: &str, accepted, steps: &str| VerifiedProgram {
            name: name.into(),
            accepted,
            insns: 3,
            jited_bytes: 0,
            program_type: "struct_ops".into(),
            attach_type: "enqueue".into(),
            stats: String::new(),
            steps: steps.into(),
        };
        let log = "0: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n";
        let programs = vec![program("bad", false, log), program("good", true, "")];
        let result = Verification { programs, ..Verification::default() };
        let found = rows("7.3.4", "x.bpf.o", &result);
        assert_eq!(found[0].rejection.as_ref().unwrap().cause, Some(Cause::Null));
        assert_eq!((found[1].verdict, &found[1].rejection), (Verdict::Success, &None));

        let words = "extern (func ksym) 'f': not found in kernel or module BTFs";
        let programs = vec![program("any", false, "")];
        let refused = Some(words.to_owned());
        let found = rows("7.3.4", "x", &Verification { programs, refused });
        let rejection = found[0].rejection.as_ref().unwrap();
        assert!(rejection.whole_object);
        assert_eq!(rejection.cause, Some(Cause::MissingFunction));
    }
}
