//! What a run came to, in ordinary words: what it makes of the pairs, what became of the answers that rules count, how
//! far it is from where it started. Nothing is called better or worse that its 95 % intervals do not support.

use super::{
    ACCURACY, Better, HELD_OUT_ACCURACY, HELD_OUT_MARGIN, HELD_OUT_SCORE_ACCURACY, SAMPLED_SCORE, SCORE_ACCURACY,
    drift, interval, judged, value, with_interval,
};
use crate::{across::Point, config::Method, number, percent};

/// What every step measures is noisy: so many of the first and of the last steps are taken together.
const FEW: usize = 10;
/// The accuracy of one who does not know.
const GUESSING: f64 = 0.5;

/// Which way a share went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareTurn {
    Better,
    Worse,
    /// Where neither way is better.
    Risen,
    Fallen,
    Unclear,
}

impl ShareTurn {
    /// From one 95 % interval to a later one; clear where they do not overlap.
    pub fn between(first: [f64; 2], last: [f64; 2], better: Better) -> Self {
        match (last[0] > first[1], last[1] < first[0], better) {
            (true, _, Better::More) | (_, true, Better::Less) => Self::Better,
            (true, _, Better::Less) | (_, true, Better::More) => Self::Worse,
            (true, _, Better::Neither) => Self::Risen,
            (_, true, Better::Neither) => Self::Fallen,
            // Also where an end is no number.
            (false, false, _) => Self::Unclear,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Risen => "risen",
            Self::Fallen => "fallen",
            Self::Unclear => "no clear change",
        }
    }
}

/// A share as an evaluation gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ShareThen {
    pub step: u64,
    pub share: f64,
    /// The ends of its 95 % interval.
    pub interval: Option<[f64; 2]>,
}

impl ShareThen {
    fn of<'p>(metric: &str, at: Point, points: &impl Fn(&str) -> Option<&'p [Point]>) -> Self {
        let then = |name: &String| points(name)?.iter().rev().find(|point| point[0] == at[0]).map(|point| point[1]);
        let [low, high] = interval(metric);
        let interval = then(&low).zip(then(&high)).map(|(low, high)| [low, high]);
        Self { step: at[0] as u64, share: at[1], interval }
    }

    /// "87.5 % (83 to 91 %)".
    fn told(self) -> String {
        with_interval(percent(self.share), self.interval)
    }
}

/// A share from its first evaluation to its last.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareChange {
    pub metric: String,
    pub better: Better,
    /// Absent where it was measured once.
    pub first: Option<ShareThen>,
    pub last: ShareThen,
}

impl ShareChange {
    /// Nothing where it was not measured.
    pub fn of<'p>(metric: &str, better: Better, points: &impl Fn(&str) -> Option<&'p [Point]>) -> Option<Self> {
        let all = points(metric)?;
        let last = ShareThen::of(metric, *all.last()?, points);
        let first = Some(ShareThen::of(metric, *all.first()?, points)).filter(|first| first.step < last.step);
        Some(Self { metric: metric.to_owned(), better, first, last })
    }

    pub fn turn(&self) -> Option<ShareTurn> {
        Some(ShareTurn::between(self.first?.interval?, self.last.interval?, self.better))
    }

    /// "manner 32 % → 96 %".
    pub fn course(&self) -> String {
        let rounded = |then: ShareThen| format!("{:.0} %", then.share * 100.0);
        let both: Vec<String> = self.first.into_iter().chain([self.last]).map(rounded).collect();
        format!("{} {}", self.name(), both.join(" → "))
    }

    /// "manner 32.3 % (26 to 39 %) at step 0, 95.8 % (92 to 98 %) at step 60. More is better".
    pub fn in_full(&self) -> String {
        let told = |then: ShareThen| format!("{} at step {}", then.told(), then.step);
        let both: Vec<String> = self.first.into_iter().chain([self.last]).map(told).collect();
        let way = match self.better {
            Better::More => ". More is better",
            Better::Less => ". Less is better",
            Better::Neither => "",
        };
        format!("{} {}{way}", self.name(), both.join(", "))
    }

    fn name(&self) -> &str {
        judged::rule(&self.metric).unwrap_or(&self.metric)
    }
}

/// What a run makes of pairs that it has not learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learnt {
    MoreThanGuessing,
    /// Its interval holds what guessing has.
    NotTold,
    /// It prefers what was rejected.
    LessThanGuessing,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CameTo {
    /// Absent where nothing was measured that could tell.
    pub learnt: Option<Learnt>,
    /// Of the pairs, of scores and of the drift, each without a full stop.
    pub sentences: Vec<String>,
    /// What rules count, in their order.
    pub shares: Vec<ShareChange>,
}

impl CameTo {
    /// Of a run of this method that has come to `step`. `shares`: what rules count, and which way is better. `points`:
    /// a metric's values, in the order of their steps. Nothing where nothing was measured.
    pub fn of<'p>(
        method: Method,
        step: u64,
        shares: impl IntoIterator<Item = (String, Better)>,
        points: impl Fn(&str) -> Option<&'p [Point]>,
    ) -> Option<Self> {
        let shares = shares.into_iter().filter_map(|(metric, better)| ShareChange::of(&metric, better, &points));
        let mut came_to = Self { shares: shares.collect(), ..Self::default() };
        if method == Method::Reward {
            came_to.sentences.extend(of_scores(&points));
        } else {
            came_to.sentences.extend(of_sampled(&points));
            came_to.learn_of_pairs(step, &points);
            came_to.sentences.extend(of_drift(&points));
        }
        (!came_to.sentences.is_empty() || !came_to.shares.is_empty()).then_some(came_to)
    }

    /// All of it, for those who read and cannot point: "Judged answers: manner 32 % → 96 %, better".
    pub fn in_full(&self) -> Vec<String> {
        let told = |share: &ShareChange| match share.turn() {
            Some(turn) => format!("{}, {}", share.course(), turn.words()),
            None => share.course(),
        };
        let shares: Vec<String> = self.shares.iter().map(told).collect();
        let judged = (!shares.is_empty()).then(|| format!("Judged answers: {}", shares.join("; ")));
        self.sentences.iter().cloned().chain(judged).collect()
    }

    fn learn_of_pairs<'p>(&mut self, step: u64, points: &impl Fn(&str) -> Option<&'p [Point]>) {
        let [accuracy, margin] = [HELD_OUT_ACCURACY, HELD_OUT_MARGIN].map(|name| last(points(name)));
        let sentence = match (accuracy, margin) {
            (_, Some([at, margin])) if !margin.is_finite() => {
                Some(format!("What the held-out pairs gave at step {at:.0} is not a number"))
            }
            (Some(accuracy), margin) if margin.is_none_or(|margin| margin[0] <= accuracy[0]) => {
                let accuracy = ShareThen::of(HELD_OUT_ACCURACY, accuracy, points);
                Some(self.learn_of_held_out(accuracy, step))
            }
            (_, Some([0.0, _])) => Some(
                "The held-out pairs were looked at before the first step only: what it makes of them is not known"
                    .to_owned(),
            ),
            (_, Some(_)) => Some("It prefers no answer of the held-out pairs more than it did at the start".to_owned()),
            (_, None) => of_trained_on(points),
        };
        self.sentences.extend(sentence);
    }

    fn learn_of_held_out(&mut self, accuracy: ShareThen, step: u64) -> String {
        let when = if accuracy.step < step {
            format!(" at step {}, its last evaluation", accuracy.step)
        } else {
            String::new()
        };
        let told = format!("Held-out accuracy {}{when}", accuracy.told());
        self.learnt = accuracy.interval.map(|[low, high]| match () {
            () if low > GUESSING => Learnt::MoreThanGuessing,
            () if high < GUESSING => Learnt::LessThanGuessing,
            () => Learnt::NotTold,
        });
        match self.learnt {
            Some(Learnt::MoreThanGuessing) => format!("{told}, above guessing"),
            Some(Learnt::NotTold) => format!("{told}, not told from guessing"),
            Some(Learnt::LessThanGuessing) => format!("{told}, below guessing: it prefers what was rejected"),
            None => format!("{told}; guessing has {}", percent(GUESSING)),
        }
    }
}

/// Of a reward model.
fn of_scores<'p>(points: &impl Fn(&str) -> Option<&'p [Point]>) -> Option<String> {
    let guessing = percent(GUESSING);
    if let Some([_, share]) = last(points(HELD_OUT_SCORE_ACCURACY)) {
        return Some(format!(
            "Its scores put {} of the held-out pairs in order; guessing has {guessing}",
            percent(share)
        ));
    }
    let (_, of_late) = few(points(SCORE_ACCURACY)?)?;
    Some(format!("Its scores put {} of the last steps' pairs in order; none were held out", percent(of_late)))
}

/// Of what learns from answers that it samples.
fn of_sampled<'p>(points: &impl Fn(&str) -> Option<&'p [Point]>) -> Option<String> {
    let (first, of_late) = few(points(SAMPLED_SCORE)?)?;
    let of_late = number(of_late);
    Some(match first {
        Some(first) => format!("Its answers score {of_late} of late, {} at first", number(first)),
        None => format!("Its answers score {of_late}"),
    })
}

fn of_trained_on<'p>(points: &impl Fn(&str) -> Option<&'p [Point]>) -> Option<String> {
    let (_, of_late) = few(points(ACCURACY)?)?;
    let share = percent(of_late);
    Some(format!("{share} of the last steps' pairs are in order; none were held out, so of others nothing is known"))
}

fn of_drift<'p>(points: &impl Fn(&str) -> Option<&'p [Point]>) -> Option<String> {
    let (name, far) = drift(|name| Some(last(points(name))?[1]))?;
    Some(format!("Moved {} nats a token from its start ({name})", value(name, far)))
}

fn last(points: Option<&[Point]>) -> Option<Point> {
    points?.last().copied()
}

/// Means over a few of the first and of the last values, as far as they are numbers; of the last alone where there are
/// not enough for both.
fn few(points: &[Point]) -> Option<(Option<f64>, f64)> {
    let count = FEW.min(points.len().div_ceil(2));
    let mean = |points: &[Point]| {
        let values: Vec<f64> = points.iter().map(|point| point[1]).filter(|value| value.is_finite()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let (before, of_late) = points.split_at(points.len() - count);
    Some((before.get(..count).and_then(mean), mean(of_late)?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{
        super::{HELD_OUT_ACCURACY_HIGH, HELD_OUT_ACCURACY_LOW, KL_POLICY, KL_REF},
        *,
    };

    /// Names and values, fifty steps apart.
    type Measured<'v> = &'v [(&'v str, &'v [f64])];

    fn curves(metrics: Measured<'_>) -> BTreeMap<String, Vec<Point>> {
        let points = |values: &[f64]| (0..).map(f64::from).zip(values).map(|(n, value)| [50.0 * n, *value]).collect();
        metrics.iter().map(|(name, values)| ((*name).to_owned(), points(values))).collect()
    }

    fn came_to(method: Method, step: u64, metrics: Measured<'_>) -> Option<CameTo> {
        let curves = curves(metrics);
        CameTo::of(method, step, [], |name| curves.get(name).map(Vec::as_slice))
    }

    fn said(method: Method, step: u64, metrics: Measured<'_>) -> String {
        came_to(method, step, metrics).unwrap().in_full().join(". ")
    }

    #[test]
    fn what_intervals_do_not_support_is_not_said() {
        let (low, middle, high) = ([0.1, 0.2], [0.15, 0.3], [0.8, 0.9]);
        for (first, last, better, turn) in [
            (low, high, Better::More, ShareTurn::Better),
            (high, low, Better::More, ShareTurn::Worse),
            (low, high, Better::Less, ShareTurn::Worse),
            (high, low, Better::Less, ShareTurn::Better),
            (low, high, Better::Neither, ShareTurn::Risen),
            (high, low, Better::Neither, ShareTurn::Fallen),
            (low, middle, Better::More, ShareTurn::Unclear),
            ([f64::NAN; 2], high, Better::More, ShareTurn::Unclear),
        ] {
            assert_eq!(ShareTurn::between(first, last, better), turn, "{first:?} to {last:?}, {better:?}");
        }
    }

    #[test]
    fn judged_shares_are_told_from_first_to_last() {
        let [manner, spill] = ["manner", "spill"].map(judged::share);
        let ([manner_low, manner_high], [spill_low, spill_high]) =
            (judged::interval(&manner), judged::interval(&spill));
        let curves = curves(&[
            (&manner, &[0.323, 0.9, 0.958]),
            (&manner_low, &[0.26, 0.85, 0.92]),
            (&manner_high, &[0.39, 0.94, 0.98]),
            (&spill, &[0.02, 0.1, 0.05]),
            (&spill_low, &[0.01, 0.05, 0.02]),
            (&spill_high, &[0.06, 0.15, 0.1]),
        ]);
        let shares = [(manner, Better::More), (spill, Better::Less), (judged::share("gone"), Better::More)];
        let came_to = CameTo::of(Method::Mpo, 100, shares, |name| curves.get(name).map(Vec::as_slice)).unwrap();
        assert_eq!(came_to.in_full(), ["Judged answers: manner 32 % → 96 %, better; spill 2 % → 5 %, no clear change"]);
        assert_eq!(
            came_to.shares[0].in_full(),
            "manner 32.3 % (26 to 39 %) at step 0, 95.8 % (92 to 98 %) at step 100. More is better"
        );
        let once = ShareChange { first: None, ..came_to.shares[0].clone() };
        assert_eq!((once.turn(), once.course()), (None, "manner 96 %".to_owned()));
    }

    #[test]
    fn accuracy_is_read_against_guessing() {
        let held_out = |accuracy: f64, step| {
            let (low, high) = (accuracy - 0.1, accuracy + 0.1);
            let metrics: [(&str, &[f64]); 4] = [
                (HELD_OUT_ACCURACY, &[0.6, accuracy]),
                (HELD_OUT_ACCURACY_LOW, &[0.5, low]),
                (HELD_OUT_ACCURACY_HIGH, &[0.7, high]),
                (HELD_OUT_MARGIN, &[0.5, 1.0]),
            ];
            let came_to = came_to(Method::Dpo, step, &metrics).unwrap();
            (came_to.learnt.unwrap(), came_to.sentences.join(". "))
        };
        assert_eq!(
            held_out(0.775, 50),
            (Learnt::MoreThanGuessing, "Held-out accuracy 77.5 % (68 to 88 %), above guessing".to_owned())
        );
        let (learnt, sentence) = held_out(0.55, 80);
        assert_eq!(learnt, Learnt::NotTold);
        assert!(sentence.contains(" at step 50, its last evaluation, not told from guessing"), "{sentence}");
        let (learnt, sentence) = held_out(0.3, 50);
        assert_eq!(learnt, Learnt::LessThanGuessing);
        assert!(sentence.ends_with("below guessing: it prefers what was rejected"), "{sentence}");
    }

    #[test]
    fn where_less_was_measured_less_is_said() {
        let nan = f64::NAN;
        let cases: [(Method, Measured<'_>, &str); 9] = [
            (Method::Mpo, &[(HELD_OUT_ACCURACY, &[0.5, 0.75])], "Held-out accuracy 75 %; guessing has 50 %"),
            (Method::Mpo, &[(HELD_OUT_MARGIN, &[0.0])], "were looked at before the first step only"),
            (Method::Mpo, &[(HELD_OUT_MARGIN, &[0.0, 1e-6])], "prefers no answer of the held-out pairs more"),
            (
                Method::Mpo,
                &[(HELD_OUT_MARGIN, &[0.0, nan]), (HELD_OUT_ACCURACY, &[0.5, 0.0])],
                "What the held-out pairs gave at step 50 is not a number",
            ),
            (
                Method::Ipo,
                &[(ACCURACY, &[0.5, 0.7, 0.9])],
                "80 % of the last steps' pairs are in order; none were held",
            ),
            (
                Method::Mpo,
                &[(KL_REF, &[0.0, 0.02]), (KL_POLICY, &[0.0, nan])],
                "Moved 0.02 nats a token from its start (kl/ref)",
            ),
            (
                Method::Ppo,
                &[(SAMPLED_SCORE, &[-0.5, 0.0, 1.0, 1.5]), (HELD_OUT_ACCURACY, &[0.6, 0.7])],
                "Its answers score 1.25 of late, −0.25 at first. Held-out accuracy 70 %",
            ),
            (Method::Grpo, &[(SAMPLED_SCORE, &[0.5])], "Its answers score 0.5"),
            (
                Method::Reward,
                &[(HELD_OUT_SCORE_ACCURACY, &[0.5, 0.8]), (KL_REF, &[1.0])],
                "Its scores put 80 % of the held-out pairs in order; guessing has 50 %",
            ),
        ];
        for (method, metrics, expected) in cases {
            let said = said(method, 50, metrics);
            assert!(said.contains(expected), "{said}");
        }
        assert_eq!(came_to(Method::Mpo, 0, &[]), None);
        assert_eq!(came_to(Method::Mpo, 1, &[("loss", &[nan]), (ACCURACY, &[nan])]), None);
    }
}
