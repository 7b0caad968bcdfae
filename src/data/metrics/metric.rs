//! What a metric is: its names, its words, when it is measured, and its lines in the charts.

/// In front of the name of what is measured on held-out pairs.
pub const HELD_OUT: &str = "eval_";

/// Something that a run measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// Its name in the project, as TRL has it where TRL has it; `eval_` stands before it on held-out pairs. Of what is
    /// of evaluations as such it may be a part of the name.
    pub key: &'static str,
    /// Its words, e.g. over a chart.
    pub caption: &'static str,
    /// The same for a column or a line of numbers.
    pub short: &'static str,
    /// What is measured, in a sentence.
    pub about: &'static str,
    pub unit: Unit,
    pub better: Better,
    /// What its values are read against: its chart always reaches so far.
    pub levels: &'static [f64],
    pub measured: Measured,
    /// Its line, of what is trained on or, where it is measured at evaluations only, of that.
    pub line: Option<MetricLine>,
    /// The line of its held-out form.
    pub held_out_line: Option<MetricLine>,
    pub told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Nats,
    NatsPerToken,
    /// Between 0 and 1, read in percent.
    Share,
    Tokens,
    TokensPerSecond,
    Pairs,
    Epochs,
    Megabytes,
    /// A number without a unit.
    Plain,
}

/// Which way is better, where runs of any method may be compared by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Better {
    More,
    Less,
    #[default]
    Neither,
}

impl Better {
    /// Whether a value is no worse than another one; where neither way is better none is best.
    pub fn is_best(self, value: f64, other: f64) -> bool {
        match self {
            Self::More => value >= other,
            Self::Less => value <= other,
            Self::Neither => false,
        }
    }
}

/// When it is measured, and on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// At every step, on the step's own pairs.
    Steps,
    /// At every evaluation; it has no other form.
    Evaluations,
    /// At every evaluation, on what is held out only.
    HeldOut,
    /// At every step, and at every evaluation on what is held out.
    Both,
    /// At every step, and at every evaluation on what is held out where the run has text for it.
    BothIfThere,
    /// At every step and every evaluation of runs whose settings ask for what it is about.
    BothIfAsked,
}

/// Where it is read without being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    No,
    /// In the summary of a run, its report and its export.
    OfARun,
    /// And where runs are compared.
    AcrossRuns,
}

/// One of the charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChartId {
    Loss,
    ScoreAccuracy,
    ScoreMargin,
    Scores,
    ScoreLength,
    Objective,
    SampledKl,
    Entropy,
    Ratios,
    Critic,
    Completions,
    RewardMargin,
    Rewards,
    Margin,
    Accuracy,
    Moved,
    Drift,
    Retention,
    Answers,
    Sleeping,
    Negatives,
    Weights,
    Gradient,
    LearningRate,
    Speed,
}

/// A metric's line in a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricLine {
    pub chart: ChartId,
    /// What it is called in that chart.
    pub name: &'static str,
    pub look: LineLook,
}

/// How a line is told from its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineLook {
    /// Its place in the table of colours and patterns.
    Series(usize),
    /// Noisy by nature: thin, so that the calm lines lead.
    Noise(usize),
    /// The colours that chosen and rejected answers have everywhere.
    Chosen,
    Rejected,
    /// The edges of a shaded band.
    Low,
    High,
}

impl MetricLine {
    pub const fn new(chart: ChartId, name: &'static str, look: LineLook) -> Self {
        Self { chart, name, look }
    }
}

pub(super) const fn metric(
    key: &'static str,
    caption: &'static str,
    short: &'static str,
    measured: Measured,
    unit: Unit,
    about: &'static str,
) -> Metric {
    Metric {
        key,
        caption,
        short,
        about,
        unit,
        better: Better::Neither,
        levels: &[],
        measured,
        line: None,
        held_out_line: None,
        told: Told::No,
    }
}

impl Metric {
    /// The name of the numbers that its newest evaluation gave.
    pub fn evaluated(&self) -> Option<String> {
        match self.measured {
            Measured::Steps => None,
            Measured::Evaluations => Some(self.key.to_owned()),
            Measured::HeldOut | Measured::Both | Measured::BothIfThere | Measured::BothIfAsked => {
                Some(format!("{HELD_OUT}{}", self.key))
            }
        }
    }

    pub(super) const fn better(self, better: Better) -> Self {
        Self { better, ..self }
    }

    pub(super) const fn against(self, levels: &'static [f64]) -> Self {
        Self { levels, ..self }
    }

    pub(super) const fn told(self, told: Told) -> Self {
        Self { told, ..self }
    }

    pub(super) const fn line(self, chart: ChartId, name: &'static str, look: LineLook) -> Self {
        Self { line: Some(MetricLine::new(chart, name, look)), ..self }
    }

    pub(super) const fn held_out_line(self, chart: ChartId, name: &'static str, look: LineLook) -> Self {
        Self { held_out_line: Some(MetricLine::new(chart, name, look)), ..self }
    }
}
