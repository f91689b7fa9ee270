//! Ranks by Zipf's law in constant time (Walker's alias method, in whole numbers).

/// Draws ranks from 0 on, rank *r* with a weight of 1/(*r* + 1).
#[derive(Clone, Debug)]
pub(super) struct Zipf {
    columns: Vec<Column>,
}

/// A draw that falls into a column gives the column's own rank below `threshold`, and `alias` above.
#[derive(Clone, Copy, Debug)]
struct Column {
    threshold: u32,
    alias: u32,
}

impl Zipf {
    pub fn new(ranks: u32) -> Zipf {
        let mut shares = shares(ranks);
        let mut columns: Vec<Column> =
            (0..ranks).map(|rank| Column { threshold: u32::MAX, alias: rank }).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..ranks).partition(|&rank| shares[rank as usize] < ONE);
        while let (Some(less), Some(&more)) = (small.pop(), large.last()) {
            let share = shares[less as usize];
            columns[less as usize] = Column { threshold: share as u32, alias: more };
            let rest = &mut shares[more as usize];
            *rest -= ONE - share;
            if *rest < ONE {
                large.pop();
                small.push(more);
            }
        }
        Zipf { columns }
    }

    /// The rank that a uniform draw stands for.
    pub fn rank(&self, draw: u64) -> u32 {
        let (column, within) = (((draw >> 32) * self.columns.len() as u64) >> 32, draw as u32);
        let Column { threshold, alias } = self.columns[column as usize];
        if within < threshold { column as u32 } else { alias }
    }
}

/// A column's full share.
const ONE: u64 = 1 << 32;

/// What each rank gets of `ranks` full columns.
fn shares(ranks: u32) -> Vec<u64> {
    const SCALE: u128 = 1 << 64;
    let weights = (1..=u128::from(ranks)).map(|rank| SCALE / rank);
    let sum: u128 = weights.clone().sum();
    let full = u128::from(ranks) * u128::from(ONE);
    // Scaled down by 2^32 first, so that the product stays within 128 bits.
    weights.map(|weight| ((weight >> 32) * full / (sum >> 32)) as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn ranks_come_as_often_as_the_law_says() {
        let zipf = Zipf::new(1_000);
        let mut rng = Rng::from_u64(1);
        let mut counts = vec![0_f64; 1_000];
        let draws = 1_000_000;
        for _ in 0..draws {
            counts[zipf.rank(rng.next_u64()) as usize] += 1.0;
        }
        let sum: f64 = (1..=1_000).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in [1, 2, 3, 10, 100] {
            let expected = f64::from(draws) / f64::from(rank) / sum;
            let seen = counts[rank as usize - 1];
            assert!((seen / expected - 1.0).abs() < 0.1, "rank {rank}: {seen} instead of {expected}");
        }
        assert!(counts.iter().all(|&count| count > 0.0));
    }

    #[test]
    fn one_word_and_very_many_work() {
        assert_eq!(Zipf::new(1).rank(u64::MAX), 0);
        let many = Zipf::new(2_000_000);
        assert!(many.rank(u64::MAX) < 2_000_000);
    }
}
