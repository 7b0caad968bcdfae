//! `nudge metrics`: what a run measured, as CSV, as JSON lines, or as TensorBoard reads it.

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write as _},
};

use anyhow::{Context as _, Result};
use export::field;
use serde_json::json;

use super::{args::Metrics, drive::as_object, ending::Ending, output};

/// A step and what was measured at it.
type Step = (u64, Vec<(String, f64)>);

pub fn run(args: &Metrics) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    if let Some(folder) = &args.tensorboard {
        let (path, steps) = export::events(&project, &record, folder)?;
        output::line(format!("{steps} steps of run {} are in {}", record.id.0, path.display()))?;
        return Ok(Ending::Done);
    }
    let steps = project.steps(record.id, None)?;
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
