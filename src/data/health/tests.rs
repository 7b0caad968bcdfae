//! Findings and remedies on small sets of pairs.

use super::*;
use crate::{Choice, Prompt, Role, Strength, Turn, Verdict};

fn pair(id: i64, prompt: &str, answers: [&str; 2], chosen: Option<usize>) -> Pair {
    let mut pair = Pair::new(PairId(id), Prompt::Text(prompt.to_owned()), &answers);
    pair.verdict = chosen
        .map(|chosen| Verdict::local(Choice::Better { chosen, rejected: 1 - chosen, strength: Strength::Strongly }, 0));
    pair
}

fn examine(pairs: &[Pair]) -> Health {
    let mut examination = Examination::new(pairs.len(), |_| None);
    for pair in pairs {
        examination.add(pair);
    }
    examination.finish()
}

fn found(health: &Health, kind: FindingKind) -> Vec<Vec<i64>> {
    let groups = health.finding(kind).map_or(&[][..], |finding| &finding.groups);
    groups.iter().map(|group| group.iter().map(|id| id.0).collect()).collect()
}

#[test]
fn duplicates_and_contradictions_are_told_apart() {
    let pairs = [
        pair(1, "p", ["long", "s"], Some(0)),
        pair(2, "p", ["s", "long "], Some(1)), // the same with the answers swapped
        pair(3, "p", ["long", "s"], Some(1)),  // the opposite
        pair(4, "q", ["long", "s"], Some(1)),  // another prompt
        pair(5, "p", ["long", "s"], None),     // says nothing
        pair(6, "q", ["s", "t"], Some(0)),
    ];
    let health = examine(&pairs);
    assert_eq!(found(&health, FindingKind::Duplicates), [[1, 2]]);
    assert_eq!(found(&health, FindingKind::Contradictions), [[1, 2, 3]]);
    assert_eq!(health.decided, 5);
    assert!(!health.is_clean());
    assert!(examine(&pairs[3..]).is_clean());
}

#[test]
fn another_system_turn_is_no_contradiction() {
    let with_system = |id, system: &str, chosen| {
        let mut pair = pair(id, "", ["yes", "no"], Some(chosen));
        pair.prompt = Prompt::chat(vec![Turn::new(Role::System, system), Turn::new(Role::User, "Agree?")]);
        pair
    };
    let pairs = [with_system(1, "Be kind", 0), with_system(2, "Be stern", 1)];
    assert!(examine(&pairs).is_clean());
}

#[test]
fn empty_and_identical_answers_are_found_with_or_without_a_verdict() {
    let pairs = [
        pair(1, "p", ["same", " same\n"], Some(0)),
        pair(2, "p", ["a", "  "], None),
        pair(3, "p", ["", ""], None),
        pair(4, "p", ["a", "b"], None),
    ];
    let health = examine(&pairs);
    assert_eq!(found(&health, FindingKind::IdenticalAnswers), [[1]]);
    // Of several answers a third may repeat one of those that are compared: they still differ.
    let mut ranked = pair(5, "p", ["a", "b"], Some(0));
    ranked.answers.push(Answer::new("a", crate::Origin::Human));
    assert!(examine(&[ranked]).findings.is_empty());
    assert_eq!(found(&health, FindingKind::EmptyAnswers), [[2, 3]]);
    assert_eq!(health.findings.len(), 2);
}

#[test]
fn length_bias_counts_characters_not_bytes() {
    let pairs = [
        pair(1, "p", ["äöü", "abcd"], Some(1)), // 3 characters against 4, though 6 bytes against 4
        pair(2, "p", ["ab", "abcd"], Some(0)),
        pair(3, "p", ["ab", "cd"], Some(0)), // equal: not compared
        pair(4, "p", ["ab", "abcd"], None),
    ];
    let bias = examine(&pairs).length;
    assert_eq!((bias.compared, bias.longer_chosen), (2, 1));
    assert_eq!(bias.longer_share(), Some(0.5));
    assert_eq!(bias.mean_chosen, (4.0 + 2.0 + 2.0) / 3.0);
    assert_eq!(examine(&[]).length.longer_share(), None);
}

fn with(mut pair: Pair, change: impl FnOnce(&mut Pair)) -> Pair {
    change(&mut pair);
    pair
}

#[test]
fn circles_scores_sides_and_refusals_are_found() {
    let pairs = [
        pair(1, "p", ["a", "b"], Some(0)),
        pair(2, "p", ["b", "c"], Some(0)),
        pair(3, "p", ["a", "c"], Some(1)),
        with(pair(4, "q", ["x", "y"], Some(0)), |pair| pair.tags = vec!["margin -1.5".to_owned()]),
        with(pair(5, "r", ["x", "y"], Some(0)), |pair| pair.reward = -0.5),
        with(pair(6, "S?", ["x", "y"], Some(0)), |pair| pair.split = Split::Train),
        with(pair(7, "s", ["z", "y"], Some(0)), |pair| pair.split = Split::Eval),
        pair(8, "t", ["I’m sorry, but I can't help with that.", "Take the second left."], Some(0)),
        pair(9, "t", ["Take the second left.", "I'm sorry, but no."], Some(0)),
    ];
    let health = examine(&pairs);
    assert_eq!(found(&health, FindingKind::Cycles), [[1, 2, 3]]);
    assert_eq!(found(&health, FindingKind::Scores), [[4, 5]]);
    assert_eq!(found(&health, FindingKind::BothSides), [[6, 7]]);
    assert_eq!(found(&health, FindingKind::Refusals), [[8]]);
    assert_eq!(health.findings.len(), 4);
}

#[test]
fn nearly_the_same_is_not_the_same() {
    let prompt = "Write to the harbour office and ask whether the ferry of Thursday evening takes bicycles, and what a \
                  ticket for a child of nine costs on the way back";
    let answer = "Dear harbour office, could you tell me whether the ferry on Thursday evening takes bicycles on board, and \
                  what a child of nine pays for the way back? With kind regards from the island";
    let other =
        "Ask them yourself, the office is open from eight to noon on every day but Sunday and they like a visit";
    let pairs = [
        pair(1, prompt, [answer, other], Some(0)),
        pair(2, &prompt.replace("child of nine", "child of ten"), [answer, other], Some(0)),
        pair(
            3,
            "Something else that is as long as the others are, so that it could be taken for one of them by a hash that \
                 looks at nothing but lengths",
            [other, "An answer of its own to that, with words of its own as well"],
            Some(0),
        ),
        pair(4, "p", ["a", "b"], Some(0)),
        pair(5, "p", ["a", "c"], Some(0)),
    ];
    let health = examine(&pairs);
    assert_eq!(found(&health, FindingKind::NearDuplicates), [[1, 2]]);
    assert!(health.finding(FindingKind::Duplicates).is_none());
}

#[test]
fn another_language_is_told_by_whoever_knows_languages() {
    let german = |text: &str| Some(if text.contains("der") { "German" } else { "English" });
    let pairs =
        [pair(1, "Where is der Hafen", ["dort, der da", "there"], Some(1)), pair(2, "Where", ["there", "x"], Some(0))];
    let mut examination = Examination::new(pairs.len(), german);
    for pair in &pairs {
        examination.add(pair);
    }
    let health = examination.finish();
    assert_eq!(found(&health, FindingKind::Languages), [[1]]);
    assert_eq!(health.languages, [("English", 2)]);
}

#[test]
fn a_remedy_changes_what_it_says_and_nothing_else() {
    let one = pair(1, "p", ["a", "b"], Some(0));
    let edit = |remedy: Remedy| remedy.edits(FindingKind::Refusals, vec![one.clone()]).pop();
    assert_eq!(edit(Remedy::KeepFirst), None);
    assert_eq!(edit(Remedy::Delete).unwrap().after, None);
    assert_eq!(edit(Remedy::TakeBack).unwrap().after.unwrap().verdict, None);
    assert_eq!(edit(Remedy::Unpin), None, "it is not pinned");
    let tagged = edit(Remedy::Tag).unwrap().after.unwrap();
    assert_eq!(tagged.tags, ["refusals"]);
    assert_eq!(Remedy::Tag.edits(FindingKind::Refusals, vec![tagged]), []);
}

#[test]
fn of_near_duplicates_the_first_labelled_one_stays_and_labels_that_disagree_are_left_alone() {
    let deleted = |group: &[(i64, [&str; 2], Option<usize>)]| -> Vec<i64> {
        let group = group.iter().map(|(id, answers, chosen)| pair(*id, "Where is the mill", *answers, *chosen));
        let edits = Remedy::KeepFirst.edits(FindingKind::NearDuplicates, group.collect());
        edits.iter().filter_map(|edit| edit.before.as_ref()).map(|pair| pair.id.0).collect()
    };
    let (one, other) = (["by the old bridge", "I do not know that"], ["by the old bridge!", "I do not know that"]);
    let turned = [other[1], other[0]];
    assert_eq!(deleted(&[(1, one, None), (2, other, None)]), [2]);
    assert_eq!(deleted(&[(1, one, None), (2, other, Some(0))]), [1], "the only labelled one stays");
    assert_eq!(deleted(&[(1, one, None), (2, one, Some(0)), (3, turned, Some(1))]), [1, 3], "they agree");
    assert!(deleted(&[(1, one, Some(0)), (2, other, Some(1)), (3, one, None)]).is_empty(), "they disagree");
    assert!(deleted(&[(1, one, Some(0)), (2, turned, Some(0))]).is_empty());
}
