//! All that a config asks for, in symbols and by its name.

use data::config::{Method, Negatives, ObjectiveConfig, TokenWeights};

use super::Objective;

/// The whole loss with the terms that are switched on, then the margin, e.g. "L = −σ(β·m) + 0.3·L_ref,  m = …".
pub fn formula(config: &ObjectiveConfig) -> String {
    let objective = Objective::of(config);
    let own = match config.kind {
        Method::Reward => return format!("{REWARD},  r = w·n(last token)"),
        Method::Ppo => PPO,
        Method::Rloo => RLOO,
        Method::Grpo => GRPO,
        _ => preference_formula(config),
    };
    let terms = [(config.reference_weight(), "L_ref"), (config.retention_weight(), "L_pre")];
    let loss = terms
        .into_iter()
        .filter(|(weight, _)| *weight != 0.0)
        .fold(own.to_owned(), |loss, (weight, term)| format!("{loss} + {weight}·{term}"));
    let what = match config.kind {
        Method::Ppo => "A = Σ (γλ)^k·(r + γ·V(next) − V),  r = −β·KL, and the score at the end",
        Method::Rloo => "A = R − mean R of the prompt's other answers,  R = score − β·KL",
        Method::Grpo => "A = (score − mean)/std of the prompt's answers",
        _ => return format!("{loss},  {}{}", objective.margin().formula(), weighed(config)),
    };
    format!("{loss},  {what}")
}

/// The loss of a pair under MPO, DPO or IPO, against one rejected answer or several.
pub fn preference_formula(config: &ObjectiveConfig) -> &'static str {
    let objective = Objective::of(config);
    match config.negatives {
        Negatives::First => objective.loss_formula(),
        Negatives::All | Negatives::Diverse => objective.several_formula(),
    }
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
    }
}
