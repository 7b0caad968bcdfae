//! Which shares tell runs apart, in a sentence: what each has gained stands before what it took.

use super::{HELD_OUT_ACCURACY, interval, judged, value};

/// More runs than these are told by the one that has most and the one that has least.
const EACH: usize = 3;

/// Where a run stands, or runs that differ in their seed only as their mean: a share and its 95 % interval, of several
/// the widest.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareOfRuns {
    pub name: String,
    pub share: f64,
    pub interval: [f64; 2],
}

impl ShareOfRuns {
    /// `runs`: what each measured last, by the metric's name. Nothing where one of them has not measured it, or not its
    /// interval.
    pub fn of(name: &str, metric: &str, runs: &[impl Fn(&str) -> Option<f64>]) -> Option<Self> {
        let each = |metric: &str| runs.iter().map(|of| of(metric)).collect::<Option<Vec<f64>>>();
        let [low, high] = interval(metric).map(|end| each(&end));
        let shares = each(metric).filter(|shares| !shares.is_empty())?;
        Some(Self {
            name: name.to_owned(),
            share: shares.iter().sum::<f64>() / shares.len() as f64,
            interval: [low?.into_iter().reduce(f64::min)?, high?.into_iter().reduce(f64::max)?],
        })
    }
}

/// "Told apart where they stand, at 95 %: held-out accuracy 76.6 % with MPO, 69.3 % with DPO; manner 92.7 % with MPO,
/// 52.1 % with DPO". Of shares in which the intervals of the highest and the lowest overlap nothing is said.
pub fn told_apart(shares: &[(String, Vec<ShareOfRuns>)]) -> Option<String> {
    let said: Vec<String> = shares.iter().filter_map(|(metric, standings)| one(metric, standings)).collect();
    (!said.is_empty()).then(|| format!("Told apart where they stand, at 95 %: {}", said.join("; ")))
}

fn one(metric: &str, standings: &[ShareOfRuns]) -> Option<String> {
    let mut falling: Vec<&ShareOfRuns> = standings.iter().collect();
    falling.sort_by(|one, other| other.share.total_cmp(&one.share));
    let (most, least) = (*falling.first()?, *falling.last()?);
    if falling.len() > EACH {
        falling = vec![most, least];
    }
    let what = if metric == HELD_OUT_ACCURACY { "held-out accuracy" } else { judged::rule(metric).unwrap_or(metric) };
    let each: Vec<String> = falling.iter().map(|it| format!("{} with {}", value(metric, it.share), it.name)).collect();
    // Also of what is no number nothing is said.
    (most.interval[0] > least.interval[1]).then(|| format!("{what} {}", each.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(name: &str, share: f64) -> ShareOfRuns {
        ShareOfRuns { name: name.to_owned(), share, interval: [share - 0.05, share + 0.05] }
    }

    #[test]
    fn what_intervals_tell_apart_is_told_with_the_highest_first() {
        let manner = judged::share("manner");
        let shares = [
            (HELD_OUT_ACCURACY.to_owned(), vec![standing("DPO", 0.693), standing("MPO", 0.766)]),
            (manner.clone(), vec![standing("DPO", 0.521), standing("MPO", 0.927)]),
        ];
        assert_eq!(
            told_apart(&shares).unwrap(),
            "Told apart where they stand, at 95 %: manner 92.7 % with MPO, 52.1 % with DPO",
            "intervals of the accuracies overlap"
        );
        let names = ["A", "B", "C", "D"];
        let four = names.iter().zip([0.2, 0.9, 0.5, 0.1]).map(|(name, share)| standing(name, share)).collect();
        assert!(told_apart(&[(manner.clone(), four)]).unwrap().ends_with("manner 90 % with B, 10 % with D"));
        assert_eq!(told_apart(&[(manner.clone(), vec![standing("A", 0.5)])]), None);
        assert_eq!(told_apart(&[(manner, vec![standing("A", 0.5), standing("B", f64::NAN)])]), None);
        assert_eq!(told_apart(&[]), None);
    }

    #[test]
    fn seeds_stand_as_their_mean_with_the_widest_interval() {
        let run = |share: f64| {
            move |name: &str| {
                let [low, high] = interval(HELD_OUT_ACCURACY);
                [(HELD_OUT_ACCURACY.to_owned(), share), (low, share - 0.1), (high, share + 0.1)]
                    .into_iter()
                    .find_map(|(known, value)| (known == name).then_some(value))
            }
        };
        let of = ShareOfRuns::of("MPO", HELD_OUT_ACCURACY, &[run(0.5), run(0.75)]).unwrap();
        assert_eq!((of.share, of.interval), (0.625, [0.4, 0.85]));
        assert_eq!(ShareOfRuns::of("MPO", "judged/manner", &[run(0.5)]), None);
        assert_eq!(ShareOfRuns::of("MPO", HELD_OUT_ACCURACY, &[] as &[fn(&str) -> Option<f64>]), None);
    }
}
