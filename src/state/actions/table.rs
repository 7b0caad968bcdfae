//! The table itself.

use std::sync::LazyLock;

use data::Strength;
use engine::protocol::CurveFile;

use super::{
    Action, ActionLine, Scope,
    when::{
        Possible, a_run, a_run_at_rest, about_redo, about_undo, again, always, answering, axes_shown, axis_chosen,
        can_ask, can_check, can_draw, can_fork, can_lengthen, can_prefer, can_put_back, can_resume, can_save_rules,
        can_score, can_start, charts_move, dueling, editing, forking, has_alarm, has_checkpoints, has_history,
        has_remedy, has_scores, has_second_remedy, hinted, judged_in_a_duel, labels_wait, lacks_reward, lens_open,
        lens_pair, no_run, notices, one_reference, open_pair, ordering, pairs, pairs_fought, project, redo,
        reference_answer, reference_dropped, reference_redo, reference_undo, rollout_open, run_goes, runs_ticked,
        samples, several_answers, shown_waits, shows_steps, some_run_goes, talking, undo, waits_here, watches,
        writable,
    },
};
use crate::{
    Screen, ThemeChoice, Views, Workspace,
    asking::AskFirst,
    compare::{
        Zoom,
        parallel::{AxisMove, End},
    },
    duel::DuelPress,
    fork::AlarmAct,
    labelling::{Act, Judgement, ScrollBy, ScrollPart, Side},
    lens::LensMove,
    references::ReferenceAct,
    review::{Decision, ReviewAct},
    rollouts::RolloutMove,
    scores::Fate,
    simple::Preset,
};

const fn line(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    place: Scope,
    when: fn(&Workspace, &mut Views) -> Possible,
    help: &'static str,
) -> ActionLine {
    ActionLine { action, name, keys, place, when, help }
}

const EVERYWHERE: Scope = Scope::Anywhere;
const STEPS: Scope = Scope::Steps;
const PAIRS: Scope = Scope::On(Screen::Pairs);
const TRAIN: Scope = Scope::On(Screen::Train);
const COMPARE: Scope = Scope::On(Screen::Compare);
const ANSWERS: Scope = Scope::On(Screen::Answers);
const MODELS: Scope = Scope::On(Screen::Models);
const LABELLING: Scope = Scope::Labelling;
const REVIEWING: Scope = Scope::Reviewing;
const REFERENCES: Scope = Scope::References;

const fn better(side: Side, strength: Strength) -> Action {
    Action::Labelling(Act::Judge(Judgement::Prefer(side, strength)))
}

const fn ask_first(first: AskFirst) -> ActionLine {
    line(Action::AskFirst(first), first.word(), &[], PAIRS, pairs, first.about())
}

const fn axis(to: AxisMove) -> Action {
    Action::Axis(to)
}

const fn decide(decision: Decision) -> Action {
    Action::Review(ReviewAct::Decide(decision))
}

const fn reference(act: ReferenceAct) -> Action {
    Action::Reference(act)
}

const fn scroll(part: ScrollPart, way: ScrollBy) -> Action {
    Action::Labelling(Act::Scroll(part, way))
}

const fn go(screen: Screen) -> ActionLine {
    line(Action::Go(screen), screen.go(), screen.keys(), EVERYWHERE, always, screen.purpose())
}

/// All of them, by place.
pub static TABLE: LazyLock<Vec<ActionLine>> = LazyLock::new(|| [FIRST, &Screen::ALL.map(go), LINES].concat());

const FIRST: &[ActionLine] = &[
    line(
        Action::Palette,
        "Find a command",
        &["Ctrl+K"],
        EVERYWHERE,
        always,
        "Finds what can be done here by a few of its letters",
    ),
    line(Action::Help, "Keys of this place", &["?", "F1"], EVERYWHERE, always, "Shows and hides the sheet of all keys"),
];

#[rustfmt::skip] // a table is read by its columns
const LINES: &[ActionLine] = &[
    line(Action::NewProject, "New project", &["Ctrl+N"], EVERYWHERE, always, "A name and a model of your own"),
    line(Action::OpenProject, "Open a project", &["Ctrl+O"], EVERYWHERE, always, "Another folder, or one opened lately"),
    line(Action::OpenBundle, "Open a bundle", &[], EVERYWHERE, no_run, "A run that somebody put into a file, to be looked at"),
    line(Action::OpenDemo, "Open the demo project", &[], EVERYWHERE, no_run, "A small made-up world that trains in a minute"),
    line(Action::DismissNotices, "Dismiss all notices", &[], EVERYWHERE, notices, "Clears the strip above the status line"),
    line(Action::FollowHint, "Do what the hint says", &["F2"], EVERYWHERE, hinted, "The next thing to do here"),
    line(Action::PutHintAway, "Put the hint away", &["Shift+F2"], EVERYWHERE, hinted, "What to do next here is not said again"),
    line(Action::Theme(ThemeChoice::Light), "Light colours", &[], EVERYWHERE, always, "Dark letters on a light ground"),
    line(Action::Theme(ThemeChoice::Dark), "Dark colours", &[], EVERYWHERE, always, "Light letters on a dark ground"),
    line(Action::Theme(ThemeChoice::System), "Colours of the system", &[], EVERYWHERE, always, "Light or dark, as the system says"),

    line(Action::Label, "Label", &["L"], PAIRS, pairs, "One pair at a time, sides at random; labelled ones again when none is left"),
    line(Action::Relabel, "Relabel", &[], PAIRS, pairs, "Goes through all pairs of the list again, from the chosen one on"),
    ask_first(AskFirst::Listed),
    ask_first(AskFirst::Closest),
    ask_first(AskFirst::Disputed),
    ask_first(AskFirst::Unlike),
    ask_first(AskFirst::Random),
    line(Action::NewPair, "New pair", &["N"], PAIRS, writable, "An empty pair"),
    line(Action::EditPair, "Edit the pair", &["E", "Enter"], PAIRS, open_pair, "Puts the caret into its prompt"),
    line(Action::DeletePair, "Delete the pair", &["Delete"], PAIRS, open_pair, "Or all that are chosen; can be undone"),
    line(Action::Flip, "Flip the verdict", &["F"], PAIRS, open_pair, "Of the pair, or of all that are chosen: the rejected answer is the better one"),
    line(Action::Tag, "Tag the pair", &["T"], PAIRS, open_pair, "Or all that are chosen"),
    line(Action::Undo, "Undo", &["Ctrl+Z"], PAIRS, undo, "Takes the last change back; unlimited, also after a restart"),
    line(Action::Redo, "Redo", &["Ctrl+Shift+Z", "Ctrl+Y"], PAIRS, redo, "Makes the change again"),
    line(Action::KeepAll, "Choose one row again; do not undo that much", &["Escape"], PAIRS, can_put_back, "Leaves the pairs as they are"),
    line(Action::Import, "Import pairs", &["Ctrl+I"], PAIRS, writable, "From a file, by its path or a dialog"),
    line(Action::Export, "Export pairs", &[], PAIRS, pairs, "The pairs on the list that have a better answer"),
    line(Action::Sample, "Pairs from a model", &["M"], PAIRS, writable, "A model answers prompts; you say which answer is better"),
    line(Action::Suspects, "Suspect labels", &["S"], PAIRS, pairs, "Labels that the newest run argues against: flip, keep or drop each"),
    line(Action::References, "Reference answers", &["R"], PAIRS, project, "What the model shall go on saying where no pair asks for something else; and retention text"),
    line(Action::WriteReferences, "Have the model write reference answers", &[], PAIRS, writable, "The start model answers 40 everyday prompts, for the KL term"),
    line(Action::Search, "Search pairs", &["/"], PAIRS, pairs, "Puts the caret into the search field"),
    line(Action::MoreFilters, "More filters", &["Shift+F"], PAIRS, pairs, "By strength, source, length, what changed; filters kept by name"),
    line(Action::ChooseAll, "Choose all rows", &["Ctrl+A"], PAIRS, pairs, "Of the list, to tag, split, flip or delete them together"),
    line(Action::Extend(ScrollBy::Down), "Choose several rows", &["Shift+Down"], PAIRS, pairs, "Down to the next"),
    line(Action::Extend(ScrollBy::Up), "Choose several rows", &["Shift+Up"], PAIRS, pairs, "Up to the one before"),
    line(Action::Extend(ScrollBy::PageDown), "Choose several rows", &["Shift+PageDown"], PAIRS, pairs, "A page down"),
    line(Action::Extend(ScrollBy::PageUp), "Choose several rows", &["Shift+PageUp"], PAIRS, pairs, "A page up"),
    line(Action::Extend(ScrollBy::Start), "Choose several rows", &["Shift+Home"], PAIRS, pairs, "To the first"),
    line(Action::Extend(ScrollBy::End), "Choose several rows", &["Shift+End"], PAIRS, pairs, "To the last"),
    line(Action::Difference, "Difference on or off", &["D"], PAIRS, project, "Marks the words that only one answer has"),
    line(Action::Tokens, "Tokens on or off", &["I"], PAIRS, project, "What the model sees of the pair, token by token"),
    line(Action::Tint, "Colour tokens by part, log-prob or change", &["C"], PAIRS, open_pair, "How likely each is, and what a run has changed since step 0"),
    line(Action::Scrub(false), "Tokens at an earlier step", &["["], PAIRS, open_pair, "The checkpoint before, and at last the start model"),
    line(Action::Scrub(true), "Tokens at a later step", &["]"], PAIRS, open_pair, "The next checkpoint of the run"),
    line(Action::WhiteSpace, "White space marked or not", &["W"], PAIRS, project, "Marks spaces, tabs and line ends"),
    line(Action::Scores, "What a model thinks, on or off", &["G"], PAIRS, pairs, "Margin, reward and push of each pair as columns"),
    line(Action::ScorePairs, "Score the pairs", &["Shift+G"], PAIRS, can_score, "Reads every answer once, in the background; only what has no score yet"),
    line(Action::Fate(Some(Fate::FoughtOver)), "Show the most fought-over pairs", &["1"], PAIRS, has_scores, Fate::FoughtOver.about()),
    line(Action::Fate(Some(Fate::Asleep)), "Show the pairs that are asleep", &["2"], PAIRS, has_scores, Fate::Asleep.about()),
    line(Action::Fate(Some(Fate::Won)), "Show the pairs that are won", &["3"], PAIRS, has_scores, Fate::Won.about()),
    line(Action::Fate(Some(Fate::Lost)), "Show the pairs that are lost", &["4"], PAIRS, has_scores, Fate::Lost.about()),
    line(Action::ShowSteps, "Show the steps that met the pair", &["H"], PAIRS, has_history, "In the charts of the newest run that trained on it"),
    line(Action::Fate(None), "Show pairs of any margin", &["0"], PAIRS, has_scores, "In their usual order"),
    line(Action::Move(ScrollBy::Down), "Move through the table", &["Down", "J"], PAIRS, pairs, "The pair below"),
    line(Action::Move(ScrollBy::Up), "Move through the table", &["Up", "K"], PAIRS, pairs, "The pair above"),
    line(Action::Move(ScrollBy::PageDown), "Move through the table", &["PageDown"], PAIRS, pairs, "A page down"),
    line(Action::Move(ScrollBy::PageUp), "Move through the table", &["PageUp"], PAIRS, pairs, "A page up"),
    line(Action::Move(ScrollBy::Start), "Move through the table", &["Home"], PAIRS, pairs, "The first pair"),
    line(Action::Move(ScrollBy::End), "Move through the table", &["End"], PAIRS, pairs, "The last pair"),

    line(better(Side::Left, Strength::Clearly), "Left is clearly better", &["1", "Left"], LABELLING, always, "Left is better"),
    line(better(Side::Right, Strength::Clearly), "Right is clearly better", &["2", "Right"], LABELLING, always, "Right is better"),
    line(better(Side::Left, Strength::Strongly), "Left is strongly better", &["Shift+1", "Shift+Left"], LABELLING, always, "A stronger push"),
    line(better(Side::Right, Strength::Strongly), "Right is strongly better", &["Shift+2", "Shift+Right"], LABELLING, always, "A stronger push"),
    line(better(Side::Left, Strength::Slightly), "Left is slightly better", &["Alt+1", "Alt+Left"], LABELLING, always, "A weaker push"),
    line(better(Side::Right, Strength::Slightly), "Right is slightly better", &["Alt+2", "Alt+Right"], LABELLING, always, "A weaker push"),
    line(Action::Labelling(Act::Judge(Judgement::Tie)), "Tie", &["T"], LABELLING, always, "Neither is better"),
    line(Action::Labelling(Act::Judge(Judgement::BothBad)), "Both bad", &["B"], LABELLING, always, "Not trained on"),
    line(Action::Labelling(Act::Skip), "Skip; a verdict that is there is kept", &["S"], LABELLING, always, "Not trained on"),
    line(Action::Labelling(Act::Judge(Judgement::Skip)), "Skip, also over a verdict", &["Shift+S"], LABELLING, always, "Not trained on"),
    line(Action::Labelling(Act::Keep), "Keep the pair as it is, next", &["K"], LABELLING, always, "Changes nothing"),
    line(Action::Labelling(Act::Order), "Order all answers, or ask about two", &["O"], LABELLING, several_answers, "Of more than two: 1, 2, 3 … pick the best, the next best …; pairs follow from the order"),
    line(Action::Labelling(Act::Pick(2)), "Next best of several", &["3"], LABELLING, ordering, "1 and 2 pick the first two"),
    line(Action::Labelling(Act::Pick(3)), "Next best of several", &["4"], LABELLING, ordering, "The fourth"),
    line(Action::Labelling(Act::Pick(4)), "Next best of several", &["5"], LABELLING, ordering, "The fifth"),
    line(Action::Labelling(Act::Pick(5)), "Next best of several", &["6"], LABELLING, ordering, "The sixth"),
    line(Action::Labelling(Act::Pick(6)), "Next best of several", &["7"], LABELLING, ordering, "The seventh"),
    line(Action::Labelling(Act::Pick(7)), "Next best of several", &["8"], LABELLING, ordering, "The eighth"),
    line(Action::Labelling(Act::Reveal), "Verdict so far, shown or not", &["V"], LABELLING, again, "What was said of the pair before"),
    line(Action::Labelling(Act::Flag), "Flag the pair, or not", &["F"], LABELLING, always, "Tags it “flagged”, to be found again"),
    line(Action::Labelling(Act::Tag), "Tag the pair", &["G"], LABELLING, always, "Enter adds the tag"),
    line(Action::Labelling(Act::Note), "Write a note", &["N"], LABELLING, always, "Enter keeps it"),
    line(Action::Labelling(Act::Fold), "Prompt on one line, or whole", &["P"], LABELLING, always, "More room for the answers"),
    line(scroll(ScrollPart::Answers, ScrollBy::Up), "Scroll both answers", &["Up"], LABELLING, always, "Up"),
    line(scroll(ScrollPart::Answers, ScrollBy::Down), "Scroll both answers", &["Down"], LABELLING, always, "Down"),
    line(scroll(ScrollPart::Answers, ScrollBy::PageUp), "Scroll both answers", &["PageUp", "Shift+Space"], LABELLING, always, "A page up"),
    line(scroll(ScrollPart::Answers, ScrollBy::PageDown), "Scroll both answers", &["PageDown", "Space"], LABELLING, always, "A page down"),
    line(scroll(ScrollPart::Answers, ScrollBy::Start), "Scroll both answers", &["Home"], LABELLING, always, "To the start"),
    line(scroll(ScrollPart::Answers, ScrollBy::End), "Scroll both answers", &["End"], LABELLING, always, "To the end"),
    line(scroll(ScrollPart::Prompt, ScrollBy::Up), "Scroll the prompt", &["Shift+Up"], LABELLING, always, "Up"),
    line(scroll(ScrollPart::Prompt, ScrollBy::Down), "Scroll the prompt", &["Shift+Down"], LABELLING, always, "Down"),
    line(scroll(ScrollPart::Prompt, ScrollBy::PageUp), "Scroll the prompt", &["Shift+PageUp"], LABELLING, always, "A page up"),
    line(scroll(ScrollPart::Prompt, ScrollBy::PageDown), "Scroll the prompt", &["Shift+PageDown"], LABELLING, always, "A page down"),
    line(scroll(ScrollPart::Prompt, ScrollBy::Start), "Scroll the prompt", &["Shift+Home"], LABELLING, always, "To the start"),
    line(scroll(ScrollPart::Prompt, ScrollBy::End), "Scroll the prompt", &["Shift+End"], LABELLING, always, "To the end"),
    line(Action::Labelling(Act::Edit), "Edit the answers", &["E"], LABELLING, always, "Esc or Ctrl Enter ends editing"),
    line(Action::Labelling(Act::EndEditing), "End editing", &["Ctrl+Enter"], LABELLING, editing, "What was typed is saved"),
    line(Action::Labelling(Act::Difference), "Difference on or off", &["D"], LABELLING, always, "Marks the words that only one answer has"),
    line(Action::Labelling(Act::WhiteSpace), "White space marked or not", &["W"], LABELLING, always, "Marks spaces, tabs and line ends"),
    line(Action::NextPair, "Make the next pair", &["M"], LABELLING, can_draw, "A model answers the prompt that was asked least; the pair comes at the end of this session"),
    line(Action::Labelling(Act::Undo), "Undo the last label of this session", &["U", "Ctrl+Z"], LABELLING, always, "Every label is on the disk before “Saved” is said"),
    line(Action::Labelling(Act::Leave), "Leave", &["Escape"], LABELLING, always, "Back to the table"),

    line(decide(Decision::Flip), "Flip the label", &["F"], REVIEWING, always, "The rejected answer is the better one"),
    line(decide(Decision::Keep), "Keep the label", &["K"], REVIEWING, always, "It was meant so; this run does not ask again"),
    line(decide(Decision::Drop), "Drop the label", &["X"], REVIEWING, always, "Not trained on"),
    line(Action::Review(ReviewAct::Difference), "Difference on or off", &["D"], REVIEWING, always, "Marks the words that only one answer has"),
    line(Action::Review(ReviewAct::Undo), "Undo the last decision", &["U", "Ctrl+Z"], REVIEWING, always, "Back to its pair"),
    line(Action::Review(ReviewAct::Leave), "Leave", &["Escape"], REVIEWING, always, "Back to the table"),

    line(Action::ChartCursor(false), "Read charts and answers at another step", &[","], STEPS, shows_steps, "The one before: charts tell the values there, the tokens of a pair follow"),
    line(Action::ChartCursor(true), "Read charts and answers at another step", &["."], STEPS, shows_steps, "The next one; after the last they are read at their ends again"),
    line(reference(ReferenceAct::Move(ScrollBy::Down)), "Move through the list", &["Down", "J"], REFERENCES, project, "The one below"),
    line(reference(ReferenceAct::Move(ScrollBy::Up)), "Move through the list", &["Up", "K"], REFERENCES, project, "The one above"),
    line(reference(ReferenceAct::Move(ScrollBy::PageDown)), "Move through the list", &["PageDown"], REFERENCES, project, "A page down"),
    line(reference(ReferenceAct::Move(ScrollBy::PageUp)), "Move through the list", &["PageUp"], REFERENCES, project, "A page up"),
    line(reference(ReferenceAct::Move(ScrollBy::Start)), "Move through the list", &["Home"], REFERENCES, project, "The first"),
    line(reference(ReferenceAct::Move(ScrollBy::End)), "Move through the list", &["End"], REFERENCES, project, "The last"),
    line(reference(ReferenceAct::Turn), "Reference answers, or retention text", &["T"], REFERENCES, project, "Which of the two is listed"),
    line(reference(ReferenceAct::Edit), "Edit the answer", &["E", "Enter"], REFERENCES, reference_answer, "Puts the caret into it"),
    line(reference(ReferenceAct::Pin), "Pin the answer, or not", &["P"], REFERENCES, reference_answer, "A pinned answer stays when its prompt is sampled again"),
    line(reference(ReferenceAct::Drop), "Drop the answer or text", &["Delete"], REFERENCES, one_reference, "It can be put back"),
    line(reference(ReferenceAct::PutBack), "Put back what was dropped last", &["U"], REFERENCES, reference_dropped, "At the end of the list"),
    line(reference(ReferenceAct::Undo), "Undo", &["Ctrl+Z"], REFERENCES, reference_undo, "Takes the last change of reference answers or retention text back, as long as the window is open"),
    line(reference(ReferenceAct::Redo), "Redo", &["Ctrl+Shift+Z", "Ctrl+Y"], REFERENCES, reference_redo, "Makes the change again"),
    line(reference(ReferenceAct::Write), "Write a retention text", &["N"], REFERENCES, writable, "Puts the caret into an empty one"),
    line(reference(ReferenceAct::Everyday), "Have the model answer everyday prompts", &["A"], REFERENCES, writable, "40 of them, now"),
    line(reference(ReferenceAct::Suggest), "Prompts from the retention text", &["S"], REFERENCES, writable, "From the beginnings of its texts, to be looked over and answered"),
    line(reference(ReferenceAct::Sample), "Answers to prompts of yours", &["M"], REFERENCES, writable, "The start model answers each"),
    line(reference(ReferenceAct::WhiteSpace), "White space marked or not", &["W"], REFERENCES, project, "Marks spaces, tabs and line ends"),
    line(reference(ReferenceAct::Leave), "Back to the pairs", &["R"], REFERENCES, always, "What is typed is saved"),

    line(Action::SetUp, "Set up a run", &["U"], TRAIN, project, "The settings of the next run"),
    line(Action::Watch, "Watch a run", &["W"], TRAIN, project, "Its charts, its log, and settings that can be changed while it goes"),
    line(Action::Check, "Check first", &["Ctrl+Shift+Enter"], TRAIN, can_check, "Usable and sleeping pairs, memory and time, measured on one step"),
    line(Action::Start, "Start run", &["Ctrl+Enter"], TRAIN, can_start, "With the settings of the sheet"),
    line(Action::Preset(Preset::QuickLook), Preset::QuickLook.label(), &[], TRAIN, project, Preset::QuickLook.about()),
    line(Action::Preset(Preset::Careful), Preset::Careful.label(), &[], TRAIN, project, Preset::Careful.about()),
    line(Action::CompareMethods, "Compare the methods", &[], TRAIN, can_start, "One run of each chosen method, one after the other, with everything else alike"),
    line(Action::FitReward, "Fit a reward model first", &[], TRAIN, lacks_reward, "A run that PPO, RLOO or GRPO, as the sheet has it, can wait its turn behind"),
    line(Action::EarlierSettings, "Settings of an earlier run", &[], TRAIN, a_run, "The list of runs on the sheet: Space opens it"),
    line(Action::AllSettings, "All settings, or fewer", &[], TRAIN, project, "What stands behind the questions of the sheet"),
    line(Action::Fork, "Fork the run", &["F"], TRAIN, can_fork, "A run of its own from one of its checkpoints, with other settings or without some pairs"),
    line(Action::Again, "Run again with changes", &["R"], TRAIN, a_run, "A new run from the settings of the one that is shown"),
    line(Action::LeaveFork, "Set up a new run instead of a fork", &[], TRAIN, forking, "The sheet is as it was before"),
    line(Action::Lens(LensMove::Toggle), "Pairs of the newest steps, on or off", &["B"], TRAIN, watches, "Which pairs these steps met and what they did to them; Shift and drag in a chart does the same for any steps"),
    line(Action::Lens(LensMove::Close), "Close the pairs of steps", &["Escape"], TRAIN, lens_open, "Back to the charts alone"),
    line(Action::Lens(LensMove::Earlier), "Pairs of other steps", &["Left"], TRAIN, lens_open, "As many steps before these"),
    line(Action::Lens(LensMove::Later), "Pairs of other steps", &["Right"], TRAIN, lens_open, "As many steps after these"),
    line(Action::Lens(LensMove::Wider), "Pairs of more or fewer steps", &["Shift+Left"], TRAIN, lens_open, "Twice as many, back from here"),
    line(Action::Lens(LensMove::Narrower), "Pairs of more or fewer steps", &["Shift+Right"], TRAIN, lens_open, "The later half of them"),
    line(Action::Lens(LensMove::NextEffect), "Sort the pairs of steps", &["S"], TRAIN, lens_open, "By push, loss, or how the margin changed"),
    line(Action::Lens(LensMove::Turn), "Turn the order round", &["O"], TRAIN, lens_open, "Largest or smallest first"),
    line(Action::Lens(LensMove::Row(ScrollBy::Down)), "Move through the pairs of steps", &["Down", "J"], TRAIN, lens_open, "The pair below"),
    line(Action::Lens(LensMove::Row(ScrollBy::Up)), "Move through the pairs of steps", &["Up", "K"], TRAIN, lens_open, "The pair above"),
    line(Action::Lens(LensMove::Row(ScrollBy::Start)), "Move through the pairs of steps", &["Home"], TRAIN, lens_open, "The first pair"),
    line(Action::Lens(LensMove::Row(ScrollBy::End)), "Move through the pairs of steps", &["End"], TRAIN, lens_open, "The last pair"),
    line(Action::Rollout(RolloutMove::Toggle), "Answers that the run learns from, on or off", &["A"], TRAIN, samples, "What it said to the prompts of a step, what that counted, and whether it came to an end"),
    line(Action::Rollout(RolloutMove::Earlier), "Answers of another step", &["["], TRAIN, rollout_open, "The step before whose answers are kept"),
    line(Action::Rollout(RolloutMove::Later), "Answers of another step", &["]"], TRAIN, rollout_open, "The next step whose answers are kept"),
    line(Action::OpenLensPair, "Open the pair", &["Enter"], TRAIN, lens_pair, "Its curve over the run, its tokens, its texts"),
    line(Action::Alarm(AlarmAct::First), "Fork with the remedy of an alarm", &["M"], TRAIN, has_remedy, "The first that is offered; it goes on from before as a run of its own"),
    line(Action::Alarm(AlarmAct::Second), "Fork with the remedy of an alarm", &["Shift+M"], TRAIN, has_second_remedy, "The second that is offered"),
    line(Action::Alarm(AlarmAct::Ignore), "Ignore an alarm", &["I"], TRAIN, has_alarm, "The first that is shown; it is not told again of this run"),
    line(Action::Pause, "Pause the run, or go on with it", &["Space"], TRAIN, some_run_goes, "Takes effect within a moment; the weights stay in memory. Also the one that another program trains"),
    line(Action::Resume, "Resume the run", &[], TRAIN, can_resume, "The shown one goes on from its last checkpoint, or begins again where there is none"),
    line(Action::Lengthen, "Extend the run", &[], TRAIN, can_lengthen, "The shown one, which has done all its steps, gets more"),
    line(Action::ExportRun, "Export the run", &[], TRAIN, can_fork, "As an adapter or a whole model that other programs read"),
    line(Action::Checkpoint, "Save a checkpoint", &[], TRAIN, run_goes, "After this step; later ones do not take its place"),
    line(Action::TakeIn, "Take in new labels, or not yet", &["T"], TRAIN, labels_wait, "What was labelled since the shown run began joins it at its next end of an epoch"),
    line(Action::SeenLabels, "Labels that each checkpoint has seen, on or off", &["L"], TRAIN, has_checkpoints, "How many of the shown run's, which pairs, and what was labelled since"),
    line(Action::BundleRun, "Put the run into one file", &[], TRAIN, a_run_at_rest, "A bundle that opens elsewhere: settings, curves, answers, its pairs, its newest weights"),
    line(Action::InQueue(false), "Sooner in the queue", &["Alt+Up"], TRAIN, shown_waits, "The shown run changes places with the one before it"),
    line(Action::InQueue(true), "Later in the queue", &["Alt+Down"], TRAIN, shown_waits, "The shown run changes places with the one behind it"),
    line(Action::LeaveQueue, "Out of the queue", &[], TRAIN, waits_here, "The shown run stays among the runs and does not wait any more"),
    line(Action::Stop, "Stop the run", &[], TRAIN, some_run_goes, "With a checkpoint; it can be continued later. Also the one that another program trains"),

    line(Action::ChooseCharts, "Choose and order the charts", &["C"], COMPARE, runs_ticked, "Any metrics side by side; kept with the project"),
    line(Action::Columns(true), "One more chart side by side", &["]"], COMPARE, runs_ticked, "As far as there is room"),
    line(Action::Columns(false), "One chart fewer side by side", &["["], COMPARE, runs_ticked, "They grow wider"),
    line(Action::CompareFace, "Charts, or the table of runs", &["T"], COMPARE, watches, "All runs with what they reached, to be filtered and sorted"),
    line(Action::FilterRuns, "Filter the runs", &["/"], COMPARE, watches, "By words of name, method, tags and note, or by comparisons such as kl/ref<0.05"),
    line(Action::ShowFought, "Show the pairs that fought back", &["F"], COMPARE, pairs_fought, "Those whose rejected answer was still ahead when a ticked run met them last"),
    line(Action::TurnScale, "Linear, log or symmetric log scale", &["L"], COMPARE, runs_ticked, "Values of zero or below have no place on a log scale"),
    line(Action::ClipOutliers, "Clip outliers, or show all", &["O"], COMPARE, charts_move, "The few values far from the others do not stretch an axis"),
    line(Action::ChartControls, "How charts are drawn, shown or folded", &["V"], COMPARE, runs_ticked, "Where the window has no room for it in one row"),
    line(Action::ChartsAcross, "Steps, pairs, tokens, time or KL across the charts", &["A"], COMPARE, runs_ticked, "What curves are drawn over"),
    line(Action::Zoom(Zoom::In), "Zoom the charts in or out", &["Plus", "="], COMPARE, charts_move, "Around their middle"),
    line(Action::Zoom(Zoom::Out), "Zoom the charts in or out", &["-"], COMPARE, charts_move, "Around their middle"),
    line(Action::Zoom(Zoom::Earlier), "Move the charts", &["Left"], COMPARE, charts_move, "Where a part of the run is shown"),
    line(Action::Zoom(Zoom::Later), "Move the charts", &["Right"], COMPARE, charts_move, "Where a part of the run is shown"),
    line(Action::Zoom(Zoom::All), "Show all of the run", &["0"], COMPARE, charts_move, "Back from a part of it"),
    line(axis(AxisMove::Next), "Choose a parallel axis", &["Shift+Right"], COMPARE, axes_shown, "To the right; it is scrolled to"),
    line(axis(AxisMove::Previous), "Choose a parallel axis", &["Shift+Left"], COMPARE, axes_shown, "To the left; it is scrolled to"),
    line(axis(AxisMove::LeaveOut(End::Lowest)), "Leave out the lowest or highest runs of the axis", &["Up"], COMPARE, axis_chosen, "The lower end of what is marked goes up to the next run"),
    line(axis(AxisMove::LeaveOut(End::Highest)), "Leave out the lowest or highest runs of the axis", &["Down"], COMPARE, axis_chosen, "The upper end of what is marked goes down to the next run"),
    line(axis(AxisMove::TakeIn(End::Highest)), "Take higher or lower runs in again", &["Shift+Up"], COMPARE, axis_chosen, "The upper end of what is marked goes up to the next run"),
    line(axis(AxisMove::TakeIn(End::Lowest)), "Take higher or lower runs in again", &["Shift+Down"], COMPARE, axis_chosen, "The lower end of what is marked goes down to the next run"),
    line(axis(AxisMove::PassAll), "Let all runs pass the axis", &["Delete"], COMPARE, axis_chosen, "Nothing is marked on it"),
    line(axis(AxisMove::Leave), "Leave the parallel axes", &["Escape"], COMPARE, axis_chosen, "What is marked stays"),
    line(Action::AboutUndo, "Undo a change of a run's name or marks", &["Ctrl+Z"], COMPARE, about_undo, "Names, colours, tags, notes, pins, and what was put away; unlimited, also after a restart"),
    line(Action::AboutRedo, "Redo it", &["Ctrl+Shift+Z", "Ctrl+Y"], COMPARE, about_redo, "What was undone last"),
    line(Action::ExportCurves(CurveFile::Png), "Charts as PNG", &[], COMPARE, runs_ticked, "A picture of the charts that are shown"),
    line(Action::ExportCurves(CurveFile::Svg), "Charts as SVG", &[], COMPARE, runs_ticked, "A drawing of the charts that are shown"),
    line(Action::ExportCurves(CurveFile::Csv), "Curves as CSV", &[], COMPARE, runs_ticked, "The numbers of the charts that are shown, a line a value"),
    line(Action::ExportCurves(CurveFile::Json), "Curves as JSON", &[], COMPARE, runs_ticked, "The numbers of the charts that are shown"),
    line(Action::ExportCurves(CurveFile::TensorBoard), "Runs for TensorBoard", &[], COMPARE, runs_ticked, "Event files with all that the ticked runs measured, a folder a run"),
    line(Action::FrontierAcross, "Steps, pairs, tokens, time or KL across the frontier", &["X"], COMPARE, runs_ticked, "What it took to learn as much"),
    line(Action::CompareReport, "Report of the ticked runs", &[], COMPARE, runs_ticked, "Settings, charts and answers side by side, on one page"),

    line(Action::Probes, "Probe prompts", &[], ANSWERS, project, "Fixed prompts, answered as a run goes on"),
    line(Action::Judged, "Judged answers", &[], ANSWERS, project, "What the project's rules count, to be read"),
    line(Action::EditRules, "Edit the rules", &[], ANSWERS, writable, "What counts as what: judge.toml in the project's folder"),
    line(Action::SaveRules, "Save the rules", &["Ctrl+S"], ANSWERS, can_save_rules, "The next run is judged by them"),
    line(Action::AskBox, "Ask the weights yourself", &[], ANSWERS, project, "Your own prompt to one or two sets of weights"),
    line(Action::Ask, "Ask", &["Ctrl+Enter"], ANSWERS, can_ask, "Has the prompt of the box answered"),
    line(Action::Talk, "Talk in turns, or ask once", &[], ANSWERS, project, "Each side goes on with what was said on it"),
    line(Action::BeginAnew, "Begin a new talk", &[], ANSWERS, talking, "Forgets what was said"),
    line(Action::ProbesBeside, "Answers of the compared runs side by side, or of one", &["B"], ANSWERS, runs_ticked, "To the probe prompts, under one beginning; those that are ticked in Compare"),
    line(Action::GreedyAlone, "Answers drawn by seeds too, or the likeliest alone", &["G"], ANSWERS, project, "To the probe prompts; the setting is “Drawn by seeds”"),
    line(Action::StopAnswers, "Stop answering", &["Escape"], ANSWERS, answering, "What was written stays"),
    line(Action::Prefer(Side::Left), "Prefer the left answer", &["Alt+1"], ANSWERS, can_prefer, "Makes a pair of the two"),
    line(Action::Prefer(Side::Right), "Prefer the right answer", &["Alt+2"], ANSWERS, can_prefer, "Makes a pair of the two"),
    line(Action::Duel, "Blind duel", &[], ANSWERS, project, "Two sets of weights, and you judge without knowing whose answer is whose"),
    line(Action::DuelPress(DuelPress::Better(Side::Left)), "Left is better, in a duel", &["1", "Left"], ANSWERS, dueling, "Whose answer it is comes out at the end"),
    line(Action::DuelPress(DuelPress::Better(Side::Right)), "Right is better, in a duel", &["2", "Right"], ANSWERS, dueling, "Whose answer it is comes out at the end"),
    line(Action::DuelPress(DuelPress::Tie), "Tie, in a duel", &["T"], ANSWERS, dueling, "Neither is better"),
    line(Action::DuelPress(DuelPress::Pass), "Pass, in a duel", &["S"], ANSWERS, dueling, "No verdict on this prompt"),
    line(Action::DuelUndo, "Undo the last verdict of a duel", &["U", "Ctrl+Z"], ANSWERS, judged_in_a_duel, "The prompt is asked about again"),

    line(Action::AddModel, "Add a model", &[], MODELS, always, "A folder, a GGUF file or an adapter"),
    line(Action::Download, "Download a model", &[], MODELS, always, "From the Hugging Face hub, by its name"),
    line(Action::LookAgain, "Look for models again", &[], MODELS, always, "Through the cache and the added folders"),
    line(Action::MoveModel(ScrollBy::Down), "Move through the list", &["Down"], MODELS, always, "The one below"),
    line(Action::MoveModel(ScrollBy::Up), "Move through the list", &["Up"], MODELS, always, "The one above"),
    line(Action::MoveModel(ScrollBy::Start), "Move through the list", &["Home"], MODELS, always, "The first"),
    line(Action::MoveModel(ScrollBy::End), "Move through the list", &["End"], MODELS, always, "The last"),
];
