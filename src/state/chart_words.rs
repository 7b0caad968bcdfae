//! The sentence under a chart: what its lines come to, made from the numbers alone.

use data::{
    config::{RunConfig, Schedule},
    counted,
    metrics::{
        self, ACCURACY, Better, CHOSEN_CHANGE, CLIPPED, ChartId, ENTROPY, EXPLAINED_VARIANCE, GRADIENT_NORM,
        HELD_OUT_ACCURACY, HELD_OUT_ACCURACY_HIGH, HELD_OUT_ACCURACY_LOW, HELD_OUT_LOSS, HELD_OUT_MARGIN_MIDDLE,
        HELD_OUT_PREFERENCE_LOSS, HELD_OUT_SCORE_ACCURACY, HELD_OUT_SCORE_LENGTH, HELD_OUT_SCORE_MARGIN, HIGHEST_SCORE,
        LOSS, LOWEST_SCORE, MARGIN_HIGH, MARGIN_LOW, MARGIN_MIDDLE, MEAN_SCORE, REJECTED_CHANGE, SAMPLED_KL,
        SAMPLED_LENGTH, SAMPLED_SCORE, SCORE_ACCURACY, SCORE_LENGTH, SCORE_MARGIN, SLEEPING, ShareChange, ShareTurn,
        TOKENS_PER_SEC,
    },
    number, percent,
};
use store::RunRecord;

use super::{moved, runs::History, series::Series};

/// A step has few pairs: what holds of the last ones together is said of them.
const RECENT: usize = 10;

/// Of a run of these settings; nothing while there is nothing to say.
pub fn sentence(chart: ChartId, config: &RunConfig, history: &History) -> Option<String> {
    match chart {
        ChartId::Loss => loss(history).or_else(|| warms_up(config, history)),
        ChartId::Margin => margin(history),
        ChartId::Accuracy => accuracy(history),
        ChartId::Moved => {
            let recent = |name| history.series(name)?.recent(RECENT);
            Some(moved::sentence(recent(CHOSEN_CHANGE)?, recent(REJECTED_CHANGE)?))
        }
        ChartId::Drift => drift(config.train.kl_limit, history),
        ChartId::Sleeping => sleeping(history.series(SLEEPING)?),
        ChartId::Gradient => gradient(config.optimizer.max_grad_norm, history.series(GRADIENT_NORM)?),
        ChartId::LearningRate => Some(learning_rate(config)),
        ChartId::Speed => speed(history.series(TOKENS_PER_SEC)?),
        ChartId::ScoreAccuracy => {
            let [held_out, trained] = [HELD_OUT_SCORE_ACCURACY, SCORE_ACCURACY].map(|name| history.latest(name));
            let whose = if held_out.is_some() { "held-out pairs" } else { "last step's pairs" };
            Some(format!("The better answer has the higher score in {} of the {whose}", percent(held_out.or(trained)?)))
        }
        ChartId::ScoreLength => score_and_length(history),
        ChartId::Objective => {
            let (first, now) = (history.series(SAMPLED_SCORE)?.first()?, history.series(SAMPLED_SCORE)?.latest()?);
            Some(format!("Answers scored {} at the start and {} now", number(first[1]), number(now[1])))
        }
        ChartId::SampledKl => {
            Some(format!("An answer is {} nats from the reference, on average", number(history.latest(SAMPLED_KL)?)))
        }
        ChartId::Critic => {
            let foreseen = history.latest(EXPLAINED_VARIANCE)?;
            Some(if foreseen > 0.0 {
                format!("The critic foresees {} of what differs between answers", percent(foreseen))
            } else {
                "The critic foresees less than a constant would: advantages are noisier than without it".to_owned()
            })
        }
        ChartId::ScoreMargin => score_margin(history),
        ChartId::Scores => scores(history),
        ChartId::Entropy => entropy(history),
        ChartId::Ratios => ratios(history),
        ChartId::Completions => completions(history),
        // They are of the report, which has captions instead.
        ChartId::RewardMargin
        | ChartId::Rewards
        | ChartId::Retention
        | ChartId::Answers
        | ChartId::Negatives
        | ChartId::Weights => None,
    }
}

/// Of the share of answers that a rule counts.
pub fn of_a_rule(name: &str, rule: &str, history: &History) -> Option<String> {
    let share = ShareChange::of(name, Better::Neither, &|name| history.series(name).map(Series::points))?;
    let (now, [low, high]) = (percent(share.last.share), share.last.interval?.map(percent));
    let within = format!("{now} of the answers count as {rule}, {low} to {high} at 95 %");
    Some(match (share.first, share.turn()) {
        (None, _) => within,
        (Some(first), Some(ShareTurn::Unclear)) => {
            format!("{within}: not told from the {} at the start", percent(first.share))
        }
        (Some(first), _) => format!("{within}; {} at the start", percent(first.share)),
    })
}

/// Why charts of these titles are not there.
pub fn not_measured(titles: &[&str], record: &RunRecord) -> String {
    let titles = titles.join(", ");
    if record.away.is_some() {
        return format!("Not measured where it was trained: {titles}");
    }
    format!("Not measured: {titles}")
}

/// Before the policy of PPO learns there is no loss of its own.
fn warms_up(config: &RunConfig, history: &History) -> Option<String> {
    let is_alone = history.series(LOSS).is_none() && history.series(EXPLAINED_VARIANCE).is_some();
    is_alone.then(|| {
        format!(
            "The critic learns alone for {} first (ppo.critic_warmup): the policy has no loss until then",
            counted(config.ppo.critic_warmup as usize, "step", "steps")
        )
    })
}

fn loss(history: &History) -> Option<String> {
    let (series, whose) = match history.series(HELD_OUT_LOSS) {
        Some(series) => (series, "On held-out pairs"),
        None => (history.series(LOSS)?, "In training"),
    };
    let (first, now, (lowest, _)) = (series.first()?, series.latest()?, series.extremes()?);
    if first[0] == now[0] {
        return None;
    }
    let fell = first[1] - lowest[1];
    // A tenth of the way back is more than an evaluation's noise.
    let back = now[1] - lowest[1];
    let (from, to) = (number(first[1]), number(now[1]));
    Some(if fell <= 0.0 {
        format!("{whose} it has not fallen: {from} at the start, {to} now")
    } else if back > 0.1 * fell && lowest[0] < now[0] {
        format!("{whose} lowest at step {:.0} with {}, and {to} now: it has risen again", lowest[0], number(lowest[1]))
    } else {
        format!("{whose} from {from} to {to}, its lowest or near it")
    })
}

fn margin(history: &History) -> Option<String> {
    let recent = |name| history.series(name)?.recent(RECENT);
    if history.series(MARGIN_MIDDLE).is_none() {
        // Of what learns from sampled answers only held-out pairs are measured.
        let middle = history.latest(HELD_OUT_MARGIN_MIDDLE)?;
        let than = if middle > 0.0 { "more" } else { "no more" };
        return Some(format!(
            "Above 0 in {than} than half of the held-out pairs; the middle one is {}",
            number(middle)
        ));
    }
    let (low, middle, high) = (recent(MARGIN_LOW)?, recent(MARGIN_MIDDLE)?, recent(MARGIN_HIGH)?);
    let above = if low > 0.0 {
        "above 0 in nine of ten pairs or more"
    } else if middle > 0.0 {
        "above 0 in more than half of the pairs"
    } else if high > 0.0 {
        "above 0 in less than half of the pairs"
    } else {
        "above 0 in hardly a pair"
    };
    Some(format!("Of late {above}; the middle one is {}", number(middle)))
}

fn accuracy(history: &History) -> Option<String> {
    let held_out = history.latest(HELD_OUT_ACCURACY);
    let ends = history.latest(HELD_OUT_ACCURACY_LOW).zip(history.latest(HELD_OUT_ACCURACY_HIGH));
    let Some(held_out) = held_out else {
        let now = percent(history.series(ACCURACY)?.latest()?[1]);
        // Before the first step nothing is preferred, so held-out pairs have an accuracy from their second look on.
        let then = match history.series(HELD_OUT_PREFERENCE_LOSS) {
            Some(_) => "the next evaluation tells that of held-out pairs",
            None => "nothing is held out to compare with",
        };
        return Some(format!("{now} of the last step's pairs; {then}"));
    };
    let Some((low, high)) = ends else { return Some(format!("{} of the held-out pairs", percent(held_out))) };
    let chance = if (low..=high).contains(&0.5) { ": not told from guessing yet" } else { "" };
    Some(format!("{} of the held-out pairs, {} to {} at 95 %{chance}", percent(held_out), percent(low), percent(high)))
}

fn score_and_length(history: &History) -> Option<String> {
    let held_out = history.latest(HELD_OUT_SCORE_LENGTH);
    let whose = if held_out.is_some() { "on held-out pairs" } else { "of late" };
    let correlation = held_out.or_else(|| history.series(SCORE_LENGTH)?.recent(RECENT))?;
    let r = format!("{whose}, r = {}", number(correlation));
    Some(match correlation {
        0.5.. => format!("Longer answers have higher scores ({r}): what it pays for may be length"),
        ..-0.5 => format!("Shorter answers have higher scores ({r}): what it pays for may be brevity"),
        _ => format!("Scores and lengths hardly go together ({r})"),
    })
}

fn score_margin(history: &History) -> Option<String> {
    let trained = history.series(SCORE_MARGIN)?.recent(RECENT)?;
    let Some(held_out) = history.latest(HELD_OUT_SCORE_MARGIN) else {
        return Some(format!("Of late the better answer scores {} higher", number(trained)));
    };
    let learnt = if trained > 0.0 && held_out < trained / 2.0 { ": less than half carries over" } else { "" };
    let (held_out, trained) = (number(held_out), number(trained));
    Some(format!("The better answer scores {held_out} higher on held-out pairs, {trained} on those trained on{learnt}"))
}

fn scores(history: &History) -> Option<String> {
    let [mean, low, high] = [MEAN_SCORE, LOWEST_SCORE, HIGHEST_SCORE].map(|name| history.latest(name));
    Some(format!("Between {} and {}, {} on average", number(low?), number(high?), number(mean?)))
}

fn entropy(history: &History) -> Option<String> {
    let series = history.series(ENTROPY)?;
    let (first, now) = (series.first()?[1], series.recent(RECENT)?);
    let what = if now < first / 2.0 { ": it has come to say much the same" } else { "" };
    Some(format!("Of late {} nats a token, {} at the start{what}", number(now), number(first)))
}

fn ratios(history: &History) -> Option<String> {
    // Past it a token teaches nothing more; PPO's authors aim at a tenth to a fifth.
    const MANY: f64 = 0.3;
    let clipped = history.series(CLIPPED)?.recent(RECENT)?;
    let what = if clipped > MANY { ": updates go further than what they learn from allows" } else { "" };
    Some(format!("Of late {} are past the clip range{what}", percent(clipped)))
}

fn completions(history: &History) -> Option<String> {
    let series = history.series(SAMPLED_LENGTH)?;
    let (first, now) = (series.first()?[1], series.recent(RECENT)?);
    Some(format!("Of late {} tokens an answer, {} at the start", number(now.round()), number(first.round())))
}

fn drift(limit: Option<f64>, history: &History) -> Option<String> {
    let (name, now) = metrics::drift(|name| history.latest(name))?;
    let (_, highest) = history.series(name)?.extremes()?;
    let value = number(now);
    Some(match limit {
        Some(limit) if now > limit => format!("{name} is {value}, over its limit of {}", number(limit)),
        Some(limit) => format!("{name} is {value}, {} of its limit", percent(now / limit)),
        None if now.abs() < 1e-3 => format!("{name} is {value}: where it started, as good as"),
        None if now < 0.8 * highest[1] => {
            format!("{name} is {value}; it was {} at step {:.0} and came back", number(highest[1]), highest[0])
        }
        None => format!("{name} is {value} nats a token from the start model"),
    })
}

fn sleeping(series: &Series) -> Option<String> {
    let (first, now) = (series.first()?[1], series.recent(RECENT)?);
    Some(if now == 0.0 && first == 0.0 {
        "Every pair of the last steps is still pushed".to_owned()
    } else {
        format!("Of late {} of the pairs get almost no push; {} at the start", percent(now), percent(first))
    })
}

fn gradient(limit: f64, series: &Series) -> Option<String> {
    let (now, (_, highest)) = (series.latest()?, series.extremes()?);
    let most = format!("{} now, {} at its highest (step {:.0})", number(now[1]), number(highest[1]), highest[0]);
    Some(if limit > 0.0 && highest[1] > limit {
        format!("{most}; longer ones are scaled down to {}", number(limit))
    } else {
        most
    })
}

fn learning_rate(config: &RunConfig) -> String {
    let optimizer = &config.optimizer;
    let peak = number(optimizer.learning_rate);
    let rises = match optimizer.warmup_steps {
        0 => format!("{peak} from the first step"),
        steps => format!("Up to {peak} in {steps} steps"),
    };
    let goes_on = match optimizer.schedule {
        Schedule::Cosine => "then down a cosine to the last step",
        Schedule::Linear => "then down a line to the last step",
        Schedule::Constant => "then as it is",
    };
    format!("{rises}, {goes_on}")
}

fn speed(series: &Series) -> Option<String> {
    let (now, (slowest, fastest)) = (series.latest()?, series.extremes()?);
    let between = [now, slowest, fastest].map(|point| number(point[1].round()));
    let [now, slowest, fastest] = between;
    Some(if slowest == fastest {
        format!("{now} tokens a second")
    } else {
        format!("{now} tokens a second, between {slowest} and {fastest} so far")
    })
}

#[cfg(test)]
mod tests {
    use data::metrics::{KL_POLICY, KL_REF, judged};

    use super::*;

    /// Names and values, ten steps apart.
    type Metrics<'a> = &'a [(&'a str, &'a [f64])];

    fn history(metrics: Metrics<'_>) -> History {
        let mut history = History::default();
        for (name, values) in metrics {
            let points = (0..).map(f64::from).zip(*values).map(|(step, value)| [10.0 * step, *value]);
            history.series.insert((*name).to_owned(), Series::from_points(points));
        }
        history
    }

    #[test]
    fn each_chart_says_what_its_lines_come_to() {
        let mut config = RunConfig::default();
        config.train.kl_limit = Some(0.1);
        let cases: [(ChartId, Metrics<'_>, &str); 23] = [
            (
                ChartId::Loss,
                &[(HELD_OUT_LOSS, &[-0.5, -0.9, -0.7])],
                "On held-out pairs lowest at step 10 with −0.9, and −0.7",
            ),
            (ChartId::Loss, &[(LOSS, &[0.7, 0.5, 0.3])], "In training from 0.7 to 0.3, its lowest"),
            (ChartId::Loss, &[(LOSS, &[0.7, 0.8])], "it has not fallen: 0.7"),
            (
                ChartId::Margin,
                &[(MARGIN_LOW, &[-1.0]), (MARGIN_MIDDLE, &[2.5]), (MARGIN_HIGH, &[4.0])],
                "Of late above 0 in more than half of the pairs; the middle one is 2.5",
            ),
            (
                ChartId::Margin,
                &[(HELD_OUT_MARGIN_MIDDLE, &[0.0, 1.5])],
                "Above 0 in more than half of the held-out pairs; the middle one is 1.5",
            ),
            (
                ChartId::Accuracy,
                &[(HELD_OUT_ACCURACY, &[0.6]), (HELD_OUT_ACCURACY_LOW, &[0.45]), (HELD_OUT_ACCURACY_HIGH, &[0.73])],
                "60 % of the held-out pairs, 45 % to 73 % at 95 %: not told from guessing",
            ),
            (ChartId::Accuracy, &[(ACCURACY, &[0.5])], "50 % of the last step's pairs; nothing is held out"),
            (
                ChartId::Accuracy,
                &[(ACCURACY, &[0.5]), (HELD_OUT_PREFERENCE_LOSS, &[-0.5])],
                "the next evaluation tells that of held-out pairs",
            ),
            (ChartId::Moved, &[(CHOSEN_CHANGE, &[2.0]), (REJECTED_CHANGE, &[-3.0])], "from both sides"),
            (ChartId::Drift, &[(KL_REF, &[0.0, 0.05])], "kl/ref is 0.05, 50 % of its limit"),
            (ChartId::Drift, &[(KL_REF, &[0.0, 0.2])], "over its limit of 0.1"),
            (
                ChartId::Drift,
                &[(KL_REF, &[0.0, 0.02]), (KL_POLICY, &[0.0, 0.3])],
                "kl/policy_k3 is 0.3, over its limit of 0.1",
            ),
            (
                ChartId::Sleeping,
                &[(SLEEPING, &[0.25, 0.75])],
                "Of late 50 % of the pairs get almost no push; 25 % at the start",
            ),
            (
                ChartId::Gradient,
                &[(GRADIENT_NORM, &[0.5, 9.0, 0.75])],
                "0.75 now, 9 at its highest (step 10); longer ones are scaled down to 1",
            ),
            (ChartId::LearningRate, &[], "steps, then down a cosine"),
            (
                ChartId::Speed,
                &[(TOKENS_PER_SEC, &[900.2, 1500.0])],
                "1500 tokens a second, between 900 and 1500 so far",
            ),
            (
                ChartId::ScoreMargin,
                &[(SCORE_MARGIN, &[0.0, 4.0]), (HELD_OUT_SCORE_MARGIN, &[0.5])],
                "0.5 higher on held-out pairs, 2 on those trained on: less than half carries over",
            ),
            (
                ChartId::ScoreLength,
                &[(SCORE_LENGTH, &[0.1]), (HELD_OUT_SCORE_LENGTH, &[0.6])],
                "Longer answers have higher scores (on held-out pairs, r = 0.6): what it pays for may be length",
            ),
            (ChartId::ScoreLength, &[(SCORE_LENGTH, &[0.1, 0.7])], "hardly go together (of late, r = 0.4)"),
            (
                ChartId::Scores,
                &[(MEAN_SCORE, &[1.0]), (LOWEST_SCORE, &[-2.0]), (HIGHEST_SCORE, &[3.0])],
                "Between −2 and 3, 1 on average",
            ),
            (ChartId::Entropy, &[(ENTROPY, &[2.0, 0.5, 0.5])], "1 nats a token, 2 at the start"),
            (ChartId::Ratios, &[(CLIPPED, &[0.25, 0.75])], "50 % are past the clip range: updates go further"),
            (ChartId::Completions, &[(SAMPLED_LENGTH, &[20.0, 31.0])], "Of late 26 tokens an answer, 20 at the start"),
        ];
        for (chart, metrics, expected) in cases {
            let said = sentence(chart, &config, &history(metrics)).unwrap();
            assert!(said.contains(expected), "{chart:?}: {said}");
        }
        assert_eq!(sentence(ChartId::Loss, &config, &history(&[])), None);
        let said = sentence(ChartId::Loss, &config, &history(&[(EXPLAINED_VARIANCE, &[-0.2])])).unwrap();
        assert!(said.starts_with("The critic learns alone for 4 steps first"), "{said}");
    }

    #[test]
    fn a_judged_share_is_told_from_its_start_or_not() {
        let name = judged::share("manner");
        let [low, high] = judged::interval(&name);
        let said = |last: f64| {
            let history = history(&[(&name, &[0.4, last]), (&low, &[0.3, last - 0.1]), (&high, &[0.5, last + 0.1])]);
            of_a_rule(&name, "manner", &history).unwrap()
        };
        assert_eq!(
            said(0.45),
            "45 % of the answers count as manner, 35 % to 55 % at 95 %: not told from the 40 % at the start"
        );
        assert_eq!(said(0.75), "75 % of the answers count as manner, 65 % to 85 % at 95 %; 40 % at the start");
    }
}
