//! The charts that metrics are drawn in.

use super::{
    metric::{ChartId, Metric, MetricLine},
    table::METRICS,
};
use crate::config::Method;

/// Lines that share their axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricChart {
    pub id: ChartId,
    pub title: &'static str,
    /// One sentence under it, where its title does not say all.
    pub note: &'static str,
    /// What is shaded between its lowest and its highest line.
    pub band: &'static str,
    /// The metric whose unit and levels the axis has.
    pub metric: &'static str,
    /// Beside a live run; the report has all of them.
    pub in_window: bool,
}

const fn chart(id: ChartId, title: &'static str, metric: &'static str) -> MetricChart {
    MetricChart { id, title, note: "", band: "", metric, in_window: true }
}

impl MetricChart {
    /// Whether runs of this method measure any of its lines.
    pub fn suits(self, method: Method) -> bool {
        match self.id {
            ChartId::ScoreAccuracy | ChartId::ScoreMargin | ChartId::Scores | ChartId::ScoreLength => {
                method == Method::Reward
            }
            ChartId::Objective | ChartId::SampledKl | ChartId::Entropy | ChartId::Ratios | ChartId::Completions => {
                method.samples()
            }
            ChartId::Critic => method == Method::Ppo,
            ChartId::Moved | ChartId::Sleeping | ChartId::Negatives | ChartId::Weights => {
                Method::PREFERENCE.contains(&method)
            }
            ChartId::RewardMargin
            | ChartId::Rewards
            | ChartId::Margin
            | ChartId::Accuracy
            | ChartId::Drift
            | ChartId::Retention
            | ChartId::Answers => method != Method::Reward,
            ChartId::Loss | ChartId::Gradient | ChartId::LearningRate | ChartId::Speed => true,
        }
    }

    const fn with_note(self, note: &'static str) -> Self {
        Self { note, ..self }
    }

    const fn with_band(self, band: &'static str) -> Self {
        Self { band, ..self }
    }

    const fn in_report_only(self) -> Self {
        Self { in_window: false, ..self }
    }

    /// Its lines: the name a metric is stored by, the metric, and how it is drawn.
    pub fn lines(self) -> Vec<(String, &'static Metric, MetricLine)> {
        let here = |line: &MetricLine| line.chart == self.id;
        let own = METRICS.iter().filter_map(|metric| Some((metric.key.to_owned(), metric, metric.line.filter(here)?)));
        let held_out =
            METRICS.iter().filter_map(|metric| Some((metric.evaluated()?, metric, metric.held_out_line.filter(here)?)));
        own.chain(held_out).collect()
    }

    /// What its lines are, in sentences.
    pub fn caption(self) -> String {
        let mut said: Vec<&str> = Vec::new();
        let mut sentences: Vec<String> = Vec::new();
        for (_, metric, line) in self.lines() {
            if !said.contains(&metric.key) {
                said.push(metric.key);
                sentences.push(format!("{}: {}.", line.name, metric.about));
            }
        }
        sentences.join(" ")
    }
}

/// All of them, in reading order.
pub const CHARTS: &[MetricChart] = &[
    chart(ChartId::Loss, "Loss", "loss"),
    chart(ChartId::ScoreAccuracy, "Accuracy of the scores", "accuracy"),
    chart(ChartId::ScoreMargin, "Margin of the scores", "margin"),
    chart(ChartId::Scores, "Scores", "mean_reward").with_band("the lowest to the highest"),
    chart(ChartId::ScoreLength, "Scores and length", "length_correlation")
        .with_note("Above 0 the longer answers have the higher scores, whatever they say"),
    chart(ChartId::Objective, "Score and reward of sampled answers", "objective/scores")
        .with_note("In standard deviations of the reward model; the reward has the KL penalty in it"),
    chart(ChartId::SampledKl, "KL of sampled answers", "objective/kl"),
    chart(ChartId::Entropy, "Entropy of the policy", "policy/entropy_avg")
        .with_note("How open it is what comes next, over the whole vocabulary; at 0 it says one thing"),
    chart(ChartId::Ratios, "Clipping", "policy/clipfrac_avg"),
    chart(ChartId::Critic, "Critic", "value/explained_variance"),
    chart(ChartId::Completions, "Length of the answers that teach", "completions/mean_length"),
    chart(ChartId::RewardMargin, "Reward margin", "rewards/margins").in_report_only(),
    chart(ChartId::Rewards, "Rewards", "rewards/chosen").in_report_only(),
    chart(ChartId::Margin, "Margin", "margin/q50").with_band("10 to 90 %"),
    chart(ChartId::Accuracy, "Preference accuracy", "rewards/accuracies")
        .with_note(
            "Begins after step 0: there the policy is its own reference, every reward is 0 and no pair is in order",
        )
        .with_band("95 % interval, held out"),
    chart(ChartId::Moved, "Who moved", "logps/chosen_change")
        .with_note("Change of the answers' log-probs since step 0, in nats"),
    chart(ChartId::Drift, "KL drift", "kl/ref").with_note(
        "Nats per token; kl/ref is forward, on held-out reference answers, kl/policy_k3 the k3 estimate on the policy's own",
    ),
    chart(ChartId::Retention, "Retention", "loss/retention").in_report_only(),
    chart(ChartId::Answers, "Length of sampled answers", "answers/mean_tokens").in_report_only(),
    chart(ChartId::Sleeping, "Sleeping pairs", "push/asleep")
        .with_note("Pairs that get almost no push: won, or hopelessly lost"),
    chart(ChartId::Negatives, "Rejected answers with a say", "negatives/ess").in_report_only(),
    chart(ChartId::Weights, "Token weights", "weights/mean").in_report_only(),
    chart(ChartId::Gradient, "Gradient norm", "grad_norm"),
    chart(ChartId::LearningRate, "Learning rate", "learning_rate"),
    chart(ChartId::Speed, "Tokens a second", "tokens_per_sec"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_is_of_some_method_and_a_new_one_leaves_the_others_alone() {
        for chart in CHARTS {
            assert!(Method::ALL.into_iter().any(|method| chart.suits(method)), "{}", chart.title);
        }
        let of = |method| CHARTS.iter().filter(|chart| chart.in_window && chart.suits(method)).count();
        assert_eq!([Method::Mpo, Method::Dpo, Method::Ipo].map(of), [9; 3]);
    }

    #[test]
    fn every_chart_has_lines_and_its_axis_is_that_of_one_of_them() {
        for chart in CHARTS {
            let lines = chart.lines();
            assert!(lines.iter().any(|(_, metric, _)| metric.key == chart.metric), "{}", chart.title);
            assert!(!chart.caption().is_empty(), "{}", chart.title);
            let mut names: Vec<&str> = lines.iter().map(|(_, _, line)| line.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{}: {names:?}", chart.title);
        }
    }
}
