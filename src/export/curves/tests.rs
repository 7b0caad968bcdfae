//! What goes into files is what the project holds.

use store::{NewRun, ProjectSettings};

use super::*;

fn project(dir: &Path) -> (Project, RunId) {
    let mut project = Project::create(dir, &ProjectSettings::default()).unwrap();
    let run = project
        .create_run(&NewRun {
            name: "MPO, first/try".to_owned(),
            method: "MPO".to_owned(),
            revision: project.revision().unwrap(),
            ..NewRun::default()
        })
        .unwrap();
    for step in 1..=3_u64 {
        let value = if step == 2 { f64::NAN } else { 0.1 * step as f64 };
        let metrics = [("loss", value), ("tokens", 100.0 * step as f64)].map(|(name, value)| (name.to_owned(), value));
        project.append_step(run, step, 500 * step, &metrics).unwrap();
    }
    (project, run)
}

fn order(run: RunId) -> CurveOrder {
    CurveOrder {
        runs: vec![(run, 1)],
        metrics: vec!["loss".to_owned()],
        across: Across::Steps,
        scale: Scale::Linear,
        smoothing: 0.0,
        clip: false,
        columns: 2,
    }
}

#[test]
fn what_was_changed_on_the_way_is_marked_on_every_axis_that_grows() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = project(dir.path());
    project.append_mark(run, 2, store::LogLevel::Info, "β 0.1 → 0.2").unwrap();
    project.append_log(run, 3, store::LogLevel::Info, "nothing to be marked").unwrap();
    let marks = |across| Curves::of(&project, CurveOrder { across, ..order(run) }).unwrap().marks();
    assert_eq!(marks(Across::Steps), [2.0]);
    assert_eq!(marks(Across::Tokens), [300.0]);
    assert_eq!(marks(Across::Drift), [0.0; 0]);
}

#[test]
fn the_numbers_in_a_file_are_those_of_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = project(dir.path());
    let curves = Curves::of(&project, order(run)).unwrap();
    let stored = project.series(run, "loss", None).unwrap();
    let mut lines = vec!["run,name,metric,step,value".to_owned()];
    lines.extend(stored.iter().map(|(step, value)| format!("1,\"MPO, first/try\",loss,{step},{value}")));
    assert_eq!(curves.csv().lines().collect::<Vec<_>>(), lines);
    let json = curves.json();
    assert_eq!(json["runs"][0]["metrics"]["loss"], json!([[1, 0.1], [2, null], [3, 0.1 * 3.0]]));
}

#[test]
fn a_model_that_has_not_moved_has_no_accuracy_yet() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, run) = project(dir.path());
    for (step, margin) in [(0, 1e-6), (3, 0.5)] {
        let metrics = [(metrics::HELD_OUT_ACCURACY, 0.4), (metrics::HELD_OUT_MARGIN, margin)];
        let metrics = metrics.map(|(name, value)| (name.to_owned(), value)).to_vec();
        project.append_step(run, step, 500 * step, &metrics).unwrap();
    }
    let of_accuracy = CurveOrder { metrics: vec![metrics::HELD_OUT_ACCURACY.to_owned()], ..order(run) };
    let json = Curves::of(&project, of_accuracy).unwrap().json();
    assert_eq!(json["runs"][0]["metrics"][metrics::HELD_OUT_ACCURACY], json!([[3, 0.4]]));
}

#[test]
fn another_axis_and_the_average_have_columns_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = project(dir.path());
    let asked = CurveOrder { across: Across::Tokens, smoothing: 0.5, ..order(run) };
    let curves = Curves::of(&project, asked).unwrap();
    let csv = curves.csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "run,name,metric,step,value,tokens,smoothed");
    assert!(lines[1].ends_with(",1,0.1,100,0.1") && lines[2].ends_with(",2,NaN,300,NaN"), "{csv}");
    assert_eq!(curves.json()["runs"][0]["tokens"], json!([[1, 100.0], [2, 300.0], [3, 600.0]]));
}

#[test]
fn a_picture_has_the_runs_colour_its_name_and_what_is_across() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = project(dir.path());
    let curves = Curves::of(&project, CurveOrder { across: Across::Seconds, ..order(run) }).unwrap();
    let svg = curves.drawing().svg_file();
    for words in ["#d55e00", "MPO, first/try", "Loss, by time", "Not a number"] {
        assert!(svg.contains(words), "{words} in {svg}");
    }
    let file = dir.path().join("charts.png");
    curves.write(CurveFile::Png, &project, &file, false).unwrap();
    assert!(fs::read(&file).unwrap().starts_with(b"\x89PNG"));
    assert!(matches!(curves.write(CurveFile::Png, &project, &file, false), Err(ExportError::Exists { .. })));
    assert_eq!(CurveFile::of(&file), Some(CurveFile::Png));
    assert_eq!(CurveFile::of(Path::new("a.gif")), None);
}

#[test]
fn a_share_of_one_run_lies_in_its_interval() {
    let dir = tempfile::tempdir().unwrap();
    let (mut project, run) = project(dir.path());
    let ends = ["", "_low", "_high"].map(|end| format!("eval_rewards/accuracies{end}"));
    project.append_step(run, 4, 2000, &ends.clone().map(|name| (name, 0.7))).unwrap();
    let asked = CurveOrder { metrics: ends[..1].to_vec(), ..order(run) };
    project.append_step(run, 5, 2500, &ends.map(|name| (name, 0.8))).unwrap();
    assert!(Curves::of(&project, asked).unwrap().drawing().svg().contains("fill-opacity=\"0.16\""));
}

#[test]
fn tensorboard_gets_a_folder_a_run() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = project(dir.path());
    let to = dir.path().join("events");
    Curves::of(&project, order(run)).unwrap().write(CurveFile::TensorBoard, &project, &to, false).unwrap();
    let folder = to.join("1 MPO_ first_try");
    let files: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(files.len(), 1);
}
