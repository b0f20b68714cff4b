// SPDX-License-Identifier: GPL-2.0-or-later
//! `rota top` in a real terminal, which tmux is: `cargo xtask test host`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long something may take to appear, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

const ROTA: &str = env!("CARGO_BIN_EXE_rota");

/// A terminal in which a shell runs one line, and then tells how it ended and how the terminal is.
struct Terminal {
    name: String,
}

impl Terminal {
    fn run(name: &str, folder: &Path, line: &str) -> Self {
        let name = format!("rota-{}-{name}", std::process::id());
        let terminal = Self { name };
        let script = format!(
            "cd {}; export TERM=screen-256color; before=$(stty -g); {line}; code=$?; \
             [ \"$before\" = \"$(stty -g)\" ] && same=yes || same=no; \
             echo \"code $code, as before: $same\"; sleep 1000",
            folder.display()
        );
        // A configuration of whoever runs this must not matter.
        let new = ["-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "32"];
        let output = terminal.tmux(&[&new[..], &["sh", "-c", &script]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-L", &self.name]).args(arguments).env_remove("TMUX").env_remove("NO_COLOR");
        tmux.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).output().unwrap()
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// Waits until the screen is as wanted.
    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        loop {
            let screen = self.screen();
            if is(&screen) {
                return screen;
            }
            assert!(started.elapsed() < PATIENCE, "{what} does not appear:\n{screen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn shows(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    fn key(&self, key: &str) {
        assert!(self.tmux(&["send-keys", key]).status.success());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn recording(folder: &Path) {
    let line = "sim domains --machine 2l:4c --workload web+batch --for 1s --trace a.rota";
    let mut sim = Command::new(ROTA);
    assert!(sim.args(line.split(' ')).current_dir(folder).output().unwrap().status.success());
}

/// The names of tasks in the order in which they are shown.
fn tasks(screen: &str) -> Vec<String> {
    let rows = screen.lines().skip_while(|line| !line.starts_with("task ")).skip(1);
    let names = rows.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.contains('[')).map(str::to_owned).collect()
}

#[test]
fn a_recording_is_played_and_keys_do_what_they_say() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path());
    let top = format!("{ROTA} top a.rota --interval 100ms --speed 4");
    let terminal = Terminal::run("play", folder.path(), &top);
    let end = terminal.shows("end of the recording");
    for text in ["node 0 LLC 1", "queue", "0x1", "wait p50", "domains", "sort by run"] {
        assert!(end.contains(text), "no {text}:\n{end}");
    }
    let by_run = tasks(&end);
    assert!(by_run.len() > 10, "{end}");
    terminal.key("s");
    let by_latency = tasks(&terminal.shows("sort by latency"));
    assert_ne!(by_run, by_latency);
    terminal.key("Down");
    terminal.wait("the second task", |screen| tasks(screen).first() == by_latency.get(1));
    terminal.key("?");
    terminal.shows("one look further");
    terminal.key("Escape");
    terminal.wait("no help", |screen| !screen.contains("one look further"));
    terminal.key("q");
    terminal.shows("code 0, as before: yes");
}

#[test]
fn a_paused_recording_goes_on_in_steps() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path());
    // So slow that it stands still.
    let top = format!("{ROTA} top a.rota --interval 100ms --speed 0.001");
    let terminal = Terminal::run("steps", folder.path(), &top);
    terminal.shows("speed 0.001");
    terminal.key("Space");
    let before = terminal.shows("PAUSED");
    for _ in 0..8 {
        terminal.key("+");
    }
    terminal.shows("speed 0.256");
    let time = |screen: &str| screen.lines().next().map(|line| line[..20].to_owned());
    terminal.key("Right");
    terminal.wait("another time", |screen| time(screen) != time(&before));
    terminal.key("C-c");
    terminal.shows("code 0, as before: yes");
}

#[test]
fn a_simulation_is_watched_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let sim = "simple --machine 4c --workload web --for 600s";
    let top = format!("{ROTA} top --sim '{sim}' --interval 200ms");
    let terminal = Terminal::run("sim", folder.path(), &top);
    let screen = terminal.shows("web/");
    assert!(screen.contains("simple") && screen.contains("node 0 LLC 0"), "{screen}");
    // It is ended with the view, though it has much to do.
    terminal.key("q");
    terminal.shows("code 0, as before: yes");
    let wrong = Terminal::run("no", folder.path(), &format!("{ROTA} top --sim 'nobody'"));
    wrong.shows("code 2, as before: yes");
    assert!(wrong.screen().contains("nobody"), "{}", wrong.screen());
}

#[test]
fn this_machine_is_shown_and_a_signal_puts_the_terminal_back() {
    let folder = tempfile::tempdir().unwrap();
    let top = format!("{ROTA} top --interval 200ms & echo $! > pid; fg >/dev/null");
    let line = format!("set -m; {top}");
    let terminal = Terminal::run("live", folder.path(), &line);
    let screen = terminal.wait("a task", |screen| tasks(screen).len() > 1);
    assert!(screen.contains("this machine"), "{screen}");
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(Command::new("kill").arg(pid.trim()).status().unwrap().success());
    terminal.shows("code 0, as before: yes");
}

#[test]
fn what_is_damaged_is_told_after_the_view() {
    let folder = tempfile::tempdir().unwrap();
    recording(folder.path());
    let mut bytes = fs::read(folder.path().join("a.rota")).unwrap();
    bytes.truncate(bytes.len() - 100);
    fs::write(folder.path().join("a.rota"), bytes).unwrap();
    let top = format!("{ROTA} top a.rota --interval 50ms --speed 1000");
    let terminal = Terminal::run("damaged", folder.path(), &top);
    terminal.shows("end of the recording");
    terminal.key("q");
    let screen = terminal.shows("code 1, as before: yes");
    assert!(screen.contains("a.rota: byte"), "{screen}");
    let piped = Terminal::run("piped", folder.path(), &format!("{ROTA} top a.rota | cat"));
    assert!(piped.shows("as before: yes").contains("needs a terminal"));
}
