// SPDX-License-Identifier: GPL-2.0-or-later
//! What an object says about itself, in declaration tags.
//!
//! The headers under `bpf/include/rota` write them: `SETTING` and `SCHEDULER` tag a variable,
//! `COUNTER` and `GAUGE` a member of the statistics. So a name, a unit and a meaning stand once,
//! beside the C that uses them, and every object that was compiled with these headers shows its
//! settings and statistics without a line of Rust.

use crate::btf::TypeId;
use crate::btf_decl::Type;
use crate::elf::{Global, Object};
use rota_events::{Metric, MetricKind};

const STATS_MAP: &str = "stats";

/// The statistics of an object: the value type of its per-CPU array map `stats`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsLayout {
    /// Name of the map.
    pub map: &'static str,
    /// The members that are tagged, each with its offset in bytes, in order. Each is an unsigned
    /// number of 64 bits.
    pub fields: Vec<(Metric, usize)>,
}

impl Object {
    /// What the scheduler says about itself in one line.
    pub fn summary(&self) -> Option<&str> {
        let ops = self.scheduler()?;
        let (var, _) = self.btf().iter().find(
            |(_, t)| matches!(t, Type::Var { name, .. } if self.btf().text(*name) == ops.name),
        )?;
        self.remark(var, "scheduler:")
    }

    /// The statistics, if the object has the map `stats` and tags in its value.
    pub fn stats(&self) -> Option<StatsLayout> {
        let btf = self.btf();
        let definition = btf.iter().find_map(|(_, t)| match t {
            Type::Var { name, target, .. } if btf.text(*name) == STATS_MAP => Some(*target),
            _ => None,
        })?;
        let Type::Struct { members, .. } = btf.resolve(definition).1 else { return None };
        let value = members.iter().find(|m| btf.text(m.name) == "value")?;
        let Type::Ptr(pointee) = btf.resolve(value.ty).1 else { return None };
        let (id, Type::Struct { members, .. }) = btf.resolve(*pointee) else { return None };
        let mut fields = Vec::new();
        for (component, text) in btf.tags_of(id) {
            let Some(member) = usize::try_from(component).ok().and_then(|i| members.get(i)) else {
                continue;
            };
            let (kind, rest) = match text.split_once(':') {
                Some(("counter", rest)) => (MetricKind::Counter, rest),
                Some(("gauge", rest)) => (MetricKind::Gauge, rest),
                _ => continue,
            };
            let (unit, help) = rest.split_once(':').unwrap_or(("", rest));
            if btf.size_of(member.ty) == Some(8) && member.offset_bits % 64 == 0 {
                let metric = Metric::new(btf.text(member.name), kind, unit, help);
                fields.push((metric, (member.offset_bits / 8) as usize));
            }
        }
        fields.sort_by_key(|f| f.1);
        (!fields.is_empty()).then_some(StatsLayout { map: STATS_MAP, fields })
    }

    /// Each function that has a remark with this prefix, with the remark without the prefix.
    pub fn functions_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.btf().iter().filter_map(move |(id, ty)| match ty {
            Type::Func { name, .. } => Some((self.btf().text(*name), self.remark(id, prefix)?)),
            _ => None,
        })
    }

    /// The remark with this prefix on a global, without the prefix.
    pub(crate) fn remark_on(&self, global: &Global, prefix: &str) -> Option<&str> {
        self.remark(global.var, prefix)
    }

    fn remark(&self, id: TypeId, prefix: &str) -> Option<&str> {
        self.btf().tags_of(id).find_map(|(_, text)| text.strip_prefix(prefix))
    }
}
