//! Whether two sets of times could be one: Welch's t.

/// Times of one kind, in any unit.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Adds one.
    pub fn record(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The mean.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len().max(1) as f64
    }

    fn variance(&self) -> f64 {
        let mean = self.mean();
        let squares = self.0.iter().map(|value| (value - mean).powi(2));
        squares.sum::<f64>() / (self.0.len() as f64 - 1.0).max(1.0)
    }

    /// Those up to a bound.
    fn up_to(&self, most: f64) -> Self {
        Self(
            self.0
                .iter()
                .copied()
                .filter(|value| *value <= most)
                .collect(),
        )
    }
}

/// Welch's t of two samples: of all values, and without the largest twentieth
/// of both together, whichever is farther from zero. A machine that does other
/// things makes some times very long; they hide a small difference, so it is
/// looked for without them as well.
pub fn welch(one: &Sample, other: &Sample) -> f64 {
    let mut all: Vec<f64> = one.0.iter().chain(&other.0).copied().collect();
    all.sort_by(f64::total_cmp);
    let Some(most) = all.get(all.len().saturating_sub(1) * 19 / 20) else {
        return 0.0;
    };
    let whole = t(one, other);
    let cropped = t(&one.up_to(*most), &other.up_to(*most));
    if cropped.abs() > whole.abs() {
        cropped
    } else {
        whole
    }
}

fn t(one: &Sample, other: &Sample) -> f64 {
    let error = |sample: &Sample| sample.variance() / sample.count().max(1) as f64;
    let error = (error(one) + error(other)).sqrt();
    if error == 0.0 {
        return 0.0;
    }
    (one.mean() - other.mean()) / error
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    use super::*;

    fn times(seed: u64, shift: f64) -> Sample {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut sample = Sample::default();
        for number in 0..5000 {
            let rare = if number % 100 == 0 { 10_000.0 } else { 0.0 };
            sample.record(100.0 + 20.0 * random.random::<f64>() + rare + shift);
        }
        sample
    }

    #[test]
    fn two_samples_of_one_kind_are_not_told_apart() {
        assert!(welch(&times(1, 0.0), &times(2, 0.0)).abs() < 4.5);
    }

    #[test]
    fn one_percent_more_is_seen_behind_times_a_hundred_times_as_long() {
        let t = welch(&times(1, 1.0), &times(2, 0.0));
        assert!(t > 4.5, "{t}");
        assert!(t_of_all_hides_it(), "the long times would not matter");
    }

    fn t_of_all_hides_it() -> bool {
        t(&times(1, 1.0), &times(2, 0.0)).abs() < 4.5
    }

    #[test]
    fn t_is_the_one_of_the_textbook() {
        let sample = |values: &[f64]| Sample(values.to_vec());
        let t = t(&sample(&[1.0, 2.0, 3.0]), &sample(&[2.0, 4.0, 6.0]));
        // Means 2 and 4, variances 1 and 4: -2 / sqrt(5 / 3).
        assert!((t + 1.549_193).abs() < 1e-5, "{t}");
    }
}
