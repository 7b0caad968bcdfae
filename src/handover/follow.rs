//! What `train.py` tells, into the project as it comes. What comes twice counts once, so it may be followed from
//! anywhere, stopped and followed again.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use data::counted;
use store::{Away, LogLevel, Project, RunId, RunRecord, RunStatus};

use crate::{
    error::{HandoverError, Result, io, sentence},
    places::{attempts, is_file},
    told::{AwayEvent, AwayWord, Ear},
};

/// Bytes taken in before the project notes how far it is.
const PIECE: usize = 1 << 18;
/// Metrics under more names nobody has a use for, and each name is kept for good.
const MOST_NAMES: usize = 512;
const EVENTS: &str = "events.jsonl";

/// Something new that was heard; it is in the project already.
#[derive(Debug, Clone, PartialEq)]
pub enum HeardAway {
    /// An attempt goes on after this step.
    Started {
        attempt: u64,
        step: u64,
    },
    Measured {
        step: u64,
        metrics: Vec<(String, f64)>,
    },
    Saved {
        step: u64,
    },
    /// Its last step is done.
    Ended,
    /// Why an attempt ended before that.
    Failed(String),
}

/// Somebody who listens to a run that is away.
pub struct Follower {
    project: Project,
    run: RunId,
    away: Away,
    total: u64,
    /// The metrics that the run has.
    names: BTreeSet<String>,
    tails: BTreeMap<PathBuf, Tail>,
    stream: Ear,
    /// Lines of an attempt whose beginning was not heard.
    astray: usize,
    /// Whether it may have been taken back before.
    returns: bool,
}

#[derive(Default)]
struct Tail {
    offset: u64,
    ear: Ear,
}

impl Follower {
    pub fn new(project: &Path, run: RunId) -> Result<Self> {
        Self::open(project, run, false)
    }

    /// Of a run that is being taken back, perhaps once more: what it told until now.
    pub(crate) fn of_return(project: &Path, run: RunId) -> Result<Self> {
        Self::open(project, run, true)
    }

    fn open(project: &Path, run: RunId, returns: bool) -> Result<Self> {
        let project = Project::open(project)?;
        let record = project.run(run)?;
        let away = still_away(&record, returns)?.clone();
        let names = project.metrics(run)?.into_iter().collect();
        let (tails, total) = (BTreeMap::new(), record.total_steps);
        Ok(Self { project, run, away, total, names, tails, stream: Ear::default(), astray: 0, returns })
    }

    /// Steps of the whole run.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Lines that said nothing, and lines of attempts whose beginning was not heard.
    pub fn unread(&self) -> (usize, usize) {
        (self.stream.unread + self.tails.values().map(|tail| tail.ear.unread).sum::<usize>(), self.astray)
    }

    /// Takes in the next bytes of a stream.
    pub fn hear(&mut self, bytes: &[u8]) -> Result<Vec<HeardAway>> {
        let events = self.stream.hear(bytes);
        self.take_all(events)
    }

    /// Takes in what a file, or the attempts below a folder, have to tell since last time.
    pub fn look(&mut self, place: &Path) -> Result<Vec<HeardAway>> {
        let files = if place.is_dir() {
            let attempts = attempts(place).into_iter().map(|(_, attempt)| attempt);
            attempts.filter(|attempt| is_file(attempt, EVENTS)).map(|attempt| attempt.join(EVENTS)).collect()
        } else {
            vec![place.to_owned()]
        };
        let mut heard = Vec::new();
        for path in files {
            let (mut file, length) = files::open(&path, u64::MAX)?;
            let mut tail = self.tails.remove(&path).unwrap_or_default();
            if length < tail.offset {
                // Another file by now; what it says again counts once.
                tail = Tail::default();
            }
            file.seek(SeekFrom::Start(tail.offset)).map_err(io("read", &path))?;
            loop {
                let mut bytes = Vec::new();
                (&mut file).take(PIECE as u64).read_to_end(&mut bytes).map_err(io("read", &path))?;
                if bytes.is_empty() {
                    break;
                }
                tail.offset += bytes.len() as u64;
                let events = tail.ear.hear(&bytes);
                heard.extend(self.take_all(events)?);
            }
            self.tails.insert(path, tail);
        }
        Ok(heard)
    }

    fn take_all(&mut self, events: Vec<AwayEvent>) -> Result<Vec<HeardAway>> {
        let mut heard = Vec::new();
        let before = (self.away.attempt, self.away.seq);
        for event in events {
            heard.extend(self.take(event)?);
        }
        if (self.away.attempt, self.away.seq) != before {
            self.project.set_heard(self.run, &self.away)?;
        }
        Ok(heard)
    }

    fn take(&mut self, event: AwayEvent) -> Result<Option<HeardAway>> {
        let AwayEvent { attempt, seq, step, what } = event;
        if (attempt, seq) <= (self.away.attempt, self.away.seq) {
            return Ok(None);
        }
        let is_start = matches!(what, AwayWord::Started { .. });
        if step > self.total || (attempt > self.away.attempt && !is_start) {
            self.astray += 1;
            return Ok(None);
        }
        let (project, run) = (&mut self.project, self.run);
        // Somebody may have taken it back, or have it go on here, since the word before.
        let record = project.run(run)?;
        if still_away(&record, self.returns)?.nonce != self.away.nonce {
            return sentence(format!("Run {} was handed over once more since; follow it anew", run.0));
        }
        let heard = match what {
            AwayWord::Started { steps, nonce } => {
                if nonce != self.away.nonce || steps != self.total {
                    return Err(HandoverError::Sentence(format!(
                        "This is not told of run {}: it is of another hand-over ({nonce}, {steps} steps; the run is {}, {})",
                        run.0, self.away.nonce, self.total
                    )));
                }
                project.truncate_after(run, step)?;
                self.away.before_ms = project.step_times(run)?.last().map_or(0, |(_, ms)| *ms);
                project.append_mark(run, step, LogLevel::Info, &beginning(attempt, step))?;
                Some(HeardAway::Started { attempt, step })
            }
            AwayWord::Measured { metrics, visits, ms } => {
                self.names.extend(metrics.iter().map(|(name, _)| name.clone()));
                if self.names.len() > MOST_NAMES {
                    return sentence(format!(
                        "With what is told of step {step} run {} would have {} different metrics. More than {MOST_NAMES} are \
                         not taken in: train.py writes a few dozen, so this is something else's",
                        run.0,
                        self.names.len()
                    ));
                }
                let known = project.step_times(run)?.last().map_or(0, |(_, ms)| *ms);
                let wall_ms = ms.map_or(known, |ms| self.away.before_ms.saturating_add(ms).min(i64::MAX as u64));
                project.append_step(run, step, wall_ms, &metrics)?;
                project.append_pair_visits(run, step, &visits)?;
                Some(HeardAway::Measured { step, metrics })
            }
            AwayWord::Saved => Some(HeardAway::Saved { step }),
            AwayWord::Ended => {
                project.append_log(
                    run,
                    step,
                    LogLevel::Info,
                    "All steps are done there; nudge takeback brings it home",
                )?;
                Some(HeardAway::Ended)
            }
            AwayWord::Failed(why) => {
                project.append_log(run, step, LogLevel::Warning, &format!("Attempt {attempt} ended there: {why}"))?;
                Some(HeardAway::Failed(why))
            }
            AwayWord::Other => None,
        };
        (self.away.attempt, self.away.seq) = (attempt, seq);
        Ok(heard)
    }

    /// What there is to say of lines that told nothing.
    pub fn remark(&self) -> Option<String> {
        let (unread, astray) = self.unread();
        let of_attempt =
            |count| format!("{} of an attempt whose beginning was not heard", counted(count, "line", "lines"));
        match (unread, astray) {
            (0, 0) => None,
            (0, astray) => Some(format!("Passed over {}; follow it from its first line", of_attempt(astray))),
            (unread, 0) => Some(format!("Passed over {} that said nothing", counted(unread, "line", "lines"))),
            (unread, astray) => Some(format!(
                "Passed over {} that said nothing, and {}",
                counted(unread, "line", "lines"),
                of_attempt(astray)
            )),
        }
    }
}

/// What the run is known by there, or why nothing that is told of it counts any more.
fn still_away(record: &RunRecord, returns: bool) -> Result<&Away> {
    match &record.away {
        Some(away) if returns || record.status == RunStatus::Away => Ok(away),
        Some(_) => sentence(format!(
            "Run {} is not away any more, it is {}: it was taken back or given up; what it is still told to do elsewhere does not count here",
            record.id.0, record.status
        )),
        None => {
            sentence(format!("Run {} is not away: it was never handed over, or it has gone on here since", record.id.0))
        }
    }
}

fn beginning(attempt: u64, step: u64) -> String {
    match step {
        0 => format!("Attempt {attempt} begins on another machine"),
        step => format!("Attempt {attempt} goes on after step {step}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, fs};

    use proptest::prelude::*;
    use store::{NewRun, ProjectSettings};

    use super::*;

    /// Two attempts: steps 1 to 4, then again from after step 2 to 5.
    fn told() -> [String; 2] {
        let attempt = |attempt: u64, from: u64, to: u64| {
            let mut seq = 0;
            let mut lines = String::new();
            let mut say = |rest: String| {
                seq += 1;
                writeln!(lines, r#"{{"seq": {seq}, "attempt": {attempt}, {rest}}}"#).unwrap();
            };
            say(format!(r#""event": "started", "step": {from}, "steps": 5, "nonce": "c0ffee""#));
            for step in from + 1..=to {
                say(format!(
                    r#""step": {step}, "metrics": {{"loss": {attempt}.{step}}}, "pairs": [[{step}, 1, 2]], "ms": {}"#,
                    10 * (step - from)
                ));
                say(format!(r#""step": {step}, "metrics": {{"eval_loss": NaN}}"#));
            }
            lines
        };
        [attempt(1, 0, 4), attempt(2, 2, 5) + "{\"seq\": 99, \"attempt\": 2, \"event\": \"ended\", \"step\": 5}\n"]
    }

    fn away() -> (tempfile::TempDir, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let run = project.create_run(&NewRun { name: "a".to_owned(), ..NewRun::default() }).unwrap();
        project.set_total_steps(run, 5).unwrap();
        project.set_away(run, "c0ffee").unwrap();
        (dir, run)
    }

    /// All that the project holds of the run, in words.
    fn holds(dir: &Path, run: RunId) -> String {
        let project = Project::open(dir).unwrap();
        let away = Away { heard_ms: None, since_ms: 0, ..project.run(run).unwrap().away.unwrap() };
        let log: Vec<String> = project.log(run).unwrap().into_iter().map(|line| line.text).collect();
        format!(
            "{:?} {:?} {:?} {log:?} {away:?}",
            project.steps(run, None).unwrap(),
            project.visits(run, 0, 9).unwrap(),
            project.step_times(run).unwrap()
        )
    }

    #[test]
    fn an_attempt_that_goes_on_replaces_what_is_done_again() {
        let (dir, run) = away();
        let mut follower = Follower::new(dir.path(), run).unwrap();
        let heard = follower.hear(told().concat().as_bytes()).unwrap();
        assert_eq!(
            (heard.first(), heard.last()),
            (Some(&HeardAway::Started { attempt: 1, step: 0 }), Some(&HeardAway::Ended))
        );
        let project = Project::open(dir.path()).unwrap();
        let losses = project.series(run, "loss", None).unwrap();
        assert_eq!(losses, [(1, 1.1), (2, 1.2), (3, 2.3), (4, 2.4), (5, 2.5)]);
        assert_eq!(project.step_times(run).unwrap(), [(1, 10), (2, 20), (3, 30), (4, 40), (5, 50)]);
        assert!(project.series(run, "eval_loss", None).unwrap().iter().all(|(_, value)| value.is_nan()));
        assert_eq!(project.visits(run, 3, 3).unwrap().len(), 1);
        assert_eq!(follower.remark(), None);
    }

    #[test]
    fn a_file_and_the_attempts_of_a_folder_say_the_same_and_say_it_once() {
        let by_stream = {
            let (dir, run) = away();
            Follower::new(dir.path(), run).unwrap().hear(told().concat().as_bytes()).unwrap();
            holds(dir.path(), run)
        };
        let (dir, run) = away();
        let out = tempfile::tempdir().unwrap();
        for (attempt, lines) in (1..).zip(told()) {
            let folder = out.path().join(format!("out/{attempt}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(EVENTS), lines).unwrap();
        }
        for _ in 0..2 {
            let mut follower = Follower::new(dir.path(), run).unwrap();
            follower.look(out.path()).unwrap();
            assert_eq!(follower.look(out.path()).unwrap(), []);
            assert_eq!(holds(dir.path(), run), by_stream);
        }
        let mut follower = Follower::new(dir.path(), run).unwrap();
        assert_eq!(follower.look(&out.path().join("out/1").join(EVENTS)).unwrap(), [], "an older attempt");
        assert_eq!(holds(dir.path(), run), by_stream);
    }

    #[test]
    fn what_is_told_of_another_run_changes_nothing() {
        let (dir, run) = away();
        let before = holds(dir.path(), run);
        let mut follower = Follower::new(dir.path(), run).unwrap();
        let error = follower.hear(told().concat().replace("c0ffee", "cafe").as_bytes()).unwrap_err().to_string();
        assert!(error.contains("cafe") && error.contains("c0ffee"), "{error}");
        let without_beginning = told()[0].split_once('\n').unwrap().1.to_owned();
        let beyond = without_beginning.replace(r#""step": 4"#, r#""step": 6"#);
        let mut follower = Follower::new(dir.path(), run).unwrap();
        assert_eq!(follower.hear(beyond.as_bytes()).unwrap(), []);
        assert!(
            follower.remark().unwrap().contains("8 lines of an attempt whose beginning"),
            "{:?}",
            follower.remark()
        );
        assert_eq!(holds(dir.path(), run), before);
        Project::open(dir.path()).unwrap().set_run_status(run, store::RunStatus::Running, None).unwrap();
        assert!(Follower::new(dir.path(), run).is_err(), "it goes on here");
    }

    #[test]
    fn more_metrics_than_any_run_has_are_refused_in_words() {
        let (dir, run) = away();
        let mut follower = Follower::new(dir.path(), run).unwrap();
        let [first, _] = told();
        follower.hear(first.as_bytes()).unwrap();
        let before = holds(dir.path(), run);
        let measured = |seq: u64, count: usize| {
            let metrics: Vec<String> = (0..count).map(|n| format!(r#""m{seq}/{n}": 1"#)).collect();
            format!("{{\"seq\": {seq}, \"attempt\": 1, \"step\": 4, \"metrics\": {{{}}}}}\n", metrics.join(", "))
        };
        let error = follower.hear(measured(1000, 3000).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("3002 different metrics") && error.contains("More than 512"), "{error}");
        assert_eq!(holds(dir.path(), run), before);
        // Nor do they come in by and by.
        let mut follower = Follower::new(dir.path(), run).unwrap();
        let by_and_by = (1000..1010).try_for_each(|seq| follower.hear(measured(seq, 100).as_bytes()).map(drop));
        assert!(by_and_by.unwrap_err().to_string().contains("different metrics"));
        assert!(Project::open(dir.path()).unwrap().metrics(run).unwrap().len() <= 512);
    }

    /// Somebody listens while another takes the run back, has it go on here, or deletes it.
    #[test]
    fn nothing_is_heard_of_a_run_that_is_not_away_any_more() {
        let [first, again] = told();
        for (status, said) in [(RunStatus::Completed, "taken back or given up"), (RunStatus::Running, "gone on here")] {
            let (dir, run) = away();
            let mut follower = Follower::new(dir.path(), run).unwrap();
            follower.hear(first.as_bytes()).unwrap();
            let project = Project::open(dir.path()).unwrap();
            project.set_run_status(run, status, None).unwrap();
            let steps = format!("{:?}", project.steps(run, None).unwrap());
            let error = follower.hear(again.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
            assert_eq!(format!("{:?}", project.steps(run, None).unwrap()), steps, "{status}");
            assert!(Follower::new(dir.path(), run).is_err());
            assert_eq!(Follower::of_return(dir.path(), run).is_ok(), status == RunStatus::Completed);
        }
        let (dir, run) = away();
        let mut follower = Follower::new(dir.path(), run).unwrap();
        let mut project = Project::open(dir.path()).unwrap();
        project.set_run_status(run, RunStatus::Stopped, None).unwrap();
        project.delete_run(run).unwrap();
        let error = follower.hear(first.as_bytes()).unwrap_err();
        assert!(matches!(error, HandoverError::Store(store::StoreError::NoSuchRun(gone)) if gone == run), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// In any pieces, with whoever listens replaced on the way and told all from the beginning: the same.
        #[test]
        fn however_it_is_followed_the_project_holds_the_same(
            cuts in prop::collection::vec((0_usize..2000, any::<bool>()), 0..8)
        ) {
            let all = told().concat();
            let (dir, run) = away();
            Follower::new(dir.path(), run).unwrap().hear(all.as_bytes()).unwrap();
            let expected = holds(dir.path(), run);
            let (dir, run) = away();
            let mut cuts: Vec<(usize, bool)> = cuts.into_iter().map(|(cut, again)| (cut % all.len(), again)).collect();
            cuts.push((all.len(), true));
            cuts.sort_unstable();
            let mut follower = Follower::new(dir.path(), run).unwrap();
            let mut at = 0;
            for (cut, again) in cuts {
                follower.hear(&all.as_bytes()[at..cut]).unwrap();
                at = cut;
                if again {
                    // Ended on the way, in the middle of a line perhaps, and begun anew from the first one.
                    follower = Follower::new(dir.path(), run).unwrap();
                    follower.hear(&all.as_bytes()[..at]).unwrap();
                }
            }
            prop_assert_eq!(holds(dir.path(), run), expected);
        }
    }
}
