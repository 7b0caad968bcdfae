//! What typing becomes: when it is saved, what one undo takes back, what is refused.

use data::Strength;

use super::*;

fn stored() -> Pair {
    let mut pair = blank(true);
    pair.id = PairId(12);
    pair.answers[0].text = "one".to_owned();
    pair.answers[1].text = "two".to_owned();
    pair.verdict = Some(Verdict::local(Choice::Better { chosen: 1, rejected: 0, strength: Strength::Strongly }, 5));
    pair
}

fn ends(change: &Change) -> (Pair, Pair) {
    let edit = &change.edits[0];
    (edit.before.clone().unwrap(), edit.after.clone().unwrap())
}

#[test]
fn typing_is_one_change_per_commit() {
    let mut draft = Draft::open(stored());
    assert_eq!(draft.progress(), EditProgress::Untouched);
    assert_eq!(draft.commit(), None);
    draft.pair.answers[1].text.push('!');
    draft.pair.answers[1].text.push('!');
    assert_eq!(draft.progress(), EditProgress::Typing);
    let edited = draft.commit().unwrap().change;
    assert_eq!(edited.label, "Edit chosen answer of pair 12");
    let (before, after) = ends(&edited);
    assert_eq!(before, stored());
    assert_eq!(after.answers[1].text, "two!!");
    assert_eq!(draft.commit(), None);
    assert_eq!(draft.progress(), EditProgress::Saving);
    draft.stored(&after);
    assert_eq!(draft.progress(), EditProgress::Saved);
}

#[test]
fn a_second_commit_starts_where_the_first_ended() {
    let mut draft = Draft::open(stored());
    draft.pair.note = "a".to_owned();
    let first = draft.commit().unwrap().change;
    draft.pair.note = "ab".to_owned();
    let second = draft.commit().unwrap().change;
    let (first, second) = (ends(&first), ends(&second));
    assert_eq!(second.0, first.1);
    // The first is confirmed while the second is on its way: still saving, nothing typed is lost.
    draft.stored(&first.1);
    assert_eq!(draft.progress(), EditProgress::Saving);
    assert_eq!(draft.pair.note, "ab");
    draft.stored(&second.1);
    assert_eq!(draft.progress(), EditProgress::Saved);
}

#[test]
fn a_change_from_elsewhere_moves_only_untouched_parts() {
    let mut draft = Draft::open(stored());
    draft.pair.answers[0].text = "typed".to_owned();
    let mut elsewhere = stored();
    elsewhere.answers[0].text = "lost".to_owned();
    elsewhere.answers[1].text = "theirs".to_owned();
    elsewhere.tags = vec!["new".to_owned()];
    draft.stored(&elsewhere);
    assert_eq!(draft.pair.answers[0].text, "typed");
    assert_eq!(draft.pair.answers[1].text, "theirs");
    assert_eq!(draft.pair.tags, ["new"]);
    assert_eq!(ends(&draft.commit().unwrap().change).0, elsewhere);
}

#[test]
fn a_refused_commit_can_be_made_again() {
    let mut draft = Draft::open(stored());
    draft.pair.note = "keep me".to_owned();
    let first = draft.commit().unwrap();
    draft.refused(Refusal::Failed);
    assert_eq!(draft.progress(), EditProgress::Refused);
    assert_eq!(draft.commit().unwrap().change, first.change);
}

#[test]
fn g9_a_refused_edit_waits_for_the_person() {
    let mut draft = Draft::open(stored());
    draft.pair.note = "refused".to_owned();
    draft.typed(1_000);
    draft.pause(9_000).unwrap();
    draft.refused(Refusal::ChangedElsewhere);
    assert_eq!((draft.pause(90_000), draft.commit()), (None, None));
    // The project moves on: what was refused is still not handed over by itself.
    let mut elsewhere = stored();
    elsewhere.tags = vec!["theirs".to_owned()];
    draft.stored(&elsewhere);
    assert_eq!((draft.progress(), draft.pause(99_000)), (EditProgress::Refused, None));
    assert!(draft.clone().again().is_some());
    let mut discarded = draft.clone();
    discarded.discard();
    assert_eq!((discarded.pair, draft.pair.note.as_str()), (elsewhere, "refused"));
    draft.pair.note.push('!');
    draft.typed(100_000);
    assert!(draft.pause(102_000).is_some());
}

#[test]
fn g6_a_pause_hands_over_what_is_typed_and_one_visit_is_one_step() {
    let mut draft = Draft::open(stored());
    let key = |draft: &mut Draft, letter: char, at: i64| {
        draft.pair.answers[0].text.push(letter);
        draft.typed(at);
    };
    key(&mut draft, 'a', 10_000);
    assert_eq!((draft.due_ms(), draft.pause(10_999)), (Some(11_000), None));
    let first = draft.pause(11_000).unwrap();
    assert_eq!((first.visit, first.goes_on), (10_000, false));
    assert_eq!((draft.progress(), draft.due_ms()), (EditProgress::Saving, None));
    draft.stored(&ends(&first.change).1);
    assert_eq!(draft.progress(), EditProgress::Saved);
    key(&mut draft, 'b', 15_000);
    let second = draft.commit().unwrap();
    assert_eq!((second.visit, second.goes_on), (10_000, true));
    assert_eq!(second.change.label, "Edit rejected answer of pair 12");
    // The field was left: the next key begins another step.
    key(&mut draft, 'c', 15_100);
    assert_eq!(draft.commit().unwrap().visit, 15_100);
}

#[test]
fn g6_somebody_who_never_pauses_is_saved_all_the_same() {
    let mut draft = Draft::open(stored());
    let mut saved = Vec::new();
    for at in (0..20_000).step_by(200) {
        draft.pair.note.push('x');
        draft.typed(at);
        if draft.pause(at).is_some() {
            saved.push(at);
        }
    }
    assert_eq!(saved, [5_000, 10_200, 15_400]);
}

#[test]
fn g6_a_long_pause_begins_a_new_step() {
    let mut draft = Draft::open(stored());
    for at in [1_000, 20_000, 60_000] {
        draft.pair.note.push('x');
        draft.typed(at);
        draft.pause(at + 2_000).unwrap();
    }
    draft.pair.note.push('x');
    draft.typed(63_000);
    assert_eq!(draft.commit().unwrap().visit, 60_000);
}

#[test]
fn undo_shows_in_an_open_draft() {
    let mut draft = Draft::open(stored());
    draft.pair.note = "n".to_owned();
    let edited = draft.commit().unwrap().change;
    let (before, after) = ends(&edited);
    draft.stored(&after);
    draft.stored(&before);
    assert_eq!(draft.pair, stored());
}

#[test]
fn labels_name_every_part() {
    let mut draft = Draft::open(stored());
    draft.pair.answers[0].text.clear();
    draft.pair.tags = vec!["t".to_owned()];
    draft.pair.verdict = None;
    assert_eq!(draft.commit().unwrap().change.label, "Edit answer, verdict, tags of pair 12");
}

#[test]
fn removing_an_answer_keeps_the_verdict_on_its_answers() {
    let mut pair = Pair::new(PairId(1), Prompt::Text("p".to_owned()), &["a", "b", "c"]);
    let better = Choice::Better { chosen: 2, rejected: 0, strength: Strength::Clearly };
    pair.verdict = Some(Verdict::local(better, 0));
    remove_answer(&mut pair, 1);
    assert_eq!(pair.chosen().unwrap().text, "c");
    assert_eq!(pair.rejected().unwrap().text, "a");
    remove_answer(&mut pair, 0);
    assert_eq!(pair.verdict, None);
    assert_eq!(pair.answers.len(), 1);
    assert_eq!(sides(&pair), None);
    remove_answer(&mut pair, 7);
}

#[test]
fn third_answers_are_put_in_order_and_a_verdict_about_others_forgets_it() {
    let mut pair = Pair::new(PairId(1), Prompt::Text("p".to_owned()), &["a", "b", "c", "d"]);
    toggle_worse(&mut pair, 2);
    assert_eq!(pair.verdict, None, "there is no better answer to be worse than");
    let better = |chosen, rejected, strength| Some(Choice::Better { chosen, rejected, strength });
    decide(&mut pair, better(0, 1, Strength::Clearly), 1);
    toggle_worse(&mut pair, 3);
    toggle_worse(&mut pair, 2);
    assert_eq!(pair.worse(), [1, 3, 2]);
    decide(&mut pair, better(0, 1, Strength::Slightly), 2);
    assert_eq!(
        (pair.worse().len(), pair.choice().and_then(Choice::certainty)),
        (3, Some(0.7)),
        "how sure one is changes no order"
    );
    toggle_worse(&mut pair, 3);
    assert_eq!(pair.worse(), [1, 2]);
    let mut shorter = pair.clone();
    remove_answer(&mut shorter, 3);
    assert_eq!(shorter.worse(), [1, 2]);
    remove_answer(&mut shorter, 2);
    assert_eq!((shorter.worse(), shorter.is_decided()), (vec![1], true));
    toggle_worse(&mut pair, 2);
    assert!(pair.verdict.as_ref().unwrap().order.is_empty());
    toggle_worse(&mut pair, 2);
    for choice in [better(1, 0, Strength::Clearly), Some(Choice::Tie), None] {
        let mut turned = pair.clone();
        decide(&mut turned, choice, 3);
        assert!(turned.worse().len() < 2, "{choice:?}");
    }
}

#[test]
fn previews_are_short_and_on_one_line() {
    assert_eq!(one_line("a\n\n b\tc", 80), "a b c");
    assert_eq!(one_line(&"ö ".repeat(500), 5), "ö ö ö…");
    assert_eq!(one_line("", 5), "");
    let prompt = Prompt::chat(vec![Turn::new(Role::User, "asked"), Turn::new(Role::Assistant, "begun")]);
    assert_eq!(preview(&prompt, 80), "asked");
}
