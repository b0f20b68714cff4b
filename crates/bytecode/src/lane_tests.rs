// SPDX-License-Identifier: GPL-2.0-or-later
//! Lanes in every order, dropped anywhere, and pauses where none can be.

use super::*;
use crate::signal::Active;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What of a lane's stack is still alive.
struct Guard(Rc<Cell<u32>>);

impl Guard {
    fn new(alive: &Rc<Cell<u32>>) -> Self {
        alive.set(alive.get() + 1);
        Self(Rc::clone(alive))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A lane that hands back 10 times what it gets, so many times, then its end.
fn tenfold(pauses: u32) -> Lane<u64> {
    Lane::new(move |pause, mut value| {
        for _ in 0..pauses {
            value = pause.pause(10 * value).unwrap();
        }
        value + 1
    })
    .unwrap()
}

#[test]
fn values_go_to_and_fro() {
    let mut lane = tenfold(2);
    assert_eq!(lane.resume(1), Ok(Standing::Paused(10)));
    assert_eq!(lane.resume(2), Ok(Standing::Paused(20)));
    assert_eq!(lane.resume(3), Ok(Standing::Ended(4)));
    assert_eq!(lane.resume(5), Err(5), "it has ended");
}

#[test]
fn many_lanes_stand_still_at_once() {
    let mut lanes: Vec<Lane<u64>> = (0..500).map(|i| tenfold(3 + i % 5)).collect();
    let mut ended = 0;
    let mut turn = 0;
    while ended < lanes.len() {
        turn += 1;
        // Another order in each turn.
        for i in 0..lanes.len() {
            let at = (i * 7 + turn) % lanes.len();
            match lanes[at].resume(at as u64) {
                Ok(Standing::Paused(value)) => assert_eq!(value, 10 * at as u64),
                Ok(Standing::Ended(value)) => {
                    assert_eq!(value, at as u64 + 1);
                    ended += 1;
                }
                Err(value) => assert_eq!(value, at as u64),
            }
        }
    }
    assert_eq!(turn, 8);
}

#[test]
fn a_lane_can_be_dropped_anywhere() {
    let alive = Rc::new(Cell::new(0));
    let lane = |alive: &Rc<Cell<u32>>| {
        let (outer, inner) = (Guard::new(alive), Rc::clone(alive));
        let work = move |pause: &Pause<Box<u64>>, value| {
            let _outer = outer;
            let value = pause.pause(value).unwrap();
            let _inner = Guard::new(&inner);
            pause.pause(value).unwrap()
        };
        Lane::new(work).unwrap()
    };
    for (resumed, expected) in [(0, 1), (1, 1), (2, 2), (3, 0)] {
        let mut lane = lane(&alive);
        for value in 0..resumed {
            lane.resume(Box::new(value)).unwrap();
        }
        assert_eq!(alive.get(), expected);
        drop(lane);
        assert_eq!(alive.get(), 0, "resumed {resumed} times");
    }
}

#[test]
fn what_is_dropped_with_a_lane_does_not_pause() {
    struct Pauses(Pause<u64>, Rc<Cell<Option<u64>>>);
    impl Drop for Pauses {
        fn drop(&mut self) {
            self.1.set(self.0.pause(7).err());
        }
    }
    let refused = Rc::new(Cell::new(None));
    let seen = Rc::clone(&refused);
    let work = move |pause: &Pause<u64>, value| {
        let _pauses = Pauses(pause.clone(), seen);
        pause.pause(value).unwrap()
    };
    let mut lane = Lane::new(work).unwrap();
    assert_eq!(lane.resume(1), Ok(Standing::Paused(1)));
    drop(lane);
    assert_eq!(refused.get(), Some(7));
}

#[test]
fn a_pause_from_outside_is_refused() {
    let kept: Rc<RefCell<Option<Pause<u64>>>> = Rc::default();
    let keep = Rc::clone(&kept);
    let mut lane = Lane::new(move |pause: &Pause<u64>, value| {
        *keep.borrow_mut() = Some(pause.clone());
        pause.pause(value).unwrap()
    })
    .unwrap();
    assert_eq!(lane.resume(1), Ok(Standing::Paused(1)));
    let pause = kept.take().unwrap();
    assert_eq!(pause.pause(2), Err(2), "the lane stands still");
    assert_eq!(lane.resume(3), Ok(Standing::Ended(3)));
    assert_eq!(pause.pause(4), Err(4), "the lane has ended");
    drop(lane);
    assert_eq!(pause.pause(5), Err(5), "there is no lane");
    // Its stack is another lane's now.
    let mut other = Lane::new(move |_, value| pause.pause(value).unwrap_err() + 1).unwrap();
    assert_eq!(other.resume(6), Ok(Standing::Ended(7)));
}

#[test]
fn a_lane_inside_another_pauses_itself_only() {
    let mut outer = Lane::new(|outer: &Pause<u64>, value| {
        let outside = outer.clone();
        let mut inner = Lane::new(move |inner: &Pause<u64>, value| {
            // The outer lane runs too, but this is not its stack.
            assert_eq!(outside.pause(value), Err(value));
            inner.pause(value + 1).unwrap()
        })
        .unwrap();
        assert_eq!(inner.resume(value), Ok(Standing::Paused(value + 1)));
        let value = outer.pause(100).unwrap();
        assert_eq!(inner.resume(value), Ok(Standing::Ended(value)));
        value
    })
    .unwrap();
    assert_eq!(outer.resume(1), Ok(Standing::Paused(100)));
    assert_eq!(outer.resume(2), Ok(Standing::Ended(2)));
}

#[test]
fn a_panic_goes_on_where_the_lane_was_resumed() {
    let alive = Rc::new(Cell::new(0));
    let inside = Rc::clone(&alive);
    let mut lane = Lane::new(move |pause: &Pause<u64>, value| {
        let _guard = Guard::new(&inside);
        pause.pause(value).unwrap();
        panic!("on purpose");
    })
    .unwrap();
    assert_eq!(lane.resume(1), Ok(Standing::Paused(1)));
    let panicked = catch_unwind(AssertUnwindSafe(|| lane.resume(2)));
    assert!(panicked.is_err_and(|words| words.downcast_ref() == Some(&"on purpose")));
    assert_eq!(alive.get(), 0);
    assert_eq!(lane.resume(3), Err(3));
    assert_eq!(tenfold(1).resume(4), Ok(Standing::Paused(40)), "others go on");
}

#[test]
fn no_lane_pauses_while_machine_code_is_entered() {
    let coroutine = Coroutine::<u64, crate::fiber::Said, crate::fiber::Said>::new(|_, _| {
        crate::fiber::Said::Fault
    });
    let active = Active::new(coroutine.trap_handler(), 0..0, 0..0);
    let mut lane = Lane::new(move |pause: &Pause<u64>, value| {
        let refused = signal::catching(&active, || pause.pause(value));
        pause.pause(refused.unwrap_err() + 1).unwrap()
    })
    .unwrap();
    assert_eq!(lane.resume(1), Ok(Standing::Paused(2)));
}

#[test]
fn stacks_are_used_again() {
    let of = |lane: &Lane<u64>| lane.shared.stack.clone();
    let first = tenfold(1);
    let addresses = of(&first);
    drop(first);
    assert_eq!(of(&tenfold(1)), addresses);
}
