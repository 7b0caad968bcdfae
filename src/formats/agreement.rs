//! Several labellers of one record: what they say together, and how much they agree.

use ::data::{Choice, Strength};

/// What one labeller said of a record's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vote {
    /// This answer is the best.
    For(usize),
    Tie,
    BothBad,
}

/// What labellers say of two or more answers: the choice of most of them, how sure it is, and a remark where they do
/// not agree. Without a vote there is no choice.
pub fn decide(votes: &[Vote], answers: usize) -> (Option<Choice>, Option<String>) {
    let mut counts: Vec<(Vote, usize)> = Vec::new();
    for vote in votes {
        match counts.iter_mut().find(|(known, _)| known == vote) {
            Some((_, count)) => *count += 1,
            None => counts.push((*vote, 1)),
        }
    }
    counts.sort_by(|(one, a), (other, b)| b.cmp(a).then(one.cmp(other)));
    let remark = |what: &str| Some(format!("{} labellers do not agree: {what}", votes.len()));
    match counts.as_slice() {
        [] => (None, None),
        [(_, first), (_, second), ..] if first == second => (Some(Choice::Tie), remark("taken as a tie")),
        [(winner, count), rest @ ..] => {
            let share = *count as f64 / votes.len() as f64;
            let choice = match *winner {
                Vote::Tie => Choice::Tie,
                Vote::BothBad => Choice::BothBad,
                Vote::For(best) => {
                    // Of several others, the one that fewest are for.
                    let votes_for = |answer: usize| {
                        counts.iter().find(|(vote, _)| *vote == Vote::For(answer)).map_or(0, |(_, count)| *count)
                    };
                    let others = (0..answers).filter(|answer| *answer != best);
                    match others.min_by_key(|answer| votes_for(*answer)) {
                        Some(rejected) => Choice::Better { chosen: best, rejected, strength: sure(share) },
                        None => return (None, None),
                    }
                }
            };
            (Some(choice), if rest.is_empty() { None } else { remark("the verdict of most counts") })
        }
    }
}

/// The strength whose certainty is nearest to a probability that the label is right.
pub fn sure(probability: f64) -> Strength {
    let far = |strength: &Strength| (strength.certainty() - probability).abs();
    let all = [Strength::Slightly, Strength::Clearly, Strength::Strongly];
    all.into_iter().min_by(|one, other| far(one).total_cmp(&far(other))).unwrap_or_default()
}

/// How much labellers agree who saw the same records.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Records that more than one of them labelled.
    pub records: u64,
    /// Of two labels of one record, how often they are the same, of 1.
    pub same: f64,
    /// Fleiss' kappa: the same beyond what chance would give, of 1. Absent where all labels say the same.
    pub kappa: Option<f64>,
}

impl Agreement {
    /// "3 labellers"-free and plain: "Of 40 records with several labels, two labels agree in 85 % (kappa 0.70)".
    pub fn sentence(&self) -> String {
        let kappa = self.kappa.map_or_else(String::new, |kappa| format!(" (kappa {kappa:.2})"));
        let records = if self.records == 1 { "1 record" } else { &format!("{} records", self.records) };
        format!("Of {records} with several labels, two labels agree in {:.0} %{kappa}", 100.0 * self.same)
    }
}

/// Votes as they are counted, record by record.
#[derive(Debug, Default)]
pub struct Tally {
    records: u64,
    /// The sum of each record's agreement.
    same: f64,
    /// Votes by what they say.
    votes: Vec<(Vote, u64)>,
}

impl Tally {
    pub fn count(&mut self, votes: &[Vote]) {
        if votes.len() < 2 {
            return;
        }
        let pairs = (votes.len() * (votes.len() - 1)) as f64;
        let same = votes.iter().enumerate().flat_map(|(at, one)| votes[at + 1..].iter().map(move |other| one == other));
        self.same += 2.0 * same.filter(|same| *same).count() as f64 / pairs;
        self.records += 1;
        for vote in votes {
            match self.votes.iter_mut().find(|(known, _)| known == vote) {
                Some((_, count)) => *count += 1,
                None => self.votes.push((*vote, 1)),
            }
        }
    }

    pub fn agreement(&self) -> Option<Agreement> {
        if self.records == 0 {
            return None;
        }
        let all: u64 = self.votes.iter().map(|(_, count)| count).sum();
        let by_chance: f64 = self.votes.iter().map(|(_, count)| (*count as f64 / all as f64).powi(2)).sum();
        let same = self.same / self.records as f64;
        let kappa = (by_chance < 1.0).then(|| (same - by_chance) / (1.0 - by_chance));
        Some(Agreement { records: self.records, same, kappa })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_decide_and_how_many_says_how_sure() {
        let better = |chosen, rejected, strength| Some(Choice::Better { chosen, rejected, strength });
        let (a, b) = (Vote::For(0), Vote::For(1));
        assert_eq!(decide(&[a], 2), (better(0, 1, Strength::Strongly), None));
        assert_eq!(decide(&[a, b, b], 2).0, better(1, 0, Strength::Slightly));
        assert_eq!(decide(&[b, b, b, b, b, b, b, b, b, a], 2).0, better(1, 0, Strength::Clearly));
        assert_eq!(decide(&[a, Vote::For(2), a], 3).0, better(0, 1, Strength::Slightly));
        let (choice, remark) = decide(&[a, b], 2);
        assert_eq!(
            (choice, remark.unwrap()),
            (Some(Choice::Tie), "2 labellers do not agree: taken as a tie".to_owned())
        );
        assert_eq!(decide(&[Vote::BothBad], 2).0, Some(Choice::BothBad));
        assert_eq!(decide(&[], 2), (None, None));
    }

    #[test]
    fn kappa_is_fleiss() {
        // Two raters, four records: they agree on three. Marginals 5 of 8 and 3 of 8.
        let (a, b) = (Vote::For(0), Vote::For(1));
        let mut tally = Tally::default();
        for votes in [[a, a], [a, a], [b, b], [a, b]] {
            tally.count(&votes);
        }
        tally.count(&[a]);
        let agreement = tally.agreement().unwrap();
        assert_eq!((agreement.records, agreement.same), (4, 0.75));
        let by_chance = (25.0 + 9.0) / 64.0;
        assert!((agreement.kappa.unwrap() - (0.75 - by_chance) / (1.0 - by_chance)).abs() < 1e-12);
        assert_eq!(Tally::default().agreement(), None);
    }
}
