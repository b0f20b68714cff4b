// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeps QEMU and virtiofsd, and makes sure that neither outlives its machine.
//!
//! Both are started so that the kernel kills them when the *thread* that started them ends. That
//! thread is therefore one of this module's own, which lives exactly as long as the machine: a
//! test that starts a machine may end on its own thread while other tests go on using it.

use std::process::{Child, Command};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{Error, Result};

/// QEMU and virtiofsd while they run; dropping it kills both.
#[derive(Debug)]
pub(crate) struct Processes {
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<String>>,
}

impl Processes {
    /// Starts both.
    pub(crate) fn start(virtiofsd: Command, qemu: Command) -> Result<Processes> {
        let (stop, stopped) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let keep = move || {
            let mut children = match Children::spawn(virtiofsd, qemu) {
                Ok(children) => children,
                Err(source) => {
                    // The receiver waits for exactly one message.
                    let _ = started.send(Err(source));
                    return String::new();
                }
            };
            let _ = started.send(Ok(()));
            loop {
                if let Some(end) = children.end() {
                    return end;
                }
                match stopped.recv_timeout(POLL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return "killed".to_string(),
                }
            }
        };
        let keeper = thread::Builder::new().name("rota-vm keeper".to_string());
        let failed = |source| Error::Io { context: "cannot start the machine".to_string(), source };
        let keeper = keeper.spawn(keep).map_err(failed)?;
        start.recv().expect("the keeper answers first").map_err(failed)?;
        Ok(Processes { stop: Some(stop), keeper: Some(keeper) })
    }

    /// Kills both if they do not end within `patience`; says how they ended.
    pub(crate) fn finish(&mut self, patience: Duration) -> String {
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline
            && self.keeper.as_ref().is_some_and(|keeper| !keeper.is_finished())
        {
            thread::sleep(POLL);
        }
        self.stop = None;
        let end = self.keeper.take().map(JoinHandle::join);
        end.and_then(std::result::Result::ok).unwrap_or_default()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.finish(Duration::ZERO);
    }
}

const POLL: Duration = Duration::from_millis(20);

struct Children {
    virtiofsd: Child,
    qemu: Child,
}

impl Children {
    fn spawn(mut virtiofsd: Command, mut qemu: Command) -> std::io::Result<Children> {
        let mut virtiofsd = virtiofsd.spawn()?;
        match qemu.spawn() {
            Ok(qemu) => Ok(Children { virtiofsd, qemu }),
            Err(error) => {
                kill(&mut virtiofsd);
                Err(error)
            }
        }
    }

    /// How one of the two ended, if it has.
    fn end(&mut self) -> Option<String> {
        if let Ok(Some(status)) = self.qemu.try_wait() {
            return Some(format!("QEMU: {status}"));
        }
        let status = self.virtiofsd.try_wait().ok()??;
        // virtiofsd ends when QEMU closes its socket, so QEMU may be about to end itself.
        thread::sleep(POLL);
        match self.qemu.try_wait() {
            Ok(Some(status)) => Some(format!("QEMU: {status}")),
            _ => Some(format!("virtiofsd: {status}")),
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        kill(&mut self.qemu);
        kill(&mut self.virtiofsd);
    }
}

fn kill(child: &mut Child) {
    // A process that has ended already is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("sleep");
        command.arg("60");
        command
    }

    #[test]
    fn both_end_with_the_machine_and_with_each_other() {
        let mut processes = Processes::start(sleeper(), sleeper()).unwrap();
        assert_eq!(processes.finish(Duration::ZERO), "killed");
        let mut processes = Processes::start(sleeper(), Command::new("false")).unwrap();
        assert_eq!(processes.finish(Duration::from_secs(10)), "QEMU: exit status: 1");
        let mut processes = Processes::start(Command::new("false"), sleeper()).unwrap();
        assert_eq!(processes.finish(Duration::from_secs(10)), "virtiofsd: exit status: 1");
        assert!(Processes::start(sleeper(), Command::new("no-such-program-here")).is_err());
    }
}
