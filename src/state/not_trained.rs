//! What a run makes of a pair, as far as that can be said without the model's tokenizer: one sentence a reason.

use data::{Choice, Pair};

/// Why a pair, or a part of it, is not trained on; nothing where all of it is. `held_out`: its prompt is kept back.
pub fn why_not(pair: &Pair, held_out: bool) -> Vec<String> {
    let not = |why: &str| vec![format!("Not trained on: {why}")];
    let [first, second] = match pair.choice() {
        None => return not("it has no verdict yet"),
        Some(Choice::BothBad) => return not("both answers were said to be bad"),
        Some(Choice::Skip) => return not("it was skipped"),
        Some(Choice::Tie) => [0, 1],
        Some(Choice::Better { chosen, rejected, .. }) => [chosen, rejected],
    };
    let (Some(one), Some(other)) = (pair.answers.get(first), pair.answers.get(second)) else {
        return not("its verdict names an answer that it does not have");
    };
    if one.is_empty() || other.is_empty() {
        return not("an answer is empty");
    }
    if first == second || (one.text == other.text && one.extras == other.extras) {
        return not("both answers are the same, so there is nothing to prefer");
    }
    let behaviour = pair.behaviour;
    if !(behaviour > 0.0 && behaviour <= 1.0) {
        return vec![format!(
            "Not trained on: its labeller's probability is {behaviour}, which is not above 0 and at most 1"
        )];
    }
    if !pair.reward.is_finite() {
        return not("its reward is not a number");
    }
    let mut reasons = Vec::new();
    if held_out {
        reasons.push("Held out: runs are measured on it and not trained on it".to_owned());
    }
    if pair.choice() == Some(Choice::Tie) {
        reasons.push("A tie carries no push under MPO".to_owned());
    }
    let others: Vec<String> = (0..pair.answers.len())
        .filter(|index| ![first, second].contains(index))
        .map(|index| (index + 1).to_string())
        .collect();
    if let Some((last, rest)) = others.split_last() {
        reasons.push(match rest {
            [] => format!("Answer {last} is not trained on: the verdict is about the two others"),
            rest => {
                format!("Answers {} and {last} are not trained on: the verdict is about two of them", rest.join(", "))
            }
        });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use data::{Answer, Origin, PairId, Prompt, Strength, Verdict};

    fn pair(answers: &[&str], choice: Option<Choice>) -> Pair {
        let mut pair = Pair::new(PairId(1), Prompt::Text("p".to_owned()), answers);
        pair.verdict = choice.map(|choice| Verdict::local(choice, 0));
        pair
    }

    const BETTER: Choice = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly };

    #[test]
    fn every_reason_has_its_sentence() {
        for (pair, part) in [
            (pair(&["a", "b"], None), "no verdict yet"),
            (pair(&["a", "b"], Some(Choice::Skip)), "skipped"),
            (pair(&["a", "b"], Some(Choice::BothBad)), "said to be bad"),
            (pair(&["a"], Some(BETTER)), "does not have"),
            (pair(&["a", " "], Some(BETTER)), "empty"),
            (pair(&["a", "a"], Some(Choice::Tie)), "the same"),
            (Pair { behaviour: 0.0, ..pair(&["a", "b"], Some(BETTER)) }, "probability is 0"),
            (Pair { reward: f32::NAN, ..pair(&["a", "b"], Some(BETTER)) }, "not a number"),
        ] {
            let reasons = why_not(&pair, true);
            assert!(reasons.len() == 1 && reasons[0].contains(part), "{reasons:?}");
        }
        assert!(why_not(&pair(&["a", "b"], Some(BETTER)), false).is_empty());
        assert_eq!(why_not(&pair(&["a", "b"], Some(Choice::Tie)), true).len(), 2);
    }

    #[test]
    fn answers_that_the_verdict_is_not_about_are_named() {
        let mut pair = pair(&["a", "b", "c"], Some(BETTER));
        assert_eq!(why_not(&pair, false), ["Answer 3 is not trained on: the verdict is about the two others"]);
        pair.answers.push(Answer::new("d", Origin::Human));
        assert!(why_not(&pair, false)[0].starts_with("Answers 3 and 4 are"));
    }
}
