//! What a run config must keep to, as sentences beside the fields of the launch sheet.

use super::{DeviceChoice, LoraConfig, Margin, Method, RunConfig, Targets, Threads, TokenBudget};

/// More threads than any machine that this runs on has processors.
const MOST_THREADS: usize = 1024;

/// Every fault of `config` as (field path, sentence); empty when a run may start with it.
///
/// Only what the config alone can tell: whether folders exist and fit each other is found out by loading them.
pub fn validate(config: &RunConfig) -> Vec<(String, String)> {
    let mut faults = Faults::default();
    data(config, &mut faults);
    objective(config, &mut faults);
    lora(&config.lora, &mut faults);
    if config.lora.full && config.model.continue_adapter.is_some() {
        let sentence = "model.continue_adapter names an adapter to train further, but lora.full trains all weights; keep one of the two";
        faults.add("model.continue_adapter", sentence.to_owned());
    }
    optimizer(config, &mut faults);
    train(config, &mut faults);
    faults.0
}

/// Collects sentences; every check names its field, what was found and what is allowed.
#[derive(Default)]
struct Faults(Vec<(String, String)>);

impl Faults {
    fn add(&mut self, field: &str, sentence: String) {
        self.0.push((field.to_owned(), sentence));
    }

    fn require(&mut self, field: &str, holds: bool, found: impl std::fmt::Display, allowed: &str) {
        if !holds {
            self.add(field, format!("{field} is {found}; it must be {allowed}"));
        }
    }

    fn positive(&mut self, field: &str, value: f64) {
        let holds = value.is_finite() && value > 0.0;
        self.require(field, holds, value, "a number above 0");
    }

    fn not_negative(&mut self, field: &str, value: f64) {
        let holds = value.is_finite() && value >= 0.0;
        self.require(field, holds, value, "0 or more");
    }

    /// In [0, 1) or the like; `allowed` says it in words.
    fn within(&mut self, field: &str, value: f64, range: std::ops::Range<f64>, allowed: &str) {
        self.require(field, range.contains(&value), value, allowed);
    }

    fn at_least_one(&mut self, field: &str, value: usize) {
        self.require(field, value >= 1, value, "1 or more");
    }
}

fn data(config: &RunConfig, faults: &mut Faults) {
    let data = &config.data;
    faults.at_least_one("data.max_prompt_tokens", data.max_prompt_tokens);
    faults.at_least_one("data.max_answer_tokens", data.max_answer_tokens);
    faults.within("data.eval_fraction", data.eval_fraction, 0.0..1.0, "at least 0 and below 1");
    if data.reference.is_empty() {
        faults.add("data.reference", "data.reference is empty; it must be \"auto\" or a JSONL file".to_owned());
    }
}

fn objective(config: &RunConfig, faults: &mut Faults) {
    let objective = &config.objective;
    // β also scales the rewards that every method reports.
    faults.positive("objective.beta", objective.beta);
    match objective.kind {
        Method::Mpo => {}
        Method::Dpo => {
            faults.within("objective.label_smoothing", objective.label_smoothing, 0.0..0.5, "at least 0 and below 0.5");
        }
        Method::Ipo => faults.positive("objective.tau", objective.tau),
    }
    let anchored = match objective.margin() {
        Margin::Sum | Margin::Mean => false,
        Margin::AnchoredSum | Margin::AnchoredMean => true,
    };
    match objective.kind {
        Method::Mpo => {}
        Method::Dpo | Method::Ipo if anchored => {}
        Method::Dpo | Method::Ipo => faults.add(
            "objective.margin",
            "objective.margin is reference-free, which DPO and IPO are not; it must be \"anchored-sum\" or \"anchored-mean\"".to_owned(),
        ),
    }
    faults.not_negative("objective.reference_weight", objective.reference_weight());
    faults.not_negative("objective.retention_weight", objective.retention_weight());
}

fn lora(lora: &LoraConfig, faults: &mut Faults) {
    if lora.full {
        return;
    }
    faults.at_least_one("lora.rank", lora.rank);
    faults.positive("lora.alpha", lora.alpha);
    let divisor = if lora.rslora { (lora.rank as f64).sqrt() } else { lora.rank as f64 };
    let scale = lora.alpha / divisor.max(1.0);
    if lora.alpha.is_finite() && scale > f64::from(f32::MAX) {
        faults.add(
            "lora.alpha",
            format!(
                "lora.alpha is {:e}, which scales the adapter by {scale:e}: more than a 32-bit number holds",
                lora.alpha
            ),
        );
    }
    faults.within("lora.dropout", lora.dropout, 0.0..1.0, "at least 0 and below 1");
    match &lora.targets {
        Targets::Names(names) if names.is_empty() => faults.add(
            "lora.targets",
            "lora.targets is an empty list; it must name at least one layer, or be \"all-linear\"".to_owned(),
        ),
        Targets::AllLinear | Targets::Names(_) => {}
    }
}

fn optimizer(config: &RunConfig, faults: &mut Faults) {
    let optimizer = &config.optimizer;
    faults.require("optimizer.kind", optimizer.kind == "adamw", format!("\"{}\"", optimizer.kind), "\"adamw\"");
    faults.positive("optimizer.learning_rate", optimizer.learning_rate);
    for beta in optimizer.betas {
        faults.within("optimizer.betas", beta, 0.0..1.0, "two numbers, each at least 0 and below 1");
    }
    faults.positive("optimizer.eps", optimizer.eps);
    faults.not_negative("optimizer.weight_decay", optimizer.weight_decay);
    faults.not_negative("optimizer.max_grad_norm", optimizer.max_grad_norm);
}

fn train(config: &RunConfig, faults: &mut Faults) {
    let train = &config.train;
    match train.steps {
        Some(steps) => faults.require("train.steps", steps >= 1, steps, "1 or more"),
        None => faults.positive("train.epochs", train.epochs),
    }
    faults.at_least_one("train.pairs_per_step", train.pairs_per_step);
    match train.micro_batch_tokens {
        TokenBudget::Auto => {}
        TokenBudget::Tokens(tokens) => faults.at_least_one("train.micro_batch_tokens", tokens),
    }
    match train.threads {
        Threads::Auto => {}
        Threads::Count(count) => {
            faults.require("train.threads", (1..=MOST_THREADS).contains(&count), count, "\"auto\" or 1 to 1024");
        }
    }
    faults.at_least_one("train.sample_tokens", train.sample_tokens);
    faults.require(
        "train.device",
        train.device.parse::<DeviceChoice>().is_ok(),
        format!("\"{}\"", train.device),
        "\"auto\", \"cpu\", \"cuda:0\" or \"metal\"",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(change: impl FnOnce(&mut RunConfig)) -> Vec<String> {
        let mut config = RunConfig::default();
        change(&mut config);
        validate(&config)
            .into_iter()
            .map(|(field, sentence)| {
                assert!(sentence.contains(&field), "{sentence:?} names its key");
                assert!(sentence.contains("must"), "{sentence:?} says the range");
                field
            })
            .collect()
    }

    #[test]
    fn the_defaults_may_start() {
        assert_eq!(validate(&RunConfig::default()), []);
    }

    #[test]
    fn each_fault_is_named_beside_its_field() {
        assert_eq!(fields(|c| c.objective.beta = 0.0), ["objective.beta"]);
        assert_eq!(fields(|c| c.objective.beta = f64::NAN), ["objective.beta"]);
        assert_eq!(fields(|c| c.data.eval_fraction = 1.0), ["data.eval_fraction"]);
        assert_eq!(fields(|c| c.lora.rank = 0), ["lora.rank"]);
        assert_eq!(fields(|c| c.lora.targets = Targets::Names(Vec::new())), ["lora.targets"]);
        assert_eq!(fields(|c| c.optimizer.betas = [0.9, 1.0]), ["optimizer.betas"]);
        assert_eq!(fields(|c| c.optimizer.learning_rate = -1.0), ["optimizer.learning_rate"]);
        assert_eq!(fields(|c| c.train.steps = Some(0)), ["train.steps"]);
        assert_eq!(fields(|c| c.train.epochs = 0.0), ["train.epochs"]);
        assert_eq!(fields(|c| c.train.device = "cuda:x".into()), ["train.device"]);
        assert_eq!(fields(|c| c.train.micro_batch_tokens = TokenBudget::Tokens(0)), ["train.micro_batch_tokens"]);
        assert_eq!(fields(|c| c.train.threads = Threads::Count(0)), ["train.threads"]);
    }

    #[test]
    fn dpo_and_ipo_need_an_anchor_and_mpo_does_not() {
        for kind in [Method::Dpo, Method::Ipo] {
            let found = fields(|c| {
                c.objective.kind = kind;
                c.objective.margin = Some(Margin::Sum);
            });
            assert_eq!(found, ["objective.margin"]);
        }
        assert!(fields(|c| c.objective.margin = Some(Margin::Sum)).is_empty());
    }

    #[test]
    fn unused_keys_are_not_judged() {
        assert!(
            fields(|c| {
                c.lora.full = true;
                c.lora.rank = 0;
            })
            .is_empty()
        );
        assert!(
            fields(|c| {
                c.train.steps = Some(5);
                c.train.epochs = 0.0;
            })
            .is_empty()
        );
    }
}
