//! Numbers that follow Zipf's law: a few images are pulled most of the time.

use rand::RngExt;

/// Ranks from 0, where rank `k` comes up in proportion to `1 / (k + 1)`.
#[derive(Debug)]
pub struct Zipf {
    /// The share of all ranks up to and with each rank.
    cumulative: Vec<f64>,
}

impl Zipf {
    /// Ranks below `count`, which must not be zero.
    pub fn new(count: usize) -> Self {
        let total: f64 = (1..=count).map(|rank| 1.0 / rank as f64).sum();
        let mut sum = 0.0;
        let cumulative = (1..=count)
            .map(|rank| {
                sum += 1.0 / rank as f64 / total;
                sum
            })
            .collect();
        Self { cumulative }
    }

    /// One rank.
    pub fn sample(&self, random: &mut impl rand::Rng) -> usize {
        let at: f64 = random.random();
        let rank = self.cumulative.partition_point(|share| *share <= at);
        rank.min(self.cumulative.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    #[test]
    fn a_rank_comes_up_in_proportion_to_its_reciprocal() {
        let zipf = Zipf::new(1000);
        let mut random = SmallRng::seed_from_u64(7);
        let mut seen = vec![0_u32; 1000];
        for _ in 0..1_000_000 {
            seen[zipf.sample(&mut random)] += 1;
        }
        // The sum of the reciprocals up to 1,000 is 7.4855.
        for (rank, expected) in [(0, 133_592), (1, 66_796), (9, 13_359), (99, 1336)] {
            let seen = f64::from(seen[rank]);
            let off = (seen / f64::from(expected) - 1.0).abs();
            assert!(off < 0.1, "rank {rank}: {seen} of {expected}");
        }
        assert!(seen[990..].iter().sum::<u32>() > 0, "the tail comes up too");
    }

    #[test]
    fn of_one_rank_there_is_only_that_one() {
        let zipf = Zipf::new(1);
        let mut random = SmallRng::seed_from_u64(7);
        assert!((0..100).all(|_| zipf.sample(&mut random) == 0));
    }
}
