//! The Answers screen: what is true, what the screen remembers, what it can ask for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use data::Prompt;
use engine::protocol::Event;
use serde::{Deserialize, Serialize};
use store::{Probe, RunId, Sample, SampleRecord};

use super::{
    ask::Ask,
    difference::Differences,
    duel::{Duel, DuelCommand, DuelForm},
    judged::JudgedView,
    labelling::Side,
    runs::{Loaded, Runs},
};

/// Sampled answers, as far as the screen has asked. Written only by `app`.
#[derive(Debug, Default)]
pub struct AnswersData {
    /// Absent until they were read.
    pub probes: Option<Vec<Probe>>,
    pub duel: Option<Duel>,
    grids: HashMap<RunId, Grid>,
}

impl AnswersData {
    pub fn grid(&self, run: RunId) -> Option<&Grid> {
        self.grids.get(&run)
    }

    /// `count` columns of a table, about: what the first of these runs said at first, then of each run some steps up to
    /// `until`, evenly spread, the latest among them.
    pub fn columns(&self, runs: &[RunId], until: u64, count: usize) -> Vec<(RunId, u64)> {
        let answered = runs.iter().filter_map(|run| Some((*run, self.grid(*run)?)));
        let answered: Vec<(RunId, &Grid)> = answered.filter(|(_, grid)| !grid.is_empty()).collect();
        let each = (count.saturating_sub(1) / answered.len().max(1)).max(1);
        let mut columns: Vec<(RunId, u64)> =
            answered.iter().take(1).filter_map(|(run, grid)| Some((*run, *grid.steps().first()?))).collect();
        for (run, grid) in answered {
            let first = grid.steps().first().copied();
            let later = grid.columns(until, each + 1).into_iter().filter(|step| Some(*step) != first);
            columns.extend(later.map(|step| (run, step)));
        }
        columns
    }

    /// Steps at which any of these runs has answered, in order.
    pub fn steps(&self, runs: &[RunId]) -> Vec<u64> {
        let steps: BTreeSet<u64> = runs.iter().filter_map(|run| self.grid(*run)).flat_map(Grid::steps).collect();
        steps.into_iter().collect()
    }

    /// The run's samples are being read; false when they already were.
    pub fn ask(&mut self, run: RunId) -> bool {
        let grid = self.grids.entry(run).or_default();
        let absent = grid.loaded == Loaded::Absent;
        if absent {
            grid.loaded = Loaded::Asked;
        }
        absent
    }

    /// What the project has of a run.
    pub fn fill(&mut self, run: RunId, samples: Vec<SampleRecord>) {
        let grid = self.grids.entry(run).or_default();
        grid.loaded = Loaded::Ready;
        for record in samples {
            grid.take(record.step, record.probe, record.sample);
        }
    }

    /// An answer that was sampled just now, or a run that begins: what it answered beyond that step in an earlier life
    /// is not its own any more.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Sampled { run, step, probe, sample } => {
                self.grids.entry(*run).or_default().take(*step, *probe, sample.clone());
            }
            Event::Started { run, first_step, .. } => {
                if let Some(grid) = self.grids.get_mut(run) {
                    grid.cells.retain(|(step, _), _| step < first_step);
                }
            }
            _ => {}
        }
    }
}

/// What one run answered to the probe prompts, step by step.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    pub loaded: Loaded,
    /// By step and by the place of the prompt.
    cells: BTreeMap<(u64, usize), AnswersAtStep>,
    /// As they were when the run was sampled, with their places among the probes; the project's may have changed since,
    /// and while it was sampled.
    prompts: Vec<(usize, Prompt)>,
}

/// What was answered to a prompt at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswersAtStep {
    /// The likeliest answer.
    pub greedy: Said,
    /// Those that seeds have drawn, in the seeds' order.
    pub drawn: Vec<Said>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub text: Arc<str>,
    /// The model did not end it by itself.
    pub cut: bool,
}

impl Grid {
    fn take(&mut self, step: u64, probe: usize, sample: Sample) {
        let said = |text: String, ended: bool| Said { text: text.into(), cut: !ended };
        let drawn = sample.drawn.into_iter().map(|drawn| said(drawn.answer, drawn.ended)).collect();
        let place = self.place(&sample.prompt).unwrap_or_else(|| {
            self.prompts.push((probe, sample.prompt));
            self.prompts.len() - 1
        });
        self.cells.insert((step, place), AnswersAtStep { greedy: said(sample.answer, sample.ended), drawn });
    }

    /// Whether seeds have drawn any of its answers.
    pub fn has_drawn(&self) -> bool {
        self.cells.values().any(|cell| !cell.drawn.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Steps with answers, in order.
    pub fn steps(&self) -> Vec<u64> {
        let steps: BTreeSet<u64> = self.cells.keys().map(|(step, _)| *step).collect();
        steps.into_iter().collect()
    }

    /// Prompts with answers, in the order of the probes.
    pub fn prompts(&self) -> Vec<&Prompt> {
        let mut prompts: Vec<&(usize, Prompt)> = self.prompts.iter().collect();
        prompts.sort_by_key(|(probe, _)| *probe);
        prompts.into_iter().map(|(_, prompt)| prompt).collect()
    }

    fn place(&self, prompt: &Prompt) -> Option<usize> {
        self.prompts.iter().position(|(_, known)| known == prompt)
    }

    pub fn cell(&self, step: u64, prompt: &Prompt) -> Option<&AnswersAtStep> {
        self.cells.get(&(step, self.place(prompt)?))
    }

    /// The answer before training: what every other one is compared with.
    pub fn first(&self, prompt: &Prompt) -> Option<&AnswersAtStep> {
        let step = self.steps().first().copied()?;
        self.cell(step, prompt)
    }

    /// On how many of the prompts the likeliest answer at `step` is another than at first: (changed, answered).
    pub fn changed(&self, step: u64) -> (usize, usize) {
        self.changed_of(step, |_| true)
    }

    /// The same of some prompts.
    pub fn changed_of(&self, step: u64, is_asked: impl Fn(&Prompt) -> bool) -> (usize, usize) {
        let mut counted = (0, 0);
        for prompt in self.prompts().into_iter().filter(|prompt| is_asked(prompt)) {
            if let (Some(first), Some(now)) = (self.first(prompt), self.cell(step, prompt)) {
                counted.0 += usize::from(first.greedy.text != now.greedy.text);
                counted.1 += 1;
            }
        }
        counted
    }

    /// `count` steps for the columns of a table: the first, `until`, and some between, evenly spread.
    pub fn columns(&self, until: u64, count: usize) -> Vec<u64> {
        let steps: Vec<u64> = self.steps().into_iter().filter(|step| *step <= until).collect();
        let Some(last) = steps.len().checked_sub(1) else {
            return Vec::new();
        };
        let count = count.clamp(1, steps.len());
        if count == 1 {
            return vec![steps[last]];
        }
        (0..count).map(|column| steps[(column * last + (count - 1) / 2) / (count - 1)]).collect()
    }
}

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Tab {
    /// Fixed prompts, step by step.
    #[default]
    Probes,
    /// Answers that rules have judged.
    Judged,
    /// Ask the weights yourself.
    Ask,
    /// Judge two sets of weights without knowing whose answer is whose.
    Duel,
}

/// What the Answers screen remembers between frames and starts.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AnswersView {
    pub tab: Tab,
    /// Absent: the newest.
    #[serde(skip)]
    pub run: Option<RunId>,
    /// Runs whose answers stand beside those of that one.
    #[serde(skip)]
    pub beside: BTreeSet<RunId>,
    /// Absent: the newest.
    #[serde(skip)]
    pub step: Option<u64>,
    /// The likeliest answers alone, without those that seeds have drawn.
    pub greedy_alone: bool,
    #[serde(skip)]
    pub ask: Ask,
    /// The prompt of the ask box gets the caret.
    #[serde(skip)]
    pub ask_opens: bool,
    #[serde(skip)]
    pub duel: DuelForm,
    #[serde(skip)]
    pub judged: JudgedView,
    /// Probe prompts while they are being edited.
    #[serde(skip)]
    pub editing: Option<Vec<Probe>>,
    #[serde(skip)]
    pub differences: Differences,
    /// The pair that the answers on the screen were made into.
    #[serde(skip)]
    pub preferred: Option<data::PairId>,
    /// The token inspector is open.
    pub tokens: bool,
    /// Settings of drawing that few people touch are unfolded.
    pub more: bool,
}

impl AnswersView {
    /// The run that is looked at, then those beside it.
    pub fn runs(&self, runs: &Runs) -> Vec<RunId> {
        let run = self.run.or_else(|| runs.records.last().map(|run| run.id));
        let beside = self.beside.iter().copied();
        let beside = beside.filter(|other| Some(*other) != run && runs.record(*other).is_some());
        run.into_iter().chain(beside).collect()
    }

    /// To the next step with answers, or the one before; at the last of them the table follows the run.
    pub fn turn_step(&mut self, steps: &[u64], later: bool) {
        let Some(last) = steps.len().checked_sub(1) else { return };
        let at = self.step.map_or(last, |step| steps.partition_point(|it| *it <= step).saturating_sub(1));
        let to = if later { at + 1 } else { at.saturating_sub(1) };
        self.step = (to < last).then(|| steps[to]);
    }
}

#[derive(Debug, Clone)]
pub enum AnswersCommand {
    ReadSamples(RunId),
    /// Ask what the box says.
    Ask,
    Stop,
    /// Forget the talk so far.
    BeginAnew,
    /// Make a pair of the two answers; this side is the better one.
    Prefer(Side),
    SetProbes(Vec<Probe>),
    Duel(DuelCommand),
    /// The judged answers of a step, the newest where absent.
    ReadJudged(RunId, Option<u64>),
    /// Open the rule set to be written.
    WriteRules,
    SaveRules {
        /// The file as it was when it was opened here; absent where there was none.
        before: Option<String>,
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::SeedAnswer;

    fn record(step: u64, probe: usize, answer: &str) -> SampleRecord {
        SampleRecord {
            step,
            probe,
            sample: Sample {
                prompt: prompt(probe),
                answer: answer.to_owned(),
                tokens: 2,
                ended: true,
                drawn: vec![SeedAnswer { answer: "by chance".to_owned(), ended: false }],
            },
        }
    }

    fn prompt(probe: usize) -> Prompt {
        Prompt::Text(format!("p{probe}"))
    }

    const RUN: RunId = RunId(1);

    fn data() -> AnswersData {
        let mut data = AnswersData::default();
        assert!(data.ask(RUN));
        assert!(!data.ask(RUN), "a frame asks once");
        let samples = vec![
            record(0, 0, "at nine"),
            record(0, 1, "by the pump"),
            record(20, 0, "at ten"),
            record(20, 1, "by the pump"),
        ];
        data.fill(RUN, samples);
        data
    }

    #[test]
    fn changes_are_counted_against_the_first_step() {
        let data = data();
        let grid = data.grid(RUN).unwrap();
        assert_eq!(grid.steps(), [0, 20]);
        assert_eq!(grid.changed(0), (0, 2));
        assert_eq!(grid.changed(20), (1, 2));
        assert_eq!(grid.changed(7), (0, 0));
        assert_eq!(grid.changed_of(20, |asked| *asked == prompt(1)), (0, 1));
        assert_eq!(grid.prompts(), [&prompt(0), &prompt(1)]);
    }

    #[test]
    fn a_probe_whose_prompt_was_replaced_is_two() {
        let mut data = data();
        let mut sample = record(40, 1, "under the stairs").sample;
        sample.prompt = Prompt::Text("Where is the meter?".to_owned());
        data.take(&Event::Sampled { run: RUN, step: 40, probe: 1, sample: sample.clone() });
        let grid = data.grid(RUN).unwrap();
        assert_eq!(grid.prompts(), [&prompt(0), &prompt(1), &sample.prompt]);
        assert!(grid.cell(40, &prompt(1)).is_none() && grid.cell(20, &sample.prompt).is_none());
        assert_eq!(grid.changed(40), (0, 0), "nothing is compared with an answer to another prompt");
    }

    #[test]
    fn runs_stand_beside_each_other_under_one_beginning() {
        let mut data = data();
        let other = RunId(2);
        data.ask(other);
        data.fill(other, [0, 10, 20, 30].map(|step| record(step, 0, "at nine")).to_vec());
        assert_eq!(data.columns(&[RUN], 99, 5), [(RUN, 0), (RUN, 20)]);
        assert_eq!(data.columns(&[RUN, other], 99, 5), [(RUN, 0), (RUN, 20), (other, 20), (other, 30)]);
        assert_eq!(data.columns(&[RUN, other], 15, 3), [(RUN, 0), (other, 10)]);
        assert_eq!(data.columns(&[RunId(9)], 99, 3), []);
    }

    #[test]
    fn keys_turn_through_the_steps_with_answers() {
        let mut view = AnswersView::default();
        let mut turn = |later: bool| {
            view.turn_step(&[0, 20, 40], later);
            view.step
        };
        assert_eq!(
            [false, false, false, true, true, true].map(&mut turn),
            [Some(20), Some(0), Some(0), Some(20), None, None]
        );
        view.step = Some(33);
        view.turn_step(&[0, 20, 40], false);
        assert_eq!(view.step, Some(0), "from the answers that were shown");
        view.turn_step(&[], true);
        assert_eq!(view.step, Some(0));
    }

    #[test]
    fn live_answers_join_what_was_read() {
        let mut data = data();
        data.take(&Event::Sampled { run: RUN, step: 40, probe: 1, sample: record(40, 1, "elsewhere").sample });
        let grid = data.grid(RUN).unwrap();
        let drawn = &grid.cell(40, &prompt(1)).unwrap().drawn;
        assert!(grid.has_drawn() && drawn.len() == 1 && drawn[0].cut);
        assert_eq!(grid.steps(), [0, 20, 40]);
        assert_eq!(grid.changed(40), (1, 1));
    }

    #[test]
    fn g15_answers_beyond_the_resumed_step_are_dropped() {
        let mut data = data();
        let arithmetic = store::Arithmetic::default();
        data.take(&Event::Started { run: RUN, first_step: 11, total_steps: 40, arithmetic });
        assert_eq!(data.grid(RUN).unwrap().steps(), [0]);
    }

    #[test]
    fn columns_begin_with_the_first_step_and_end_with_the_chosen_one() {
        let mut data = AnswersData::default();
        let samples = (0..=10).map(|step| record(step * 10, 0, "x")).collect();
        data.fill(RUN, samples);
        let grid = data.grid(RUN).unwrap();
        assert_eq!(grid.columns(100, 3), [0, 50, 100]);
        assert_eq!(grid.columns(30, 2), [0, 30]);
        assert_eq!(grid.columns(30, 9), [0, 10, 20, 30]);
        assert_eq!(grid.columns(100, 1), [100]);
        for count in 2..11 {
            let columns = grid.columns(100, count);
            assert!(columns.is_sorted_by(|a, b| a < b), "{columns:?}");
            assert_eq!((columns[0], columns[count - 1]), (0, 100));
        }
        assert!(Grid::default().columns(100, 3).is_empty());
    }
}
