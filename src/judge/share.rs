//! A share and its 95 % interval.

/// Two-sided 95 % of the normal distribution.
pub(super) const Z: f64 = 1.959_963_984_540_054;

/// How many answers counted, and between what the true share lies, 19 times of 20.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub counted: usize,
    pub of: usize,
    /// Wilson's score interval, both ends in [0, 1].
    pub low: f64,
    pub high: f64,
}

impl Share {
    /// From each prompt's answers, as (counted, answers); none without any answer.
    ///
    /// Several answers to one prompt say less than as many answers to as many prompts, as they tend to agree. The
    /// interval is that of the number of independent answers with the same variance: between the number of prompts and
    /// the number of answers, by how much the prompts differ.
    pub fn of(prompts: &[(usize, usize)]) -> Option<Self> {
        let counted: usize = prompts.iter().map(|(counted, _)| counted).sum();
        let of: usize = prompts.iter().map(|(_, of)| of).sum();
        if of == 0 {
            return None;
        }
        let asked = prompts.iter().filter(|(_, of)| *of > 0).count() as f64;
        let (share, answers) = (counted as f64 / of as f64, of as f64);
        let of_prompts: f64 = prompts.iter().map(|&(k, m)| (k as f64 - share * m as f64).powi(2)).sum();
        // Where all answers say the same, there is nothing to see of how prompts differ.
        let independent = if counted == 0 || counted == of {
            asked
        } else {
            (answers * answers * share * (1.0 - share) / of_prompts).clamp(asked, answers)
        };
        let (low, high) = wilson(share, independent, Z);
        Some(Self { counted, of, low, high })
    }

    /// From independent answers; none without any.
    pub fn of_independent(counted: usize, of: usize) -> Option<Self> {
        let n = of as f64;
        (of > 0).then(|| wilson(counted as f64 / n, n, Z)).map(|(low, high)| Self { counted, of, low, high })
    }

    pub fn share(self) -> f64 {
        self.counted as f64 / self.of as f64
    }
}

/// Wilson's score interval of a share seen in `n` independent draws; `z` standard deviations to each side.
pub(super) fn wilson(share: f64, n: f64, z: f64) -> (f64, f64) {
    let squared = z * z;
    let middle = (share + squared / (2.0 * n)) / (1.0 + squared / n);
    let half = z / (1.0 + squared / n) * (share * (1.0 - share) / n + squared / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0).min(share), (middle + half).min(1.0).max(share))
}
