//! The loss sandbox: what the chosen settings do to a pair, over its margin.

use train::objective::Objective;

use super::series::Series;

/// How finely the curves are drawn.
const POINTS: usize = 161;

/// Loss and push of one certain pair over its margin.
#[derive(Debug, Clone)]
pub struct Curves {
    pub loss: Series,
    pub push: Series,
    /// The margins between which a pair is pulled noticeably; absent when nothing ever sleeps.
    pub awake: Option<(f64, f64)>,
    /// IPO's target margin.
    pub target: Option<f64>,
}

impl Curves {
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

/// One plain sentence: what the method does with a pair.
pub fn in_words(objective: &Objective) -> &'static str {
    match objective {
        Objective::Mpo { .. } => {
            "Pulls most on pairs that are undecided, and lets go of pairs that are won and of pairs that look like wrong labels"
        }
        Objective::Dpo { .. } => {
            "Pulls on every pair until it is won by a wide gap; a pair that stays lost is pulled hardest"
        }
        Objective::Ipo { .. } => "Pulls every margin to one target and back again when it overshoots",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Margin;
    use train::objective::Smoothing;

    #[test]
    fn mpo_is_awake_around_zero_and_sleeps_on_both_sides() {
        let curves = Curves::of(&Objective::Mpo { beta: 0.5, margin: Margin::AnchoredSum }).unwrap();
        let (low, high) = curves.awake.unwrap();
        assert!(low < 0.0 && high > 0.0 && high < 16.0);
        let top = curves.push.nearest(0.0).unwrap()[1];
        assert!(curves.push.points().iter().all(|p| p[1] <= top));
    }

    #[test]
    fn constants_that_make_no_sense_have_no_curves() {
        for beta in [0.0, -1.0, f64::NAN] {
            let margin = Margin::Sum;
            assert!(Curves::of(&Objective::Mpo { beta, margin }).is_none());
        }
    }

    #[test]
    fn dpo_sleeps_only_when_won() {
        let curves =
            Curves::of(&Objective::Dpo { beta: 0.1, margin: Margin::AnchoredSum, smoothing: Smoothing::None }).unwrap();
        let (low, _) = curves.awake.unwrap();
        assert_eq!(low, -80.0);
    }

    #[test]
    fn ipo_has_its_lowest_loss_at_the_target() {
        let curves = Curves::of(&Objective::Ipo { tau: 0.1, beta: 0.1, margin: Margin::AnchoredMean }).unwrap();
        assert_eq!(curves.target, Some(5.0));
        assert_eq!(curves.loss.nearest(5.0), Some([5.0, 0.0]));
    }
}
