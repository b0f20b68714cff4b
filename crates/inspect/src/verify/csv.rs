// SPDX-License-Identifier: GPL-2.0-or-later
//! CSV in veristat's columns, and the reading of it.

use crate::verify::baseline::{BaselineError, BaselineRow};
use crate::verify::figures::{FIGURES, Figure, Figures};
use crate::verify::{Row, Verdict, object_name};

/// Columns that are no figures: names as veristat writes them, and others that it reads.
const FILE: [&str; 3] = ["file_name", "filename", "file"];
const PROGRAM: [&str; 3] = ["prog_name", "progname", "prog"];
const VERDICT: &str = "verdict";
const PROGRAM_TYPE: &str = "prog_type";
const ATTACH_TYPE: &str = "attach_type";
/// Ours: which kernel, where there are several.
const KERNEL: &str = "kernel";

/// All results in veristat's columns; with a column for the kernel if there are several.
pub fn to_csv(rows: &[Row], with_kernel: bool) -> String {
    write(rows, with_kernel, &|_| true)
}

/// The results to compare later ones with. Times are left out: they differ from run to run, and
/// would make noise in the history of the file.
pub fn to_saved_csv(rows: &[Row]) -> String {
    write(rows, false, &|figure| figure != Figure::VerificationUs)
}

/// The figures in veristat's order; the stack comes last, after the types.
fn order(wanted: &dyn Fn(Figure) -> bool) -> Vec<Figure> {
    let order = [
        Figure::VerificationUs,
        Figure::Insns,
        Figure::States,
        Figure::PeakStates,
        Figure::MaxStatesPerInsn,
        Figure::MarkRead,
        Figure::SizeInsns,
        Figure::JitedBytes,
    ];
    order.into_iter().filter(|&f| wanted(f)).collect()
}

fn write(rows: &[Row], with_kernel: bool, wanted: &dyn Fn(Figure) -> bool) -> String {
    let figures = order(wanted);
    let name = |figure: Figure| FIGURES[figure as usize].csv[0];
    let mut head = vec![FILE[0], PROGRAM[0], VERDICT];
    head.extend(figures.iter().map(|&f| name(f)));
    head.extend([PROGRAM_TYPE, ATTACH_TYPE, name(Figure::StackBytes)]);
    if with_kernel {
        head.push(KERNEL);
    }
    let mut text = head.join(",") + "\n";
    for row in rows {
        // veristat writes 0 for what nobody told; so must who wants to be read by it.
        let number = |figure| row.figures.get(figure).unwrap_or(0).to_string();
        let object = object_name(&row.object);
        let mut fields = vec![object, row.program.clone(), row.verdict.word().to_owned()];
        fields.extend(figures.iter().map(|&f| number(f)));
        fields.extend([row.program_type.clone(), row.attach_type.clone()]);
        fields.push(number(Figure::StackBytes));
        if with_kernel {
            fields.push(row.kernel.clone());
        }
        text += &(fields.join(",") + "\n");
    }
    text
}

/// What a column holds.
#[derive(Clone, Copy)]
enum Column {
    Object,
    Program,
    Verdict,
    Kernel,
    Figure(Figure),
    Unknown,
}

fn column(name: &str) -> Column {
    let figure = FIGURES.iter().find(|info| info.csv.contains(&name));
    match figure {
        Some(info) => Column::Figure(info.figure),
        None if FILE.contains(&name) => Column::Object,
        None if PROGRAM.contains(&name) => Column::Program,
        None if name == VERDICT => Column::Verdict,
        None if name == KERNEL => Column::Kernel,
        None => Column::Unknown,
    }
}

/// Reads a result of ours or of veristat's, with any of its columns.
pub(crate) fn read(text: &str) -> Result<Vec<BaselineRow>, BaselineError> {
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.trim_end()));
    let (_, head) = lines.find(|(_, line)| !line.is_empty()).ok_or(BaselineError::Empty)?;
    let columns: Vec<Column> = head.split(',').map(|name| column(name.trim())).collect();
    let has = |test: fn(&Column) -> bool| columns.iter().any(test);
    let missing = [
        (has(|c| matches!(c, Column::Object)), FILE[0]),
        (has(|c| matches!(c, Column::Program)), PROGRAM[0]),
        (has(|c| matches!(c, Column::Verdict)), VERDICT),
    ];
    if let Some((_, name)) = missing.iter().find(|(there, _)| !there) {
        return Err(BaselineError::Head(name));
    }
    lines.filter(|(_, l)| !l.is_empty()).map(|(at, line)| read_row(&columns, at, line)).collect()
}

fn read_row(columns: &[Column], line: usize, text: &str) -> Result<BaselineRow, BaselineError> {
    let wrong = |problem: String| BaselineError::Line { line, problem };
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    if fields.len() != columns.len() {
        let (given, expected) = (fields.len(), columns.len());
        return Err(wrong(format!("{given} columns, where the first line has {expected}")));
    }
    let (mut object, mut program) = (String::new(), String::new());
    let (mut verdict, mut kernel, mut figures) = (None, None, Figures::default());
    for (&column, &field) in columns.iter().zip(&fields) {
        match column {
            Column::Object => object = object_name(field),
            Column::Program => field.clone_into(&mut program),
            Column::Kernel => kernel = Some(field.to_owned()),
            Column::Verdict => {
                let unknown = || wrong(format!("'{field}' is neither success nor failure"));
                verdict = Some(Verdict::from_word(field).ok_or_else(unknown)?);
            }
            Column::Figure(figure) => {
                let name = FIGURES[figure as usize].csv[0];
                let number =
                    field.parse().map_err(|_| wrong(format!("{name}: '{field}' is no number")))?;
                figures.set(figure, number);
            }
            Column::Unknown => {}
        }
    }
    if object.is_empty() || program.is_empty() {
        return Err(wrong("no name of a file or a program".to_owned()));
    }
    let verdict = verdict.ok_or_else(|| wrong("no verdict".to_owned()))?;
    Ok(BaselineRow { line, kernel, object, program, verdict, figures })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::tests::row;

    #[test]
    fn what_is_written_is_veristats_and_is_read_again() {
        let rows = [row("simple", "simple_enqueue", 66, 4), row("simple", "simple_init", 4, 0)];
        let text = to_csv(&rows, false);
        let head = "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,\
                    max_states_per_insn,max_mark_read_len,prog_size,prog_size_jited,prog_type,\
                    attach_type,stack_depth\n";
        assert!(text.starts_with(head), "{text}");
        let found = read(&text).unwrap();
        assert_eq!(found[0].figures.get(Figure::Insns), Some(66));
        assert_eq!((found[1].line, found[1].program.as_str()), (3, "simple_init"));
        assert!(!to_saved_csv(&rows).contains("duration"));
        assert!(read(&to_saved_csv(&rows)).is_ok());
        let with_kernel = read(&to_csv(&rows, true)).unwrap();
        assert_eq!(with_kernel[0].kernel.as_deref(), Some("7.3.4+deb13-cloud-amd64"));
    }

    #[test]
    fn any_columns_of_veristats() {
        let text = "file,prog,verdict,insns,mem_peak\nsimple.bpf.o,f,failure,7,0\n\n";
        let found = read(text).unwrap();
        assert_eq!((found[0].object.as_str(), found[0].verdict), ("simple", Verdict::Failure));
        assert_eq!(found[0].figures.get(Figure::Insns), Some(7));
        assert_eq!(found[0].figures.get(Figure::States), None);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let check = |text: &str, words: &str| {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?} gave {error}");
        };
        check("", "empty");
        check("\n\n", "empty");
        check("file_name,prog_name,total_insns\n", "no column verdict");
        check("prog_name,verdict\n", "no column file_name");
        let head = "file_name,prog_name,verdict,total_insns\n";
        let line = |line: &str| format!("{head}a.o,f,success,1\n{line}\n");
        check(&line("a.o,g,success"), "line 3: 3 columns, where the first line has 4");
        check(&line("a.o,g,success,1,2"), "line 3: 5 columns");
        check(&line("a.o,g,maybe,1"), "line 3: 'maybe' is neither success nor failure");
        check(&line("a.o,g,success,-1"), "line 3: total_insns: '-1' is no number");
        check(&line("a.o,g,success,99999999999999999999"), "is no number");
        check(&line(",g,success,1"), "line 3: no name");
    }
}
