//! All that a config asks for, in symbols and by its name.

use data::config::{Method, Negatives, ObjectiveConfig, TokenWeights};

use super::Objective;

/// The whole loss with the terms that are switched on, then the margin, e.g. "L = −σ(β·m) + 0.3·L_ref,  m = …".
pub fn formula(config: &ObjectiveConfig) -> String {
    let (own, what) = formula_parts(config);
    let terms = terms(config).map(|(weight, [symbol, _])| format!(" + {weight}·{symbol}"));
    format!("{own}{},  {what}", terms.collect::<String>())
}

/// The method's own loss without the other terms, and what its symbols are.
pub fn formula_parts(config: &ObjectiveConfig) -> (&'static str, String) {
    let objective = Objective::of(config);
    let (own, what) = match config.kind {
        Method::Reward => (REWARD, "r = w·n(last token)"),
        Method::Ppo => (PPO, "A = Σ (γλ)^k·(r + γ·V(next) − V),  r = −β·KL, and the score at the end"),
        Method::Rloo => (RLOO, "A = R − mean R of the prompt's other answers,  R = score − β·KL"),
        Method::Grpo => (GRPO, "A = (score − mean)/std of the prompt's answers"),
        Method::Mpo | Method::Dpo | Method::Ipo => {
            let own = match config.negatives {
                Negatives::First => objective.loss_formula(),
                Negatives::All | Negatives::Diverse => objective.several_formula(),
            };
            return (own, format!("{}{}", objective.margin().formula(), weighed(config)));
        }
    };
    (own, what.to_owned())
}

/// What of all is trained on, in words; nothing of a reward model, which has no other terms.
pub fn total(config: &ObjectiveConfig) -> Option<String> {
    if config.kind == Method::Reward {
        return None;
    }
    let terms: Vec<String> =
        terms(config).map(|(weight, [_, words])| format!("{} × {words}", data::number(weight))).collect();
    Some(if terms.is_empty() {
        "Trained on L alone: λ ref and λ pre are 0".to_owned()
    } else {
        format!("Trained on L + {}", terms.join(" + "))
    })
}

/// The other terms that are switched on: weight, symbol, and words.
fn terms(config: &ObjectiveConfig) -> impl Iterator<Item = (f64, [&'static str; 2])> {
    let terms = [
        (config.reference_weight(), ["L_ref", "the loss on reference answers"]),
        (config.retention_weight(), ["L_pre", "the loss on retention text"]),
    ];
    terms.into_iter().filter(|(weight, _)| *weight != 0.0 && config.kind != Method::Reward)
}

/// What the run is called where nobody names it: the method with its variant.
pub fn name(config: &ObjectiveConfig) -> String {
    match config.kind {
        Method::Reward => "Reward model".to_owned(),
        Method::Ppo => "PPO".to_owned(),
        Method::Rloo => "RLOO".to_owned(),
        Method::Grpo => "GRPO".to_owned(),
        _ => {
            let by = match config.token_weights {
                TokenWeights::None => String::new(),
                weights => format!("{}-", weights.name().to_uppercase()),
            };
            format!("{by}{}", Objective::of(config).name())
        }
    }
}

/// What s is where tokens have weights of their own.
fn weighed(config: &ObjectiveConfig) -> &'static str {
    if config.token_weights == TokenWeights::None { "" } else { ",  s = Σ ω·log π" }
}

const REWARD: &str = "L = −log σ(r(w) − r(l)) + κ·(r(w) + r(l))²";
const PPO: &str = "L = −min(ρ·A, clip(ρ, 1 ± ε)·A) a token + c·½(V − R)²";
const RLOO: &str = "L = −min(ρ·A, clip(ρ, 1 ± ε)·A) an answer";
const GRPO: &str = "L = −min(ρ·A, clip(ρ, 1 ± ε)·A) a token + β·k3";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_names_the_terms_that_are_on() {
        let mut config = ObjectiveConfig::default();
        assert!(formula(&config).starts_with("L = −σ(β·m) + 0.3·L_ref,  m = "));
        config.reference_weight = Some(0.0);
        config.retention_weight = Some(0.5);
        assert!(formula(&config).starts_with("L = −σ(β·m) + 0.5·L_pre,  m = "));
        config.negatives = Negatives::All;
        assert!(formula(&config).starts_with("L = −1/(1 + Σᵢ exp(−β·mᵢ)) + 0.5·L_pre,  m = "));
        config.token_weights = TokenWeights::Tis;
        assert!(formula(&config).ends_with(",  s = Σ ω·log π"));
        assert_eq!(name(&config), "TIS-MPO anchored-sum");
        // A reward model has no other terms, whatever their weights.
        config.kind = Method::Reward;
        assert_eq!(formula(&config), format!("{REWARD},  r = w·n(last token)"));
    }

    #[test]
    fn what_is_trained_on_is_said_for_every_choice_of_terms() {
        let said = |kind, reference_weight, retention_weight| {
            let weights = [reference_weight, retention_weight].map(Some);
            total(&ObjectiveConfig {
                kind,
                reference_weight: weights[0],
                retention_weight: weights[1],
                ..ObjectiveConfig::default()
            })
        };
        for kind in [Method::Mpo, Method::Dpo, Method::Ipo, Method::Ppo, Method::Rloo, Method::Grpo] {
            let sentences = [(0.0, 0.0), (0.3, 0.0), (0.0, 0.5), (0.3, 0.5)].map(|(one, other)| said(kind, one, other));
            assert_eq!(
                sentences.each_ref().map(Option::as_deref),
                [
                    Some("Trained on L alone: λ ref and λ pre are 0"),
                    Some("Trained on L + 0.3 × the loss on reference answers"),
                    Some("Trained on L + 0.5 × the loss on retention text"),
                    Some("Trained on L + 0.3 × the loss on reference answers + 0.5 × the loss on retention text"),
                ]
            );
            // L is the method's own loss, in which the other terms are not once more.
            let config = ObjectiveConfig { kind, reference_weight: Some(0.3), ..ObjectiveConfig::default() };
            assert!(!formula_parts(&config).0.contains("L_ref") && formula(&config).contains(" + 0.3·L_ref,  "));
        }
        assert_eq!(said(Method::Reward, 0.3, 0.0), None);
    }
}
