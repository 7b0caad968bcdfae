//! The objectives in symbols and in words, as the launch sheet shows them.

use super::Objective;

impl Objective {
    /// The loss of one certain, unweighted pair in symbols.
    pub fn loss_formula(&self) -> &'static str {
        self.method().loss_formula()
    }

    /// The same against several rejected answers, mᵢ being the margin to each.
    pub fn several_formula(&self) -> &'static str {
        self.method().several_formula()
    }

    /// What a pair pulls with, |∂L/∂m|, in symbols.
    pub fn push_formula(&self) -> &'static str {
        self.method().push_formula()
    }

    /// The method's name with its variant, never ambiguous: "MPO anchored-sum", "DPO anchored-mean (robust)", "IPO sum
    /// (paper)".
    pub fn name(&self) -> String {
        self.method().name()
    }

    /// One plain sentence: what the method does with a pair.
    pub fn in_words(&self) -> &'static str {
        self.method().in_words()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::evaluate::tests::every_objective, *};

    #[test]
    fn every_objective_names_its_own_constants_and_no_two_look_alike() {
        let all = every_objective();
        let formula =
            |objective: &Objective| format!("{},  {}", objective.loss_formula(), objective.margin().formula());
        for objective in &all {
            let formula = formula(objective);
            match objective {
                Objective::Mpo(_) => assert!(formula.contains("−σ(β·m)")),
                Objective::Dpo(_) => assert!(formula.contains("log σ(β·m)")),
                Objective::Ipo(_) => assert!(formula.contains('τ')),
            }
            assert_eq!(formula.contains("step 0"), objective.margin().is_anchored(), "{formula}");
            assert_eq!(formula.contains("|w|"), objective.margin().is_mean());
        }
        for (i, one) in all.iter().enumerate() {
            for other in &all[i + 1..] {
                assert_ne!(formula(one), formula(other));
                assert_ne!(one.name(), other.name());
            }
        }
    }
}
