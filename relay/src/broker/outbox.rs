//! What waits for one connection: control before bulk, both bounded.

use shared::limits;
use shared::wire::session::Class;
use std::collections::VecDeque;

/// What a frame counts beside its bytes, so that empty ones are bounded too.
const FRAME_OVERHEAD_BYTES: usize = 64;

#[derive(Debug)]
pub struct Outbox<T> {
    control: Queue<T>,
    bulk: Queue<T>,
}

/// What became of a frame that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    Queued,
    /// The reader is slow: its bulk is lost first.
    Dropped,
    /// The reader is so slow that control frames do not fit either: cut it off.
    TooSlow,
}

#[derive(Debug)]
struct Queue<T> {
    frames: VecDeque<(usize, T)>,
    bytes: usize,
    bytes_max: usize,
}

impl<T> Default for Outbox<T> {
    fn default() -> Outbox<T> {
        Outbox {
            control: Queue::new(limits::CONTROL_QUEUE_BYTES_MAX),
            bulk: Queue::new(limits::BULK_QUEUE_BYTES_MAX),
        }
    }
}

impl<T> Outbox<T> {
    pub fn offer(&mut self, class: Class, bytes: usize, frame: T) -> Offered {
        let (queue, when_full) = match class {
            Class::Control => (&mut self.control, Offered::TooSlow),
            Class::Bulk => (&mut self.bulk, Offered::Dropped),
        };
        if queue.push(bytes, frame) { Offered::Queued } else { when_full }
    }

    /// The next frame to send.
    pub fn take(&mut self) -> Option<T> {
        self.control.pop().or_else(|| self.bulk.pop())
    }

    pub fn is_empty(&self) -> bool {
        self.control.frames.is_empty() && self.bulk.frames.is_empty()
    }

    pub fn clear(&mut self) {
        self.control.clear();
        self.bulk.clear();
    }
}

impl<T> Queue<T> {
    fn new(bytes_max: usize) -> Queue<T> {
        Queue { frames: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// False when it is full. An empty queue takes any frame: its size has been checked where it came in.
    fn push(&mut self, bytes: usize, frame: T) -> bool {
        let bytes = bytes + FRAME_OVERHEAD_BYTES;
        if !self.frames.is_empty() && self.bytes + bytes > self.bytes_max {
            return false;
        }
        self.bytes += bytes;
        self.frames.push_back((bytes, frame));
        true
    }

    fn pop(&mut self) -> Option<T> {
        let (bytes, frame) = self.frames.pop_front()?;
        self.bytes -= bytes;
        Some(frame)
    }

    fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_passes_bulk_and_each_keeps_its_order() {
        let mut outbox = Outbox::default();
        for (class, frame) in
            [(Class::Bulk, "b1"), (Class::Control, "c1"), (Class::Bulk, "b2"), (Class::Control, "c2")]
        {
            assert_eq!(outbox.offer(class, 10, frame), Offered::Queued);
        }
        let order: Vec<_> = std::iter::from_fn(|| outbox.take()).collect();
        assert_eq!(order, ["c1", "c2", "b1", "b2"]);
    }

    #[test]
    fn a_slow_reader_loses_bulk_and_keeps_control() {
        let mut outbox = Outbox::default();
        let megabyte = 1 << 20;
        let fitting = limits::BULK_QUEUE_BYTES_MAX / (megabyte + FRAME_OVERHEAD_BYTES);
        for number in 0..fitting {
            assert_eq!(outbox.offer(Class::Bulk, megabyte, number), Offered::Queued);
        }
        assert_eq!(outbox.offer(Class::Bulk, megabyte, fitting), Offered::Dropped);
        assert_eq!(outbox.offer(Class::Control, 10, 99), Offered::Queued);
        assert_eq!(outbox.take(), Some(99));
        assert_eq!(outbox.take(), Some(0));
        assert_eq!(outbox.offer(Class::Bulk, megabyte, fitting), Offered::Queued, "what was read makes room");
    }

    #[test]
    fn a_reader_that_stands_still_is_cut_at_the_limit() {
        let mut outbox = Outbox::default();
        let fitting = limits::CONTROL_QUEUE_BYTES_MAX / FRAME_OVERHEAD_BYTES;
        for number in 0..fitting {
            assert_eq!(outbox.offer(Class::Control, 0, number), Offered::Queued);
        }
        assert_eq!(outbox.offer(Class::Control, 0, fitting), Offered::TooSlow);
    }
}
