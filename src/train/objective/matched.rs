//! Methods made comparable: constants under which the first gradient of each is as long as the other's.
//!
//! An anchored margin is 0 for every pair at step 0, so every pair has the same push there (MPO β/4, DPO β/2, IPO 1/τ)
//! and the gradient of the preference loss is that push times a mean of ∇m that no method has a say in. Equal pushes
//! are equal gradients.

use data::config::{Method, Negatives, ObjectiveConfig, RunConfig};

use super::{Objective, PairLogProbs};

impl Objective {
    /// What a certain pair is pushed with before the first step; absent for reference-free margins, which start
    /// anywhere.
    pub fn first_push(&self) -> Option<f64> {
        let pair = PairLogProbs {
            policy_chosen: 0.0,
            policy_rejected: 0.0,
            reference_chosen: 0.0,
            reference_rejected: 0.0,
            chosen_tokens: 1.0,
            rejected_tokens: 1.0,
            certainty: 1.0,
            reward: 1.0,
            behaviour: 1.0,
        };
        self.margin().is_anchored().then(|| self.evaluate(&pair).push).filter(|push| *push > 0.0)
    }
}

/// The settings with the constant of their own method under which a pair is first pushed as much as this.
fn with_first_push(config: &ObjectiveConfig, push: f64) -> Option<ObjectiveConfig> {
    let objective = Objective::of(config);
    let now = objective.first_push()?;
    let mut matched = config.clone();
    objective.method().rescale(&mut matched, now, push);
    Some(matched)
}

/// Gives all runs the first gradient of the first one, as far as their margins are anchored. Says what was set, a
/// sentence a run.
pub fn match_first_gradient(configs: &mut [RunConfig]) -> Vec<String> {
    let Some((first, others)) = configs.split_first_mut() else {
        return Vec::new();
    };
    let name = super::name(&first.objective);
    let learns_from_pairs = |config: &ObjectiveConfig| Method::PREFERENCE.contains(&config.kind);
    if !learns_from_pairs(&first.objective) {
        return vec![format!(
            "Nothing is matched to {name}: its first gradient hangs on what it samples, or on scores"
        )];
    }
    if first.objective.negatives != Negatives::First {
        return vec![format!(
            "Nothing is matched to {name}: against several rejected answers its first gradient hangs on how many each pair has"
        )];
    }
    let Some(push) = Objective::of(&first.objective).first_push() else {
        return vec![format!(
            "Nothing is matched to {name}: its margin has no anchor, so its first gradient hangs on the pairs"
        )];
    };
    let mut said = Vec::new();
    for config in others.iter_mut().filter(|config| learns_from_pairs(&config.objective)) {
        if config.objective.negatives != Negatives::First {
            let method = Objective::of(&config.objective).name();
            said.push(format!(
                "{method} stays as it is: against several rejected answers its first gradient hangs on how many each pair has"
            ));
        } else if config.objective.margin() != first.objective.margin() {
            let method = Objective::of(&config.objective).name();
            said.push(format!(
                "{method} stays as it is: another margin than that of {name} has another gradient; set objective.margin to match them"
            ));
        } else if let Some(matched) = with_first_push(&config.objective, push) {
            config.objective = matched;
            let objective = Objective::of(&config.objective);
            let ((letter, _, value), method) = (objective.constant(), objective.name());
            said.push(format!(
                "{method} takes {letter} {}: its first gradient is as long as that of {name}",
                short(value)
            ));
        }
    }
    said
}

fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::config::Margin;

    fn config(kind: Method, beta: f64, tau: f64) -> RunConfig {
        let mut config = RunConfig::default();
        let margin = Some(Margin::AnchoredSum);
        config.objective = ObjectiveConfig { kind, beta, tau, margin, ..config.objective };
        config
    }

    #[test]
    fn the_first_push_is_that_of_theory() {
        let push = |kind, beta, tau| Objective::of(&config(kind, beta, tau).objective).first_push().unwrap();
        assert!((push(Method::Mpo, 0.8, 0.1) - 0.2).abs() < 1e-12);
        assert!((push(Method::Dpo, 0.8, 0.1) - 0.4).abs() < 1e-12);
        assert!((push(Method::Ipo, 0.8, 0.1) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn matched_methods_push_alike_and_say_so() {
        let mut configs =
            [config(Method::Mpo, 1.0, 0.25), config(Method::Dpo, 1.0, 0.25), config(Method::Ipo, 1.0, 0.25)];
        let said = match_first_gradient(&mut configs);
        assert_eq!((configs[1].objective.beta, configs[2].objective.tau), (0.5, 4.0));
        assert!(said[0].contains("β 0.5") && said[1].contains("τ 4"), "{said:?}");
        for config in &configs {
            assert!((Objective::of(&config.objective).first_push().unwrap() - 0.25).abs() < 1e-12);
        }
        configs[1].objective.negatives = Negatives::All;
        let said = match_first_gradient(&mut configs);
        assert!(said[0].contains("how many each pair has") && said[1].contains("τ 4"), "{said:?}");
        configs[1].objective.negatives = Negatives::First;
        configs[0].objective.margin = Some(Margin::AnchoredMean);
        let said = match_first_gradient(&mut configs);
        assert!(said.iter().all(|said| said.contains("stays as it is")), "{said:?}");
        configs[0].objective.margin = Some(Margin::Sum);
        let said = match_first_gradient(&mut configs);
        assert!(said.len() == 1 && said[0].contains("no anchor"), "{said:?}");
    }
}
