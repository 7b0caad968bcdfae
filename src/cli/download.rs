//! `nudge download`: a model from the Hugging Face hub into its cache.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use crossbeam::channel::{self, RecvTimeoutError};
use data::{
    counted,
    download::{Phase, Progress},
    duration, size,
};
use hub::{self, Fetched, Hub, HubError};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::json;

use super::{
    args,
    ending::{Ending, on_interrupt},
    output,
};

/// Where there is no terminal, a line this often.
const PLAIN_EVERY: Duration = Duration::from_secs(5);
/// With `--json`, an object this often.
const JSON_EVERY: Duration = Duration::from_millis(500);
/// What is shown is looked at anew this often, even when nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub fn run(args: &args::Download) -> Result<Ending> {
    let (wake, woken) = channel::bounded(1);
    let waker = Arc::new(move || {
        // A wake that waits to be seen is as good as two.
        wake.try_send(()).ok();
    });
    let started = Instant::now();
    let download =
        hub::Download::start(&Hub::of_user(), args.model.clone(), waker).context("The system refuses threads")?;
    let download = Arc::new(download);
    let stop = Arc::clone(&download);
    let interrupted = on_interrupt("Stopping. What was fetched is kept.", move || stop.cancel())?;
    let mut shown = Shown::new(args.json);
    let outcome = loop {
        if let Some(outcome) = download.take_outcome() {
            break outcome;
        }
        match woken.recv_timeout(LOOK_EVERY) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => shown.show(&download.progress())?,
            // The thread has ended; what it has to say is taken above.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK_EVERY),
        }
    };
    shown.bar.finish_and_clear();
    match outcome {
        Ok(fetched) => {
            tell(&fetched, args.json, started)?;
            Ok(Ending::Done)
        }
        Err(HubError::Cancelled) if interrupted.load(Ordering::Acquire) => {
            stopped(args, &download.progress())?;
            Ok(Ending::Interrupted)
        }
        Err(error) => {
            if args.json {
                output::json(&json!({"status": "failed", "error": error.to_string()}))?;
            }
            Err(error.into())
        }
    }
}

fn tell(fetched: &Fetched, is_json: bool, started: Instant) -> Result<()> {
    if is_json {
        let mut end = json!(fetched);
        end["status"] = "completed".into();
        return output::json(&end);
    }
    let Fetched { bytes, .. } = fetched;
    let files = counted(fetched.files, "file", "files");
    if fetched.received == 0 {
        output::note(format!("{} is already there: {files}, {}", fetched.name, size(*bytes)));
    } else {
        output::note(format!(
            "{} is there: {files}, {} ({} fetched in {})",
            fetched.name,
            size(*bytes),
            size(fetched.received),
            duration(started.elapsed().as_secs_f64())
        ));
    }
    output::note(if fetched.is_adapter {
        "It is an adapter: give its folder as --adapter.".to_owned()
    } else {
        format!("Use it with --model {}", fetched.name)
    });
    output::line(fetched.path.display())
}

fn stopped(args: &args::Download, progress: &Progress) -> Result<()> {
    let model = &args.model;
    if args.json {
        return output::json(&json!({
            "status": "stopped",
            "bytes": progress.bytes,
            "total_bytes": progress.total_bytes,
        }));
    }
    output::note(format!(
        "{} of {} are there. `nudge download {model}` goes on from there.",
        size(progress.bytes),
        size(progress.total_bytes)
    ));
    Ok(())
}

/// On a terminal a bar; elsewhere a line now and then, or JSON.
struct Shown {
    bar: ProgressBar,
    is_plain: bool,
    is_json: bool,
    last: Option<Instant>,
    note: Option<String>,
}

impl Shown {
    fn new(is_json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
        let is_plain = bar.is_hidden() && !is_json;
        Self {
            bar,
            is_plain,
            is_json,
            // What is done before a line is due needs none.
            last: is_plain.then(Instant::now),
            note: None,
        }
    }

    fn show(&mut self, progress: &Progress) -> Result<()> {
        if progress.note != self.note {
            self.note.clone_from(&progress.note);
            if let Some(note) = &self.note {
                self.bar.suspend(|| output::note(note));
            }
        }
        self.draw(progress);
        let every = if self.is_json { JSON_EVERY } else { PLAIN_EVERY };
        let is_due = self.last.is_none_or(|last| last.elapsed() >= every);
        if !is_due || progress.total_bytes == 0 {
            return Ok(());
        }
        self.last = Some(Instant::now());
        if self.is_json {
            output::json(progress)?;
        } else if self.is_plain {
            output::note(plain(progress));
        }
        Ok(())
    }

    fn draw(&self, progress: &Progress) {
        if progress.total_bytes == 0 {
            self.bar.set_style(output::style("{msg}"));
            self.bar.set_message(match progress.phase {
                Phase::Waiting => "waiting",
                _ => "asking the hub",
            });
            self.bar.tick();
            return;
        }
        self.bar.set_style(output::style("{bar:24} {msg}"));
        self.bar.set_length(progress.total_bytes);
        self.bar.set_position(progress.bytes);
        self.bar.set_message(plain(progress));
    }
}

/// "312 MB of 1.23 GB, 24 MB/s, 37 s left, model.safetensors"
fn plain(progress: &Progress) -> String {
    let mut parts = vec![format!("{} of {}", size(progress.bytes), size(progress.total_bytes))];
    match progress.phase {
        Phase::Rereading => parts.push("checking what is there".to_owned()),
        Phase::Waiting => parts.push("waiting".to_owned()),
        Phase::Asking | Phase::Fetching | Phase::Ended => {
            if progress.bytes_per_sec > 0.0 {
                parts.push(format!("{}/s", size(progress.bytes_per_sec as u64)));
            }
            if let Some(secs) = progress.secs_left() {
                parts.push(format!("{} left", duration(secs)));
            }
        }
    }
    parts.extend(progress.file.clone());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_how_fast_and_what() {
        let progress = Progress {
            phase: Phase::Fetching,
            file: Some("model.safetensors".to_owned()),
            bytes: 500_000_000,
            total_bytes: 1_500_000_000,
            bytes_per_sec: 20e6,
            ..Progress::default()
        };
        assert_eq!(plain(&progress), "500 MB of 1.50 GB, 20 MB/s, 50 s left, model.safetensors");
    }
}
