// SPDX-License-Identifier: GPL-2.0-or-later
//! What is to be recorded, if not everything.

use super::groups::Groups;
use rota_object::EngineError;

/// As many cgroups, and numbers of CPUs, as `bpf/trace/record.bpf.c` has places for.
const GROUPS: usize = 8;
const WORDS: usize = 128;
/// Where the structure `filter` says where a CPU counts its interrupts.
pub(super) const INTERRUPTS_AT: usize = 12;

/// What to record: with nothing in it, everything. What is in several lists must be wanted by each.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only on these CPUs.
    pub cpus: Vec<u32>,
    /// Only these threads and processes, and what they start.
    pub pids: Vec<i32>,
    /// Only tasks in these cgroups and below, by path from the outermost one.
    pub groups: Vec<String>,
    /// Messages through sockets, too.
    pub messages: bool,
}

impl Wanted {
    /// The structure `filter` of the object.
    pub(super) fn to_bytes(&self, groups: &mut Groups) -> Result<Vec<u8>, EngineError> {
        let mut cpus = [0_u64; WORDS];
        for cpu in &self.cpus {
            let word = cpus.get_mut(*cpu as usize / 64);
            let word = word.ok_or_else(|| no(format!("there is no CPU {cpu}")))?;
            *word |= 1 << (cpu % 64);
        }
        if self.groups.len() > GROUPS {
            return Err(no(format!("at most {GROUPS} cgroups can be asked for")));
        }
        let (mut ids, mut levels) = ([0_u64; GROUPS], [0_u32; GROUPS]);
        for ((id, level), path) in ids.iter_mut().zip(&mut levels).zip(&self.groups) {
            (*id, *level) = groups.find(path).map_err(no)?;
        }
        let yes = |list: bool| u32::from(!list);
        let counts =
            [yes(self.cpus.is_empty()), yes(self.pids.is_empty()), self.groups.len() as u32, 0];
        let mut bytes: Vec<u8> = counts.iter().flat_map(|n| n.to_ne_bytes()).collect();
        bytes.extend(cpus.iter().chain(&ids).flat_map(|n| n.to_ne_bytes()));
        bytes.extend(levels.iter().flat_map(|n| n.to_ne_bytes()));
        Ok(bytes)
    }
}

fn no(error: String) -> EngineError {
    EngineError::System { what: "choosing what to record".to_owned(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_the_object() {
        let mut groups = Groups::new("/no/such/folder".as_ref());
        let wanted = Wanted { cpus: vec![1, 64], pids: vec![7], ..Wanted::default() };
        let bytes = wanted.to_bytes(&mut groups).unwrap();
        assert_eq!(bytes.len(), 16 + WORDS * 8 + GROUPS * 12);
        let filter: Vec<u32> =
            bytes.chunks(4).map(|n| u32::from_ne_bytes(n.try_into().unwrap())).collect();
        assert_eq!(filter[..7], [1, 1, 0, 0, 2, 0, 1]);
        let no = Wanted { cpus: vec![64 * WORDS as u32], ..Wanted::default() };
        assert!(no.to_bytes(&mut groups).is_err());
        let no = Wanted { groups: vec!["/a".to_owned()], ..Wanted::default() };
        assert!(no.to_bytes(&mut groups).is_err());
    }
}
