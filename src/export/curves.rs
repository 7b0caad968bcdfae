//! The charts that runs are compared by, as files: pictures of them, their numbers, and what TensorBoard reads.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use data::{
    Across, Scale,
    across::{moved, smoothed, summed},
    metrics,
};
use files::Output;
use serde_json::{Value as Json, json};
use store::{Project, RunId, RunRecord, SeedGroup};

use crate::{
    ChartLine, ExportError, Point,
    chart::{self, Axes, Curve},
    drawing::{Anchor, Drawing, Ink, LETTERS, Shape},
    tensorboard,
    together::{line, together},
};

/// What curves can leave as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CurveFile {
    Png,
    Svg,
    Csv,
    Json,
    /// A folder with a folder a run, an event file in each.
    TensorBoard,
}

impl CurveFile {
    pub const ALL: [Self; 5] = [Self::Png, Self::Svg, Self::Csv, Self::Json, Self::TensorBoard];

    /// How a file's name ends; nothing where it is a folder.
    pub fn ending(self) -> Option<&'static str> {
        match self {
            Self::Png => Some("png"),
            Self::Svg => Some("svg"),
            Self::Csv => Some("csv"),
            Self::Json => Some("json"),
            Self::TensorBoard => None,
        }
    }

    /// By the end of a file's name.
    pub fn of(file: &Path) -> Option<Self> {
        let end = file.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| kind.ending() == Some(&end))
    }
}

/// Which curves of which runs, and how they are looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveOrder {
    /// Each with its place in the table of line colours.
    pub runs: Vec<(RunId, usize)>,
    /// A chart each, in this order.
    pub metrics: Vec<String>,
    pub across: Across,
    pub scale: Scale,
    /// Values far from the others do not stretch an axis of a picture.
    pub clip: bool,
    /// Weight of the past in the moving average, 0 = raw.
    pub smoothing: f64,
    /// Charts side by side in a picture.
    pub columns: usize,
}

/// The curves themselves, as the project has them.
pub struct Curves {
    order: CurveOrder,
    runs: Vec<CurvesOfRun>,
    /// As they are drawn, by their places among the runs.
    together: Vec<SeedGroup>,
}

struct CurvesOfRun {
    record: RunRecord,
    style: usize,
    /// The step from which its curves are its own: a fork's hang on its parent's where both are there.
    from: Option<f64>,
    /// By step.
    series: BTreeMap<String, Vec<Point>>,
    /// The ends of the intervals of those that have one.
    ends: BTreeMap<String, [Vec<Point>; 2]>,
    /// Where it stood across, by step.
    places: Vec<Point>,
    /// Steps at which something was changed, and the one that a fork goes on from.
    marks: Vec<u64>,
}

/// A curve as it is drawn, placed on what is across.
struct Drawn {
    name: String,
    style: usize,
    points: Vec<Point>,
    /// What was measured, where the points are its average.
    raw: Option<Vec<Point>>,
    band: Option<[Vec<Point>; 2]>,
}

impl Drawn {
    fn curve<'a>(&'a self, points: &'a [Point], faint: bool) -> Curve<'a> {
        let band = self.band.as_ref().map(|edges| edges.each_ref().map(Vec::as_slice));
        Curve { name: &self.name, points, band, style: self.style, faint }
    }
}

type Result<T> = std::result::Result<T, ExportError>;

impl Curves {
    /// Reads the curves from the project.
    ///
    /// # Errors
    /// Of the document.
    pub fn of(project: &Project, order: CurveOrder) -> Result<Self> {
        let shown: Vec<RunId> = order.runs.iter().map(|(run, _)| *run).collect();
        let points = |run, name: &str| -> Result<Vec<Point>> {
            let mut series = project.series(run, name, None)?;
            if let Some(margin) = metrics::margin_beside(name) {
                let still =
                    project.series(run, margin, None)?.into_iter().filter(|(_, margin)| metrics::is_still(*margin));
                let still: BTreeSet<u64> = still.map(|(step, _)| step).collect();
                series.retain(|(step, _)| !still.contains(step));
            }
            Ok(series.into_iter().map(|(step, value)| [step as f64, value]).collect())
        };
        let runs = order.runs.iter().map(|&(run, style)| {
            let record = project.run(run)?;
            let hangs = record.parent.is_some_and(|parent| shown.contains(&parent));
            let from = record.parent_step.filter(|step| *step > 0 && hangs).map(|step| step as f64);
            let (mut series, mut ends) = (BTreeMap::new(), BTreeMap::new());
            for name in &order.metrics {
                series.insert(name.clone(), points(run, name)?);
                let [low, high] = metrics::interval(name);
                let [low, high] = [points(run, &low)?, points(run, &high)?];
                if !low.is_empty() && low.len() == high.len() {
                    ends.insert(name.clone(), [low, high]);
                }
            }
            let places = match (order.across, order.across.counts()) {
                (_, Some(counted)) => summed(&points(run, counted)?),
                (Across::Seconds, _) => {
                    let times = project.step_times(run)?;
                    times.into_iter().map(|(step, ms)| [step as f64, ms as f64 / 1000.0]).collect()
                }
                (Across::Drift, _) => points(run, metrics::KL_REF)?,
                (Across::Steps | Across::Pairs | Across::Tokens, _) => Vec::new(),
            };
            // What was changed up to there was changed of its parent.
            let own = |step: &u64| record.parent_step.is_none_or(|at| *step > at);
            let changes = project.log(run)?.into_iter().filter(|line| line.mark).map(|line| line.step);
            let forked = record.parent_step.filter(|step| *step > 0);
            let mut marks: Vec<u64> = changes.filter(own).chain(forked).collect();
            marks.sort_unstable();
            Ok(CurvesOfRun { record, style, from, series, ends, places, marks })
        });
        let runs: Vec<CurvesOfRun> = runs.collect::<Result<_>>()?;
        let records: Vec<&RunRecord> = runs.iter().map(|run| &run.record).collect();
        let together = match order.across {
            Across::Steps | Across::Pairs | Across::Tokens => together(&records),
            // Seeds take unlike long, and drift unlike far.
            Across::Seconds | Across::Drift => {
                records.iter().enumerate().map(|(run, record)| SeedGroup::alone(run, record)).collect()
            }
        };
        Ok(Self { order, runs, together })
    }

    /// Writes them where they are whole or not there. `replace`: a file that is there.
    ///
    /// # Errors
    /// Of the file system, or the picture is too large.
    pub fn write(&self, kind: CurveFile, project: &Project, to: &Path, replace: bool) -> Result<()> {
        let failed = |source| ExportError::Write { path: to.to_owned(), source };
        let bytes = match kind {
            CurveFile::TensorBoard => {
                for run in &self.runs {
                    let folder = to.join(folder_name(&run.record));
                    events(project, &run.record, &folder)?;
                }
                return Ok(());
            }
            CurveFile::Png => self.drawing().png().map_err(|error| failed(std::io::Error::other(error)))?,
            CurveFile::Svg => self.drawing().svg_file().into_bytes(),
            CurveFile::Csv => self.csv().into_bytes(),
            CurveFile::Json => format!("{:#}\n", self.json()).into_bytes(),
        };
        project.refuse_own(to)?;
        let mut output = Output::create(to, replace)?;
        output.write_all(&bytes).map_err(failed)?;
        output.finish()?;
        Ok(())
    }

    /// A curve as it is drawn, on whatever is across.
    fn placed(&self, run: &CurvesOfRun, points: &[Point]) -> Vec<Point> {
        match self.order.across {
            Across::Steps => points.to_vec(),
            across => moved(points, &run.places, across.grows()),
        }
    }

    /// The curves of a metric, each from where it is its own.
    fn drawn(&self, metric: &str) -> Vec<Drawn> {
        let records: Vec<&RunRecord> = self.runs.iter().map(|run| &run.record).collect();
        let measured = |run: usize| self.runs[run].series.get(metric).cloned();
        // On an axis that goes back and forth only what was measured there is drawn.
        let weight = if self.order.across.grows() { self.order.smoothing } else { 0.0 };
        let lines = self.together.iter().filter_map(|group| line(group, &records, measured));
        let drawn = lines.map(|(run, ChartLine { name, points, band })| {
            let run = &self.runs[run];
            let own = |points: &[Point]| {
                let first =
                    run.from.map_or(0, |from| points.partition_point(|point| point[0] <= from).saturating_sub(1));
                self.placed(run, &points[first..])
            };
            let smooth = (weight > 0.0).then(|| own(&smoothed(&points, weight)));
            let raw = own(&points);
            let (points, raw) = match smooth {
                Some(smooth) => (smooth, Some(raw).filter(|_| band.is_none())),
                None => (raw, None),
            };
            // A path that goes back and forth has no room for an interval.
            let band = band.or_else(|| run.ends.get(metric).filter(|_| self.order.across.grows()).cloned());
            let band = band.map(|edges| edges.map(|edge| own(&edge)));
            Drawn { name, style: run.style, points, raw, band }
        });
        drawn.filter(|drawn| !drawn.points.is_empty()).collect()
    }

    /// Where something was changed, on what is across. Over drift nothing stands upright: that path goes both ways.
    fn marks(&self) -> Vec<f64> {
        let of = |run: &CurvesOfRun| {
            let steps: Vec<Point> = run.marks.iter().map(|step| [*step as f64; 2]).collect();
            self.placed(run, &steps)
        };
        let places = self.runs.iter().filter(|_| self.order.across.grows()).flat_map(of);
        places.map(|[place, _]| place).collect()
    }

    /// All charts on one sheet.
    pub fn drawing(&self) -> Drawing {
        const GAP: f64 = 18.0;
        const TITLE: f64 = 26.0;
        let marks = self.marks();
        let charts: Vec<(String, Drawing)> = self
            .order
            .metrics
            .iter()
            .filter_map(|metric| {
                let drawn = self.drawn(metric);
                // The raw traces lie behind all smoothed ones.
                let raw = drawn.iter().filter_map(|drawn| Some(drawn.curve(drawn.raw.as_ref()?, true)));
                let curves: Vec<Curve<'_>> = raw.chain(drawn.iter().map(|it| it.curve(&it.points, false))).collect();
                let title = metrics::caption(metric);
                let CurveOrder { across, scale: up, clip, .. } = self.order;
                let axes = Axes { across, up, metric, clip };
                Some((title.clone(), chart::draw(&title, &curves, &marks, axes)?))
            })
            .collect();
        let columns = self.order.columns.clamp(1, charts.len().max(1));
        let width = columns as f64 * (chart::WIDTH + GAP) + GAP;
        let mut sheet = Drawing { width, height: GAP, title: "Charts of runs".to_owned(), shapes: Vec::new() };
        for row in charts.chunks(columns) {
            let mut deepest: f64 = 0.0;
            for (column, (title, chart)) in row.iter().enumerate() {
                let left = GAP + column as f64 * (chart::WIDTH + GAP);
                sheet.shapes.push(Shape::Text {
                    at: [left, sheet.height + 12.0],
                    anchor: Anchor::Start,
                    size: LETTERS + 2.0,
                    ink: Ink::TEXT,
                    text: format!("{title}, by {}", uncapitalised(self.order.across.word())),
                });
                deepest = deepest.max(chart.height);
                sheet.place(chart.clone(), [left, sheet.height + TITLE]);
            }
            sheet.height += TITLE + deepest + GAP;
        }
        sheet
    }

    /// A line a value: run, its name, metric, step, value; where that is not the step also where it stands across, and
    /// where curves are smoothed the average.
    pub fn csv(&self) -> String {
        let across = (self.order.across != Across::Steps).then(|| self.order.across.name());
        let smooth = (self.order.smoothing > 0.0).then_some("smoothed");
        let mut out = String::from("run,name,metric,step,value");
        for column in across.iter().chain(&smooth) {
            write!(out, ",{column}").ok();
        }
        out.push('\n');
        for (run, metric, raw) in self.each() {
            let steps: Vec<Point> = raw.iter().map(|[step, _]| [*step, *step]).collect();
            let places: HashMap<u64, f64> =
                self.placed(run, &steps).iter().map(|[place, step]| (step.to_bits(), *place)).collect();
            let averages = smooth.map(|_| smoothed(raw, self.order.smoothing));
            for (index, [step, value]) in raw.iter().enumerate() {
                write!(out, "{},{},{},{step},{value}", run.record.id.0, field(&run.record.name), field(metric)).ok();
                if across.is_some() {
                    let place = places.get(&step.to_bits()).map_or(String::new(), ToString::to_string);
                    write!(out, ",{place}").ok();
                }
                if let Some(averages) = &averages {
                    write!(out, ",{}", averages[index][1]).ok();
                }
                out.push('\n');
            }
        }
        out
    }

    fn json(&self) -> Json {
        let runs = self.runs.iter().map(|CurvesOfRun { record, series, places, .. }| {
            let number = |value: f64| if value.is_finite() { json!(value) } else { Json::Null };
            let points = |points: &[Point]| -> Json {
                points.iter().map(|[step, value]| json!([*step as u64, number(*value)])).collect()
            };
            let metrics: serde_json::Map<String, Json> =
                series.iter().map(|(name, series)| (name.clone(), points(series))).collect();
            let mut run = json!({
                "run": record.id, "name": record.name, "method": record.method, "metrics": metrics,
            });
            if self.order.across != Across::Steps {
                run[self.order.across.name()] = points(places);
            }
            run
        });
        json!({ "across": self.order.across.name(), "runs": runs.collect::<Vec<_>>() })
    }

    fn each(&self) -> impl Iterator<Item = (&CurvesOfRun, &String, &Vec<Point>)> {
        let of = |run| self.order.metrics.iter().filter_map(move |name| Some((run, name, runs_series(run, name)?)));
        self.runs.iter().flat_map(of)
    }
}

fn runs_series<'r>(run: &'r CurvesOfRun, name: &str) -> Option<&'r Vec<Point>> {
    run.series.get(name)
}

/// Everything that a run measured, as an event file in the folder, made if it is not there; a second one of the same
/// run replaces the first. Gives the file and how many steps are in it.
///
/// # Errors
/// Of the document or the file system.
pub fn events(project: &Project, record: &RunRecord, folder: &Path) -> Result<(PathBuf, usize)> {
    let failed = |source| ExportError::Write { path: folder.to_owned(), source };
    let begun = record.created_ms as f64 / 1000.0;
    let times: HashMap<u64, u64> = project.step_times(record.id)?.into_iter().collect();
    let steps = project.steps(record.id, None)?;
    fs::create_dir_all(folder).map_err(failed)?;
    project.refuse_own(folder)?;
    let path = folder.join(tensorboard::file_name(record.created_ms / 1000, record.id.0));
    let mut out = Output::create(&path, true)?;
    tensorboard::begin(&mut out, begun).map_err(failed)?;
    for (step, metrics) in &steps {
        let secs = times.get(step).map_or(0.0, |ms| *ms as f64 / 1000.0);
        tensorboard::step(&mut out, begun + secs, *step, metrics).map_err(failed)?;
    }
    out.finish()?;
    Ok((path, steps.len()))
}

/// TensorBoard calls a run by its folder. Numbers tell those of one name apart.
fn folder_name(record: &RunRecord) -> String {
    let name: String = record
        .name
        .chars()
        .map(|letter| if letter.is_alphanumeric() || " -_.".contains(letter) { letter } else { '_' })
        .collect();
    format!("{} {}", record.id.0, name.trim_matches([' ', '.']))
}

/// A field with a comma, a quote or a line break in it is quoted (RFC 4180).
pub fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

fn uncapitalised(word: &str) -> String {
    if word.starts_with("KL") { word.to_owned() } else { word.to_lowercase() }
}

#[cfg(test)]
mod tests;
