// SPDX-License-Identifier: GPL-2.0-or-later
//! Instructions that have no code of their own when they are packed.

use super::packed::{Packed, Slot};
use super::{Bad, Flow, Interpreter};
use crate::arith;
use crate::instance::Instance;
use crate::memory::{fault, pointer_of};
use crate::op::{Access, Atomic, Op, Size};
use crate::window::Window;

impl Interpreter {
    /// Executes an instruction that has no code of its own.
    pub(super) fn rare(
        &mut self,
        op: &Packed,
        unpacked: Op,
        window: &Window,
        instance: &Instance,
    ) -> Flow {
        match unpacked {
            Op::Neg { wide, .. } => {
                let value = self.get(op.dst).wrapping_neg();
                self.set(op.dst, if wide { value } else { u64::from(value as u32) })
            }
            Op::SignExtend { wide, bits, .. } => {
                let value = arith::sign_extend(self.get(op.src), bits);
                self.set(op.dst, if wide { value } else { u64::from(value as u32) })
            }
            Op::Bytes { order, bits, .. } => {
                self.set(op.dst, arith::bytes(order, bits, self.get(op.dst)))
            }
            Op::CastKernel { .. } => self.set(op.dst, u64::from(self.get(op.src) as u32)),
            Op::CastUser { .. } => {
                let low = u64::from(self.get(op.src) as u32);
                self.set(op.dst, if low == 0 { 0 } else { low | instance.arena_half() })
            }
            Op::Load { access, .. } => match self.aligned(op.src, access) {
                Ok(()) => self.load(op, access.size.bytes(), window, |value| value),
                Err(bad) => self.bad(bad),
            },
            Op::Store { access, .. } => match self.aligned(op.dst, access) {
                Ok(()) => self.store(op, access.size.bytes(), self.get(op.src), window),
                Err(bad) => self.bad(bad),
            },
            Op::Atomic { atomic, fetch, access, .. } => {
                match self.atomic(op, (atomic, fetch, access), window) {
                    Ok(()) => Flow::Next,
                    Err(bad) => self.bad(bad),
                }
            }
            Op::MayGoto { .. } => match self.iterations.checked_sub(1) {
                Some(left) => {
                    self.iterations = left;
                    Flow::Stay
                }
                None => Flow::Jump,
            },
            _ => self.bad(Bad::Poisoned),
        }
    }

    /// Refuses an atomic that is not aligned.
    fn aligned(&self, pointer: Slot, access: Access) -> Result<(), Bad> {
        let place = self.place_of(pointer, i32::from(access.off));
        let size = access.size.bytes() as u64;
        if (place as u64).is_multiple_of(size) {
            return Ok(());
        }
        Err(Bad::Misaligned { pointer: pointer_of(place), size })
    }

    fn atomic(
        &mut self,
        op: &Packed,
        (atomic, fetch, access): (Atomic, bool, Access),
        window: &Window,
    ) -> Result<(), Bad> {
        self.aligned(op.dst, access)?;
        let size = access.size.bytes();
        let place = self.place_of(op.dst, i32::from(access.off));
        let narrow = |value| if access.size == Size::W { u64::from(value as u32) } else { value };
        // It needs memory that can be written, even where it would only read.
        let bad = |at| Bad::Memory(fault(at, size as u64, true));
        let old = window.load(place, size).map_err(bad)?;
        let (src, expected) = (narrow(self.get(op.src)), narrow(self.get(Slot::R0)));
        window.store(place, size, arith::atomic(atomic, old, src, expected)).map_err(bad)?;
        match atomic {
            Atomic::CmpXchg => self.set(Slot::R0, old),
            _ if fetch => self.set(op.src, old),
            _ => Flow::Next,
        };
        Ok(())
    }
}
