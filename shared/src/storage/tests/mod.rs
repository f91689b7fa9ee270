//! Stores against a disk that loses, tears and rots.

mod blocks;
mod log;
