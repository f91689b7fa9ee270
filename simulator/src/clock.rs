//! Virtual time: a queue of what is going to happen.

use shared::time::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What is due, earliest first; among equals, in the order in which it was planned.
pub struct Agenda<T> {
    queue: BinaryHeap<Reverse<Item<T>>>,
    planned: u64,
}

struct Item<T> {
    at: Time,
    order: u64,
    what: T,
}

impl<T> Agenda<T> {
    pub fn new() -> Agenda<T> {
        Agenda { queue: BinaryHeap::new(), planned: 0 }
    }

    pub fn plan(&mut self, at: Time, what: T) {
        self.planned += 1;
        self.queue.push(Reverse(Item { at, order: self.planned, what }));
    }

    pub fn next(&mut self) -> Option<(Time, T)> {
        self.queue.pop().map(|Reverse(item)| (item.at, item.what))
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Item<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Item<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Item<T>) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
