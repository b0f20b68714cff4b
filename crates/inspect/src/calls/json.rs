// SPDX-License-Identifier: GPL-2.0-or-later
//! Sessions as JSON.

use super::{Call, Place, Session, Shown};
use serde_json::{Value, json};

impl Shown<'_> {
    /// A session: who, `stack` from the outermost on, and `call` with the calls within it.
    pub fn json(&self, session: &Session) -> Value {
        let (stack, places) = self.frames(&session.stack);
        json!({
            "time_ns": session.root.began_ns + self.boot_ns,
            "pid": session.pid, "tgid": session.tgid, "comm": session.comm, "cpu": session.cpu,
            "failed": session.root.error(self.functions).is_some(),
            "stack": stack, "places": places,
            "call": self.call(&session.root, session.root.began_ns),
        })
    }

    /// A stack from the outermost on: functions, and for each its places.
    fn frames(&self, stack: &[u64]) -> (Value, Value) {
        let place = |it: Place| {
            let place = it.to_string();
            json!({ "inlined": it.inlined, "place": place })
        };
        let places = |address: &u64| {
            let places = self.lines.of_frame(*address, self.symbols).into_iter();
            places.map(place).collect::<Value>()
        };
        let names = stack.iter().rev().map(|address| self.symbols.text(*address));
        (names.collect(), stack.iter().rev().map(places).collect())
    }

    fn call(&self, call: &Call, began_ns: u64) -> Value {
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
        if let Some(place) = self.begin(call) {
            object["place"] = place.to_string().into();
        }
        if !call.stack.is_empty() {
            (object["stack"], object["places"]) = self.frames(&call.stack);
        }
        if !call.calls.is_empty() {
            object["calls"] = call.calls.iter().map(|call| self.call(call, began_ns)).collect();
        }
        object
    }
}
