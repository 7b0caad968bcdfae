//! What an objective means when the config leaves it open: margin and weights.

use super::{Margin, Method, Negatives, ObjectiveConfig, Setting};

impl ObjectiveConfig {
    /// The margin asked for, or the method's own.
    pub fn margin(&self) -> Margin {
        self.margin.unwrap_or(self.kind.own_margin())
    }

    /// λ_ref asked for, or the method's own.
    pub fn reference_weight(&self) -> f64 {
        self.reference_weight.unwrap_or(self.kind.own_reference_weight())
    }

    /// λ_pre; 0 unless asked for.
    pub fn retention_weight(&self) -> f64 {
        self.retention_weight.unwrap_or(0.0)
    }

    /// What is set here and another method cannot take: there its own default counts. All else that is set counts for
    /// every method, so that methods are compared with the rest alike.
    pub fn not_for(&self, method: Method) -> Vec<Setting> {
        let margin = self.margin.is_some_and(|margin| !method.takes(margin)).then_some(Self::MARGIN);
        let negatives = !method.takes_several() && self.negatives != Negatives::First;
        margin.into_iter().chain(negatives.then_some(Self::NEGATIVES)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn each_method_has_its_own_defaults() {
        let of = |kind| ObjectiveConfig { kind, ..ObjectiveConfig::default() };
        assert_eq!(of(Method::Mpo).margin(), Margin::AnchoredSum);
        assert_eq!(of(Method::Ipo).margin(), Margin::AnchoredMean);
        assert_eq!(of(Method::Mpo).reference_weight(), 0.3);
        assert_eq!(of(Method::Dpo).reference_weight(), 0.0);
    }

    #[test]
    fn another_method_takes_what_it_can() {
        let set = |margin, negatives| ObjectiveConfig { margin: Some(margin), negatives, ..ObjectiveConfig::default() };
        let lacking = |objective: &ObjectiveConfig, method| {
            objective.not_for(method).iter().map(|setting| setting.key).collect::<Vec<_>>()
        };
        let pinned = set(Margin::AnchoredSum, Negatives::First);
        assert!(Method::ALL.into_iter().all(|method| lacking(&pinned, method).is_empty()), "IPO has another default");
        let own = set(Margin::Mean, Negatives::All);
        assert_eq!(lacking(&own, Method::Dpo), [ObjectiveConfig::MARGIN.key]);
        assert_eq!(lacking(&own, Method::Ipo), [ObjectiveConfig::MARGIN.key, ObjectiveConfig::NEGATIVES.key]);
        assert_eq!(lacking(&own, Method::Mpo), [""; 0]);
    }
}
