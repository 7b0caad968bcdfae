//! `nudge metrics`: what a run measured, as CSV, as JSON lines, or as TensorBoard reads it.

use std::{
    collections::HashMap,
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};
use files::Output;
use serde_json::json;
use store::{Project, RunRecord};

use super::{args::Metrics, drive::as_object, ending::Ending, output, place::project_and_run, tensorboard};

/// A step and what was measured at it.
type Step = (u64, Vec<(String, f64)>);

pub fn run(args: &Metrics) -> Result<Ending> {
    let (project, record) = project_and_run(&args.place, args.demo)?;
    let steps = project.steps(record.id, None)?;
    if let Some(folder) = &args.tensorboard {
        return write_events(&project, &record, &steps, folder);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        for (step, metrics) in steps {
            let line = json!({"run": record.id, "step": step, "metrics": as_object(metrics)});
            writeln!(out, "{line}").context("Could not print")?;
        }
    } else {
        write_csv(&mut out, &project.metrics(record.id)?, &steps).context("Could not print")?;
    }
    out.flush().context("Could not print")?;
    Ok(Ending::Done)
}

/// An event file of the run in the folder, made if it is not there. A second one of the same run replaces the first.
fn write_events(project: &Project, record: &RunRecord, steps: &[Step], folder: &Path) -> Result<Ending> {
    let failed = || format!("Could not write for TensorBoard into {}", folder.display());
    let begun = record.created_ms as f64 / 1000.0;
    let times: HashMap<u64, u64> = project.step_times(record.id)?.into_iter().collect();
    fs::create_dir_all(folder).with_context(failed)?;
    let path = folder.join(tensorboard::file_name(record.created_ms / 1000, record.id.0));
    let mut out = Output::create(&path, true)?;
    tensorboard::begin(&mut out, begun).with_context(failed)?;
    for (step, metrics) in steps {
        let secs = times.get(step).map_or(0.0, |ms| *ms as f64 / 1000.0);
        tensorboard::step(&mut out, begun + secs, *step, metrics).with_context(failed)?;
    }
    out.finish()?;
    output::line(format!("{} steps of run {} are in {}", steps.len(), record.id.0, path.display()))?;
    Ok(Ending::Done)
}

/// First column `step`, then a column a metric; a step without a metric leaves it empty.
fn write_csv(out: &mut impl io::Write, names: &[String], steps: &[Step]) -> io::Result<()> {
    write!(out, "step")?;
    for name in names {
        write!(out, ",{}", field(name))?;
    }
    writeln!(out)?;
    for (step, metrics) in steps {
        let values: HashMap<&str, f64> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        write!(out, "{step}")?;
        for name in names {
            match values.get(name.as_str()) {
                Some(value) => write!(out, ",{value}")?,
                None => write!(out, ",")?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// A name with a comma or a quote in it is quoted (RFC 4180).
fn field(name: &str) -> String {
    if name.contains([',', '"', '\n']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_every_column() {
        let names = ["loss", "kl/ref", "a,\"b\""].map(str::to_owned);
        let steps =
            [(0, vec![("kl/ref".to_owned(), 0.0)]), (1, vec![("loss".to_owned(), -0.5), (names[2].clone(), f64::NAN)])];
        let mut out = Vec::new();
        write_csv(&mut out, &names, &steps).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "step,loss,kl/ref,\"a,\"\"b\"\"\"\n0,,0,\n1,-0.5,,NaN\n");
    }
}
