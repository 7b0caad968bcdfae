//! What a run config must keep to, as sentences beside the fields of the launch sheet.

use toml::Table;

use super::{
    DataConfig, DeviceChoice, LoraConfig, ModelConfig, Negatives, ObjectiveConfig, OptimizerConfig, RunConfig, Setting,
    Targets, TrainConfig, rlhf, tokens,
};

/// Every fault of `config` as (field path, sentence); empty when a run may start with it.
///
/// Only what the config alone can tell: whether folders exist and fit each other is found out by loading them. A
/// setting that has no say under the others is not judged.
pub fn validate(config: &RunConfig) -> Vec<(String, String)> {
    let mut faults = out_of_range(config);
    for (setting, sentence) in
        [device(config), optimizer(config), reference(config), margin(config), negatives(config)].into_iter().flatten()
    {
        faults.push((setting.key.to_owned(), format!("{} is {sentence}", setting.key)));
    }
    for (setting, sentence) in rlhf::faults(config).into_iter().chain(tokens::faults(config)) {
        faults.push((setting.key.to_owned(), format!("{} is {sentence}", setting.key)));
    }
    if !config.lora.full {
        faults.extend(adapter(&config.lora));
    } else if config.model.continue_adapter.is_some() {
        let key = ModelConfig::CONTINUE_ADAPTER.key;
        let sentence =
            format!("{key} names an adapter to train further, but lora.full trains all weights; keep one of the two");
        faults.push((key.to_owned(), sentence));
    }
    faults
}

/// What is below or above its setting's range.
fn out_of_range(config: &RunConfig) -> Vec<(String, String)> {
    let tree = match Table::try_from(config) {
        Ok(tree) => tree,
        // What no TOML file can hold, such as a count above i64::MAX, could not be read again.
        Err(error) => return vec![(String::new(), format!("the settings cannot be kept: {error}"))],
    };
    let fault = |setting: &Setting| {
        let (section, name) = setting.section_and_name();
        let found = setting.out_of_range(tree.get(section)?.get(name)?)?;
        Some((setting.key.to_owned(), format!("{} is {found}; it must be {}", setting.key, setting.allowed())))
    };
    RunConfig::settings().filter(|setting| setting.counts.holds(config)).filter_map(fault).collect()
}

type Fault = Option<(Setting, String)>;

fn device(config: &RunConfig) -> Fault {
    let device = &config.train.device;
    let is_one = device.parse::<DeviceChoice>().is_ok();
    let sentence = format!("\"{device}\"; it must be \"auto\", \"cpu\", \"gpu:0\", \"cuda:0\" or \"metal\"");
    (!is_one).then_some((TrainConfig::DEVICE, sentence))
}

fn optimizer(config: &RunConfig) -> Fault {
    let kind = &config.optimizer.kind;
    let sentence = format!("\"{kind}\"; it must be {}", OptimizerConfig::KIND.allowed());
    (kind != "adamw").then_some((OptimizerConfig::KIND, sentence))
}

fn reference(config: &RunConfig) -> Fault {
    let sentence = "empty; it must be \"auto\" or a JSONL file".to_owned();
    config.data.reference.is_empty().then_some((DataConfig::REFERENCE, sentence))
}

fn margin(config: &RunConfig) -> Fault {
    let ObjectiveConfig { kind, .. } = config.objective;
    let is_fit = kind.takes(config.objective.margin());
    let sentence = "reference-free, which is for MPO alone; it must be \"anchored-sum\" or \"anchored-mean\"";
    (!is_fit).then(|| (ObjectiveConfig::MARGIN, sentence.to_owned()))
}

fn negatives(config: &RunConfig) -> Fault {
    let ObjectiveConfig { kind, negatives, .. } = config.objective;
    let sentence = format!(
        "for several rejected answers, which {} has no form for; it must be \"first\", or objective.kind mpo or dpo",
        kind.name()
    );
    (!kind.takes_several() && negatives != Negatives::First).then_some((ObjectiveConfig::NEGATIVES, sentence))
}

fn adapter(lora: &LoraConfig) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let divisor = if lora.rslora { (lora.rank as f64).sqrt() } else { lora.rank as f64 };
    let scale = lora.alpha / divisor.max(1.0);
    if lora.alpha.is_finite() && scale > f64::from(f32::MAX) {
        let key = LoraConfig::ALPHA.key;
        let sentence = format!(
            "{key} is {:e}, which scales the adapter by {scale:e}: more than a 32-bit number holds",
            lora.alpha
        );
        faults.push((key.to_owned(), sentence));
    }
    if matches!(&lora.targets, Targets::Names(names) if names.is_empty()) {
        let key = LoraConfig::TARGETS.key;
        let sentence = format!("{key} is an empty list; it must name at least one layer, or be \"all-linear\"");
        faults.push((key.to_owned(), sentence));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Margin, Method, Threads, TokenBudget},
        *,
    };

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
    fn ipo_takes_one_rejected_answer() {
        let found = fields(|c| {
            c.objective.kind = Method::Ipo;
            c.objective.negatives = Negatives::All;
        });
        assert_eq!(found, ["objective.negatives"]);
        assert!(fields(|c| c.objective.negatives = Negatives::Diverse).is_empty());
        assert_eq!(
            fields(|c| (c.objective.negatives, c.objective.negatives_max) = (Negatives::All, 0)),
            ["objective.negatives_max"]
        );
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
