// SPDX-License-Identifier: GPL-2.0-or-later
//! Runs a linked object on both engines.

use rota_bytecode::Mode;
use rota_object::{Image, KernelTypes};
use rota_sim::{LoadError, Machine, Shape};

/// How many instructions a call may execute.
const BUDGET: u64 = 2000;
/// How many programs are run at most.
const PROGRAMS_MAX: usize = 24;

/// Runs programs of an image, one after the other, on a machine of each kind: values, and what
/// stops them, are the same.
pub(crate) fn both_do_the_same(image: &Image, kernel: &KernelTypes) {
    let loaded = [Mode::Jit, Mode::Interpreter].map(|mode| load(mode, image, kernel));
    let (mut jit, mut interpreter) = match loaded {
        [Ok(jit), Ok(interpreter)] => (jit, interpreter),
        [jit, interpreter] => {
            let [jit, interpreter] = [jit, interpreter].map(|loaded| error(loaded.err()));
            return assert_eq!(jit, interpreter);
        }
    };
    for entry in image.entries.iter().take(PROGRAMS_MAX) {
        // What a callback gets are pointers and small numbers; both of what follows are either.
        for args in [[0; 5], [0, 1, 2, 3, 4]] {
            let [jit, interpreter] = [&mut jit, &mut interpreter]
                .map(|machine| machine.run(entry.function, args).map_err(|stop| stop.to_string()));
            assert_eq!(jit, interpreter, "{} by machine code and by the interpreter", entry.name);
        }
    }
}

fn load(mode: Mode, image: &Image, kernel: &KernelTypes) -> Result<Machine, LoadError> {
    let shape = Shape { mode, budget: BUDGET, ..Shape::default() };
    Machine::load(shape, image, kernel)
}

fn error(error: Option<LoadError>) -> String {
    error.map_or_else(|| "none".to_owned(), |error| error.to_string())
}
