//! The sheet's first questions, in words that a person can answer.
//!
//! They are another way to write the same settings: an answer is read off the fields and written into them, so the two
//! cannot disagree. What somebody set to something between the answers shows as none of them. "Usual" is what the
//! project itself has set, and where it has set nothing what follows the data and the model.

use data::config::{Contender, ObjectiveConfig, OptimizerConfig, RunConfig, Setting, TrainConfig};

use super::launch::Launch;

/// Under this the project has its settings as they were before any run was started from the sheet.
pub const USUAL: &str = "usual";

/// What is done in the middle of a run hangs on how long it is.
const BY_LENGTH: [Setting; 4] =
    [OptimizerConfig::WARMUP_STEPS, TrainConfig::EVAL_EVERY, TrainConfig::SAMPLE_EVERY, TrainConfig::CHECKPOINT_EVERY];

/// What a question is about, as a number of one of its settings.
#[derive(Debug, Clone, Copy)]
struct Amount {
    setting: Setting,
    number: f64,
}

impl Amount {
    fn is(self, other: Self) -> bool {
        self.setting == other.setting && (self.number - other.number).abs() <= 1e-6 * self.number.abs().max(1e-9)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How strongly the model is pushed.
    Strength,
    /// How long it trains.
    Length,
    /// How much is done against changing anything else.
    Care,
}

/// A place among a question's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Degree {
    Least,
    Middle,
    Most,
}

/// Answers to all questions at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    QuickLook,
    Careful,
}

impl Degree {
    pub const ALL: [Self; 3] = [Self::Least, Self::Middle, Self::Most];
}

impl Question {
    pub const ALL: [Self; 3] = [Self::Strength, Self::Length, Self::Care];

    pub fn label(self) -> &'static str {
        match self {
            Self::Strength => "How strongly",
            Self::Length => "How long",
            Self::Care => "How careful not to change anything else",
        }
    }

    /// An answer's word, and what it sets.
    pub fn words(self, answer: Degree) -> (&'static str, &'static str) {
        match (self, answer) {
            (Self::Strength, Degree::Least) => ("Gently", "A third of the usual learning rate"),
            (Self::Strength, Degree::Middle) => {
                ("As usual", "The project's own learning rate, or the one that suits the model's size")
            }
            (Self::Strength, Degree::Most) => ("Strongly", "Three times the usual learning rate"),
            (Self::Length, Degree::Least) => ("Briefly", "A quarter of the usual length"),
            (Self::Length, Degree::Middle) => {
                ("As long as it takes", "The project's own length, or as many epochs as suit the number of pairs")
            }
            (Self::Length, Degree::Most) => ("Thoroughly", "Three times the usual length"),
            (Self::Care, Degree::Least) => ("Not at all", "λ ref 0: nothing holds the model where it started"),
            (Self::Care, Degree::Middle) => ("Somewhat", "λ ref 0.3 on the reference answers, or the project's own"),
            (Self::Care, Degree::Most) => ("Very much", "λ ref 1 on the reference answers"),
        }
    }

    /// The setting that it writes where nobody has set anything.
    pub fn setting(self) -> Setting {
        match self {
            Self::Strength => OptimizerConfig::LEARNING_RATE,
            Self::Length => TrainConfig::EPOCHS,
            Self::Care => ObjectiveConfig::REFERENCE_WEIGHT,
        }
    }

    /// All that an answer sets, or leaves to follow what it sets.
    fn settings(self) -> Vec<Setting> {
        let more: &[Setting] = if self == Self::Length { &BY_LENGTH } else { &[] };
        let steps = (self == Self::Length).then_some(TrainConfig::STEPS);
        std::iter::once(self.setting()).chain(steps).chain(more.iter().copied()).collect()
    }

    /// What the fields answer, if it is one of the answers.
    pub fn answer(self, launch: &mut Launch) -> Option<Degree> {
        let (now, usual) = (self.amount(&launch.checked().config), self.usual(launch));
        Degree::ALL.into_iter().find(|answer| self.of(*answer, usual).is(now))
    }

    /// Writes an answer into the fields.
    pub fn give(self, launch: &mut Launch, answer: Degree) {
        let usual = self.usual(launch);
        let wanted = self.of(answer, usual);
        if wanted.is(usual) {
            // A field that the project has not set goes on following the data.
            return launch.put_back(&self.settings());
        }
        for setting in self.settings() {
            launch.set(setting.key, "");
        }
        if self == Self::Length {
            keep_proportions(launch, wanted.number / usual.number);
        }
        launch.set(wanted.setting.key, short(wanted.number));
    }

    fn amount(self, config: &RunConfig) -> Amount {
        let (setting, number) = match (self, config.train.steps) {
            (Self::Strength, _) => (OptimizerConfig::LEARNING_RATE, config.optimizer.learning_rate),
            (Self::Length, Some(steps)) => (TrainConfig::STEPS, steps as f64),
            (Self::Length, None) => (TrainConfig::EPOCHS, config.train.epochs),
            (Self::Care, _) => (ObjectiveConfig::REFERENCE_WEIGHT, config.objective.reference_weight()),
        };
        Amount { setting, number }
    }

    /// What counts while nobody has changed the fields.
    fn usual(self, launch: &Launch) -> Amount {
        self.amount(&launch.with_put_back(&self.settings()))
    }

    fn of(self, answer: Degree, usual: Amount) -> Amount {
        let whole = |number: f64| if usual.setting == TrainConfig::STEPS { number.round().max(1.0) } else { number };
        let number = match (self, answer) {
            (Self::Care, Degree::Least) => 0.0,
            (Self::Care, Degree::Middle) if (0.0..1.0).contains(&usual.number) && usual.number > 0.0 => usual.number,
            (Self::Care, Degree::Middle) => 0.3,
            (Self::Care, Degree::Most) => usual.number.max(1.0),
            (Self::Strength | Self::Length, Degree::Middle) => usual.number,
            (Self::Strength, Degree::Least) => rounded(usual.number / 3.0),
            (Self::Length, Degree::Least) => whole(rounded(usual.number / 4.0)),
            (Self::Strength | Self::Length, Degree::Most) => whole(rounded(usual.number * 3.0)),
        };
        Amount { number, ..usual }
    }
}

impl Preset {
    pub const ALL: [Self; 2] = [Self::QuickLook, Self::Careful];

    pub const fn label(self) -> &'static str {
        match self {
            Self::QuickLook => "Quick look",
            Self::Careful => "Careful",
        }
    }

    pub const fn about(self) -> &'static str {
        match self {
            Self::QuickLook => "A short run, to see whether the pairs teach what they should",
            Self::Careful => "Pushes gently and holds everything else where it is",
        }
    }

    pub fn give(self, launch: &mut Launch) {
        let answers = match self {
            Self::QuickLook => [Degree::Middle, Degree::Least, Degree::Middle],
            Self::Careful => [Degree::Least, Degree::Middle, Degree::Most],
        };
        for (question, answer) in Question::ALL.into_iter().zip(answers) {
            question.give(launch, answer);
        }
    }
}

/// The same settings with each of these methods: what was set for one stays its own. Those that cannot be used as they
/// are set are left out.
pub fn each_method(launch: &Launch, contenders: &[Contender]) -> Vec<(Contender, RunConfig)> {
    let each = contenders.iter().map(|contender| {
        let mut launch = launch.clone();
        launch.set_method(contender.method);
        if let Some(negatives) = contender.negatives(contenders) {
            launch.set(ObjectiveConfig::NEGATIVES.key, negatives.name());
        }
        (*contender, launch.checked().clone())
    });
    let usable = each.filter(|(_, checked)| checked.problems.is_empty());
    usable.map(|(contender, checked)| (contender, checked.config)).collect()
}

/// What the project itself does every so many steps is done as often in a run `times` as long.
fn keep_proportions(launch: &mut Launch, times: f64) {
    for setting in BY_LENGTH {
        let own = launch.own_text(setting.key).and_then(|text| text.trim().parse::<f64>().ok());
        if let Some(own) = own.filter(|own| *own > 0.0 && times.is_finite()) {
            launch.set(setting.key, short((own * times).round().max(1.0)));
        }
    }
}

/// Two digits, which is what a person would type.
fn rounded(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn short(value: f64) -> String {
    if value != 0.0 && value < 1e-2 { format!("{value:e}") } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use data::config::{Basis, Method, Negatives};

    fn of_pairs(pairs: usize) -> Basis {
        Basis { pairs, parameters: Some(1_000_000), ..Basis::default() }
    }

    fn sheet() -> Launch {
        let mut launch = Launch::following(&RunConfig::default(), &BTreeSet::new());
        launch.set_basis(of_pairs(81));
        launch
    }

    #[test]
    fn every_answer_that_is_given_is_the_one_that_is_read() {
        for method in Method::ALL {
            let mut launch = sheet();
            launch.set_method(method);
            for question in Question::ALL {
                for answer in Degree::ALL {
                    question.give(&mut launch, answer);
                    assert_eq!(question.answer(&mut launch), Some(answer), "{question:?} with {method:?}");
                    assert!(launch.checked().problems.is_empty());
                }
            }
        }
    }

    #[test]
    fn a_field_between_the_answers_is_none_of_them_and_an_answer_overwrites_it() {
        let mut launch = sheet();
        assert_eq!(Question::Strength.answer(&mut launch), Some(Degree::Middle));
        launch.set(OptimizerConfig::LEARNING_RATE.key, "2e-3");
        assert_eq!(Question::Strength.answer(&mut launch), None);
        launch.set(TrainConfig::STEPS.key, "40");
        assert_eq!(Question::Length.answer(&mut launch), None);
        Preset::Careful.give(&mut launch);
        assert_eq!(Question::Strength.answer(&mut launch), Some(Degree::Least));
        assert_eq!(Question::Length.answer(&mut launch), Some(Degree::Middle));
        assert_eq!(launch.checked().config.objective.reference_weight(), 1.0);
        assert_eq!(launch.checked().config.train.steps, None);
    }

    #[test]
    fn a_length_that_is_answered_beside_a_number_of_steps_is_read_as_that_answer() {
        for answer in Degree::ALL {
            let mut launch = sheet();
            launch.set(TrainConfig::STEPS.key, "300");
            Question::Length.give(&mut launch, answer);
            assert_eq!(Question::Length.answer(&mut launch), Some(answer));
        }
    }

    /// As the demo has it.
    fn own_sheet() -> Launch {
        let text = "[optimizer]\nlearning_rate = 7e-4\nwarmup_steps = 20\n[train]\nsteps = 300\neval_every = 50\nsample_every = 50\n";
        let (config, chosen) = (RunConfig::from_toml(text).unwrap(), RunConfig::keys_in(text).unwrap());
        let mut launch = Launch::following(&config, &chosen);
        launch.set_basis(of_pairs(430));
        launch.set_own(&super::super::launch::own_texts(text));
        launch
    }

    #[test]
    fn what_the_project_has_set_is_usual_and_can_be_come_back_to() {
        let mut launch = own_sheet();
        let own = launch.checked().config.clone();
        for question in Question::ALL {
            assert_eq!(question.answer(&mut launch), Some(Degree::Middle), "{question:?}");
        }
        for preset in Preset::ALL {
            preset.give(&mut launch);
            assert_ne!(launch.checked().config, own);
        }
        for question in Question::ALL {
            for answer in Degree::ALL {
                question.give(&mut launch, answer);
                assert_eq!(question.answer(&mut launch), Some(answer), "{question:?}");
            }
            question.give(&mut launch, Degree::Middle);
        }
        assert_eq!(launch.checked().config, own, "each answer puts all back that it has changed");
    }

    #[test]
    fn what_hangs_on_the_length_follows_another_length() {
        let mut launch = own_sheet();
        Preset::QuickLook.give(&mut launch);
        let config = launch.checked().config.clone();
        let steps = config.train.steps.unwrap();
        assert_eq!(steps, 75);
        assert!(config.optimizer.warmup_steps <= steps / 4, "{} of {steps}", config.optimizer.warmup_steps);
        assert_eq!(
            (config.train.eval_every, config.train.sample_every),
            (13, 13),
            "as often as in the project's own run"
        );
        assert!(config.train.checkpoint_every < steps, "what the project has not set follows");
        assert_eq!(config.optimizer.learning_rate, 7e-4);
    }

    #[test]
    fn the_usual_answer_goes_on_following_the_data() {
        let mut launch = sheet();
        for question in Question::ALL {
            question.give(&mut launch, Degree::Middle);
        }
        let few = launch.checked().config.train.epochs;
        launch.set_basis(of_pairs(3000));
        assert!(launch.checked().config.train.epochs < few);
        assert_eq!(Question::Length.answer(&mut launch), Some(Degree::Middle));
    }

    #[test]
    fn methods_are_compared_with_the_rest_alike() {
        let mut launch = sheet();
        launch.set(ObjectiveConfig::BETA.key, "0.4");
        let each = each_method(&launch, &Contender::all());
        assert_eq!(each.iter().map(|(contender, _)| *contender).collect::<Vec<_>>(), Contender::all());
        for (contender, config) in &each {
            assert_eq!(config.objective.kind, contender.method);
            assert_eq!(config.objective.negatives == Negatives::All, contender.several, "{contender:?}");
        }
        let usual = each_method(&launch, &Contender::USUAL);
        let configs: Vec<&RunConfig> = usual.iter().map(|(_, config)| config).collect();
        assert_eq!(configs.iter().map(|config| config.objective.kind).collect::<Vec<_>>(), Method::PREFERENCE);
        assert!(
            configs.iter().all(|config| config.train == configs[0].train && config.optimizer == configs[0].optimizer)
        );
        assert_eq!(launch.checked().config.objective.kind, Method::Mpo, "the sheet itself stays as it is");
    }
}
