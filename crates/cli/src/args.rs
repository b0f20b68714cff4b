// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line. Flags for a scheduler's settings are made from the object that is named, so
//! they exist once: in the object.

use crate::exit::{self, Exit};
use crate::{
    balance, bpf, calls, choice, compare, completions, diff, doctor, hist, list, load, object,
    output, power, record, run, sim, top, topology, verify, view,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use rota_object::{Object, Setting, SettingKind};
use rota_sched::TextSetting;
use std::ffi::OsString;

#[derive(Parser)]
#[command(name = "rota", version, about, after_long_help = exit::table())]
#[command(disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// What to do, with all arguments.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Load a scheduler into the running kernel, print statistics, leave cleanly
    Run(run::Args),
    /// Run a scheduler on a simulated machine, under a workload
    Sim(sim::Args),
    /// Do a workload for real, with threads: what rota sim does on a simulated machine
    Load(load::Args),
    /// Compare schedulers: same machine, same work, several seeds, and what is beyond noise
    Compare(compare::Args),
    /// List the schedulers
    List(list::Args),
    /// Ask the kernel's verifier about schedulers: verdicts, instructions, states, and regressions
    Verify(verify::Args),
    /// Say what this kernel and user allow, and what to do about the rest
    Doctor(doctor::Args),
    /// Show what a compiled scheduler is made of, what it needs, and which kernels have that
    Object(object::Args),
    /// Show CPUs, cores, caches and nodes
    Topology(topology::Args),
    /// Explain who should get how much CPU time, and which tasks should move between domains
    Balance(balance::Args),
    /// Record what tasks do on this machine, into a file for view, hist and diff
    Record(record::Args),
    /// Show a recording: events, a summary, a trace for Perfetto
    View(view::Args),
    /// Watch a machine, a recording or a simulation in the terminal: CPUs, queues, tasks
    Top(top::Args),
    /// Show how times of a recording are distributed: latencies, turns on CPUs, time in queues
    Hist(hist::Args),
    /// Show what the kernel has of BPF: schedulers, programs, maps and what is in them
    Bpf(bpf::Args),
    /// Trace calls of functions of the kernel and of BPF programs: errors, results, times
    Fn(Box<calls::Args>),
    /// Measure how busy, fast, warm CPUs are, how deep they sleep, and what energy they take
    Power(power::Args),
    /// Compare two recordings: distributions side by side, what is beyond noise, limits
    Diff(diff::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
}

/// The verbs that put a scheduler in charge, and so have flags for its settings.
const IN_CHARGE: [&str; 2] = ["run", "sim"];

/// The command with every flag that does not depend on a scheduler.
pub(crate) fn command() -> Command {
    let command = Cli::command().mut_subcommand("run", |run| {
        let examples = run.get_after_help().map(ToString::to_string).unwrap_or_default();
        run.after_long_help(format!("{examples}\n\n{}", exit::table()))
    });
    let command = command.mut_subcommand("compare", |it| it.after_long_help(compare::after_help()));
    command.mut_subcommand("sim", |sim| {
        sim.after_long_help(format!("{}\n\n{}", sim::after_help(), exit::table()))
    })
}

/// Reads the command line; on a mistake, or for help, prints and returns the exit code.
pub(crate) fn parse(line: &[OsString]) -> Result<Verb, Exit> {
    let line = &plain_help(line);
    let objects = settings_source(line);
    let mut flags = Vec::new();
    let mut command = command();
    if let Some(verb) = verb_in_charge(&words(line)) {
        command = command.mut_subcommand(verb, |mut run| {
            // One flag may stand for settings of several, each with a meaning and a default of its own.
            let several = objects.len() > 1;
            for (name, object) in &objects {
                for setting in settings_of(object) {
                    if may_be_flag(&run, &setting.flag) {
                        run = run.arg(flag(name, &setting).hide(several));
                        flags.push(setting.flag);
                    }
                }
                for text in texts_of(name) {
                    if may_be_flag(&run, text.flag) {
                        let flag = bare_flag(name, text.flag, text.help, text.default);
                        run = run.arg(flag.hide(several));
                        flags.push(text.flag.to_owned());
                    }
                }
            }
            if several { with_lists_of_settings(run, &objects) } else { run }
        });
    }
    let parsed = command.try_get_matches_from_mut(line);
    let parsed = parsed.and_then(|m| Ok((Cli::from_arg_matches(&m)?, m)));
    match parsed {
        Ok((cli, matches)) => Ok(with_settings(cli.verb, &matches, &flags)),
        Err(error) => {
            if let Some(words) = plainer(line, &error) {
                output::error(&words);
                return Err(Exit::Unusable);
            }
            // Help that nobody reads to the end (a closed pipe) is no failure.
            let _ = error.print();
            Err(if error.use_stderr() { Exit::Unusable } else { Exit::Done })
        }
    }
}

/// The settings of a scheduler that its user half has, as text.
fn texts_of(name: &str) -> &'static [TextSetting] {
    rota_sched::find(name).map_or(&[], |entry| entry.texts)
}

/// The settings in the order in which the program has them.
fn settings_of(object: &Object) -> Vec<Setting> {
    let mut settings = object.settings();
    let place = |setting: &Setting| {
        object.global(&setting.variable).map(|it| (it.section.clone(), it.offset))
    };
    settings.sort_by_key(place);
    settings
}

/// Columns of flags and what they mean, on a terminal of 80.
const COLUMNS: usize = 74;

/// A help that has the settings of several schedulers, each with its own defaults.
fn with_lists_of_settings(run: Command, objects: &[(String, Object)]) -> Command {
    let mut lists = String::new();
    for (name, object) in objects {
        let own = settings_of(object).into_iter();
        let own = own.map(|s| (format!("--{}={}", s.flag, s.default), s.help));
        let texts = texts_of(name).iter();
        let texts = texts.map(|t| (format!("--{}={}", t.flag, t.default), t.help.to_owned()));
        let all: Vec<_> = own.chain(texts).collect();
        let width = all.iter().map(|(flag, _)| flag.len()).max().unwrap_or(0);
        lists += &format!("Settings of {name}, with defaults:\n");
        for (flag, help) in all {
            let lines = textwrap::wrap(&help, COLUMNS - width);
            let lines = lines.join(&format!("\n{}", " ".repeat(width + 4)));
            lists += &format!("  {flag:<width$}  {lines}\n");
        }
        lists.push('\n');
    }
    let with = |more: Option<&clap::builder::StyledStr>| {
        let more = more.map(ToString::to_string).unwrap_or_default();
        format!("{lists}{more}").trim_end().to_owned()
    };
    let (short, long) = (with(run.get_after_help()), with(run.get_after_long_help()));
    run.after_help(short).after_long_help(long)
}

/// `rota help VERB` is `rota VERB --help`.
fn plain_help(line: &[OsString]) -> Vec<OsString> {
    let mut line = line.to_vec();
    let before = line.len();
    while line.get(1).is_some_and(|word| word == "help") {
        line.remove(1);
    }
    if line.len() < before {
        line.push("--help".into());
    }
    line
}

/// Better words for a flag that is none, where the scheduler is to blame: its file can't be used,
/// or it has no such setting. Where clap knows a similar flag, its own words are better.
fn plainer(line: &[OsString], error: &clap::Error) -> Option<String> {
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag,
        _ => return None,
    };
    let words = words(line);
    if words.first() == Some(&"compare") {
        return for_one_of_several(&words, flag, error);
    }
    let sched = *without_values(verb_in_charge(&words)?, &words[1..]).first()?;
    let choice = match choice::resolve(sched) {
        Ok(choice) => choice,
        Err(problem) => return Some(format!("{problem:#}")),
    };
    if error.get(ContextKind::SuggestedArg).is_some() {
        return None;
    }
    let own = choice.texts().iter().map(|text| text.flag.to_owned());
    let settings: Vec<_> =
        settings_of(&choice.object).into_iter().map(|s| s.flag).chain(own).collect();
    let settings = if settings.is_empty() { "none".to_owned() } else { settings.join(", ") };
    Some(format!("{} has no setting '{flag}'; its settings: {settings}", choice.name))
}

/// A setting where several schedulers are named: it belongs to one of them.
fn for_one_of_several(words: &[&str], flag: &str, error: &clap::Error) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let known = rota_sched::SCHEDULERS.iter().map(|entry| entry.name);
    let mut all = without_values("compare", &words[1..]).into_iter().chain(known);
    let found = all.find_map(|sched| {
        let choice = choice::resolve(sched).ok()?;
        let texts = choice.texts().iter().map(|text| (text.flag.to_owned(), text.default.into()));
        let default = |setting: Setting| match setting.default.kind {
            SettingKind::Bool => (setting.flag, String::new()),
            _ => (setting.flag, setting.default.to_string()),
        };
        let mut own = choice.object.settings().into_iter().map(default).chain(texts);
        own.find(|(flag, _)| flag == name).map(|(_, default)| (sched, default))
    });
    let Some((sched, default)) = found else {
        // Where clap knows a similar flag, its own words are better.
        let similar = error.get(ContextKind::SuggestedArg).is_some();
        return (!similar)
            .then(|| format!("there is no option '{flag}', and no scheduler has such a setting"));
    };
    let at = words.iter().position(|word| word.split('=').next() == Some(flag))?;
    let next =
        words.get(at + 1).copied().filter(|word| !word.starts_with('-') && !default.is_empty());
    let value = match (words[at].split_once('='), next) {
        (Some((_, value)), _) | (None, Some(value)) => format!("={value}"),
        (None, None) if default.is_empty() => default,
        (None, None) => format!("={default}"),
    };
    let join = if sched.contains(':') { ',' } else { ':' };
    Some(format!("settings belong to a scheduler: write {sched}{join}{name}{value}"))
}

/// The words of a command line, without the program.
fn words(line: &[OsString]) -> Vec<&str> {
    line.iter().skip(1).filter_map(|w| w.to_str()).collect()
}

/// The verb, if it puts a scheduler in charge.
fn verb_in_charge(words: &[&str]) -> Option<&'static str> {
    IN_CHARGE.into_iter().find(|verb| words.first() == Some(verb))
}

/// The objects whose settings become flags: the one that is named, else all that Rota brings
/// along, so that `rota run --help` explains every setting.
fn settings_source(line: &[OsString]) -> Vec<(String, Object)> {
    let words = words(line);
    let Some(verb) = verb_in_charge(&words) else { return Vec::new() };
    let named = without_values(verb, &words[1..]);
    if let Some(choice) = named.into_iter().filter_map(|w| choice::resolve(w).ok()).next() {
        return vec![(choice.name, choice.object)];
    }
    let all = rota_sched::SCHEDULERS.iter();
    all.filter_map(|e| Some((e.name.to_owned(), Object::parse(e.object).ok()?))).collect()
}

/// The words that are neither options nor values of the options that a verb always has.
fn without_values<'a>(verb: &str, words: &[&'a str]) -> Vec<&'a str> {
    let run = Cli::command().find_subcommand(verb).cloned().unwrap_or_default();
    let takes_value = |word: &str| {
        let arg = run.get_arguments().find(|a| a.get_long() == word.strip_prefix("--"));
        arg.is_some_and(|a| a.get_action().takes_values())
    };
    let mut left = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            left.push(*word);
        } else if takes_value(word) {
            words.next();
        }
    }
    left
}

/// Whether a setting can have a flag of its own; `--set` takes any.
fn may_be_flag(run: &Command, name: &str) -> bool {
    let free = |a: &Arg| a.get_long() != Some(name);
    !name.is_empty() && !["help", "version"].contains(&name) && run.get_arguments().all(free)
}

/// What a setting's flag is called among clap's arguments: no argument of `run` has such a name.
fn flag_id(flag: &str) -> String {
    format!("setting {flag}")
}

/// A flag for a setting, without what its values are.
fn bare_flag(scheduler: &str, flag: &str, help: &str, default: &str) -> Arg {
    Arg::new(flag_id(flag))
        .long(flag.to_owned())
        .help(format!("{help} [default: {default}]"))
        .overrides_with(flag_id(flag))
        // A value that begins with a dash is told to be none, not to be an unknown flag.
        .allow_negative_numbers(true)
        .help_heading(format!("Settings of {scheduler}"))
}

fn flag(scheduler: &str, setting: &Setting) -> Arg {
    let default = setting.default.to_string();
    let arg = bare_flag(scheduler, &setting.flag, &setting.help, &default);
    match setting.default.kind {
        SettingKind::Bool => arg
            .num_args(0..=1)
            .require_equals(true)
            .value_name("BOOL")
            .default_missing_value("true"),
        SettingKind::Duration => arg.value_name("DURATION").allow_hyphen_values(true),
        SettingKind::Bytes => arg.value_name("SIZE").allow_hyphen_values(true),
        SettingKind::Number => arg.value_name("NUMBER"),
    }
}

/// Adds the settings that were given as flags.
fn with_settings(mut verb: Verb, matches: &ArgMatches, flags: &[String]) -> Verb {
    let Some((_, matches)) = matches.subcommand() else { return verb };
    let given = |f: &String| Some((f.clone(), matches.get_one::<String>(&flag_id(f))?.clone()));
    let settings = flags.iter().filter_map(given).collect();
    match &mut verb {
        Verb::Run(args) => args.settings = settings,
        Verb::Sim(args) => args.settings = settings,
        _ => {}
    }
    verb
}

/// A duration argument, in nanoseconds.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    rota_object::parse_ns(text)
}

/// A `name=value` argument.
pub(crate) fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("'{text}' is not NAME=VALUE")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn settings(line: &str) -> Vec<(String, String)> {
        match parse(&words(line)) {
            Ok(Verb::Run(args)) => args.settings,
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn settings_are_flags() {
        let given = settings("rota run simple --fifo --slice 5ms");
        let expected = [("fifo", "true"), ("slice", "5ms")];
        assert_eq!(given, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
        assert_eq!(settings("rota run --fifo=false simple")[0].1, "false");
        assert!(settings("rota run simple").is_empty());
        assert_eq!(settings("rota run simple --slice 1ms --slice 2ms")[0].1, "2ms");
        let line = ["--dump", "x.bpf.o", "--fifo", "simple", "--for=1s", "-v"];
        assert_eq!(without_values("run", &line), ["simple"]);
    }

    #[test]
    fn a_flag_is_not_to_blame_for_its_scheduler() {
        let words_of = |text: &str| {
            let line = words(text);
            plainer(&line, &Cli::command().try_get_matches_from(&line).unwrap_err())
        };
        let missing = words_of("rota run x/missing.bpf.o --boost 2ms").unwrap();
        assert!(missing.contains("x/missing.bpf.o: No such file"), "{missing}");
        let none = words_of("rota run simple --boost 2ms").unwrap();
        assert_eq!(none, "simple has no setting '--boost'; its settings: fifo, slice");
        assert_eq!(words_of("rota run simple --stast 2s"), None, "clap knows what was meant");
    }

    #[test]
    fn where_several_are_named_a_setting_belongs_to_one() {
        let words_of = |text: &str| {
            let line = words(text);
            plainer(&line, &Cli::command().try_get_matches_from(&line).unwrap_err())
        };
        for (line, write) in [
            ("simple eevdf --slice 5ms", "simple:slice=5ms"),
            ("eevdf --machine 2c simple --slice=5ms", "simple:slice=5ms"),
            ("simple:slice=1ms eevdf --fifo", "simple:slice=1ms,fifo"),
            ("simple --fifo eevdf", "simple:fifo"),
            ("simple --fifo=false eevdf", "simple:fifo=false"),
            ("simple eevdf --balance 2s", "domains:balance=2s"),
            ("domains eevdf --slice", "domains:slice=3ms"),
            ("domains eevdf --domains 0-3/4-7", "domains:domains=0-3/4-7"),
        ] {
            let expected = format!("settings belong to a scheduler: write {write}");
            assert_eq!(words_of(&format!("rota compare {line}")), Some(expected), "{line}");
        }
        let none = words_of("rota compare simple eevdf --colour red").unwrap();
        assert_eq!(none, "there is no option '--colour', and no scheduler has such a setting");
        assert_eq!(words_of("rota compare simple --seds 3"), None, "clap knows what was meant");
    }

    #[test]
    fn a_help_without_a_scheduler_has_all_settings_of_each() {
        let objects = settings_source(&words("rota sim --help"));
        let run = with_lists_of_settings(Command::new("sim").after_help("Examples"), &objects);
        let help = run.get_after_help().unwrap().to_string();
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        let (domains, simple) =
            help.split_once("\n\nSettings of simple, with defaults:\n").unwrap();
        assert!(simple.contains("  --slice=20ms  how long") && simple.ends_with("\n\nExamples"));
        let flags: Vec<&str> = domains.split_whitespace().filter(|w| w.starts_with("--")).collect();
        assert_eq!(flags[..2], ["--slice=3ms", "--slice-min=500us"], "in the program's order");
        let (_, object) = objects.iter().find(|(name, _)| name == "domains").unwrap();
        let texts = rota_sched::find("domains").unwrap().texts.len();
        assert_eq!(flags.len(), object.settings().len() + texts);
        assert_eq!(flags.last(), Some(&"--domains=llc"));
    }

    /// A terminal of 80 columns wraps no command that is to be copied.
    #[test]
    fn examples_fit_into_a_line() {
        for verb in command().get_subcommands() {
            let help = verb.get_after_long_help().or(verb.get_after_help());
            let help = help.map(ToString::to_string).unwrap_or_default();
            let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
            for line in examples.split("\n\n").next().unwrap_or_default().lines() {
                // What it shows may stand behind it.
                let command = line.trim().split("  ").next().unwrap_or_default();
                assert!(command.chars().count() <= 74, "{}: {line}", verb.get_name());
            }
        }
    }

    #[test]
    fn mistakes() {
        for line in ["rota run simple --slcie 5ms", "rota run", "rota", "rota run simple --for 5"] {
            assert_eq!(parse(&words(line)).err(), Some(Exit::Unusable), "{line}");
        }
        for line in ["rota run --help", "rota help", "rota help list", "rota help run"] {
            assert_eq!(parse(&words(line)).err(), Some(Exit::Done), "{line}");
        }
        assert_eq!(parse(&words("rota help lsit")).err(), Some(Exit::Unusable));
    }
}
