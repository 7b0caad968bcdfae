//! One function an alarm: whether the numbers say so, since which step, and the sentence.
//!
//! The bounds were found with the demo, whose nine healthy runs (three methods, three seeds) stay well below all of
//! them, and with runs that were broken on purpose; `tests` says how each was made.

use super::{
    AlarmKind,
    seen::{FEW, Seen},
};
use crate::{
    config::Method,
    digits,
    metrics::{
        self, CHOSEN_CHANGE, END_KNOWN, ENDED, ENDED_HIGH, ENDED_LOW, HELD_OUT_ACCURACY, HELD_OUT_ACCURACY_HIGH,
        HELD_OUT_ACCURACY_LOW, HELD_OUT_MARGIN, HELD_OUT_MARGIN_HIGH, HELD_OUT_MARGIN_LOW, OWN_MARKS_GAIN,
        PREFERENCE_LOSS, REFERENCE_ENDED, REJECTED_CHANGE,
    },
};

/// The first step that says so, and the sentence.
type Raised = Option<(u64, String)>;

type Rule = fn(&Seen) -> Raised;

/// All rules; those that explain others come first.
pub const ALL: &[(AlarmKind, Rule)] = &[
    (AlarmKind::StrangeText, strange_text),
    (AlarmKind::RateTooHigh, rate_too_high),
    (AlarmKind::RateTooLow, rate_too_low),
    (AlarmKind::BetaTooLarge, beta_too_large),
    (AlarmKind::BetaTooSmall, beta_too_small),
    (AlarmKind::Asleep, asleep),
    (AlarmKind::Saturated, saturated),
    (AlarmKind::ChosenFalls, chosen_falls),
    (AlarmKind::HeldOutFalls, held_out_falls),
    (AlarmKind::DriftTooLarge, drift_too_large),
    (AlarmKind::NeverEnds, never_ends),
    (AlarmKind::Repeats, repeats),
    (AlarmKind::GradientSpikes, gradient_spikes),
    (AlarmKind::ReferenceFights, reference_fights),
];

/// Nats a token on reference answers before the first step: a model finds its own answers likely.
const STRANGE: f64 = 3.0;
/// Nats a token that answers are likelier between other marks.
const GAIN: f64 = 0.01;
/// Share of answers that end by themselves, of a model that knows how.
const MOST_END: f64 = 0.5;
/// The pairs' loss over what it was before the first step, where hardly an answer has moved.
const WORSE: f64 = 2.0;
/// Nats that an answer has to lose, or this share of its log-prob at step 0 where that is more.
const FALL: (f64, f64) = (3.0, 0.1);
/// Nats that an adapter at a usable rate has moved answers by, some steps after the warm-up.
const STILL: f64 = 0.02;
const STEPS_TO_MOVE: usize = 30;
/// Of λ ref: a pair pulls by a quarter of β at most, and below this nobody hears it beside the reference answers.
const UNHEARD: f64 = 0.01;
/// Share of pairs without a push, and the share won that tells rest from stupor.
const MOST_ASLEEP: f64 = 0.7;
const ALL_ASLEEP: f64 = 0.95;
const WON: f64 = 0.85;
/// Nats a token: at half a nat about every second token has another favourite.
const FAR: f64 = 0.5;
/// A step's norm over the median of those before it, and how often.
const SPIKE: f64 = 10.0;
const SPIKES: usize = 2;

fn strange_text(seen: &Seen) -> Raised {
    let start = seen.of("eval_loss/reference").at_start().unwrap_or(0.0);
    if start > STRANGE {
        let text = format!(
            "Before the first step the model gives its reference answers {start:.1} nats a token, which it would find likely if it \
             had written them so: is the chat template the one that it was trained with?"
        );
        return Some((0, text));
    }
    let gain = seen.of(OWN_MARKS_GAIN).at_start().unwrap_or(0.0);
    if gain > GAIN {
        let text = format!(
            "Before the first step the pairs' answers are {gain:.2} nats a token likelier between the turn marks that the tokenizer has \
             than as turns are written now: is the chat template the one that the model was trained with?"
        );
        return Some((0, text));
    }
    // An answer that is longer than a sample may be is cut too: how many of its own would end, the reference answers
    // tell.
    let (ended, high) = (seen.of(ENDED).at_start()?, seen.of(ENDED_HIGH).at_start()?);
    let expected = seen.of(REFERENCE_ENDED).at_start()?;
    (ended < MOST_END && high < expected).then(|| {
        let text = format!(
            "Before the first step only {:.0} % of the model's answers end by themselves, and {:.0} % of its reference answers are \
             short enough to: is the chat template the one that it was trained with?",
            ended * 100.0,
            expected * 100.0
        );
        (0, text)
    })
}

/// With the sign that numbers have elsewhere.
fn signed(nats: f64, decimals: usize) -> String {
    format!("{nats:.decimals$}").replace('-', "−")
}

/// How far an answer may fall: more where answers are long.
fn bound(seen: &Seen) -> Option<f64> {
    let change = seen.of(CHOSEN_CHANGE).latest()?.1;
    let at_start = seen.of("logps/chosen").latest()?.1 - change;
    Some(FALL.0.max(FALL.1 * at_start.abs()))
}

pub fn rate_too_high(seen: &Seen) -> Raised {
    let (from, chosen) = seen.of(CHOSEN_CHANGE).recent()?;
    let (_, rejected) = seen.of(REJECTED_CHANGE).recent()?;
    let bound = bound(seen)?;
    let both_fall = chosen < -bound && rejected < -bound;
    (both_fall && chosen - rejected < bound / 2.0).then(|| {
        let text = format!(
            "Chosen and rejected answers both lose probability ({} and {} nats over the last {FEW} steps) and the margin does not grow: \
             the learning rate tears the model apart",
            signed(chosen, 1),
            signed(rejected, 1)
        );
        (from, text)
    })
}

fn rate_too_low(seen: &Seen) -> Raised {
    let (from, moved) = still(seen).filter(|_| !is_unheard(seen))?;
    let text = format!(
        "After {} steps the answers' log-probs have hardly moved ({moved:.3} nats): the learning rate is too low to teach anything",
        seen.of(CHOSEN_CHANGE).count()
    );
    Some((from, text))
}

fn beta_too_small(seen: &Seen) -> Raised {
    let (from, moved) = still(seen).filter(|_| is_unheard(seen))?;
    let text = format!(
        "After {} steps the answers' log-probs have hardly moved ({moved:.3} nats): at β = {} the pairs weigh next to nothing beside \
         λ ref {}",
        seen.of(CHOSEN_CHANGE).count(),
        digits(seen.beta),
        digits(seen.held)
    );
    Some((from, text))
}

/// How far answers have moved where that is next to nothing.
fn still(seen: &Seen) -> Option<(u64, f64)> {
    let (chosen, rejected) = (seen.of(CHOSEN_CHANGE), seen.of(REJECTED_CHANGE));
    if chosen.count() < STEPS_TO_MOVE + seen.warmup as usize {
        return None;
    }
    let (from, moved) = chosen.recent()?;
    let moved = moved.abs().max(rejected.recent()?.1.abs());
    (moved < STILL).then_some((from, moved))
}

fn is_unheard(seen: &Seen) -> bool {
    matches!(seen.method, Method::Mpo | Method::Dpo) && seen.beta < UNHEARD * seen.held
}

/// Whatever wins a pair in a step loses others: a loss that has no upper end tells it.
fn beta_too_large(seen: &Seen) -> Raised {
    if seen.method != Method::Dpo {
        return None;
    }
    let loss = seen.of(PREFERENCE_LOSS);
    let (start, (from, now)) = (loss.first()?, loss.recent()?);
    let (chosen, rejected) = (seen.of(CHOSEN_CHANGE).recent()?.1, seen.of(REJECTED_CHANGE).recent()?.1);
    let moved = chosen.abs().max(rejected.abs());
    (start > 0.0 && now > WORSE * start && moved < FALL.0).then(|| {
        let text = format!(
            "The pairs' loss is {now:.1} over the last {FEW} steps, {start:.1} before the first one, and answers have moved by \
             {moved:.2} nats: at β = {} so little already wins a pair outright, or loses it",
            digits(seen.beta)
        );
        (from, text)
    })
}

fn asleep(seen: &Seen) -> Raised {
    let (from, asleep) = seen.of("push/asleep").recent()?;
    let (_, won) = seen.of("rewards/accuracies").recent()?;
    (asleep > MOST_ASLEEP && won < WON).then(|| {
        let why = if seen.method == Method::Ipo {
            "most have the margin that τ asks for, and the rest do not come to it"
        } else {
            "β is so large that a small margin, right or wrong, already counts as settled"
        };
        let text = format!(
            "{:.0} % of the pairs get almost no push, but only {:.0} % are won: {why}",
            asleep * 100.0,
            won * 100.0
        );
        (from, text)
    })
}

fn saturated(seen: &Seen) -> Raised {
    let (from, asleep) = seen.of("push/asleep").recent()?;
    let (_, won) = seen.of("rewards/accuracies").recent()?;
    (asleep > ALL_ASLEEP && won >= WON).then(|| {
        let text = format!(
            "{:.0} % of the pairs are won and get almost no push: further steps teach nothing more and may still drift",
            asleep * 100.0
        );
        (from, text)
    })
}

fn chosen_falls(seen: &Seen) -> Raised {
    let (from, chosen) = seen.of(CHOSEN_CHANGE).recent()?;
    let (_, rejected) = seen.of(REJECTED_CHANGE).recent()?;
    (chosen < -bound(seen)?).then(|| {
        let text = format!(
            "The margin grows because rejected answers fall faster ({} nats), but the chosen ones fell too, by {:.1} nats: both lose to \
             answers that nobody wrote",
            signed(rejected, 1),
            -chosen
        );
        (from, text)
    })
}

fn held_out_falls(seen: &Seen) -> Raised {
    let held_out = seen.of(HELD_OUT_MARGIN);
    let (_, trained) = seen.of("rewards/margins").recent()?;
    let (_, now) = held_out.latest()?;
    let (_, accuracy) = seen.of(HELD_OUT_ACCURACY).latest()?;
    // Few pairs come out wrong by accident.
    let is_wrong = seen.of(HELD_OUT_ACCURACY_HIGH).latest().is_some_and(|(_, high)| high < 0.5);
    // A hair's breadth below 0 is noise, unless it stays there.
    let twice = held_out.last(2).is_some_and(|last| last.iter().all(|(step, margin)| *step > 0 && *margin < 0.0));
    if is_wrong && now < 0.0 && (twice || now < -0.25 * trained.abs()) && trained > 0.0 {
        let text = format!(
            "The pairs that are trained on are learnt, and of the held-out ones only {:.0} % come out right: the two sides are \
             labelled by opposite preferences, or the labels are flipped",
            accuracy * 100.0
        );
        return Some((held_out.latest()?.0, text));
    }
    let (best_at, best) = held_out.best()?;
    // Of a few pairs the mean goes up and down with one of them.
    let noise = 2.0 * held_out_error(seen).unwrap_or(0.0);
    let fallen = |(_, value): &(u64, f64)| *value < 0.6 * best && best - value > noise;
    let last = held_out.last(2)?;
    (best > 0.0 && trained > best && last.iter().all(fallen)).then(|| {
        let text = format!(
            "The margin of the pairs that are trained on grows, and that of the held-out ones fell from {best:.2} at step {best_at} to \
             {}: the pairs are learnt by heart",
            signed(now, 2)
        );
        (best_at, text)
    })
}

/// The standard error of the mean held-out margin, in rewards: from the 10 % and 90 % quantiles of a normal spread, and
/// the number of pairs that the accuracy's interval (Wilson's) speaks of.
fn held_out_error(seen: &Seen) -> Option<f64> {
    const Z: f64 = 1.96;
    const QUANTILES_APART: f64 = 2.563;
    let of = |name| seen.of(name).latest().map(|(_, value)| value);
    let accuracy = of(HELD_OUT_ACCURACY)?;
    let end = if accuracy > 0.5 { of(HELD_OUT_ACCURACY_LOW)? } else { of(HELD_OUT_ACCURACY_HIGH)? };
    let pairs = Z.powi(2) * end * (1.0 - end) / (accuracy - end).powi(2);
    let deviation = (of(HELD_OUT_MARGIN_HIGH)? - of(HELD_OUT_MARGIN_LOW)?) / QUANTILES_APART;
    Some(seen.beta * deviation / pairs.sqrt()).filter(|error| error.is_finite())
}

fn drift_too_large(seen: &Seen) -> Raised {
    let limit = seen.kl_limit.unwrap_or(FAR);
    let (name, kl) = metrics::drift(|name| Some(seen.of(name).latest()?.1)).filter(|(_, kl)| *kl > limit)?;
    let (step, _) = seen.of(name).latest()?;
    let what = if seen.kl_limit.is_some() { "the limit of this run" } else { "what leaves a model recognisable" };
    Some((step, format!("{name} is {} nats a token, above {}, {what}", digits(kl), digits(limit))))
}

fn never_ends(seen: &Seen) -> Raised {
    if let Some((step, taught)) = seen.of("stop/taught").latest()
        && taught < MOST_END
    {
        let text = format!(
            "Only {:.0} % of the chosen answers end with what ends a turn, so the model is taught to go on: does the chat template write \
             it, and are answers cut by data.max_answer_tokens?",
            taught * 100.0
        );
        return Some((step, text));
    }
    let (step, now) = seen.of(ENDED).latest()?;
    let start = seen.of(ENDED).at_start().filter(|start| *start >= MOST_END)?;
    // Of a few answers some are cut by accident.
    let fewer = seen.of(ENDED_HIGH).latest()?.1 < seen.of(ENDED_LOW).at_start()?;
    // Answers that grow longer are cut too, and their end is as likely as it was.
    let known = seen.of(END_KNOWN);
    let is_forgotten = known.at_start().zip(known.latest()).is_none_or(|(start, (_, now))| now < start / 2.0);
    (now < MOST_END && fewer && is_forgotten).then(|| {
        let text = format!(
            "Only {:.0} % of the sampled answers end by themselves, {:.0} % did before the first step",
            now * 100.0,
            start * 100.0
        );
        (step, text)
    })
}

fn repeats(seen: &Seen) -> Raised {
    let repeated = seen.of("answers/repeated");
    let (step, now) = repeated.latest()?;
    let start = repeated.at_start()?;
    (now > 0.3 && now > start + 0.2).then(|| {
        let text = format!(
            "Sampled answers go in circles: {:.0} % of their runs of four tokens stood in the same answer before, {:.0} % did at the \
             start",
            now * 100.0,
            start * 100.0
        );
        (step, text)
    })
}

fn gradient_spikes(seen: &Seen) -> Raised {
    let last = seen.of("grad_norm").last(3 * FEW)?;
    let (before, now) = last.split_at(2 * FEW);
    let mut norms: Vec<f64> = before.iter().map(|(_, norm)| *norm).collect();
    norms.sort_by(f64::total_cmp);
    let median = norms[norms.len() / 2];
    let spikes: Vec<&(u64, f64)> = now.iter().filter(|(_, norm)| *norm > SPIKE * median).collect();
    let largest = spikes.iter().map(|(_, norm)| *norm).fold(0.0, f64::max);
    (spikes.len() >= SPIKES).then(|| {
        let text = format!(
            "The gradient norm reached {largest:.3} in {} of the last {FEW} steps, where {median:.3} was usual: a few pairs pull the \
             weights away",
            spikes.len()
        );
        (spikes[0].0, text)
    })
}

fn reference_fights(seen: &Seen) -> Raised {
    let reference = seen.of("loss/reference");
    let (from, now) = reference.recent()?;
    let start = reference.beginning()?;
    let (_, margin) = seen.of("rewards/margins").recent()?;
    (seen.held > 0.0 && now > start + 0.15 && margin > 0.0).then(|| {
        let text = format!(
            "The loss on the reference answers rose from {start:.2} to {now:.2} nats a token although λ ref holds them: they speak about \
             what the pairs change, so that the two terms pull against each other"
        );
        (from, text)
    })
}
