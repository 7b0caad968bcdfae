//! The loss sandbox: what the chosen settings do to a pair, over its margin.

use data::config::Method;
use store::PairScores;
use train::objective::{Objective, Standing};

use super::series::Series;

/// How finely the curves are drawn.
const POINTS: usize = 161;

/// Loss and push of one certain pair over its margin.
#[derive(Debug, Clone)]
pub struct LossAndPush {
    pub loss: Series,
    pub push: Series,
    /// The margins between which a pair is pulled noticeably; absent when nothing ever sleeps.
    pub awake: Option<(f64, f64)>,
    /// IPO's target margin.
    pub target: Option<f64>,
}

impl LossAndPush {
    /// How far they go to either side of margin 0.
    pub fn reach(&self) -> f64 {
        self.loss.last_step().unwrap_or(0.0)
    }

    /// Absent when the constants make no sense, e.g. β of zero.
    pub fn of(objective: &Objective) -> Option<Self> {
        objective.validate().ok()?;
        let reach = match objective.target_margin() {
            Some(target) => 2.0 * target,
            None => 8.0 / objective.beta(),
        };
        let margins = (0..POINTS).map(|i| reach * (2.0 * i as f64 / (POINTS - 1) as f64 - 1.0));
        let over =
            |value: &dyn Fn(f64) -> f64| Series::from_points(margins.clone().map(|margin| [margin, value(margin)]));
        let awake: Vec<f64> = margins.clone().filter(|margin| !objective.asleep_at(*margin)).collect();
        let sleeps = awake.len() < POINTS;
        Some(Self {
            loss: over(&|margin| objective.loss_at(margin)),
            push: over(&|margin| objective.push_at(margin)),
            awake: match (awake.first(), awake.last()) {
                (Some(low), Some(high)) if sleeps => Some((*low, *high)),
                _ => None,
            },
            target: objective.target_margin(),
        })
    }
}

/// Pairs on the curves: each where its margin puts it now.
#[derive(Debug, Clone, Default)]
pub struct Dots {
    pub loss: Vec<[f64; 2]>,
    pub push: Vec<[f64; 2]>,
    /// Those that lie further out than the curves go; they stand at the edge.
    pub beyond: usize,
}

impl Dots {
    /// `reach`: how far the curves go to either side of 0.
    pub fn of(objective: &Objective, sample: &[PairScores], reach: f64) -> Self {
        let mut dots = Self::default();
        for scores in sample {
            let Some(standing) = Standing::of(objective, scores) else { continue };
            let margin = standing.margin.clamp(-reach, reach);
            dots.beyond += usize::from(margin != standing.margin);
            dots.loss.push([margin, objective.loss_at(margin)]);
            dots.push.push([margin, objective.push_at(margin)]);
        }
        dots
    }

    /// How many they are and what they stand for. `of`: pairs with a better answer that have scores.
    pub fn in_words(&self, of: usize, whose: &str) -> String {
        let shown = self.loss.len();
        let spread = if shown < of { format!("{shown} of {of} pairs, evenly spread,") } else { format!("{of} pairs") };
        let beyond = match self.beyond {
            0 => String::new(),
            some => format!("; {some} lie beyond the edges"),
        };
        format!("Dots: {spread} under {whose}{beyond}")
    }
}

/// A method whose loss is no curve over a pair's margin, in sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InWords {
    /// What it does, in a sentence.
    pub what: &'static str,
    /// What a step costs beside one of MPO, with the forwards that a token takes.
    pub cost: &'static str,
}

impl InWords {
    /// Absent for those that [`LossAndPush`] speak of.
    pub fn of(method: Method) -> Option<Self> {
        Some(match method {
            Method::Reward => Self {
                what: "Learns to score answers, so that the chosen one of a pair scores higher; it writes nothing itself",
                cost: "About 2 forwards a token, its backward counted as one: a step costs what a step of MPO costs, less the vocabulary",
            },
            Method::Ppo => Self {
                what: "Writes answers, has them scored, and makes the tokens likelier that did better than a critic expected",
                cost: "About 13 forwards a token where MPO takes 2: every answer is written first, read by four models, and gone over twice by two that learn, policy and critic",
            },
            Method::Rloo => Self {
                what: "Writes several answers to a prompt, has them scored, and makes those likelier that beat the others",
                cost: "About 6 forwards a token where MPO takes 2: every answer is written first, read by policy, reference and reward model, and learnt from once",
            },
            Method::Grpo => Self {
                what: "As RLOO, in standard deviations of a prompt's scores, token by token, with the KL in the loss",
                cost: "About 6 forwards a token where MPO takes 2: every answer is written first, read by policy, reference and reward model, and learnt from once",
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{PairId, config::Margin};
    use store::{Score, VerdictState};
    use train::objective::{Dpo, Ipo, Mpo, Smoothing};

    #[test]
    fn mpo_is_awake_around_zero_and_sleeps_on_both_sides() {
        let curves = LossAndPush::of(&Objective::Mpo(Mpo { beta: 0.5, margin: Margin::AnchoredSum })).unwrap();
        let (low, high) = curves.awake.unwrap();
        assert!(low < 0.0 && high > 0.0 && high < 16.0);
        let top = curves.push.nearest(0.0).unwrap()[1];
        assert!(curves.push.points().iter().all(|p| p[1] <= top));
    }

    #[test]
    fn constants_that_make_no_sense_have_no_curves() {
        for beta in [0.0, -1.0, f64::NAN] {
            let margin = Margin::Sum;
            assert!(LossAndPush::of(&Objective::Mpo(Mpo { beta, margin })).is_none());
        }
    }

    #[test]
    fn pairs_move_along_the_curves_with_beta() {
        let score = |log_prob| Score { log_prob, tokens: 2 };
        let pair = |margin: f64| PairScores {
            pair: PairId(1),
            state: VerdictState::Better,
            certainty: Some(1.0),
            reward: 1.0,
            behaviour: 1.0,
            chosen: score(margin - 9.0),
            rejected: score(-9.0),
            start: Some([-9.0, -9.0]),
        };
        let sample = [pair(0.0), pair(4.0), pair(-500.0)];
        let dots = |beta| {
            let objective = Objective::Mpo(Mpo { beta, margin: Margin::AnchoredSum });
            Dots::of(&objective, &sample, LossAndPush::of(&objective).unwrap().reach())
        };
        let (weak, strong) = (dots(0.1), dots(1.0));
        assert_eq!((weak.loss[0], strong.loss[0]), ([0.0, -0.5], [0.0, -0.5]));
        assert!(weak.loss[1][1] > strong.loss[1][1], "won more surely");
        assert_eq!((weak.beyond, strong.beyond, strong.push[2][0]), (1, 1, -8.0));
        assert_eq!(
            weak.in_words(9, "Start model"),
            "Dots: 3 of 9 pairs, evenly spread, under Start model; 1 lie beyond the edges"
        );
    }

    #[test]
    fn dpo_sleeps_only_when_won() {
        let curves = LossAndPush::of(&Objective::Dpo(Dpo {
            beta: 0.1,
            margin: Margin::AnchoredSum,
            smoothing: Smoothing::None,
        }))
        .unwrap();
        let (low, _) = curves.awake.unwrap();
        assert_eq!(low, -80.0);
    }

    #[test]
    fn ipo_has_its_lowest_loss_at_the_target() {
        let curves =
            LossAndPush::of(&Objective::Ipo(Ipo { tau: 0.1, beta: 0.1, margin: Margin::AnchoredMean })).unwrap();
        assert_eq!(curves.target, Some(5.0));
        assert_eq!(curves.loss.nearest(5.0), Some([5.0, 0.0]));
    }
}
