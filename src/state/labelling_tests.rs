//! What a session asks, and what its keys mean for the record.

use super::*;
use data::Prompt;

fn pair(id: i64) -> Pair {
    let prompt = Prompt::Text("p".to_owned());
    Pair::new(PairId(id), prompt, &["long answer", "short"])
}

fn session(count: i64) -> Labelling {
    Labelling::start((1..=count).map(PairId).collect(), 7, 1_000)
}

fn left(session: &Labelling, id: i64) -> usize {
    session.shown(&pair(id)).unwrap().left
}

#[test]
fn sides_are_random_but_stay() {
    let session = session(1);
    let lefts: Vec<usize> = (0..400).map(|id| left(&session, id)).collect();
    let ones = lefts.iter().sum::<usize>();
    assert!((140..=260).contains(&ones), "{ones} of 400 on the left");
    let again: Vec<usize> = (0..400).map(|id| left(&session, id)).collect();
    assert_eq!(lefts, again);
    let other = Labelling::start(vec![], 8, 0);
    assert_ne!(lefts, (0..400).map(|id| left(&other, id)).collect::<Vec<_>>());
}

#[test]
fn a_verdict_does_not_show_through_the_sides() {
    let session = session(1);
    for id in 0..50 {
        let mut judged = pair(id);
        let blind = session.shown(&judged);
        judged.verdict =
            Some(Verdict::local(Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly }, 0));
        assert_eq!(session.shown(&judged), blind);
    }
}

#[test]
fn a_key_becomes_a_verdict_about_the_answer_on_that_side() {
    for id in 1..20 {
        let mut session = Labelling::start(vec![PairId(id)], 3, 1_000);
        let before = pair(id);
        let shown = session.shown(&before).unwrap();
        let judgement = Judgement::Prefer(Side::Right, Strength::Slightly);
        let (verdict, label) = session.judge(&before, judgement, 3_500).unwrap();
        assert_eq!(
            verdict.choice,
            Choice::Better { chosen: shown.right, rejected: shown.left, strength: Strength::Slightly }
        );
        assert_eq!(verdict.shown_left, Some(shown.left));
        assert_eq!(verdict.took_ms, Some(2_500));
        assert_eq!(label, format!("Label pair {id} (better)"));
        assert_eq!(session.current(), None);
    }
}

#[test]
fn undo_returns_to_the_pair() {
    let mut session = session(3);
    session.judge(&pair(1), Judgement::Tie, 2_000);
    session.edited(PairId(2), "Edit pair 2".to_owned(), false);
    session.judge(&pair(2), Judgement::Skip, 3_000);
    assert_eq!(session.current(), Some(PairId(3)));
    assert_eq!(session.undo_label(), Some("Label pair 2 (skip)"));
    assert_eq!(session.undo(4_000), Some(PairId(2)));
    assert_eq!(session.undo_label(), Some("Edit pair 2"));
    session.undo(4_000);
    assert_eq!(session.undo(4_000), Some(PairId(1)));
    assert_eq!(session.current(), Some(PairId(1)));
    assert_eq!(session.undo(4_000), None);
    assert_eq!(session.progress(0).done, 0);
}

#[test]
fn the_pace_leaves_breaks_out() {
    let mut session = session(4);
    assert_eq!(session.progress(0).per_minute, None);
    session.judge(&pair(1), Judgement::Tie, 1_000 + 10_000);
    session.judge(&pair(2), Judgement::Tie, 11_000 + 10_000);
    let pace = session.progress(0);
    assert_eq!((pace.done, pace.total), (2, 4));
    assert!((pace.per_minute.unwrap() - 6.0).abs() < 1e-9);
    session.judge(&pair(3), Judgement::Tie, 21_000 + 3_600_000);
    assert!(session.progress(0).per_minute.unwrap() > 2.0);
}

#[test]
fn habits_count_sides_and_lengths() {
    let mut session = session(10);
    for id in 1..=10 {
        let judgement = Judgement::Prefer(Side::Left, Strength::Clearly);
        session.judge(&pair(id), judgement, 2_000);
    }
    let habits = session.habits();
    assert_eq!(habits.left, CountOf { count: 10, of: 10 });
    assert_eq!(habits.longer.of, 10);
    assert!((1..10).contains(&habits.longer.count));
}

#[test]
fn g5_a_kept_pair_can_be_gone_back_to_and_changes_nothing() {
    let mut session = session(3).from(Some(PairId(2)));
    assert_eq!((session.current(), session.upcoming(9)), (Some(PairId(2)), &[PairId(3), PairId(1)][..]));
    session.keep(2_000);
    assert_eq!(session.current(), Some(PairId(3)));
    let progress = session.progress(0);
    assert_eq!((progress.done, progress.kept, progress.total), (0, 1, 3));
    assert_eq!(session.undo_label(), None);
    assert_eq!(session.undo(3_000), Some(PairId(2)));
    assert_eq!(session.current(), Some(PairId(2)));
    for _ in 0..5 {
        session.keep(4_000);
    }
    assert_eq!((session.current(), session.progress(0).kept), (None, 3));
    assert_eq!(session.from(Some(PairId(99))).queue[0], PairId(2), "a pair that is not asked about changes nothing");
}

#[test]
fn g6_an_edit_that_is_saved_as_it_goes_is_one_step_of_the_session() {
    let mut session = session(2);
    session.edited(PairId(1), "Edit answer of pair 1".to_owned(), false);
    session.edited(PairId(1), "Edit answer, prompt of pair 1".to_owned(), true);
    assert_eq!(session.undo_label(), Some("Edit answer, prompt of pair 1"));
    session.undo(2_000);
    assert_eq!(session.undo(2_000), None);
}

#[test]
fn one_answer_cannot_be_judged() {
    let mut session = session(1);
    let mut lonely = pair(1);
    lonely.answers.truncate(1);
    assert_eq!(session.shown(&lonely), None);
    assert_eq!(session.judge(&lonely, Judgement::Tie, 0), None);
    assert_eq!(session.progress(0).done, 0);
}

#[test]
fn some_labels_are_asked_for_again_with_the_sides_swapped() {
    let mut session = session(400).with_repeats();
    let total = session.progress(0).total;
    let mut said = std::collections::BTreeMap::new();
    let mut again = 0;
    while let Some(id) = session.current() {
        let mut asked = pair(id.0);
        let shown = session.shown(&asked).unwrap();
        if let Some((left, choice)) = said.get(&id) {
            assert_ne!(*left, shown.left, "the other way round");
            asked.verdict = Some(Verdict::local(*choice, 0));
            again += 1;
        }
        // Always the longer answer, so that every repeat agrees.
        let side = if shown.left == 0 { Side::Left } else { Side::Right };
        let (verdict, _) = session.judge(&asked, Judgement::Prefer(side, Strength::Clearly), 2_000).unwrap();
        said.insert(id, (shown.left, verdict.choice));
        assert_eq!(session.progress(2_000).total, total, "nothing gives a repeat away");
    }
    assert!(again == 20 && total == 420, "{again} of 400");
    let agreement = session.agreement().unwrap();
    assert_eq!((agreement.same, agreement.of), (again, again));
    while session.undo(3_000).is_some() {}
    assert_eq!(session.current(), Some(PairId(1)));
}

#[test]
fn one_in_twenty_is_asked_for_again_from_twenty_on() {
    for (count, repeats) in [(8, 0), (19, 0), (20, 1), (39, 1), (40, 2), (100, 5)] {
        for seed in 0..20 {
            let session = Labelling::start((1..=count).map(PairId).collect(), seed, 0).with_repeats();
            assert_eq!(session.progress(0).total as i64, count + repeats, "{count} with seed {seed}");
            let (mut asked, mut places) = (session.clone(), std::collections::BTreeMap::new());
            for at in 0.. {
                let Some(id) = asked.current() else { break };
                if let Some(before) = places.insert(id, at) {
                    assert!(asked.is_repeat() && at - before >= APART, "{at} is too close behind {before}");
                }
                asked.keep(0);
            }
        }
    }
}

#[test]
fn an_order_that_is_asked_for_twice_stands_the_other_way_round_and_counts() {
    let mut session = session(20).with_repeats();
    let mut first = std::collections::BTreeMap::new();
    while let Some(id) = session.current() {
        let mut several = pair(id.0);
        several.answers = ["a", "b", "c"].map(|text| data::Answer::new(text, data::Origin::Human)).into();
        let shown = session.shown_all(&several);
        if let Some(before) = first.insert(id, shown.clone()) {
            assert!(session.is_repeat() && before.iter().rev().eq(&shown), "{before:?} and {shown:?}");
            several.verdict =
                Some(Verdict::local(Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly }, 0));
        }
        session.ordered(&several, &[0, 1, 2], 3, 10);
    }
    assert_eq!(session.agreement().map(|agreement| (agreement.same, agreement.of)), Some((1, 1)));
}

#[test]
fn what_a_model_has_written_meanwhile_is_asked_at_the_end() {
    let mut session = session(1);
    session.pass(2_000);
    assert_eq!(session.current(), None);
    session.append([PairId(1), PairId(5)]);
    assert_eq!((session.current(), session.upcoming(3).len()), (Some(PairId(5)), 0));
}

#[test]
fn upcoming_stops_at_the_end() {
    let mut session = session(2);
    assert_eq!(session.upcoming(3), [PairId(2)]);
    session.pass(0);
    assert!(session.upcoming(3).is_empty());
    session.pass(0);
    session.pass(0);
    assert_eq!(session.current(), None);
    assert!(session.upcoming(3).is_empty());
}

#[test]
fn the_same_verdict_again_is_agreement_whatever_its_strength() {
    let mut session = Labelling::start((1..=4).map(PairId).collect(), 7, 0);
    assert_eq!(session.agreement(), None);
    for id in 1..=3 {
        let mut before = pair(id);
        let choice = Choice::Better { chosen: 0, rejected: 1, strength: Strength::Strongly };
        before.verdict = Some(Verdict::local(choice, 0));
        let side = if session.shown(&before).unwrap().left == 0 { Side::Left } else { Side::Right };
        let side = if id == 2 { side.other() } else { side };
        session.judge(&before, Judgement::Prefer(side, Strength::Slightly), 10);
    }
    session.judge(&pair(4), Judgement::Tie, 10);
    let agreement = RepeatedLabels { same: 2, of: 3, changed: vec![PairId(2)] };
    assert_eq!(session.agreement(), Some(agreement));
}

#[test]
fn time_is_counted_without_breaks() {
    let mut session = session(3);
    session.judge(&pair(1), Judgement::Tie, 1_000 + 20_000);
    session.keep(21_000 + 3_600_000);
    let progress = session.progress(3_621_000 + 5_000);
    assert_eq!(progress.spent_ms, 20_000 + LONGEST_LOOK_MS + 5_000);
    assert!((progress.minutes_left().unwrap() - 1.0 / 3.0).abs() < 1e-9, "one pair at three a minute");
    session.judge(&pair(3), Judgement::Tie, 3_626_000);
    assert_eq!(session.progress(9_999_999).spent_ms, 85_000, "the end is not waited at");
}

#[test]
fn several_answers_stand_in_an_order_that_stays() {
    let mut several = pair(1);
    several.answers = ["a", "b", "c", "d"].map(|text| data::Answer::new(text, data::Origin::Human)).into();
    let orders: Vec<Vec<usize>> =
        (0..40).map(|seed| Labelling::start(vec![PairId(1)], seed, 0).shown_all(&several)).collect();
    assert!(orders.iter().any(|order| *order != orders[0]));
    for mut order in orders {
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3]);
    }
    let mut session = session(2);
    let (verdict, label) = session.ordered(&several, &[0, 1, 2, 3], 6, 3_000);
    assert_eq!((verdict.took_ms, label.as_str()), (Some(2_000), "Order the answers of pair 1 (6 pairs)"));
    assert_eq!((session.current(), session.undo_label()), (Some(PairId(2)), Some(label.as_str())));
}
