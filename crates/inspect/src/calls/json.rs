// SPDX-License-Identifier: GPL-2.0-or-later
//! Sessions as JSON.

use super::{Call, Session, Shown};
use serde_json::{Value, json};

impl Shown<'_> {
    /// A session: who, `stack` from the outermost on, and `call` with the calls within it.
    pub fn json(&self, session: &Session) -> Value {
        let stack = session.stack.iter().rev().map(|address| self.symbols.text(*address));
        json!({
            "time_ns": session.root.began_ns + self.boot_ns,
            "pid": session.pid, "tgid": session.tgid, "comm": session.comm, "cpu": session.cpu,
            "failed": session.root.error(self.functions).is_some(),
            "stack": stack.collect::<Vec<_>>(),
            "call": self.call(&session.root, session.root.began_ns),
        })
    }

    fn call(&self, call: &Call, began_ns: u64) -> Value {
        let stack = call.stack.iter().rev().map(|address| self.symbols.text(*address));
        let args = self.arguments(call).into_iter();
        let args = args.map(|(name, value)| json!({ "name": name, "value": value }));
        let mut object = json!({
            "function": self.name(call),
            "after_ns": call.began_ns.saturating_sub(began_ns),
            "duration_ns": self.ns(call),
            "result": call.ended.map(|_| self.result(call)),
            "error": call.error(self.functions),
        });
        if self.args {
            object["args"] = args.collect();
        }
        if !call.stack.is_empty() {
            object["stack"] = stack.collect();
        }
        if !call.calls.is_empty() {
            object["calls"] = call.calls.iter().map(|call| self.call(call, began_ns)).collect();
        }
        object
    }
}
