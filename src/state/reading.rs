//! The step that is read: charts, answers and the tokens of a pair share it, wherever it was chosen.

/// What each of these places shows; absent where it shows the newest, or nothing of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Steps {
    /// The charts of a run, and of the compared ones.
    pub train: Option<u64>,
    pub compare: Option<u64>,
    pub answers: Option<u64>,
    /// Of the weights that tokens are coloured by, 0 = what runs start from.
    pub tokens: Option<u64>,
}

/// Follows whichever of the places has moved.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// As they were last; absent before the first look.
    seen: Option<Steps>,
}

impl Reading {
    /// The step that one of them has moved to, for the others to follow. What they show then is told by
    /// [`Self::settle`].
    pub fn moved(&mut self, now: Steps) -> Option<Option<u64>> {
        let before = self.seen.replace(now)?;
        let places = |of: Steps| [of.train, of.compare, of.answers, of.tokens];
        let pairs = places(before).into_iter().zip(places(now));
        pairs.into_iter().find(|(before, now)| before != now).map(|(_, now)| now)
    }

    /// All of them have followed.
    pub fn settle(&mut self, now: Steps) {
        self.seen = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_place_moves_leads_the_others_and_nobody_follows_back() {
        let mut reading = Reading::default();
        let start = Steps { tokens: Some(0), ..Steps::default() };
        assert_eq!(reading.moved(start), None, "what is there at first has not moved");
        let led = Steps { compare: Some(40), ..start };
        assert_eq!(reading.moved(led), Some(Some(40)));
        // Answers and checkpoints exist at some steps only.
        reading.settle(Steps { train: Some(40), answers: Some(40), tokens: Some(30), ..led });
        let followed = Steps { train: Some(40), answers: Some(40), tokens: Some(30), ..led };
        assert_eq!(reading.moved(followed), None);
        assert_eq!(reading.moved(Steps { answers: Some(60), ..followed }), Some(Some(60)));
        assert_eq!(reading.moved(Steps { answers: None, ..followed }), Some(None), "the newest again");
    }
}
