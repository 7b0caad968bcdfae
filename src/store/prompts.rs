//! Prompts: those of the pairs, each once, and those that wait for a model's answers.

use std::{collections::HashSet, ops::ControlFlow};

use ::data::{Pair, PairId, Prompt, PromptKey};

use super::{
    Project,
    contents::Contents,
    pairs::newest_pair,
    project::{Keep, Result, put_setting},
    query::NEWEST,
    rows::rows,
};

/// Under this the settings have the prompts that were taken in without answers.
const TAKEN_IN: &str = "prompts";

impl Project {
    /// The prompts of the pairs as they are now, each once, in the order of the pairs; `most` of them.
    pub fn prompts(&self, most: usize) -> Result<Vec<Prompt>> {
        let (mut seen, mut prompts) = (HashSet::new(), Vec::new());
        self.each_pair_at(self.revision()?, &mut |pair| {
            if seen.insert(pair.prompt.clone()) {
                prompts.push(pair.prompt);
            }
            if prompts.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(prompts)
    }

    /// All pairs of a prompt and of its variants, as they are now.
    pub fn pairs_of_prompt(&self, prompt: &Prompt) -> Result<Vec<Pair>> {
        self.snapshot(|connection| {
            let ids: Vec<i64> = rows(
                connection,
                &format!(
                    "SELECT pair FROM versions INDEXED BY versions_listed
                 WHERE {NEWEST} AND prompt_key = ?1 ORDER BY pair"
                ),
                [PromptKey::of(prompt).0 as i64],
                |row| Ok(row.get(0)?),
            )?;
            let mut contents = Contents::of(connection);
            let pairs = ids.into_iter().map(|id| newest_pair(&mut contents, PairId(id)));
            Ok(pairs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        })
    }

    /// Which prompt a model is to answer next: one that waits for its first answers, else the one that fewest pairs
    /// have; of several, `seed` decides. None of `passed_over`. Absent where none is left.
    pub fn next_prompt(&self, seed: u64, passed_over: &HashSet<PromptKey>) -> Result<Option<Prompt>> {
        let waiting = self.waiting_prompts()?.into_iter().find(|prompt| !passed_over.contains(&PromptKey::of(prompt)));
        if waiting.is_some() {
            return Ok(waiting);
        }
        self.snapshot(|connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT min(pair), prompt_key FROM versions INDEXED BY versions_listed WHERE {NEWEST}
                 GROUP BY prompt_key ORDER BY count(*), (prompt_key % 65521 * (?1 + 17)) % 65521"
            ))?;
            let mut rows = statement.query([(seed % 65521) as i64])?;
            while let Some(row) = rows.next()? {
                if !passed_over.contains(&PromptKey(row.get::<_, i64>(1)? as u64)) {
                    let pair = newest_pair(&mut Contents::of(connection), PairId(row.get(0)?))?;
                    return Ok(pair.map(|pair| pair.prompt));
                }
            }
            Ok(None)
        })
    }

    /// Takes prompts in that have no answers yet: a model is to write these. Says how many are new.
    pub fn take_in_prompts(&self, new: Vec<Prompt>) -> Result<usize> {
        let mut all = self.prompts_taken_in()?;
        let mut known: HashSet<Prompt> = all.iter().cloned().collect();
        let before = all.len();
        all.extend(new.into_iter().filter(|prompt| known.insert(prompt.clone())));
        self.set_prompts(&all)?;
        Ok(all.len() - before)
    }

    /// Those of them that no pair is about so far.
    pub fn waiting_prompts(&self) -> Result<Vec<Prompt>> {
        let mut all = self.prompts_taken_in()?;
        if all.is_empty() {
            return Ok(all);
        }
        let mut answered = HashSet::new();
        self.each_prompt_at(self.revision()?, &mut |key, _| {
            answered.insert(key);
        })?;
        all.retain(|prompt| !answered.contains(&PromptKey::of(prompt)));
        Ok(all)
    }

    /// None waits any more.
    pub fn drop_waiting_prompts(&self) -> Result<()> {
        self.set_prompts(&[])
    }

    fn prompts_taken_in(&self) -> Result<Vec<Prompt>> {
        let text = self.setting(TAKEN_IN)?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
    }

    fn set_prompts(&self, prompts: &[Prompt]) -> Result<()> {
        let text = serde_json::to_string(prompts)?;
        self.write(Keep::PowerLoss, |tx| put_setting(tx, TAKEN_IN, &text))
    }
}

#[cfg(test)]
mod tests {
    use ::data::{Change, Edit};

    use super::*;
    use crate::ProjectSettings;

    fn prompt(text: &str) -> Prompt {
        Prompt::Text(text.to_owned())
    }

    fn texts(prompts: &[Prompt]) -> Vec<&str> {
        prompts.iter().map(Prompt::last_text).collect()
    }

    #[test]
    fn prompts_without_answers_wait_until_a_pair_is_about_them() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        assert!(project.waiting_prompts().unwrap().is_empty());
        assert_eq!(project.next_prompt(0, &HashSet::new()).unwrap(), None);
        assert_eq!(project.take_in_prompts(vec![prompt("one"), prompt("two"), prompt("one")]).unwrap(), 2);
        assert_eq!(project.take_in_prompts(vec![prompt("two"), prompt("three")]).unwrap(), 1);
        drop(project);
        let mut project = Project::open(dir.path()).unwrap();
        let add = |text: &str| Edit::add(Pair::new(PairId::NEW, prompt(text), &["a", "b"]));
        let pairs = project.apply(&Change::new("Sample", vec![add("two")])).unwrap().pairs;
        assert_eq!(texts(&project.waiting_prompts().unwrap()), ["one", "three"]);
        let passed_over = |texts: &[&str]| texts.iter().map(|text| PromptKey::of(&prompt(text))).collect();
        let next = |project: &Project, but: &[&str]| project.next_prompt(3, &passed_over(but)).unwrap();
        assert_eq!(next(&project, &[]), Some(prompt("one")));
        assert_eq!(next(&project, &["one"]), Some(prompt("three")));
        assert_eq!(next(&project, &["one", "three"]), Some(prompt("two")), "the prompts of pairs come after them");
        assert_eq!(next(&project, &["one", "two", "three"]), None);
        let pair = project.pairs(&pairs).unwrap().remove(0);
        project.apply(&Change::new("Delete", vec![Edit::delete(pair)])).unwrap();
        assert_eq!(project.waiting_prompts().unwrap().len(), 3);
        project.drop_waiting_prompts().unwrap();
        assert!(project.waiting_prompts().unwrap().is_empty());
    }

    #[test]
    fn the_prompt_of_fewest_pairs_is_next_and_each_stands_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let add = |text: &str| Edit::add(Pair::new(PairId::NEW, prompt(text), &["a", "b"]));
        project.apply(&Change::new("Sample", vec![add("one"), add("two"), add("One!"), add("three")])).unwrap();
        assert_eq!(texts(&project.prompts(usize::MAX).unwrap()), ["one", "two", "One!", "three"]);
        assert_eq!(project.prompts(2).unwrap().len(), 2);
        assert_eq!(project.pairs_of_prompt(&prompt("one")).unwrap().len(), 2);
        let next = project.next_prompt(5, &HashSet::new()).unwrap().unwrap();
        assert!(["two", "three"].contains(&next.last_text()));
    }
}
