//! What a frame costs with more runs and steps than anybody has, and a key in a long text: drawn from made-up state,
//! without a card.
//!
//! `cargo test --release -p nudge --test it -- --ignored --nocapture frames::` measures.

use std::sync::Arc;

use nudge::{
    data::{Across, Pair, PairId, Prompt, PromptKey, Split, config::RunConfig, metrics::METRICS},
    objective::{Number, NumberBounds, Objective},
    state::{
        Command, Commands, ProjectSummary, Screen, Views, Workspace,
        compare::metrics_present,
        drafts::Draft,
        filter::SortPairsBy,
        guide::Guide,
        pairs::PairsCommand,
        runs::{History, Loaded},
        scores::{ScoresCommand, ShownScores, Whose},
        series::Series,
    },
    store::{PairRow, PairScores, Revision, RunId, RunRecord, RunStatus, Score, Scoring, ScoringId, VerdictState},
    ui,
};

const SIZE: [f32; 2] = [1920.0, 3200.0];
/// Frames that a measurement is the mean of.
const MANY: usize = 60;

fn record(id: i64) -> RunRecord {
    let mut config = RunConfig::default();
    config.objective.beta = 0.05 * id as f64;
    RunRecord {
        id: RunId(id),
        name: format!("Run {id}"),
        method: "MPO anchored-sum".to_owned(),
        status: RunStatus::Completed,
        config_toml: config.to_toml().unwrap(),
        revision: Revision(1),
        step: 100_000,
        total_steps: 100_000,
        dir: "runs".into(),
        ..RunRecord::default()
    }
}

/// So many runs, each with every metric of a step and of held-out pairs; all of them charted and ticked.
fn scene(runs: i64, steps: usize) -> (Workspace, Views) {
    let (mut workspace, mut views) = (Workspace::default(), Views::default());
    workspace.project = Some(ProjectSummary {
        dir: "project".into(),
        name: "Many runs".to_owned(),
        model: "model".into(),
        has_template: true,
        ..ProjectSummary::default()
    });
    workspace.runs.set_records((1..=runs).map(record).collect());
    let names: Vec<String> =
        METRICS.iter().take(8).flat_map(|metric| [Some(metric.key.to_owned()), metric.evaluated()]).flatten().collect();
    for run in 1..=runs {
        let mut history = History { loaded: Loaded::Ready, ..History::default() };
        for (place, name) in names.iter().enumerate() {
            let noise = |step: usize| ((step * (place + 3) + run as usize * 7919) as f64 * 0.7).sin();
            let every = if nudge::data::metrics::is_rare(name) { 20 } else { 1 };
            let points = (1..=steps / every)
                .map(|step| [(step * every) as f64, (-(step as f64) / 4e4).exp() + 0.1 * noise(step)]);
            history.series.insert(name.clone(), Series::from_points(points));
        }
        let count = (1..=steps).map(|step| [step as f64, 512.0]);
        history.series.insert("tokens".to_owned(), Series::from_points(count));
        workspace.runs.history.insert(RunId(run), history);
    }
    let board = &mut views.compare.board;
    board.picked = Some((1..=runs).map(RunId).collect());
    board.columns = 3;
    let shown: Vec<&RunRecord> = workspace.runs.records.iter().collect();
    board.metrics = metrics_present(&workspace.runs, &shown);
    views.compare.kept = views.compare.board.clone();
    views.screen = Screen::Compare;
    views.guide = Guide::finished();
    (workspace, views)
}

struct Frames {
    ctx: egui::Context,
    workspace: Workspace,
    views: Views,
    commands: Commands,
    /// What the last frame asked for.
    asked: Vec<Command>,
    now: f64,
    size: [f32; 2],
}

impl Frames {
    fn new((workspace, views): (Workspace, Views)) -> Self {
        let ctx = egui::Context::default();
        ui::theme::install(&ctx);
        Self { ctx, workspace, views, commands: Commands::new(|| {}), asked: Vec::new(), now: 0.0, size: SIZE }
    }

    /// Draws one, up to the triangles; gives how many corners they have.
    fn draw(&mut self, pointer: [f32; 2]) -> usize {
        self.draw_with(vec![egui::Event::PointerMoved(pointer.into())])
    }

    fn draw_with(&mut self, events: Vec<egui::Event>) -> usize {
        let (shapes, pixels_per_point) = self.shapes(events);
        let primitives = self.ctx.tessellate(shapes, pixels_per_point);
        let corners = primitives.iter().map(|primitive| match &primitive.primitive {
            egui::epaint::Primitive::Mesh(mesh) => mesh.vertices.len(),
            egui::epaint::Primitive::Callback(_) => 0,
        });
        corners.sum()
    }

    /// The triangles that were made before this frame or while it was laid out, as it hands them over.
    fn meshes(&mut self) -> Vec<Arc<egui::Mesh>> {
        let (shapes, _) = self.shapes(Vec::new());
        let mesh = |clipped: egui::epaint::ClippedShape| match clipped.shape {
            egui::Shape::Mesh(mesh) => Some(mesh),
            _ => None,
        };
        shapes.into_iter().filter_map(mesh).collect()
    }

    fn shapes(&mut self, events: Vec<egui::Event>) -> (Vec<egui::epaint::ClippedShape>, f32) {
        self.now += 1.0 / 60.0;
        let input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, self.size.into())),
            time: Some(self.now),
            events,
            ..egui::RawInput::default()
        };
        let Self { ctx, workspace, views, commands, asked, .. } = self;
        let mut output = ctx.run_ui(input, |ui| ui::shell(ui, workspace, views, commands));
        output.textures_delta.clear();
        *asked = commands.take();
        (output.shapes, output.pixels_per_point)
    }
}

/// How long this thread has computed so far, in milliseconds: what others do on the machine does not count.
pub fn computed() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|nanos| nanos.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e6
}

#[test]
fn what_is_drawn_does_not_grow_with_the_steps() {
    let corners = |steps| {
        let mut frames = Frames::new(scene(4, steps));
        (0..4).map(|_| frames.draw([900.0, 500.0])).last().unwrap()
    };
    let (few, many) = (corners(3_000), corners(40_000));
    assert!(many < few * 2, "{few} corners for 3000 steps, {many} for 40000");
}

#[test]
fn a_still_frame_hands_over_the_triangles_of_the_frame_before() {
    /// The three runs' accuracy in its interval: a few corners an evaluation, which the plot makes anew.
    const BANDS: usize = 3;
    let mut frames = Frames::new(scene(3, 3_000));
    for _ in 0..4 {
        frames.meshes();
    }
    let (before, still) = (frames.meshes(), frames.meshes());
    let same = |one: &[Arc<egui::Mesh>], other: &[Arc<egui::Mesh>]| {
        assert_eq!(one.len(), other.len());
        one.iter().zip(other).filter(|(one, other)| Arc::ptr_eq(one, other)).count()
    };
    assert!(before.len() >= 12, "{} charts", before.len());
    assert_eq!(same(&before, &still), before.len() - BANDS);
    // One chart is drawn anew when one of its runs has measured something else.
    let history = frames.workspace.runs.history.get_mut(&RunId(2)).unwrap();
    history.series.get_mut(METRICS[0].key).unwrap().push(3_000.0, 0.3);
    let changed = frames.meshes();
    assert_eq!(same(&still, &changed), still.len() - BANDS - 1);
}

#[test]
#[ignore = "a measurement, not a check"]
fn frames_with_twenty_runs_of_a_hundred_thousand_steps() {
    for (runs, steps, across, smoothing) in [
        (20, 100_000, Across::Steps, 0.0),
        (20, 100_000, Across::Steps, 0.6),
        (20, 100_000, Across::Tokens, 0.0),
        (50, 20_000, Across::Steps, 0.0),
    ] {
        let mut frames = Frames::new(scene(runs, steps));
        (frames.views.compare.board.x, frames.views.compare.board.smoothing) = (across, smoothing);
        let began = computed();
        frames.draw([900.0, 500.0]);
        let first = computed() - began;
        for _ in 0..10 {
            frames.draw([900.0, 500.0]);
        }
        // The cursor moves through a chart, as where a person reads values.
        let began = computed();
        let corners = (0..MANY).map(|at| frames.draw([700.0 + at as f32 * 4.0, 400.0])).max().unwrap_or(0);
        println!(
            "{runs} runs, {steps} steps, {} charts over {}, smoothing {smoothing}: {:.1} ms a frame, first {first:.0}; {corners} corners",
            frames.views.compare.board.metrics.len(),
            across.name(),
            (computed() - began) / MANY as f64,
        );
    }
}

/// A pair whose first answer has so many characters, open in the editor.
fn long_text(characters: usize, newlines: bool) -> (Workspace, Views) {
    let (workspace, mut views) = scene(0, 0);
    let words = ["the", "ferry", "leaves", "at", "nine", "and", "comes", "back", "before", "dark"];
    let mut text = String::new();
    for place in 0.. {
        if text.len() >= characters {
            break;
        }
        text.push_str(words[place * 7 % 10]);
        text.push(if newlines && place % 60 == 59 { '\n' } else { ' ' });
    }
    let pair = Pair::new(PairId(1), Prompt::Text("When?".to_owned()), &[&text, "At nine."]);
    views.screen = Screen::Pairs;
    views.pairs.difference = true;
    views.pairs.selected = Some(pair.id);
    views.pairs.draft = Some(Draft::open(pair));
    (workspace, views)
}

#[test]
#[ignore = "a measurement, not a check"]
fn a_key_in_a_text_of_twenty_thousand_characters() {
    for newlines in [false, true] {
        let mut frames = Frames::new(long_text(20_000, newlines));
        for _ in 0..4 {
            frames.draw([10.0, 10.0]);
        }
        // Into the answer, wherever it stands.
        let click = |at: [f32; 2]| {
            let button = |pressed| egui::Event::PointerButton {
                pos: at.into(),
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            };
            vec![egui::Event::PointerMoved(at.into()), button(true), button(false)]
        };
        frames.draw_with(click([1100.0, 600.0]));
        frames.draw([1100.0, 600.0]);
        let length = |frames: &Frames| frames.views.pairs.draft.as_ref().unwrap().pair.answers[0].text.len();
        let before = length(&frames);
        let began = computed();
        for place in 0..MANY {
            frames.draw_with(vec![egui::Event::Text(["e", " ", "n"][place % 3].to_owned())]);
        }
        let took = (computed() - began) / MANY as f64;
        assert_eq!(length(&frames), before + MANY, "the caret is in the answer");
        println!("20 000 characters, newlines {newlines}: {took:.1} ms a key");
    }
}

/// A table of so many pairs, sorted by their margins under the start model; the rows that are drawn are known.
fn table(pairs: usize) -> (Workspace, Views) {
    let (mut workspace, mut views) = scene(0, 0);
    views.screen = Screen::Pairs;
    let scoring = Scoring { id: ScoringId(1), run: None, start: ScoringId(1) };
    let shown = ShownScores {
        whose: Whose::Start,
        scoring: Some(scoring),
        objective: None,
        scored: pairs,
        of: pairs,
        sample: Arc::default(),
        sampled: 0,
    };
    let (view, data) = (&mut views.pairs, &mut workspace.pairs);
    (view.scores, data.scores.asked, data.scores.shown) = (Some(Whose::Start), Some(Whose::Start), Some(shown));
    view.filter.sort = SortPairsBy::Scores(Number::Margin);
    view.health_open = false;
    data.counts.better = pairs;
    // No two neighbours are neighbours by number, as where something else sorts.
    data.ids = Arc::new((0..pairs as i64).map(|n| PairId(1 + n * 7_368_787 % pairs as i64)).collect());
    view.table.number = Number::Margin;
    (workspace, views)
}

/// The next frame of a table, after which what it asked for is there: a row, its scores, the pair in the editor.
fn draw_table(frames: &mut Frames, events: Vec<egui::Event>) -> f64 {
    let view = &frames.views.pairs;
    let listing = view.listing(&frames.workspace.pairs, &Objective::of(&RunConfig::default().objective));
    frames.workspace.pairs.asked = Some(listing);
    let began = computed();
    frames.draw_with(events);
    let took = computed() - began;
    let data = &mut frames.workspace.pairs;
    for command in std::mem::take(&mut frames.asked) {
        match command {
            Command::Pairs(PairsCommand::ReadRows(ids)) => {
                for id in ids {
                    data.rows.put(id, row(id));
                }
            }
            Command::Pairs(PairsCommand::ReadPairs(ids)) => {
                for id in ids {
                    let prompt = Prompt::Text(format!("What does number {} do when it rains?", id.0));
                    data.pairs.put(id, Pair { id, ..Pair::new(id, prompt, &["It sings.", "It does nothing."]) });
                }
            }
            Command::Pairs(PairsCommand::Scores(ScoresCommand::ReadRows(ids))) => {
                for id in ids {
                    data.scores.rows.put(id, scores(id));
                }
            }
            _ => {}
        }
    }
    took
}

fn row(id: PairId) -> PairRow {
    PairRow {
        id,
        prompt: format!("What does number {} do when it rains, and what when the sun shines on the harbour?", id.0),
        chosen: "It sings.".to_owned(),
        rejected: "It does nothing.".to_owned(),
        answers: 2,
        worse: 1,
        state: VerdictState::Better,
        strength: None,
        verdict_at_ms: None,
        split: Split::Auto,
        prompt_key: PromptKey(id.0 as u64),
        pinned: None,
        tags: Vec::new(),
        noted: false,
        len_bytes: 100,
    }
}

fn scores(id: PairId) -> PairScores {
    let score = |log_prob| Score { log_prob, tokens: 9 };
    let margin = id.0 as f64 / 1e5 - 5.0;
    PairScores {
        pair: id,
        state: VerdictState::Better,
        certainty: Some(0.9),
        reward: 1.0,
        behaviour: 1.0,
        chosen: score(margin - 20.0),
        rejected: score(-20.0),
        start: Some([-20.0, -20.0]),
    }
}

#[test]
fn a_table_sorted_by_margin_asks_for_what_is_on_the_screen_and_no_more() {
    let mut frames = Frames::new(table(1_000_000));
    for _ in 0..4 {
        draw_table(&mut frames, Vec::new());
    }
    let known = |frames: &Frames| {
        let data = &frames.workspace.pairs;
        data.ids.iter().take(300).filter(|id| data.scores.rows.get(**id).is_some()).count()
    };
    let few = known(&frames);
    assert!((50..250).contains(&few), "{few} scores are known");
    assert!(frames.workspace.pairs.scores.rows.get(frames.workspace.pairs.ids[500_000]).is_none());
}

#[test]
#[ignore = "a measurement, not a check"]
fn frames_of_a_million_pairs_sorted_by_margin() {
    for size in [[1280.0, 800.0], [1920.0, 1200.0]] {
        measure_table(Frames { size, ..Frames::new(table(1_000_000)) });
    }
}

#[expect(clippy::print_stdout, reason = "a measurement")]
fn measure_table(mut frames: Frames) {
    let [width, height] = frames.size;
    for _ in 0..10 {
        draw_table(&mut frames, Vec::new());
    }
    let tell = |what: &str, mut took: Vec<f64>| {
        took.sort_by(f64::total_cmp);
        let (middle, most) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "a million pairs, {width} × {height}, {what}: {middle:.1} ms a frame in the middle, {most:.1} at most"
        );
    };
    tell("still", (0..MANY).map(|_| draw_table(&mut frames, Vec::new())).collect());
    let wheel = || {
        let unit = egui::MouseWheelUnit::Point;
        let moved = egui::Event::MouseWheel {
            unit,
            delta: egui::vec2(0.0, -900.0),
            modifiers: egui::Modifiers::NONE,
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Wheel,
        };
        vec![egui::Event::PointerMoved([300.0, 600.0].into()), moved]
    };
    tell("scrolled by the wheel", (0..MANY).map(|_| draw_table(&mut frames, wheel())).collect());
    // Far down, where whoever looked a row up from the top would have a long way.
    let end = *frames.workspace.pairs.ids.iter().rev().nth(200).unwrap();
    frames.views.pairs.select(Some(end));
    draw_table(&mut frames, Vec::new());
    let mut step = |key| {
        let press = |pressed| egui::Event::Key {
            key,
            physical_key: None,
            pressed,
            repeat: false,
            modifiers: egui::Modifiers::NONE,
        };
        frames.views.keyboard.letters.end();
        draw_table(&mut frames, vec![press(true), press(false)])
    };
    tell("one row down by its key, at the end", (0..MANY).map(|_| step(egui::Key::ArrowDown)).collect());
    // The order changes: the list that comes back is another one.
    let turned = |frames: &mut Frames, n: usize| {
        let filter = &mut frames.views.pairs.filter;
        filter.descending = !filter.descending;
        let narrow = NumberBounds { number: Number::Margin, least: Some(-1.0), most: None };
        filter.range = (n % 4 < 2).then_some(narrow);
        let data = &mut frames.workspace.pairs;
        let mut ids: Vec<PairId> = data.ids.to_vec();
        ids.reverse();
        data.ids = Arc::new(ids);
    };
    let sorted = (0..MANY).map(|n| {
        turned(&mut frames, n);
        draw_table(&mut frames, Vec::new())
    });
    tell("after another order or other bounds", sorted.collect());
}
