//! The objectives in symbols, as the launch sheet shows them.

use data::config::Margin;

use super::{Objective, Smoothing};

impl Objective {
    /// The loss of one pair in symbols, then its margin, e.g. "L = −σ(β·m),  m = s(w) − s(l)".
    pub fn formula(&self) -> String {
        format!("{},  {}", self.loss_formula(), self.margin().formula())
    }

    /// The loss of one certain, unweighted pair in symbols.
    pub fn loss_formula(&self) -> &'static str {
        match self {
            Self::Mpo { .. } => "L = −σ(β·m)",
            Self::Dpo { smoothing, .. } => match smoothing {
                Smoothing::None => "L = −log σ(β·m)",
                Smoothing::Conservative(_) => "L = −(1−ε)·log σ(β·m) − ε·log σ(−β·m)",
                Smoothing::Robust(_) => "L = [−(1−ε)·log σ(β·m) + ε·log σ(−β·m)] / (1−2ε)",
            },
            Self::Ipo { .. } => "L = (m − 1/(2τ))²",
        }
    }

    /// The same against several rejected answers, mᵢ being the margin to each.
    pub fn several_formula(&self) -> &'static str {
        match self {
            Self::Mpo { .. } => "L = −1/(1 + Σᵢ exp(−β·mᵢ))",
            Self::Dpo { smoothing: Smoothing::None, .. } => "L = log(1 + Σᵢ exp(−β·mᵢ))",
            Self::Dpo { .. } => "L = log(1 + Σᵢ exp(−β·mᵢ)), smoothed",
            Self::Ipo { .. } => self.loss_formula(),
        }
    }

    /// What a pair pulls with, |∂L/∂m|, in symbols.
    pub fn push_formula(&self) -> &'static str {
        match self {
            Self::Mpo { .. } => "push = β·σ(β·m)·σ(−β·m)",
            Self::Dpo { smoothing, .. } => match smoothing {
                Smoothing::None => "push = β·σ(−β·m)",
                Smoothing::Conservative(_) => "push = β·|σ(−β·m) − ε|",
                Smoothing::Robust(_) => "push = β·[(1−ε)·σ(−β·m) + ε·σ(β·m)] / (1−2ε)",
            },
            Self::Ipo { .. } => "push = 2·|m − 1/(2τ)|",
        }
    }

    /// The method's name with its variant, never ambiguous: "MPO anchored-sum", "DPO anchored-mean (robust)", "IPO sum (paper)".
    pub fn name(&self) -> String {
        let margin = self.margin();
        match self {
            Self::Mpo { .. } => format!("MPO {}", margin.name()),
            Self::Dpo { smoothing, .. } => match smoothing {
                Smoothing::None => format!("DPO {}", margin.name()),
                Smoothing::Conservative(_) => format!("DPO {} (conservative)", margin.name()),
                Smoothing::Robust(_) => format!("DPO {} (robust)", margin.name()),
            },
            Self::Ipo { .. } => match margin {
                Margin::AnchoredSum => "IPO sum (paper)".to_owned(),
                Margin::AnchoredMean => "IPO mean (per token)".to_owned(),
                Margin::Sum | Margin::Mean => format!("IPO {}", margin.name()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::evaluate::tests::every_objective, *};

    #[test]
    fn every_objective_names_its_own_constants_and_no_two_look_alike() {
        let all = every_objective();
        for objective in &all {
            let formula = objective.formula();
            match objective {
                Objective::Mpo { .. } => assert!(formula.contains("−σ(β·m)")),
                Objective::Dpo { .. } => assert!(formula.contains("log σ(β·m)")),
                Objective::Ipo { .. } => assert!(formula.contains('τ')),
            }
            assert_eq!(formula.contains("step 0"), objective.margin().is_anchored(), "{formula}");
            assert_eq!(formula.contains("|w|"), objective.margin().is_mean());
        }
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(one.formula(), other.formula());
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
