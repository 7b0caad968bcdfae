//! The checkpoints of runs that are on the disk.

use std::collections::BTreeMap;

use store::RunId;

/// So many of the newest are named.
const NAMED: usize = 4;

/// The checkpoints of all runs.
pub type CheckpointsByRun = BTreeMap<RunId, Checkpoints>;

/// Those of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoints {
    /// Ascending.
    pub steps: Vec<u64>,
    /// Those of them that somebody asked for: later ones do not take their place.
    pub asked_for: Vec<u64>,
}

impl Checkpoints {
    /// "checkpoints of steps 320 (kept, as asked), 400 and 500": the newest few.
    pub fn in_words(&self) -> Option<String> {
        let word = |step: &u64| {
            let asked = self.asked_for.contains(step);
            if asked { format!("{step} (kept, as asked)") } else { step.to_string() }
        };
        let named: Vec<String> = self.steps[self.steps.len().saturating_sub(NAMED)..].iter().map(word).collect();
        let earlier = self.steps.len() - named.len();
        let more = if earlier > 0 { format!(", and {earlier} earlier") } else { String::new() };
        match &named[..] {
            [] => None,
            [only] => Some(format!("checkpoint of step {only}")),
            [some @ .., last] => Some(format!("checkpoints of steps {} and {last}{more}", some.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g4_a_checkpoint_that_was_asked_for_is_shown_as_kept() {
        for (steps, expected) in [
            (&[][..], None),
            (&[500], Some("checkpoint of step 500")),
            (&[320], Some("checkpoint of step 320 (kept, as asked)")),
            (&[320, 400, 500], Some("checkpoints of steps 320 (kept, as asked), 400 and 500")),
            (&[1, 2, 3, 4, 5, 6], Some("checkpoints of steps 3, 4, 5 and 6, and 2 earlier")),
        ] {
            let saved = Checkpoints { steps: steps.to_vec(), asked_for: vec![320] };
            assert_eq!(saved.in_words().as_deref(), expected);
        }
    }
}
