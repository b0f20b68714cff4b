// SPDX-License-Identifier: GPL-2.0-or-later
//! What `rota fn` says besides times: lines of source, strings, and a trace for Perfetto.

use crate::guest::{Guest, contains, ensure, say};
use crate::run::script;
use libtest_mimic::Failed;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands between two outputs.
const CUT: &str = "\n----\n";

/// Callbacks begin in lines of source that have their names, and stacks have lines.
pub(crate) fn lines(guest: &mut Guest) -> Result<(), Failed> {
    let text = guest.expect(
        0,
        &script(
            "rota run domains >/tmp/out 2>&1 & pid=$!; up domains
             rota fn 'ops:*' --dry-run | tee /tmp/list; echo ----
             rota fn ops:dispatch -S --for 500ms --format json | grep '\"call\"' | head -1; echo ----
             rota fn '*scx_bpf_dsq_*' -S --for 500ms --format json | grep _domains_ | head -1; echo ----
             rota fn ops:dispatch -S --for 500ms --no-lines | grep -c 'bpf\\.[ch]:'
             rota fn ops:dispatch --vmlinux /tmp/list --for 1s 2>&1; echo status $?
             kill -INT $pid; wait $pid; down",
        ),
    )?;
    let parts: Vec<&str> = text.split(CUT).collect();
    let [list, session, within, rest] = &parts[..] else { return Err(text.into()) };
    let mut places = BTreeMap::new();
    for line in list.lines() {
        let (name, _) = line.split_once(' ').ok_or(line)?;
        let (_, place) = line.rsplit_once("  ").ok_or(line)?;
        let (file, number) = place.split_once(':').ok_or(line)?;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
        let source = std::fs::read_to_string(path)?;
        let number: usize = number.parse()?;
        let begins = source.lines().nth(number - 1).unwrap_or_default();
        ensure(begins.contains(&format!("({name}")), || format!("{line}: {begins}"))?;
        places.insert(name, place);
    }
    ensure(places.len() >= 10, || text.clone())?;
    say(&format!("{} callbacks begin where their source does", places.len()));
    let session: Value = serde_json::from_str(session)?;
    let dispatch = places.get("domains_dispatch").copied();
    ensure(session["call"]["place"].as_str() == dispatch, || session.to_string())?;
    // A function that a program calls has that around it, in a line of its source.
    let within: Value = serde_json::from_str(within)?;
    let mut stack = within["stack"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let at = stack.position(|frame| frame.contains("_domains_"));
    let place = at.and_then(|at| within["places"][at][0]["place"].as_str());
    ensure(place.is_some_and(|it| it.starts_with("bpf/")), || within.to_string())?;
    contains(rest, &["0\n", "/tmp/list", "status 2"])
}

/// Text of the kernel is shown, cut where it is long; that of user space is an address.
pub(crate) fn texts(guest: &mut Guest) -> Result<(), Failed> {
    let long = "x".repeat(200);
    let text = guest.expect(
        0,
        &script(&format!(
            "cd /sys/fs/cgroup
             rota fn cgroup_mkdir strndup_user -S -A -- sh -c 'mkdir t-a; mkdir {long}; \
                 mkdir /tmp/m; mount -t tmpfs none /tmp/m; umount /tmp/m' || exit 1
             rmdir t-a {long}"
        )),
    )?;
    let cut = format!("name=\"{}\"…, ", "x".repeat(128));
    contains(&text, &["name=\"t-a\", ", &cut, "↔ strndup_user (s=0x"])
}

/// A trace for Perfetto has what is printed, as Perfetto's own messages decode it.
pub(crate) fn as_perfetto(guest: &mut Guest) -> Result<(), Failed> {
    let object = guest.put("values.bpf.o", rota_programs::test::VALUES)?;
    let text = guest.expect(
        0,
        &script(&format!(
            "rota run domains >/tmp/out 2>&1 & pid=$!; up domains
             trace() {{
                 file=$1; shift
                 rota fn bpf_check 'ops:*' -a 'check_*' -a 'do_check*' -S -A --format json \\
                     --buffer 64MiB -o $file -- bpftool prog load {object} /sys/fs/bpf/kept$$ \"$@\"
                 status=$?; rm -f /sys/fs/bpf/kept$$; return $status
             }}
             trace /tmp/calls.pftrace || exit 1
             echo ----; base64 /tmp/calls.pftrace; echo ----
             mkfifo /tmp/pipe; head -c 100 /tmp/pipe >/dev/null & reader=$!
             trace /tmp/pipe 2>/tmp/said >/tmp/told; echo status $?
             wait $reader; cat /tmp/said; tail -1 /tmp/told; echo ----
             trace /tmp/cut.pftrace 2>/dev/null | head -1 >/dev/null
             wc -c </tmp/cut.pftrace
             kill -INT $pid; wait $pid; down"
        )),
    )?;
    let parts: Vec<&str> = text.split(CUT).collect();
    let [told, trace, closed, cut] = &parts[..] else { return Err(text.into()) };
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("trace"), trace)?;
    std::fs::write(folder.path().join("told"), told)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/calls_trace.py");
    let in_cache = || guest.cache.root().join("python/bin/python").into();
    let python = PathBuf::from(std::env::var_os("ROTA_PYTHON").unwrap_or_else(in_cache));
    let mut decode = Command::new(&python);
    decode.arg(script).args(["trace", "told", "domains_"]).current_dir(folder.path());
    let output = decode.output().map_err(|error| {
        format!("{}: {error}; 'cargo xtask test install' makes it", python.display())
    })?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure(output.status.success(), || format!("{said}\n{told}"))?;
    let counted: Value = serde_json::from_slice(&output.stdout)?;
    say(&counted.to_string());
    let least = |name: &str, least| counted[name].as_u64() >= Some(least);
    let enough = least("calls", 200) && least("nested", 100) && least("args", 200);
    ensure(enough && least("threads", 2) && least("places", 20), || counted.to_string())?;
    // Who reads the trace has gone, and all is told.
    contains(closed, &["status 1", "Broken pipe", "no more calls are kept", "\"sessions\""])?;
    let bytes = cut.lines().next().and_then(|line| line.trim().parse::<u64>().ok());
    ensure(bytes > Some(1000), || cut.to_string())
}

/// Functions of the kernel, both ways of attaching, and callbacks: on every kernel.
pub(crate) fn on_every_kernel(guest: &mut Guest) -> Result<(), Failed> {
    for way in ["", "--one-by-one"] {
        let line = format!("rota fn vfs_read {way} -S -A --format json -- cat /proc/version");
        let text = guest.expect(0, &format!("{line} | grep -v '^Linux'"))?;
        let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let of_cat = |it: &&Value| it["comm"] == "cat" && it["call"]["function"] == "vfs_read";
        let calls: Vec<_> = lines.iter().filter(of_cat).collect();
        // What is read, how much of it, and its length.
        let args = |it: &&Value| it["call"]["args"].as_array().map(Vec::len) == Some(4);
        ensure(!calls.is_empty() && calls.iter().all(args), || text.clone())?;
        let result = |it: &&Value| it["call"]["result"].as_str().is_some_and(|it| it != "0");
        ensure(calls.iter().any(result), || text)?;
    }
    let text = guest.expect(
        0,
        &script(
            "rota run simple >/tmp/out 2>&1 & pid=$!; up simple
             rota fn 'ops:*' --hist --for 2s 2>&1; echo status $?
             kill -INT $pid; wait $pid; down",
        ),
    )?;
    contains(&text, &["simple_enqueue", "simple_dispatch", "status 0"])
}
