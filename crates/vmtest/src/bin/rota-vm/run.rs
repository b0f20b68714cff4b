// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota-vm run`.

use std::io::Write;
use std::time::Duration;

use rota_vmtest::{
    Cache, Error, Kernel, Machine, Options, Pins, Request, Result, Stream, Threads, boot,
    shell_quote,
};

use crate::args::{Run, ThreadsArgument};
use crate::say;

pub(crate) fn run(cache: &Cache, run: &Run) -> Result<u8> {
    let newest = Pins::embedded().newest().series.clone();
    let wanted = run.kernel.as_deref().unwrap_or(&newest);
    let kernel = Kernel::select(wanted, cache, &mut say)?;
    let options = options(run)?;
    let machine = machine(run);
    let request = Request {
        machine: &machine,
        kernel: &kernel,
        options: &options,
        script: &script(&run.command),
        timeout: Duration::from_secs(run.timeout),
    };
    let outcome = boot(cache, &request, &mut pass_on, &mut say)?;
    if run.verbose {
        for line in outcome.console.lines() {
            say(line);
        }
        let (booted, ran) = (outcome.boot_time.as_secs_f32(), outcome.output.elapsed.as_secs_f32());
        say(&format!("{}: booted in {booted:.1} s, ran for {ran:.1} s", kernel.release));
    }
    Ok(u8::try_from(outcome.output.status).unwrap_or(u8::MAX))
}

fn machine(run: &Run) -> Machine {
    let threads = match run.threads {
        ThreadsArgument::Single => Threads::Single,
        ThreadsArgument::Multi => Threads::Multi,
    };
    let verbose = if run.verbose { " loglevel=7" } else { "" };
    Machine {
        smp: run.smp.clone(),
        memory_mib: run.mem,
        nodes: run.nodes,
        threads,
        icount: run.icount,
        append: format!("{}{verbose}", run.append),
    }
}

/// The command starts in the current folder, which the guest must see even if it is below /tmp.
fn options(run: &Run) -> Result<Options> {
    let here = std::env::current_dir().and_then(|path| path.canonicalize());
    let here = here.map_err(|source| {
        let context = "cannot find the current folder".to_string();
        Error::Io { context, source }
    })?;
    Ok(Options {
        path_dirs: run.bin_dir.clone(),
        visible: vec![here.clone()],
        writable: run.writable.clone(),
        cwd: Some(here),
        console: run.console.clone(),
        ..Options::default()
    })
}

fn script(command: &[String]) -> String {
    match command {
        [script] => script.clone(),
        words => words.iter().map(|word| shell_quote(word)).collect::<Vec<_>>().join(" "),
    }
}

fn pass_on(stream: Stream, bytes: &[u8]) {
    // Whoever closed our output does not want it; the command's status still counts.
    let _ = match stream {
        Stream::Stdout => {
            std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush())
        }
        Stream::Stderr => std::io::stderr().write_all(bytes),
    };
}

#[cfg(test)]
mod tests {
    use super::script;

    #[test]
    fn one_argument_is_a_script_and_several_are_words() {
        let words =
            |words: &[&str]| script(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(words(&["echo a; exit 3"]), "echo a; exit 3");
        assert_eq!(words(&["echo", "a b", "$x"]), "echo 'a b' '$x'");
    }
}
