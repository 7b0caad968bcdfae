//! How long a run took, for who waited for it.

use std::time::Duration;

use data::duration;

/// What this program did of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ran {
    /// The step it went on from, 0 for its beginning.
    pub resumed_at: u64,
    /// From its start to its end, everything included.
    pub wall: Duration,
    /// What its evaluations took of it, in seconds.
    pub evaluating: f64,
}

impl Ran {
    /// "in 39 s (steps 12 s, evaluations 24 s)"; `times`: what the steps of the whole run took up to each, in ms.
    pub fn in_words(self, times: &[(u64, u64)]) -> String {
        let before = times.iter().take_while(|(step, _)| *step <= self.resumed_at).last().map_or(0, |(_, ms)| *ms);
        let steps = times.last().map_or(0, |(_, ms)| ms.saturating_sub(before)) as f64 / 1000.0;
        let wall = duration(self.wall.as_secs_f64());
        if self.evaluating < 1.0 {
            return format!("in {wall}");
        }
        format!("in {wall} (steps {}, evaluations {})", duration(steps), duration(self.evaluating))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_was_waited_for() {
        let times = [(0, 0), (1, 2_000), (2, 5_000), (3, 9_000)];
        let ran = |resumed_at, evaluating| Ran { resumed_at, wall: Duration::from_secs(39), evaluating };
        assert_eq!(ran(0, 24.2).in_words(&times), "in 39 s (steps 9 s, evaluations 24 s)");
        assert_eq!(ran(2, 24.2).in_words(&times), "in 39 s (steps 4 s, evaluations 24 s)");
        assert_eq!(ran(0, 0.2).in_words(&times), "in 39 s");
        assert_eq!(ran(0, 0.0).in_words(&[]), "in 39 s");
    }
}
